"""New threads, where their number or the memory may be limited.

Source: github.com/python/cpython/issues/140746, why `threading.Thread.start` may wait for ever then.
"""

from __future__ import annotations

import _thread
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a new thread may take to begin. One that has no memory for it never does.
_MAX_SECONDS = 2.0


class ThreadStuckError(RuntimeError):
    """A thread was made and does not begin. The next one would take as long to fail."""


def start_thread(work: Callable[[], None]) -> None:
    """Do the work in a new thread that does not outlive the process.

    Raises:
        RuntimeError: The thread can't be made. Nothing of the work is done then.
        ThreadStuckError: The thread does not begin. Nothing of the work is done then.

    """
    turn, has_begun = threading.Lock(), threading.Event()

    def run() -> None:
        if turn.acquire(blocking=False):
            has_begun.set()
            work()

    try:
        _thread.start_new_thread(run, ())
    except MemoryError:
        raise RuntimeError("no memory for a thread") from None
    if not has_begun.wait(_MAX_SECONDS) and turn.acquire(blocking=False):
        raise ThreadStuckError("the thread does not begin")
