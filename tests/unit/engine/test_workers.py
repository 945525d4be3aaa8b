"""Worker threads that send requests and return events."""

from __future__ import annotations

import queue
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from urllib3.connection import HTTPConnection

from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, StartResult, StartStatus, Timeouts
from autonoma_ci.ci.rest.http import RestClient, RestError
from autonoma_ci.clock import Clock
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.workers import (
    DetailsReceived,
    SignalReceived,
    StartFinished,
    StatusReceived,
    ThreadedExecutor,
)
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.net import connection, total_timeout
from autonoma_ci.net.connection_state import connection_state
from tests.support.fake_clock import RecordingListener
from tests.support.fault_server import FaultServer
from tests.support.faults import send_started_run
from tests.support.github_job import run_job
from tests.support.thread_limit import ThreadLimit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autonoma_ci.engine.workers import Events

REQUEST = RunRequest(TargetKind.TEST, "a")
# In seconds. Long because no test waits for them and a slow machine must not change a result.
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)


class FakeApi:
    """Call one function for starts and fail for other requests."""

    def __init__(self, start: Callable[[RunRequest], StartResult]) -> None:
        self.start = start

    def poll_status(self, request: RunRequest, run_id: str) -> PollResult:
        raise KeyError("a value that must not be shown")

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        return None

    def fetch_details(self, request: RunRequest, run_id: str, *, media: bool = False) -> RunDetails:
        raise KeyError("a value that must not be shown")


def test_unexpected_error_is_indeterminate() -> None:
    """An unexpected error makes the start indeterminate without showing its value."""
    events: Events = queue.SimpleQueue()

    def start(_: RunRequest) -> StartResult:
        connection_state.connection = HTTPConnection("autonoma.test")
        raise KeyError("a value that must not be shown")

    ThreadedExecutor(FakeApi(start), events).start(7, REQUEST)
    event = events.get(timeout=60)
    assert isinstance(event, StartFinished)
    assert (event.plan_index, event.result.status, event.result.reason) == (
        7,
        StartStatus.INDETERMINATE,
        ExitReason.UNKNOWN,
    )
    assert "KeyError" in event.result.message
    assert "a value" not in repr(event)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), StartStatus.NOT_SENT),
        (RuntimeError("can't start new thread"), StartStatus.NOT_SENT),
        (SystemError(), StartStatus.NOT_SENT),
        (OSError(24, "Too many open files"), StartStatus.NOT_SENT),
        (TypeError("a value that must not be shown"), StartStatus.CANNOT_SEND),
    ],
)
def test_error_before_connection_sends_nothing(error: Exception, status: StartStatus) -> None:
    """Earlier requests of the same thread do not affect the result."""
    events: Events = queue.SimpleQueue()

    def start(request: RunRequest) -> StartResult:
        if request.id == "earlier":
            connection_state.connection = HTTPConnection("autonoma.test")
            return StartResult(StartStatus.STARTED)
        raise error

    executor = ThreadedExecutor(FakeApi(start), events)
    executor.start(1, REQUEST._replace(id="earlier"))
    assert events.get(timeout=60) == StartFinished(1, StartResult(StartStatus.STARTED))
    executor.start(2, REQUEST)
    event = events.get(timeout=60)
    assert isinstance(event, StartFinished)
    assert (event.plan_index, event.result.status, event.result.reason) == (2, status, ExitReason.API)
    assert type(error).__name__ in event.result.message
    assert "a value" not in repr(event)


def test_error_in_headers_sends_nothing() -> None:
    """Without TLS, the connection opens once the headers are complete."""

    class FailingConnection(connection.TrackedHTTPConnection):
        def putrequest(self, *_: object, **__: object) -> None:
            raise MemoryError

    connection_state.reset()
    with pytest.raises(MemoryError):
        FailingConnection("127.0.0.1", 9).request("POST", "/")
    assert connection_state.connection
    assert connection_state.nothing_sent
    connection_state.reset()


def test_unexpected_poll_error_is_unavailable() -> None:
    """An unexpected error of a poll or of a request for details returns an event."""
    events: Events = queue.SimpleQueue()
    executor = ThreadedExecutor(FakeApi(lambda _: StartResult(StartStatus.STARTED)), events)
    executor.poll(7, REQUEST, "r", 3)
    assert events.get(timeout=60) == StatusReceived(
        7, "r", PollResult(PollStatus.UNAVAILABLE, message="unexpected KeyError while polling"), 3
    )
    executor.fetch_details(7, REQUEST, "r")
    assert events.get(timeout=60) == DetailsReceived(7, "r", RunDetails(error="unexpected KeyError while polling"))


def test_idle_thread_takes_next_request() -> None:
    """Sequential requests share one thread and thus one connection."""
    events: Events = queue.SimpleQueue()
    thread_ids: list[int] = []

    def start(_: RunRequest) -> StartResult:
        thread_ids.append(threading.get_ident())
        return StartResult(StartStatus.STARTED)

    executor = ThreadedExecutor(FakeApi(start), events)
    for position in range(20):
        executor.start(position, REQUEST)
        assert events.get(timeout=60) == StartFinished(position, StartResult(StartStatus.STARTED))
    assert len(set(thread_ids)) == 1


def test_requests_run_in_parallel() -> None:
    """Requests in flight do not wait for each other."""
    events: Events = queue.SimpleQueue()
    barrier = threading.Barrier(8)

    def start(_: RunRequest) -> StartResult:
        barrier.wait(60)
        return StartResult(StartStatus.STARTED)

    executor = ThreadedExecutor(FakeApi(start), events)
    for position in range(8):
        executor.start(position, REQUEST)
    results = [events.get(timeout=60) for _ in range(8)]
    assert {event.result.status for event in results if isinstance(event, StartFinished)} == {StartStatus.STARTED}


@pytest.mark.parametrize("max_threads", [2, 3, 5])
def test_few_threads_start_each_run_once(max_threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for each other if a container limits processes or memory."""
    ThreadLimit(max_threads, monkeypatch)
    ids = [f"t{number}" for number in range(12)]
    with FaultServer(send_started_run) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=LONG_TIMEOUTS)
        assert server.post_counts == dict.fromkeys(ids, 1)
    assert (job.code, set(job.states.values())) == (0, {"started"})


def test_one_thread_sends_in_engine_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadlines need the only thread because nothing is sent without them."""
    ThreadLimit(1, monkeypatch)
    with FaultServer(send_started_run) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], timeouts=LONG_TIMEOUTS)
        assert server.post_counts == {"a": 1, "b": 1}
    assert job.code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_crashed_thread_does_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runs do not wait for a thread that ended for lack of memory."""
    ThreadLimit(1, monkeypatch)
    events: Events = queue.SimpleQueue()
    sent_ids: list[str] = []

    def start(request: RunRequest) -> StartResult:
        sent_ids.append(request.id)
        if request.id == "a":
            assert connection_state.gate
            assert connection_state.gate.enter()
            raise MemoryError
        return StartResult(StartStatus.STARTED, run_id="run-of-b", url="https://autonoma.test/run/run-of-b")

    def fail(_: ThreadedExecutor, error: Exception) -> StartResult:
        raise MemoryError from error

    monkeypatch.setattr(ThreadedExecutor, "_build_error_result", fail)
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in ("a", "b")], 0.0)
    # The second start gets its response well within this time on any machine.
    policy = StartPolicy(hung_after=4.0, concurrency=2)
    Engine(run_table, policy, Clock(), events, RecordingListener(), None).run(ThreadedExecutor(FakeApi(start), events))
    assert [run.state for run in run_table.results] == [RunState.UNKNOWN, RunState.STARTED]
    assert sent_ids == ["a", "b"]


def test_events_precede_starts_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal or refusal is handled before the next start in the same thread."""
    ThreadLimit(0, monkeypatch)
    events: Events = queue.SimpleQueue()
    executor = ThreadedExecutor(FakeApi(lambda _: StartResult(StartStatus.STARTED)), events)
    assert executor.can_start()
    executor.start(1, REQUEST)
    assert not executor.can_start()
    assert events.get(timeout=60) == StartFinished(1, StartResult(StartStatus.STARTED))
    assert executor.can_start()
    events.put(SignalReceived(15))
    assert not executor.can_start()


@pytest.mark.parametrize("has_signal", [False, True])
def test_refusal_or_signal_ends_inline_starts(has_signal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without worker threads, a refusal or a signal prevents the next start."""
    ThreadLimit(0, monkeypatch)
    events: Events = queue.SimpleQueue()
    sent_ids: list[str] = []

    def start(request: RunRequest) -> StartResult:
        sent_ids.append(request.id)
        if not has_signal:
            return StartResult(StartStatus.REJECTED, ExitReason.UNAUTHORIZED, http_status=401)
        events.put(SignalReceived(15))
        return StartResult(StartStatus.STARTED, run_id="r")

    clock = Clock()
    run_table = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in "abc"], clock.monotonic())
    Engine(run_table, StartPolicy(), clock, events, RecordingListener()).run(ThreadedExecutor(FakeApi(start), events))
    assert sent_ids == ["a"]
    assert [run.state for run in run_table.results[1:]] == [RunState.NOT_STARTED] * 2


def test_can_start_while_thread_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """No start is sent that would wait behind other requests."""
    ThreadLimit(1, monkeypatch)
    events: Events = queue.SimpleQueue()
    release_event = threading.Event()

    def start(_: RunRequest) -> StartResult:
        release_event.wait(60)
        return StartResult(StartStatus.STARTED)

    executor = ThreadedExecutor(FakeApi(start), events)
    assert executor.can_start()
    executor.start(1, REQUEST)
    executor.poll(2, REQUEST, "r", 1)
    assert not executor.can_start()
    release_event.set()
    assert isinstance(events.get(timeout=60), StartFinished)
    assert isinstance(events.get(timeout=60), StatusReceived)
    assert executor.can_start()


def test_start_without_deadline_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a time limit could block the job forever."""
    ThreadLimit(0, monkeypatch)
    with FaultServer(send_started_run) as server:
        job = run_job(tmp_path, server.url, ["a"], timeouts=LONG_TIMEOUTS)
        assert server.post_counts == {}
    assert (job.code, job.states) == (5, {"a": "not-started"})
    assert "no thread could be started" in job.visible_text


@pytest.mark.slow
def test_url_check_without_deadline_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both `wait-for-url` and comments report that no thread could be created."""
    ThreadLimit(0, monkeypatch)
    environ = {"INPUT_WAIT-FOR-URL": "http://127.0.0.1:1/", "INPUT_WAIT-FOR-URL-TIMEOUT": "1s"}
    job = run_job(tmp_path, "http://127.0.0.1:1", ["a"], extra_environ=environ)
    assert (job.code, job.states) == (5, {"a": "not-started"})
    assert "no thread could be started" in job.visible_text
    with pytest.raises(RestError, match="no thread could be started"):
        RestClient("http://127.0.0.1:1", {}, Clock()).request("POST", "/", {})


def test_thread_shortage_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request has its own thread once threads can be created again."""
    limit = ThreadLimit(1, monkeypatch)
    events: Events = queue.SimpleQueue()
    barrier = threading.Barrier(4)

    def start(request: RunRequest) -> StartResult:
        if request.id == "together":
            barrier.wait(60)
        return StartResult(StartStatus.STARTED)

    executor = ThreadedExecutor(FakeApi(start), events)
    for position in range(8):
        executor.start(position, REQUEST)
    assert {events.get(timeout=60).plan_index for _ in range(8)} == set(range(8))  # type: ignore[union-attr]
    limit.max_threads = 100
    for position in range(4):
        executor.start(position, REQUEST._replace(id="together"))
    results = [events.get(timeout=60) for _ in range(4)]
    assert [event.result.status for event in results if isinstance(event, StartFinished)] == [StartStatus.STARTED] * 4


def test_deadline_ends_only_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A removed or failing deadline does not affect the others."""
    now = [time.monotonic()]
    monkeypatch.setattr(total_timeout, "time", SimpleNamespace(monotonic=lambda: now[0]))
    deadlines, result = total_timeout.Deadlines(), queue.SimpleQueue[str]()
    deadlines.add(60.0, lambda: result.put("late"))
    removed_deadline = deadlines.add(0.1, lambda: result.put("removed"))
    deadlines.remove(removed_deadline)
    deadlines.add(0.4, lambda: result.put("second"))
    deadlines.add(0.3, lambda: result.put(str(1 / 0)))
    deadlines.add(0.2, lambda: result.put("first"))
    now[0] += 0.25
    assert result.get(timeout=60) == "first"
    now[0] += 0.25
    assert result.get(timeout=60) == "second"
    assert result.empty()
