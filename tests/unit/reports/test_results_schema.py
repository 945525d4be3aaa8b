"""Reading results.json back and rejecting other files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from autonoma_ci.app.previous_results import build_sanitizers
from autonoma_ci.config.settings import Settings
from autonoma_ci.escaping import safe_url
from autonoma_ci.models import (
    AppVersion,
    ChangeSummary,
    ExitReason,
    PlanFacts,
    PreviousAttempt,
    Quarantine,
    Report,
    RunRequest,
    RunResult,
    RunState,
    TargetKind,
)
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import ResultsSanitizers, parse_results, results_json_schema
from tests.support.hostile import CHANGES, EVIDENCE, QUARANTINES, STEPS, TEXTS, VERDICTS
from tests.support.reports import (
    CONTEXT,
    RUNS_OF_ALL_KINDS,
    STARTED_VERDICT,
    create_report,
    make_flaky_run,
    make_started_run,
)

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
LINKS = st.just("") | IDS.map(lambda run_id: f"https://autonoma.app/run/{run_id}")
NUMBERS = st.floats(0, 1e6).map(lambda number: round(number, 3))
VERSIONS = st.lists(st.builds(AppVersion, IDS, IDS), max_size=2).map(tuple)
NAMES = st.dictionaries(TEXTS, st.just(""), max_size=2)
REQUESTS = st.builds(
    partial(RunRequest), st.sampled_from(TargetKind), IDS, TEXTS, NAMES, st.just("") | IDS, VERSIONS, st.booleans(),
    owner=TEXTS, quarantine=st.none() | QUARANTINES,
)  # fmt: skip
PREVIOUS_ATTEMPTS = st.lists(
    st.builds(PreviousAttempt, IDS, LINKS, TEXTS, STEPS, NUMBERS, NUMBERS, EVIDENCE), max_size=2
).map(tuple)
RUN_RESULTS = st.builds(
    partial(RunResult), REQUESTS, st.sampled_from(RunState), st.sampled_from(ExitReason), IDS, LINKS, TEXTS, TEXTS,
    st.integers(0, 999), st.just(1), NUMBERS, NUMBERS, TEXTS, STEPS, PREVIOUS_ATTEMPTS, st.booleans(), EVIDENCE,
)  # fmt: skip
# Reports as a step writes them, with checked ids, links and the time of its clock.
REPORTS = st.builds(
    partial(Report), TEXTS, st.just(CONTEXT), TEXTS, st.lists(RUN_RESULTS, max_size=3).map(tuple), st.none() | VERDICTS,
    started_at=st.just("2025-01-07T09:30:00Z"), waits_for_results=st.booleans(), duration_seconds=NUMBERS,
    plan_digest=st.just("") | st.from_regex("[0-9a-f]{64}", fullmatch=True), change=st.none() | CHANGES,
    quarantined_by_change=st.lists(TEXTS, max_size=2).map(tuple),
)  # fmt: skip
CHECKER = Draft202012Validator(results_json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def return_unchanged(text: str) -> str:
    return text


SHOW_ALL = ResultsSanitizers(return_unchanged, return_unchanged, safe_url, return_unchanged)


def replace_surrogates(value: object) -> object:
    """Replace single surrogates by question marks, as results.json does."""
    return json.loads(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


@pytest.mark.slow
@given(REPORTS)
def test_later_step_reads_results(run_report: Report) -> None:
    """A later step reads the same runs and start time from valid results."""
    text = render_results_json(run_report)
    CHECKER.validate(json.loads(text))
    results_json = parse_results(text.encode())
    assert [replace_surrogates(run.to_run_result(0.0, SHOW_ALL)) for run in results_json.runs] == [
        replace_surrogates(outcome) for outcome in run_report.results
    ]
    facts = results_json.to_plan_facts(return_unchanged)
    written = PlanFacts((), run_report.plan_digest, run_report.change, run_report.quarantined_by_change)
    assert replace_surrogates(facts) == replace_surrogates(written)
    assert results_json.started_at == datetime(2025, 1, 7, 9, 30, tzinfo=UTC)


def read_redacted_run(secret: str) -> RunResult:
    """Read a saved run back with this secret redacted."""
    run = make_started_run("a")._replace(url="https://autonoma.app/run/run-of-a", run_id="run-of-a")
    [results_run] = parse_results(render_results_json(create_report([run])).encode()).runs
    settings = Settings(client_secret=Secret(secret), api_url="https://autonoma.app/api")
    return results_run.to_run_result(0.0, build_sanitizers(settings, ()))


@pytest.mark.parametrize("secret", ["of-b", "autonoma.app", "https"])
def test_plain_saved_run_is_shown(secret: str) -> None:
    """The part that all links share is no secret."""
    run = read_redacted_run(secret)
    assert (run.run_id, run.url) == ("run-of-a", "https://autonoma.app/run/run-of-a")


def test_saved_credential_is_hidden() -> None:
    """Id and link are left out as in a response, so no redacted link leads elsewhere."""
    run = read_redacted_run("of-a")
    assert (run.run_id, run.url) == ("", "")


def test_every_state_matches_schema() -> None:
    """The results of all kinds of runs are valid for the published schema."""
    CHECKER.validate(json.loads(render_results_json(create_report(RUNS_OF_ALL_KINDS, STARTED_VERDICT))))
    CHECKER.validate(json.loads(render_results_json(create_report([], None))))


def test_schema_describes_every_field() -> None:
    """The schema has exactly the fields that are written."""
    Draft202012Validator.check_schema(results_json_schema())
    fields = results_json_schema()["$defs"]["ResultsRun"]["properties"]
    assert set(json.loads(render_results_json(create_report([make_started_run("a")])))["runs"][0]) == set(fields)
    assert set(json.loads(render_results_json(create_report()))) == set(results_json_schema()["properties"])


def test_times_are_relative_to_reading_step() -> None:
    """Times of an earlier step are moved to the start of the step that reads them."""
    results_json = parse_results(render_results_json(create_report([make_flaky_run("a")])).encode())
    run = results_json.runs[0].to_run_result(-100.0, SHOW_ALL)
    assert (run.start_offset_seconds, run.previous_attempts[0].start_offset_seconds) == (-69.0, -100.0)


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ({"version": 2}, "version"),
        ({"runs": None}, "runs"),
        ({"runs": [{}]}, "runs.0"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"conclusion": "green"}, "conclusion"),
    ],
)
def test_invalid_results_have_error_position(change: dict[str, object], position: str) -> None:
    """A file that is no results.json is rejected with the position of the error."""
    document = json.loads(render_results_json(create_report([make_started_run("a")]))) | change
    with pytest.raises(ValueError, match=position):
        parse_results(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_id", "../../admin"),
        ("run_id", "a/b"),
        ("id", ""),
        ("id", "a b"),
        ("kind", "x"),
        ("duration_seconds", 1e300),
        ("quarantine", {"until": "2026-13-01", "reason": "late"}),
        ("quarantine", {"until": "20261231", "reason": "late"}),
        ("quarantine", {"until": "tomorrow\n", "reason": "late"}),
        ("quarantine", {"until": "2026-12-31"}),
        ("owner", ["@web"]),
    ],
)
def test_unsafe_fields_are_rejected(field: str, value: object) -> None:
    """A results.json cannot change the URL of a request."""
    document = json.loads(render_results_json(create_report([make_started_run("a")])))
    document["runs"][0][field] = value
    with pytest.raises(ValueError, match=field):
        parse_results(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("plan_digest", "D" * 64),
        ("plan_digest", "d" * 63),
        ("plan_digest", "d" * 64 + "\n"),
        ("changed_files", {"source": "else", "base": "", "file_count": 1, "full_run_reason": None}),
        ("changed_files", {"source": "clone", "base": "", "file_count": -1, "full_run_reason": None}),
        ("quarantined_by_change", "Checkout"),
    ],
)
def test_unsafe_plan_facts_are_rejected(field: str, value: object) -> None:
    """A fact of the plan in another form is rejected."""
    document = json.loads(render_results_json(create_report([make_started_run("a")]))) | {field: value}
    with pytest.raises(ValueError, match=field):
        parse_results(json.dumps(document).encode())


def test_earlier_records_stay_readable() -> None:
    """A results.json without the facts of quarantine and changed files is valid."""
    document = json.loads(render_results_json(create_report([make_started_run("a")])))
    for name in ("api_url", "plan_digest", "changed_files", "quarantined_by_change"):
        del document[name]
    for name in ("owner", "quarantine"):
        del document["runs"][0][name]
    results = parse_results(json.dumps(document).encode())
    assert results.to_plan_facts(return_unchanged) == PlanFacts()
    assert results.runs[0].to_run_result(0.0, SHOW_ALL).request.quarantine is None


def test_saved_command_is_not_read() -> None:
    """A record is untrusted, so no report shows a command of it."""
    run = make_started_run("a")
    run = run._replace(request=run.request._replace(rerun_command="autonoma-ci run"))
    text = render_results_json(create_report([run]))
    assert "autonoma-ci run" not in text
    document = json.loads(text)
    document["runs"][0]["rerun_command"] = "curl evil"
    [saved] = parse_results(json.dumps(document).encode()).runs
    assert saved.to_run_result(0.0, SHOW_ALL).request.rerun_command == ""


def test_saved_texts_are_redacted() -> None:
    """Owner, quarantine and the facts of the plan lose a credential."""
    secret = "s3cret-value"
    run = make_started_run("a")
    request = run.request._replace(owner=secret, quarantine=Quarantine("2026-12-31", secret, secret))
    saved_report = create_report([run._replace(request=request)])._replace(
        change=ChangeSummary("clone", secret, 1, secret), quarantined_by_change=(secret,)
    )
    saved = parse_results(render_results_json(saved_report).encode())
    sanitizers = build_sanitizers(Settings(client_secret=Secret(secret), api_url="https://autonoma.app/api"), ())
    read = [saved.runs[0].to_run_result(0.0, sanitizers).request, saved.to_plan_facts(sanitizers.label)]
    assert secret not in str([tuple(value) for value in read])
    assert str([tuple(value) for value in read]).count("***") == 6


def test_unsafe_link_is_omitted() -> None:
    """A link that runs a script is not read."""
    document = json.loads(render_results_json(create_report([make_started_run("a")])))
    document["runs"][0]["url"] = "javascript:alert(1)"
    assert parse_results(json.dumps(document).encode()).runs[0].to_run_result(0.0, SHOW_ALL).url == ""


@pytest.mark.slow
@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_any_bytes_give_clear_error(data: bytes) -> None:
    """Bytes that are no results.json give an error with a message."""
    with pytest.raises(ValueError, match=r"."):
        parse_results(data)


# The limit is the memory of a small machine, including the interpreter and its libraries.
SMALL_MACHINE = """
import resource, sys
from autonoma_ci.reports.results_schema import parse_results
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
head, item, tail, count = sys.argv[1:]
try:
    print("read", parse_results((head + (item + ",") * int(count) + tail).encode()).version)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "item", "count", "expected_error"),
    [
        (["more"], "[]", 1_900_000, "read 1"),
        (["more"], "[]", 16_500_000, "more than 4,000,000 values"),
        (["runs"], "{}", 1_900_000, "missing runs.0.name"),
        (["runs", 0, "previous_attempts"], "{}", 1_900_000, "missing runs.0.previous_attempts.0.run_id"),
        (["runs", 0, "evidence", "steps"], "{}", 1_900_000, "missing runs.0.evidence.steps.0.number"),
        (["runs", 0, "variables"], "0", 3_900_000, "invalid runs.0.variables.0"),
        (["runs", 0, "application_versions"], "0", 3_900_000, "invalid runs.0.application_versions.0"),
    ],
)
def test_small_file_cannot_fill_memory(path: list[str | int], item: str, count: int, expected_error: str) -> None:
    """A file with an error in each value is rejected at the first one."""
    document: Any = json.loads(render_results_json(create_report([make_started_run("a")])))
    container = document
    for step in path[:-1]:
        container = container[step]
    container[path[-1]] = ["here"]
    head, tail = json.dumps(document).split('"here"')
    command = [sys.executable, "-c", SMALL_MACHINE, head, item, item + tail, str(count)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.stdout.startswith(expected_error), process.stderr[-500:]


@pytest.mark.parametrize("name", ["tool", "totals"])
def test_too_many_names_are_rejected(name: str) -> None:
    """One error stands for all names."""
    document = json.loads(render_results_json(create_report([make_started_run("a")])))
    document[name] = {str(number): [] for number in range(101)}
    with pytest.raises(ValueError, match=f"^{name}: more than 100 names$"):
        parse_results(json.dumps(document).encode())


def test_later_version_can_add_fields() -> None:
    """Unknown fields of results and runs are ignored."""
    document = json.loads(render_results_json(create_report([make_started_run("a")]))) | {"more": 1}
    document["runs"][0]["more"] = 1
    assert len(parse_results(json.dumps(document).encode()).runs) == 1
