"""Cancellation by Ctrl-C at a terminal and by SIGTERM in CI."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS
from tests.support.streams import COMMAND, process_environ, read_terminal

if TYPE_CHECKING:
    from pathlib import Path

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def interrupt_run(folder: Path, *argv: str, signal_number: int = signal.SIGINT, **more: str) -> tuple[int, list[str]]:
    """Start two endless runs, send a signal, and return exit code and lines."""
    with Sandbox() as sandbox:
        parent_fd, child_fd = pty.openpty()
        environ = process_environ(TERM="dumb", AUTONOMA_API_URL=sandbox.url, **CREDENTIALS, **more)
        command = [*COMMAND, "run", "--wait", "--test-ids", "sandbox-stays,sandbox-stays-2", *argv]
        process = subprocess.Popen(command, env=environ, cwd=folder, stdin=child_fd, stdout=child_fd, stderr=child_fd)
        os.close(child_fd)
        output, deadline = b"", time.monotonic() + 60
        while output.count(b"STARTED  ") < 2:
            assert time.monotonic() < deadline, output
            output += os.read(parent_fd, 65536)
        process.send_signal(signal_number)
        output += read_terminal(parent_fd)
        code = process.wait(60)
    lines = CONTROL_SEQUENCE.sub("", output.decode("utf-8", "replace")).replace("\r", "").splitlines()
    return code, [line for line in lines if line.strip()]


@pytest.mark.parametrize(
    ("argv", "results_json"),
    [(["--results-dir", "my r"], "'my r/results.json'"), (["--results-dir=r/"], "r/results.json")],
)
def test_sigint_names_results_for_wait(argv: list[str], results_json: str, tmp_path: Path) -> None:
    """The last line is the `wait` command with the path of results.json."""
    code, lines = interrupt_run(tmp_path, *argv)
    assert code == 130
    assert lines[-3:] == [
        "Cancelled. 0 of 2 runs passed, 2 still running.",
        "2 runs continue in Autonoma, because the API cannot cancel runs.",
        f"To wait for the results: autonoma-ci wait {results_json}",
    ]


def test_sigint_suggests_results_dir(tmp_path: Path) -> None:
    """Without a results folder, the last line suggests to set `results-dir`."""
    code, lines = interrupt_run(tmp_path)
    assert code == 130
    assert (
        lines[-1]
        == "To wait for the results later, set results-dir. The command autonoma-ci wait needs its results.json."
    )
    assert "Traceback" not in "\n".join(lines)


def stop_command(folder: Path, *argv: str, trigger: str) -> tuple[int, str]:
    """Send SIGINT after a line with the text `trigger`, and return exit code and output."""
    environ = process_environ(PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        [*COMMAND, *argv], env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        lines: list[str] = []
        for line in process.stdout:
            if trigger in line and not any(trigger in earlier_line for earlier_line in lines):
                process.send_signal(signal.SIGINT)
            lines.append(line)
        return process.wait(60), "".join(lines)


def test_sigint_stops_sandbox(tmp_path: Path) -> None:
    """The sandbox exits with 130 and says that it was stopped."""
    code, output = stop_command(tmp_path, "sandbox", "--port", "0", trigger="Ids of the sandbox's account")
    assert code == 130
    assert output.endswith("\nThe sandbox was stopped.\n")
    assert "Cancelled before" not in output


def test_sigint_in_demo_cancels_advice(tmp_path: Path) -> None:
    """The runs of the demo end with it, so the advice to wait is withdrawn."""
    code, output = stop_command(tmp_path, "demo", "--output", "d", trigger="STARTED  ")
    assert code == 130
    last_line = "The demo was cancelled. Ignore the advice above, because the demo's runs have ended.\n"
    assert output.endswith(last_line)


def test_sigterm_in_ci_names_results(tmp_path: Path) -> None:
    """The log has the same lines as after Ctrl-C, and the exit code is 143."""
    code, lines = interrupt_run(tmp_path, "--results-dir=r", signal_number=signal.SIGTERM, GITLAB_CI="true")
    assert code == 143
    assert "Cancelled. 0 of 2 runs passed, 2 still running." in lines
    assert "To wait for the results: autonoma-ci wait r/results.json" in lines
