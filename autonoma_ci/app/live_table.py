"""A live table with a progress bar, for people at a terminal; needs the optional library rich."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO, cast

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.escaping import escape_log_line, format_duration
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import ENDED_STATES, sort_by_severity, state_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from rich.console import Console as Terminal
    from rich.table import Table

    from autonoma_ci.app.progress import ProgressReporter
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import RunResult

# More rows would push the lines of runs that have ended out of sight.
_ROWS = 12
# In seconds: as often as rich itself draws. The main thread draws, and starts no run meanwhile.
_EVERY = 0.25
_STYLES = {RunState.PASSED: "green", RunState.STARTED: "cyan", RunState.STARTING: "cyan", RunState.PLANNED: "dim"}
_OPEN = frozenset({RunState.PLANNED, RunState.STARTING, RunState.STARTED})


class TerminalStream(io.TextIOBase):
    """A terminal, and as a stream the place above what is drawn on it.

    Rich draws the whole table again with each print. So texts are held until `show`.
    """

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal
        self._held: list[str] = []

    def write(self, text: str) -> int:
        """Hold the text and return its length in characters."""
        self._held.append(text)
        return len(text)

    def show(self) -> bool:
        """Print all texts that are held, in their order and at once; return whether there were any."""
        from rich.text import Text

        if not self._held:
            return False
        self.terminal.print(Text("".join(self._held)), end="", soft_wrap=True)
        # Only now: if there was no memory for it, they are printed at the end.
        self._held.clear()
        return True

    def has_room(self) -> bool:
        """Return whether the terminal's buffer takes another line."""
        has_room = getattr(self.terminal.file, "has_room", None)
        return has_room is None or has_room()


def create_console(stream: TextIO, environ: Mapping[str, str]) -> TerminalStream | None:
    """Return a screen to draw on, or None where there is no terminal, no rich, or no wish for either."""
    if not stream.isatty() or environ.get("TERM", "dumb") == "dumb" or environ.get("CI"):
        return None
    try:
        from rich.console import Console as Terminal
    except ImportError:
        return None
    no_color = bool(environ.get("NO_COLOR"))
    return TerminalStream(Terminal(file=stream, force_terminal=True, no_color=no_color, highlight=False))


def log_above(drawn: TerminalStream) -> JobLog:
    """Return a log that prints above what is drawn."""
    return JobLog(cast("TextIO", drawn), PLAIN_LOG_FORMATTER)


class LiveTable:
    """Watches runs as `progress` does, and draws how they stand, from `with` to its end."""

    def __init__(self, drawn: TerminalStream, progress: ProgressReporter, clock: Clock) -> None:
        from rich.live import Live as Drawing

        self._screen, self._progress, self._clock = drawn, progress, clock
        self._began = self._next = clock.monotonic()
        self._table: Any = ""
        self._drawing = Drawing(self, console=drawn.terminal, transient=True, auto_refresh=False)

    def __rich__(self) -> Any:
        return self._table

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._drawing.stop()
        finally:
            self._progress.note_left_out()
            self._screen.show()

    def on_run_changed(self, outcome: RunResult) -> None:
        """Print the run's line above the table, the next time that it is drawn."""
        self._progress.on_run_changed(outcome)

    def on_warning(self, text: str) -> None:
        """Print a warning above the table, the next time that it is drawn."""
        self._progress.on_warning(text)

    def on_tick(self, outcomes: Sequence[RunResult]) -> None:
        """See to the reports; if it is time to and the terminal keeps up, print the lines and draw the table anew."""
        self._progress.on_tick(outcomes)
        now = self._clock.monotonic()
        if now < self._next or not self._screen.has_room():
            return
        self._table = self._drawn(outcomes)
        # With lines, rich draws the table anew by itself.
        if not self._screen.show():
            self._drawing.refresh()
        drawn = self._clock.monotonic()
        # A large plan, or a slow machine, takes longer; starting runs stays the main thing.
        self._next = drawn + max(_EVERY, 9 * (drawn - now))

    def _drawn(self, outcomes: Sequence[RunResult]) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seconds = self._clock.monotonic() - self._began
        running = sort_by_severity([run for run in outcomes if run.state in _OPEN])
        done = len(outcomes) - len(running)
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for run in running[:_ROWS]:
            self._row(table, run, seconds)
        if len(running) > _ROWS:
            table.add_row(Text(""), Text(f"and {len(running) - _ROWS} more", style="dim"))
        bar = Table.grid(padding=(0, 2))
        counted = sum(run.state in ENDED_STATES for run in outcomes)
        told = f"{counted} of {len(outcomes)} ended, {format_duration(seconds)}"
        bar.add_row(ProgressBar(total=len(outcomes), completed=done, width=40), Text(told))
        return Group(table, bar)

    @staticmethod
    def _row(table: Table, run: RunResult, seconds: float) -> None:
        from rich.text import Text

        style = _STYLES.get(run.state, "")
        told = (
            format_duration(max(0.0, seconds - run.start_offset_seconds)) if run.state is not RunState.PLANNED else ""
        )
        attempt = f"attempt {run.attempt_count}" if run.previous_attempts else ""
        cells = (state_label(run), escape_log_line(run.display_name, 60), told, attempt)
        table.add_row(*(Text(text, style=style if number == 0 else "") for number, text in enumerate(cells)))
