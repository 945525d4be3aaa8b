"""Dumps, tracebacks and command lines that other processes can read."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import hang, send_started_run
from tests.system.security.redaction import secret_markers
from tests.system.security.redaction.ci_environments import prepare_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
UNPROTECTED_COMMAND = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
# Settings that make Python print more about itself.
DEBUG_VARIABLES = {"PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1", "PYTHONTRACEMALLOC": "5", "PYTHONINSPECT": "1"}
CORE_PATTERN_FILE = Path("/proc/sys/kernel/core_pattern")


def crash_step(
    folder: Path, command: Sequence[str], url: str, number: int, wait_for_request: Callable[[], None] = lambda: None
) -> tuple[str, str]:
    """End a step by a signal, and return its limits and output.

    The step may write dumps. `wait_for_request` returns when the step has sent its request.
    """
    environ = {
        "PATH": os.environ["PATH"],
        "AUTONOMA_CLIENT_ID": secret_markers.CLIENT_ID,
        "AUTONOMA_CLIENT_SECRET": secret_markers.CLIENT_SECRET,
        "AUTONOMA_VARIABLES": f"WORDS={secret_markers.VARIABLE_VALUES['WORDS']}",
        "AUTONOMA_API_URL": url,
        "AUTONOMA_TEST_IDS": "a",
        "AUTONOMA_RESULTS_DIR": "results",
        **DEBUG_VARIABLES,
    }
    bash = shutil.which("bash")
    assert bash
    with subprocess.Popen(
        [bash, "-c", 'ulimit -c unlimited; exec "$@"', "bash", *command],
        cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        output = process.stdout.readline()
        limits = Path(f"/proc/{process.pid}/limits").read_text("ascii")
        wait_for_request()
        wait_until_idle(process.pid)
        process.send_signal(number)
        output += process.communicate(timeout=60)[0]
    assert process.returncode == -number
    return limits, output


def wait_until_idle(process: int) -> None:
    """Wait until no thread of a process runs, begins or ends.

    Python dumps threads while they run. If one begins or ends meanwhile, the process can end by another signal.
    This happened in 6 of 707 processes with Python 3.13, with threads that do nothing else.
    """
    previous_threads, threads = None, _read_idle_threads(process)
    deadline = time.monotonic() + 60
    while not threads or threads != previous_threads:
        assert time.monotonic() < deadline, "the threads never rest"
        time.sleep(0.1)
        previous_threads, threads = threads, _read_idle_threads(process)


def _read_idle_threads(process: int) -> frozenset[tuple[str, ...]]:
    """Return state and switches of each thread, or nothing if one is running."""
    threads = set()
    for folder in Path(f"/proc/{process}/task").iterdir():
        try:
            status = (folder / "status").read_text("ascii", "replace")
        except FileNotFoundError:
            return frozenset()
        threads.add((folder.name, *re.findall(r"^(?:State|\w*voluntary_ctxt_switches):\t.*", status, re.MULTILINE)))
    return frozenset(threads) if all("S (sleeping)" in thread[1] for thread in threads) else frozenset()


def read_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not CORE_PATTERN_FILE.exists(), reason="only Linux shows the limits of a process")
@pytest.mark.parametrize("number", [signal.SIGABRT, pytest.param(signal.SIGSEGV, marks=pytest.mark.slow)])
def test_crash_leaves_no_dump(number: signal.Signals, tmp_path: Path) -> None:
    """A fatal signal leaves no core file, and the traceback shows no secret."""
    with FaultServer(hang) as server:
        limits, output = crash_step(tmp_path, COMMAND, server.url, number, lambda: server.wait_for_posts(1))
    assert "Fatal Python error" in output
    assert not secret_markers.find_leaks({"what it said": output, **read_files(tmp_path)})
    assert not [name for name in read_files(tmp_path) if "core" in name]
    # With a program for dumps, the kernel skips it for a limit of 1 only. A limit of 0 cannot be raised.
    assert re.search(r"^Max core file size +[01] +[01] ", limits, re.MULTILINE)


@pytest.mark.skipif(not CORE_PATTERN_FILE.exists() or "/" in CORE_PATTERN_FILE.read_text(), reason="dumps go elsewhere")
def test_unprotected_process_leaves_dump(tmp_path: Path) -> None:
    """Without this control, the test above could pass where nothing ever dumps."""
    limits, _ = crash_step(tmp_path, UNPROTECTED_COMMAND, "", signal.SIGABRT)
    assert "unlimited" in next(line for line in limits.splitlines() if line.startswith("Max core"))
    dumps = [path for path in tmp_path.iterdir() if path.name.startswith("core")]
    if not dumps:
        pytest.skip("this system dumps nothing")
    assert secret_markers.CLIENT_SECRET.encode() in dumps[0].read_bytes()


# Logs the public command lines of this program and its parent process.
COMMAND_LINES_SCRIPT = """#!/bin/sh
cat > /dev/null
for process in $$ $PPID; do tr "\\0" "\\n" < /proc/$process/cmdline >> {0}; done
"""


def list_command_lines(folder: Path, system: str, program: str, *flags: str) -> str:
    """Return the command lines of a step and of the CI program that it starts."""
    with FaultServer(send_started_run) as server:
        environ = prepare_job(system, folder, server.url) | {
            "AUTONOMA_CLIENT_ID": secret_markers.CLIENT_ID,
            "AUTONOMA_CLIENT_SECRET": secret_markers.CLIENT_SECRET,
            "AUTONOMA_VARIABLES": f"WORDS={secret_markers.VARIABLE_VALUES['WORDS']}",
            "AUTONOMA_API_URL": server.url,
            "AUTONOMA_TEST_IDS": "a",
        }
        results_json = folder / "seen"
        (folder / "bin" / program).write_text(COMMAND_LINES_SCRIPT.format(shlex.quote(str(results_json))), "utf-8")
        subprocess.run([*COMMAND, *flags], cwd=folder / "workspace", env=environ, check=True, capture_output=True)
    return results_json.read_text("utf-8")


@pytest.mark.skipif(
    not CORE_PATTERN_FILE.exists(), reason="only Linux shows the command lines of all processes as files"
)
@pytest.mark.parametrize(
    ("system", "program"), [("buildkite", "buildkite-agent"), ("semaphore", "sem-context"), ("bitrise", "envman")]
)
def test_process_list_hides_environment_secrets(system: str, program: str, tmp_path: Path) -> None:
    """No command line shows a secret of the environment."""
    command_lines = list_command_lines(tmp_path, system, program)
    assert COMMAND[-1] in command_lines
    assert re.search(rf"/{program}\n(?:\S+\n)*AUTONOMA_", command_lines)
    assert not secret_markers.find_leaks({"the list of processes": command_lines})


@pytest.mark.skipif(
    not CORE_PATTERN_FILE.exists(), reason="only Linux shows the command lines of all processes as files"
)
def test_process_list_shows_flag_secret(tmp_path: Path) -> None:
    """The documentation warns of it, and this control shows that the test above reads command lines."""
    command_lines = list_command_lines(
        tmp_path, "buildkite", "buildkite-agent", f"--client-secret={secret_markers.CLIENT_SECRET}"
    )
    assert secret_markers.find_leaks({"the list of processes": command_lines})
