"""Wait for a task until a signal or a timeout.

Python runs signal handlers in the main thread, and only after a call into C returns. Name resolution is such a call.
Without a name server it lasts 10 s or more, and no socket exists yet that could be shut down.

Source: Python's documentation of `signal`, and resolv.conf(5) for its timeout and attempts.
"""

from __future__ import annotations

import queue
from math import inf
from typing import TYPE_CHECKING, TypeVar

from autonoma_ci.net.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
# Windows handles a signal only after a wait is over.
_MAX_WAIT_SECONDS = 0.5


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
