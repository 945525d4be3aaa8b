"""A live table of runs at a terminal, with the library rich."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO, cast

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.escaping import escape_log_line, format_duration
from autonoma_ci.models import ENDED_STATES, PENDING_STATES, RunState
from autonoma_ci.reports.summary import sort_by_severity, state_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from rich.console import Console as Terminal
    from rich.table import Table

    from autonoma_ci.app.progress import ProgressReporter
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import RunResult

# More rows would hide the lines of completed runs.
_MAX_ROWS = 12
# In seconds: the default of rich. While the main thread draws, it starts no run.
_MIN_DRAW_INTERVAL = 0.25
_STYLES = {RunState.PASSED: "green", RunState.STARTED: "cyan", RunState.STARTING: "cyan", RunState.PLANNED: "dim"}
_SHOWN_STATES = PENDING_STATES | {RunState.STARTED}


class TerminalStream(io.TextIOBase):
    """A stream that prints above the live table of a terminal.

    Rich draws the table again after each print. So this stream stores texts until `show`.
    """

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal
        self._texts: list[str] = []

    def write(self, text: str) -> int:
        """Store the text and return its length in characters."""
        self._texts.append(text)
        return len(text)

    def show(self) -> bool:
        """Print the stored texts at once, and return whether there were any."""
        from rich.text import Text

        if not self._texts:
            return False
        self.terminal.print(Text("".join(self._texts)), end="", soft_wrap=True)
        # Cleared last: if memory ran out, they are printed at the end.
        self._texts.clear()
        return True

    def has_capacity(self) -> bool:
        """Return whether the buffer of the terminal has space for a line."""
        has_capacity = getattr(self.terminal.file, "has_capacity", None)
        return has_capacity is None or has_capacity()


def create_terminal_stream(stream: TextIO, environ: Mapping[str, str]) -> TerminalStream | None:
    """Return the terminal for a live table, or None.

    None without a terminal or the library rich, and with TERM=dumb or CI in the environment.
    """
    if not stream.isatty() or environ.get("TERM", "dumb") == "dumb" or environ.get("CI"):
        return None
    try:
        from rich.console import Console as Terminal
    except ImportError:
        return None
    no_color = bool(environ.get("NO_COLOR"))
    return TerminalStream(Terminal(file=stream, force_terminal=True, no_color=no_color, highlight=False))


def log_above(stream: TerminalStream) -> JobLog:
    """Return a log that prints above the live table."""
    return JobLog(cast("TextIO", stream), PLAIN_LOG_FORMATTER)


class LiveTable:
    """Draws a table of runs, and logs their progress."""

    def __init__(self, stream: TerminalStream, progress: ProgressReporter, clock: Clock) -> None:
        from rich.live import Live

        self._stream, self._progress, self._clock = stream, progress, clock
        self._started_at = self._next_draw_at = clock.monotonic()
        self._table: Any = ""
        self._live = Live(self, console=stream.terminal, transient=True, auto_refresh=False)

    def __rich__(self) -> Any:
        return self._table

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._live.stop()
        finally:
            self._progress.log_omitted_count()
            self._stream.show()

    def on_run_changed(self, result: RunResult) -> None:
        """Log the new state of a run above the table."""
        self._progress.on_run_changed(result)

    def on_warning(self, text: str) -> None:
        """Log a warning above the table."""
        self._progress.on_warning(text)

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Publish reports, and draw lines and table if due.

        Nothing is drawn while the terminal is too slow.
        """
        self._progress.on_tick(results)
        now = self._clock.monotonic()
        if now < self._next_draw_at or not self._stream.has_capacity():
            return
        self._table = self._render(results)
        # With lines, rich draws the table again itself.
        if not self._stream.show():
            self._live.refresh()
        drawn_at = self._clock.monotonic()
        # A large plan or a slow machine needs longer, and must not delay the start of runs.
        self._next_draw_at = drawn_at + max(_MIN_DRAW_INTERVAL, 9 * (drawn_at - now))

    def _render(self, results: Sequence[RunResult]) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seconds = self._clock.monotonic() - self._started_at
        running = sort_by_severity([run for run in results if run.state in _SHOWN_STATES])
        completed = len(results) - len(running)
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for run in running[:_MAX_ROWS]:
            self._add_row(table, run, seconds)
        if len(running) > _MAX_ROWS:
            table.add_row(Text(""), Text(f"and {len(running) - _MAX_ROWS} more", style="dim"))
        bar = Table.grid(padding=(0, 2))
        ended_count = sum(run.state in ENDED_STATES for run in results)
        summary = f"{ended_count} of {len(results)} ended, {format_duration(seconds)}"
        bar.add_row(ProgressBar(total=len(results), completed=completed, width=40), Text(summary))
        return Group(table, bar)

    @staticmethod
    def _add_row(table: Table, run: RunResult, seconds: float) -> None:
        from rich.text import Text

        style = _STYLES.get(run.state, "")
        elapsed = (
            format_duration(max(0.0, seconds - run.start_offset_seconds)) if run.state is not RunState.PLANNED else ""
        )
        attempt = f"attempt {run.attempt_count}" if run.previous_attempts else ""
        cells = (state_label(run), escape_log_line(run.display_name, 60), elapsed, attempt)
        table.add_row(*(Text(text, style=style if number == 0 else "") for number, text in enumerate(cells)))
