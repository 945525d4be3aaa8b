"""Time and chance, in one place: everything that waits or jitters takes a Clock, and tests give it another."""

from __future__ import annotations

import queue
import random
import time
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

# In seconds: how long a call into C waits at most. One that a signal comes just before is not ended by it, and Python
# runs the handler of the signal only after the call. Source: Python's documentation of `signal`.
_PIECE = 0.5


class Clock:
    """The real clock; times are in seconds."""

    def monotonic(self) -> float:
        """Return a time that never goes back."""
        return time.monotonic()

    def utc_iso(self) -> str:
        """Return the time of day in UTC, as ISO 8601 has it."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def unix_time(self) -> int:
        """Return the seconds since 1970."""
        return int(time.time())

    def sleep(self, seconds: float) -> None:
        """Let time pass; a signal that raises ends it, at the latest after half a second."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _PIECE))

    def jitter(self, seconds: float) -> float:
        """Return between half of it and all of it: what failed together does not come back together."""
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - chance, not secrecy

    def spread(self, seconds: float) -> float:
        """Return a tenth less to a tenth more: what is asked for again and again does not fall into step."""
        return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - chance, not secrecy

    def wait_for_event(self, events: queue.SimpleQueue[T], seconds: float) -> T | None:
        """Return the next event, or None when so much time has passed without one."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            try:
                return events.get(timeout=max(0.0, min(left, _PIECE)))
            except queue.Empty:
                if left <= _PIECE:
                    return None
