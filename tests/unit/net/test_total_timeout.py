"""Tests of the total timeout of a request, on a fake clock."""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net import connection, total_timeout
from autonoma_ci.net.connection import TrackedHTTPConnection
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import RequestNotSentError
from autonoma_ci.net.total_timeout import Deadlines, abort_connection, limit_total_time
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import hang

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    for module in (connection, total_timeout):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Record the threads of the deadlines, which are measured by coverage as threads of `threading`."""
    created_threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        def run() -> None:
            with suppress(SystemExit):
                work()

        created_threads.append(threading.Thread(target=run, daemon=True))
        created_threads[-1].start()

    monkeypatch.setattr(total_timeout, "start_thread", start)
    return created_threads


@pytest.fixture
def deadlines(
    clock: FakeClock, threads: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deadlines]:
    """Provide the deadlines of all requests, whose thread ends with the test."""
    created_deadlines = Deadlines()
    for module in (connection, total_timeout):
        monkeypatch.setattr(module, "deadlines", created_deadlines)
    yield created_deadlines
    if threads:
        # The deadlines suppress errors but not SystemExit.
        created_deadlines.add(-LONG, sys.exit)
        threads[-1].join(LONG)
        assert not threads[-1].is_alive()


@pytest.fixture(autouse=True)
def _reset_state() -> Iterator[None]:
    connection_state.reset()
    yield
    connection_state.reset()


def run_expired(deadlines: Deadlines) -> None:
    """Wait until the thread has called all functions whose time is over."""
    was_called = threading.Event()
    # Earlier than all others, so that the thread wakes up although the fake clock has advanced.
    deadlines.add(-LONG, was_called.set)
    assert was_called.wait(LONG)


def open_connection(server: FaultServer) -> TrackedHTTPConnection:
    """Send a request on a new connection."""
    http_connection = TrackedHTTPConnection("127.0.0.1", server.port, timeout=LONG)
    http_connection.request("GET", "/run/a/status")
    return http_connection


def is_open(http_connection: TrackedHTTPConnection) -> bool:
    """Return whether neither side has ended a connection without data."""
    http_connection.sock.settimeout(0.01)
    try:
        return http_connection.sock.recv(1) != b""
    except TimeoutError:
        return True


# Deadlines


def test_deadline_is_called_at_its_time(deadlines: Deadlines, clock: FakeClock) -> None:
    """The function is called once, and not before its time."""
    calls: list[str] = []
    deadlines.add(10.0, lambda: calls.append("late"))
    clock.sleep(9.75)
    run_expired(deadlines)
    assert calls == []
    clock.sleep(0.25)
    run_expired(deadlines)
    run_expired(deadlines)
    assert calls == ["late"]


def test_expired_deadlines_are_all_called(deadlines: Deadlines, clock: FakeClock) -> None:
    """All functions whose time is over are called."""
    calls: list[int] = []
    for number in range(20):
        deadlines.add(number, lambda number=number: calls.append(number))  # type: ignore[misc]
    clock.sleep(9.0)
    run_expired(deadlines)
    assert sorted(calls) == list(range(10))


def test_removed_deadline_is_not_called(deadlines: Deadlines, clock: FakeClock) -> None:
    """A removed function is not called, and all others are."""
    calls: list[str] = []
    key = deadlines.add(10.0, lambda: calls.append("removed"))
    deadlines.add(10.0, lambda: calls.append("other"))
    deadlines.remove(key)
    clock.sleep(20.0)
    run_expired(deadlines)
    assert calls == ["other"]


def test_repeated_removal_does_nothing(deadlines: Deadlines) -> None:
    """A key can be removed after its call and more than once."""
    was_called = threading.Event()
    key = deadlines.add(0.0, was_called.set)
    assert was_called.wait(LONG)
    for unknown_key in (key, key, object()):
        deadlines.remove(unknown_key)
    run_expired(deadlines)


def test_earlier_deadline_wakes_thread(deadlines: Deadlines) -> None:
    """A new deadline does not wait for an earlier one with more time."""
    first, second = threading.Event(), threading.Event()
    deadlines.add(3600.0, first.set)
    run_expired(deadlines)
    deadlines.add(0.0, second.set)
    assert second.wait(LONG)
    assert not first.is_set()


@pytest.mark.parametrize("error", [ValueError, MemoryError, OSError])
def test_failing_deadline_ends_no_others(error: type[Exception], deadlines: Deadlines) -> None:
    """An error of a function does not stop the thread."""

    def fail() -> None:
        raise error

    deadlines.add(0.0, fail)
    run_expired(deadlines)
    run_expired(deadlines)


def test_deadlines_share_one_thread(deadlines: Deadlines, threads: list[threading.Thread]) -> None:
    """All functions run in one thread, which is not the caller's."""
    calling_threads: list[threading.Thread] = []
    deadlines.start()
    for _ in range(3):
        deadlines.add(-LONG, lambda: calling_threads.append(threading.current_thread()))
    run_expired(deadlines)
    assert len(threads) == 1
    assert calling_threads == threads * 3


def test_deadline_without_thread_is_error(
    deadlines: Deadlines, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline without a thread is not stored, and a later one tries again."""
    calls: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(total_timeout, "start_thread", raise_error(RuntimeError))
        for _ in range(2):
            with pytest.raises(RuntimeError):
                deadlines.add(0.0, lambda: calls.append("never"))
    run_expired(deadlines)
    assert calls == []


def raise_error(error: type[BaseException]) -> Callable[[object], None]:
    """Return a function that raises the error."""

    def fail(_: object) -> None:
        raise error

    return fail


# The total timeout


def test_total_timeout_limits_sending(deadlines: Deadlines, clock: FakeClock) -> None:
    """The state has the time after which nothing may be sent."""
    connection_state.connect_attempted, connection_state.surplus_bytes = True, b"x"
    with limit_total_time(5.0) as timed_out:
        assert connection_state.send_before == clock.monotonic() + 5.0
        assert (connection_state.connect_attempted, connection_state.surplus_bytes) == (False, b"")
        assert not timed_out.is_set()


def test_total_timeout_ends_request(deadlines: Deadlines, clock: FakeClock) -> None:
    """The connection is shut down when the time is over."""
    with FaultServer(hang) as server, limit_total_time(5.0) as timed_out:
        http_connection = open_connection(server)
        clock.sleep(5.0)
        run_expired(deadlines)
        assert timed_out.is_set()
        assert http_connection.sock.recv(1) == b""
        http_connection.close()


def test_request_within_timeout_continues(deadlines: Deadlines, clock: FakeClock) -> None:
    """The connection stays open until the time is over."""
    with FaultServer(hang) as server, limit_total_time(5.0) as timed_out:
        http_connection = open_connection(server)
        clock.sleep(4.75)
        run_expired(deadlines)
        assert not timed_out.is_set()
        assert is_open(http_connection)
        http_connection.close()


def test_total_timeout_without_connection(deadlines: Deadlines, clock: FakeClock) -> None:
    """A timeout before the connection only sets the event."""
    with limit_total_time(5.0) as timed_out:
        clock.sleep(5.0)
        run_expired(deadlines)
        assert timed_out.is_set()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_total_timeout_ends_with_block(
    error: type[BaseException] | None, deadlines: Deadlines, clock: FakeClock
) -> None:
    """After the block, the timeout ends no later request, and errors are passed on."""
    caught: BaseException | None = None
    try:
        with limit_total_time(5.0) as timed_out:
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        caught = raised
    clock.sleep(10.0)
    run_expired(deadlines)
    assert not timed_out.is_set()
    assert type(caught) is (error or type(None))


def test_total_timeout_ends_own_request_only(deadlines: Deadlines, clock: FakeClock) -> None:
    """The timeout of one thread leaves the request of another thread."""

    def expire(server: FaultServer) -> tuple[bool, bytes]:
        with limit_total_time(5.0) as timed_out:
            own_connection = open_connection(server)
            clock.sleep(5.0)
            run_expired(deadlines)
            with own_connection.sock:
                return timed_out.is_set(), own_connection.sock.recv(1)

    with FaultServer(hang) as server, ThreadPoolExecutor(1) as pool:
        other_connection = open_connection(server)
        assert pool.submit(expire, server).result(LONG) == (True, b"")
        assert is_open(other_connection)
        other_connection.close()


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_request_without_thread_is_not_sent(
    error: type[Exception], deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a thread for the timeout, the block is not entered."""
    monkeypatch.setattr(total_timeout, "start_thread", raise_error(error))
    has_entered = False
    with pytest.raises(RequestNotSentError, match="no thread could be started") as caught, limit_total_time(5.0):
        has_entered = True
    assert (has_entered, caught.value.retryable, caught.value.__suppress_context__) == (False, True, True)
    assert "ulimit -u" in caught.value.hint


# The end of a connection


def test_abort_needs_no_connection() -> None:
    """The state of a thread without a connection does not change."""
    abort_connection({})
    abort_connection({"connection": None})
    abort_connection({"connection": TrackedHTTPConnection("127.0.0.1", 9)})
    assert connection_state.send_before == inf


def test_abort_of_closed_connection_does_nothing() -> None:
    """A connection that its thread has closed meanwhile causes no error."""
    state = connection_state.reset()
    with FaultServer(hang) as server:
        http_connection = open_connection(server)
        http_connection.close()
        abort_connection(state)
        assert http_connection.sock is None


def test_abort_ends_wait_of_other_thread() -> None:
    """A thread that waits for a response is woken up."""
    states: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()

    def wait(server: FaultServer) -> bytes:
        state = connection_state.reset()
        http_connection = open_connection(server)
        states.put(state)
        with http_connection.sock:
            return http_connection.sock.recv(1)

    with FaultServer(hang) as server, ThreadPoolExecutor(1) as pool:
        received = pool.submit(wait, server)
        abort_connection(states.get(timeout=LONG))
        assert received.result(LONG) == b""
