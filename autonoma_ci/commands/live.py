"""A live table with a progress bar, for people at a terminal; needs the optional library rich."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO, cast

from autonoma_ci.ci.console import Console
from autonoma_ci.ci.plain import PLAIN
from autonoma_ci.model import State
from autonoma_ci.report.words import ENDED, state_words, worst_first
from autonoma_ci.text import duration, log_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from rich.console import Console as Screen
    from rich.table import Table

    from autonoma_ci.commands.progress import Progress
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.model import Outcome

# More rows would push the lines of runs that have ended out of sight.
_ROWS = 12
_STYLES = {State.PASSED: "green", State.STARTED: "cyan", State.STARTING: "cyan", State.PLANNED: "dim"}
_OPEN = frozenset({State.PLANNED, State.STARTING, State.STARTED})


def screen(stream: TextIO, environ: Mapping[str, str]) -> Screen | None:
    """Return a screen to draw on, or None where there is no terminal, no rich, or no wish for either."""
    if not stream.isatty() or environ.get("TERM", "dumb") == "dumb" or environ.get("CI"):
        return None
    try:
        from rich.console import Console as Screen
    except ImportError:
        return None
    return Screen(file=stream, force_terminal=True, no_color=bool(environ.get("NO_COLOR")), highlight=False)


def _has_room(drawn: Screen) -> bool:
    """Return whether the buffer behind the screen takes more."""
    has_room = getattr(drawn.file, "has_room", None)
    return has_room is None or has_room()


class _Above(io.TextIOBase):
    """The place above the table, as a stream."""

    def __init__(self, drawn: Screen) -> None:
        super().__init__()
        self._screen = drawn

    def write(self, text: str) -> int:
        from rich.text import Text

        self._screen.print(Text(text), end="", soft_wrap=True)
        return len(text)

    def has_room(self) -> bool:
        """Return whether the terminal's buffer takes another line."""
        return _has_room(self._screen)


def above(drawn: Screen) -> Console:
    """Return a log that prints above what is drawn."""
    return Console(cast("TextIO", _Above(drawn)), PLAIN)


class Live:
    """Watches runs as `progress` does, and draws how they stand, from `with` to its end."""

    def __init__(self, drawn: Screen, progress: Progress, clock: Clock) -> None:
        from rich.live import Live as Drawing

        self._screen, self._progress, self._clock = drawn, progress, clock
        self._began = clock.monotonic()
        self._drawing = Drawing(console=drawn, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()
        self._progress.note_left_out()

    def changed(self, outcome: Outcome) -> None:
        """Print the run's line above the table."""
        self._progress.changed(outcome)

    def warn(self, text: str) -> None:
        """Print a warning above the table."""
        self._progress.warn(text)

    def tick(self, outcomes: Sequence[Outcome]) -> None:
        """Draw the table anew unless the terminal does not keep up, and see to the reports."""
        self._progress.tick(outcomes)
        if _has_room(self._screen):
            self._drawing.update(self._drawn(outcomes), refresh=True)

    def _drawn(self, outcomes: Sequence[Outcome]) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seconds = self._clock.monotonic() - self._began
        running = [run for run in worst_first(outcomes) if run.state in _OPEN]
        done = len(outcomes) - len(running)
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for run in running[:_ROWS]:
            self._row(table, run, seconds)
        if len(running) > _ROWS:
            table.add_row(Text(""), Text(f"and {len(running) - _ROWS} more", style="dim"))
        bar = Table.grid(padding=(0, 2))
        counted = sum(run.state in ENDED for run in outcomes)
        told = f"{counted} of {len(outcomes)} ended, {duration(seconds)}"
        bar.add_row(ProgressBar(total=len(outcomes), completed=done, width=40), Text(told))
        return Group(table, bar)

    @staticmethod
    def _row(table: Table, run: Outcome, seconds: float) -> None:
        from rich.text import Text

        style = _STYLES.get(run.state, "")
        told = duration(max(0.0, seconds - run.began)) if run.state is not State.PLANNED else ""
        attempt = f"attempt {run.attempts}" if run.earlier else ""
        cells = (state_words(run), log_line(run.label, 60), told, attempt)
        table.add_row(*(Text(text, style=style if number == 0 else "") for number, text in enumerate(cells)))
