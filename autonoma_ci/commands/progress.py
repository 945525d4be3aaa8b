"""While runs are being started: a line for each, and outputs and summary that are never much behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.report.console import run_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autonoma_ci.ci.console import Console
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.model import Outcome

# A step that is killed keeps what had been written; half a second behind leaves room for the writing.
_EVERY = 0.5


class Progress:
    """Watches runs being started; `publish` writes all reports anew."""

    def __init__(self, console: Console, clock: Clock, publish: Callable[[Sequence[Outcome]], None]) -> None:
        self._console, self._clock, self._publish = console, clock, publish
        self._stale = False
        self._next = 0.0

    def changed(self, outcome: Outcome) -> None:
        """Print the run's line."""
        self._console.line(run_line(outcome))
        self._stale = True

    def tick(self, outcomes: Sequence[Outcome]) -> None:
        """Write the reports if something has changed and the last time is long enough ago."""
        began = self._clock.monotonic()
        if self._stale and began >= self._next:
            self._stale = False
            self._publish(outcomes)
            now = self._clock.monotonic()
            # A large plan takes longer to write; starting runs stays the main thing.
            self._next = now + max(_EVERY, 4 * (now - began))
