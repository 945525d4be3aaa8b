"""Collect the values of variables in a job step that starts no runs.

results.json has only their names and signatures.
"""

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

# The options that define variables.
VALUE_OPTIONS = frozenset({"variables", "manifest", "allow-env"})
# Their help in such a job step, where they start nothing.
VALUE_OPTIONS_HELP: Mapping[str, str] = {
    "manifest": "Manifest of the step that started the runs, so that its values are hidden. "
    "Default: `autonoma.yml` or `autonoma.yaml`.",
    "variables": "Variables of the step that started the runs, so that their values are hidden. "
    "Same format as in `run`.",
}
_MAX_SHOWN_NAMES = 5
# In characters of values and their overhead. Signing these needs about one second.
_MAX_SIGNED_CHARS = 64 * 1024 * 1024
# Other signed characters of each value.
_SIGNATURE_OVERHEAD_CHARS = 256
_ADVICE = "Set variables and manifest as in the step that started the runs."


class KnownValues(NamedTuple):
    """The values of variables that this job step knows."""

    secrets: tuple[Secret, ...]
    # Names of variables in results.json whose values are unknown.
    unknown_names: tuple[str, ...]

    @property
    def notice(self) -> str | None:
        """The notice that names unknown values, or None if all are known."""
        if not self.unknown_names:
            return None
        names = [sanitize_line(name, 60) for name in self.unknown_names[:_MAX_SHOWN_NAMES]]
        more = len(self.unknown_names) - len(names)
        names += [f"{more:,} more {'variable' if more == 1 else 'variables'}"] if more else []
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        values = "value of" if len(self.unknown_names) == 1 else "values of"
        verb = "is" if len(self.unknown_names) == 1 else "are"
        return f"The {values} {listed} {verb} unknown here and may appear in texts of test steps. {_ADVICE}"


def collect_known_values(
    settings: Settings, saved: Results, folder: str, environ: Mapping[str, str], event: str
) -> KnownValues:
    """Return the values of variables from options and manifest.

    An invalid manifest is no error here.

    Args:
        settings: The options of this step. With the client secret, the signatures in results.json show which values
            were sent.
        saved: The content of results.json. Its build context is that of the step that started the runs.
        folder: The working directory.
        environ: The environment.
        event: The event that started this job. It can forbid the default manifest.

    """
    path, _ = find_manifest(settings, folder, event)
    values = [Secret(value) for value in settings.variables.values()]
    variables: Sequence[StatedVariable] = ()
    unknown_references: Sequence[tuple[str, str]] = ()
    if path:
        # Loaded only if there is a manifest.
        from autonoma_ci.manifest.stated_variables import collect_stated_variables

        interpolation = build_interpolator(environ, to_build_context(saved), settings)
        variables, environment_texts, unknown_references = collect_stated_variables(path, folder, interpolation)
        values += environment_texts
        values += [variable.value for variable in variables if variable.value and not variable.is_fact]
    runs = [run for run in saved.runs if _has_api_texts(run)]
    by_name, by_signature = _NameLookup(settings, variables), _SignatureLookup(settings, variables)
    unknown = [
        name for run in runs for name in (by_signature if by_signature.can_verify(run) else by_name).unknown_names(run)
    ]
    entry_ids = {UNKNOWN_ID, *(run.id for run in runs)}
    unknown += [f"${{{name}}}" for entry_id, name in unknown_references if entry_id in entry_ids]
    return KnownValues(tuple(values), tuple(dict.fromkeys(unknown)))


class _NameLookup:
    """Finds unknown variables by their names.

    A variable is known if it has a value here that is not empty. CI systems pass an empty value if a secret is not
    available.
    """

    def __init__(self, settings: Settings, variables: Sequence[StatedVariable]) -> None:
        self._option_values = settings.variables
        # Whether all values of a variable in the manifest are known, by entry id and name.
        self._is_known_in_manifest: dict[tuple[str, str], bool] = {}
        for variable in variables:
            self._add(variable.entry_id, variable.name, is_known=variable.is_known and bool(variable.value))
        # The variable of an entry has priority over the defaults. Any run can be of an entry whose id is unknown.
        for (entry_id, name), is_known in list(self._is_known_in_manifest.items()):
            if entry_id == UNKNOWN_ID:
                self._add("", name, is_known=is_known)

    def _add(self, entry_id: str, name: str, *, is_known: bool) -> None:
        self._is_known_in_manifest[entry_id, name] = is_known and self._is_known_in_manifest.get((entry_id, name), True)

    def unknown_names(self, run: ResultsRun) -> Iterator[str]:
        """Yield the names of the variables of a run that are unknown."""
        for name in run.variables:
            in_manifest = self._is_known_in_manifest.get(
                (run.id, name), self._is_known_in_manifest.get(("", name), False)
            )
            if not self._option_values.get(name, in_manifest):
                yield name


class _SignatureLookup:
    """Finds unknown variables by the signatures in results.json.

    A variable is known if one of its values here is the one that was sent.
    """

    def __init__(self, settings: Settings, variables: Sequence[StatedVariable]) -> None:
        self._signer = VariableSigner(settings.client_secret) if settings.client_secret else None
        # By entry id and name. Values of the option are for all entries.
        self._values_by_key: dict[tuple[str, str], set[str]] = {
            ("", name): {v} for name, v in settings.variables.items()
        }
        for variable in variables:
            if variable.value is not None:
                self._values_by_key.setdefault((variable.entry_id, variable.name), set()).add(variable.value.reveal())
        self._signatures: dict[tuple[str, str, str], set[str]] = {}
        self._remaining_chars = _MAX_SIGNED_CHARS

    def can_verify(self, run: ResultsRun) -> bool:
        """Return whether the run has signatures and this job step has the key."""
        return bool(self._signer and run.variable_macs)

    def unknown_names(self, run: ResultsRun) -> Iterator[str]:
        """Yield the names of the variables of a run that are unknown."""
        for name in run.variables:
            if run.variable_macs.get(name) not in self._signatures_of(run, name):
                yield name

    def _signatures_of(self, run: ResultsRun, name: str) -> set[str]:
        """Return the signatures of all possible values of a variable."""
        key = run.kind, run.id, name
        if key not in self._signatures:
            value_keys = ("", name), (run.id, name), (UNKNOWN_ID, name)
            values = set().union(*(self._values_by_key.get(value_key, ()) for value_key in value_keys))
            self._signatures[key] = set(self._sign(run, name, values))
        return self._signatures[key]

    def _sign(self, run: ResultsRun, name: str, values: Iterable[str]) -> Iterator[str]:
        for value in values:
            self._remaining_chars -= len(value) + _SIGNATURE_OVERHEAD_CHARS
            # A hostile manifest can have very many values. A value that is not signed counts as unknown.
            if self._signer and self._remaining_chars > 0:
                yield self._signer.sign(run.kind, run.id, name, value)


def _has_api_texts(run: ResultsRun) -> bool:
    return bool(run.run_id or run.title or run.message or run.step or run.evidence.steps or run.previous_attempts)
