"""Log lines, heartbeats and reports of running runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Diagnostic
from autonoma_ci.reports.log import format_heartbeat, format_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autonoma_ci.ci.log import JobLog
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import RunResult

# In seconds. The reports of a killed step are at most this old, plus the time to write them.
MIN_PUBLISH_INTERVAL = 0.5
# Pause between two reports, as a multiple of the time to write one. So writing uses at most a ninth of the time.
# The report of 1,000 runs needs 0.1 s, so reports are at most 0.9 s old.
_PAUSE_FACTOR = 8
# In seconds. Several CI systems stop a job that prints nothing for 10 minutes, and users get impatient sooner.
_HEARTBEAT_SECONDS = 30.0


class ProgressReporter:
    """Logs and publishes the progress of runs.

    Args:
        log: The log.
        clock: The clock.
        publish: Publishes a report of the runs.
        to_shown: Returns a run as in reports.
        quiet: Whether to log no heartbeat.

    """

    def __init__(
        self,
        log: JobLog,
        clock: Clock,
        publish: Callable[[Sequence[RunResult]], None],
        to_shown: Callable[[RunResult], RunResult] = lambda run: run,
        *,
        quiet: bool = False,
    ) -> None:
        self._log, self._clock, self._publish, self._is_quiet = log, clock, publish, quiet
        self._to_shown = to_shown
        self._started_at = self._last_output_at = clock.monotonic()
        # True at the start: before the first response, results.json must name the runs that may have started.
        self._has_changes = True
        self._next_publish_at = 0.0

    def on_run_changed(self, result: RunResult) -> None:
        """Log the new state of a run."""
        self._log.progress(format_run(self._to_shown(result)))
        self._last_output_at = self._clock.monotonic()
        self._has_changes = True

    def log_omitted_count(self) -> None:
        """Log the number of omitted lines."""
        self._log.show_omitted_count()

    def on_warning(self, text: str) -> None:
        """Log a warning."""
        self._log.annotate("warning", Diagnostic(text))

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Log a heartbeat and publish changes, each if it is due."""
        now = self._clock.monotonic()
        if not self._is_quiet and now - self._last_output_at >= _HEARTBEAT_SECONDS:
            self._last_output_at = now
            self._log.progress(format_heartbeat(results, now - self._started_at))
        if self._has_changes and now >= self._next_publish_at:
            self._has_changes = False
            self._publish(results)
            published_at = self._clock.monotonic()
            # The report of a large plan needs longer, and must not delay the start of runs.
            self._next_publish_at = published_at + max(MIN_PUBLISH_INTERVAL, _PAUSE_FACTOR * (published_at - now))
