"""Tests of the content of results.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from autonoma_ci import __version__
from autonoma_ci.identity import Part
from autonoma_ci.models import (
    AppVersion,
    BuildContext,
    ChangeSummary,
    Evidence,
    PreviousAttempt,
    Report,
    RunRequest,
    RunResult,
    RunStep,
    TargetKind,
)
from autonoma_ci.reports.results_json import MAX_TIME_SECONDS, SCHEMA_VERSION, render_results_json, run_to_dict
from tests.support.hostile import REPORTS
from tests.support.reports import (
    API_ERROR_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_flaky_run,
    make_passed_run,
    make_rejected_run,
    make_started_run,
)


def test_results_describe_step() -> None:
    """The members describe the step, its build and its runs."""
    run_report = create_report([make_started_run("a", "A"), make_rejected_run("b")], API_ERROR_VERDICT)
    part = Part("tests", "ubuntu", "2/5", "Autonoma tests")
    run_report = run_report._replace(
        part=part,
        step_id="0123456789abcdef",
        api_url="https://autonoma.app/api",
        plan_digest="d" * 64,
        change=ChangeSummary("clone", "b" * 40, 3),
        quarantined_by_change=("Checkout",),
    )
    document = json.loads(render_results_json(run_report))
    runs = document.pop("runs")
    assert document == {
        "version": SCHEMA_VERSION,
        "tool": {"name": "autonoma-ci", "version": __version__},
        "title": "Autonoma tests",
        "job": "tests",
        "part": "ubuntu",
        "shard": "2/5",
        "step_id": "0123456789abcdef",
        "started_at": "2025-01-02T03:04:05Z",
        "duration_seconds": 0.0,
        "waits_for_results": False,
        "conclusion": "error",
        "reason": "api",
        "exit_code": 5,
        "source": "github",
        "api_url": "https://autonoma.app/api",
        "plan_digest": "d" * 64,
        "changed_files": {"source": "clone", "base": "b" * 40, "file_count": 3, "full_run_reason": None},
        "quarantined_by_change": ["Checkout"],
        "ci": {
            "name": "github",
            "sha": "0123456789abcdef0123456789abcdef01234567",
            "branch": "feature/a_b",
            "change": "12",
            "repository": "owner/name",
            "build_url": "",
            "deployment_url": "",
            "build": "",
            "attempt": "",
        },
        "totals": {
            "total": 2,
            "started": 1,
            "passed": 0,
            "failed": 0,
            "flaky": 0,
            "quarantined": 0,
            "not_started": 1,
            "unknown": 0,
        },
        "mac": "",
    }
    assert [(run["name"], run["state"], run["http_status"]) for run in runs] == [
        ("A", "started", 200),
        ("b", "not-started", 404),
    ]


def test_results_have_variable_names_only() -> None:
    """The results.json has names of variables and none of their values."""
    request = RunRequest(
        TargetKind.FOLDER, "a", "A", {"PASSWORD": "hidden-value"}, "version", (AppVersion("application", "one"),)
    )
    text = render_results_json(create_report([RunResult(request)], None))
    assert "hidden-value" not in text
    run = json.loads(text)["runs"][0]
    assert run["variables"] == ["PASSWORD"]
    assert run["application_version_id"] == "version"
    assert run["application_versions"] == [{"application_id": "application", "version_id": "one"}]
    assert json.loads(text)["conclusion"] is None


def test_each_run_is_one_line() -> None:
    """Each run is on one line, so that the file is quick to write."""
    lines = render_results_json(
        create_report([make_started_run("a", "A"), make_started_run("b")], API_ERROR_VERDICT)
    ).splitlines()
    first = lines.index('  "runs": [') + 1
    assert [json.loads(line.removesuffix(","))["id"] for line in lines[first : first + 2]] == ["a", "b"]
    assert lines[first + 2 :] == ["  ],", '  "mac": ""', "}"]
    assert '  "runs": [],' in render_results_json(create_report([], API_ERROR_VERDICT)).splitlines()


@pytest.mark.slow
@given(REPORTS)
def test_any_report_can_be_read_back(run_report: Report) -> None:
    """Each text of a report is in results.json."""
    text = render_results_json(run_report)
    assert text.isascii()
    document = json.loads(text)
    assert document["title"] == replace_surrogates(run_report.title)
    assert [run["message"] for run in document["runs"]] == [
        replace_surrogates(outcome.message) for outcome in run_report.results
    ]
    assert [run["url"] for run in document["runs"]] == [
        replace_surrogates(outcome.url) for outcome in run_report.results
    ]
    assert document["ci"]["branch"] == replace_surrogates(run_report.context.branch)


def replace_surrogates(text: str) -> str:
    """Replace single surrogates by question marks, because strict readers reject them."""
    return text.encode("utf-8", "replace").decode()


def read_run(run: RunResult) -> dict[str, Any]:
    """Return the run as results.json has it."""
    [run_object] = json.loads(render_results_json(create_report([run], PASSED_VERDICT)))["runs"]
    assert isinstance(run_object, dict)
    return run_object


class Signer:
    """A signer that signs with the length of what it signs."""

    def sign_run(self, run: RunResult) -> str:
        return f"run {run.run_id}"

    def sign_results(self, text: str) -> str:
        assert text.endswith('"mac": ""\n}\n')
        return text.replace('"mac": ""\n}\n', f'"mac": "{len(text)}"\n}}\n')


def test_signer_signs_runs_and_text() -> None:
    """The signature of the text includes those of the runs."""
    run_report = create_report([make_started_run("a"), make_started_run("b")])
    text = render_results_json(run_report, Signer())
    document = json.loads(text)
    assert [run["mac"] for run in document["runs"]] == ["run run-a", "run run-b"]
    signature = document["mac"]
    assert int(signature) == len(text) - len(signature)


def test_unsigned_results_have_empty_macs() -> None:
    """Without a signer, each signature is empty."""
    run = make_started_run("a")._replace(request_mac="b" * 64, variable_macs={"A": "c" * 32})
    document = json.loads(render_results_json(create_report([run])))
    assert (document["mac"], document["runs"][0]["mac"]) == ("", "")
    assert document["runs"][0]["request_mac"] == "b" * 64
    assert document["runs"][0]["variable_macs"] == {"A": "c" * 32}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("caf\udce9", "caf?"),
        ("\ud83d", "?"),
        ("\udc00\ud800", "??"),
        ("\U0001f680\udcff", "\U0001f680?"),
        ("\\ud83d", "\\ud83d"),
        ("\U0001f680", "\U0001f680"),
        ("a\u2028b\x1b[31m\0</script>", "a\u2028b\x1b[31m\0</script>"),
    ],
    ids=ascii,
)
def test_half_surrogate_pair_is_replaced(text: str, expected: str) -> None:
    """Strict readers reject half a pair, so it becomes a question mark in all texts."""
    run_report = create_report([make_started_run("a", text), make_started_run("b")])._replace(
        title=text, context=BuildContext(branch=text)
    )
    results_text = render_results_json(run_report, Signer())
    assert results_text.isascii()
    document = json.loads(results_text)
    assert (document["title"], document["ci"]["branch"]) == (expected, expected)
    assert [run["label"] for run in document["runs"]] == [expected, ""]
    assert list(document) == list(json.loads(render_results_json(create_report())))
    assert [line[:4] for line in results_text.splitlines()[-5:]] == ["    ", "    ", "  ],", '  "m', "}"]


@pytest.mark.parametrize(
    ("seconds", "offset", "duration"),
    [
        (1.23456, 1.235, 1.235),
        (-1.5, -1.5, 0.0),
        (MAX_TIME_SECONDS, MAX_TIME_SECONDS, MAX_TIME_SECONDS),
        (MAX_TIME_SECONDS + 1, MAX_TIME_SECONDS, MAX_TIME_SECONDS),
        (-MAX_TIME_SECONDS - 1, -MAX_TIME_SECONDS, 0.0),
        (float("inf"), MAX_TIME_SECONDS, MAX_TIME_SECONDS),
    ],
)
def test_times_stay_within_schema(seconds: float, offset: float, duration: float) -> None:
    """A wrong clock causes no time that readers of results.json reject."""
    attempt = PreviousAttempt("r", start_offset_seconds=seconds, duration_seconds=seconds)
    run = make_passed_run("a", seconds=seconds)._replace(start_offset_seconds=seconds, previous_attempts=(attempt,))
    run_object = read_run(run)
    for timed_object in (run_object, run_object["previous_attempts"][0]):
        assert (timed_object["start_offset_seconds"], timed_object["duration_seconds"]) == (offset, duration)
    document = json.loads(render_results_json(create_report()._replace(duration_seconds=seconds)))
    assert document["duration_seconds"] == duration


def test_run_has_evidence_and_attempts() -> None:
    """Steps, files and failed attempts of a run are in its line."""
    step = RunStep(2, "Pay", "No button", "https://shop.test/", "failed", "evidence/r/step-002.png")
    evidence = Evidence((step,), "evidence/r/video.webm", "1 file: HTTP 404")
    attempt = make_flaky_run("a").previous_attempts[0]._replace(evidence=evidence, step=None, message="Lost")
    run_object = read_run(make_passed_run("a")._replace(evidence=evidence, step=step, previous_attempts=(attempt,)))
    expected_step = {
        "number": 2, "instruction": "Pay", "output": "No button", "url": "https://shop.test/", "status": "failed",
        "screenshot": "evidence/r/step-002.png",
    }  # fmt: skip
    expected = {
        "steps": [expected_step],
        "video": "evidence/r/video.webm",
        "missing_reason": "1 file: HTTP 404",
    }
    assert (run_object["step"], run_object["evidence"]) == (expected_step, expected)
    assert run_object["previous_attempts"] == [
        {
            "run_id": "first-of-a",
            "url": "https://autonoma.app/run/first-of-a",
            "message": "Lost",
            "start_offset_seconds": 0.0,
            "duration_seconds": 30.0,
            "step": None,
            "evidence": expected,
        }
    ]
    assert (run_object["flaky"], run_object["attempts"], run_object["application_version_id"]) == (True, 2, None)


def test_result_of_output_is_short() -> None:
    """The output `results` has the main fields of a run, with its time in milliseconds."""
    assert run_to_dict(make_passed_run("a", "Checkout", 1.23456)) == {
        "name": "Checkout",
        "kind": "test",
        "id": "a",
        "state": "passed",
        "run_id": "run-a",
        "url": "https://autonoma.app/run/run-a",
        "message": "Test started",
        "attempts": 1,
        "duration_seconds": 1.235,
    }
