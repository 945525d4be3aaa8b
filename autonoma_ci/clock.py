"""The clock, with the only random numbers of the engine.

All code that waits or adds jitter receives a Clock, so tests can replace it.
"""

from __future__ import annotations

import queue
import random
import time
from datetime import UTC, date, datetime
from typing import TypeVar

T = TypeVar("T")

# The limit of one blocking call into C. A signal that arrives just before the call does not end it, and Python runs the
# signal handler only after the call. Source: Python's documentation of `signal`.
_MAX_CALL_SECONDS = 0.5


def round_to_ms(seconds: float) -> float:
    """Return a time in seconds, rounded to milliseconds.

    Times are rounded where they are measured. results.json has milliseconds, so a report that is made from it has the
    same times as the report of the job step.
    """
    return round(seconds, 3)


class Clock:
    """The real clock, with all times in seconds."""

    def monotonic(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.monotonic()

    def utc_iso(self) -> str:
        """Return the current time in UTC, in ISO 8601 format."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def utc_iso_ms(self) -> str:
        """Return the current time in UTC, in ISO 8601 format with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def utc_date(self) -> date:
        """Return the current date in UTC."""
        return datetime.now(UTC).date()

    def unix_time(self) -> int:
        """Return the seconds since 1970."""
        return int(time.time())

    def sleep(self, seconds: float) -> None:
        """Sleep for some seconds.

        An exception of a signal handler ends the sleep, at the latest after half a second.
        """
        end_at = time.monotonic() + seconds
        while (seconds_left := end_at - time.monotonic()) > 0:
            time.sleep(min(seconds_left, _MAX_CALL_SECONDS))

    def jitter(self, seconds: float) -> float:
        """Return 50 % to 100 % of the time at random.

        Requests that failed at the same time are then not retried at the same time.
        """
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets

    def spread(self, seconds: float) -> float:
        """Return 90 % to 110 % of the time at random.

        The polls of many runs then do not synchronize.
        """
        return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - not for secrets

    def wait_for_event(self, events: queue.SimpleQueue[T], seconds: float) -> T | None:
        """Return the next event, or None if none arrives within the time."""
        end_at = time.monotonic() + seconds
        while True:
            seconds_left = end_at - time.monotonic()
            try:
                return events.get(timeout=max(0.0, min(seconds_left, _MAX_CALL_SECONDS)))
            except queue.Empty:
                if seconds_left <= _MAX_CALL_SECONDS:
                    return None
