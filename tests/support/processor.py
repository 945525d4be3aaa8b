"""Measure the processor time of a call such that a busy machine makes no difference."""

from __future__ import annotations

import gc
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# One call can be slow for a reason that is not in it: a processor that was throttled, or a cache that was filled.
TRIES = 3


def processor_seconds(call: Callable[[], object], limit: float) -> float:
    """Call until one call takes less than the limit, at most three times; return the seconds of the quickest.

    Only the calling thread counts, without garbage collection: that looks at all that other tests have left.
    """
    quickest = math.inf
    for _ in range(TRIES):
        seconds = _measured(call)
        quickest = min(quickest, seconds)
        if quickest < limit:
            break
    return quickest


def _measured(call: Callable[[], object]) -> float:
    was_enabled = gc.isenabled()
    gc.disable()
    began = time.thread_time()
    try:
        call()
        return time.thread_time() - began
    finally:
        if was_enabled:
            gc.enable()
