"""The live table of runs at an interactive terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.streams import read_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIN_PROGRAM = "from autonoma_ci.cli import main; main()"
COMMAND = [sys.executable, "-c", MAIN_PROGRAM]
WITHOUT_RICH = [sys.executable, "-c", f"import sys; sys.modules['rich'] = None\n{MAIN_PROGRAM}"]
COLOR_SEQUENCE = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38|4[0-7])(?:;\d+)*m")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0.5) as sandbox:
        yield sandbox


def run_at_terminal(folder: Path, url: str, command: list[str], **more: str) -> tuple[int, str]:
    """Run a step at a terminal, and return its exit code and output."""
    parent_fd, child_fd = pty.openpty()
    environ = {
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "COLUMNS": "120",
        "AUTONOMA_API_URL": url,
        "AUTONOMA_CLIENT_ID": "client-id-of-the-test",
        "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
        "AUTONOMA_TEST_IDS": "Sign in=a, sandbox-fails",
        "AUTONOMA_WAIT": "true",
        **more,
    }
    process = subprocess.Popen(
        [*command, "run"], env=environ, cwd=folder, stdin=child_fd, stdout=child_fd, stderr=child_fd
    )
    os.close(child_fd)
    output = read_terminal(parent_fd)
    return process.wait(60), output.decode("utf-8", "replace")


@pytest.mark.slow
def test_live_table_shows_bar_and_lines(sandbox: Sandbox, tmp_path: Path) -> None:
    """The terminal shows a progress bar, and each line of the log stays."""
    code, output = run_at_terminal(tmp_path, sandbox.url, COMMAND)
    assert code == 1
    assert "━" in output
    assert "of 2 ended" in output
    assert "PASSED  Sign in  (" in output
    assert "Expected a confirmation" in output
    assert "client-secret-of-the-test" not in output
    # At the end, the table is removed, and the lines stay.
    assert "1 of 2 runs passed, 1 failed." in output.splitlines()[-1]


@pytest.mark.slow
def test_live_table_respects_no_color(sandbox: Sandbox, tmp_path: Path) -> None:
    """`NO_COLOR` removes the colours, not the table."""
    _, color_output = run_at_terminal(tmp_path, sandbox.url, COMMAND)
    _, plain_output = run_at_terminal(tmp_path, sandbox.url, COMMAND, NO_COLOR="1")
    assert COLOR_SEQUENCE.search(color_output)
    assert not COLOR_SEQUENCE.search(plain_output)
    # Without colours, the bar has no part for pending runs.
    assert "of 2 ended" in plain_output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "more"),
    [(COMMAND, {"TERM": "dumb"}), (COMMAND, {"GITHUB_ACTIONS": "true"}), (COMMAND, {"CI": "true"}), (WITHOUT_RICH, {})],
    ids=["a dumb terminal", "a CI system", "CI", "without rich"],
)
def test_live_table_needs_terminal(command: list[str], more: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """Without a capable terminal or Rich, there are lines only."""
    code, output = run_at_terminal(tmp_path, sandbox.url, command, **more)
    assert code == 1
    assert "\x1b" not in output
    assert "PASSED  Sign in  (" in output


@pytest.mark.slow
def test_live_table_escapes_names(sandbox: Sandbox, tmp_path: Path) -> None:
    """Names hold no control sequences and no markup of Rich."""
    name = "\x1b[2J[bold red]x[/]\x1b]0;title\x07"
    _, output = run_at_terminal(tmp_path, sandbox.url, COMMAND, AUTONOMA_TEST_IDS=f"{name}=a")
    assert "\x1b[2J" not in output
    assert "\x1b]0;" not in output
    assert "[bold red]x[/]" in output
