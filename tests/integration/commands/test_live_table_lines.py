"""Log lines above the live table."""

from __future__ import annotations

import io
import os
import pty
import queue
import re
import signal
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.live_table import LiveTable, create_console, log_above
from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.models import RunRequest, RunResult, TargetKind
from autonoma_ci.sandbox import Sandbox
from tests.support.fake_clock import FakeClock, ScriptedWorkers
from tests.support.invoke_command import CREDENTIALS
from tests.support.reports import passed, started
from tests.support.streams import COMMAND, process_environ, read_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autonoma_ci.engine.workers import Event

# The bar of each drawn table has this text.
DRAWN = "ended, "
COUNT = 500
NAMES = [f"test-{number}" for number in range(COUNT)]
# A line of the log about a run, with the id of its test.
_LINE = re.compile(r"(?:passed|started|not started|may have started): test ([-\w]+)")


class Terminal(io.StringIO):
    """A terminal in memory."""

    def isatty(self) -> bool:
        return True


class Table:
    """A live table in a terminal in memory."""

    def __init__(self) -> None:
        self.terminal, self.clock = Terminal(), FakeClock()
        drawn = create_console(self.terminal, {"TERM": "xterm"})
        assert drawn
        self.live = LiveTable(
            drawn, ProgressReporter(log_above(drawn), self.clock, lambda _: None, quiet=True), self.clock
        )

    @property
    def draws(self) -> int:
        return self.terminal.getvalue().count(DRAWN)

    def lines(self) -> list[str]:
        """Return the ids of the runs in the order of their lines."""
        return _LINE.findall(self.terminal.getvalue())


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    # Rich reads the environment of the tests.
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Table()


def test_live_lines_print_in_batches(table: Table) -> None:
    """Three draws cover the first tick, all lines, and the end."""
    runs = [passed(name) for name in NAMES]
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
    runs = [started(name) for name in NAMES]
    with table.live as live:
        for run in runs:
            live.on_run_changed(run)
            live.on_tick(runs)
            table.clock.sleep(1 / COUNT)
        assert 2 <= table.draws <= 4
    assert table.lines() == NAMES


def test_live_table_uses_tenth_of_time(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, drawing must not block the main thread."""
    runs = [started(name) for name in NAMES]
    draw: Callable[..., object] = table.live._render

    def slowly(outcomes: list[RunResult]) -> object:
        table.clock.sleep(1)
        return draw(outcomes)

    monkeypatch.setattr(table.live, "_render", slowly)
    with table.live as live:
        began = table.clock.time
        while table.clock.time < began + 100:
            live.on_tick(runs)
            table.clock.sleep(0.1)
        assert 9 <= table.draws <= 11


@pytest.mark.parametrize("error", [None, RuntimeError(), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_live_lines_flush_at_exit(error: BaseException | None, table: Table) -> None:
    """Pending lines are printed at the end, also after an exception."""

    def watch() -> None:
        with table.live as live:
            live.on_tick([])
            for name in NAMES:
                live.on_run_changed(passed(name))
            if error:
                raise error

    with pytest.raises(type(error)) if error else nullcontext():
        watch()
    shown = table.terminal.getvalue()
    assert table.lines() == NAMES
    # The table is removed, and the cursor is at the start of a line.
    assert DRAWN not in shown[shown.index(f"passed: test {NAMES[0]}") :]
    assert shown.endswith(f"run-{NAMES[-1]}\n")


def test_live_lines_survive_memory_error(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that fail for lack of memory are printed at the end."""

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    def watch() -> None:
        with table.live as live:
            for name in NAMES:
                live.on_run_changed(passed(name))
            with monkeypatch.context() as patch:
                patch.setattr("rich.text.Text.__rich_console__", fail)
                live.on_tick([])

    with pytest.raises(MemoryError):
        watch()
    assert table.lines() == NAMES


def test_signal_draws_table_once(table: Table) -> None:
    """Each cancelled run has a line, and a second signal would prevent the record."""
    clock = table.clock
    board = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in NAMES], clock.monotonic())
    interrupt = SignalReceived(signal.SIGINT)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    events.put(interrupt)
    clock.schedule(0, interrupt)
    with table.live as live:
        live.on_tick(board.results)
        Engine(board, StartPolicy(), clock, events, live).run(ScriptedWorkers(clock, {}))
    assert table.lines() == NAMES
    assert table.draws <= 2


def test_signal_leaves_line_per_run(tmp_path: Path) -> None:
    """A real process at a real terminal prints all lines before its last sentence."""
    names = [f"t{number}" for number in range(100)]
    ours, theirs = pty.openpty()
    with Sandbox(pace=0.05) as sandbox:
        environ = {
            **CREDENTIALS,
            "TERM": "xterm",
            "COLUMNS": "120",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": ",".join([*names, "sandbox-stays"]),
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_CONCURRENCY": "1",
        }
        env = process_environ(**environ)
        process = subprocess.Popen([*COMMAND, "run"], env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while b"started: test t0" not in shown:
                shown += os.read(ours, 65536)
            process.send_signal(signal.SIGTERM)
            shown += read_terminal(ours)
        finally:
            process.kill()
    assert process.wait() == 143
    text = shown.decode()
    assert set(_LINE.findall(text)) == {*names, "sandbox-stays"}
    assert text.rindex(" of 101 runs passed") > max(found.start() for found in _LINE.finditer(text))
