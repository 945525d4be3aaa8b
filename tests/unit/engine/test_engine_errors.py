"""A bug in the engine's thread while starts are in flight."""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import RunStarter, StartPolicy
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, RecordingListener, ScriptedWorkers
from tests.support.fault_server import FaultServer
from tests.support.faults import delay, send_started_run
from tests.support.github_job import run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STARTED = StartResult(StartStatus.STARTED, run_id="r", url="https://autonoma.app/page", http_status=200)
IDS = [f"t{number}" for number in range(8)]


class FailingListener(RecordingListener):
    """Fail after a number of successful calls."""

    def __init__(self, successful_calls: int) -> None:
        super().__init__()
        self._successful_calls = successful_calls

    def on_run_changed(self, outcome: RunResult) -> None:
        super().on_run_changed(outcome)
        if len(self.changed_runs) > self._successful_calls:
            raise KeyError("a bug")


def make_engine(
    listener: RecordingListener, scripts: dict[int, list[tuple[float, StartResult]]]
) -> tuple[Engine, RunTable, FakeClock]:
    clock = FakeClock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in scripts], clock.time)
    policy = StartPolicy(concurrency=4, hung_after=30.0, shutdown_grace=1.0)
    engine = Engine(run_table, policy, clock, queue.SimpleQueue(), listener)
    return engine, run_table, clock


@pytest.mark.parametrize("successful_calls", [0, 1, 3])
def test_bug_between_responses_loses_no_id(successful_calls: int) -> None:
    """The engine waits for the starts in flight although the bug occurs for each."""
    scripts = {number: [(1.0 + number, STARTED)] for number in range(8)}
    engine, run_table, clock = make_engine(FailingListener(successful_calls), scripts)
    workers = ScriptedWorkers(clock, scripts)
    with pytest.raises(KeyError, match="a bug"):
        engine.run(workers)
    sent_indexes = {request.run_index for request in workers.start_requests}
    assert len(sent_indexes) == successful_calls + 4
    for number, run in enumerate(run_table.results):
        if number in sent_indexes:
            assert (run.state, run.run_id) == (RunState.STARTED, f"r{number}")
        else:
            assert (run.state, run.reason, run.start_requests) == (RunState.NOT_STARTED, ExitReason.UNKNOWN, 0)
            assert run.message == "not sent: the step ended because of a bug"


def test_bug_with_missing_response_is_unknown() -> None:
    """A start without a response in time may have arrived and is never sent again."""
    scripts = {
        0: [(1.0, STARTED)],
        1: [(1000.0, STARTED)],
        2: [(2.0, StartResult(StartStatus.NOT_SENT, ExitReason.API))],
    }
    engine, run_table, clock = make_engine(FailingListener(0), scripts)
    workers = ScriptedWorkers(clock, scripts)
    with pytest.raises(KeyError):
        engine.run(workers)
    assert [run.state for run in run_table.results] == [RunState.STARTED, RunState.UNKNOWN, RunState.NOT_STARTED]
    assert clock.time == 1000.0 + 1.0 + 30.0
    assert len(workers.start_requests) == 3


def test_signal_after_bug_shortens_wait() -> None:
    """A signal after a bug shortens the wait for responses."""
    scripts = {0: [(1.0, STARTED)], 1: [(1000.0, STARTED)]}
    engine, run_table, clock = make_engine(FailingListener(0), scripts)
    clock.schedule(5.0, SignalReceived(15))
    with pytest.raises(KeyError):
        engine.run(ScriptedWorkers(clock, scripts))
    assert run_table.results[1].state is RunState.UNKNOWN
    assert clock.time == 1000.0 + 5.0 + 1.0


@pytest.mark.parametrize("method_name", ["_apply_result", "_check_distinct_run", "_finish"])
def test_bug_within_response_keeps_its_id(method_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response that causes the error is saved too."""
    scripts = {number: [(1.0 + number, STARTED)] for number in range(3)}
    engine, run_table, clock = make_engine(RecordingListener(), scripts)
    original_method, calls = getattr(RunStarter, method_name), list[int]()

    def fail(self: RunStarter, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise MemoryError
        return original_method(self, *arguments)

    monkeypatch.setattr(RunStarter, method_name, fail)
    with pytest.raises(MemoryError):
        engine.run(ScriptedWorkers(clock, scripts))
    assert [(run.state, run.run_id) for run in run_table.results] == [(RunState.STARTED, f"r{n}") for n in range(3)]


def test_repeated_bug_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine ends even if saving the results fails too."""
    scripts = {number: [(1.0 + number, STARTED)] for number in range(3)}
    engine, _, clock = make_engine(FailingListener(0), scripts)

    def fail(*_: object) -> None:
        raise MemoryError

    for name in ("save_result", "save_unfinished"):
        monkeypatch.setattr(RunStarter, name, fail)
    with pytest.raises(KeyError):
        engine.run(ScriptedWorkers(clock, scripts))
    assert clock.time <= 1000.0 + 31.0


def build_failing_callback(number: int) -> Callable[[ProgressReporter, RunResult], None]:
    lock, calls = threading.Lock(), list[int]()

    def on_run_changed(self: ProgressReporter, outcome: RunResult) -> None:
        with lock:
            calls.append(1)
        if len(calls) == number:
            raise KeyError("a bug")

    return on_run_changed


def test_job_with_bug_reports_all_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bug, results.json and the outputs have the id of each started run."""
    monkeypatch.setattr(ProgressReporter, "on_run_changed", build_failing_callback(1))
    scripts = {name: [delay(0.3 * (number > 0), send_started_run)] for number, name in enumerate(IDS)}
    with FaultServer(send_started_run, scripts) as server:
        job = run_job(tmp_path, server.url, IDS, "--concurrency", "8")
        posts = server.post_counts
    assert job.code == 70
    assert "bug in autonoma-ci, not in your tests" in job.errors
    assert set(posts) == set(IDS)
    for run in job.results_json["runs"]:
        assert (run["state"], run["run_id"]) == ("started", f"run-of-{run['id']}")
    results = json.loads(job.outputs["results"])
    assert [result["run_id"] for result in results] == [f"run-of-{name}" for name in IDS]
    assert (job.results_json["exit_code"], job.results_json["conclusion"]) == (70, "error")
