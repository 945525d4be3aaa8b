"""The `run_timeout` of started runs, on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.api.models import RunDetails, StartResult, StartStatus
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.models import ExitReason, RunState
from tests.support.fake_clock import ScriptedRun
from tests.unit.engine.test_poller import (
    FAILED,
    MISSING,
    PASSED,
    RATE_LIMITED,
    RUNNING,
    STARTED,
    UNAVAILABLE,
    UNRECOGNIZED,
    Job,
    make_run,
    scripted_runs,
    status_by_age,
)

if TYPE_CHECKING:
    from autonoma_ci.api.models import PollResult
    from autonoma_ci.models import RunRequest

ENDLESS = make_run(1e9)
# The run_timeout in most tests, and when it ends: the start request is the first event.
LIMIT = 60.0
MESSAGE = "still running after 1 min, its run_timeout"
# The requests for details of a run may take this long.
DETAILS_SECONDS = 21.0


def get_result(job: Job) -> tuple[RunState, ExitReason, str]:
    return job.first.state, job.first.reason, job.first.message


def set_run_timeout(job: Job, index: int, seconds: float | None) -> None:
    """Change the run_timeout of one run."""
    run = job.run_table.results[index]
    job.run_table.results[index] = run._replace(request=run.request._replace(run_timeout_seconds=seconds))


@pytest.mark.parametrize("interval", [None, 1.0, 7.0, 600.0])
def test_endless_run_ends_at_run_timeout(interval: float | None) -> None:
    """It is polled once at its run_timeout, ends as timed out, and is not retried."""
    job = Job(ENDLESS, poll_policy=PollPolicy(interval=interval), run_timeout=LIMIT, retries=3).run()
    assert get_result(job) == (RunState.TIMED_OUT, ExitReason.TIMEOUT, MESSAGE)
    assert job.polls()[-1] == pytest.approx(LIMIT)
    assert job.polls().count(job.polls()[-1]) == 1
    assert job.seconds == pytest.approx(LIMIT + 0.05)
    assert (len(job.workers.start_requests), job.code) == (1, 6)
    assert "run autonoma-ci wait later" in job.first.suggestion


@pytest.mark.parametrize(("end", "state"), [(PASSED, RunState.PASSED), (FAILED, RunState.FAILED)])
def test_end_before_run_timeout_is_seen(end: PollResult, state: RunState) -> None:
    """The poll at the run_timeout sees an end that no earlier poll saw."""
    job = Job(make_run(59.0, end), poll_policy=PollPolicy(interval=600.0), run_timeout=LIMIT).run()
    assert (job.states, len(job.polls())) == ([state], 1)


def test_run_timeout_ends_one_run_only() -> None:
    """Other runs are polled on, and the deadline stays."""
    job = Job(ENDLESS, make_run(200.0), ENDLESS, poll_policy=PollPolicy(timeout=300.0))
    set_run_timeout(job, 0, LIMIT)
    assert job.run().states == [RunState.TIMED_OUT, RunState.PASSED, RunState.TIMED_OUT]
    messages = [run.message for run in job.run_table.results]
    assert messages == [MESSAGE, "", "still running after 5 min"]


def test_each_attempt_has_its_run_timeout() -> None:
    """The run_timeout of a retry counts from the start of the retry."""
    job = Job([make_run(50.0, FAILED), ENDLESS], run_timeout=LIMIT, retries=1).run()
    assert get_result(job) == (RunState.TIMED_OUT, ExitReason.TIMEOUT, MESSAGE)
    assert len(job.first.previous_attempts) == 1
    second_start = job.workers.list_start_times(0)[1] - 1000.0
    assert job.polls()[-1] == pytest.approx(second_start + LIMIT)
    # The poll that the first attempt would have had at its run_timeout is no poll of the second one.
    assert all(b - a > 1.0 for a, b in zip(job.polls(), job.polls()[1:], strict=False))


def test_failure_at_run_timeout_is_retried() -> None:
    """The last poll reports a failure, so the run did not time out."""
    failed = make_run(59.0, FAILED)
    job = Job([failed, make_run(10.0)], poll_policy=PollPolicy(interval=600.0), run_timeout=LIMIT, retries=1).run()
    assert (job.states, job.first.is_flaky) == ([RunState.PASSED], True)


def test_run_timeout_counts_from_accepted_request() -> None:
    """A start request that the API rejected started no attempt."""
    rejected = StartResult(StartStatus.RATE_LIMITED, ExitReason.API, http_status=429, retry_after=40.0)
    job = Job(make_run(50.0), run_timeout=LIMIT, starts={0: [(0.1, rejected), (0.1, STARTED)]}).run()
    assert job.states == [RunState.PASSED]
    assert job.seconds > LIMIT


def test_run_timeout_passes_while_start_is_pending() -> None:
    """A run whose start took longer than its run_timeout is polled once."""
    job = Job(ENDLESS, run_timeout=5.0, starts={0: [(20.0, STARTED)]}).run()
    assert job.states == [RunState.TIMED_OUT]
    assert job.polls() == pytest.approx([20.0])


@pytest.mark.parametrize("timeout", [10.0, 59.0])
def test_earlier_deadline_wins(timeout: float) -> None:
    """The run ends at the deadline, and is not polled later."""
    job = Job(ENDLESS, poll_policy=PollPolicy(timeout=timeout), run_timeout=LIMIT).run()
    assert (job.states, job.code) == ([RunState.TIMED_OUT], 6)
    assert "run_timeout" not in job.first.message
    assert max(job.polls()) <= timeout + 0.2


def test_deadline_during_last_poll_changes_nothing() -> None:
    """The run_timeout passed first, and its poll is the last one."""
    slow = ScriptedRun(status_by_age((1e9, RUNNING), last=PASSED), 5.0)
    job = Job(slow, poll_policy=PollPolicy(timeout=LIMIT + 2.0), run_timeout=LIMIT).run()
    assert get_result(job) == (RunState.TIMED_OUT, ExitReason.TIMEOUT, MESSAGE)
    assert max(job.polls()) == pytest.approx(LIMIT)


def test_rate_limit_delays_no_last_poll() -> None:
    """The poll at the run_timeout is sent although the API asks for a pause."""
    limited = RATE_LIMITED._replace(retry_after=60.0)
    run = ScriptedRun(status_by_age((50.0, RUNNING), (59.0, limited), last=PASSED))
    job = Job(run, poll_policy=PollPolicy(interval=5.0), run_timeout=LIMIT).run()
    assert job.states == [RunState.PASSED]
    assert max(job.polls()) == pytest.approx(LIMIT)


def test_rate_limited_last_poll_ends_run() -> None:
    """The run has its last known status, and the error of the last poll."""
    run = ScriptedRun(status_by_age((50.0, RUNNING), last=RATE_LIMITED._replace(retry_after=60.0)))
    job = Job(run, run_timeout=LIMIT).run()
    assert get_result(job) == (RunState.TIMED_OUT, ExitReason.TIMEOUT, f"{MESSAGE} (last error: HTTP 429)")
    assert job.seconds < LIMIT + 1


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (UNAVAILABLE, "status unavailable: HTTP 500"),
        (MISSING, "run unknown to the API: HTTP 404"),
        (UNRECOGNIZED, UNRECOGNIZED.message),
    ],
)
def test_run_without_status_is_unknown_at_limit(last: PollResult, message: str) -> None:
    """Without a usable response, it is not known if the run still runs."""
    job = Job(ScriptedRun(lambda age: last), poll_policy=PollPolicy(interval=600.0), run_timeout=LIMIT).run()
    assert (job.states, job.first.message, job.code == 0) == ([RunState.UNKNOWN], message, False)


@pytest.mark.parametrize("hangs_from", [0.0, 30.0, 59.9])
def test_hung_polls_end_soon_after_run_timeout(hangs_from: float) -> None:
    """The last poll gets 10 s to respond, also if an earlier poll hangs."""
    job = Job(ENDLESS, run_timeout=LIMIT)
    poll = job.workers.poll

    def poll_until_hung(index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        created_at, run = job.workers.find_or_create_run(0, job.first.run_id)
        delay = 0.05 if job.clock.time - created_at < hangs_from else 1e6
        job.workers.created_runs[0, job.first.run_id] = created_at, run._replace(delay_seconds=delay)
        poll(index, request, run_id, request_number)

    job.workers.poll = poll_until_hung  # type: ignore[method-assign]
    assert job.run().states == [RunState.TIMED_OUT if hangs_from else RunState.UNKNOWN]
    assert LIMIT + 9.9 < job.seconds < LIMIT + 11
    assert job.polls()[-1] == pytest.approx(LIMIT)


def test_hung_poll_takes_no_slot_of_last_poll() -> None:
    """The poll at the run_timeout is sent although the only slot has a hung poll."""
    job = Job(make_run(59.5), poll_policy=PollPolicy(concurrency=1, interval=50.0), run_timeout=LIMIT)
    poll, hung = job.workers.poll, make_run(59.5, delay=1e6)

    def hang_first_poll(index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        created_at, _ = job.workers.find_or_create_run(index, run_id)
        job.workers.created_runs[index, run_id] = created_at, hung if request_number == 1 else make_run(59.5)
        poll(index, request, run_id, request_number)

    job.workers.poll = hang_first_poll  # type: ignore[method-assign]
    assert job.run().states == [RunState.PASSED]
    assert job.polls() == pytest.approx([50.1, LIMIT])


def test_retry_after_last_poll_keeps_its_interval() -> None:
    """The poll that the failed attempt still had in the queue is void."""
    policy = PollPolicy(interval=40.0, timeout=200.0)
    job = Job(ENDLESS, [make_run(50.0, FAILED), ENDLESS], poll_policy=policy, run_timeout=LIMIT, retries=1)
    set_run_timeout(job, 0, None)
    job.run()
    second_start = job.workers.list_start_times(1)[1] - 1000.0
    assert job.polls(1) == pytest.approx([40.1, LIMIT, second_start + 40.1, second_start + LIMIT])


def test_run_timeout_after_deadline_polls_nothing() -> None:
    """While the last responses arrive, no further poll is sent."""
    job = Job(make_run(1e9, delay=5.0), poll_policy=PollPolicy(timeout=58.0), run_timeout=LIMIT).run()
    assert job.states == [RunState.TIMED_OUT]
    assert max(job.polls()) <= 58.2
    assert "run_timeout" not in job.first.message


def test_late_pass_after_run_timeout_is_ignored() -> None:
    """A final status that arrives after the end changes nothing."""
    slow = ScriptedRun(status_by_age((70.0, RUNNING), last=PASSED), 29.0)
    job = Job(slow, make_run(200.0), poll_policy=PollPolicy(interval=10.0), run_timeout=LIMIT)
    set_run_timeout(job, 1, None)
    assert job.run().states == [RunState.TIMED_OUT, RunState.PASSED]
    assert get_result(job)[2].startswith(MESSAGE)


def test_suspended_machine_polls_before_end() -> None:
    """After a suspension, a run that ended meanwhile still passes."""
    job = Job(ENDLESS, ENDLESS, run_timeout=LIMIT, poll_policy=PollPolicy(timeout=9000.0))

    def poll_after_suspend(age: float) -> PollResult:
        if 20 < age < 60:
            job.clock.time += 5000
        return RUNNING if age < 40 else PASSED

    job.workers._runs = {0: [ScriptedRun(poll_after_suspend)], 1: [ENDLESS]}
    assert job.run().states == [RunState.PASSED, RunState.TIMED_OUT]


def test_last_polls_share_limit_of_polls() -> None:
    """Hundred runs with one run_timeout have few polls at the same time."""
    job = Job(*[ENDLESS] * 100, run_timeout=LIMIT, poll_policy=PollPolicy(concurrency=4)).run()
    assert set(job.states) == {RunState.TIMED_OUT}
    assert job.workers.max_parallel_polls <= 4
    assert job.seconds < LIMIT + 3
    assert all(max(job.polls(index)) >= LIMIT - 0.01 for index in range(100))


def test_step_without_limit_has_no_run_timeout() -> None:
    """A request without run_timeout runs until the deadline."""
    job = Job(ENDLESS, poll_policy=PollPolicy(timeout=600.0)).run()
    assert get_result(job) == (RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running after 10 min")


@settings(deadline=None)
@given(
    st.lists(scripted_runs, min_size=1, max_size=6),
    st.sampled_from([1.0, 5.0, 60.0, 300.0]),
    st.sampled_from([None, 1.0, 45.0]),
    st.sampled_from([50.0, 1e4]),
)
def test_any_run_ends_in_time(
    runs: list[ScriptedRun], run_timeout: float, interval: float | None, timeout: float
) -> None:
    """Each run has at most one poll after its run_timeout, and ends soon after it."""
    runs = [run._replace(details=RunDetails(error="HTTP 500")) for run in runs]
    policy = PollPolicy(timeout=timeout, interval=interval)
    job = Job(*runs, run_timeout=run_timeout, poll_policy=policy, policy=StartPolicy(concurrency=64)).run()
    last_poll_at = min(run_timeout, timeout + 0.1)
    for index in range(len(runs)):
        late_polls = [sent_at for sent_at in job.polls(index) if sent_at >= last_poll_at - 1e-6]
        assert len(late_polls) <= 1
        assert all(sent_at <= last_poll_at + 1e-6 for sent_at in late_polls)
    assert job.seconds <= last_poll_at + policy.late_response_grace + DETAILS_SECONDS + 1.0
    assert RunState.STARTED not in job.states
