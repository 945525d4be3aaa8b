"""Check of each pass against the details of its run."""

from __future__ import annotations

import queue

import pytest

from autonoma_ci.api.models import PollStatus, RunDetails
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, RecordingListener, ScriptedRun, ScriptedWorkers
from tests.unit.engine.test_poller import FAILED, PASSED, STARTED, Job, make_run

NAMED_REQUEST = RunRequest(TargetKind.TEST, "a", "Checkout")
MATCHING_DETAILS = RunDetails("A title", status=PollStatus.PASSED)
CONTRADICTIONS = {
    "failed": RunDetails("A title", status=PollStatus.FAILED),
    "another test": RunDetails(error="another test", contradiction="the details are about another test"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_named_pass_contradicted_is_unknown(name: str) -> None:
    """A test with its own name is checked like any other."""
    job = Job(make_run(10)._replace(details=CONTRADICTIONS[name]))
    job.run_table.results[0] = job.run_table.results[0]._replace(request=NAMED_REQUEST)
    job.run()
    assert (job.first.state, job.first.reason, job.code) == (RunState.UNKNOWN, ExitReason.UNKNOWN, 7)
    assert "contradictory responses from the API" in job.first.message


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_retry_contradicted_is_unknown(name: str) -> None:
    """A retry is checked although the title is known from the first run."""
    failed = make_run(5, FAILED)._replace(details=RunDetails("A title", status=PollStatus.FAILED))
    job = Job([failed, make_run(5)._replace(details=CONTRADICTIONS[name])], retries=1).run()
    assert (job.first.state, job.first.run_id, job.code) == (RunState.UNKNOWN, "run-0-2", 7)


def run_reused_pass(details: RunDetails, *, waits_for_results: bool) -> tuple[RunResult, ScriptedWorkers]:
    """Return the result of a reused run and the workers of the step."""
    clock = FakeClock()
    workers = ScriptedWorkers(clock, {0: [(0.1, STARTED)]}, {0: [ScriptedRun(lambda _: PASSED, details=details)]})
    run_table = RunTable([RunResult(NAMED_REQUEST)], clock.time)
    poll_policy = PollPolicy() if waits_for_results else None
    engine = Engine(
        run_table,
        StartPolicy(),
        clock,
        queue.SimpleQueue(),
        RecordingListener(),
        poll_policy,
        passed_runs={0: "earlier"},
    )
    engine.run(workers)
    return run_table.results[0], workers


@pytest.mark.parametrize("waits_for_results", [True, False], ids=["wait", "no wait"])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_reused_pass_contradicted_is_unknown(name: str, waits_for_results: bool) -> None:
    """A reused pass is checked whether or not the step waits for its own runs."""
    run, workers = run_reused_pass(CONTRADICTIONS[name], waits_for_results=waits_for_results)
    assert (run.state, run.reason, run.run_id) == (RunState.UNKNOWN, ExitReason.UNKNOWN, "earlier")
    assert workers.start_requests == []


@pytest.mark.parametrize(
    ("details", "requests"), [(MATCHING_DETAILS, 1), (RunDetails("A title"), 1), (RunDetails(error="HTTP 500"), 3)]
)
def test_reused_pass_uncontradicted_counts(details: RunDetails, requests: int) -> None:
    """Missing details contradict nothing but are requested again."""
    run, workers = run_reused_pass(details, waits_for_results=True)
    assert (run.state, run.reused) == (RunState.PASSED, True)
    assert len(workers.details_requests) == requests


def test_simultaneous_passes_are_all_checked() -> None:
    """All 400 passes are checked although each request takes one second."""
    runs = [make_run(30, delay=1.0)._replace(details=MATCHING_DETAILS)] * 399
    job = Job(*runs, make_run(30, delay=1.0)._replace(details=CONTRADICTIONS["failed"])).run()
    assert {request.run_index for request in job.workers.details_requests} == set(range(400))
    assert job.states == [RunState.PASSED] * 399 + [RunState.UNKNOWN]


def test_passes_count_without_details() -> None:
    """Passes count as they are after 20 seconds without any details."""
    runs = [make_run(30, delay=0.05)] * 50
    job = Job(*runs)
    job.workers.fetch_details = lambda *args, **kwargs: None  # type: ignore[method-assign]
    assert job.run().states == [RunState.PASSED] * 50
    assert job.seconds <= 30 + 4 + 21
