"""Build the command that runs one entry of the plan again.

The command has ids, the pipeline's own options, and the build facts that the manifest uses. It has no names of runs, no
variables and no credentials.
"""

from __future__ import annotations

import shlex
from itertools import chain
from typing import TYPE_CHECKING

from autonoma_ci.config.options import BUILD_FACT_OPTIONS, DEFAULT_API_URL
from autonoma_ci.planning.selection import find_groups_off_by_default

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.planning.selection import Candidate

# The list of groups has these separators.
_GROUP_SEPARATORS = frozenset(",\r\n")


class RerunCommands:
    """Builds the commands that run one entry again.

    Args:
        settings: The options of the pipeline.
        manifest: The manifest, or None without one.
        manifest_path: The path of the manifest as the user wrote it. If it is empty, entries of the manifest have no
            command. Neither have they if the manifest uses a build fact that no option can set.

    """

    def __init__(self, settings: Settings, manifest: Manifest | None, manifest_path: str) -> None:
        self._off_by_default = find_groups_off_by_default(manifest)
        self._has_manifest = bool(manifest)
        environment = manifest.selected_environment if manifest else None
        self._prefix = ["autonoma-ci", "run", *(_flag("--manifest", manifest_path) if manifest_path else ())]
        facts = manifest.build_facts if manifest else ()
        self._suffix = [
            *(_flag("--environment", environment[0]) if environment else ()),
            *chain.from_iterable(
                _flag(f"--{BUILD_FACT_OPTIONS[name]}", value) for name, value in facts if name in BUILD_FACT_OPTIONS
            ),
            *_list_options(settings),
        ]
        # The texts of these options can contain anything.
        self._contains_credential = settings.redactors.of_long.contains_secret
        # Without such a fact, the command would fail at a terminal, or use a default.
        can_state_facts = all(name in BUILD_FACT_OPTIONS for name, _ in facts)
        can_load_manifest = not manifest or (bool(manifest_path) and can_state_facts)
        texts = "\n".join((*self._prefix, *self._suffix))
        self._is_available = can_load_manifest and not self._contains_credential(texts)
        # Quoted once, because a plan can have thousands of entries.
        self._quoted_prefix, self._quoted_suffix = shlex.join(self._prefix), shlex.join(self._suffix)

    def build(self, candidate: Candidate) -> str:
        """Return the command for one entry, or an empty text without one."""
        if not self._is_available:
            return ""
        arguments: list[str] = []
        if not candidate.entry:
            arguments += _flag(f"--{candidate.kind}-ids", candidate.id)
        if self._has_manifest:
            arguments += _flag("--only", candidate.id)
        off = candidate.groups & self._off_by_default
        if candidate.entry and off:
            # The value of `${NAME}` in a group must not be shown.
            groups = [group for group in candidate.entry.groups if group in off and _can_list(group)]
            if not groups or self._contains_credential(groups[0]):
                return ""
            arguments += _flag("--groups", groups[0])
        if candidate.change_patterns is not None:
            arguments += _flag("--changed-files", "all")
        return " ".join(filter(None, [self._quoted_prefix, shlex.join(arguments), self._quoted_suffix]))


def _flag(name: str, value: str) -> list[str]:
    """Return the arguments of one option."""
    # Ids and names can begin with a hyphen, like a flag.
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _can_list(group: str) -> bool:
    """Return whether the option `groups` can name this group."""
    return _GROUP_SEPARATORS.isdisjoint(group)


def _list_options(settings: Settings) -> Iterator[str]:
    """Yield the options of the pipeline that change a single run."""
    if settings.api_url not in {"", DEFAULT_API_URL}:
        yield from ("--api-url", settings.api_url)
    if settings.allow_env:
        yield from ("--allow-env", ",".join(settings.allow_env))
    if settings.application_version_id:
        yield from ("--application-version-id", settings.application_version_id)
    if settings.application_versions:
        pairs = (
            f"{{application-id: {version.application_id}, version-id: {version.version_id}}}"
            for version in settings.application_versions
        )
        yield from ("--application-versions", f"[{', '.join(pairs)}]")
    if settings.run_on_latest:
        yield "--run-on-latest"
    if settings.ignore_quarantine:
        yield "--ignore-quarantine"
    if settings.wait:
        yield "--wait"
        yield from _list_wait_options(settings)


def _list_wait_options(settings: Settings) -> Iterator[str]:
    if "timeout" in settings.explicitly_set:
        yield from ("--timeout", _format_seconds(settings.timeout))
    if "retries" in settings.explicitly_set:
        yield from ("--retries", str(settings.retries))
    if settings.on_flaky != "pass":
        yield from ("--on-flaky", settings.on_flaky)


def _format_seconds(seconds: float) -> str:
    """Return a duration that the option can read."""
    whole, rest = divmod(round(seconds), 60)
    return f"{whole}m" if not rest and whole else f"{round(seconds)}s"
