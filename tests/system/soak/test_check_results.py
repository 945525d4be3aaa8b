"""Test the comparison of reported runs with what happened."""

from __future__ import annotations

import pytest

from tests.system.soak.check_results import ReportedRun, check_runs
from tests.system.soak.ground_truth import GroundTruth, KnownResult, StartRecord

STARTED, RETRYABLE, REJECTED, INDETERMINATE = (
    KnownResult.STARTED,
    KnownResult.RETRYABLE,
    KnownResult.REJECTED,
    KnownResult.INDETERMINATE,
)
HINT = "The run may have started."


def find_errors(posts: list[StartRecord], run: ReportedRun, final_states: dict[str, str] | None = None) -> list[str]:
    """Find the errors of a plan of one run with one retry."""
    ground_truth = GroundTruth()
    ground_truth.starts["t"] = posts
    ground_truth.final_states = final_states or {}
    return check_runs(ground_truth, ["t"], [run], 1).errors


CORRECT_REPORTS = [
    ([StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {"r": "passed"}),
    (
        [StartRecord(RETRYABLE), StartRecord(RETRYABLE), StartRecord(STARTED, "r")],
        ReportedRun("t", "stopped", "r"),
        {"r": "stopped"},
    ),
    (
        [StartRecord(STARTED, "r"), StartRecord(STARTED, "s")],
        ReportedRun("t", "passed", "s", ("r",)),
        {"r": "failed", "s": "passed"},
    ),
    ([StartRecord(STARTED, "r"), StartRecord(REJECTED)], ReportedRun("t", "failed", "r"), {"r": "failed"}),
    (
        [StartRecord(STARTED, "r"), StartRecord(INDETERMINATE)],
        ReportedRun("t", "unknown", "", ("r",), HINT),
        {"r": "failed"},
    ),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "timed-out", "r"), {}),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "unknown", "r"), {}),
    ([StartRecord(INDETERMINATE, "r")], ReportedRun("t", "unknown", "", (), HINT), {}),
    ([StartRecord(INDETERMINATE)], ReportedRun("t", "unknown", "", (), HINT), {}),
    ([StartRecord(RETRYABLE), StartRecord(REJECTED)], ReportedRun("t", "not-started", ""), {}),
    ([], ReportedRun("t", "not-started", ""), {}),
]


@pytest.mark.parametrize(("posts", "run", "final_states"), CORRECT_REPORTS)
def test_correct_report_has_no_error(posts: list[StartRecord], run: ReportedRun, final_states: dict[str, str]) -> None:
    """A report that matches the ground truth has no error."""
    assert find_errors(posts, run, final_states) == []


WRONG_REPORTS = [
    (
        [StartRecord(INDETERMINATE), StartRecord(STARTED, "r")],
        ReportedRun("t", "passed", "r"),
        {"r": "passed"},
        "sent again",
    ),
    (
        [StartRecord(REJECTED), StartRecord(STARTED, "r")],
        ReportedRun("t", "passed", "r"),
        {"r": "passed"},
        "sent again",
    ),
    (
        [StartRecord(STARTED, "r"), StartRecord(STARTED, "s")],
        ReportedRun("t", "passed", "s", ("r",)),
        {"r": "passed", "s": "passed"},
        "was not known to have failed, and was started again",
    ),
    (
        [StartRecord(STARTED, "r"), StartRecord(STARTED, "s"), StartRecord(STARTED, "u")],
        ReportedRun("t", "passed", "u", ("r", "s")),
        {"r": "failed", "s": "failed", "u": "passed"},
        "more often",
    ),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "unknown", "", (), HINT), {}, "r was started, and is lost"),
    (
        [StartRecord(STARTED, "r")],
        ReportedRun("t", "passed", "s"),
        {"r": "passed"},
        "s is reported, and was never started",
    ),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {}, "called passed"),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {"r": "failed"}, "called passed"),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "timed-out", "r"), {"r": "passed"}, "told to be passed"),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "started", "r"), {}, "ends as started"),
    (
        [StartRecord(INDETERMINATE, "r")],
        ReportedRun("t", "not-started", ""),
        {},
        "may have arrived, and it is called not-started",
    ),
    (
        [StartRecord(INDETERMINATE)],
        ReportedRun("t", "not-started", ""),
        {},
        "may have arrived, and it is called not-started",
    ),
    (
        [StartRecord(INDETERMINATE, "r")],
        ReportedRun("t", "passed", "r"),
        {"r": "passed"},
        "may have arrived, and it is called passed",
    ),
    ([StartRecord(INDETERMINATE)], ReportedRun("t", "unknown", ""), {}, "nobody is told"),
    ([StartRecord(REJECTED)], ReportedRun("t", "unknown", "", (), HINT), {}, "refused for good"),
    (
        [StartRecord(STARTED, "r"), StartRecord(REJECTED)],
        ReportedRun("t", "not-started", "", ("r",)),
        {"r": "failed"},
        "not started, and was",
    ),
]


@pytest.mark.parametrize(("posts", "run", "final_states", "text"), WRONG_REPORTS)
def test_wrong_report_has_error(
    posts: list[StartRecord], run: ReportedRun, final_states: dict[str, str], text: str
) -> None:
    """Each wrong statement of a report is an error."""
    assert any(text in error for error in find_errors(posts, run, final_states))


def test_missing_and_unplanned_runs_are_errors() -> None:
    """A missing run and a start request without a planned run are errors."""
    ground_truth = GroundTruth()
    ground_truth.starts["other"] = [StartRecord(RETRYABLE)]
    errors = check_runs(ground_truth, ["t", "u"], [ReportedRun("t", "not-started", "")], 0).errors
    assert [error for error in errors if "2 runs were planned" in error]
    assert [error for error in errors if "other: POSTs for what nobody planned" in error]


def test_unseen_start_requests_are_counted() -> None:
    """A run that may have started without a seen start request is counted."""
    assert check_runs(GroundTruth(), ["t"], [ReportedRun("t", "unknown", "", (), HINT)], 0).unseen_count == 1
