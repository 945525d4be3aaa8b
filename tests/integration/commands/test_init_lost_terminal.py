"""Prompts of `init` at a terminal that disappears."""

from __future__ import annotations

import errno
import io
import os
import pty
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.sandbox import Sandbox
from tests.support.account_server import build_folder
from tests.support.invoke_command import CREDENTIALS, FakeTerminal
from tests.support.streams import COMMAND, process_environ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_CHOICE_ERROR = "Error: Nothing was selected, so nothing was written."


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(folders=[build_folder("f1", "Checkout", ("t1", "Pays by card"))]) as sandbox:
        yield sandbox


class FailingTerminal(FakeTerminal):
    """A terminal that fails at the end of its input."""

    def __init__(self, terminal_input: str, error: Exception) -> None:
        super().__init__(terminal_input)
        self._error = error

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = super().readline(size)
        if not line:
            raise self._error
        return line


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("closed")], ids=repr)
@pytest.mark.parametrize("terminal_input", ["", "1\n", "1\ntests\n"])
def test_failing_terminal_selects_nothing(
    terminal_input: str, error: Exception, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An error of the terminal counts as the end of the input."""
    environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url}
    err = io.StringIO()
    code = cli.run_command(
        ["init"], Runtime(environ, FakeTerminal(), err, str(tmp_path), stdin=FailingTerminal(terminal_input, error))
    )
    assert (code, err.getvalue()) == (2, f"{NO_CHOICE_ERROR}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_closed_terminal_selects_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """A closed terminal counts as the end of the input."""
    parent_fd, child_fd = pty.openpty()
    env = process_environ(**CREDENTIALS, AUTONOMA_API_URL=sandbox.url)
    process = subprocess.Popen(
        [*COMMAND, "init"], cwd=tmp_path, env=env, stdin=child_fd, stdout=child_fd, stderr=subprocess.PIPE, text=True
    )
    os.close(child_fd)
    output = b""
    while not output.endswith(b"or all: "):
        output += os.read(parent_fd, 1024)
    # Linux fails only the read that is waiting at the time. A later one gets the end of the file.
    time.sleep(0.5)
    os.close(parent_fd)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, f"{NO_CHOICE_ERROR}\n")
    assert list(tmp_path.iterdir()) == []
