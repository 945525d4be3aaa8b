"""Tests of variable values in a step that starts no runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app import known_values
from autonoma_ci.app.known_values import VALUE_OPTIONS, KnownValues, collect_known_values
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import Settings
from autonoma_ci.models import Evidence, PreviousAttempt, RunRequest, RunResult, RunState, RunStep, TargetKind
from autonoma_ci.planning.signing import VariableSigner
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.reports import CONTEXT, create_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.reports.results_schema import Results

KEY = Secret("s3cret-value")
SENT_VALUE = "sent-value"
WITH_KEY = Settings(client_secret=KEY)


def make_run(entry_id: str = "a", *, is_signed: bool = False, **variables: str) -> RunResult:
    """Return a started run with these variables."""
    request = RunRequest(TargetKind.TEST, entry_id, variables=variables)
    macs = VariableSigner(KEY).sign_all(request) if is_signed else {}
    return RunResult(request, RunState.STARTED, run_id=f"run-{entry_id}", variable_macs=macs)


def build_results(*runs: RunResult) -> Results:
    """Return the results.json of these runs."""
    return parse_results(render_results_json(create_report(runs)).encode())


def collect(
    folder: Path,
    saved: Results,
    manifest: str = "",
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
    event: str = "",
) -> KnownValues:
    """Collect the values of a step with this manifest."""
    if manifest:
        (folder / "autonoma.yml").write_text(manifest, "utf-8")
    return collect_known_values(settings or Settings(), saved, str(folder), environ or {}, event)


def reveal_secrets(values: KnownValues) -> set[str]:
    return {secret.reveal() for secret in values.secrets}


# Notice


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("A", "The value of A is"),
        ("AB", "The values of A and B are"),
        ("ABCDE", "The values of A, B, C, D and E are"),
        ("ABCDEF", "The values of A, B, C, D, E and 1 more variable are"),
        ("ABCDEFG", "The values of A, B, C, D, E and 2 more variables are"),
        (["A"] * 1236, "The values of A, A, A, A, A and 1,231 more variables are"),
    ],
    ids=len,
)
def test_notice_names_five_variables(names: str, expected: str) -> None:
    """Further variables are counted, and the notice has the fix."""
    assert KnownValues((), tuple(names)).notice == (
        f"{expected} unknown here and may appear in texts of test steps. Set variables and manifest as in the step "
        "that started the runs."
    )


def test_notice_needs_unknown_values() -> None:
    """Without unknown values there is no notice."""
    assert KnownValues((Secret(SENT_VALUE),), ()).notice is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("::error::A\n::error::B", "::error::A ::error::B"), ("A\x1b[2J", "A\ufffd[2J"), ("x" * 100, f"{'x' * 59}…")],
    ids=["command", "control character", "long"],
)
def test_notice_sanitizes_names(name: str, expected: str) -> None:
    """A name in an untrusted results.json is one short line."""
    assert f"The value of {expected} is" in str(KnownValues((), (name,)).notice)


def test_value_options_exist() -> None:
    """The options that define variables are in the table of options."""
    assert {option.name for option in OPTIONS} >= VALUE_OPTIONS


# Known values


def test_values_of_options_are_known(tmp_path: Path) -> None:
    """Values of the option are secrets, also without runs."""
    settings = Settings(variables={"A": SENT_VALUE, "B": ""})
    assert reveal_secrets(collect(tmp_path, build_results(), settings=settings)) == {SENT_VALUE, ""}


def test_values_of_manifest_are_known(tmp_path: Path) -> None:
    """Literals, matrix values and parts of the environment are secrets, facts of the build are not."""
    text = (
        "defaults: {variables: {A: of-all, B: '${ci.branch}'}}\n"
        "tests: [{id: a, variables: {C: 'joe:${WORD}'}, matrix: {D: [one, two]}}, {id: b, name: 'As ${TESTER}'}]"
    )
    result = collect(tmp_path, build_results(), text, environ={"WORD": "hidden", "TESTER": "jane"})
    assert reveal_secrets(result) == {"of-all", "joe:hidden", "hidden", "one", "two", "jane"}


def test_empty_value_of_manifest_is_no_secret(tmp_path: Path) -> None:
    """An empty text would be found everywhere."""
    assert reveal_secrets(collect(tmp_path, build_results(), "tests: [{id: a, variables: {A: ''}}]")) == set()


def test_default_value_is_hidden_too(tmp_path: Path) -> None:
    """The default of a reference was possibly sent."""
    result = collect(
        tmp_path, build_results(make_run(A=SENT_VALUE)), "tests: [{id: a, variables: {A: '${WORD:-none}'}}]"
    )
    assert (reveal_secrets(result), result.unknown_names) == ({"none"}, ("A",))


@pytest.mark.parametrize("content", ["tests: [", "tests: 3", "- a", "\0", "tests: [{id: 3, variables: [x]}]"], ids=repr)
def test_invalid_manifest_is_no_error(content: str, tmp_path: Path) -> None:
    """Without a readable manifest, the values are unknown."""
    result = collect(tmp_path, build_results(make_run(A=SENT_VALUE)), content)
    assert (result.secrets, result.unknown_names) == ((), ("A",))


def test_manifest_of_untrusted_job_is_unread(tmp_path: Path) -> None:
    """The checkout of such an event can be of another author."""
    text = "tests: [{id: a, variables: {A: x1}}]"
    assert reveal_secrets(collect(tmp_path, build_results(make_run(A=SENT_VALUE)), text, event="workflow_run")) == set()
    settings = Settings(manifest="autonoma.yml")
    assert reveal_secrets(
        collect(tmp_path, build_results(make_run(A=SENT_VALUE)), text, settings, event="workflow_run")
    ) == {"x1"}


def test_manifest_reads_build_of_results(tmp_path: Path) -> None:
    """References of the build have the facts of the first step."""
    text = "tests: [{id: a, variables: {A: 'x-${ci.branch}'}}]"
    run = make_run(is_signed=True, A=f"x-{CONTEXT.branch}")
    result = collect(tmp_path, build_results(run), text, WITH_KEY)
    assert result.unknown_names == ()


# Names


@pytest.mark.parametrize(
    ("manifest", "environ", "is_known"),
    [
        ("tests: [{id: a, variables: {A: x1}}]", {}, True),
        ("defaults: {variables: {A: x1}}", {}, True),
        ("tests: [{id: b, variables: {A: x1}}]", {}, False),
        ("tests: [{id: a, variables: {B: x1}}]", {}, False),
        ("tests: [{id: a, variables: {A: ''}}]", {}, False),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {}, False),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {"WORD": ""}, False),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {"WORD": "x1"}, True),
        ("tests: [{id: a, matrix: {A: [x1, '${WORD}']}}]", {}, False),
        ("tests: [{id: a, matrix: {A: ['${WORD}', x1]}}]", {}, False),
        ("tests: [{id: a, matrix: {A: [x1, x2]}}]", {}, True),
        ("defaults: {variables: {A: x1}}\ntests: [{id: a, variables: {A: '${WORD}'}}]", {}, False),
        ("defaults: {variables: {A: '${WORD}'}}\ntests: [{id: a, variables: {A: x1}}]", {}, True),
        ("defaults: {variables: {A: x1}}\ntests: [{id: '${T:-b}', variables: {A: '${WORD}'}}]", {}, False),
        ("defaults: {variables: {A: x1}}\ntests: [{id: '${T:-b}', variables: {A: x2}}]", {}, True),
        ("tests: [a]", {}, False),
    ],
)
def test_unsigned_variable_is_known_by_name(
    manifest: str, environ: dict[str, str], is_known: bool, tmp_path: Path
) -> None:
    """Each value of the variable in the entry of the run has to be known."""
    result = collect(tmp_path, build_results(make_run(A=SENT_VALUE)), manifest, environ=environ)
    assert result.unknown_names == (() if is_known else ("A",))


@pytest.mark.parametrize(("value", "is_known"), [("x1", True), ("", False)])
@pytest.mark.parametrize("manifest", ["", "tests: [{id: a, variables: {A: '${WORD}'}}]"])
def test_option_has_priority_over_manifest(value: str, is_known: bool, manifest: str, tmp_path: Path) -> None:
    """A withheld secret arrives empty, so an empty value counts as unknown."""
    result = collect(tmp_path, build_results(make_run(A=SENT_VALUE)), manifest, Settings(variables={"A": value}))
    assert result.unknown_names == (() if is_known else ("A",))


def test_empty_option_hides_manifest_value(tmp_path: Path) -> None:
    """The option replaces the value of the manifest in the first step too."""
    text = "tests: [{id: a, variables: {A: x1}}]"
    result = collect(tmp_path, build_results(make_run(A=SENT_VALUE)), text, Settings(variables={"A": ""}))
    assert result.unknown_names == ("A",)


def test_unknown_names_are_unique(tmp_path: Path) -> None:
    """Variables of several runs are named once, in the order of results.json."""
    saved = build_results(make_run("a", C="1", A="2"), make_run("b", A="3", B="4"))
    assert collect(tmp_path, saved).unknown_names == ("C", "A", "B")


# Signatures


@pytest.mark.parametrize(
    ("manifest", "environ", "is_known"),
    [
        (f"tests: [{{id: a, variables: {{A: {SENT_VALUE}}}}}]", {}, True),
        (f"defaults: {{variables: {{A: {SENT_VALUE}}}}}", {}, True),
        (f"tests: [{{id: a, matrix: {{A: [x1, {SENT_VALUE}]}}}}]", {}, True),
        (f"tests: [{{id: '${{T}}', variables: {{A: {SENT_VALUE}}}}}]", {}, True),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {"WORD": SENT_VALUE}, True),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {"WORD": "x1"}, False),
        ("tests: [{id: a, variables: {A: '${WORD}'}}]", {}, False),
        ("tests: [{id: a, variables: {A: x1}}]", {}, False),
        (f"tests: [{{id: b, variables: {{A: {SENT_VALUE}}}}}]", {}, False),
        (f"tests: [{{id: a, variables: {{B: {SENT_VALUE}}}}}]", {}, False),
        ("", {}, False),
    ],
)
def test_signed_variable_is_known_by_value(
    manifest: str, environ: dict[str, str], is_known: bool, tmp_path: Path
) -> None:
    """With the key, only the value that was sent counts."""
    result = collect(tmp_path, build_results(make_run(is_signed=True, A=SENT_VALUE)), manifest, WITH_KEY, environ)
    assert result.unknown_names == (() if is_known else ("A",))


def test_signed_empty_value_is_known(tmp_path: Path) -> None:
    """An empty value that was sent is no unknown one."""
    text = "tests: [{id: a, variables: {A: ''}}]"
    assert collect(tmp_path, build_results(make_run(is_signed=True, A="")), text, WITH_KEY).unknown_names == ()


@pytest.mark.parametrize(("value", "is_known"), [(SENT_VALUE, True), ("x1", False), ("", False)])
def test_signed_variable_of_option(value: str, is_known: bool, tmp_path: Path) -> None:
    """The option is valid for each entry."""
    settings = WITH_KEY._replace(variables={"A": value})
    saved = build_results(make_run("a", is_signed=True, A=SENT_VALUE), make_run("b", is_signed=True, A=SENT_VALUE))
    assert collect(tmp_path, saved, settings=settings).unknown_names == (() if is_known else ("A",))


@pytest.mark.parametrize(
    "settings",
    [Settings(variables={"A": "x1"}), Settings(client_secret=Secret("another-s3cret"), variables={"A": SENT_VALUE})],
    ids=["no key", "other key"],
)
def test_signature_needs_same_key(settings: Settings, tmp_path: Path) -> None:
    """Without a key names are compared, and another key matches nothing."""
    result = collect(tmp_path, build_results(make_run(is_signed=True, A=SENT_VALUE)), settings=settings)
    assert result.unknown_names == (("A",) if settings.client_secret else ())


def test_variable_without_signature_is_unknown(tmp_path: Path) -> None:
    """A results.json that was changed can have a signature less."""
    run = make_run(is_signed=True, A=SENT_VALUE, B=SENT_VALUE)
    run = run._replace(variable_macs={"B": run.variable_macs["B"]})
    settings = WITH_KEY._replace(variables={"A": SENT_VALUE, "B": SENT_VALUE})
    assert collect(tmp_path, build_results(run), settings=settings).unknown_names == ("A",)


def test_signature_of_other_name_is_unknown(tmp_path: Path) -> None:
    """Equal values of two variables have different signatures."""
    run = make_run(is_signed=True, A=SENT_VALUE, B=SENT_VALUE)
    run = run._replace(variable_macs={"A": run.variable_macs["B"], "B": run.variable_macs["B"]})
    settings = WITH_KEY._replace(variables={"A": SENT_VALUE, "B": SENT_VALUE})
    assert collect(tmp_path, build_results(run), settings=settings).unknown_names == ("A",)


@pytest.mark.parametrize(("limit", "is_known"), [(256 + len(SENT_VALUE), False), (257 + len(SENT_VALUE), True)])
def test_signed_characters_are_limited(
    limit: int, is_known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is not signed because of the limit counts as unknown."""
    monkeypatch.setattr(known_values, "_MAX_SIGNED_CHARS", limit)
    settings = WITH_KEY._replace(variables={"A": SENT_VALUE})
    result = collect(tmp_path, build_results(make_run(is_signed=True, A=SENT_VALUE)), settings=settings)
    assert result.unknown_names == (() if is_known else ("A",))


def test_equal_runs_are_signed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and matrix runs of one entry share the limit of one."""
    monkeypatch.setattr(known_values, "_MAX_SIGNED_CHARS", 257 + len(SENT_VALUE))
    settings = WITH_KEY._replace(variables={"A": SENT_VALUE})
    saved = build_results(*[make_run(is_signed=True, A=SENT_VALUE)] * 50)
    assert collect(tmp_path, saved, settings=settings).unknown_names == ()


# Runs and references


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"run_id": "r"}, 1),
        ({"title": "Pays"}, 1),
        ({"message": "HTTP 500"}, 1),
        ({"step": RunStep(1)}, 1),
        ({"evidence": Evidence((RunStep(1),))}, 1),
        ({"evidence": Evidence((), "", "no evidence")}, 0),
        ({"previous_attempts": (PreviousAttempt("r"),)}, 1),
    ],
)
def test_only_runs_with_texts_count(changes: dict[str, object], count: int, tmp_path: Path) -> None:
    """A run without texts of the API shows no value."""
    run = make_run(A=SENT_VALUE)._replace(run_id="")._replace(**changes)  # type: ignore[arg-type]
    assert len(collect(tmp_path, build_results(run)).unknown_names) == count


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ("{id: a, name: 'As ${TESTER}'}", 1),
        ("{id: a, groups: ['of-${TESTER:-all}']}", 1),
        ("{id: '${T}', name: '${TESTER}'}", 1),
        ("{id: b, name: 'As ${TESTER}'}", 0),
        ("{id: a, name: 'On ${ci.branch}'}", 0),
    ],
)
def test_unknown_reference_in_name_counts(entry: str, count: int, tmp_path: Path) -> None:
    """The name of the run may show a value that this step does not know."""
    result = collect(tmp_path, build_results(make_run()), f"tests: [{entry}]")
    assert result.unknown_names == ("${TESTER}",) * count
    result = collect(tmp_path, build_results(make_run()), f"tests: [{entry}]", environ={"TESTER": "jane", "T": "a"})
    assert result.unknown_names == ()


def test_variables_precede_references(tmp_path: Path) -> None:
    """Both kinds of unknown values are in one list."""
    text = "tests: [{id: a, name: '${TESTER}', variables: {A: '${WORD}'}}]"
    assert collect(tmp_path, build_results(make_run(A=SENT_VALUE)), text).unknown_names == ("A", "${TESTER}")


def test_values_are_hidden_in_repr(tmp_path: Path) -> None:
    """A log of the object shows no value."""
    result = collect(tmp_path, build_results(make_run(A=SENT_VALUE)), settings=Settings(variables={"A": SENT_VALUE}))
    assert SENT_VALUE not in repr(result)
