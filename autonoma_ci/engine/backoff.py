"""How often runs are asked for: by their age, by how many there are, and by what the server asks for."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock

# A verdict may be late by a second and a fiftieth of the run's length on the mean; half of a pause is what
# a verdict is late on the mean, so a pause of nine tenths of twice that leaves room for the network.
_FIRST, _PER_SECOND = 1.7, 0.035
LONGEST = 10.0
# All runs together are asked for at most this often a second, until that makes the longest pause.
_RATE = 150
_SLOWEST = 8.0
# However busy the server says that it is, unless it says for how long.
_LONGEST_SLOWED = 20.0
# Whatever it says of how long: to wait for an hour is to ask whether it still says so once in a while.
_LONGEST_SILENCE = 60.0
# With 10,000 open runs, each is polled once in two minutes. One lost response must not end a run then.
MIN_FAILED_POLLS = 3


class Pace:
    """Pauses between two questions for one run, in seconds; `fixed` is the user's own, or None."""

    def __init__(self, fixed: float | None, clock: Clock) -> None:
        self._fixed, self._clock = fixed, clock
        self._factor = 1.0
        self._slowed = 0.0
        self._refusing = inf
        self._refusals = 0
        self.gate = 0.0

    def pause(self, age: float, runs: int) -> float:
        """Return the pause before the next question for a run of this age, one of so many that are open."""
        pause = self._fixed
        if pause is None:
            pause = min(LONGEST, max(_FIRST + _PER_SECOND * age, runs / _RATE))
        swayed = min(self._clock.sway(pause), max(LONGEST, pause))
        return min(swayed * self._factor, max(_LONGEST_SLOWED, pause))

    def slow_down(self, sent: float, retry_after: float | None, patience: float) -> bool:
        """Ask less often for every run, and not at all for a while; `sent` is when the refused question was asked.

        Returns whether the server has refused polls for `patience` seconds, three times in turn, and answered none.
        """
        now = self._clock.monotonic()
        if sent >= self._slowed:
            # Questions that were under way together are refused together: that counts once.
            self._factor = min(_SLOWEST, 2 * self._factor)
            self._slowed = now
            self._refusals += 1
        self._refusing = min(self._refusing, now)
        pause = self._clock.sway(self._factor)
        if retry_after is not None:
            pause = min(_LONGEST_SILENCE, retry_after) + self._clock.jitter(1.0)
        self.gate = max(self.gate, now + pause)
        enough = self._refusals >= MIN_FAILED_POLLS
        return enough and now - self._refusing >= max(patience, 2 * (self._fixed or 0.0))

    def speed_up(self) -> None:
        """Go back to the usual pace little by little: the server answers."""
        self._factor = max(1.0, 0.95 * self._factor)
        self._refusing, self._refusals = inf, 0
