"""The process entrypoint.py with a fake package."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autonoma_ci.cli import COMMANDS

_ENTRYPOINT = Path(__file__).parents[3] / "entrypoint.py"
_MAIN_MODULE = Path(__file__).parents[3] / "autonoma_ci" / "__main__.py"
# A fake package that prints its arguments. SLOW makes the import slow. It sleeps in short pieces,
# because Python handles a signal only after the current call into C.
_CLI = """
import os, sys, time
if os.environ.get("SLOW"):
    print("importing", flush=True)
    for _ in range(6000):
        time.sleep(0.1)
def main():
    print("autonoma-ci", *sys.argv[1:])
"""


@pytest.fixture
def entrypoint(tmp_path: Path) -> list[str]:
    # Without -I, the folder of the script is on the import path, so the fake package is found there.
    package = tmp_path / "autonoma_ci"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(_CLI)
    shutil.copy(str(_MAIN_MODULE), str(package))
    return [sys.executable, shutil.copy(str(_ENTRYPOINT), str(tmp_path))]


def _run_entrypoint(command: list[str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run", "--test-ids", "a b"],
        ["--dry-run"],
        ["./sh", "-c", "echo taken"],
        ["tools/cat"],
        ["../bin/echo", "taken"],
        ["no-such-program", "taken"],
        ["test", "x"],
        ["[", "x", "]"],
        ["run", "sh", "-c", "echo taken"],
        ["sh ", "-c", "echo taken"],
        ["."],
        [".."],
        [""],
    ],
)
def test_other_arguments_go_to_autonoma_ci(entrypoint: list[str], arguments: list[str]) -> None:
    """Arguments that start no program of the image are those of autonoma-ci, unchanged."""
    assert _run_entrypoint(entrypoint, *arguments).stdout.rstrip("\n") == " ".join(["autonoma-ci", *arguments])


def test_command_names_win_over_programs(entrypoint: list[str]) -> None:
    """A derived image can have a program with the name of a command."""
    for command in COMMANDS:
        assert _run_entrypoint([*entrypoint], command).stdout == f"autonoma-ci {command}\n"
    namespace = runpy.run_path(str(_ENTRYPOINT))
    assert namespace["_COMMANDS"] == set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["env", "--", "echo", "taken"], "taken"),
        (["echo", "a  b", ""], "a  b "),
        (["sleep", "0"], ""),
        (["tail", "-n", "1", "/dev/null"], ""),
        (["/usr/bin/env", "echo", "taken"], "taken"),
        (["sh", "-c", "echo taken"], "taken"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_known_programs_are_executed(entrypoint: list[str], arguments: list[str], output: str) -> None:
    """CI systems and users start the image with these programs."""
    result = _run_entrypoint(entrypoint, *arguments)
    assert (result.stdout.removesuffix("\n"), result.stderr, result.returncode) == (output, "", 0)


def test_absolute_path_is_executed(entrypoint: list[str], tmp_path: Path) -> None:
    """Azure Pipelines mounts its own node and starts the container with it."""
    node = tmp_path / "__a" / "externals" / "node20_1" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text('#!/bin/sh\necho "node:$1:$2"\n')
    node.chmod(0o755)
    assert (
        _run_entrypoint(entrypoint, str(node), "-e", "setInterval(() => {}, 1)").stdout
        == "node:-e:setInterval(() => {}, 1)\n"
    )


def test_checkout_programs_are_not_executed(entrypoint: list[str], tmp_path: Path) -> None:
    """PATH of the job can contain a folder of the pull request."""
    hostile_program = tmp_path / "bin" / "sleeep"
    hostile_program.parent.mkdir()
    hostile_program.write_text("#!/bin/sh\necho planted\n")
    hostile_program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{hostile_program.parent}:{os.environ['PATH']}"}
    command = [*entrypoint, "sleeep"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout == "autonoma-ci sleeep\n"


@pytest.mark.parametrize("arguments", [["test", "x"], ["true"], ["sh", "-c", "echo taken"], ["/bin/true"]])
def test_script_command_executes_no_program(entrypoint: list[str], arguments: list[str], tmp_path: Path) -> None:
    """In a script, `autonoma-ci true` would pass without a run."""
    (tmp_path / "autonoma-ci").symlink_to(entrypoint[1])
    result = _run_entrypoint([entrypoint[0], str(tmp_path / "autonoma-ci")], *arguments)
    assert result.stdout.rstrip("\n") == " ".join(["autonoma-ci", *arguments])


def test_input_args_execute_no_program(entrypoint: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Act passes the input `args` to the container (nektos/act, pkg/runner/action.go)."""
    monkeypatch.setenv("INPUT_ARGS", "test x")
    assert _run_entrypoint(entrypoint, "test", "x").stdout == "autonoma-ci test x\n"


@pytest.mark.parametrize("shell", ["sh", "bash", "/bin/sh", "/bin/bash"])
def test_shell_gets_arguments_and_stdin(entrypoint: list[str], shell: str) -> None:
    """The exit code of the shell is the exit code of the process."""
    result = _run_entrypoint(
        entrypoint, shell, "-c", 'read line; echo "$line: $1"; exit 7', "name", "one two", stdin="said\n"
    )
    assert (result.stdout, result.stderr, result.returncode) == ("said: one two\n", "", 7)


@pytest.mark.parametrize("cat", ["cat", "/bin/cat"])
def test_cat_runs_until_stdin_ends(entrypoint: list[str], cat: str) -> None:
    """Jenkins keeps a container open with cat."""
    assert _run_entrypoint(entrypoint, cat, stdin="held open\n").stdout == "held open\n"


def test_sigpipe_has_default_action(entrypoint: list[str]) -> None:
    """Python ignores SIGPIPE, and a shell would inherit that."""
    result = _run_entrypoint(entrypoint, "bash", "-c", 'yes | head -n 1; echo "${PIPESTATUS[0]}"')
    assert (result.stdout, result.stderr) == ("y\n141\n", "")


@pytest.mark.parametrize(("mode", "code"), [(None, 127), (0o644, 126)])
def test_unusable_shell_has_shell_exit_code(entrypoint: list[str], tmp_path: Path, mode: int | None, code: int) -> None:
    """The exit code is 127 for a missing program and 126 for one without permission."""
    shell = tmp_path / "sh"
    if mode:
        shell.touch()
        shell.chmod(mode)
    result = _run_entrypoint(entrypoint, str(shell))
    assert result.returncode == code
    assert result.stderr.startswith(f"autonoma-ci: {shell} could not be started: ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_during_import_exits_quietly(
    entrypoint: list[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """A signal during the imports ends the process at once without a traceback."""
    monkeypatch.setenv("SLOW", "1")
    with subprocess.Popen(entrypoint, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")


def test_pid_1_handles_sigterm(entrypoint: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel drops a signal for which PID 1 has no handler."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a PID namespace can't be made here")
    monkeypatch.setenv("SLOW", "1")
    with subprocess.Popen([*unshare, *entrypoint], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        # unshare waits for its child, which gets the signal.
        child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        subprocess.run(["kill", "-TERM", child], check=True)
        assert process.wait(timeout=60) == 143
