"""While runs go on: a line for each change, a sign of life, and reports that are never much behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Diagnostic
from autonoma_ci.reports.log import format_heartbeat, format_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autonoma_ci.ci.log import JobLog
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import RunResult

# A step that is killed keeps what had been written; half a second behind leaves room for the writing.
MIN_PUBLISH_INTERVAL = 0.5
# Pause between two reports, as a multiple of the time that writing one took: writing takes at most a ninth of the
# time. That of a thousand runs takes 0.1 s, so the reports are 0.9 s old at most.
_PAUSE_FACTOR = 8
# Several systems end a job that prints nothing for ten minutes, and people wonder much sooner.
_HEARTBEAT = 30.0


class ProgressReporter:
    """Watches runs; `publish` writes all reports anew, and `quiet` leaves out the sign of life.

    `shown` returns a run as the reports have it.
    """

    def __init__(
        self,
        console: JobLog,
        clock: Clock,
        publish: Callable[[Sequence[RunResult]], None],
        shown: Callable[[RunResult], RunResult] = lambda run: run,
        *,
        quiet: bool = False,
    ) -> None:
        self._console, self._clock, self._publish, self._quiet = console, clock, publish, quiet
        self._shown = shown
        self._began = self._last_output_at = clock.monotonic()
        # Before anything has come back, the record names what may have been sent by then.
        self._dirty = True
        self._next = 0.0

    def on_run_changed(self, outcome: RunResult) -> None:
        """Print the run's line."""
        self._console.progress(format_run(self._shown(outcome)))
        self._last_output_at = self._clock.monotonic()
        self._dirty = True

    def note_left_out(self) -> None:
        """Print the number of lines that were left out."""
        self._console.show_omitted_count()

    def on_warning(self, text: str) -> None:
        """Print a warning."""
        self._console.annotate("warning", Diagnostic(text))

    def on_tick(self, outcomes: Sequence[RunResult]) -> None:
        """Write the reports if something has changed, and say that the step is alive, each if it is time to."""
        now = self._clock.monotonic()
        if not self._quiet and now - self._last_output_at >= _HEARTBEAT:
            self._last_output_at = now
            self._console.progress(format_heartbeat(outcomes, now - self._began))
        if self._dirty and now >= self._next:
            self._dirty = False
            self._publish(outcomes)
            written = self._clock.monotonic()
            # A large plan takes longer to write; starting runs stays the main thing.
            self._next = written + max(MIN_PUBLISH_INTERVAL, _PAUSE_FACTOR * (written - now))
