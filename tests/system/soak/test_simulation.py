"""Test a short simulation and its detection of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollResult, PollStatus, StartResult, StartStatus
from autonoma_ci.engine import details
from autonoma_ci.engine.poller import Poller
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.models import RunState
from tests.system.soak.api_faults import POLL_FAULTS, START_FAULTS
from tests.system.soak.simulation import FAULT_RATE, Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.engine.updates import RunEnded

RUNS = 300


@pytest.mark.parametrize("seed", range(3))
def test_simulation_loses_no_run(seed: int) -> None:
    """No run is lost or started twice."""
    result = simulate(seed, RUNS)
    assert result.check.errors == []
    assert result.states.total() == RUNS


def test_one_exchange_in_ten_fails() -> None:
    """One exchange in ten fails, and each kind of fault occurs."""
    ground_truth = simulate(2, 2000).simulation.ground_truth
    assert ground_truth.faults.total() / ground_truth.exchanges.total() == pytest.approx(FAULT_RATE, rel=0.1)
    fault_names = {f"start: {name}" for name in START_FAULTS} | {f"poll: {name}" for name in POLL_FAULTS}
    assert fault_names <= set(ground_truth.faults)


def test_same_seed_gives_same_result() -> None:
    """The seed alone decides the result."""
    first, same, different = (simulate(seed, 100) for seed in (7, 7, 8))
    assert first.simulation.ground_truth.starts == same.simulation.ground_truth.starts
    assert (first.states, first.seconds) == (same.states, same.seconds)
    assert first.seconds != different.seconds


def to_rate_limited(attempt: StartResult) -> StartResult:
    return attempt._replace(status=StartStatus.RATE_LIMITED) if attempt.status is StartStatus.INDETERMINATE else attempt


def to_rejected(attempt: StartResult) -> StartResult:
    return attempt._replace(status=StartStatus.REJECTED) if attempt.status is StartStatus.INDETERMINATE else attempt


def to_wrong_id(attempt: StartResult) -> StartResult:
    return attempt._replace(run_id=attempt.run_id and "run-0")


@pytest.mark.parametrize(
    ("change_result", "message"),
    [(to_rate_limited, "was sent again"), (to_rejected, "may have arrived"), (to_wrong_id, "was started, and is lost")],
)
def test_wrong_start_result_is_error(
    change_result: Callable[[StartResult], StartResult], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that misreports a start request is detected."""
    start = AutonomaClient.start
    monkeypatch.setattr(AutonomaClient, "start", lambda self, request: change_result(start(self, request)))
    assert any(message in text for text in simulate(1, RUNS).check.errors)


def test_false_pass_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is reported as passed without a pass is detected."""
    original_poll = AutonomaClient.poll_status

    def report_pass(self: AutonomaClient, *arguments: Any) -> PollResult:
        result = original_poll(self, *arguments)
        return result._replace(status=PollStatus.PASSED) if result.status is PollStatus.UNRECOGNIZED else result

    monkeypatch.setattr(AutonomaClient, "poll_status", report_pass)
    assert any("called passed" in text for text in simulate(1, RUNS).check.errors)


def test_forgotten_attempt_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed attempt that is missing from the report is detected."""
    begin_retry = RunTable.begin_retry

    def drop_attempts(self: RunTable, index: int) -> None:
        begin_retry(self, index)
        self.results[index] = self.results[index]._replace(previous_attempts=())

    monkeypatch.setattr(RunTable, "begin_retry", drop_attempts)
    assert any("is lost" in text for text in simulate(1, RUNS).check.errors)


def test_unreported_run_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a final state is detected."""
    end_run = Poller._end

    def end_without_state(self: Poller, index: int, state: RunState, *arguments: Any) -> RunEnded:
        return end_run(self, index, RunState.STARTED if state is RunState.STOPPED else state, *arguments)

    monkeypatch.setattr(Poller, "_end", end_without_state)
    assert any("ends as started" in text for text in simulate(1, RUNS).check.errors)


def test_missed_deadline_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that exceeds its deadline is detected."""
    monkeypatch.setattr(details, "_MAX_SILENCE_SECONDS", 600.0)
    monkeypatch.setattr(details.DetailsFetcher, "cancel", lambda self: [])
    monkeypatch.setattr(Simulation, "fetch_details", lambda self, *arguments, **media: None)
    assert any("after the deadline" in text for text in simulate(1, RUNS).check.errors)
