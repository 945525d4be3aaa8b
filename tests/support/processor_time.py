"""Measurement of processor time, independent of other processes."""

from __future__ import annotations

import gc
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# One call can be slow because of a throttled processor or a cold cache.
MAX_ATTEMPTS = 3


def measure_processor_seconds(call: Callable[[], object], limit: float) -> float:
    """Return the seconds of the fastest of up to three calls.

    A call below the limit is the last one. Only the calling thread counts. Garbage collection is off, because it would
    scan the objects of other tests.
    """
    min_seconds = math.inf
    for _ in range(MAX_ATTEMPTS):
        seconds = _measure_once(call)
        min_seconds = min(min_seconds, seconds)
        if min_seconds < limit:
            break
    return min_seconds


def _measure_once(call: Callable[[], object]) -> float:
    was_enabled = gc.isenabled()
    gc.disable()
    started_at = time.thread_time()
    try:
        call()
        return time.thread_time() - started_at
    finally:
        if was_enabled:
            gc.enable()
