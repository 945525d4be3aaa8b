"""Start of the runs of a plan, on a fake clock."""

from __future__ import annotations

import itertools
import math
import queue
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.api.models import HINT_MAY_HAVE_STARTED, PollResult, PollStatus, StartResult, StartStatus
from autonoma_ci.engine import starter
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import RunStarter, StartPolicy
from autonoma_ci.engine.updates import StartSettled, Update, WarningIssued
from autonoma_ci.engine.workers import ReportWritten, SignalReceived, StartFinished
from autonoma_ci.models import ExitReason, PreviousAttempt, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, RecordingListener, ScriptedRun, ScriptedWorkers
from tests.support.updates import assert_updates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.engine.workers import Events

# The link names no run because each start gets its own id.
STARTED = StartResult(StartStatus.STARTED, run_id="r", url="https://autonoma.app/page", http_status=200)
NOT_FOUND = StartResult(StartStatus.REJECTED, ExitReason.NOT_FOUND, http_status=404)
UNAUTHORIZED = StartResult(StartStatus.REJECTED, ExitReason.UNAUTHORIZED, http_status=401)
QUOTA = StartResult(StartStatus.REJECTED, ExitReason.QUOTA, http_status=402)
INDETERMINATE = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, http_status=500)
NOT_SENT = StartResult(StartStatus.NOT_SENT, ExitReason.API)
CANNOT_SEND = StartResult(StartStatus.CANNOT_SEND, ExitReason.API)
RATE_LIMITED = StartResult(StartStatus.RATE_LIMITED, ExitReason.API, http_status=429)


IN_FLIGHT = starter._InFlightRequest(1000.0, lambda: False)


def make_rate_limit(seconds: float) -> StartResult:
    return RATE_LIMITED._replace(retry_after=seconds)


class OneThreadWorkers(ScriptedWorkers):
    """Send starts with one thread that is busy for the first seconds."""

    def __init__(
        self,
        clock: FakeClock,
        scripts: Mapping[int, Sequence[tuple[float, StartResult]]],
        busy_seconds: float,
        runs: Mapping[int, Sequence[ScriptedRun]] | None = None,
    ) -> None:
        super().__init__(clock, scripts, runs)
        self._free_at = clock.time + busy_seconds
        clock.schedule(busy_seconds, ReportWritten())

    def can_start(self) -> bool:
        return self._clock.time >= self._free_at and not self._clock.count(StartFinished)


class Job:
    """Run a plan against scripted start responses.

    Args:
        scripts: For each plan entry, the responses to its start requests in turn.
        seconds: Duration of each start request.
        policy: Limits and pauses of the starts.
    """

    def __init__(
        self, *scripts: Sequence[StartResult], seconds: float = 1.0, policy: StartPolicy | None = None
    ) -> None:
        self.clock = FakeClock()
        timed_scripts = {number: [(seconds, attempt) for attempt in script] for number, script in enumerate(scripts)}
        self.workers = ScriptedWorkers(self.clock, timed_scripts)
        self.listener = RecordingListener()
        outcomes = [RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in range(len(scripts))]
        self.run_table = RunTable(outcomes, self.clock.time)
        self.engine = Engine(self.run_table, policy or StartPolicy(), self.clock, queue.SimpleQueue(), self.listener)

    def run(self) -> Job:
        self.engine.run(self.workers)
        return self

    @property
    def states(self) -> list[RunState]:
        return [outcome.state for outcome in self.run_table.results]

    @property
    def reasons(self) -> list[ExitReason]:
        return [outcome.reason for outcome in self.run_table.results]

    def times(self, number: int) -> list[float]:
        return [at - 1000.0 for at in self.workers.list_start_times(number)]


def test_plan_starts_each_run_once() -> None:
    """All runs are sent once and reported in plan order."""
    job = Job(*[[STARTED]] * 20).run()
    assert [request.run_index for request in job.workers.start_requests] == list(range(20))
    assert job.states == [RunState.STARTED] * 20
    assert [outcome.request.id for outcome in job.run_table.results] == [f"t{n}" for n in range(20)]
    assert sorted(job.listener.changed_ids) == sorted(f"t{n}" for n in range(20))


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_starts_respect_concurrency(concurrency: int) -> None:
    """At most `concurrency` starts are in flight."""
    job = Job(*[[STARTED]] * 70, policy=StartPolicy(concurrency=concurrency)).run()
    assert job.workers.max_parallel_starts == concurrency


def test_indeterminate_start_is_never_resent() -> None:
    """An indeterminate start is not sent again and stops no other run."""
    job = Job([INDETERMINATE], [STARTED]).run()
    assert job.states == [RunState.UNKNOWN, RunState.STARTED]
    assert len(job.workers.start_requests) == 2


def test_unauthorized_stops_starts() -> None:
    """Refused credentials stop further starts, unlike an unknown id."""
    job = Job([NOT_FOUND], [UNAUTHORIZED], [STARTED], [STARTED], policy=StartPolicy(concurrency=1)).run()
    assert job.states == [RunState.NOT_STARTED] * 4
    assert job.reasons == [ExitReason.NOT_FOUND, *[ExitReason.UNAUTHORIZED] * 3]
    assert len(job.workers.start_requests) == 2


def test_unauthorized_spares_starts_in_flight() -> None:
    """A start in flight still counts after refused credentials."""
    job = Job([UNAUTHORIZED], [STARTED], [STARTED], policy=StartPolicy(concurrency=2)).run()
    assert job.states == [RunState.NOT_STARTED, RunState.STARTED, RunState.NOT_STARTED]


def test_quota_stops_starts() -> None:
    """A used-up quota stops further starts, unlike a plain refusal."""
    rejected_result = StartResult(StartStatus.REJECTED, ExitReason.API, http_status=400)
    job = Job([rejected_result], [QUOTA], [STARTED], [STARTED], policy=StartPolicy(concurrency=2)).run()
    assert job.states == [RunState.NOT_STARTED, RunState.NOT_STARTED, RunState.STARTED, RunState.NOT_STARTED]
    assert job.reasons == [ExitReason.API, ExitReason.QUOTA, ExitReason.OK, ExitReason.QUOTA]
    assert len(job.workers.start_requests) == 3


def test_fail_fast_stops_after_first_failure() -> None:
    """With fail-fast, the first failure stops further starts."""
    job = Job([STARTED], [INDETERMINATE], [STARTED], policy=StartPolicy(concurrency=1, fail_fast=True)).run()
    assert job.states == [RunState.STARTED, RunState.UNKNOWN, RunState.NOT_STARTED]


def test_failed_connections_back_off() -> None:
    """Failed connections are retried with growing pauses up to a cap and a number."""
    job = Job(
        [NOT_SENT], seconds=0.0, policy=StartPolicy(max_connect_attempts=8, first_retry_pause=1.0, max_retry_pause=5.0)
    ).run()
    times = job.times(0)
    assert [after - before for before, after in itertools.pairwise(times)] == [1, 2, 4, 5, 5, 5, 5]
    assert job.states == [RunState.NOT_STARTED]
    assert job.reasons == [ExitReason.API]
    assert job.run_table.results[0].start_requests == 8


@pytest.mark.parametrize("response", [RATE_LIMITED, make_rate_limit(0.0)])
def test_rate_limits_use_no_connect_attempts(response: StartResult) -> None:
    """Only consecutive failed connections count for the limit and the pauses."""
    script = [*[response] * 6, NOT_SENT, NOT_SENT, response, NOT_SENT, STARTED]
    job = Job(
        script, seconds=0.0, policy=StartPolicy(max_connect_attempts=3, first_retry_pause=1.0, max_retry_pause=4.0)
    ).run()
    assert job.states == [RunState.STARTED]
    assert job.run_table.results[0].start_requests == len(script)
    times = job.times(0)
    assert [times[7] - times[6], times[8] - times[7], times[10] - times[9]] == [1.0, 2.0, 1.0]


def test_retry_has_all_connect_attempts() -> None:
    """A retry does not inherit the used connection attempts."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "t"))], clock.time)
    scripts = {0: [(1.0, NOT_SENT)] * 2}
    starter = RunStarter(run_table, StartPolicy(max_connect_attempts=2), clock)
    for _ in range(2):
        run_table.results[0] = RunResult(RunRequest(TargetKind.TEST, "t"))
        workers = ScriptedWorkers(clock, scripts)
        while starter.is_busy:
            starter.dispatch(workers)
            if event := clock.wait_for_event(
                queue.SimpleQueue(), 60.0 if starter.has_in_flight else starter.next_action_at() - clock.time
            ):
                starter.handle_result(event)
        assert run_table.results[0].start_requests == 2
        starter.enqueue(0)


def test_start_without_thread_is_not_in_flight() -> None:
    """A start that waits for a thread is neither overdue nor in flight at a signal."""
    job = Job([STARTED], [STARTED], policy=StartPolicy(hung_after=50.0))
    job.workers = OneThreadWorkers(job.clock, {number: [(40.0, STARTED)] for number in range(2)}, busy_seconds=30.0)
    assert job.run().states == [RunState.STARTED] * 2
    assert [request.sent_at - 1000.0 for request in job.workers.start_requests] == [30.0, 70.0]
    cancelled_job = Job([STARTED], [STARTED])
    cancelled_job.workers = OneThreadWorkers(
        cancelled_job.clock, {0: [(40.0, STARTED)], 1: [(1.0, STARTED)]}, busy_seconds=0.0
    )
    cancelled_job.clock.schedule(20.0, SignalReceived(15))
    assert cancelled_job.run().states == [RunState.UNKNOWN, RunState.NOT_STARTED]
    assert [request.run_index for request in cancelled_job.workers.start_requests] == [0]


def test_starts_get_threads_before_polls() -> None:
    """Polls of many runs must leave a thread for a start."""
    clock = FakeClock()
    started_run = RunResult(RunRequest(TargetKind.TEST, "a"), RunState.STARTED, run_id="r-a")
    run_table = RunTable([started_run, RunResult(RunRequest(TargetKind.TEST, "b"))], clock.time)
    passing_runs = [ScriptedRun(lambda _: PollResult(PollStatus.PASSED, "passed", http_status=200))]
    workers = OneThreadWorkers(clock, {1: [(1.0, STARTED)]}, busy_seconds=30.0, runs={0: passing_runs, 1: passing_runs})
    Engine(run_table, StartPolicy(), clock, queue.SimpleQueue(), RecordingListener(), PollPolicy()).run(workers)
    assert [request.sent_at - 1000.0 for request in workers.start_requests] == [30.0]
    assert min(poll.sent_at for poll in workers.polls) >= 1030.0
    assert {run.state for run in run_table.results} == {RunState.PASSED}


def test_refusal_precedes_next_start() -> None:
    """With one thread, refused credentials are handled before the next start."""
    job = Job([UNAUTHORIZED], [STARTED])
    job.workers = OneThreadWorkers(job.clock, {0: [(1.0, UNAUTHORIZED)], 1: [(1.0, STARTED)]}, busy_seconds=0.0)
    assert job.run().states == [RunState.NOT_STARTED] * 2
    assert [request.run_index for request in job.workers.start_requests] == [0]


def test_pauses_have_jitter() -> None:
    """Runs that fail together must not retry together."""
    job = Job([NOT_SENT, RATE_LIMITED, STARTED], seconds=0.0, policy=StartPolicy(first_retry_pause=1.0))
    job.clock.jitter_factor = 0.5
    assert job.run().times(0) == [0.0, 0.5, 1.5]


def test_unreachable_api_ends_long_plan() -> None:
    """An unreachable API ends a plan of 1000 runs within `give_up_after`."""
    policy = StartPolicy(concurrency=2)
    job = Job(*[[NOT_SENT]] * 1000, policy=policy).run()
    assert set(job.states) == {RunState.NOT_STARTED}
    assert set(job.reasons) == {ExitReason.API}
    assert job.clock.time - 1000.0 <= policy.give_up_after + 2
    assert job.run_table.results[-1].start_requests == 0


def test_restored_connection_starts_run() -> None:
    """A run starts once the connection is restored."""
    job = Job([NOT_SENT, NOT_SENT, STARTED]).run()
    assert job.states == [RunState.STARTED]
    assert job.run_table.results[0].start_requests == 3


def test_retry_after_is_respected() -> None:
    """The next request waits at least as long as Retry-After."""
    job = Job([make_rate_limit(7.0), STARTED], seconds=0.0).run()
    assert job.times(0)[1] >= 7.0
    assert job.states == [RunState.STARTED]


def test_rate_limit_pauses_all_starts() -> None:
    """A rate limit pauses the starts of all runs."""
    job = Job([make_rate_limit(30.0), STARTED], *[[STARTED]] * 5, seconds=0.0, policy=StartPolicy(concurrency=1)).run()
    assert all(at >= 30.0 for number in range(1, 6) for at in job.times(number))
    assert set(job.states) == {RunState.STARTED}


def test_long_retry_after_ends_job_at_once() -> None:
    """A pause longer than `give_up_after` ends the job without waiting."""
    job = Job([make_rate_limit(3600.0)], [STARTED], policy=StartPolicy(concurrency=1)).run()
    assert job.states == [RunState.NOT_STARTED] * 2
    assert job.clock.time - 1000.0 < 5
    assert len(job.workers.start_requests) == 1


def test_longest_retry_after_is_awaited() -> None:
    """A pause of exactly `give_up_after` is waited for."""

    def run_rate_limited_job(pause: float) -> Job:
        job = Job([make_rate_limit(pause), STARTED], seconds=0.0, policy=StartPolicy(give_up_after=60.0))
        job.clock.jitter_factor = 0.0
        return job.run()

    assert run_rate_limited_job(60.0).times(0) == [0.0, 60.0]
    assert run_rate_limited_job(60.1).times(0) == [0.0]


@pytest.mark.parametrize(
    ("first_result", "fail_fast", "message"),
    [
        (UNAUTHORIZED, False, "not sent: the API refused the credentials"),
        (QUOTA, False, "not sent: the account's quota is used up"),
        (INDETERMINATE, True, "not sent: fail-fast is set and an earlier run could not be started"),
        (make_rate_limit(3600.0), False, "not sent: the API requested a longer pause than this step allows"),
        (CANNOT_SEND, False, "not sent: no connection to the API"),
    ],
)
def test_unsent_run_states_reason(first_result: StartResult, fail_fast: bool, message: str) -> None:
    """The message of a run that was not sent states the reason."""
    job = Job([first_result], [STARTED], policy=StartPolicy(concurrency=1, fail_fast=fail_fast)).run()
    last_run = job.run_table.results[1]
    assert (last_run.state, last_run.reason, last_run.message) == (RunState.NOT_STARTED, first_result.reason, message)
    assert (last_run.suggestion, last_run.start_requests, last_run.duration_seconds) == ("", 0, 0.0)


def test_start_response_is_saved() -> None:
    """The result has the id, link, HTTP status and hint of the start response."""
    rejected_result = NOT_FOUND._replace(message="HTTP 404", suggestion="is it the right id?")
    first, second, third = Job([STARTED], [INDETERMINATE], [rejected_result]).run().run_table.results
    assert (first.run_id, first.url, first.http_status, first.suggestion) == (
        "r0",
        "https://autonoma.app/page",
        200,
        "",
    )
    assert (second.reason, second.http_status, second.suggestion) == (ExitReason.UNKNOWN, 500, HINT_MAY_HAVE_STARTED)
    assert (third.message, third.suggestion, third.duration_seconds) == ("HTTP 404", "is it the right id?", 1.0)


def test_plan_requests_are_sent_unchanged() -> None:
    """Each start sends the run request of the plan."""
    job = Job([STARTED], [STARTED])
    sent_requests, start = list[RunRequest](), job.workers.start

    def start_and_record(index: int, request: RunRequest) -> Callable[[], bool]:
        sent_requests.append(request)
        return start(index, request)

    job.workers.start = start_and_record  # type: ignore[method-assign]
    job.run()
    assert sent_requests == [RunRequest(TargetKind.TEST, "t0"), RunRequest(TargetKind.TEST, "t1")]


def test_last_start_leaves_no_next_action() -> None:
    """No action is due after the last start request."""
    clock = FakeClock()
    starter = RunStarter(
        RunTable([RunResult(RunRequest(TargetKind.TEST, "t"))], clock.time),
        StartPolicy(),
        clock,
    )
    assert starter.next_action_at() <= clock.time
    starter.dispatch(ScriptedWorkers(clock, {0: [(1.0, STARTED)]}))
    assert starter.next_action_at() == math.inf


def test_give_up_time_drops_rest() -> None:
    """The rest of the plan is dropped once `give_up_after` has passed."""
    job = Job(
        [NOT_SENT], [STARTED], seconds=5.0, policy=StartPolicy(concurrency=1, max_connect_attempts=1, give_up_after=5.0)
    ).run()
    assert job.states == [RunState.NOT_STARTED] * 2
    assert job.listener.changed_ids == ["t0", "t1"]


def test_retry_without_new_run_is_api_error() -> None:
    """If the API names the failed run again, a plan with fail-fast ends with the reason `api`."""
    clock, failed_attempt = FakeClock(), PreviousAttempt(run_id="r0")
    retry = RunResult(RunRequest(TargetKind.TEST, "retry"), previous_attempts=(failed_attempt,))
    table = RunTable([retry, RunResult(RunRequest(TargetKind.TEST, "pending"))], clock.time)
    assert table.claim_start(TargetKind.TEST, "r0", "")
    run_starter = RunStarter(table, StartPolicy(concurrency=1, fail_fast=True), clock)
    run_starter.dispatch(ScriptedWorkers(clock, {0: [(1.0, STARTED)]}))
    updates = run_starter.handle_result(StartFinished(0, STARTED._replace(run_id="r0")))
    assert_updates(updates, [StartSettled(0), StartSettled(1)])
    assert (table.results[1].state, table.results[1].reason) == (RunState.NOT_STARTED, ExitReason.API)


def test_stalled_plan_states_reason() -> None:
    """The message of a run that was dropped for lack of progress states this reason."""
    job = Job(*[[NOT_SENT]] * 100, policy=StartPolicy(concurrency=2)).run()
    assert job.run_table.results[-1].message == "not sent: the API accepted no request for too long"


def test_retry_has_its_own_time_limits() -> None:
    """A brief connection failure long after the first start does not end the retry."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "t"))], clock.time)
    workers = ScriptedWorkers(clock, {0: [(1.0, STARTED), (1.0, NOT_SENT), (1.0, STARTED)]})
    starter = RunStarter(run_table, StartPolicy(), clock)

    def run_until_settled() -> None:
        updates = list[Update]()
        while not updates:
            updates += starter.dispatch(workers)
            if event := clock.wait_for_event(
                queue.SimpleQueue(), starter.next_action_at() - clock.time if not starter.has_in_flight else 60.0
            ):
                updates += starter.handle_result(event)
        assert_updates(updates, [StartSettled(0)])

    run_until_settled()
    clock.time += 1000.0
    run_table.begin_retry(0)
    starter.enqueue(0)
    run_until_settled()
    run = run_table.results[0]
    assert (run.state, run.start_requests, run.start_offset_seconds, run.duration_seconds) == (
        RunState.STARTED,
        2,
        1001.0,
        2.5,
    )


def test_run_of_other_step_can_be_retried() -> None:
    """A run that another step started can be retried here."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "t"), RunState.FAILED, run_id="r")], clock.time)
    starter = RunStarter(run_table, StartPolicy(), clock)
    assert not starter.is_busy
    run_table.begin_retry(0)
    assert starter.enqueue(0) == []
    starter.dispatch(ScriptedWorkers(clock, {0: [(1.0, STARTED)]}))
    assert run_table.results[0].state is RunState.STARTING


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (ExitReason.UNAUTHORIZED, "not sent: the API refused the credentials"),
        (ExitReason.QUOTA, "not sent: the account's quota is used up"),
    ],
)
def test_run_queued_after_refusal_is_not_sent(reason: ExitReason, message: str) -> None:
    """A run that is queued after the refusal has the same result as a pending one."""
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in ("a", "b")], 1000.0)
    starter = RunStarter(run_table, StartPolicy(), FakeClock(), deferred={1})
    assert_updates(starter.refuse_all(reason), [StartSettled(0)])
    assert_updates(starter.enqueue(1), [StartSettled(1)])
    assert [(run.state, run.reason, run.message) for run in run_table.results] == [
        (RunState.NOT_STARTED, reason, message)
    ] * 2
    assert not starter.is_busy


def test_start_with_taken_id_is_unknown() -> None:
    """The response to the second start names the run of the first."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in ("a", "b")], clock.time)
    starter = RunStarter(run_table, StartPolicy(), clock)
    starter.dispatch(ScriptedWorkers(clock, {0: [(1.0, STARTED)], 1: [(1.0, STARTED)]}))
    updates = [starter.handle_result(StartFinished(index, STARTED)) for index in (0, 1)]
    run = run_table.results[1]
    assert (run.state, run.reason, run.http_status) == (RunState.UNKNOWN, ExitReason.UNKNOWN, 200)
    assert (run.message, run.suggestion) == ("the API returned another run of this step: r", HINT_MAY_HAVE_STARTED)
    warning = WarningIssued(f"b: {run.message}. The run may have started.")
    assert_updates(updates[0], [StartSettled(0)])
    assert_updates(updates[1], [warning, StartSettled(1)])


def test_retry_with_id_of_failed_run_is_error() -> None:
    """The response to the retry names the run that failed."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "a"))], clock.time)
    starter = RunStarter(run_table, StartPolicy(), clock)
    workers = ScriptedWorkers(clock, {0: [(1.0, STARTED)]})
    starter.dispatch(workers)
    starter.handle_result(StartFinished(0, STARTED))
    run_table.finish(0, RunState.FAILED, ExitReason.FAILED, "failed")
    run_table.begin_retry(0)
    starter.enqueue(0)
    starter.dispatch(workers)
    starter.handle_result(StartFinished(0, STARTED))
    run = run_table.results[0]
    assert (run.state, run.reason, run.run_id, run.http_status) == (RunState.FAILED, ExitReason.FAILED, "r", 200)
    assert run.message == (
        "retry not started: the API returned the id of the failed attempt, so a retry may not have started"
    )


def test_endless_rate_limit_ends_job() -> None:
    """An endless rate limit ends the job within `give_up_after`."""
    job = Job(*[[make_rate_limit(5.0)]] * 10).run()
    assert set(job.states) == {RunState.NOT_STARTED}
    assert job.clock.time - 1000.0 <= StartPolicy().give_up_after + 2


def test_slow_rate_limit_is_awaited() -> None:
    """The limit applies to a lack of progress, not to the length of the plan."""
    job = Job(*[[make_rate_limit(20.0), STARTED]] * 30, policy=StartPolicy(concurrency=1)).run()
    assert set(job.states) == {RunState.STARTED}
    assert job.clock.time - 1000.0 > StartPolicy().give_up_after


def test_untrusted_certificate_ends_job() -> None:
    """An untrusted certificate ends the job at once."""
    job = Job([CANNOT_SEND], [STARTED], policy=StartPolicy(concurrency=1)).run()
    assert job.states == [RunState.NOT_STARTED] * 2
    assert len(job.workers.start_requests) == 1


def test_hung_start_is_unknown() -> None:
    """A start without any response ends as unknown."""
    job = Job([STARTED], [STARTED], seconds=100_000.0, policy=StartPolicy(concurrency=1, hung_after=50.0))
    job.workers.scripts = {0: [(100_000.0, STARTED)], 1: [(1.0, STARTED)]}
    assert job.run().states == [RunState.UNKNOWN, RunState.STARTED]


def test_overdue_start_is_unknown_with_hint() -> None:
    """The hint of an overdue start states that the run may have started."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "t"))], clock.time)
    starter = RunStarter(run_table, StartPolicy(hung_after=50.0), clock)
    starter.dispatch(ScriptedWorkers(clock, {0: [(60.0, STARTED)]}))
    in_flight_states = []
    for seconds in (50.0, 0.1):
        clock.time += seconds
        starter.expire_hung_requests()
        in_flight_states.append(starter.has_in_flight)
    run = run_table.results[0]
    assert in_flight_states == [True, False]
    assert (run.state, run.reason, run.message) == (RunState.UNKNOWN, ExitReason.UNKNOWN, "no response in time")
    assert (run.run_id, run.url, run.suggestion) == ("", "", HINT_MAY_HAVE_STARTED)


def test_hung_start_is_unknown_after_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that may have arrived is never reported as not sent."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "t"))], clock.time)
    starter = RunStarter(run_table, StartPolicy(hung_after=50.0), clock)
    starter.dispatch(ScriptedWorkers(clock, {0: [(60.0, STARTED)]}))
    clock.time += 50.1

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(RunTable, "finish_start", fail)
        with pytest.raises(MemoryError):
            starter.expire_hung_requests()
    starter.save_unfinished(0)
    assert run_table.results[0].state is RunState.UNKNOWN


def test_late_start_response_counts() -> None:
    """A start response after the time limit still counts."""
    job = Job([STARTED], [STARTED], policy=StartPolicy(concurrency=1, hung_after=50.0))
    job.workers.scripts = {0: [(60.0, STARTED)], 1: [(30.0, STARTED)]}
    assert job.run().states == [RunState.STARTED, RunState.STARTED]


def test_signal_stops_starts() -> None:
    """A signal stops the starts and gives each run a state."""
    job = Job(*[[STARTED]] * 4, seconds=10.0, policy=StartPolicy(concurrency=2, shutdown_grace=1.0))
    job.clock.schedule(15.0, SignalReceived(15))
    job.run()
    assert job.engine.signal_number == 15
    assert job.states == [RunState.STARTED, RunState.STARTED, RunState.UNKNOWN, RunState.UNKNOWN]
    assert {(run.reason, run.message) for run in job.run_table.results[2:]} == {
        (ExitReason.UNKNOWN, "cancelled before the response arrived")
    }
    assert job.clock.time - 1000.0 == pytest.approx(16.0)


def test_response_during_grace_counts() -> None:
    """A response during the grace period after a signal still counts."""
    job = Job([STARTED], [STARTED], seconds=10.0, policy=StartPolicy(concurrency=1, shutdown_grace=1.0))
    job.clock.schedule(9.5, SignalReceived(2))
    job.run()
    assert job.states == [RunState.STARTED, RunState.NOT_STARTED]
    assert job.reasons == [ExitReason.OK, ExitReason.CANCELLED]


def test_refusal_during_grace_is_saved() -> None:
    """A refusal during the grace period after a signal keeps its HTTP status."""
    job = Job([make_rate_limit(0.0), STARTED], seconds=10.0)
    job.clock.schedule(9.5, SignalReceived(15))
    assert job.run().states == [RunState.NOT_STARTED]
    assert job.run_table.results[0].http_status == 429


def test_signal_cancels_waiting_start() -> None:
    """A start that waits for its next request is not sent after a signal."""
    job = Job([make_rate_limit(30.0), STARTED])
    job.clock.schedule(5.0, SignalReceived(15))
    assert job.run().states == [RunState.NOT_STARTED]
    assert len(job.workers.start_requests) == 1


deliveries = st.sampled_from(
    [
        STARTED,
        NOT_FOUND,
        UNAUTHORIZED,
        QUOTA,
        INDETERMINATE,
        NOT_SENT,
        CANNOT_SEND,
        RATE_LIMITED,
        make_rate_limit(0),
        make_rate_limit(45),
    ]
)
scripts = st.lists(st.lists(deliveries, min_size=1, max_size=6), min_size=1, max_size=12)


@settings(deadline=None)
@given(scripts, st.integers(1, 5), st.booleans(), st.none() | st.floats(0, 200), st.floats(0.0, 20.0))
def test_only_unarrived_starts_are_resent(
    script: list[list[StartResult]], concurrency: int, fail_fast: bool, signal_at: float | None, seconds: float
) -> None:
    """Each run ends in a final state without repeating a request that may have arrived."""
    job = Job(*script, seconds=seconds, policy=StartPolicy(concurrency=concurrency, fail_fast=fail_fast))
    if signal_at is not None:
        job.clock.schedule(signal_at, SignalReceived(15))
    job.run()
    assert set(job.states) <= {RunState.STARTED, RunState.NOT_STARTED, RunState.UNKNOWN}
    assert len(job.listener.changed_ids) == len(set(job.listener.changed_ids)) == len(script)
    for number, responses in enumerate(script):
        sent_count = len(job.workers.list_start_times(number))
        repeated_results = [responses[min(i, len(responses) - 1)] for i in range(sent_count - 1)]
        assert all(attempt.status in {StartStatus.NOT_SENT, StartStatus.RATE_LIMITED} for attempt in repeated_results)
        assert job.run_table.results[number].start_requests == sent_count
    assert job.workers.max_parallel_starts <= concurrency
    if signal_at is None:
        assert_states_match_responses(job, dict(enumerate(script)))


def assert_states_match_responses(job: Job, script: Mapping[int, list[StartResult]]) -> None:
    for number, responses in script.items():
        sent_count = len(job.workers.list_start_times(number))
        if sent_count:
            last_status = responses[min(sent_count - 1, len(responses) - 1)].status
            assert (job.states[number] is RunState.STARTED) == (last_status is StartStatus.STARTED)
            assert (job.states[number] is RunState.UNKNOWN) == (last_status is StartStatus.INDETERMINATE)
        else:
            assert job.states[number] is RunState.NOT_STARTED


def test_internal_error_saves_unfinished_runs() -> None:
    """A request in flight may have started a run, and a run without a request was not sent."""
    job = Job([STARTED], [STARTED], [STARTED], [STARTED])
    for index in (0, 1):
        job.run_table.mark_starting(index, 0.0)
    job.engine._starter._in_flight[0] = IN_FLIGHT
    job.run_table.finish(3, RunState.FAILED, ExitReason.FAILED, "earlier")
    before = job.run_table.results[3]
    for index in range(4):
        job.engine._starter.save_unfinished(index)
    bug_message = "the step ended because of a bug"
    assert [(run.state, run.reason, run.message) for run in job.run_table.results[:3]] == [
        (RunState.UNKNOWN, ExitReason.UNKNOWN, f"{bug_message} before the response arrived"),
        (RunState.NOT_STARTED, ExitReason.UNKNOWN, f"not sent: {bug_message}"),
        (RunState.NOT_STARTED, ExitReason.UNKNOWN, f"not sent: {bug_message}"),
    ]
    assert job.run_table.results[3] == before
    assert job.listener.changed_ids == []


def test_internal_error_restores_failed_run() -> None:
    """A failed run whose retry was not sent keeps its result."""
    job = Job([STARTED], [STARTED])
    for index in (0, 1):
        job.run_table.finish_start(index, STARTED._replace(run_id=f"r{index}"), "", 1.0)
        job.run_table.finish(index, RunState.FAILED, ExitReason.FAILED, "failed")
        job.run_table.begin_retry(index)
    job.run_table.mark_starting(1, 0.0)
    job.engine._starter._in_flight[1] = IN_FLIGHT
    for index in (0, 1):
        job.engine._starter.save_unfinished(index)
    assert [(run.state, run.run_id, len(run.previous_attempts)) for run in job.run_table.results] == [
        (RunState.FAILED, "r0", 0),
        (RunState.UNKNOWN, "", 1),
    ]


def test_cancelled_retries_are_restored() -> None:
    """Failed runs have their result again as soon as their retries are cancelled."""
    runs = [RunResult(RunRequest(TargetKind.TEST, name), RunState.FAILED, run_id=name) for name in "ab"]
    run_table = RunTable(runs, 1000.0)
    starter = RunStarter(run_table, StartPolicy(), FakeClock())
    for index in (0, 1):
        run_table.begin_retry(index)
        assert starter.enqueue(index) == []
    assert_updates(starter.cancel_pending(ExitReason.CANCELLED, "cancelled"), [StartSettled(0), StartSettled(1)])
    assert [(run.state, run.run_id, run.message) for run in run_table.results] == [
        (RunState.FAILED, name, "retry not started: cancelled") for name in "ab"
    ]


def test_start_event_has_plan_index() -> None:
    """The event of a start has the plan index of its run."""
    assert StartFinished(3, STARTED).plan_index == 3


def test_run_added_after_refusal_is_unsent() -> None:
    """Refused credentials stop retries and late runs too."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in range(2)], clock.time)
    workers = ScriptedWorkers(clock, {0: [(1.0, UNAUTHORIZED)], 1: [(1.0, STARTED)]})
    starter = RunStarter(run_table, StartPolicy(), clock, deferred=[1])
    updates = starter.dispatch(workers)
    updates += starter.handle_result(clock.wait_for_event(queue.SimpleQueue(), 5.0))
    updates += starter.enqueue(1)
    updates += starter.dispatch(workers)
    assert [request.run_index for request in workers.start_requests] == [0]
    assert [run.state for run in run_table.results] == [RunState.NOT_STARTED] * 2
    assert {run.reason for run in run_table.results} == {ExitReason.UNAUTHORIZED}
    assert_updates(updates, [StartSettled(0), StartSettled(1)])


def test_run_added_after_fail_fast_is_unsent() -> None:
    """With fail-fast, a run that is added after a failure is not sent."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in range(2)], clock.time)
    workers = ScriptedWorkers(clock, {0: [(1.0, NOT_FOUND)], 1: [(1.0, STARTED)]})
    starter = RunStarter(run_table, StartPolicy(fail_fast=True), clock, deferred=[1])
    starter.dispatch(workers)
    starter.handle_result(clock.wait_for_event(queue.SimpleQueue(), 5.0))
    starter.enqueue(1)
    starter.dispatch(workers)
    assert [request.run_index for request in workers.start_requests] == [0]
    assert run_table.results[1].state is RunState.NOT_STARTED


@pytest.mark.parametrize("response", [RATE_LIMITED, make_rate_limit(0.0), NOT_SENT])
@pytest.mark.parametrize(("refusal", "fail_fast"), [(UNAUTHORIZED, False), (NOT_FOUND, True), (INDETERMINATE, True)])
def test_refusal_prevents_resend(refusal: StartResult, fail_fast: bool, response: StartResult) -> None:
    """A start that is in flight at a refusal is not sent again."""
    job = Job([refusal], [response, STARTED], policy=StartPolicy(concurrency=2, fail_fast=fail_fast))
    job.workers.scripts = {0: [(1.0, refusal)], 1: [(2.0, response), (1.0, STARTED)]}
    job.run()
    assert [request.run_index for request in job.workers.start_requests] == [0, 1]
    assert job.states[1] is RunState.NOT_STARTED


def run_with_previous_ids(job: Job, *ids: tuple[TargetKind, str]) -> Job:
    """Run the job with run ids of an earlier build attempt."""
    job.run_table._previous_run_ids = frozenset(ids)
    return job.run()


def test_start_with_earlier_id_is_unknown() -> None:
    """A response with the run id of an earlier attempt is stale."""
    job = run_with_previous_ids(Job([STARTED], [STARTED], [STARTED]), (TargetKind.TEST, "r1"))
    assert job.states == [RunState.STARTED, RunState.UNKNOWN, RunState.STARTED]
    run = job.run_table.results[1]
    assert (run.reason, run.run_id, run.url, run.suggestion) == (ExitReason.UNKNOWN, "", "", HINT_MAY_HAVE_STARTED)
    assert job.listener.warnings == ["t1: the API returned another run of this step: r1. The run may have started."]
    assert len(job.workers.start_requests) == 3


def test_earlier_id_of_other_kind_starts() -> None:
    """Tests, folders and tags have separate ids."""
    job = run_with_previous_ids(Job([STARTED]), (TargetKind.FOLDER, "r0"), (TargetKind.TAG, "r0"))
    assert job.states == [RunState.STARTED]


def test_previous_ids_block_only_starts() -> None:
    """Only new starts are compared with the run ids of earlier attempts."""
    run_table = RunTable([], 0.0, previous_run_ids=frozenset({(TargetKind.TEST, "r")}))
    assert not run_table.claim_start(TargetKind.TEST, "r", "")
    assert run_table.claim(TargetKind.TEST, "r")
    assert RunTable([], 0.0).claim_start(TargetKind.TEST, "r", "")


@pytest.mark.parametrize(
    ("first", "second", "is_distinct"),
    [
        (("x", ""), ("x", ""), False),
        (("x", "https://autonoma.app/run/x"), ("y", "https://autonoma.app/run/x"), False),
        (("x", "https://autonoma.app/run/y"), ("y", ""), False),
        (("x", "https://autonoma.app/run/z"), ("y", "https://autonoma.app/run/z/steps"), False),
        (("", "https://autonoma.app/page"), ("", "https://autonoma.app/page"), False),
        (("x", "https://autonoma.app/page"), ("y", "https://autonoma.app/page"), True),
        (("x", "https://autonoma.app/run/x"), ("y", "https://autonoma.app/run/y"), True),
    ],
)
def test_claim_covers_id_and_link(first: tuple[str, str], second: tuple[str, str], is_distinct: bool) -> None:
    """Two runs share neither an id nor the id in a link."""
    run_table = RunTable([], 0.0)
    assert run_table.claim(TargetKind.TEST, *first)
    assert run_table.claim(TargetKind.TEST, *second) is is_distinct
    assert run_table.claim(TargetKind.FOLDER, *second)


def test_early_signal_starts_nothing() -> None:
    """A signal before the first request is an event in the queue."""
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in range(3)], clock.time)
    workers = ScriptedWorkers(clock, {number: [(1.0, STARTED)] for number in range(3)})
    events: Events = queue.SimpleQueue()
    events.put(SignalReceived(15))
    clock.schedule(0.0, SignalReceived(15))
    engine = Engine(run_table, StartPolicy(), clock, events, RecordingListener())
    engine.run(workers)
    assert engine.signal_number == 15
    assert workers.start_requests == []
    assert {run.state for run in run_table.results} == {RunState.NOT_STARTED}


def test_unsendable_run_ends_alone() -> None:
    """One unsendable run does not stop the others after a successful connection."""
    job = Job([STARTED], [CANNOT_SEND], [STARTED], [STARTED], policy=StartPolicy(concurrency=1)).run()
    assert job.states == [RunState.STARTED, RunState.NOT_STARTED, RunState.STARTED, RunState.STARTED]


@pytest.mark.parametrize(
    "first_response", [STARTED, NOT_FOUND, INDETERMINATE, RATE_LIMITED], ids=lambda attempt: str(attempt.status)
)
def test_unsendable_run_waits_for_in_flight(first_response: StartResult) -> None:
    """Before the first response, an unsendable run pauses further starts."""
    job = Job(*[[STARTED]] * 5, policy=StartPolicy(concurrency=2))
    scripts = {number: [(1.0, STARTED)] for number in range(5)}
    scripts |= {0: [(1.0, CANNOT_SEND)], 1: [(5.0, first_response), (1.0, STARTED)]}
    job.workers = ScriptedWorkers(job.clock, scripts)
    job.run()
    assert min(job.times(number)[0] for number in (2, 3, 4)) >= 5.0
    assert job.states[0] is RunState.NOT_STARTED
    assert set(job.states[2:]) == {RunState.STARTED}


def test_all_unsendable_drops_rest() -> None:
    """The rest of the plan is dropped if all starts in flight are unsendable."""
    job = Job(*[[CANNOT_SEND]] * 9, policy=StartPolicy(concurrency=3)).run()
    assert job.states == [RunState.NOT_STARTED] * 9
    assert len(job.workers.start_requests) == 3
    assert {run.message for run in job.run_table.results[3:]} == {"not sent: no connection to the API"}


def test_temporary_failure_decides_for_rest() -> None:
    """Temporary failures are sent again before the rest of the plan is dropped."""
    scripts = {0: [CANNOT_SEND], 1: [NOT_SENT, STARTED]}
    job = Job(*(scripts.get(number, [STARTED]) for number in range(6)), policy=StartPolicy(concurrency=2)).run()
    assert job.states == [RunState.NOT_STARTED, *[RunState.STARTED] * 5]
    assert min(job.times(number)[0] for number in range(2, 6)) > job.times(1)[1]
    failed_job = Job([CANNOT_SEND], [NOT_SENT, CANNOT_SEND], [STARTED], policy=StartPolicy(concurrency=2)).run()
    assert failed_job.states == [RunState.NOT_STARTED] * 3
    assert [request.run_index for request in failed_job.workers.start_requests] == [0, 1, 1]


def test_unsendable_run_spares_other_retries() -> None:
    """An unsendable run does not prevent the retry of another run."""
    clock, updates = FakeClock(), list[Update]()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in "ab"], clock.time)
    workers = ScriptedWorkers(clock, {0: [(1.0, STARTED), (5.0, STARTED)], 1: [(1.0, STARTED), (1.0, CANNOT_SEND)]})
    starter = RunStarter(run_table, StartPolicy(concurrency=1), clock)

    def run_until(update_count: int) -> None:
        while len(updates) < update_count:
            updates.extend(starter.dispatch(workers))
            if event := clock.wait_for_event(queue.SimpleQueue(), 60.0):
                updates.extend(starter.handle_result(event))

    run_until(2)
    for position in (1, 0):
        run_table.begin_retry(position)
        starter.enqueue(position)
    run_until(4)
    assert [run.state for run in run_table.results] == [RunState.STARTED, RunState.FAILED]
    assert run_table.results[1].message.startswith("retry not started")


# Starts without a connection


def test_signal_withdraws_unconnected_start() -> None:
    """A signal withdraws a start that has no connection yet."""
    job = Job(*[[STARTED]] * 3, seconds=10.0, policy=StartPolicy(concurrency=2, shutdown_grace=1.0))
    job.workers.connecting_indexes = {1}
    job.clock.schedule(5.0, SignalReceived(15))
    job.run()
    assert job.states == [RunState.UNKNOWN, RunState.NOT_STARTED, RunState.NOT_STARTED]
    assert job.reasons == [ExitReason.UNKNOWN, ExitReason.CANCELLED, ExitReason.CANCELLED]
    assert {run.message for run in job.run_table.results[1:]} == {"not sent: the job was cancelled"}


def test_overdue_unconnected_is_not_started() -> None:
    """An overdue start without a connection counts as not started."""
    job = Job([STARTED], [STARTED], seconds=100_000.0, policy=StartPolicy(concurrency=1, hung_after=50.0))
    job.workers.connecting_indexes = {0}
    job.workers.scripts = {0: [(100_000.0, STARTED)], 1: [(1.0, STARTED)]}
    assert job.run().states == [RunState.NOT_STARTED, RunState.STARTED]
    run = job.run_table.results[0]
    assert (run.reason, run.message, run.suggestion) == (ExitReason.API, "not sent: no connection in time", "")


def test_withdrawn_start_is_never_resent() -> None:
    """A withdrawn start is not sent again when its thread returns."""
    job = Job([NOT_SENT], [STARTED], policy=StartPolicy(concurrency=1, hung_after=50.0))
    job.workers.connecting_indexes = {0}
    job.workers.scripts = {0: [(60.0, NOT_SENT), (1.0, STARTED)], 1: [(30.0, STARTED)]}
    assert job.run().states == [RunState.NOT_STARTED, RunState.STARTED]
    assert [request.run_index for request in job.workers.start_requests] == [0, 1]
