"""How often runs are asked for: by their age, by how many there are, and by what the server asks for."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock

# A verdict may be late by a second and a fiftieth of the run's length on the mean; half of a pause is what
# a verdict is late on the mean, so a pause of nine tenths of twice that leaves room for the network.
BASE_SECONDS, PER_RUN_SECOND = 1.7, 0.035
MAX_POLL_SECONDS = 10.0
# All runs together are asked for at most this often a second, until that makes the longest pause.
MAX_POLLS_PER_SECOND = 150
MAX_BACKOFF_FACTOR = 8.0
# However busy the server says that it is, unless it says for how long.
MAX_BACKED_OFF_SECONDS = 20.0
# Whatever it says of how long: to wait for an hour is to ask whether it still says so once in a while.
MAX_RETRY_AFTER_SECONDS = 60.0
# With 10,000 open runs, each is polled once in two minutes. One lost response must not end a run then.
MIN_FAILED_POLLS = 3


class PollInterval:
    """Pauses between two questions for one run, in seconds; `fixed` is the user's own, or None."""

    def __init__(self, fixed: float | None, clock: Clock) -> None:
        self._fixed, self._clock = fixed, clock
        self._factor = 1.0
        self._slowed = 0.0
        self._refusing = inf
        self._refusals = 0
        self.blocked_until = 0.0

    def next_interval(self, age: float, runs: int) -> float:
        """Return the pause before the next question for a run of this age, one of so many that are open."""
        pause = self._fixed
        if pause is None:
            pause = min(MAX_POLL_SECONDS, max(BASE_SECONDS + PER_RUN_SECOND * age, runs / MAX_POLLS_PER_SECOND))
        swayed = min(self._clock.spread(pause), max(MAX_POLL_SECONDS, pause))
        return min(swayed * self._factor, max(MAX_BACKED_OFF_SECONDS, pause))

    def on_rate_limited(self, sent: float, retry_after: float | None, patience: float) -> bool:
        """Ask less often for every run, and not at all for a while; `sent` is when the refused question was asked.

        Returns whether the server has refused polls for `patience` seconds, three times in turn, and answered none.
        """
        now = self._clock.monotonic()
        if sent >= self._slowed:
            # Questions that were under way together are refused together: that counts once.
            self._factor = min(MAX_BACKOFF_FACTOR, 2 * self._factor)
            self._slowed = now
            self._refusals += 1
        self._refusing = min(self._refusing, now)
        pause = self._clock.spread(self._factor)
        if retry_after is not None:
            pause = min(MAX_RETRY_AFTER_SECONDS, retry_after) + self._clock.jitter(1.0)
        self.blocked_until = max(self.blocked_until, now + pause)
        enough = self._refusals >= MIN_FAILED_POLLS
        return enough and now - self._refusing >= max(patience, 2 * (self._fixed or 0.0))

    def on_success(self) -> None:
        """Go back to the usual pace little by little: the server answers."""
        self._factor = max(1.0, 0.95 * self._factor)
        self._refusing, self._refusals = inf, 0
