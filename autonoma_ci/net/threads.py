"""Start threads safely, and wait for a task until a signal or a timeout.

When threads or memory are limited, `threading.Thread.start` can wait for ever. Source:
github.com/python/cpython/issues/140746.

Python runs signal handlers in the main thread, and only after a call into C returns. Name resolution is such a call.
Without a name server it lasts 10 s or more, and no socket exists yet that could be shut down. Source: Python's
documentation of `signal`, and resolv.conf(5) for its timeout and attempts.
"""

from __future__ import annotations

import _thread
import queue
import threading
from collections import deque
from functools import cached_property, partial
from math import inf
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Tasks: TypeAlias = "queue.SimpleQueue[Callable[[], None]]"

# A new thread must begin within this time. Without memory for it, it never begins.
_MAX_START_SECONDS = 2.0
# Windows handles a signal only after a wait is over.
_MAX_WAIT_SECONDS = 0.5
# One queue of tasks for each thread that waits for its next task.
_idle_threads: deque[Tasks] = deque()


class ThreadStuckError(RuntimeError):
    """A new thread does not begin.

    The next one would need the same time to fail.
    """


class PerThread(threading.local, Generic[T]):
    """One value for each thread.

    `threading.local` calls `__init__` in each thread with the same arguments. Source: its documentation.

    Args:
        factory: Creates the value at its first use in a thread.
    """

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory

    @cached_property
    def value(self) -> T:
        """The value of this thread.

        Errors of the factory are raised here.
        """
        return self._factory()


def preallocate_threads(count: int) -> None:
    """Create idle threads for later calls of `start_thread`.

    There are fewer than `count` if a thread can't be created or does not begin.
    """
    for _ in range(count):
        tasks: Tasks = queue.SimpleQueue()
        try:
            _run_in_new_thread(partial(_run_tasks, tasks))
        except (RuntimeError, MemoryError):
            return
        _idle_threads.append(tasks)


def _run_tasks(tasks: Tasks) -> None:
    while True:
        tasks.get()()
        _idle_threads.append(tasks)


def start_thread(work: Callable[[], None]) -> None:
    """Run the work in an idle or a new thread.

    The thread does not outlive the process. After an error, nothing of the work was done.

    Raises:
        RuntimeError: The thread can't be created.
        ThreadStuckError: The thread does not begin.
    """
    try:
        tasks = _idle_threads.popleft()
    except IndexError:
        _run_in_new_thread(work)
    else:
        tasks.put(work)


def _run_in_new_thread(work: Callable[[], None]) -> None:
    """Run the work in a new thread.

    Raises:
        RuntimeError: The thread can't be created.
        ThreadStuckError: The thread does not begin.
    """
    claim, has_begun = threading.Lock(), threading.Event()

    def run() -> None:
        if claim.acquire(blocking=False):
            has_begun.set()
            work()

    try:
        _thread.start_new_thread(run, ())
    except MemoryError:
        raise RuntimeError("no memory for a thread") from None
    if not has_begun.wait(_MAX_START_SECONDS) and claim.acquire(blocking=False):
        raise ThreadStuckError("the thread does not start")


def run_in_background(task: Callable[[], T], timeout_seconds: float = inf) -> T:
    """Run a slow task in another thread and return its result.

    The thread is abandoned at the timeout or at a signal. If no thread can be started, the task runs in this one.
    Errors of the task are raised here.

    Args:
        task: The slow call. It must not change anything that its caller uses later.
        timeout_seconds: Maximum duration.

    Raises:
        TimeoutError: The time is over.
    """
    results: queue.SimpleQueue[tuple[list[T], BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(([task()], None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            results.put(([], error))

    try:
        start_thread(work)
    except (RuntimeError, MemoryError):
        return task()
    seconds_left = timeout_seconds
    while seconds_left > 0:
        wait_seconds = min(seconds_left, _MAX_WAIT_SECONDS)
        try:
            values, error = results.get(timeout=wait_seconds)
        except queue.Empty:
            seconds_left -= wait_seconds
            continue
        if error:
            raise error
        return values[0]
    raise TimeoutError
