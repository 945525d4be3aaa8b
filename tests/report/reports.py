"""Reports to render: as small as a test needs them, and as large as they get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import (
    Conclusion,
    Context,
    Earlier,
    Kind,
    Outcome,
    Reason,
    Report,
    RunRequest,
    State,
    Step,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = Verdict(Conclusion.STARTED, Reason.OK, 0)
ERROR = Verdict(Conclusion.ERROR, Reason.API, 5)
INPUT = Verdict(Conclusion.ERROR, Reason.INPUT, 2)
PASSED = Verdict(Conclusion.PASSED, Reason.OK, 0)
FAILED = Verdict(Conclusion.FAILED, Reason.FAILED, 1)
TIMED_OUT = Verdict(Conclusion.TIMED_OUT, Reason.TIMEOUT, 6)
DRY = Verdict(Conclusion.SKIPPED, Reason.OK, 0)
CANCELLED = Verdict(Conclusion.CANCELLED, Reason.CANCELLED, 143)
CONTEXT = Context("github", "0123456789abcdef0123456789abcdef01234567", "feature/a_b", "12", "owner/name")


def started(test_id: str, name: str = "") -> Outcome:
    """Return a run that was started."""
    url = f"https://autonoma.app/run/run-{test_id}"
    request = RunRequest(Kind.TEST, test_id, name)
    return Outcome(request, State.STARTED, Reason.OK, f"run-{test_id}", url, "Test started", "", 200, 1, 0.25)


def refused(test_id: str, message: str = "HTTP 404: Not found", hint: str = "Check the id.") -> Outcome:
    """Return a run that the API refused."""
    request = RunRequest(Kind.TEST, test_id)
    return Outcome(request, State.NOT_STARTED, Reason.NOT_FOUND, message=message, hint=hint, status=404, tries=1)


def lost(test_id: str) -> Outcome:
    """Return a run that may have started."""
    request = RunRequest(Kind.TEST, test_id)
    return Outcome(request, State.UNKNOWN, Reason.UNKNOWN, message="no answer came in time", hint="Look.", tries=1)


STEP = Step(4, "Check the result", "Expected a confirmation, but the page shows an error", "https://shop.test/done")


def passed(test_id: str, name: str = "", seconds: float = 42.0) -> Outcome:
    """Return a run that was waited for and passed."""
    return started(test_id, name)._replace(state=State.PASSED, seconds=seconds)


def failed(test_id: str, name: str = "", seconds: float = 65.0) -> Outcome:
    """Return a run that failed at a step that is known, with its title."""
    run = started(test_id, name)
    return run._replace(
        state=State.FAILED, reason=Reason.FAILED, message="", title="Checkout pays by card", step=STEP, seconds=seconds
    )


def flaky(test_id: str, name: str = "") -> Outcome:
    """Return a run that failed once and passed when it was started again."""
    url = f"https://autonoma.app/run/first-of-{test_id}"
    first = Earlier(f"first-of-{test_id}", url, step=STEP, began=0.0, seconds=30.0)
    return passed(test_id, name)._replace(earlier=(first,), began=31.0, title="Checkout pays by card")


def timed_out(test_id: str) -> Outcome:
    """Return a run that was still running at the deadline."""
    return started(test_id)._replace(
        state=State.TIMED_OUT, reason=Reason.TIMEOUT, message="still running after 30 min", seconds=1800.0
    )


def planned(test_id: str) -> Outcome:
    """Return a run that nothing has been done about yet."""
    return Outcome(RunRequest(Kind.TEST, test_id))


def report(outcomes: Sequence[Outcome] = (), verdict: Verdict | None = OK, problems: Sequence[str] = ()) -> Report:
    """Return a report of these runs."""
    return Report(
        "Autonoma tests", CONTEXT, "github", tuple(outcomes), verdict, "results", "2025-01-02T03:04:05Z",
        tuple(problems),
    )  # fmt: skip
