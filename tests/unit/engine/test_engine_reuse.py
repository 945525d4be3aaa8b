"""The engine with confirmations of earlier passes that hang."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from autonoma_ci.api.models import PollResult, PollStatus, StartResult, StartStatus
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, RecordingListener, ScriptedRun, ScriptedWorkers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class HangingConfirmations(ScriptedWorkers):
    """Workers whose polls of earlier runs get no response."""

    def __init__(
        self,
        clock: FakeClock,
        scripts: Mapping[int, Sequence[tuple[float, StartResult]]],
        runs: Mapping[int, Sequence[ScriptedRun]] | None = None,
    ) -> None:
        super().__init__(clock, scripts, runs)
        # The indexes of the polled earlier runs.
        self.confirmed_indexes: list[int] = []

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        if run_id.startswith("earlier"):
            self.confirmed_indexes.append(index)
        else:
            super().poll(index, request, run_id, request_number)


def make_engine(clock: FakeClock, run_table: RunTable, run_ids: Mapping[int, str]) -> Engine:
    """Return an engine that has to confirm these earlier runs, by index."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    return Engine(run_table, StartPolicy(), clock, events, RecordingListener(), PollPolicy(), passed_runs=run_ids)


def test_hanging_confirmation_is_abandoned() -> None:
    """A hanging thread delays the step by at most 45 seconds."""
    clock = FakeClock()
    scripts = {0: [(0.1, StartResult(StartStatus.STARTED, run_id="r", http_status=200))]}
    workers = HangingConfirmations(clock, scripts, {0: [ScriptedRun(lambda _: PollResult(PollStatus.PASSED))]})
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, "a"))], clock.time)
    engine = make_engine(clock, run_table, {0: "earlier-a"})
    started_at = clock.time
    engine.run(workers)
    assert workers.confirmed_indexes == [0]
    [sent_at] = workers.list_start_times(0)
    assert 45 <= sent_at - started_at < 46
    [run] = run_table.results
    assert (run.state, run.reused) == (RunState.PASSED, False)


def test_confirmations_are_limited() -> None:
    """At most eight confirmations are under way at once."""
    clock = FakeClock()
    workers = HangingConfirmations(clock, {})
    requests = [RunRequest(TargetKind.TEST, f"t{number}") for number in range(30)]
    run_table = RunTable(map(RunResult, requests), clock.time)
    engine = make_engine(clock, run_table, {number: f"earlier-{number}" for number in range(30)})
    engine._pass_confirmer.claim_candidates()
    engine._pass_confirmer.dispatch(workers)
    assert workers.confirmed_indexes == list(range(8))


def test_reused_run_leaves_its_place_to_retry() -> None:
    """The retry budget is about runs of this step, and a reused run is none of them."""
    clock, started = FakeClock(), StartResult(StartStatus.STARTED, http_status=200)
    passes, fails = (
        ScriptedRun(lambda _: PollResult(PollStatus.PASSED)),
        ScriptedRun(lambda _: PollResult(PollStatus.FAILED)),
    )
    workers = ScriptedWorkers(clock, {0: [(0.1, started)], 1: [(0.1, started)]}, {0: [passes], 1: [fails, fails]})
    requests = [RunRequest(TargetKind.TEST, name, retries=3) for name in ("a", "b")]
    run_table = RunTable(map(RunResult, requests), clock.time)
    engine = Engine(
        run_table,
        StartPolicy(retry_budget=0),
        clock,
        queue.SimpleQueue(),
        RecordingListener(),
        PollPolicy(),
        passed_runs={0: "earlier-a"},
    )
    engine.run(workers)
    assert [run.state for run in run_table.results] == [RunState.PASSED, RunState.FAILED]
    assert run_table.results[0].reused
    assert (len(workers.list_start_times(0)), len(workers.list_start_times(1))) == (0, 2)
