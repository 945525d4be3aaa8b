"""Tests of the live table at a terminal in memory."""

from __future__ import annotations

import io
import re
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.live_table import LiveTable, TerminalStream, create_terminal_stream, log_above
from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.errors import Diagnostic
from autonoma_ci.models import RunResult, RunState
from tests.support.fake_clock import FakeClock
from tests.support.reports import (
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The bar of each drawn table has this text.
BAR_TEXT = "ended, "
COUNT = 500
NAMES = [f"test-{number}" for number in range(COUNT)]
# A line of the log about a run, with the id of its test.
_LINE = re.compile(r"(?:PASSED|STARTED|NOT-STARTED|UNKNOWN)  ([-\w]+)")
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A terminal in memory that accepts output while `has_space` is true."""

    has_space = True

    def isatty(self) -> bool:
        return True

    def has_capacity(self) -> bool:
        return self.has_space


class Table:
    """A live table in a terminal in memory."""

    def __init__(self, **environ: str) -> None:
        self.terminal, self.clock = Terminal(), FakeClock()
        stream = create_terminal_stream(self.terminal, {"TERM": "xterm", **environ})
        assert stream
        self.published: list[Sequence[RunResult]] = []
        progress = ProgressReporter(log_above(stream), self.clock, self.published.append, quiet=True)
        self.live = LiveTable(stream, progress, self.clock)

    @property
    def draws(self) -> int:
        return self.terminal.getvalue().count(BAR_TEXT)

    def lines(self) -> list[str]:
        """Return the ids of the runs in the order of their lines."""
        return _LINE.findall(self.terminal.getvalue())

    def draw(self, *runs: RunResult) -> list[str]:
        """Draw these runs, and return the lines of the table without the bar."""
        length_before = len(self.terminal.getvalue())
        with self.live as live:
            live.on_tick(runs)
            text = _CONTROL_SEQUENCE.sub("", self.terminal.getvalue()[length_before:])
        return [line.rstrip() for line in text.splitlines()]


@pytest.fixture(autouse=True)
def _set_terminal_size(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rich reads the environment of the tests.
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def table() -> Table:
    return Table()


# Which terminals have a table


@pytest.mark.parametrize("environ", [{"TERM": "xterm"}, {"TERM": "xterm", "CI": ""}, {"TERM": "vt100", "CIX": "1"}])
def test_console_at_capable_terminal(environ: dict[str, str]) -> None:
    """A terminal outside of CI has a live table."""
    assert create_terminal_stream(Terminal(), environ)


@pytest.mark.parametrize(
    "environ",
    [{}, {"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}, {"TERM": "xterm", "CI": "false"}],
    ids=str,
)
def test_console_needs_capable_terminal(environ: dict[str, str]) -> None:
    """Without TERM, with TERM=dumb or with CI there are lines only."""
    assert create_terminal_stream(Terminal(), environ) is None


def test_console_needs_terminal() -> None:
    """A file or a pipe has no table."""
    assert create_terminal_stream(io.StringIO(), {"TERM": "xterm"}) is None


def test_console_needs_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library rich is optional."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert create_terminal_stream(Terminal(), {"TERM": "xterm"}) is None


@pytest.mark.parametrize(("value", "is_coloured"), [("1", False), ("", True)])
def test_no_color_removes_colours(value: str, is_coloured: bool) -> None:
    """NO_COLOR with any value removes the colours of the states."""
    table = Table(NO_COLOR=value)
    with table.live as live:
        live.on_tick([make_started_run("a")])
        assert ("\x1b[36m" in table.terminal.getvalue()) is is_coloured
        assert "started" in table.terminal.getvalue()


# Rows


def test_table_shows_open_runs(table: Table) -> None:
    """Only runs without a result have a row."""
    rows = table.draw(
        make_passed_run("a"),
        make_started_run("b", "Sign in"),
        make_failed_run("c"),
        make_planned_run("d"),
        make_rejected_run("e"),
    )
    assert [" ".join(row.split()) for row in rows[:-1]] == ["planned d", "started Sign in 0.0 s"]
    assert rows[-1].endswith(" 2 of 5 ended, 0.0 s")


def test_table_limits_rows(table: Table) -> None:
    """More than twelve open runs are counted."""
    rows = table.draw(*map(make_started_run, NAMES[:12]))
    assert len(rows) == 13
    assert not any("more" in row for row in rows)


@pytest.mark.parametrize("extra", [1, 88])
def test_table_counts_further_runs(extra: int, table: Table) -> None:
    """The line below twelve rows has the number of the others."""
    rows = table.draw(*map(make_started_run, NAMES[: 12 + extra]))
    assert len(rows) == 14
    assert rows[12].strip() == f"and {extra} more"


def test_table_shows_time_since_start(table: Table) -> None:
    """The time of a run counts from its own start."""
    table.clock.sleep(75)
    rows = table.draw(
        make_started_run("a")._replace(start_offset_seconds=15.0),
        make_started_run("b")._replace(start_offset_seconds=80),
    )
    assert rows[0].endswith(" 1 min")
    assert rows[1].endswith(" 0.0 s")
    assert rows[2].endswith("0 of 2 ended, 1 min 15 s")


def test_table_shows_attempt_of_retry(table: Table) -> None:
    """Only a retry has the number of its attempt."""
    retry = make_flaky_run("a")._replace(state=RunState.STARTED, title="", start_offset_seconds=0.0)
    rows = table.draw(retry, make_started_run("b"))
    assert rows[0].endswith("attempt 2")
    assert "attempt" not in rows[1]


@pytest.mark.parametrize(
    ("runs", "count"),
    [
        ([], "0 of 0"),
        ([make_passed_run("a"), make_started_run("b")], "1 of 2"),
        ([make_failed_run("a"), make_passed_run("b")], "2 of 2"),
        # Still running on the server.
        ([make_timed_out_run("a")], "0 of 1"),
    ],
)
def test_table_counts_ended_runs(runs: list[RunResult], count: str, table: Table) -> None:
    """The bar has the number of ended runs."""
    assert table.draw(*runs)[-1].endswith(f" {count} ended, 0.0 s")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\x1b[2Jx\x1b]0;title\x07", "\ufffd[2Jx\ufffd]0;title\ufffd"),
        ("a\rb\nc", "a b c"),
        ("\u202eabc", "abc"),
        ("[bold red]x[/] [link=file:///etc]y", "[bold red]x[/] [link=file:///etc]y"),
    ],
    ids=ascii,
)
def test_table_escapes_names(name: str, expected: str, table: Table) -> None:
    """A name is no control sequence and no markup of rich."""
    with table.live as live:
        live.on_tick([make_started_run("a", name)])
        text = table.terminal.getvalue()
    assert expected in text
    assert not [part for part in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "a\rb") if part in text]


def test_table_truncates_names(table: Table) -> None:
    """A very long name needs one row."""
    rows = table.draw(make_started_run("a", "x" * 10_000))
    assert len(rows) == 2
    assert rows[0].count("x") < 60


# Lines above the table


def test_live_lines_print_in_batches(table: Table) -> None:
    """Three draws cover the first tick, all lines, and the end."""
    runs = [make_passed_run(name) for name in NAMES]
    with table.live as live:
        live.on_tick(runs)
        for run in runs:
            live.on_run_changed(run)
        live.on_warning("odd")
        table.clock.sleep(1)
        live.on_tick(runs)
        assert table.lines() == NAMES
        assert table.terminal.getvalue().count("Warning: odd") == 1
    assert table.draws == 3


def test_live_table_draws_four_times_per_second(table: Table) -> None:
    """Many runs have many events per second, each with a tick."""
    runs = [make_started_run(name) for name in NAMES]
    with table.live as live:
        for run in runs:
            live.on_run_changed(run)
            live.on_tick(runs)
            table.clock.sleep(1 / COUNT)
        assert 2 <= table.draws <= 4
    assert table.lines() == NAMES


def test_live_table_uses_tenth_of_time(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, drawing must not block the main thread."""
    runs = [make_started_run(name) for name in NAMES]
    draw: Callable[..., object] = table.live._render

    def draw_slowly(outcomes: list[RunResult]) -> object:
        table.clock.sleep(1)
        return draw(outcomes)

    monkeypatch.setattr(table.live, "_render", draw_slowly)
    with table.live as live:
        started_at = table.clock.time
        while table.clock.time < started_at + 100:
            live.on_tick(runs)
            table.clock.sleep(0.1)
        assert 9 <= table.draws <= 11


@pytest.mark.parametrize("error", [None, RuntimeError(), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_live_lines_flush_at_exit(error: BaseException | None, table: Table) -> None:
    """Pending lines are printed at the end, also after an exception."""

    def run_live_table() -> None:
        with table.live as live:
            live.on_tick([])
            for name in NAMES:
                live.on_run_changed(make_passed_run(name))
            if error:
                raise error

    with pytest.raises(type(error)) if error else nullcontext():
        run_live_table()
    text = table.terminal.getvalue()
    assert table.lines() == NAMES
    # The table is removed, and the cursor is at the start of a line.
    assert BAR_TEXT not in text[text.index(f"PASSED  {NAMES[0]}") :]
    assert text.endswith(f"run-{NAMES[-1]}\n")


def test_live_lines_survive_memory_error(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that fail for lack of memory are printed at the end."""

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    def run_live_table() -> None:
        with table.live as live:
            for name in NAMES:
                live.on_run_changed(make_passed_run(name))
            with monkeypatch.context() as patch:
                patch.setattr("rich.text.Text.__rich_console__", fail)
                live.on_tick([])

    with pytest.raises(MemoryError):
        run_live_table()
    assert table.lines() == NAMES


def test_live_lines_survive_stop_error(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are printed although the table can't be removed."""

    def fail() -> None:
        raise OSError("no terminal")

    def watch() -> None:
        with table.live as live, monkeypatch.context() as patch:
            live.on_run_changed(make_passed_run("a"))
            patch.setattr(live._live, "stop", fail)
            live.__exit__(None, None, None)

    with pytest.raises(OSError, match="no terminal"):
        watch()
    assert table.lines() == ["a"]


def test_live_table_pauses_for_slow_terminal(table: Table) -> None:
    """Lines that are left out are counted, and warnings are always shown."""
    terminal = table.terminal
    with table.live as live:
        live.on_tick([make_started_run("a")])
        old_text = terminal.getvalue()
        assert "0 of 1 ended" in old_text
        terminal.has_space = False
        live.on_run_changed(make_passed_run("a"))
        live.on_run_changed(make_passed_run("b"))
        live.on_tick([make_passed_run("a")])
        assert terminal.getvalue() == old_text
        live.on_warning("odd")
        live.on_run_changed(make_passed_run("c"))
    assert re.findall(r"PASSED  |\d progress \w+ \w+ left out|Warning: odd", terminal.getvalue()[len(old_text) :]) == [
        "2 progress lines were left out", "Warning: odd", "1 progress line was left out"
    ]  # fmt: skip


def test_live_tick_publishes_reports(table: Table) -> None:
    """Reports are published although the terminal is too slow for a draw."""
    table.terminal.has_space = False
    with table.live as live:
        live.on_tick([make_started_run("a")])
        assert table.published == [[make_started_run("a")]]
        assert table.draws == 0


def test_live_table_has_no_heartbeat(table: Table) -> None:
    """The table shows the time, so no line repeats the totals."""
    with table.live as live:
        for _ in range(10):
            table.clock.sleep(100)
            live.on_tick([make_started_run("a")])
    assert "of 1 run" not in table.terminal.getvalue()


# Stream


def test_stream_stores_texts_until_show() -> None:
    """Nothing is printed before `show`, and everything is printed once."""
    terminal = Terminal()
    stream = create_terminal_stream(terminal, {"TERM": "xterm"})
    assert stream
    assert [stream.write("a\n"), stream.write("bc\n")] == [2, 3]
    assert terminal.getvalue() == ""
    assert stream.show()
    assert terminal.getvalue() == "a\nbc\n"
    assert not stream.show()
    assert terminal.getvalue() == "a\nbc\n"


def test_stream_prints_long_lines_unchanged() -> None:
    """Lines are not wrapped, so that a terminal can select a link."""
    terminal = Terminal()
    stream = create_terminal_stream(terminal, {"TERM": "xterm"})
    assert stream
    text = f"https://a.test/{'x' * 1000} [bold]y[/] :smile: 12\n"
    stream.write(text)
    stream.show()
    assert terminal.getvalue() == text


def test_stream_capacity_is_that_of_terminal() -> None:
    """A terminal without a buffer always has space."""
    from rich.console import Console

    terminal = Terminal()
    stream = TerminalStream(Console(file=terminal))
    assert stream.has_capacity()
    terminal.has_space = False
    assert not stream.has_capacity()
    assert TerminalStream(Console(file=io.StringIO())).has_capacity()


def test_log_above_escapes_lines() -> None:
    """A log above the table has no control characters."""
    terminal = Terminal()
    stream = create_terminal_stream(terminal, {"TERM": "xterm"})
    assert stream
    log_above(stream).annotate("warning", Diagnostic("a\x1b[2Jb\nc"))
    stream.show()
    assert terminal.getvalue().startswith("Warning: a")
    assert terminal.getvalue().count("\n") == 1
    assert "\x1b" not in terminal.getvalue()
