"""The values of variables in a step that starts no runs: a record has their names and signatures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.app.inputs import build_interpolator, find_manifest
from autonoma_ci.app.previous_results import to_build_context
from autonoma_ci.config.parsers import UNKNOWN_ID
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.planning.signing import VariableSigner
from autonoma_ci.redaction.redactor import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.stated_variables import StatedVariable
    from autonoma_ci.reports.results_schema import Results, ResultsRun

# The options that variables come from.
VALUE_OPTIONS = frozenset({"variables", "manifest", "allow-env"})
_NAMES_SHOWN = 5
# In characters of values, each value with what else is signed: about a second.
_MAX_SIGNED = 64 * 1024 * 1024
_OVERHEAD = 256


class KnownValues(NamedTuple):
    """The values that are known here, and the names of the record's variables whose values are not."""

    secrets: tuple[Secret, ...]
    unknown_names: tuple[str, ...]

    @property
    def notice(self) -> str:
        """Say which values are not known; empty if all are."""
        if not self.unknown_names:
            return ""
        names = [sanitize_line(name, 60) for name in self.unknown_names[:_NAMES_SHOWN]]
        more = len(self.unknown_names) - len(names)
        names += [f"{more:,} more {'variable' if more == 1 else 'variables'}"] if more else []
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        values = "value of" if len(self.unknown_names) == 1 else "values of"
        verb = "is" if len(self.unknown_names) == 1 else "are"
        return (
            f"The {values} {listed} {verb} not known here: texts of steps may show them. "
            "Give variables and manifest as in the step that started the runs."
        )


def collect_known_values(
    settings: Settings, saved: Results, folder: str, environ: Mapping[str, str], event: str
) -> KnownValues:
    """Return the values of variables from the options and the manifest. An invalid manifest is no error here.

    Args:
        settings: The options of this step. With the client secret, the record's signatures say which values were sent.
        saved: The record. Its facts of the build are those of the step that started the runs.
        folder: The working directory.
        environ: The environment.
        event: The event that started this job. It can forbid the default manifest.
    """
    path, _ = find_manifest(settings, folder, event)
    values = [Secret(value) for value in settings.variables.values()]
    variables: Sequence[StatedVariable] = ()
    missing: Sequence[tuple[str, str]] = ()
    if path:
        # Loaded only where there is a manifest.
        from autonoma_ci.manifest.stated_variables import collect_stated_variables

        interpolation = build_interpolator(environ, to_build_context(saved), settings)
        variables, parts, missing = collect_stated_variables(path, folder, interpolation)
        values += parts
        values += [found.value for found in variables if found.value and not found.is_fact]
    runs = [run for run in saved.runs if _has_texts(run)]
    by_name, by_signature = _Names(settings, variables), _Signatures(settings, variables)
    unknown = [name for run in runs for name in (by_signature if by_signature.decides(run) else by_name).unknown(run)]
    ids = {UNKNOWN_ID, *(run.id for run in runs)}
    unknown += [f"${{{name}}}" for entry_id, name in missing if entry_id in ids]
    return KnownValues(tuple(values), tuple(dict.fromkeys(unknown)))


class _Names:
    """Decides by names alone: a variable is known if it has a value here that is not empty.

    An empty value is what a CI system gives where a secret is not available.
    """

    def __init__(self, settings: Settings, stated: Sequence[StatedVariable]) -> None:
        self._option = settings.variables
        # Whether the manifest has each value of a name, by the id of its entry and the name.
        self._manifest: dict[tuple[str, str], bool] = {}
        for found in stated:
            self._add(found.entry_id, found.name, is_known=found.is_known and bool(found.value))
        # An entry's own variable wins over one of the defaults, and any run can be of an entry whose id is not known.
        for (entry_id, name), is_known in list(self._manifest.items()):
            if entry_id == UNKNOWN_ID:
                self._add("", name, is_known=is_known)

    def _add(self, entry_id: str, name: str, *, is_known: bool) -> None:
        self._manifest[entry_id, name] = is_known and self._manifest.get((entry_id, name), True)

    def unknown(self, run: ResultsRun) -> Iterator[str]:
        """Yield the names of the run's variables that are not known."""
        for name in run.variables:
            in_manifest = self._manifest.get((run.id, name), self._manifest.get(("", name), False))
            if not self._option.get(name, in_manifest):
                yield name


class _Signatures:
    """Decides by the record's signatures: a variable is known if one of its values here is the one that was sent."""

    def __init__(self, settings: Settings, stated: Sequence[StatedVariable]) -> None:
        self._signer = VariableSigner(settings.client_secret) if settings.client_secret else None
        # By the id of the entry and the name; those of the option are of all entries.
        self._values: dict[tuple[str, str], set[str]] = {("", name): {v} for name, v in settings.variables.items()}
        for found in stated:
            if found.value is not None:
                self._values.setdefault((found.entry_id, found.name), set()).add(found.value.reveal())
        self._signed: dict[tuple[str, str, str], set[str]] = {}
        self._left = _MAX_SIGNED

    def decides(self, run: ResultsRun) -> bool:
        """Say whether the record has signatures of the run's variables, and this step has the key."""
        return bool(self._signer and run.variable_macs)

    def unknown(self, run: ResultsRun) -> Iterator[str]:
        """Yield the names of the run's variables that are not known."""
        for name in run.variables:
            if run.variable_macs.get(name) not in self._signatures_of(run, name):
                yield name

    def _signatures_of(self, run: ResultsRun, name: str) -> set[str]:
        """Return the signatures of all values that this run's variable can have had."""
        key = run.kind, run.id, name
        if key not in self._signed:
            places = ("", name), (run.id, name), (UNKNOWN_ID, name)
            values = set().union(*(self._values.get(place, ()) for place in places))
            self._signed[key] = set(self._sign(run, name, values))
        return self._signed[key]

    def _sign(self, run: ResultsRun, name: str, values: Iterable[str]) -> Iterator[str]:
        for value in values:
            self._left -= len(value) + _OVERHEAD
            # A hostile manifest can have very many values. One that is not signed counts as not known.
            if self._signer and self._left > 0:
                yield self._signer.sign(run.kind, run.id, name, value)


def _has_texts(run: ResultsRun) -> bool:
    return bool(run.run_id or run.title or run.message or run.step or run.evidence.steps or run.previous_attempts)
