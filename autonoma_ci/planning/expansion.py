"""Expand the selected entries to the runs that are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from autonoma_ci.models import NO_VARIABLES, AppVersion, RunRequest, TargetKind
from autonoma_ci.planning.matrix import MatrixNamer
from autonoma_ci.planning.quarantine import find_active_quarantine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Folder, Manifest, Tag, Test
    from autonoma_ci.planning.rerun import RerunCommands
    from autonoma_ci.planning.selection import Candidate


class RequestBuilder:
    """Builds the runs of the entries of one plan.

    Args:
        settings: The options.
        manifest: The manifest, or None without one.
        today: The current date in UTC, which ends quarantines.
        commands: The commands that run one entry again.

    """

    def __init__(self, settings: Settings, manifest: Manifest | None, today: date, commands: RerunCommands) -> None:
        self._settings, self._manifest, self._today, self._commands = settings, manifest, today, commands
        self._versions, self._run_on_latest = _select_versions(settings, manifest)
        defaults = manifest.defaults if manifest else None
        selected = manifest.selected_environment if manifest else None
        self._environment = selected[0] if selected else ""
        # Variables of the environment override those of the defaults.
        self._shared_variables: Mapping[str, str] = {
            **(defaults.variables if defaults else NO_VARIABLES),
            **(selected[1].variables if selected else NO_VARIABLES),
        }
        self._variables_of_ids = {**self._shared_variables, **settings.variables}
        self._default_version = defaults.application_version_id if defaults else ""
        self._default_retries = defaults.retries if defaults else None
        self._default_timeout = defaults.run_timeout if defaults else None
        self._namer = None
        if manifest:
            hidden_values = {*settings.variables.values(), *manifest.environment_texts}
            self._namer = MatrixNamer(manifest, hidden_values, settings.redactors.of_all.contains_secret)

    def build(self, candidate: Candidate) -> Iterator[RunRequest]:
        """Yield the runs of one entry."""
        entry = candidate.entry
        # Fields instead of a request, because `_replace` would take a third of the time of a large plan.
        common: dict[str, Any] = {
            "kind": candidate.kind,
            "id": candidate.id,
            "name": candidate.name,
            "occurrence": candidate.occurrence,
            "environment": self._environment,
            "owner": entry.owner if entry else "",
            "retries": self._count_retries(entry),
            "run_timeout_seconds": self._find_timeout(entry),
            "quarantine": find_active_quarantine(entry, self._settings, self._today),
            "rerun_command": self._commands.build(candidate),
        }
        if candidate.kind is not TargetKind.TEST:
            yield RunRequest(**common, application_versions=self._versions, run_on_latest=self._run_on_latest)
        elif entry:
            yield from self._expand_matrix(candidate, common, cast("Test", entry))
        else:
            version = self._settings.application_version_id or self._default_version
            yield RunRequest(**common, variables=self._variables_of_ids, application_version_id=version)

    def _count_retries(self, entry: Test | Folder | Tag | None) -> int:
        settings = self._settings
        is_set = "retries" in settings.explicitly_set
        if not settings.wait or (is_set and not settings.retries):
            return 0
        own = entry.retries if entry else None
        if own is not None:
            return own
        return settings.retries if is_set else self._default_retries or 0

    def _find_timeout(self, entry: Test | Folder | Tag | None) -> float | None:
        if not self._settings.wait:
            return None
        return entry.run_timeout if entry and entry.run_timeout else self._default_timeout

    def _expand_matrix(self, candidate: Candidate, common: Mapping[str, Any], test: Test) -> Iterator[RunRequest]:
        settings = self._settings
        version = settings.application_version_id or test.application_version_id or self._default_version
        variables = {**self._shared_variables, **test.variables}
        # A variable of the settings replaces an axis of the matrix. Otherwise several runs would be equal.
        axes = {name: values for name, values in test.matrix.items() if name not in settings.variables}
        if not axes or not self._namer:
            yield RunRequest(**common, variables={**variables, **settings.variables}, application_version_id=version)
            return
        request = RunRequest(**common, application_version_id=version)
        for combination in self._namer.combine(test, axes):
            yield request._replace(
                name=f"{candidate.display_name} [{combination.label}]" if combination.label else candidate.name,
                variables={**variables, **combination.variables, **settings.variables},
                matrix_place=combination.place,
            )


def _select_versions(settings: Settings, manifest: Manifest | None) -> tuple[tuple[AppVersion, ...], bool]:
    """Return the application versions of folders and tags.

    The options have priority over the manifest.

    Returns:
        The application versions, and whether to run on the latest versions.

    """
    if not manifest or settings.run_on_latest or "application-versions" in settings.explicitly_set:
        return settings.application_versions, settings.run_on_latest
    versions = tuple(AppVersion(v.application_id, v.version_id) for v in manifest.application_versions)
    # With the option `run-on-latest: false`, the versions of the manifest stay valid.
    return versions, manifest.run_on_latest == "true" and "run-on-latest" not in settings.explicitly_set
