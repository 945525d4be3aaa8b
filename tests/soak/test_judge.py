"""The check of reported runs against what happened."""

from __future__ import annotations

import pytest

from tests.soak.judge import Found, judge
from tests.soak.ledger import Ledger, Post, Told

STARTED, AGAIN, NO, NOTHING = Told.STARTED, Told.AGAIN, Told.NO, Told.NOTHING
HINT = "The run may have started."


def said(posts: list[Post], run: Found, ends: dict[str, str] | None = None) -> list[str]:
    """Return the complaints about the only planned run, which may be started twice in all."""
    ledger = Ledger()
    ledger.posts["t"] = posts
    ledger.ends = ends or {}
    return judge(ledger, ["t"], [run], 1).complaints


TRUE = [
    ([Post(STARTED, "r")], Found("t", "passed", "r"), {"r": "passed"}),
    ([Post(AGAIN), Post(AGAIN), Post(STARTED, "r")], Found("t", "stopped", "r"), {"r": "stopped"}),
    ([Post(STARTED, "r"), Post(STARTED, "s")], Found("t", "passed", "s", ("r",)), {"r": "failed", "s": "passed"}),
    ([Post(STARTED, "r"), Post(NO)], Found("t", "failed", "r"), {"r": "failed"}),
    ([Post(STARTED, "r"), Post(NOTHING)], Found("t", "unknown", "", ("r",), HINT), {"r": "failed"}),
    ([Post(STARTED, "r")], Found("t", "timed-out", "r"), {}),
    ([Post(STARTED, "r")], Found("t", "unknown", "r"), {}),
    ([Post(NOTHING, "r")], Found("t", "unknown", "", (), HINT), {}),
    ([Post(NOTHING)], Found("t", "unknown", "", (), HINT), {}),
    ([Post(AGAIN), Post(NO)], Found("t", "not-started", ""), {}),
    ([], Found("t", "not-started", ""), {}),
]


@pytest.mark.parametrize(("posts", "run", "ends"), TRUE)
def test_correct_report_has_no_complaint(posts: list[Post], run: Found, ends: dict[str, str]) -> None:
    """A report that matches the ledger has no complaint."""
    assert said(posts, run, ends) == []


FALSE = [
    ([Post(NOTHING), Post(STARTED, "r")], Found("t", "passed", "r"), {"r": "passed"}, "sent again"),
    ([Post(NO), Post(STARTED, "r")], Found("t", "passed", "r"), {"r": "passed"}, "sent again"),
    (
        [Post(STARTED, "r"), Post(STARTED, "s")],
        Found("t", "passed", "s", ("r",)),
        {"r": "passed", "s": "passed"},
        "was not known to have failed, and was started again",
    ),
    (
        [Post(STARTED, "r"), Post(STARTED, "s"), Post(STARTED, "u")],
        Found("t", "passed", "u", ("r", "s")),
        {"r": "failed", "s": "failed", "u": "passed"},
        "more often",
    ),
    ([Post(STARTED, "r")], Found("t", "unknown", "", (), HINT), {}, "r was started, and is lost"),
    ([Post(STARTED, "r")], Found("t", "passed", "s"), {"r": "passed"}, "s is reported, and was never started"),
    ([Post(STARTED, "r")], Found("t", "passed", "r"), {}, "called passed"),
    ([Post(STARTED, "r")], Found("t", "passed", "r"), {"r": "failed"}, "called passed"),
    ([Post(STARTED, "r")], Found("t", "timed-out", "r"), {"r": "passed"}, "told to be passed"),
    ([Post(STARTED, "r")], Found("t", "started", "r"), {}, "ends as started"),
    ([Post(NOTHING, "r")], Found("t", "not-started", ""), {}, "may have arrived, and it is called not-started"),
    ([Post(NOTHING)], Found("t", "not-started", ""), {}, "may have arrived, and it is called not-started"),
    ([Post(NOTHING, "r")], Found("t", "passed", "r"), {"r": "passed"}, "may have arrived, and it is called passed"),
    ([Post(NOTHING)], Found("t", "unknown", ""), {}, "nobody is told"),
    ([Post(NO)], Found("t", "unknown", "", (), HINT), {}, "refused for good"),
    ([Post(STARTED, "r"), Post(NO)], Found("t", "not-started", "", ("r",)), {"r": "failed"}, "not started, and was"),
]


@pytest.mark.parametrize(("posts", "run", "ends", "text"), FALSE)
def test_wrong_report_has_complaint(posts: list[Post], run: Found, ends: dict[str, str], text: str) -> None:
    """Each wrong statement of a report has a complaint."""
    assert any(text in told for told in said(posts, run, ends))


def test_missing_and_unplanned_runs_are_complaints() -> None:
    """A missing run and a start request without a planned run are complaints."""
    ledger = Ledger()
    ledger.posts["other"] = [Post(AGAIN)]
    told = judge(ledger, ["t", "u"], [Found("t", "not-started", "")], 0).complaints
    assert [text for text in told if "2 runs were planned" in text]
    assert [text for text in told if "other: POSTs for what nobody planned" in text]


def test_unseen_start_requests_are_counted() -> None:
    """A run that may have started without a seen start request is counted."""
    assert judge(Ledger(), ["t"], [Found("t", "unknown", "", (), HINT)], 0).unseen == 1
