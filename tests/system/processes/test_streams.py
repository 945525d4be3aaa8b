"""Closed, full and stalled streams of real processes."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from autonoma_ci import __main__ as program
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.errors import EXIT_INTERNAL_ERROR
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from autonoma_ci.streams import MAX_BUFFER_BYTES, OutputStream, WriteTimeouts, wait_until_written
from tests.architecture.package import ROOT
from tests.support.github_job import github_environ, read_job_result
from tests.support.invoke_command import CREDENTIALS
from tests.support.streams import (
    COMMAND,
    StalledPipe,
    close_descriptors,
    fill_stream,
    has_signal_handler,
    process_environ,
    start_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

MODULE_COMMAND = [sys.executable, "-m", "autonoma_ci"]
# In seconds. docs/reliability.md promises 2 s after a signal. A busy machine takes longer, but less time than a
# process that waits for the reader of its log.
MAX_STOP_SECONDS = 20.0
# In seconds, for processes that end by themselves.
MAX_RUN_SECONDS = 240.0
WRITE_ERROR = "Error: Standard output could not be written ("


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def wait_for_exit_code(process: subprocess.Popen[str], seconds: float = MAX_RUN_SECONDS) -> int:
    """Return the exit code of a process that must end in time."""
    try:
        return process.wait(seconds)
    finally:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], interval_seconds: float = 0.01) -> None:
    deadline = time.monotonic() + MAX_RUN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the process did not get that far"
        time.sleep(interval_seconds)


def read_conclusion(folder: Path) -> str | None:
    """Return the conclusion of the current results.json, or None without one."""
    path = folder / "results" / "results.json"
    conclusion: str | None = json.loads(path.read_text("utf-8"))["conclusion"] if path.exists() else None
    return conclusion


def has_started(folder: Path, name: str) -> bool:
    """Return whether the current results.json has the run of a test as started."""
    path = folder / "results" / "results.json"
    runs = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
    return any((run["id"], run["state"]) == (name, "started") for run in runs)


# Closed streams


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_closed_streams_keep_files_and_exit_code(closed: tuple[int, ...], sandbox: Sandbox, tmp_path: Path) -> None:
    """All files are complete and have no line of the log."""
    process = start_process(
        tmp_path, environ=github_environ(tmp_path, sandbox.url, ["a", "sandbox-404"]), closed_descriptors=closed
    )
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    job = read_job_result(tmp_path, process.returncode, out, err)
    assert job.code == job.results_json["exit_code"] == 4
    assert job.states == {"a": "started", "sandbox-404": "not-started"}
    assert job.outputs["reason"] == "not-found"
    assert "Traceback" not in out + err
    assert ("STARTED  a" in out) == (1 not in closed)


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_closed_streams_with_bad_input_exit_2(closed: tuple[int, ...], tmp_path: Path) -> None:
    """Invalid input leads to exit code 2 if a stream is closed."""
    process = start_process(tmp_path, environ={"AUTONOMA_TIMEOUT": "soon"}, closed_descriptors=closed)
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == 2
    assert "Traceback" not in out + err
    assert ("AUTONOMA_TIMEOUT" in err) == (2 not in closed)


DESCRIPTORS_SCRIPT = """
import os, sys
from autonoma_ci import cli
def main(argv, runtime):
    for _ in range(3):
        os.write(int(argv[0]), b"%d " % os.open(os.devnull, os.O_RDONLY))
    return 0
cli.run_command = main
cli.main()
"""


def test_no_file_reuses_closed_descriptor(tmp_path: Path) -> None:
    """Otherwise, a message to standard error would go into the file."""
    reader, writer = os.pipe()
    command = close_descriptors([sys.executable, "-c", DESCRIPTORS_SCRIPT, str(writer)], 0, 1, 2)
    subprocess.run(command, env=process_environ(), cwd=tmp_path, pass_fds=[writer], timeout=MAX_RUN_SECONDS, check=True)
    os.close(writer)
    assert min(map(int, os.read(reader, 100).split())) > 2
    os.close(reader)


# Output of commands


@pytest.fixture(scope="module")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Make a folder with a manifest and a results.json."""
    folder = tmp_path_factory.mktemp("product")
    (folder / "autonoma.yml").write_text("tests: [a]\n", "utf-8")
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
        process = start_process(folder, "--test-ids", "a", "--results-dir", "results", environ=environ)
        process.communicate(timeout=MAX_RUN_SECONDS)
        yield folder, environ


OUTPUT_COMMANDS = [
    "schema", "schema results", "--help", "--version", "run --help", "report --help", "validate", "list", "list --json",
    "report results/results.json --output -", "sandbox --port 0",
]  # fmt: skip


@pytest.mark.parametrize("sink", ["disk", "reader", "closed"])
@pytest.mark.parametrize("command", OUTPUT_COMMANDS)
def test_lost_command_output_is_error(command: str, sink: str, finished_job: tuple[Path, dict[str, str]]) -> None:
    """The command prints one error line and exits with code 2."""
    folder, environ = finished_job
    reader, pipe = os.pipe()
    os.close(reader)
    full_device = os.open("/dev/full", os.O_WRONLY)
    stdout = {"disk": full_device, "reader": pipe}.get(sink, subprocess.PIPE)
    process = start_process(
        folder, *command.split(), environ=environ, stdout=stdout, closed_descriptors=(1,) if sink == "closed" else ()
    )
    os.close(pipe)
    os.close(full_device)
    _, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == 2
    assert err.startswith(WRITE_ERROR)
    assert err.count("\n") == 1


@pytest.mark.parametrize(("argv", "code"), [("run", 0), ("wait results/results.json", 0), ("demo", 0), ("run --x", 2)])
def test_log_on_full_disk_keeps_exit_code(argv: str, code: int, finished_job: tuple[Path, dict[str, str]]) -> None:
    """A full disk loses the log and does not change the exit code."""
    folder, environ = finished_job
    with Path("/dev/full").open("w") as full_device:
        process = start_process(
            folder, *argv.split(), environ=environ, stdout=full_device.fileno(), stderr=full_device.fileno()
        )
        assert wait_for_exit_code(process) == code


def test_command_output_waits_for_reader(finished_job: tuple[Path, dict[str, str]]) -> None:
    """The process waits until the reader has the whole output."""
    folder, environ = finished_job
    with StalledPipe() as pipe:
        process = start_process(folder, "schema", environ=environ, stdout=pipe.writer)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert json.loads(pipe.read())["$schema"]
        assert wait_for_exit_code(process) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_wait_for_reader(
    number: signal.Signals, code: int, finished_job: tuple[Path, dict[str, str]]
) -> None:
    """Incomplete output never has exit code 0."""
    folder, environ = finished_job
    with StalledPipe() as pipe:
        process = start_process(folder, "schema", environ=environ, stdout=pipe.writer)
        wait_until(lambda: has_signal_handler(process.pid, signal.SIGTERM))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(number)
        _, err = process.communicate(timeout=MAX_STOP_SECONDS)
    assert process.returncode == code
    assert "Traceback" not in err


def test_nonblocking_pipe_gets_everything(tmp_path: Path) -> None:
    """Node gives its children non-blocking pipes, which accept a part or nothing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ids = ",".join(f"test-with-a-name-of-its-own-{number}" for number in range(3000))
    process = start_process(tmp_path, "--dry-run", environ={"AUTONOMA_TEST_IDS": ids}, stdout=writer)
    os.close(writer)
    log = b""
    while part := os.read(reader, 4096):
        log += part
        time.sleep(0.001)
    os.close(reader)
    assert wait_for_exit_code(process) == 0
    assert log.count(b"\nPLANNED  test-with-a-name-of-its-own-") == 3000


def test_prompt_is_shown_before_input(sandbox: Sandbox, tmp_path: Path) -> None:
    """The user must read the prompt first, although a thread writes it."""
    terminal, process_end = pty.openpty()
    environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
    env = process_environ(**environ)
    process = subprocess.Popen(
        [*COMMAND, "init"], cwd=tmp_path, env=env, stdin=process_end, stdout=process_end, stderr=process_end
    )
    os.close(process_end)
    output = b""
    for question, answer in ((b"or all: ", b"1\n"), (b"(folders/tests): ", b"folders\n"), (b" --wait\r\n", b"")):
        while not output.endswith(question):
            output += os.read(terminal, 1024)
        os.write(terminal, answer)
        # The terminal echoes the input.
        output += os.read(terminal, len(answer) + 1) if answer else b""
    os.close(terminal)
    assert process.wait(MAX_RUN_SECONDS) == 0
    assert output.count(b"Folders of the account:") == 1


# A working directory that was removed


@pytest.mark.parametrize(
    ("argv", "environ", "code"),
    [
        ("--test-ids a", {}, 0),
        ("--test-ids a", {"BUILDKITE": "true"}, 0),
        ("--test-ids a", {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": "temp"}, 0),
        ("--test-ids a --dry-run", {}, 0),
        ("--test-ids a --results-dir results", {}, 2),
        ("--manifest autonoma.yml", {}, 2),
        ("", {}, 2),
        ("wait results.json", {}, 2),
        ("report results.json", {}, 2),
        ("report {results_json}", {}, 0),
        ("report {results_json} --output page.html", {}, 2),
        ("report {results_json} --output -", {}, 0),
        ("validate", {}, 2),
        ("validate autonoma.yml", {}, 2),
        ("init --all", {}, 2),
        ("demo --output demo", {}, 2),
        ("list", {}, 0),
        ("schema", {}, 0),
        ("--version", {}, 0),
    ],
)
def test_removed_working_directory_is_input_error(
    argv: str, environ: dict[str, str], code: int, finished_job: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """Only options that need the folder are input errors."""
    results_json = finished_job[0] / "results" / "results.json"
    (tmp_path / "gone").mkdir()
    # Like the installed command, it imports no modules from the working directory (`-P`). Without that directory,
    # Python 3.13.0 raises SystemError for each attribute that a module lacks.
    command = [COMMAND[0], "-P", *COMMAND[1:]]
    shell = ["sh", "-c", 'cd gone && rmdir ../gone && exec "$@"', "sh", *command]
    # The path of a temporary folder may hold a space.
    arguments = [argument.format(results_json=results_json) for argument in argv.split()]
    process = start_process(tmp_path, *arguments, environ=finished_job[1] | environ, command=shell)
    _, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == code, err
    assert ("Error: " in err) == (code == 2)


# A reader that stalls


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_with_stalled_reader(
    number: signal.Signals, code: int, terminal: bool, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The results.json is complete within the time limit of a signal."""
    environ = github_environ(tmp_path, sandbox.url, ["quick", "sandbox-stays"]) | {"INPUT_WAIT": "true"}
    with StalledStream(terminal=terminal) as writer:
        process = start_process(tmp_path, environ=environ, stdout=writer, stderr=writer)
        wait_until(lambda: has_started(tmp_path, "sandbox-stays"))
        started_at = time.monotonic()
        process.send_signal(number)
        assert wait_for_exit_code(process, MAX_STOP_SECONDS) == code
        assert time.monotonic() - started_at < MAX_STOP_SECONDS
    job = read_job_result(tmp_path, code, "", "")
    assert (job.results_json["conclusion"], job.outputs["conclusion"]) == ("cancelled", "cancelled")
    assert set(job.states) == {"quick", "sandbox-stays"}
    assert job.states["sandbox-stays"] == "started"


class StalledStream:
    """A full pipe, or a full terminal like after Ctrl-S."""

    def __init__(self, *, terminal: bool) -> None:
        self._pipe = None if terminal else StalledPipe()
        self._descriptors: tuple[int, ...] = pty.openpty() if terminal else ()

    def __enter__(self) -> int:
        if self._pipe:
            return self._pipe.writer
        fill_stream(self._descriptors[-1])
        return self._descriptors[-1]

    def __exit__(self, *_: object) -> None:
        if self._pipe:
            self._pipe.__exit__()
        for descriptor in self._descriptors:
            os.close(descriptor)


def test_timeout_with_stalled_reader(sandbox: Sandbox, tmp_path: Path) -> None:
    """The verdict is written at the deadline, and the job ends 10 s later."""
    environ = github_environ(tmp_path, sandbox.url, ["sandbox-stays"]) | {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "2s"}
    with StalledPipe() as pipe:
        process = start_process(tmp_path, environ=environ, stdout=pipe.writer, stderr=pipe.writer)
        wait_until(lambda: read_conclusion(tmp_path) == "timed-out")
        # The 10 s, and a margin for a busy machine.
        assert wait_for_exit_code(process, 60) == 6


# A long name, so that the lines of all runs exceed the buffer.
LONG_NAME = "A test whose name is as long as the names of tests usually are when people write whole sentences"


def test_2000_runs_with_stalled_reader_start(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only progress lines are dropped, and a line states their number."""
    count = 2000
    ids = [f"t{number}" for number in range(count)]
    entries = "".join(f"  - {{ id: {name}, name: {LONG_NAME} {name} }}\n" for name in ids)
    (tmp_path / "autonoma.yml").write_text(f"tests:\n{entries}", "utf-8")
    environ = github_environ(tmp_path, sandbox.url, [])
    with StalledPipe() as pipe:
        process = start_process(tmp_path, environ=environ, stdout=pipe.writer, stderr=pipe.writer)
        # Rarely, because results.json is long and the server runs in this process.
        wait_until(lambda: process.poll() is not None or bool(read_conclusion(tmp_path)), interval_seconds=1.0)
        log = pipe.read()
        assert wait_for_exit_code(process) == 0
    job = read_job_result(tmp_path, 0, log, "")
    assert [sandbox.count_starts(name) for name in ids] == [1] * count
    assert job.states == dict.fromkeys(ids, "started")
    lines = log.splitlines()
    assert [lines[index].partition("::client")[0] for index in (0, 1, 2)] == [
        "::add-mask", "::add-mask", f"::group::Starting {count:,} runs"
    ]  # fmt: skip
    printed_count = sum(line.startswith("STARTED  ") for line in lines)
    omission_lines = [line for line in lines if "left out, because the reader of the log is too slow" in line]
    assert omission_lines == [
        f"{count - printed_count:,} progress lines were left out, because the reader of the log is too slow."
    ]
    assert 0 < printed_count * len(LONG_NAME) < MAX_BUFFER_BYTES
    assert (
        lines.index(omission_lines[0])
        < lines.index("::endgroup::")
        < lines.index(f"{count} of {count:,} runs started.")
    )


def test_verbose_with_stalled_reader_starts_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """Lines of the debug log are dropped before other lines, and their number is printed."""
    count = 1000
    ids = [f"t{number}" for number in range(count)]
    environ = github_environ(tmp_path, sandbox.url, ids) | {"INPUT_VERBOSE": "true"}
    with StalledPipe() as pipe:
        process = start_process(tmp_path, environ=environ, stdout=pipe.writer, stderr=pipe.writer)
        wait_until(lambda: process.poll() is not None or bool(read_conclusion(tmp_path)), interval_seconds=1.0)
        log = pipe.read()
        assert wait_for_exit_code(process) == 0
    job = read_job_result(tmp_path, 0, log, "")
    assert [sandbox.count_starts(name) for name in ids] == [1] * count
    assert job.states == dict.fromkeys(ids, "started")
    # The lines of the runs have the other half of the buffer.
    assert log.count("\nSTARTED  t") == count
    assert re.search(r"^[0-9,]+ debug lines were ", log, re.MULTILINE)
    assert "Traceback" not in log


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)], ids=str)
def test_verbose_with_closed_streams_exits_0(closed: tuple[int, ...], sandbox: Sandbox, tmp_path: Path) -> None:
    """All files are complete and have no line of the debug log."""
    environ = github_environ(tmp_path, sandbox.url, ["a"]) | {"INPUT_VERBOSE": "true"}
    process = start_process(tmp_path, environ=environ, closed_descriptors=closed)
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    job = read_job_result(tmp_path, process.returncode, out, err)
    assert (job.code, job.states) == (0, {"a": "started"})
    assert "Traceback" not in out + err
    assert ("POST /test/a/run: HTTP 200 (" in out) == (1 not in closed)


def test_slow_reader_gets_whole_log(tmp_path: Path) -> None:
    """The process waits while the reader makes progress."""
    ids = ",".join(f"test-{number}" for number in range(2000))
    with StalledPipe() as pipe:
        process = start_process(tmp_path, "--dry-run", environ={"AUTONOMA_TEST_IDS": ids}, stdout=pipe.writer)
        pipe.close_writer()
        time.sleep(1)
        log = b""
        while part := os.read(pipe.reader, 2048):
            log += part
            time.sleep(0.01)
        assert wait_for_exit_code(process) == 0
    assert log.count(b"\nPLANNED  test-") == 2000
    assert log.endswith(b"Dry run: 2,000 runs planned, nothing was sent.\n")


# Without a signal, the job waits for 120 s at its end, so a busy machine makes no difference.
LONG_WAIT_SCRIPT = """
from autonoma_ci import cli
cli._WRITE_TIMEOUTS = cli.WriteTimeouts(120.0, 120.0)
cli.main()
"""


def test_signal_shortens_wait_for_reader(sandbox: Sandbox, tmp_path: Path) -> None:
    """The verdict is decided by then and does not change."""
    with StalledPipe() as pipe:
        environ, command = github_environ(tmp_path, sandbox.url, ["a"]), [sys.executable, "-c", LONG_WAIT_SCRIPT]
        process = start_process(tmp_path, environ=environ, stdout=pipe.writer, stderr=pipe.writer, command=command)
        wait_until(lambda: read_conclusion(tmp_path) == "started")
        time.sleep(0.5)
        started_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert wait_for_exit_code(process) == 0
        assert time.monotonic() - started_at < MAX_STOP_SECONDS


def test_errors_are_printed_while_log_stalls(tmp_path: Path) -> None:
    """Each stream has its own thread."""
    with StalledPipe() as pipe:
        environ = {"GITHUB_ACTIONS": "true", "INPUT_CLIENT-ID": "some-client-id", "INPUT_TIMEOUT": "soon"}
        process = start_process(tmp_path, environ=environ, stdout=pipe.writer)
        assert process.stderr
        assert select.select([process.stderr], [], [], MAX_RUN_SECONDS)[0]
        assert "timeout: invalid duration: 'soon'." in process.stderr.readline()
        assert "::add-mask::" in pipe.read()
        assert wait_for_exit_code(process) == 2


NO_THREADS_SCRIPT = """
import _thread, threading
started = _thread.start_new_thread
def start(function, *arguments):
    if "Output" in function.__qualname__:
        raise RuntimeError("can't start new thread")
    return started(function, *arguments)
_thread.start_new_thread = start
from autonoma_ci.cli import main
main()
"""


def test_log_without_threads_is_direct(sandbox: Sandbox, tmp_path: Path) -> None:
    """Where no thread can start, the main thread writes the log."""
    command = [sys.executable, "-c", NO_THREADS_SCRIPT]
    process = start_process(tmp_path, environ=github_environ(tmp_path, sandbox.url, ["a", "b"]), command=command)
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-2] == "2 of 2 runs started."


# The buffer


class UnreadStream:
    """A standard stream of a process that nobody reads at first."""

    def __init__(self) -> None:
        self.pipe = StalledPipe()
        self.stream = cast("TextIO", io.TextIOWrapper(io.BufferedWriter(io.FileIO(self.pipe.writer, "w"))))
        self.pipe.writer = -1


def create_stalled_output() -> tuple[UnreadStream, OutputStream]:
    pipe = UnreadStream()
    output = OutputStream(pipe.stream)
    output.start(OutputStream(None))
    return pipe, output


def test_only_progress_lines_are_dropped() -> None:
    """The order stays, so a mask precedes all later lines."""
    pipe, output = create_stalled_output()
    console = JobLog(cast("TextIO", output), GITHUB.log_formatter)
    for number in range(5000):
        console.progress(f"{number} {LONG_NAME}")
    assert not output.has_capacity()
    assert output.put_bytes < MAX_BUFFER_BYTES + 200
    console.mask([Secret("some-long-secret")])
    for number in range(5000):
        console.info(f"event {number}")
    console.progress("late")
    reader = threading.Thread(target=lambda: texts.append(pipe.pipe.read()))
    texts: list[str] = []
    reader.start()
    wait_until_written([output], lambda: WriteTimeouts(MAX_RUN_SECONDS, MAX_RUN_SECONDS))
    console.progress("again")
    wait_until_written([output], lambda: WriteTimeouts(MAX_RUN_SECONDS, MAX_RUN_SECONDS))
    pipe.stream.close()
    reader.join(MAX_RUN_SECONDS)
    lines = texts[0].splitlines()
    progress_lines = [line for line in lines if line.endswith(LONG_NAME)]
    assert progress_lines == [f"{number} {LONG_NAME}" for number in range(len(progress_lines))]
    assert lines[len(progress_lines) :] == [
        f"{5000 - len(progress_lines):,} progress lines were left out, because the reader of the log is too slow.",
        "::add-mask::some-long-secret",
        *(f"event {number}" for number in range(5000)),
        "1 progress line was left out, because the reader of the log is too slow.",
        "again",
    ]


def test_fast_reader_gets_all_progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not a stalled reader."""
    monkeypatch.setattr("autonoma_ci.streams._CAPACITY_WAIT_SECONDS", MAX_RUN_SECONDS)
    monkeypatch.setattr("autonoma_ci.streams._MAX_DELAY_SECONDS", MAX_RUN_SECONDS)
    pipe, output = create_stalled_output()
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.append(pipe.pipe.read()))
    reader.start()
    console = JobLog(cast("TextIO", output), PLAIN_LOG_FORMATTER)
    for number in range(20_000):
        console.progress(f"{number} {LONG_NAME}")
    wait_until_written([output], lambda: WriteTimeouts(MAX_RUN_SECONDS, MAX_RUN_SECONDS))
    pipe.stream.close()
    reader.join(MAX_RUN_SECONDS)
    assert texts[0].count("\n") == 20_000


# Signals

# Replaces the modules that are imported after the signal handlers are installed. It sleeps in short pieces, because
# Python handles a signal only after the current call into C.
SLOW_IMPORT_SOURCE = "import time\nprint('importing', flush=True)\nfor _ in range(600):\n    time.sleep(0.1)\n"


def _write_package(folder: Path, cli_source: str) -> None:
    """Write a package whose module `cli` has this source."""
    (folder / "autonoma_ci").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (folder / "autonoma_ci" / name).write_text((ROOT / "autonoma_ci" / name).read_text("utf-8"), "utf-8")
    (folder / "autonoma_ci" / "cli.py").write_text(cli_source, "utf-8")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_during_imports_ends_process(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """A signal during the imports ends the process without a traceback."""
    _write_package(tmp_path, SLOW_IMPORT_SOURCE)
    with start_process(tmp_path, command=MODULE_COMMAND) as process:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        # The imports would take 60 s.
        _, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (code, "")


def test_installed_command_is_main() -> None:
    """The installed script calls the function of `__main__`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"autonoma-ci": f"{program.__name__}:{program.main.__name__}"}


def test_python_m_runs_the_command(tmp_path: Path) -> None:
    """`python -m autonoma_ci` runs the command."""
    process = start_process(tmp_path, "--version", command=MODULE_COMMAND)
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("autonoma-ci ")


def is_ready(process: subprocess.Popen[str]) -> bool:
    """Return whether a process catches signals, or has ended."""
    return process.poll() is not None or has_signal_handler(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_any_time_has_no_traceback(number: signal.Signals, tmp_path: Path) -> None:
    """The process ends by the signal or with its work done."""
    for index in range(30):
        process = start_process(tmp_path, "schema", command=MODULE_COMMAND)
        # Our SIGTERM handler is installed after the one for SIGINT. On a busy machine, the process may have ended.
        wait_until(partial(is_ready, process))
        time.sleep(index / 200)
        process.send_signal(number)
        _, err = process.communicate(timeout=MAX_RUN_SECONDS)
        assert process.returncode in {0, 128 + number}
        assert "Traceback" not in err


FAILING_FUNCTION_SCRIPT = """
import sys
from autonoma_ci import cli
def fail(*args, **options):
    raise MemoryError
setattr(cli, sys.argv.pop(1), fail)
cli.main()
"""


@pytest.mark.parametrize(
    ("name", "code"), [("open_standard_streams", 70), ("run_command", 70), ("wait_until_written", 2)]
)
def test_internal_error_never_exits_1(name: str, code: int, tmp_path: Path) -> None:
    """Exit code 1 means that a run did not pass. A decided verdict does not change."""
    command = [sys.executable, "-c", FAILING_FUNCTION_SCRIPT, name]
    process = start_process(tmp_path, environ={"AUTONOMA_TIMEOUT": "soon"}, command=command)
    _, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == code
    assert "Error: autonoma-ci ended early (MemoryError).\n" in err
    assert "Traceback" not in err


def test_import_error_never_exits_1(tmp_path: Path) -> None:
    """An error during the imports has the exit code of an internal error."""
    _write_package(tmp_path, "raise MemoryError\n")
    with start_process(tmp_path, command=MODULE_COMMAND) as process:
        _, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == EXIT_INTERNAL_ERROR
    assert "MemoryError" in err


# Like a shell that starts `command &` in a script.
IGNORE_SIGINT_COMMAND = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]


@pytest.mark.parametrize("command", [COMMAND, MODULE_COMMAND], ids=["run", "program"])
def test_ignored_sigint_stays_ignored(command: list[str], sandbox: Sandbox, tmp_path: Path) -> None:
    """The step continues, and SIGTERM still ends it."""
    argv = ["--test-ids", "sandbox-stays", "--wait", "--results-dir", "results"]
    environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
    process = start_process(tmp_path, *argv, environ=environ, command=[*IGNORE_SIGINT_COMMAND, *command])
    wait_until(lambda: sandbox.count_starts("sandbox-stays") == 1)
    assert not has_signal_handler(process.pid, signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert wait_for_exit_code(process) == 143


SIGNAL_AT_EXIT_SCRIPT = """
import os, signal
from autonoma_ci import cli
ended = cli.run_command
def main(argv, runtime):
    code = ended(argv, runtime)
    os.kill(os.getpid(), signal.SIGTERM)
    return code
cli.run_command = main
cli.main()
"""


def test_signal_at_exit_changes_nothing(tmp_path: Path) -> None:
    """A signal during the exit does not change the exit code."""
    process = start_process(tmp_path, "--version", command=[sys.executable, "-c", SIGNAL_AT_EXIT_SCRIPT])
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert out


SIGNAL_DURING_ERROR_SCRIPT = """
import os, signal, time
from autonoma_ci import cli
from autonoma_ci.errors import InputError
def main(argv, runtime):
    raise InputError(["odd"])
def annotate(log, level, problem):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)
from autonoma_ci.ci.log import JobLog
from autonoma_ci.commands import run
run.main, JobLog.annotate = main, annotate
cli.main()
"""


# A signal comes while a class gets the names of its attributes, as in an import.
SIGNAL_IN_CLASS_BODY_SCRIPT = """
import os, signal, sys, time
from autonoma_ci import cli
class Attribute:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
def make(*args, **options):
    class Owner:
        attribute = Attribute()
from autonoma_ci.commands import run, schema
schema.main = run.add_plan = make
cli.main()
"""


@pytest.mark.parametrize("command", [["schema"], ["run", "--results-dir", "r", "--dry-run"]])
def test_signal_in_class_body_is_cancelled(command: list[str], tmp_path: Path) -> None:
    """A signal during the creation of a class is reported as a cancellation."""
    process = start_process(tmp_path, *command, command=[sys.executable, "-c", SIGNAL_IN_CLASS_BODY_SCRIPT])
    out, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == 143, out + err
    assert "Cancelled before anything was started.\n" in out + err
    if "run" in command:
        assert json.loads((tmp_path / "r/results.json").read_bytes())["conclusion"] == "cancelled"


def test_signal_during_error_has_no_traceback(tmp_path: Path) -> None:
    """A signal during an error message is reported as a cancellation."""
    process = start_process(tmp_path, command=[sys.executable, "-c", SIGNAL_DURING_ERROR_SCRIPT])
    _, err = process.communicate(timeout=MAX_RUN_SECONDS)
    assert (process.returncode, err) == (143, "Cancelled before anything was started.\n")


def test_reader_over_time_limit_is_abandoned() -> None:
    """The reader makes progress all the time, but the job has to end."""
    with StalledPipe() as pipe, os.fdopen(os.dup(pipe.writer), "w") as stream:
        output = OutputStream(stream)
        output.start(OutputStream(None))
        output.write("x" * 200_000)
        started_at = time.monotonic()
        wait_until_written([output], lambda: WriteTimeouts(MAX_RUN_SECONDS, 0.5))
        assert time.monotonic() - started_at >= 0.5
        assert output.has_unwritten
        pipe.close_writer()


def test_lost_dry_run_output_is_error(tmp_path: Path) -> None:
    """The plan is the result of a dry run."""
    environ = {"AUTONOMA_TEST_IDS": "one", "AUTONOMA_RESULTS_DIR": "results"}
    with Path("/dev/full").open("wb") as full_device:
        process = start_process(tmp_path, "--dry-run", environ=environ, stdout=full_device.fileno())
    _, errors = process.communicate(timeout=MAX_RUN_SECONDS)
    assert process.returncode == 2
    assert "Standard output could not be written (No space left on device)" in errors
    assert (tmp_path / "results" / "results.json").exists()
