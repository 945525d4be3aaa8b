"""Tests of threads when threads or memory are limited, and of tasks in the background."""

from __future__ import annotations

import _thread
import os
import queue
import signal
import threading
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.net import threads
from autonoma_ci.net.threads import PerThread, ThreadStuckError, preallocate_threads, run_in_background, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

# In seconds. Long because no test waits for it.
LONG = 60.0


class IdleThreads(deque[threads.Tasks]):
    """The idle threads. The queue `added` gets an item for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.added: queue.SimpleQueue[None] = queue.SimpleQueue()

    def append(self, tasks: threads.Tasks) -> None:
        super().append(tasks)
        self.added.put(None)


class LimitedStarter:
    """Lets only the first `limit` starts of threads succeed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int, error: type[Exception] = RuntimeError) -> None:
        self.limit, self.count, self._error = limit, 0, error
        self._start = _thread.start_new_thread
        monkeypatch.setattr(_thread, "start_new_thread", self._start_new_thread)

    def _start_new_thread(self, work: Callable[[], None], arguments: tuple[()]) -> int:
        if self.count >= self.limit:
            raise self._error("can't start new thread")
        self.count += 1
        return self._start(work, arguments)


@pytest.fixture
def idle_threads(monkeypatch: pytest.MonkeyPatch) -> IdleThreads:
    """Replace the idle threads of the process."""
    idle_threads = IdleThreads()
    monkeypatch.setattr(threads, "_idle_threads", idle_threads)
    return idle_threads


def run_and_get_thread_id() -> int:
    """Run a task, and return the id of its thread."""
    thread_ids: queue.SimpleQueue[int] = queue.SimpleQueue()
    start_thread(lambda: thread_ids.put(threading.get_ident()))
    return thread_ids.get(timeout=LONG)


# One value for each thread


def test_value_is_created_once_per_thread() -> None:
    """Each thread has its own value, which is created at the first use."""
    created: list[int] = []

    def create() -> list[int]:
        created.append(threading.get_ident())
        return []

    values = PerThread(create)
    assert created == []
    assert values.value is values.value
    other_values: list[object] = []
    thread = threading.Thread(target=lambda: other_values.extend((values.value, values.value)))
    thread.start()
    thread.join(LONG)
    assert other_values[0] is other_values[1]
    assert other_values[0] is not values.value
    assert created == [threading.get_ident(), thread.ident]


def test_error_of_factory_is_raised() -> None:
    """The next use calls the factory again."""
    results: list[Exception | str] = [OSError("no file"), "value"]

    def create() -> str:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    values = PerThread(create)
    with pytest.raises(OSError, match="no file"):
        _ = values.value
    assert values.value == "value"


# Starts


def test_work_runs_in_other_thread(idle_threads: IdleThreads) -> None:
    """Without an idle thread, the work has its own thread, which ends with it."""
    assert run_and_get_thread_id() != threading.get_ident()
    assert not idle_threads


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_failed_start_raises_runtime_error(
    error: type[Exception], idle_threads: IdleThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both causes raise the same type of error, and the work is not done."""
    LimitedStarter(monkeypatch, 0, error)
    calls: list[str] = []
    with pytest.raises(RuntimeError, match=r"can't start new thread|no memory for a thread") as caught:
        start_thread(lambda: calls.append("work"))
    assert not isinstance(caught.value, ThreadStuckError)
    assert calls == []


def test_stuck_thread_start_raises(idle_threads: IdleThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads may lack memory to begin, and their work must not be done twice."""
    pending_work: list[Callable[[], None]] = []
    calls: list[str] = []

    def start_new_thread(work: Callable[[], None], arguments: tuple[()]) -> int:
        pending_work.append(work)
        return 1

    monkeypatch.setattr(_thread, "start_new_thread", start_new_thread)
    monkeypatch.setattr(threads, "_MAX_START_SECONDS", 0.01)
    with pytest.raises(ThreadStuckError, match="does not start"):
        start_thread(lambda: calls.append("work"))
    pending_work[0]()
    assert calls == []


def test_late_thread_start_does_work_once(idle_threads: IdleThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that begins at the last moment counts as started."""
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()

    class LateEvent(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            super().wait(LONG)
            return False

    monkeypatch.setattr(threads, "threading", SimpleNamespace(Lock=threading.Lock, Event=LateEvent))
    start_thread(lambda: calls.put("work"))
    assert calls.get(timeout=LONG) == "work"
    assert calls.empty()


# Idle threads


def test_preallocated_threads_are_reused(idle_threads: IdleThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preallocated thread takes the work if no new one can be created."""
    starter = LimitedStarter(monkeypatch, 2)
    preallocate_threads(3)
    assert (starter.count, len(idle_threads)) == (2, 2)
    release = threading.Event()
    busy_thread_ids: queue.SimpleQueue[int] = queue.SimpleQueue()
    start_thread(lambda: busy_thread_ids.put(threading.get_ident()) if release.wait(LONG) else None)
    for _ in range(2):
        idle_threads.added.get(timeout=LONG)
    reused_id = run_and_get_thread_id()
    idle_threads.added.get(timeout=LONG)
    assert run_and_get_thread_id() == reused_id
    idle_threads.added.get(timeout=LONG)
    idle_threads.clear()
    with pytest.raises(RuntimeError, match="can't start"):
        start_thread(release.set)
    release.set()
    assert busy_thread_ids.get(timeout=LONG) != reused_id
    # The thread must not be among the idle threads of later tests.
    idle_threads.added.get(timeout=LONG)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_preallocation_creates_given_count(count: int, idle_threads: IdleThreads) -> None:
    """All preallocated threads are different."""
    preallocate_threads(count)
    assert len(idle_threads) == count
    barrier = threading.Barrier(count + 1)

    def wait() -> None:
        barrier.wait(LONG)

    for _ in range(count):
        start_thread(wait)
    barrier.wait(LONG)
    for _ in range(2 * count):
        idle_threads.added.get(timeout=LONG)
    assert len(idle_threads) == count


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_failed_preallocation_is_no_error(
    error: type[Exception], idle_threads: IdleThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job starts without idle threads where none can be created."""
    LimitedStarter(monkeypatch, 0, error)
    preallocate_threads(2)
    assert not idle_threads


# Tasks in the background


def test_task_runs_in_another_thread() -> None:
    """A task returns its result or raises its error from another thread."""

    def fail() -> None:
        raise KeyError("x")

    assert run_in_background(threading.get_ident) != threading.get_ident()
    with pytest.raises(KeyError):
        run_in_background(fail)


@pytest.mark.parametrize("result", [None, False, (), "text"])
def test_result_of_task_is_returned(result: object) -> None:
    """Empty results are results too."""
    assert run_in_background(lambda: result, LONG) is result


@pytest.mark.parametrize("error", [Cancelled(15), MemoryError(), SystemExit(3), TimeoutError("of the task")])
def test_error_of_task_is_raised(error: BaseException) -> None:
    """Errors that are no Exception reach the caller too."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_in_background(fail, LONG)
    assert caught.value is error


def test_task_over_limit_times_out() -> None:
    """A task that exceeds its limit raises TimeoutError."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: release.wait(LONG), 0.05)
    release.set()


def test_long_wait_has_short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is split, because Windows handles a signal only between two calls."""
    wait_timeouts: list[float] = []

    class Results(queue.SimpleQueue[object]):
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            assert timeout is not None
            wait_timeouts.append(timeout)
            raise queue.Empty

    monkeypatch.setattr(threads, "queue", SimpleNamespace(SimpleQueue=Results, Empty=queue.Empty))
    with pytest.raises(TimeoutError):
        run_in_background(lambda: None, 1.75)
    assert wait_timeouts == [0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_task_without_time_is_abandoned(seconds: float) -> None:
    """Without any time there is no wait."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: release.wait(LONG), seconds)
    release.set()


def test_signal_abandons_task() -> None:
    """The error of a signal handler ends the wait, and the task continues."""
    release, task_ended = threading.Event(), threading.Event()

    def cancel(number: int, frame: object) -> None:
        raise Cancelled(number)

    def wait() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        release.wait(LONG)
        task_ended.set()

    previous_handler = signal.signal(signal.SIGUSR1, cancel)
    try:
        with pytest.raises(Cancelled):
            run_in_background(wait)
    finally:
        signal.signal(signal.SIGUSR1, previous_handler)
    assert not task_ended.is_set()
    release.set()
    assert task_ended.wait(LONG)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=["threads", "memory"])
def test_task_without_thread_runs_here(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new thread, the task runs in the calling thread."""

    def start_thread(work: Callable[[], None]) -> None:
        raise error

    monkeypatch.setattr("autonoma_ci.net.threads.start_thread", start_thread)
    assert run_in_background(threading.get_ident, 1.0) == threading.get_ident()
