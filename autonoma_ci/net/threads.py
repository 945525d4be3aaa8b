"""Start threads safely when threads or memory are limited.

With such limits, `threading.Thread.start` can wait for ever. Source: github.com/python/cpython/issues/140746.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from functools import cached_property, partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Tasks: TypeAlias = "SimpleQueue[Callable[[], None]]"

# A new thread must begin within this time. Without memory for it, it never begins.
_MAX_START_SECONDS = 2.0
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
        tasks: Tasks = SimpleQueue()
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
        raise ThreadStuckError("the thread does not begin")
