"""The command line with real commands, help texts and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autonoma_ci
from autonoma_ci.cli import COMMANDS
from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.streams import read_terminal

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    """Each command prints its usage line with `--help`."""
    result = invoke(tmp_path, command, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"usage: autonoma-ci {command}")


def test_help_and_version(tmp_path: Path) -> None:
    """The help lists every command, and `--version` prints the version."""
    assert all(f"  {command} " in invoke(tmp_path, "--help").out for command in COMMANDS)
    assert invoke(tmp_path, "--version").out == f"autonoma-ci {autonoma_ci.__version__}\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [("validat", "Did you mean 'validate'?"), ("wiat", "Did you mean 'wait'?"), ("frobnicate", "Use one of run")],
)
def test_unknown_command_suggests_known(name: str, message: str, tmp_path: Path) -> None:
    """The error suggests a similar command or lists all commands."""
    result = invoke(tmp_path, name)
    assert result.code == 2
    assert message in result.err


def test_default_command_is_run(tmp_path: Path) -> None:
    """Options without a command run tests."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
        assert invoke(tmp_path, "--test-ids", "a", environ=environ).code == 0
        assert invoke(tmp_path, "run", "--test-ids", "b", environ=environ).code == 0
        assert invoke(tmp_path, environ=environ | {"AUTONOMA_TEST_IDS": "c"}).code == 0
        assert [sandbox.count_starts(test_id) for test_id in "abc"] == [1, 1, 1]


@pytest.mark.parametrize(
    "environ", [{}, {"CI": "false"}, {"AUTONOMA_CI": "cli", "CI": "true"}, {"AUTONOMA_TEST_IDS": "a"}]
)
def test_no_command_at_terminal_prints_help(environ: dict[str, str], tmp_path: Path) -> None:
    """The help ends with the commands to type next."""
    result = invoke(tmp_path, environ=environ, terminal_input="")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("usage: autonoma-ci [COMMAND]")
    assert "autonoma-ci demo" in result.out.partition("examples:")[2]


@pytest.mark.parametrize(
    ("environ", "argv", "terminal_input"),
    [
        ({"CI": "true"}, (), ""),
        ({"GITHUB_ACTIONS": "true"}, (), ""),
        ({"AUTONOMA_CI": "gitlab"}, (), ""),
        ({}, (), None),
        ({}, ("run",), ""),
        ({}, ("--test-ids", "a"), ""),
    ],
)
def test_no_command_in_ci_runs(
    environ: dict[str, str], argv: tuple[str, ...], terminal_input: str | None, tmp_path: Path
) -> None:
    """A CI job or any argument selects the command `run`, even at a terminal."""
    result = invoke(tmp_path, *argv, environ=environ, terminal_input=terminal_input)
    assert result.code == 2
    assert "client-id and client-secret are missing" in result.err


def test_module_prints_help_of_command(tmp_path: Path) -> None:
    """`python -m autonoma_ci` prints the same help, also at a real terminal."""
    command = [sys.executable, "-m", "autonoma_ci"]
    completed = subprocess.run(
        [*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stdout == invoke(tmp_path, "--help").out
    parent_fd, child_fd = os.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(autonoma_ci.__file__).parent.parent)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdin=child_fd, stdout=child_fd, stderr=child_fd
    ) as process:
        os.close(child_fd)
        printed = read_terminal(parent_fd)
    assert (process.returncode, printed.decode().replace("\r\n", "\n")) == (0, completed.stdout)


def test_closed_log_pipe_keeps_runs(tmp_path: Path) -> None:
    """A closed pipe loses the log, but the runs start."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "a,b",
            "PATH": os.environ["PATH"],
        }
        reader, writer = os.pipe()
        os.close(reader)
        completed = subprocess.run(
            COMMAND, env=environ, cwd=tmp_path, stdout=writer, stderr=writer, check=False, timeout=60
        )
        os.close(writer)
        assert completed.returncode == 0
        assert len(sandbox.received) == 2


CYCLE_PROGRAM = """
import weakref
from autonoma_ci import cli

class Circle:
    def __init__(self):
        self.own = self

def main(argv, runtime):
    first = weakref.ref(Circle())
    for _ in range(100_000):
        Circle()
    return 0 if first() is None else 1

cli.run_command = main
cli.main()
"""


def test_reference_cycles_are_collected() -> None:
    """Garbage collection stays on, because it alone frees reference cycles of requests."""
    assert subprocess.run([sys.executable, "-c", CYCLE_PROGRAM], check=False, timeout=60).returncode == 0
