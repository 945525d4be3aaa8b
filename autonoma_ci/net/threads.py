"""New and kept threads, where their number or the memory may be limited, and one object for each thread.

Source: github.com/python/cpython/issues/140746, why `threading.Thread.start` may wait for ever then.
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

# How long a new thread may take to begin. One that has no memory for it never does.
_MAX_START_SECONDS = 2.0


# The tasks of each thread that waits for its first or next one.
_idle_threads: deque[Tasks] = deque()


class ThreadStuckError(RuntimeError):
    """A thread was made and does not begin. The next one would take as long to fail."""


class PerThread(threading.local, Generic[T]):
    """An object for each thread, made by `make` at its first use there.

    Source: Python's documentation of `threading.local`, which calls `__init__` in each thread with the same arguments.
    """

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory

    @cached_property
    def value(self) -> T:
        """Return this thread's object. Raises what `make` raises."""
        return self._factory()


def preallocate_threads(count: int) -> None:
    """Make so many threads for later calls of `start_thread`.

    Where one can't be made, or would raise ThreadStuckError, there are fewer.
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
    """Do the work in a thread that does not outlive the process: in one that was kept, or in a new one.

    Raises:
        RuntimeError: The thread can't be made. Nothing of the work is done then.
        ThreadStuckError: The thread does not begin. Nothing of the work is done then.

    """
    try:
        tasks = _idle_threads.popleft()
    except IndexError:
        _run_in_new_thread(work)
    else:
        tasks.put(work)


def _run_in_new_thread(work: Callable[[], None]) -> None:
    """Do the work in a new thread. Raises what `start_thread` raises."""
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
