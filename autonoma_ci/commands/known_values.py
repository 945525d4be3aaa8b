"""The values of variables in a step that starts no runs: a record has their names alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.commands.input import find_manifest, interpolation_of
from autonoma_ci.commands.record import context_of
from autonoma_ci.secret import Secret
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.report.saved import Saved
    from autonoma_ci.report.saved_runs import SavedRun
    from autonoma_ci.settings import Settings

# The options that variables come from.
OF_VALUES = frozenset({"variables", "manifest", "allow-env"})
_NAMES_SHOWN = 5


class KnownValues(NamedTuple):
    """The values that are known here, and the names of the record's variables whose values are not."""

    secrets: tuple[Secret, ...]
    unknown: tuple[str, ...]

    @property
    def notice(self) -> str:
        """Say which values are not known; empty if all are."""
        if not self.unknown:
            return ""
        names = [one_line(name, 60) for name in self.unknown[:_NAMES_SHOWN]]
        more = len(self.unknown) - len(names)
        names += [f"{more:,} more {'variable' if more == 1 else 'variables'}"] if more else []
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        values = "value of" if len(self.unknown) == 1 else "values of"
        verb = "is" if len(self.unknown) == 1 else "are"
        return (
            f"The {values} {listed} {verb} not known here: texts of steps may show them. "
            "Give variables and manifest as in the step that started the runs."
        )


def known_values(settings: Settings, saved: Saved, folder: str, environ: Mapping[str, str], event: str) -> KnownValues:
    """Return the values of variables from the options and the manifest. An invalid manifest is no error here.

    Args:
        settings: The options of this step.
        saved: The record. Its facts of the build are those of the step that started the runs.
        folder: The working directory.
        environ: The environment.
        event: The event that started this job. It can forbid the default manifest.
    """
    path, _ = find_manifest(settings, folder, event)
    # Whether the manifest has each value of a name, by the id of its entry and the name.
    in_manifest: dict[tuple[str, str], bool] = {}
    values = [Secret(value) for value in settings.variables.values()]
    if path:
        # Loaded only where there is a manifest.
        from autonoma_ci.manifest.stated import UNKNOWN_ID, stated_variables

        interpolation = interpolation_of(environ, context_of(saved), settings)
        stated = stated_variables(path, folder, interpolation)
        values += stated.parts
        for entry_id, name, value, is_known, is_fact in stated.variables:
            in_manifest[entry_id, name] = is_known and in_manifest.get((entry_id, name), True)
            values += [value] if value and not is_fact else []
        # An entry's own variable wins over one of the defaults, and any run can be of an entry whose id is not known.
        for (entry_id, name), is_known in list(in_manifest.items()):
            if entry_id == UNKNOWN_ID:
                in_manifest["", name] = is_known and in_manifest.get(("", name), True)
    unknown = (
        name
        for run in saved.runs
        if _has_texts(run)
        for name in run.variables
        if name not in settings.variables and not in_manifest.get((run.id, name), in_manifest.get(("", name)))
    )
    return KnownValues(tuple(values), tuple(dict.fromkeys(unknown)))


def _has_texts(run: SavedRun) -> bool:
    return bool(run.run_id or run.title or run.message or run.step or run.evidence.steps or run.earlier)
