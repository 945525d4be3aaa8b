"""Requests that the main thread waits for, and a signal or a limit ends that wait.

Python runs signal handlers in the main thread, and not before a call into C returns. The resolution of a name is such a
call. It takes 10 s or more where no name server answers, and no socket is there yet that could be shut down.

Source: Python's documentation of `signal`; resolv.conf(5), timeout and attempts.
"""

from __future__ import annotations

import queue
from math import inf
from typing import TYPE_CHECKING, TypeVar

from autonoma_ci.net.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
# In seconds. Windows hears a signal only once a wait is over.
_MAX_WAIT_SECONDS = 0.5


def run_in_background(task: Callable[[], T], timeout_seconds: float = inf) -> T:
    """Return what the task returns, and raise what it raises.

    The task is done in another thread, which is left behind at the limit or at a signal. Where no thread can be made,
    it is done in this one.

    Args:
        task: What takes long. It must not change anything that its caller uses later.
        seconds: How long it may take.

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
