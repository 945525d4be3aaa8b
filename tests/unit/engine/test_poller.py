"""Polls of started runs, on a fake clock."""

from __future__ import annotations

import itertools
import math
import queue
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, StartResult, StartStatus
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy, PollState
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.engine.workers import SignalReceived, StartFinished
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, RunStep, TargetKind
from autonoma_ci.startup import DebugLogger
from tests.support.fake_clock import FakeClock, RecordingListener, ScriptedRun, ScriptedWorkers, SentRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.engine.evidence import EvidencePolicy

# The link names no run because each start gets its own id.
STARTED = StartResult(StartStatus.STARTED, url="https://autonoma.app/page", http_status=200)
RUNNING, PASSED, FAILED = (
    PollResult(PollStatus.RUNNING, "running"),
    PollResult(PollStatus.PASSED),
    PollResult(PollStatus.FAILED),
)
STOPPED = PollResult(PollStatus.STOPPED, "cancelled")
UNRECOGNIZED = PollResult(PollStatus.UNRECOGNIZED, "zzz", "the response has an unknown status: 'zzz'")
MISSING = PollResult(PollStatus.NOT_FOUND, message="HTTP 404", http_status=404)
UNAUTHORIZED = PollResult(PollStatus.UNAUTHORIZED, message="HTTP 401", http_status=401)
RATE_LIMITED = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429)
UNAVAILABLE = PollResult(PollStatus.UNAVAILABLE, message="HTTP 500", http_status=500)
STEP = RunStep(4, "Check the result", "Expected a confirmation", "https://shop.test/done")


def status_by_age(*parts: tuple[float, PollResult], last: PollResult) -> Callable[[float], PollResult]:
    """Return a function from the age of a run in seconds to its status.

    Args:
        parts: Each status with the age at which it ends.
        last: The status after all parts.
    """
    return lambda age: next((status for until, status in parts if age < until), last)


def make_run(seconds: float, end: PollResult = PASSED, delay: float = 0.05) -> ScriptedRun:
    """Make a run that ends after some seconds."""
    return ScriptedRun(status_by_age((seconds, RUNNING), last=end), delay)


class Job:
    """Run a plan against scripted runs.

    Args:
        runs: For each plan entry, the runs that its starts create in turn.
    """

    def __init__(
        self,
        *runs: ScriptedRun | Sequence[ScriptedRun],
        poll_policy: PollPolicy | None = None,
        policy: StartPolicy | None = None,
        starts: Mapping[int, Sequence[tuple[float, StartResult]]] | None = None,
        kind: TargetKind = TargetKind.TEST,
        evidence_policy: EvidencePolicy | None = None,
        retries: int = 0,
        run_timeout: float | None = None,
    ) -> None:
        self.clock = FakeClock()
        runs_by_index = {index: [run] if isinstance(run, ScriptedRun) else run for index, run in enumerate(runs)}
        scripts = {index: [(0.1, STARTED)] for index in runs_by_index} | dict(starts or {})
        self.workers = ScriptedWorkers(self.clock, scripts, runs_by_index)
        self.listener = RecordingListener()
        self.poll_policy = poll_policy or PollPolicy()
        requests = [
            RunRequest(kind, f"t{index}", retries=retries, run_timeout_seconds=run_timeout) for index in runs_by_index
        ]
        self.run_table = RunTable(map(RunResult, requests), self.clock.time)
        self.engine = Engine(
            self.run_table,
            policy or StartPolicy(concurrency=64),
            self.clock,
            queue.SimpleQueue(),
            self.listener,
            self.poll_policy,
            evidence_policy,
        )

    def run(self) -> Job:
        self.engine.run(self.workers)
        return self

    @property
    def seconds(self) -> float:
        return self.clock.time - 1000.0

    @property
    def states(self) -> list[RunState]:
        return [outcome.state for outcome in self.run_table.results]

    @property
    def first(self) -> RunResult:
        return self.run_table.results[0]

    def polls(self, index: int = 0) -> list[float]:
        return [poll.sent_at - 1000.0 for poll in self.workers.polls if poll.run_index == index]

    @property
    def code(self) -> int:
        return compute_verdict(self.run_table.results, self.engine.signal_number, waits_for_results=True).exit_code


def test_passed_status_passes_run() -> None:
    """A run passes when the server reports passed."""
    job = Job(make_run(20), make_run(3)).run()
    assert job.states == [RunState.PASSED] * 2
    assert job.code == 0
    assert 20 <= job.first.duration_seconds <= 23


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [(FAILED, RunState.FAILED, 1), (STOPPED, RunState.STOPPED, 1), (PASSED, RunState.PASSED, 0)],
)
def test_final_status_sets_exit_code(end: PollResult, state: RunState, code: int) -> None:
    """Each final status has its state and exit code."""
    job = Job(make_run(20, end)).run()
    assert (job.states, job.code) == ([state], code)
    assert ("cancelled" in job.first.message) == (state is RunState.STOPPED)


def test_first_final_status_counts() -> None:
    """A status after the first final status does not count."""
    job = Job(ScriptedRun(status_by_age((10, RUNNING), (15, PASSED), last=RUNNING))).run()
    assert job.states == [RunState.PASSED]


def test_polls_overlap_starts() -> None:
    """Started runs are polled while others are still in flight."""
    slow_starts = {1: [(60.0, STARTED)]}
    job = Job(make_run(5), make_run(65), starts=slow_starts).run()
    assert [outcome.request.id for outcome in job.listener.changed_runs if outcome.state is RunState.PASSED] == [
        "t0",
        "t1",
    ]
    assert job.polls(0)[-1] < 10


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 5, 30, 90, 300, 1500])
def test_poll_pauses_follow_run_age(length: float) -> None:
    """The mean delay is at most 1 s plus 2 % of the length, with pauses of about 10 s at most."""
    delays = []
    for step in range(60):
        run_seconds = length * (0.9 + step / 300)
        job = Job(make_run(run_seconds)).run()
        delays.append(job.first.duration_seconds - run_seconds)
        pauses = [after - before for before, after in itertools.pairwise(job.polls())]
        assert all(pause <= 10.2 for pause in pauses)
        assert all(after >= before - 1e-6 for before, after in itertools.pairwise(pauses))
    assert sum(delays) / len(delays) <= 1.0 + 0.02 * length


def test_five_minute_run_poll_count() -> None:
    """A run of 300 s needs at most 60 polls, twice those of a fixed interval of 10 s."""
    assert len(Job(make_run(300)).run().polls()) <= 60


def test_benchmark_table_matches_polls() -> None:
    """The table in docs/benchmarks.md states the polls per run length without jitter."""
    text = (Path(__file__).parents[3] / "docs" / "benchmarks.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\d,]+) s \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == 7
    for length, poll_count, fixed_poll_count in rows:
        seconds = int(length.replace(",", ""))
        assert len(Job(make_run(seconds), poll_policy=PollPolicy(timeout=7200.0)).run().polls()) == int(poll_count)
        fixed_polls = Job(make_run(seconds), poll_policy=PollPolicy(timeout=7200.0, interval=10.0)).run().polls()
        assert len(fixed_polls) == int(fixed_poll_count)


def test_fixed_interval_is_used() -> None:
    """A fixed interval replaces the growing pauses."""
    job = Job(make_run(100), poll_policy=PollPolicy(interval=20.0)).run()
    assert job.polls() == pytest.approx([20 + 20.05 * n for n in range(5)], abs=0.3)


def test_poll_pauses_have_jitter() -> None:
    """Jitter prevents runs from polling at the same time."""
    job = Job(make_run(3))
    job.clock.spread_factor = 0.9
    assert job.run().polls()[0] == pytest.approx(0.1 + 0.9 * 1.7, abs=0.02)


@pytest.mark.slow
def test_many_runs_poll_less_often() -> None:
    """Each of 900 runs is polled less often but at least about every ten seconds."""
    job = Job(*[make_run(60, delay=0.02)] * 900, poll_policy=PollPolicy(concurrency=32)).run()
    assert job.states == [RunState.PASSED] * 900
    assert job.workers.max_parallel_polls <= 32
    pauses = [after - before for before, after in itertools.pairwise(job.polls())]
    assert pauses[0] > 5
    assert max(pauses) <= 11


def test_last_poll_is_at_deadline() -> None:
    """The last poll is sent exactly at the deadline."""
    job = Job(make_run(599.9), poll_policy=PollPolicy(timeout=600.0)).run()
    assert job.states == [RunState.PASSED]
    assert job.polls()[-1] == pytest.approx(600.1)


def test_running_at_deadline_times_out() -> None:
    """A run that is still running at the deadline times out without further polls."""
    job = Job(make_run(10_000), make_run(5), poll_policy=PollPolicy(timeout=60.0)).run()
    assert job.states == [RunState.TIMED_OUT, RunState.PASSED]
    assert (job.first.reason, job.code) == (ExitReason.TIMEOUT, 6)
    assert max(poll.sent_at for poll in job.workers.polls) <= 1060.1
    assert job.seconds <= 61
    assert "still running" in job.first.message
    assert "autonoma-ci wait" in job.first.suggestion


@pytest.mark.parametrize(("count", "runs"), [(1, "1 run"), (2, "2 runs")])
def test_deadline_logs_number_of_runs(count: int, runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The debug log has the runs that are polled once more."""
    texts: list[str] = []
    monkeypatch.setattr(DebugLogger, "sink", texts.append)
    Job(*[make_run(10_000)] * count, poll_policy=PollPolicy(timeout=60.0)).run()
    assert f"Deadline: last poll of {runs}" in texts


def test_timeout_begins_after_last_start() -> None:
    """The timeout begins when all runs are started."""
    job = Job(
        make_run(10_000), make_run(10_000), poll_policy=PollPolicy(timeout=60.0), starts={1: [(50.0, STARTED)]}
    ).run()
    assert job.polls(0)[-1] == pytest.approx(110.0)


def test_hung_poll_does_not_delay_end() -> None:
    """A hung poll does not delay the end of the step."""
    job = Job(ScriptedRun(lambda _: PASSED, 10_000), poll_policy=PollPolicy(timeout=60.0)).run()
    assert job.states == [RunState.UNKNOWN]
    assert job.seconds <= 71
    assert job.code == 7


def test_lost_poll_is_repeated() -> None:
    """A poll without a response is repeated."""
    delays = iter([1e6])
    job = Job(make_run(100))
    run = job.workers._runs[0][0]
    job.workers._runs = {0: [run]}
    poll = job.workers.poll

    def lose_first_poll(index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        if next(delays, None) is None:
            poll(index, request, run_id, request_number)

    job.workers.poll = lose_first_poll  # type: ignore[method-assign]
    assert job.run().states == [RunState.PASSED]


@pytest.mark.parametrize("failed_poll", [UNAVAILABLE, RATE_LIMITED, UNRECOGNIZED])
def test_single_failed_polls_are_tolerated(failed_poll: PollResult) -> None:
    """Single failed polls do not end the wait."""
    job = Job(
        ScriptedRun(status_by_age((20, RUNNING), (110, failed_poll), (130, RUNNING), (220, failed_poll), last=PASSED))
    ).run()
    assert job.states == [RunState.PASSED]


@pytest.mark.parametrize("failed_poll", [UNAVAILABLE, RATE_LIMITED])
def test_lasting_poll_failures_are_unknown(failed_poll: PollResult) -> None:
    """Two minutes of failed polls end the run as unknown."""
    job = Job(ScriptedRun(status_by_age((30, RUNNING), last=failed_poll))).run()
    assert job.states == [RunState.UNKNOWN]
    assert (job.first.reason, job.code) == (ExitReason.UNKNOWN, 7)
    assert 145 <= job.seconds <= 300
    assert "HTTP" in job.first.message


def test_unavailable_run_ends_alone() -> None:
    """Failed polls of one run do not affect the others."""
    job = Job(ScriptedRun(lambda _: UNAVAILABLE), make_run(400)).run()
    assert job.states == [RunState.UNKNOWN, RunState.PASSED]


def test_unauthorized_ends_all_polls() -> None:
    """Refused credentials end the wait for all runs."""
    job = Job(ScriptedRun(status_by_age((30, RUNNING), last=UNAUTHORIZED)), make_run(1000)).run()
    assert job.states == [RunState.UNKNOWN] * 2
    assert {outcome.reason for outcome in job.run_table.results} == {ExitReason.UNAUTHORIZED}
    assert job.code == 3
    assert job.seconds < 40


def test_run_may_be_missing_after_start() -> None:
    """HTTP 404 shortly after the start does not end the run."""
    assert Job(ScriptedRun(status_by_age((25, MISSING), (60, RUNNING), last=PASSED))).run().states == [RunState.PASSED]


def test_run_missing_too_long_is_not_found() -> None:
    """A run that stays missing ends as not found."""
    job = Job(ScriptedRun(lambda _: MISSING), make_run(60)).run()
    assert job.states == [RunState.UNKNOWN, RunState.PASSED]
    assert (job.first.reason, job.code) == (ExitReason.NOT_FOUND, 4)
    assert job.polls()[-1] < 45


def test_unrecognized_status_warns_once() -> None:
    """An unrecognized status warns once and ends as unknown."""
    job = Job(
        ScriptedRun(lambda _: UNRECOGNIZED), ScriptedRun(lambda _: UNRECOGNIZED), poll_policy=PollPolicy(timeout=60.0)
    ).run()
    assert job.states == [RunState.UNKNOWN] * 2
    assert job.code == 7
    assert len(job.listener.warnings) == 1
    assert "zzz" in job.listener.warnings[0]
    assert job.polls()[-1] == pytest.approx(60.1)


def test_retry_after_pauses_all_polls() -> None:
    """Retry-After pauses the polls of all runs."""
    poll_times: list[float] = []
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429, retry_after=40.0)
    job = Job(
        ScriptedRun(status_by_age((3, limited), last=PASSED)),
        *[ScriptedRun(status_by_age((3, RUNNING), last=PASSED))] * 5,
    )
    poll_times += [poll.sent_at - 1000 for poll in job.run().workers.polls]
    rate_limited_at = job.polls()[0]
    assert all(at <= rate_limited_at + 0.1 or at >= rate_limited_at + 40 for at in poll_times)
    assert set(job.states) == {RunState.PASSED}


@pytest.mark.parametrize("runs", [1, 16, 300])
def test_long_retry_after_is_capped(runs: int) -> None:
    """Polls continue each minute and end after two minutes of rate limits."""
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429, retry_after=3600.0)
    job = Job(*[ScriptedRun(status_by_age((30, RUNNING), last=limited))] * runs).run()
    assert set(job.states) == {RunState.UNKNOWN}
    assert {run.reason for run in job.run_table.results} == {ExitReason.UNKNOWN}
    assert all("status unavailable" in run.message and "HTTP 429" in run.message for run in job.run_table.results)
    assert all(145 < run.duration_seconds < 165 for run in job.run_table.results)
    assert 150 < job.seconds < 165
    poll_times = [at for at in job.polls() if at > 30.2]
    assert all(60 <= next_at - at <= 62 for at, next_at in itertools.pairwise(poll_times))
    assert len(poll_times) <= 3


@pytest.mark.parametrize("retry_after", [None, 3600.0])
def test_rate_limited_run_ends_alone(retry_after: float | None) -> None:
    """A run that is always rate-limited does not end another run."""
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429, retry_after=retry_after)
    rate_limited_run, late_run = (
        ScriptedRun(status_by_age(last=limited)),
        ScriptedRun(status_by_age((300, UNAVAILABLE), last=PASSED)),
    )
    job = Job(rate_limited_run, late_run, starts={1: [(150.0, STARTED)]}, poll_policy=PollPolicy(interval=100.0)).run()
    assert job.states == [RunState.UNKNOWN, RunState.PASSED]


def test_brief_rate_limit_is_tolerated() -> None:
    """A brief rate limit does not end the run despite a long Retry-After."""
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429, retry_after=3600.0)
    job = Job(
        ScriptedRun(status_by_age((5, RUNNING), (6, limited), last=PASSED)), poll_policy=PollPolicy(timeout=1800.0)
    ).run()
    assert job.states == [RunState.PASSED]
    assert job.seconds < 75


def test_occasional_response_continues_polls() -> None:
    """One usable response a minute is enough to continue the polls."""
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 429", http_status=429, retry_after=50.0)
    job = Job(
        ScriptedRun(lambda age: limited if age % 60 < 30 else RUNNING if age < 590 else PASSED), make_run(20)
    ).run()
    assert job.states == [RunState.PASSED] * 2
    second_job = Job(make_run(400), *[ScriptedRun(status_by_age((395, limited), last=PASSED))] * 40).run()
    assert second_job.states[0] is RunState.PASSED


def test_rate_limits_slow_polls() -> None:
    """A rate-limiting server is polled less often."""
    regular_job = Job(*[make_run(60)] * 10).run()
    rate_limited_job = Job(*[ScriptedRun(status_by_age((60, RATE_LIMITED), last=PASSED))] * 10).run()
    assert len(rate_limited_job.workers.polls) < len(regular_job.workers.polls) / 2
    assert set(rate_limited_job.states) == {RunState.PASSED}


def test_long_retry_after_ends_at_deadline() -> None:
    """A pause beyond the deadline ends there with one last poll."""
    limited = PollResult(PollStatus.RATE_LIMITED, message="HTTP 503", http_status=503, retry_after=3600.0)
    job = Job(
        ScriptedRun(status_by_age((5, RUNNING), (20, limited), last=PASSED)), poll_policy=PollPolicy(timeout=60.0)
    ).run()
    assert job.states == [RunState.PASSED]
    assert job.polls()[-1] == pytest.approx(60.1)


def test_run_without_id_is_unknown() -> None:
    """A started run without an id ends as unknown."""
    run_table = RunTable(
        [RunResult(RunRequest(TargetKind.TEST, "t"), RunState.STARTED, url="https://autonoma.app/x")], 1000.0
    )
    clock, listener = FakeClock(), RecordingListener()
    Engine(run_table, StartPolicy(), clock, queue.SimpleQueue(), listener, PollPolicy()).run(ScriptedWorkers(clock, {}))
    assert run_table.results[0].state is RunState.UNKNOWN


def test_old_run_is_polled_at_once() -> None:
    """A run that was started long ago is polled at once."""
    clock, listener = FakeClock(), RecordingListener()
    run = RunResult(RunRequest(TargetKind.TEST, "t"), RunState.STARTED, run_id="run-0-1", start_offset_seconds=-500.0)
    run_table = RunTable([run], clock.time)
    workers = ScriptedWorkers(clock, {}, {0: [make_run(0)]})
    Engine(run_table, StartPolicy(), clock, queue.SimpleQueue(), listener, PollPolicy()).run(workers)
    assert [poll.sent_at for poll in workers.polls] == [1000.0]
    assert workers.start_requests == []
    assert run_table.results[0].state is RunState.PASSED


def test_clock_jump_loses_no_run() -> None:
    """After a suspend past the deadline, each run is polled once more."""
    job = Job(make_run(100), make_run(10_000), poll_policy=PollPolicy(timeout=600.0))
    poll_result = job.workers._runs[0][0].poll_result

    def poll_after_suspend(age: float) -> PollResult:
        if 40 < age < 60:
            job.clock.time += 5000
        return poll_result(age)

    job.workers._runs = {0: [ScriptedRun(poll_after_suspend)], 1: job.workers._runs[1]}
    assert job.run().states == [RunState.PASSED, RunState.TIMED_OUT]
    assert all(len(job.polls(index)) > 3 for index in (0, 1))


# Retries


def test_pass_on_retry_is_flaky() -> None:
    """A run that passes on retry is flaky."""
    job = Job([make_run(10, FAILED), make_run(10)], retries=1).run()
    assert (job.states, job.first.is_flaky, job.first.attempt_count, job.code) == ([RunState.PASSED], True, 2, 0)
    assert job.first.run_id == "run-0-2"
    assert [run.run_id for run in job.first.previous_attempts] == ["run-0-1"]
    assert 10 <= job.first.previous_attempts[0].duration_seconds <= 13
    assert len(job.workers.start_requests) == 2


def test_retries_are_limited() -> None:
    """A failed run is retried at most `retries` times."""
    job = Job([make_run(5, FAILED)] * 9, make_run(5), retries=3).run()
    assert job.states == [RunState.FAILED, RunState.PASSED]
    assert (len(job.workers.list_start_times(0)), len(job.workers.list_start_times(1))) == (4, 1)
    assert (job.first.attempt_count, job.code) == (4, 1)


@pytest.mark.parametrize("end", [STOPPED, UNRECOGNIZED, MISSING, UNAUTHORIZED, UNAVAILABLE])
def test_only_failed_runs_are_retried(end: PollResult) -> None:
    """No state other than failed leads to a retry."""
    job = Job([make_run(5, end), make_run(5)], poll_policy=PollPolicy(timeout=300), retries=3).run()
    assert len(job.workers.start_requests) == 1
    assert job.code != 0


def test_indeterminate_retry_is_never_resent() -> None:
    """An indeterminate retry is unknown and keeps the failed attempt."""
    indeterminate = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message="no answer came in time")
    job = Job([make_run(5, FAILED)], retries=5, starts={0: [(0.1, STARTED), (0.1, indeterminate)]}).run()
    assert job.states == [RunState.UNKNOWN]
    assert len(job.workers.start_requests) == 2
    assert [run.run_id for run in job.first.previous_attempts] == ["run-0-1"]
    assert job.code == 7


def test_rejected_retry_stays_failed() -> None:
    """A run whose retry is rejected stays failed."""
    not_found = StartResult(StartStatus.REJECTED, ExitReason.NOT_FOUND, message="HTTP 404", http_status=404)
    job = Job([make_run(5, FAILED)], retries=5, starts={0: [(0.1, STARTED), (0.1, not_found)]}).run()
    assert (job.states, job.first.reason, job.code) == ([RunState.FAILED], ExitReason.FAILED, 1)
    assert (job.first.run_id, job.first.previous_attempts) == ("run-0-1", ())
    assert "HTTP 404" in job.first.message


def test_no_retry_after_deadline() -> None:
    """A run that fails at the deadline is not retried."""
    job = Job([make_run(59.9, FAILED)], poll_policy=PollPolicy(timeout=60.0), retries=5).run()
    assert job.states == [RunState.FAILED]
    assert len(job.workers.start_requests) == 1


def test_waiting_retry_ends_at_deadline() -> None:
    """A rate-limited retry is not sent after the deadline."""
    rate_limited = StartResult(
        StartStatus.RATE_LIMITED, ExitReason.API, message="HTTP 429", http_status=429, retry_after=100.0
    )
    job = Job(
        [make_run(30, FAILED)],
        poll_policy=PollPolicy(timeout=60.0),
        retries=1,
        starts={0: [(0.1, STARTED), (0.1, rate_limited)]},
    )
    assert job.run().states == [RunState.FAILED]
    assert len(job.workers.start_requests) == 2
    assert job.seconds < 75


def test_each_run_has_its_own_retries() -> None:
    """The number of retries is that of the run's request."""
    job = Job(*[[make_run(5, FAILED)]] * 3)
    for index, run in enumerate(job.run_table.results):
        job.run_table.results[index] = run._replace(request=run.request._replace(retries=index))
    assert job.run().states == [RunState.FAILED] * 3
    assert [len(job.workers.list_start_times(index)) for index in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("budget", "retry_count"), [(None, 6), (0, 0), (1, 1), (4, 4), (6, 6), (9, 6)])
def test_retry_budget_limits_retries(budget: int | None, retry_count: int) -> None:
    """A retry above the budget is not made, and the run stays failed and says so."""
    job = Job(
        *[[make_run(5.0 + index, FAILED)] for index in range(3)],
        make_run(5),
        retries=2,
        policy=StartPolicy(concurrency=64, retry_budget=budget),
    ).run()
    assert job.states == [RunState.FAILED] * 3 + [RunState.PASSED]
    assert len(job.workers.start_requests) == 4 + retry_count
    refused = [run for run in job.run_table.results if run.message == "no retry: max-runs is reached"]
    assert len(refused) == job.engine.refused_retry_count == (0 if retry_count == 6 else min(3, 6 - retry_count))
    assert all(run.reason is ExitReason.FAILED and run.run_id for run in refused)
    assert [run.message for run in job.listener.changed_runs].count("no retry: max-runs is reached") == len(refused)
    assert job.code == 1


REFUSED = StartResult(StartStatus.REJECTED, ExitReason.NOT_FOUND, message="HTTP 404", http_status=404)


@pytest.mark.parametrize(
    ("first_retry", "later_retry_count"),
    [
        (REFUSED, 1),
        (StartResult(StartStatus.NOT_SENT, ExitReason.API, message="no connection"), 1),
        (StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message="reset"), 0),
        # The API answered with the id of the failed run, so a run may have started.
        (STARTED._replace(run_id="same"), 0),
    ],
    ids=["rejected", "not sent", "indeterminate", "same id"],
)
def test_unstarted_retry_costs_nothing(first_retry: StartResult, later_retry_count: int) -> None:
    """Only a retry that is known not to have started leaves its place to another."""
    job = Job(
        [make_run(5, FAILED)],
        [make_run(300, FAILED), make_run(5)],
        retries=1,
        policy=StartPolicy(concurrency=64, retry_budget=1, max_connect_attempts=1),
        starts={0: [(0.1, STARTED), (0.1, first_retry)]},
    )
    if first_retry.run_id:
        start = job.workers.start

        def start_same_run(index: int, request: RunRequest) -> Callable[[], bool]:
            if index or not job.workers.list_start_times(0):
                return start(index, request)
            job.workers.start_requests.append(SentRequest(job.clock.time, 0))
            job.clock.schedule(0.1, StartFinished(0, STARTED._replace(run_id="run-0-1")))
            return lambda: False

        job.workers.start = start_same_run  # type: ignore[method-assign]
    job.run()
    assert len(job.workers.list_start_times(0)) == 2
    assert len(job.workers.list_start_times(1)) == 1 + later_retry_count
    assert job.engine.refused_retry_count == 1 - later_retry_count


def test_unstarted_run_leaves_its_place_to_retry() -> None:
    """The limit is the number of runs, and an id that is unknown started none."""
    job = Job(
        [make_run(5, FAILED), make_run(5)],
        make_run(5),
        retries=1,
        policy=StartPolicy(concurrency=64, retry_budget=0),
        starts={1: [(0.1, REFUSED)]},
    ).run()
    assert job.states == [RunState.PASSED, RunState.NOT_STARTED]
    assert len(job.workers.list_start_times(0)) == 2


def test_rate_limited_retry_costs_one_run() -> None:
    """The requests that the API rejects before a retry starts cost nothing."""
    limited = StartResult(StartStatus.RATE_LIMITED, ExitReason.API, http_status=429, retry_after=1.0)
    job = Job(
        [make_run(5, FAILED), make_run(60, FAILED), make_run(5)],
        retries=2,
        policy=StartPolicy(concurrency=64, retry_budget=2),
        starts={0: [(0.1, STARTED), (0.1, limited), (0.1, limited), (0.1, STARTED)]},
    ).run()
    assert job.states == [RunState.PASSED]
    assert len(job.workers.start_requests) == 5


@pytest.mark.parametrize(("connecting", "state"), [({0}, RunState.FAILED), (set(), RunState.UNKNOWN)])
def test_unconnected_retry_ends_at_deadline(connecting: set[int], state: RunState) -> None:
    """At the deadline, the failure stands unless the retry may have arrived."""
    starts = {0: [(0.1, STARTED), (1000.0, STARTED)]}
    job = Job([make_run(30, FAILED)], poll_policy=PollPolicy(timeout=60.0), retries=1, starts=starts)
    job.workers.connecting_indexes = connecting
    assert job.run().states == [state]
    assert ("no response" in job.first.message) == (not connecting)
    assert job.seconds < 75


# Details


def test_failure_has_step_and_title() -> None:
    """A failed run has the title, failed step and duration of its details."""
    failed = make_run(10, FAILED)._replace(details=RunDetails("Checkout", STEP, 9.5))
    job = Job(failed, make_run(5)).run()
    assert (job.first.title, job.first.step, job.first.duration_seconds) == ("Checkout", STEP, 9.5)
    assert [request.run_index for request in job.workers.details_requests].count(0) == 1
    failed_run = next(outcome for outcome in job.listener.changed_runs if outcome.state is RunState.FAILED)
    assert failed_run.step == STEP


def test_pass_requests_details_once() -> None:
    """The details confirm a pass and give the title of a run without a name."""
    run = make_run(10)._replace(details=RunDetails("Checkout"))
    job = Job(run, make_run(10)._replace(details=RunDetails("Search"))).run()
    assert [outcome.display_name for outcome in job.run_table.results] == ["Checkout", "Search"]
    assert sorted(request.run_index for request in job.workers.details_requests) == [0, 1]
    named_job = Job(run)
    named_job.run_table.results[0] = named_job.first._replace(request=named_job.first.request._replace(name="Mine"))
    assert len(named_job.run().workers.details_requests) == 1
    assert named_job.first.display_name == "Mine"


def test_retry_preserves_first_failed_step() -> None:
    """The failed step of the first attempt remains after a retry."""
    failed = make_run(10, FAILED)._replace(details=RunDetails("Checkout", STEP))
    job = Job([failed, make_run(10)], retries=1).run()
    assert job.first.is_flaky
    assert (job.first.title, job.first.previous_attempts[0].step, job.first.step) == ("Checkout", STEP, None)


@pytest.mark.parametrize("delay", [0.05, 7.0, 1e6])
def test_missing_details_delay_nothing(delay: float) -> None:
    """Missing details change no result and delay the step only briefly."""
    job = Job(make_run(10, FAILED))
    explain = job.workers.fetch_details

    def fetch_slowly(index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        run = job.workers._runs[0][0]
        job.workers.created_runs[index, run_id] = (1000.0, run._replace(delay_seconds=delay))
        explain(index, request, run_id)

    job.workers.fetch_details = fetch_slowly  # type: ignore[method-assign]
    assert job.run().states == [RunState.FAILED]
    assert len(job.workers.details_requests) <= 3
    assert job.seconds <= 45
    assert [outcome.state for outcome in job.listener.changed_runs].count(RunState.FAILED) == 1


@pytest.mark.parametrize("kind", [TargetKind.FOLDER, TargetKind.TAG])
def test_only_tests_have_details(kind: TargetKind) -> None:
    """Details of folder and tag runs are not requested."""
    job = Job(make_run(10, FAILED), kind=kind).run()
    assert job.workers.details_requests == []
    assert job.states == [RunState.FAILED]
    assert job.listener.changed_runs[-1].state is RunState.FAILED


# Signals


def test_signal_stops_polls() -> None:
    """A signal stops the polls and leaves open runs in the state started."""
    job = Job(make_run(10), make_run(1000))
    job.clock.schedule(100.0, SignalReceived(15))
    assert job.run().states == [RunState.PASSED, RunState.STARTED]
    assert job.code == 143
    assert job.seconds <= 101
    assert max(poll.sent_at for poll in job.workers.polls) <= 1100


def test_signal_prevents_further_starts() -> None:
    """No further run is retried after a signal."""
    job = Job([make_run(100, FAILED)], make_run(1000), retries=3, starts={0: [(0.1, STARTED)]})
    job.clock.schedule(99.99, SignalReceived(2))
    assert len(job.run().workers.start_requests) == 2


# Properties of any plan

statuses = st.sampled_from(
    [RUNNING, PASSED, FAILED, STOPPED, UNRECOGNIZED, MISSING, UNAUTHORIZED, RATE_LIMITED, UNAVAILABLE]
)
NOT_FOUND = StartResult(StartStatus.REJECTED, ExitReason.NOT_FOUND)
NOT_SENT = StartResult(StartStatus.NOT_SENT, ExitReason.API)
LIMITED = StartResult(StartStatus.RATE_LIMITED, ExitReason.API, retry_after=20.0)
INDETERMINATE = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN)
deliveries = st.sampled_from([STARTED, STARTED, STARTED, INDETERMINATE, NOT_FOUND, LIMITED, NOT_SENT])
scripted_runs = st.builds(
    lambda parts, last, delay: ScriptedRun(status_by_age(*sorted(parts, key=lambda part: part[0]), last=last), delay),
    st.lists(st.tuples(st.floats(0, 400), statuses), max_size=4),
    statuses,
    st.floats(0.01, 60),
)
plans = st.lists(
    st.tuples(st.lists(scripted_runs, min_size=1, max_size=3), st.lists(deliveries, min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(deadline=None)
@given(
    plans,
    st.integers(0, 2),
    st.sampled_from([10.0, 120.0, 600.0]),
    st.none() | st.floats(0, 700),
    st.none() | st.integers(0, 4),
    st.sampled_from([None, 20.0, 200.0]),
)
def test_any_plan_loses_no_started_run(
    plan: list[tuple[list[ScriptedRun], list[StartResult]]],
    retries: int,
    timeout: float,
    signal_at: float | None,
    retry_budget: int | None,
    run_timeout: float | None,
) -> None:
    """Each started run has its id, and success requires the status passed for all."""
    starts = {index: [(0.2, attempt) for attempt in attempts] for index, (_, attempts) in enumerate(plan)}
    job = Job(
        *[runs for runs, _ in plan],
        poll_policy=PollPolicy(timeout=timeout),
        policy=StartPolicy(concurrency=64, retry_budget=retry_budget),
        retries=retries,
        run_timeout=run_timeout,
        starts=starts,
    )
    if signal_at is not None:
        job.clock.schedule(signal_at, SignalReceived(15))
    job.run()
    known_ids = {
        run_id
        for run in job.run_table.results
        for run_id in (run.run_id, *(attempt.run_id for attempt in run.previous_attempts))
    }
    assert {run_id for _, run_id in job.workers.created_runs} <= known_ids
    final_states = {
        RunState.PASSED,
        RunState.FAILED,
        RunState.STOPPED,
        RunState.TIMED_OUT,
        RunState.NOT_STARTED,
        RunState.UNKNOWN,
    }
    assert set(job.states) <= final_states | ({RunState.STARTED} if job.engine.signal_number else set())
    if job.code == 0:
        assert all(
            any(
                run.poll_result(age) is PASSED for age in (0, *(sent_count.sent_at for sent_count in job.workers.polls))
            )
            for runs, _ in plan
            for run in runs[-1:]
        ) or set(job.states) == {RunState.PASSED}
    deadline = job.engine._poller.deadline if job.engine._poller else 0
    assert all(poll.sent_at <= deadline + 1e-6 for poll in job.workers.polls)
    # Each retry restarts the two minutes of the starts that the API still rate-limits.
    latest_start_at = 1000.0 + 150 * (1 + retries)
    assert job.clock.time <= min(deadline, latest_start_at + timeout) + job.poll_policy.late_response_grace + 1
    if retry_budget is not None:
        assert len(job.workers.created_runs) <= len(plan) + retry_budget
    for index, (_, attempts) in enumerate(plan):
        indeterminate_count = sum(attempt.status is StartStatus.INDETERMINATE for attempt in attempts)
        sent_count = len(job.workers.list_start_times(index))
        created_count = sum(created_at == index for created_at, _ in job.workers.created_runs)
        assert created_count <= retries + 1
        assert sent_count <= len(attempts) + retries + 8 or not indeterminate_count


@pytest.mark.parametrize(("seconds", "is_over"), [(29.9, False), (30.0, True)])
def test_unknown_run_is_missing_at_limit(seconds: float, is_over: bool) -> None:
    """The limit itself is the first time at which the run is missing."""
    poll = PollState(1000.0, 1000.0)
    for _ in range(3):
        poll.record_failure(MISSING, 1000.0)
    assert poll.is_missing(1000.0 + seconds, PollPolicy(not_found_grace=30.0), math.inf) is is_over
    assert not poll.has_failed_too_long(9000.0, PollPolicy(), math.inf)


@pytest.mark.parametrize(("seconds", "is_over"), [(119.9, False), (120.0, True)])
def test_failing_polls_give_up_at_limit(seconds: float, is_over: bool) -> None:
    """The limit itself is the first time at which the polls have failed for too long."""
    poll = PollState(1000.0, 1000.0)
    for _ in range(3):
        poll.record_failure(UNRECOGNIZED, 1000.0)
    assert poll.has_failed_too_long(1000.0 + seconds, PollPolicy(give_up_after=120.0), math.inf) is is_over
