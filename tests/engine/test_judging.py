"""Result of a run after each response to a poll."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from autonoma_ci.api.models import PollResult, PollStatus
from autonoma_ci.engine.poller import Poller, PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.workers import StatusReceived
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock

RUNNING, PASSED, FAILED = (
    PollResult(PollStatus.RUNNING, "running"),
    PollResult(PollStatus.PASSED),
    PollResult(PollStatus.FAILED),
)
STOPPED = PollResult(PollStatus.STOPPED, "cancelled")
STRANGE = PollResult(PollStatus.UNRECOGNIZED, "zzz", "the API says 'zzz'")
MISSING = PollResult(PollStatus.NOT_FOUND, message="HTTP 404")
UNAUTHORIZED = PollResult(PollStatus.UNAUTHORIZED, message="HTTP 401")
BUSY = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429")
TROUBLE = PollResult(PollStatus.UNAVAILABLE, message="HTTP 500")
GOES_ON = "The run goes on: look at its page, or ask again later with autonoma-ci wait."


class Question(NamedTuple):
    """One question for a run that was sent."""

    position: int
    request: RunRequest
    run_id: str
    number: int


class Asking:
    """Runs that have just been started, and the questions for them; `answer` says what comes of the last one."""

    def __init__(self, *began: float, waiting: PollPolicy | None = None) -> None:
        self.clock = FakeClock()
        runs = [
            RunResult(
                RunRequest(TargetKind.TEST, f"t{place}"),
                RunState.STARTED,
                run_id=f"r{place}",
                start_offset_seconds=at,
                duration_seconds=0.25,
            )
            for place, at in enumerate(began or (0.0,))
        ]
        self.board = RunTable(runs, self.clock.time)
        self.ended: list[int] = []
        self.warnings: list[str] = []
        self.questions: list[Question] = []
        self.wait = Poller(self.board, waiting or PollPolicy(), self.clock, self.ended.append, self.warnings.append)
        for place in range(len(runs)):
            self.wait.watch(place)
        self.wait.start_deadline()

    def poll(self, position: int, request: RunRequest, run_id: str, number: int) -> None:
        self.questions.append(Question(position, request, run_id, number))

    def ask(self, at: float) -> int:
        """Ask what may be asked at this time, in seconds from the start; return how many questions there were."""
        self.clock.time = 1000.0 + at
        self.wait.dispatch(self)  # type: ignore[arg-type]
        return len(self.questions)

    def answer(self, at: float, status: PollResult, place: int = 0) -> None:
        """Let the answer to the last question for a run come at this time."""
        self.clock.time = 1000.0 + at
        number = max(question.number for question in self.questions if question.position == place)
        self.wait.handle_status(StatusReceived(place, f"r{place}", status, number))

    def told(self, place: int = 0) -> tuple[RunState, ExitReason, str, str, float]:
        """Return the run's state, reason, message, hint and seconds."""
        run = self.board.results[place]
        return run.state, run.reason, run.message, run.suggestion, run.duration_seconds


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (PASSED, (RunState.PASSED, ExitReason.OK, "", "", 20.0)),
        (FAILED, (RunState.FAILED, ExitReason.FAILED, "", "", 20.0)),
        (STOPPED, (RunState.STOPPED, ExitReason.FAILED, "it was ended on the server: cancelled", "", 20.0)),
        (
            UNAUTHORIZED,
            (RunState.UNKNOWN, ExitReason.UNAUTHORIZED, "how it stands may not be asked: HTTP 401", GOES_ON, 0.25),
        ),
    ],
)
def test_final_status_sets_full_result(status: PollResult, told: tuple[RunState, ExitReason, str, str, float]) -> None:
    """A final status sets state, reason, message, hint and duration of the run."""
    asking = Asking()
    asking.ask(19.0)
    asking.answer(20.0, status)
    assert asking.told() == told
    assert asking.ended == [0]
    assert not asking.wait.is_busy


def test_duration_counts_from_start() -> None:
    """The duration of a run counts from its start."""
    asking = Asking(-100.0)
    asking.ask(0.0)
    asking.answer(5.0, PASSED)
    assert asking.told()[-1] == 105.0


def test_run_without_id_is_unknown() -> None:
    """A run without an id ends as unknown because it cannot be polled."""
    asking = Asking()
    asking.board.results.append(RunResult(RunRequest(TargetKind.TEST, "t1"), RunState.STARTED, duration_seconds=0.5))
    asking.wait.watch(1)
    assert asking.told(1) == (RunState.UNKNOWN, ExitReason.UNKNOWN, "the API named no id to ask for", GOES_ON, 0.5)


def poll_at(asking: Asking, *polls: tuple[float, PollResult]) -> None:
    """Poll the run at each of these seconds, and answer at once."""
    for at, status in polls:
        asking.ask(at)
        asking.answer(at, status)


def test_run_is_not_found_after_30_seconds() -> None:
    """HTTP 404 for 30 seconds ends the run as not found."""
    asking = Asking()
    poll_at(asking, (10.0, MISSING), (20.0, MISSING), (29.9, MISSING))
    assert asking.told()[0] is RunState.STARTED
    poll_at(asking, (40.0, MISSING))
    assert asking.told() == (
        *(RunState.UNKNOWN, ExitReason.NOT_FOUND, "the API does not know the run: HTTP 404", GOES_ON, 0.25),
    )


def test_failed_polls_for_two_minutes_end_run() -> None:
    """Two minutes of failed polls end the run as unknown."""
    asking = Asking()
    poll_at(asking, (10.0, TROUBLE), (60.0, TROUBLE), (129.9, TROUBLE))
    assert asking.told()[0] is RunState.STARTED
    poll_at(asking, (150.0, TROUBLE))
    why = "how it stands could not be had for 2 min 20 s: HTTP 500"
    assert asking.told() == (RunState.UNKNOWN, ExitReason.UNKNOWN, why, GOES_ON, 150.0)


@pytest.mark.parametrize(
    ("failure", "reason"), [(TROUBLE, ExitReason.UNKNOWN), (MISSING, ExitReason.NOT_FOUND), (BUSY, ExitReason.UNKNOWN)]
)
def test_two_failed_polls_keep_run_open(failure: PollResult, reason: ExitReason) -> None:
    """Two lost responses prove nothing if 10,000 open runs are polled every two minutes."""
    asking = Asking()
    poll_at(asking, (200.0, failure), (400.0, failure))
    assert asking.told()[0] is RunState.STARTED
    poll_at(asking, (600.0, RUNNING), (800.0, failure), (1000.0, failure))
    assert asking.told()[0] is RunState.STARTED
    poll_at(asking, (1200.0, failure))
    assert asking.told()[:2] == (RunState.UNKNOWN, reason)


@pytest.mark.parametrize(
    ("failure", "reason"), [(TROUBLE, ExitReason.UNKNOWN), (MISSING, ExitReason.NOT_FOUND), (BUSY, ExitReason.UNKNOWN)]
)
def test_failed_poll_at_deadline_ends_run(failure: PollResult, reason: ExitReason) -> None:
    """At the deadline the time alone decides because no poll follows."""
    asking = Asking(waiting=PollPolicy(timeout=400.0))
    poll_at(asking, (10.0, RUNNING), (200.0, failure), (400.0, failure))
    assert asking.told()[:2] == (RunState.UNKNOWN, reason)


def at_the_deadline(*statuses: PollResult) -> Asking:
    """Return a run whose time to wait, a minute, ends after these answers, the last of them at the deadline."""
    asking = Asking(waiting=PollPolicy(timeout=60.0))
    *earlier, last = statuses
    for number, status in enumerate(earlier):
        asking.ask(15.0 * (number + 1))
        asking.answer(15.0 * (number + 1), status)
    asking.ask(60.0)
    asking.answer(60.0, last)
    return asking


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ([RUNNING], (RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running after 1 min")),
        (
            [RUNNING, TROUBLE],
            (
                RunState.TIMED_OUT,
                ExitReason.TIMEOUT,
                "still running after 1 min; the last question went wrong: HTTP 500",
            ),
        ),
        ([TROUBLE, RUNNING], (RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running after 1 min")),
        ([TROUBLE], (RunState.UNKNOWN, ExitReason.UNKNOWN, "how it stands could not be had: HTTP 500")),
        ([RUNNING, STRANGE], (RunState.UNKNOWN, ExitReason.UNKNOWN, "the API says 'zzz'")),
    ],
)
def test_deadline_reports_last_status(statuses: list[PollResult], told: tuple[RunState, ExitReason, str]) -> None:
    """The result at the deadline states the last known status and error."""
    assert at_the_deadline(*statuses).told() == (*told, GOES_ON, 60.0)


def test_hung_poll_at_deadline_is_unknown() -> None:
    """A run whose only poll hangs ends as unknown at the deadline."""
    asking = Asking(waiting=PollPolicy(timeout=60.0))
    asking.ask(60.0)
    asking.clock.time += 10
    assert asking.wait.is_finished
    asking.wait.expire_all()
    why = "how it stands could not be had: no answer came in time"
    assert asking.told() == (RunState.UNKNOWN, ExitReason.UNKNOWN, why, GOES_ON, 70.0)


def test_hung_poll_counts_as_failed() -> None:
    """A hung poll counts as failed shortly after its limit."""
    asking = Asking(waiting=PollPolicy(timeout=120.0))
    assert asking.ask(5.0) == 1
    for seconds in (45.0, 45.9):
        asking.clock.time = 1005.0 + seconds
        asking.wait.expire_hung_requests()
    assert asking.ask(5 + 45.9 + 40) == 1
    asking = Asking(waiting=PollPolicy(timeout=120.0))
    asking.ask(5.0)
    for seconds in (45.0, 46.0):
        asking.clock.time = 1005.0 + seconds
        asking.wait.expire_hung_requests()
    assert asking.ask(5 + 46.0 + 20) == 2
    asking.ask(120.0)
    asking.answer(120.0, MISSING._replace(status=PollStatus.UNAVAILABLE, message=""))
    assert asking.told()[2] == "how it stands could not be had: no answer came in time"


def test_hung_poll_is_last_error() -> None:
    """The result at the deadline names a hung poll as the last error."""
    asking = Asking(waiting=PollPolicy(timeout=60.0))
    asking.ask(1.8)
    asking.answer(1.9, RUNNING)
    asking.ask(10.0)
    asking.clock.time = 1000.0 + 56.0
    asking.wait.expire_hung_requests()
    asking.clock.time = 1000.0 + 80.0
    asking.wait.expire_all()
    why = "still running after 1 min 20 s; the last question went wrong: no answer came in time"
    assert asking.told()[2] == why


def test_polls_respect_concurrency() -> None:
    """At most `concurrency` polls are in flight."""
    asking = Asking(0.0, 0.0, 0.0, waiting=PollPolicy(concurrency=2))
    assert asking.ask(10.0) == 2
    asking.answer(11.0, RUNNING)
    assert asking.ask(11.0) == 3
    assert [question[:3] for question in asking.questions] == [
        (place, RunRequest(TargetKind.TEST, f"t{place}"), f"r{place}") for place in range(3)
    ]


def test_stale_response_is_ignored() -> None:
    """A response for an earlier run or after the end changes nothing."""
    asking = Asking(0.0, 0.0)
    asking.ask(10.0)
    asking.wait.handle_status(StatusReceived(0, "r-of-before", FAILED, 1))
    assert asking.told()[0] is RunState.STARTED
    asking.answer(11.0, PASSED)
    asking.wait.handle_status(StatusReceived(0, "r0", FAILED, 1))
    assert asking.told()[0] is RunState.PASSED
    assert asking.ended == [0]


def test_old_run_is_polled_at_once() -> None:
    """A run that is older than 30 seconds is polled at once."""
    assert Asking(-30.0).ask(0.0) == 0
    assert Asking(-30.1).ask(0.0) == 1


def test_unrecognized_status_warning_names_run() -> None:
    """The warning about an unrecognized status names the run."""
    asking = Asking()
    asking.ask(5.0)
    asking.answer(5.0, STRANGE)
    assert asking.warnings == ["t0: the API says 'zzz'; it is asked for again."]


def test_unavailable_status_shows_suggestion() -> None:
    """The suggestion of a failed poll is shown unless the last poll succeeded."""
    trouble = TROUBLE._replace(suggestion="Name a PEM file.")
    asking = Asking()
    poll_at(asking, (5.0, trouble), (65.0, trouble), (130.0, trouble))
    assert asking.told()[0] is RunState.UNKNOWN
    assert asking.told()[3] == f"Name a PEM file. {GOES_ON}"
    asking = Asking(waiting=PollPolicy(timeout=100.0))
    poll_at(asking, (5.0, trouble), (65.0, RUNNING), (101.0, RUNNING))
    assert asking.told()[3] == GOES_ON
