"""Log lines of a job with a live table that a signal cancels."""

from __future__ import annotations

import os
import pty
import queue
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.models import RunRequest, RunResult, TargetKind
from autonoma_ci.sandbox import Sandbox
from tests.support.fake_clock import ScriptedWorkers
from tests.support.invoke_command import CREDENTIALS
from tests.support.streams import COMMAND, process_environ, read_terminal
from tests.unit.app.test_live_table import NAMES, Table

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.engine.workers import Event

# A line of the log about a run, with the id of its test.
_LINE = re.compile(r"(?:PASSED|STARTED|NOT-STARTED|UNKNOWN)  ([-\w]+)")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    # Rich reads the environment of the tests.
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Table()


def test_signal_draws_table_once(table: Table) -> None:
    """Each cancelled run has a line, and a second signal would prevent results.json."""
    clock = table.clock
    runs = RunTable([RunResult(RunRequest(TargetKind.TEST, name)) for name in NAMES], clock.monotonic())
    interrupt = SignalReceived(signal.SIGINT)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    events.put(interrupt)
    clock.schedule(0, interrupt)
    with table.live as live:
        live.on_tick(runs.results)
        Engine(runs, StartPolicy(), clock, events, live).run(ScriptedWorkers(clock, {}))
    assert table.lines() == NAMES
    assert table.draws <= 2


def test_signal_leaves_line_per_run(tmp_path: Path) -> None:
    """A real process at a real terminal prints all lines before its last sentence."""
    names = [f"t{number}" for number in range(100)]
    parent_fd, child_fd = pty.openpty()
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
        process = subprocess.Popen(
            [*COMMAND, "run"], env=env, cwd=tmp_path, stdin=child_fd, stdout=child_fd, stderr=child_fd
        )
        os.close(child_fd)
        output = b""
        try:
            while b"STARTED  t0" not in output:
                output += os.read(parent_fd, 65536)
            process.send_signal(signal.SIGTERM)
            output += read_terminal(parent_fd)
        finally:
            process.kill()
    assert process.wait() == 143
    text = output.decode()
    assert set(_LINE.findall(text)) == {*names, "sandbox-stays"}
    assert text.rindex(" of 101 runs passed") > max(match.start() for match in _LINE.finditer(text))
