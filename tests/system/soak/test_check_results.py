"""The check of reported runs against what happened."""

from __future__ import annotations

import pytest

from tests.system.soak.check_results import ReportedRun, check_runs
from tests.system.soak.ground_truth import KnownResult, Ledger, StartRecord

STARTED, AGAIN, NO, NOTHING = KnownResult.STARTED, KnownResult.NOT_NOW, KnownResult.REJECTED, KnownResult.INDETERMINATE
HINT = "The run may have started."


def complaints_about(posts: list[StartRecord], run: ReportedRun, ends: dict[str, str] | None = None) -> list[str]:
    """Return the complaints about the only planned run, which has one retry."""
    ledger = Ledger()
    ledger.starts["t"] = posts
    ledger.final_states = ends or {}
    return check_runs(ledger, ["t"], [run], 1).complaints


TRUE = [
    ([StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {"r": "passed"}),
    (
        [StartRecord(AGAIN), StartRecord(AGAIN), StartRecord(STARTED, "r")],
        ReportedRun("t", "stopped", "r"),
        {"r": "stopped"},
    ),
    (
        [StartRecord(STARTED, "r"), StartRecord(STARTED, "s")],
        ReportedRun("t", "passed", "s", ("r",)),
        {"r": "failed", "s": "passed"},
    ),
    ([StartRecord(STARTED, "r"), StartRecord(NO)], ReportedRun("t", "failed", "r"), {"r": "failed"}),
    ([StartRecord(STARTED, "r"), StartRecord(NOTHING)], ReportedRun("t", "unknown", "", ("r",), HINT), {"r": "failed"}),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "timed-out", "r"), {}),
    ([StartRecord(STARTED, "r")], ReportedRun("t", "unknown", "r"), {}),
    ([StartRecord(NOTHING, "r")], ReportedRun("t", "unknown", "", (), HINT), {}),
    ([StartRecord(NOTHING)], ReportedRun("t", "unknown", "", (), HINT), {}),
    ([StartRecord(AGAIN), StartRecord(NO)], ReportedRun("t", "not-started", ""), {}),
    ([], ReportedRun("t", "not-started", ""), {}),
]


@pytest.mark.parametrize(("posts", "run", "ends"), TRUE)
def test_correct_report_has_no_complaint(posts: list[StartRecord], run: ReportedRun, ends: dict[str, str]) -> None:
    """A report that matches the ledger has no complaint."""
    assert complaints_about(posts, run, ends) == []


FALSE = [
    ([StartRecord(NOTHING), StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {"r": "passed"}, "sent again"),
    ([StartRecord(NO), StartRecord(STARTED, "r")], ReportedRun("t", "passed", "r"), {"r": "passed"}, "sent again"),
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
        [StartRecord(NOTHING, "r")],
        ReportedRun("t", "not-started", ""),
        {},
        "may have arrived, and it is called not-started",
    ),
    ([StartRecord(NOTHING)], ReportedRun("t", "not-started", ""), {}, "may have arrived, and it is called not-started"),
    (
        [StartRecord(NOTHING, "r")],
        ReportedRun("t", "passed", "r"),
        {"r": "passed"},
        "may have arrived, and it is called passed",
    ),
    ([StartRecord(NOTHING)], ReportedRun("t", "unknown", ""), {}, "nobody is told"),
    ([StartRecord(NO)], ReportedRun("t", "unknown", "", (), HINT), {}, "refused for good"),
    (
        [StartRecord(STARTED, "r"), StartRecord(NO)],
        ReportedRun("t", "not-started", "", ("r",)),
        {"r": "failed"},
        "not started, and was",
    ),
]


@pytest.mark.parametrize(("posts", "run", "ends", "text"), FALSE)
def test_wrong_report_has_complaint(
    posts: list[StartRecord], run: ReportedRun, ends: dict[str, str], text: str
) -> None:
    """Each wrong statement of a report has a complaint."""
    assert any(text in reported for reported in complaints_about(posts, run, ends))


def test_missing_and_unplanned_runs_are_complaints() -> None:
    """A missing run and a start request without a planned run are complaints."""
    ledger = Ledger()
    ledger.starts["other"] = [StartRecord(AGAIN)]
    reported = check_runs(ledger, ["t", "u"], [ReportedRun("t", "not-started", "")], 0).complaints
    assert [text for text in reported if "2 runs were planned" in text]
    assert [text for text in reported if "other: POSTs for what nobody planned" in text]


def test_unseen_start_requests_are_counted() -> None:
    """A run that may have started without a seen start request is counted."""
    assert check_runs(Ledger(), ["t"], [ReportedRun("t", "unknown", "", (), HINT)], 0).unseen_starts == 1
