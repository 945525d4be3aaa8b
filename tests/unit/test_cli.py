"""Tests of the command line in this process."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import pytest

import autonoma_ci
from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.commands import run, schema
from autonoma_ci.errors import ApiError, Cancelled, InputError, OutputError
from autonoma_ci.streams import WriteTimeouts
from tests.support.invoke_command import FakeTerminal, invoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECRET = "s3cret-value-of-client"
HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ProcessEnded(BaseException):
    """The end of the process, with its exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Process:
    """The command line as the main function of a process, with files as its streams."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._out, self._err = folder / "out", folder / "err"
        self.stdin: io.TextIOWrapper | None = io.TextIOWrapper(io.BytesIO(b"\xff\n"))
        self.limits: list[tuple[int, tuple[int, int]]] = []
        self.threads: list[int] = []

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Run a command, and return exit code, standard output and standard error."""
        with self._out.open("w") as out, self._err.open("w") as err:
            streams = {"argv": ["autonoma-ci", *argv], "stdin": self.stdin, "stdout": out, "stderr": err}
            for name, value in streams.items():
                self._monkeypatch.setattr(sys, name, value)
            with pytest.raises(ProcessEnded) as result:
                cli.main()
        return result.value.code, self._out.read_text("utf-8"), self._err.read_text("utf-8")


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Yield the process, and restore what it changes in this one."""

    def raise_process_ended(code: int) -> NoReturn:
        raise ProcessEnded(code)

    process = Process(tmp_path, monkeypatch)
    handlers = [(number, signal.getsignal(number)) for number in HANDLED_SIGNALS]
    hook = sys.unraisablehook
    monkeypatch.setattr(os, "_exit", raise_process_ended)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: process.limits.append((kind, limits)))
    monkeypatch.setattr(cli, "preallocate_threads", process.threads.append)
    yield process
    for number, handler in handlers:
        signal.signal(number, handler)
    sys.unraisablehook = hook


def replace_command(
    monkeypatch: pytest.MonkeyPatch, main: Callable[[Sequence[str], Runtime], int]
) -> None:  # fmt: skip
    """Replace the main function of the command `schema`."""
    monkeypatch.setattr(schema, "main", main)


def build_failing_command(error: BaseException) -> Callable[[Sequence[str], Runtime], int]:
    """Return a command that fails."""

    def fail(_: Sequence[str], __: Runtime) -> int:
        raise error

    return fail


# main


def test_process_exits_with_code_of_command(process: Process) -> None:
    """The output is complete before the process ends."""
    assert process.run("--version") == (0, f"autonoma-ci {autonoma_ci.__version__}\n", "")
    code, out, err = process.run("schema", "s3cret-value")
    assert (code, out) == (2, "")
    assert err == "Error: Unknown schema. Use manifest or results.\n"


def test_process_dumps_no_core(process: Process) -> None:
    """The memory has credentials, so its dump is limited to one byte."""
    process.run("--version")
    assert process.limits == [(resource.RLIMIT_CORE, (1, 1))]


def test_process_runs_where_limit_is_refused(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without such limits still runs the command."""

    def raise_error(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", raise_error)
    monkeypatch.setattr(resource, "getrlimit", raise_error)
    assert process.run("--version")[0] == 0
    assert process.threads == [2]


@pytest.mark.parametrize(("limit", "count"), [(resource.RLIM_INFINITY, 2), (2**30, 1)])
def test_limited_memory_needs_fewer_threads(
    limit: int, count: int, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread uses address space that imports can need."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    process.run("--version")
    assert process.threads == [count]


def test_process_passes_its_environment(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has the environment, the arguments and the standard input of the process."""
    values: list[object] = []

    def main(argv: Sequence[str], runtime: Runtime) -> int:
        stdin = runtime.stdin
        values.extend([list(argv), runtime.environ is os.environ, stdin.readline() if stdin else ""])
        values.append([signal.getsignal(number) == runtime.signals.handle for number in HANDLED_SIGNALS])
        return 5

    replace_command(monkeypatch, main)
    assert process.run("schema", "a", "b")[0] == 5
    # A byte that is not UTF-8 is shown escaped.
    assert values == [["a", "b"], True, "\\xff\n", [True, True]]


def test_process_accepts_closed_stdin(process: Process) -> None:
    """Python has no object for a closed standard input."""
    process.stdin = None
    assert process.run("--version")[0] == 0


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), OSError(SECRET)], ids=repr)
def test_process_failure_exits_70(
    error: BaseException, process: Process, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error before the command is never the exit code of runs that did not pass."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "open_standard_streams", fail)
    assert process.run("--version") == (70, "", "")
    name = type(error).__name__
    assert capfd.readouterr().err == f"Error: autonoma-ci ended early ({name}).\n"


def test_process_without_stderr_exits_70(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message about the failure can fail too."""

    def fail(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(cli, "open_standard_streams", fail)
    monkeypatch.setattr(os, "write", fail)
    assert process.run("--version")[0] == 70


@pytest.mark.parametrize("number", [0, signal.SIGTERM])
def test_process_waits_less_after_signal(
    number: int, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A CI system kills a cancelled job soon."""
    limits: list[WriteTimeouts] = []

    def main(_: Sequence[str], runtime: Runtime) -> int:
        if number:
            runtime.signals.handle(number, None)
        return 0

    replace_command(monkeypatch, main)
    monkeypatch.setattr(cli, "wait_until_written", lambda _, current: limits.append(current()))
    assert process.run("schema")[0] == (143 if number else 0)
    assert limits == [WriteTimeouts(1.0, 3.0) if number else WriteTimeouts(10.0, 60.0)]


# run_command


def run_schema(folder: Path, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command `schema`, and return exit code and standard error."""
    result = invoke(folder, "schema", environ=environ)
    assert result.out == ""
    return result.code, result.err


@pytest.mark.parametrize("number", HANDLED_SIGNALS)
def test_cancelled_command_has_exit_code(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal before the first request ends the command with one line."""
    replace_command(monkeypatch, build_failing_command(Cancelled(number)))
    assert run_schema(tmp_path) == (128 + number, "Cancelled before anything was started.\n")


def test_signal_after_command_has_no_effect(tmp_path: Path) -> None:
    """The exit code is final, so a late signal raises nothing."""
    runtime = Runtime({}, io.StringIO(), io.StringIO(), str(tmp_path))
    assert cli.run_command(["--version"], runtime) == 0
    runtime.signals.handle(signal.SIGTERM, None)
    assert runtime.signals.received


def test_error_of_signal_is_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library can replace the error of a signal with its own."""

    def main(_: Sequence[str], runtime: Runtime) -> int:
        with suppress(Cancelled):
            runtime.signals.handle(signal.SIGINT, None)
        raise RuntimeError(SECRET)

    replace_command(monkeypatch, main)
    assert run_schema(tmp_path) == (130, "Cancelled before anything was started.\n")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError(["one", "two"]), 2, "Error: one\nError: two\n"),
        (ApiError("no access", 3), 3, "Error: no access\n"),
        (ApiError("no answer", 5), 5, "Error: no answer\n"),
        (OutputError("no space"), 2, "Error: no space\n"),
    ],
    ids=repr,
)
def test_user_error_has_exit_code(
    error: Exception, code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each error that a user can fix has its exit code and its lines."""
    replace_command(monkeypatch, build_failing_command(error))
    assert run_schema(tmp_path) == (code, message)


@pytest.mark.parametrize(
    ("environ", "start"),
    [
        ({}, "Error: "),
        ({"GITHUB_ACTIONS": "true"}, "::error::"),
        ({"AUTONOMA_CI": "unknown-system"}, "Error: "),
    ],
)
def test_user_error_has_form_of_system(
    environ: dict[str, str], start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is an annotation where the CI system has such a command."""
    replace_command(monkeypatch, build_failing_command(InputError(["a\n::warning::b\x1b[31m"])))
    code, err = run_schema(tmp_path, environ)
    assert (code, err.startswith(start)) == (2, True)
    assert "\n::warning::" not in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        ((), {"AUTONOMA_CLIENT_SECRET": SECRET}),
        ((), {"AUTONOMA_CLIENT_ID": f"  {SECRET}\n"}),
        ((), {"INPUT_GITHUB-TOKEN": SECRET}),
        (("--client-secret", SECRET), {}),
        ((f"--gitlab-token={SECRET}",), {}),
    ],
)
def test_user_error_hides_credentials(
    argv: tuple[str, ...], environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of the environment and the command line are hidden in any error."""
    monkeypatch.setattr(run, "main", build_failing_command(InputError([f"wrong: {SECRET}."])))
    result = invoke(tmp_path, "run", *argv, environ=environ)
    assert (result.code, result.err) == (2, "Error: wrong: ***.\n")


def test_bug_report_has_location_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names types and lines of code, because texts can hold secrets."""
    replace_command(monkeypatch, build_failing_command(KeyError(SECRET)))
    code, err = run_schema(tmp_path)
    lines = err.splitlines()
    assert code == 70
    assert lines[0] == "Error: bug in autonoma-ci, not in your tests. Please report it with these lines:"
    assert lines[1].startswith(f"  autonoma-ci {autonoma_ci.__version__}, Python ")
    assert lines[2] == "  builtins.KeyError"
    assert lines[-1].startswith("  tests/unit/test_cli.py:")
    assert lines[-1].endswith(" in fail")
    assert SECRET not in err


def test_bug_report_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a deep stack, the last twelve lines are enough."""

    def recurse(depth: int) -> int:
        if not depth:
            raise RuntimeError
        return recurse(depth - 1)

    replace_command(monkeypatch, lambda *_: recurse(50))
    code, err = run_schema(tmp_path)
    assert (code, len(err.splitlines())) == (70, 3 + 12)
    assert err.count(" in recurse") == 12


def test_bug_without_stderr_exits_70(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report about the bug can fail too."""

    class FailingStream(io.StringIO):
        def write(self, _: str) -> int:
            raise MemoryError

    replace_command(monkeypatch, build_failing_command(RuntimeError()))
    assert cli.run_command(["schema"], Runtime({}, io.StringIO(), FailingStream(), str(tmp_path))) == 70


# The command


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ((), {"CI": "true"}, []),
        (("--dry-run",), {}, ["--dry-run"]),
        (("run", "--wait"), {}, ["--wait"]),
        ((), {"GITHUB_ACTIONS": "true", "INPUT_ARGS": "run --wait"}, ["--wait"]),
        ((), {"GITHUB_ACTIONS": "true", "INPUT_ARGS": "--wait"}, ["--wait"]),
        ((), {"GITHUB_ACTIONS": "true", "INPUT_ARGS": ""}, []),
        (("run",), {"GITHUB_ACTIONS": "true", "INPUT_ARGS": "demo"}, []),
    ],
)
def test_command_line_selects_run(
    argv: tuple[str, ...], environ: dict[str, str], expected: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Without the name of a command, the arguments are those of `run`."""
    calls: list[list[str]] = []

    def main(arguments: Sequence[str], _: Runtime) -> int:
        calls.append(list(arguments))
        return 0

    monkeypatch.setattr(run, "main", main)
    assert invoke(tmp_path, *argv, environ=environ).code == 0
    assert calls == [expected]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_commands_in_order(flag: str, tmp_path: Path) -> None:
    """Each command has one line, and the last lines are commands to type."""
    lines = invoke(tmp_path, flag).out.splitlines()
    start = lines.index("commands:") + 1
    assert [line.split()[0] for line in lines[start : start + len(cli.COMMANDS)]] == list(cli.COMMANDS)
    assert lines[-1].startswith("  autonoma-ci run --wait")


@pytest.mark.parametrize("name", ["demos", "Demo"])
def test_similar_command_is_suggested(name: str, tmp_path: Path) -> None:
    """A typing error has a suggestion."""
    assert invoke(tmp_path, name).err == "Error: Unknown command. Did you mean 'demo'?\n"


@pytest.mark.parametrize("name", [SECRET, "\x1b[31m", "<b>x</b>", "x" * 5000])
def test_unknown_command_is_not_shown(name: str, tmp_path: Path) -> None:
    """An unknown command can be any text, even a secret."""
    result = invoke(tmp_path, name)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: Unknown command. Use one of run, wait, ")
    assert name not in result.err


@pytest.mark.parametrize(("stream_class", "has_help"), [(FakeTerminal, True), (io.StringIO, False)])
def test_help_needs_terminal_for_output(stream_class: type[io.StringIO], has_help: bool, tmp_path: Path) -> None:
    """With a pipe as output, no arguments mean `run`."""
    out = stream_class()
    runtime = Runtime({}, out, io.StringIO(), str(tmp_path), stdin=FakeTerminal())
    assert cli.run_command((), runtime) == (0 if has_help else 2)
    assert out.getvalue().startswith("usage: ") == has_help


def test_unknown_system_is_error_at_terminal(tmp_path: Path) -> None:
    """The name of a CI system that does not exist is an error of the input."""
    result = invoke(tmp_path, environ={"AUTONOMA_CI": "githbu"}, terminal_input="")
    assert result.code == 2
    assert result.errors[0].startswith("AUTONOMA_CI")
