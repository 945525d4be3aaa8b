"""Compute how often a run is polled.

The interval depends on the age of the run, the number of open runs, and the rate limit of the server.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock

_log = DebugLogger()
# On average, a verdict is late by half a pause. It may be late by 1 s plus 1/50 of the run's length, so a pause may be
# 2 s plus 0.04 s per second of age. We use at most nine tenths of both, because a request needs time too.
BASE_SECONDS, SECONDS_PER_RUN_SECOND = 1.7, 0.035
MAX_POLL_SECONDS = 10.0
# Limit for all runs together. With more than 1500 open runs, MAX_POLL_SECONDS wins.
MAX_POLLS_PER_SECOND = 150
MAX_BACKOFF_FACTOR = 8.0
# Limit of a pause after HTTP 429 or 503 responses without Retry-After.
MAX_BACKED_OFF_SECONDS = 20.0
# Limit for the value of Retry-After. With a value of an hour, we still poll once a minute to see if the limit is over.
MAX_RETRY_AFTER_SECONDS = 60.0
# With 10,000 open runs, each run is polled once in two minutes. Then one lost response must not end a run.
MIN_FAILED_POLLS = 3


class PollInterval:
    """The pauses between two polls of one run.

    Args:
        fixed_seconds: The user's interval in seconds, or None for an interval that grows with the age of the run.
        clock: Provides the time and the jitter.

    """

    def __init__(self, fixed_seconds: float | None, clock: Clock) -> None:
        self._fixed_seconds, self._clock = fixed_seconds, clock
        # Factor on each pause. HTTP 429 or 503 doubles it, each success reduces it by 5 %.
        self._factor = 1.0
        self._slowed_at = 0.0
        # Since when each poll got HTTP 429 or 503, and how often in a row the factor was doubled.
        self._rate_limited_since = inf
        self._rate_limited_count = 0
        # Moment of the clock before which no poll is sent.
        self.blocked_until = 0.0

    def next_interval(self, age_seconds: float, open_run_count: int) -> float:
        """Return the seconds until the next poll of a run.

        Args:
            age_seconds: The age of the run in seconds.
            open_run_count: The number of runs that are polled.

        """
        pause = self._fixed_seconds
        if pause is None:
            pause = min(
                MAX_POLL_SECONDS,
                max(BASE_SECONDS + SECONDS_PER_RUN_SECOND * age_seconds, open_run_count / MAX_POLLS_PER_SECOND),
            )
        spread_pause = min(self._clock.spread(pause), max(MAX_POLL_SECONDS, pause))
        return min(spread_pause * self._factor, max(MAX_BACKED_OFF_SECONDS, pause))

    def on_rate_limited(self, sent_at: float, retry_after: float | None, give_up_after: float) -> bool:
        """Slow down all polls after an HTTP 429 or 503 response.

        Args:
            sent_at: The clock's time at which the rejected poll was sent.
            retry_after: The seconds of Retry-After, or None without that header.
            give_up_after: The seconds of rejected polls after which polling ends.

        Returns:
            Whether the server rejected all polls for `give_up_after` seconds, and at least three in a row.

        """
        now = self._clock.monotonic()
        if sent_at >= self._slowed_at:
            # Polls that were in flight together are rejected together. They count once.
            self._factor = min(MAX_BACKOFF_FACTOR, 2 * self._factor)
            self._slowed_at = now
            self._rate_limited_count += 1
        self._rate_limited_since = min(self._rate_limited_since, now)
        pause = self._clock.spread(self._factor)
        if retry_after is not None:
            pause = min(MAX_RETRY_AFTER_SECONDS, retry_after) + self._clock.jitter(1.0)
        self.blocked_until = max(self.blocked_until, now + pause)
        _log.debug("No poll for %.1f s (rate limit, pause factor %.1f)", self.blocked_until - now, self._factor)
        has_enough_polls = self._rate_limited_count >= MIN_FAILED_POLLS
        return has_enough_polls and now - self._rate_limited_since >= max(
            give_up_after, 2 * (self._fixed_seconds or 0.0)
        )

    def on_success(self) -> None:
        """Return to the usual interval in small steps."""
        self._factor = max(1.0, 0.95 * self._factor)
        self._rate_limited_since, self._rate_limited_count = inf, 0
