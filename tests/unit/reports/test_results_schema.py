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
    ExitReason,
    PreviousAttempt,
    Report,
    RunRequest,
    RunResult,
    RunState,
    TargetKind,
)
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import ResultsSanitizers, parse_results, results_json_schema
from tests.support.hostile import EVIDENCE, STEPS, TEXTS, VERDICTS
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
    partial(RunRequest), st.sampled_from(TargetKind), IDS, TEXTS, NAMES, st.just("") | IDS, VERSIONS, st.booleans()
)
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
    ],
)
def test_unsafe_fields_are_rejected(field: str, value: object) -> None:
    """A results.json cannot change the URL of a request."""
    document = json.loads(render_results_json(create_report([make_started_run("a")])))
    document["runs"][0][field] = value
    with pytest.raises(ValueError, match=field):
        parse_results(json.dumps(document).encode())


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
