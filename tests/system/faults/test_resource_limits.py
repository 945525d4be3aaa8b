"""Test jobs with limited memory, threads or open files."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from autonoma_ci import cli
from tests.support.fault_server import FaultServer
from tests.support.faults import delay, hang, send_response, send_started_run
from tests.support.github_job import github_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.fault_server import Connection, RequestHandler

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's own")

IDS = [f"t{number}" for number in range(49)]
JOB_SCRIPT = "from autonoma_ci.cli import main; main()"
# A job takes 3 s. A hanging job is killed after this time.
MAX_SECONDS = 120.0
MAX_OPEN_FILES = 6


class LimitedJobResult(NamedTuple):
    """Result of a job, with its runs by id."""

    code: int
    log: str
    runs: dict[str, dict[str, str]]
    posts: dict[str, int]


def start_with_escapes(connection: Connection) -> bool:
    """Start a run with a response that contains each kind of escape."""
    run = f"run-of-{connection.request.target_id}"
    escapes = r"a &amp; b+c %41 %u0041 \u0041 \x41 \xe9 \101 \u{41} \U00000041 \n"
    url = f"https://autonoma.app/run/{run}?a=%41&amp;b=\u20ac"
    return send_response(200, json.dumps({"message": f"{escapes} \x1b[1m é 😀", "url": url, "run_id": run}))(connection)


def run_limited(
    folder: Path, apply_limit: Callable[[int], None], start_number: int, response: RequestHandler = send_started_run
) -> LimitedJobResult:
    """Run a job and limit its process during the start with this number."""
    processes: list[subprocess.Popen[str]] = []
    lock, start_count = threading.Lock(), [0]

    def handler(connection: Connection) -> bool:
        # The lock is held until the process is known.
        with lock:
            start_count[0] += 1
            if start_count[0] == start_number:
                apply_limit(processes[0].pid)
        return delay(0.05, response)(connection)

    with FaultServer(handler) as server:
        with lock:
            process = start_job(folder, server, IDS)
            processes.append(process)
        return end_job(folder, server, process)


def start_job(folder: Path, server: FaultServer, ids: list[str], prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a job in its own process. `prefix` is a command that wraps it."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    environ |= github_environ(folder, server.url, ids)
    command = [*prefix, sys.executable, "-B", "-c", JOB_SCRIPT]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end_job(
    folder: Path, server: FaultServer, process: subprocess.Popen[str], during_job: Callable[[], None] | None = None
) -> LimitedJobResult:
    """Call `during_job`, wait for the end of a job, and return its result.

    A hanging job is killed.
    """
    with process:
        try:
            if during_job:
                during_job()
            log, _ = process.communicate(timeout=MAX_SECONDS)
        finally:
            process.kill()
    runs = json.loads((folder / "results" / "results.json").read_text("utf-8"))["runs"]
    return LimitedJobResult(process.returncode, log, {run["id"]: run for run in runs}, dict(server.post_counts))


def limit_memory(pid: int) -> None:
    """Limit the address space of a process to its current size."""
    limit = 0
    # Until the limit is set, the process may start another thread, which needs much address space.
    while (size := measure_address_space(pid)) > limit:
        limit = size
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def measure_address_space(pid: int) -> int:
    """Return the address space of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0]) * resource.getpagesize()


def limit_files(pid: int) -> None:
    """Limit the open files of a process. Each request and report needs one."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def forbid_files(pid: int) -> None:
    """Limit the open files of a process to the standard streams."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


@pytest.mark.parametrize("start_number", [1, 8, 30, 49])
@pytest.mark.parametrize("apply_limit", [limit_memory, limit_files], ids=["memory", "files"])
def test_limit_while_starting_loses_no_run(
    apply_limit: Callable[[int], None], start_number: int, tmp_path: Path
) -> None:
    """Each run is started once and has its id in results.json and the log."""
    job = run_limited(tmp_path, apply_limit, start_number)
    assert job.code == 0, job.log
    assert "Traceback" not in job.log
    assert job.posts == dict.fromkeys(IDS, 1)
    for name, run in job.runs.items():
        assert (run["state"], run["run_id"]) == ("started", f"run-of-{name}")
        assert f"run-of-{name}" in job.log


@pytest.mark.parametrize("response", [send_started_run, start_with_escapes])
@pytest.mark.parametrize("start_number", [8, 49])
def test_response_is_read_without_files(start_number: int, response: RequestHandler, tmp_path: Path) -> None:
    """Reading a response opens no file, so all run ids are in the log."""
    job = run_limited(tmp_path, forbid_files, start_number, response)
    # The results.json can't be written, so the job fails even if it started all runs.
    assert job.code == (7 if start_number == len(IDS) else 5), job.log
    assert set(job.posts.values()) == {1}
    for name in job.posts:
        assert f"run-of-{name}" in job.log
    is_missing = "results.json could not be written to results-dir, so the exit code" in job.log
    assert is_missing == (start_number == len(IDS))


def build_user_command(max_threads: int) -> list[str]:
    """Return a command prefix for a separate user with a thread limit.

    The limit does not apply to root. A new user has no other threads that count. The test is skipped if the user
    cannot be changed.
    """
    # The process must read the code and write into the folder of the test.
    capabilities = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    user = str(1_000_000 + os.getpid())
    command = ["setpriv", "--reuid", user, *capabilities, "prlimit", f"--nproc={max_threads}"]
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("there is no setpriv or no prlimit")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may take another user's place")
    return command


def run_with_threads(
    folder: Path, max_threads: int, handler: RequestHandler, stop_job: Callable[[int], None] | None = None
) -> LimitedJobResult:
    """Run a job with a thread limit.

    `stop_job` receives the process id after the first start request.
    """
    prefix = build_user_command(max_threads)
    start_received = threading.Event()

    def record_start(connection: Connection) -> bool:
        start_received.set()
        return handler(connection)

    with FaultServer(record_start) as server:
        process = start_job(folder, server, IDS[:12], prefix)

        def stop_after_start() -> None:
            if stop_job and start_received.wait(MAX_SECONDS):
                stop_job(process.pid)

        return end_job(folder, server, process, stop_after_start)


@pytest.mark.parametrize("max_threads", [2, 3, 4, 5])
def test_few_threads_start_each_run(max_threads: int, tmp_path: Path) -> None:
    """Two threads are enough, the main thread and the one for timeouts."""
    job = run_with_threads(tmp_path, max_threads, send_started_run)
    assert job.code == 0, job.log
    assert job.posts == dict.fromkeys(IDS[:12], 1)
    assert {run["state"] for run in job.runs.values()} == {"started"}
    assert "12 of 12 runs started" in job.log


@pytest.mark.parametrize(("limit", "is_limited"), [(resource.RLIM_INFINITY, False), (256 * 1024 * 1024, True)])
def test_memory_limit_is_detected(limit: int, is_limited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limited address space is detected."""
    limits = {resource.RLIMIT_AS: (limit, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert cli._is_memory_limited() is is_limited


@pytest.mark.parametrize("max_threads", [2, 3, 4])
def test_few_threads_stop_after_401(max_threads: int, tmp_path: Path) -> None:
    """No start follows a rejection of the credentials."""
    job = run_with_threads(tmp_path, max_threads, send_response(401, "{}"))
    assert (job.code, job.posts) == (3, {"t0": 1}), job.log
    assert {run["state"] for run in job.runs.values()} == {"not-started"}


@pytest.mark.parametrize("max_threads", [3, 4])
def test_few_threads_handle_signal(max_threads: int, tmp_path: Path) -> None:
    """A signal ends the job while a start is under way."""
    job = run_with_threads(tmp_path, max_threads, hang, lambda pid: os.kill(pid, signal.SIGTERM))
    assert (job.code, job.posts) == (143, {"t0": 1}), job.log
    assert {name for name, run in job.runs.items() if run["state"] == "unknown"} == {"t0"}
    assert "cancelled before the response arrived" in job.log
