"""Result of a run after each response to a poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from autonoma_ci.api.models import PollResult, PollStatus
from autonoma_ci.engine.poller import Poller, PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.updates import RunEnded, WarningIssued
from autonoma_ci.engine.workers import StatusReceived
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock
from tests.support.updates import assert_updates

if TYPE_CHECKING:
    from autonoma_ci.engine.updates import Update

RUNNING, PASSED, FAILED = (
    PollResult(PollStatus.RUNNING, "running"),
    PollResult(PollStatus.PASSED),
    PollResult(PollStatus.FAILED),
)
STOPPED = PollResult(PollStatus.STOPPED, "cancelled")
UNRECOGNIZED = PollResult(PollStatus.UNRECOGNIZED, "zzz", "the API says 'zzz'")
MISSING = PollResult(PollStatus.NOT_FOUND, message="HTTP 404")
UNAUTHORIZED = PollResult(PollStatus.UNAUTHORIZED, message="HTTP 401")
RATE_LIMITED = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429")
UNAVAILABLE = PollResult(PollStatus.UNAVAILABLE, message="HTTP 500")
HINT_RUN_CONTINUES = "The run continues. Open its page, or run autonoma-ci wait later."


class SentPoll(NamedTuple):
    """One poll that was sent."""

    position: int
    request: RunRequest
    run_id: str
    number: int


class PollerDriver:
    """Send polls for started runs and respond to them.

    Args:
        started_at: Start of each run in seconds, relative to the start of the clock.
        policy: Limits and pauses of the polls.
    """

    def __init__(self, *started_at: float, policy: PollPolicy | None = None) -> None:
        self.clock = FakeClock()
        runs = [
            RunResult(
                RunRequest(TargetKind.TEST, f"t{index}"),
                RunState.STARTED,
                run_id=f"r{index}",
                start_offset_seconds=at,
                duration_seconds=0.25,
            )
            for index, at in enumerate(started_at or (0.0,))
        ]
        self.run_table = RunTable(runs, self.clock.time)
        self.updates: list[Update] = []
        self.sent_polls: list[SentPoll] = []
        self.poller = Poller(self.run_table, policy or PollPolicy(), self.clock)
        for index in range(len(runs)):
            self.updates += self.poller.watch(index)
        self.poller.start_deadline()

    def poll(self, position: int, request: RunRequest, run_id: str, number: int) -> None:
        self.sent_polls.append(SentPoll(position, request, run_id, number))

    def dispatch_at(self, at: float) -> int:
        """Send the polls that are due and return how many were sent so far.

        Args:
            at: Seconds from the start of the clock.
        """
        self.clock.time = 1000.0 + at
        self.poller.dispatch(self)  # type: ignore[arg-type]
        return len(self.sent_polls)

    def respond_at(self, at: float, status: PollResult, index: int = 0) -> None:
        """Respond to the last poll of a run at this second."""
        self.clock.time = 1000.0 + at
        number = max(poll.number for poll in self.sent_polls if poll.position == index)
        self.updates += self.poller.handle_status(StatusReceived(index, f"r{index}", status, number))

    def get_result(self, index: int = 0) -> tuple[RunState, ExitReason, str, str, float]:
        """Return the state, reason, message, hint and duration of a run."""
        run = self.run_table.results[index]
        return run.state, run.reason, run.message, run.suggestion, run.duration_seconds


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (PASSED, (RunState.PASSED, ExitReason.OK, "", "", 20.0)),
        (FAILED, (RunState.FAILED, ExitReason.FAILED, "", "", 20.0)),
        (STOPPED, (RunState.STOPPED, ExitReason.FAILED, "ended by the server with the status cancelled", "", 20.0)),
        (
            UNAUTHORIZED,
            (
                RunState.UNKNOWN,
                ExitReason.UNAUTHORIZED,
                "status unavailable: HTTP 401",
                HINT_RUN_CONTINUES,
                0.25,
            ),
        ),
    ],
)
def test_final_status_sets_full_result(
    status: PollResult, expected: tuple[RunState, ExitReason, str, str, float]
) -> None:
    """A final status sets state, reason, message, hint and duration of the run."""
    driver = PollerDriver()
    driver.dispatch_at(19.0)
    driver.respond_at(20.0, status)
    assert driver.get_result() == expected
    assert_updates(driver.updates, [RunEnded(0)])
    assert not driver.poller.is_busy


def test_duration_counts_from_start() -> None:
    """The duration of a run counts from its start."""
    driver = PollerDriver(-100.0)
    driver.dispatch_at(0.0)
    driver.respond_at(5.0, PASSED)
    assert driver.get_result()[-1] == 105.0


def test_run_without_id_is_unknown() -> None:
    """A run without an id ends as unknown because it cannot be polled."""
    driver = PollerDriver()
    driver.run_table.results.append(
        RunResult(RunRequest(TargetKind.TEST, "t1"), RunState.STARTED, duration_seconds=0.5)
    )
    assert_updates(driver.poller.watch(1), [RunEnded(1)])
    assert driver.get_result(1) == (
        RunState.UNKNOWN,
        ExitReason.UNKNOWN,
        "no run id in the response of the API",
        HINT_RUN_CONTINUES,
        0.5,
    )


def poll_at(driver: PollerDriver, *polls: tuple[float, PollResult]) -> None:
    """Poll the run at each of these seconds and respond at once."""
    for at, status in polls:
        driver.dispatch_at(at)
        driver.respond_at(at, status)


def test_run_is_not_found_after_30_seconds() -> None:
    """HTTP 404 for 30 seconds ends the run as not found."""
    driver = PollerDriver()
    poll_at(driver, (10.0, MISSING), (20.0, MISSING), (29.9, MISSING))
    assert driver.get_result()[0] is RunState.STARTED
    poll_at(driver, (40.0, MISSING))
    assert driver.get_result() == (
        *(RunState.UNKNOWN, ExitReason.NOT_FOUND, "run unknown to the API: HTTP 404", HINT_RUN_CONTINUES, 0.25),
    )


def test_failed_polls_for_two_minutes_end_run() -> None:
    """Two minutes of failed polls end the run as unknown."""
    driver = PollerDriver()
    poll_at(driver, (10.0, UNAVAILABLE), (60.0, UNAVAILABLE), (129.9, UNAVAILABLE))
    assert driver.get_result()[0] is RunState.STARTED
    poll_at(driver, (150.0, UNAVAILABLE))
    message = "status unavailable for 2 min 20 s (last error: HTTP 500)"
    assert driver.get_result() == (RunState.UNKNOWN, ExitReason.UNKNOWN, message, HINT_RUN_CONTINUES, 150.0)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(UNAVAILABLE, ExitReason.UNKNOWN), (MISSING, ExitReason.NOT_FOUND), (RATE_LIMITED, ExitReason.UNKNOWN)],
)
def test_two_failed_polls_keep_run_open(failure: PollResult, reason: ExitReason) -> None:
    """Two failed polls end no run, because 10,000 open runs are polled only every two minutes."""
    driver = PollerDriver()
    poll_at(driver, (200.0, failure), (400.0, failure))
    assert driver.get_result()[0] is RunState.STARTED
    poll_at(driver, (600.0, RUNNING), (800.0, failure), (1000.0, failure))
    assert driver.get_result()[0] is RunState.STARTED
    poll_at(driver, (1200.0, failure))
    assert driver.get_result()[:2] == (RunState.UNKNOWN, reason)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(UNAVAILABLE, ExitReason.UNKNOWN), (MISSING, ExitReason.NOT_FOUND), (RATE_LIMITED, ExitReason.UNKNOWN)],
)
def test_failed_poll_at_deadline_ends_run(failure: PollResult, reason: ExitReason) -> None:
    """At the deadline the time alone decides because no poll follows."""
    driver = PollerDriver(policy=PollPolicy(timeout=400.0))
    poll_at(driver, (10.0, RUNNING), (200.0, failure), (400.0, failure))
    assert driver.get_result()[:2] == (RunState.UNKNOWN, reason)


def poll_until_deadline(*statuses: PollResult) -> PollerDriver:
    """Poll one run with these responses until its deadline after one minute."""
    driver = PollerDriver(policy=PollPolicy(timeout=60.0))
    *earlier_statuses, last_status = statuses
    for number, status in enumerate(earlier_statuses):
        driver.dispatch_at(15.0 * (number + 1))
        driver.respond_at(15.0 * (number + 1), status)
    driver.dispatch_at(60.0)
    driver.respond_at(60.0, last_status)
    return driver


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([RUNNING], (RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running after 1 min")),
        (
            [RUNNING, UNAVAILABLE],
            (
                RunState.TIMED_OUT,
                ExitReason.TIMEOUT,
                "still running after 1 min (last error: HTTP 500)",
            ),
        ),
        ([UNAVAILABLE, RUNNING], (RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running after 1 min")),
        ([UNAVAILABLE], (RunState.UNKNOWN, ExitReason.UNKNOWN, "status unavailable: HTTP 500")),
        ([RUNNING, UNRECOGNIZED], (RunState.UNKNOWN, ExitReason.UNKNOWN, "the API says 'zzz'")),
    ],
)
def test_deadline_reports_last_status(statuses: list[PollResult], expected: tuple[RunState, ExitReason, str]) -> None:
    """The result at the deadline states the last known status and error."""
    assert poll_until_deadline(*statuses).get_result() == (*expected, HINT_RUN_CONTINUES, 60.0)


def test_hung_poll_at_deadline_is_unknown() -> None:
    """A run whose only poll hangs ends as unknown at the deadline."""
    driver = PollerDriver(policy=PollPolicy(timeout=60.0))
    driver.dispatch_at(60.0)
    driver.clock.time += 10
    assert driver.poller.is_finished
    assert_updates(driver.poller.expire_all(), [RunEnded(0)])
    message = "status unavailable: no response in time"
    assert driver.get_result() == (RunState.UNKNOWN, ExitReason.UNKNOWN, message, HINT_RUN_CONTINUES, 70.0)


def test_hung_poll_counts_as_failed() -> None:
    """A hung poll counts as failed shortly after its limit."""
    driver = PollerDriver(policy=PollPolicy(timeout=120.0))
    assert driver.dispatch_at(5.0) == 1
    for seconds in (45.0, 45.9):
        driver.clock.time = 1005.0 + seconds
        driver.poller.expire_hung_requests()
    assert driver.dispatch_at(5 + 45.9 + 40) == 1
    driver = PollerDriver(policy=PollPolicy(timeout=120.0))
    driver.dispatch_at(5.0)
    for seconds in (45.0, 46.0):
        driver.clock.time = 1005.0 + seconds
        driver.poller.expire_hung_requests()
    assert driver.dispatch_at(5 + 46.0 + 20) == 2
    driver.dispatch_at(120.0)
    driver.respond_at(120.0, MISSING._replace(status=PollStatus.UNAVAILABLE, message=""))
    assert driver.get_result()[2] == "status unavailable: no response in time"


def test_hung_polls_end_together() -> None:
    """Each run whose poll at the deadline hangs has its own update."""
    driver = PollerDriver(0.0, 0.0, policy=PollPolicy(timeout=60.0))
    assert driver.dispatch_at(60.0) == 2
    driver.clock.time += 46.0
    assert_updates(driver.poller.expire_hung_requests(), [RunEnded(0), RunEnded(1)])


def test_hung_poll_is_last_error() -> None:
    """The result at the deadline names a hung poll as the last error."""
    driver = PollerDriver(policy=PollPolicy(timeout=60.0))
    driver.dispatch_at(1.8)
    driver.respond_at(1.9, RUNNING)
    driver.dispatch_at(10.0)
    driver.clock.time = 1000.0 + 56.0
    driver.poller.expire_hung_requests()
    driver.clock.time = 1000.0 + 80.0
    driver.poller.expire_all()
    message = "still running after 1 min 20 s (last error: no response in time)"
    assert driver.get_result()[2] == message


def test_polls_respect_concurrency() -> None:
    """At most `concurrency` polls are in flight."""
    driver = PollerDriver(0.0, 0.0, 0.0, policy=PollPolicy(concurrency=2))
    assert driver.dispatch_at(10.0) == 2
    driver.respond_at(11.0, RUNNING)
    assert driver.dispatch_at(11.0) == 3
    assert [poll[:3] for poll in driver.sent_polls] == [
        (index, RunRequest(TargetKind.TEST, f"t{index}"), f"r{index}") for index in range(3)
    ]


def test_stale_response_is_ignored() -> None:
    """A response for an earlier run or after the end changes nothing."""
    driver = PollerDriver(0.0, 0.0)
    driver.dispatch_at(10.0)
    assert driver.poller.handle_status(StatusReceived(0, "r-of-before", FAILED, 1)) == []
    assert driver.get_result()[0] is RunState.STARTED
    driver.respond_at(11.0, PASSED)
    assert driver.poller.handle_status(StatusReceived(0, "r0", FAILED, 1)) == []
    assert driver.get_result()[0] is RunState.PASSED
    assert_updates(driver.updates, [RunEnded(0)])


def test_old_run_is_polled_at_once() -> None:
    """A run that is older than 30 seconds is polled at once."""
    assert PollerDriver(-30.0).dispatch_at(0.0) == 0
    assert PollerDriver(-30.1).dispatch_at(0.0) == 1


def test_unrecognized_status_warning_names_run() -> None:
    """The warning about an unrecognized status names the run."""
    driver = PollerDriver()
    driver.dispatch_at(5.0)
    driver.respond_at(5.0, UNRECOGNIZED)
    assert_updates(driver.updates, [WarningIssued("t0: the API says 'zzz'. Polling continues.")])


def test_unavailable_status_shows_suggestion() -> None:
    """The suggestion of a failed poll is shown unless the last poll succeeded."""
    failed_poll = UNAVAILABLE._replace(suggestion="Name a PEM file.")
    driver = PollerDriver()
    poll_at(driver, (5.0, failed_poll), (65.0, failed_poll), (130.0, failed_poll))
    assert driver.get_result()[0] is RunState.UNKNOWN
    assert driver.get_result()[3] == f"Name a PEM file. {HINT_RUN_CONTINUES}"
    driver = PollerDriver(policy=PollPolicy(timeout=100.0))
    poll_at(driver, (5.0, failed_poll), (65.0, RUNNING), (101.0, RUNNING))
    assert driver.get_result()[3] == HINT_RUN_CONTINUES
