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
from tests.support.faults import after, answer, hang, started
from tests.support.run_step import github_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.fault_server import RequestHandler, Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's own")

IDS = [f"t{number}" for number in range(49)]
JOB = "from autonoma_ci.cli import main; main()"
# In seconds. A job takes three; one that hangs is given up after this.
MAX_SECONDS = 120.0
_SIX_MORE = 6


class Job(NamedTuple):
    """How a job ended: its exit code, what it printed, and its record, if there is one."""

    code: int
    log: str
    record: dict[str, dict[str, str]]
    posts: dict[str, int]


def started_in_escapes(wire: Wire) -> bool:
    """Start a run with a response that holds an escape of each kind."""
    run = f"run-of-{wire.request.target_id}"
    escapes = r"a &amp; b+c %41 %u0041 \u0041 \x41 \xe9 \101 \u{41} \U00000041 \n"
    url = f"https://autonoma.app/run/{run}?a=%41&amp;b=\u20ac"
    return answer(200, json.dumps({"message": f"{escapes} \x1b[1m é 😀", "url": url, "run_id": run}))(wire)


def run_limited(folder: Path, limit: Callable[[int], None], at: int, response: RequestHandler = started) -> Job:
    """Run a job whose process is limited while the server deals with the start of this number."""
    running: list[subprocess.Popen[str]] = []
    lock, count = threading.Lock(), [0]

    def handler(wire: Wire) -> bool:
        # The lock is held until the process is known.
        with lock:
            count[0] += 1
            if count[0] == at:
                limit(running[0].pid)
        return after(0.05, response)(wire)

    with FaultServer(handler) as server:
        with lock:
            process = start_job(folder, server, IDS)
            running.append(process)
        return end_job(folder, server, process)


def start_job(folder: Path, server: FaultServer, ids: list[str], prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a job in a process of its own; `prefix` is the command that runs it."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    environ |= github_environ(folder, server.url, ids)
    command = [*prefix, sys.executable, "-B", "-c", JOB]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end_job(
    folder: Path, server: FaultServer, process: subprocess.Popen[str], meanwhile: Callable[[], None] | None = None
) -> Job:
    """Return how a job ended, after `meanwhile`; one that hangs is killed."""
    with process:
        try:
            if meanwhile:
                meanwhile()
            log, _ = process.communicate(timeout=MAX_SECONDS)
        finally:
            process.kill()
    runs = json.loads((folder / "results" / "results.json").read_text("utf-8"))["runs"]
    return Job(process.returncode, log, {run["id"]: run for run in runs}, dict(server.posts))


def no_more_memory(pid: int) -> None:
    """Leave a process no more address space than it has."""
    limit = 0
    # Until the limit is set, the process may make another thread, which takes more than all that is spared.
    while (size := address_space(pid)) > limit:
        limit = size
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def address_space(pid: int) -> int:
    """Return the size of a process's address space in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0]) * resource.getpagesize()


def six_more_files(pid: int) -> None:
    """Leave a process few files to open: each request and each report needs one."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_SIX_MORE, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def no_more_files(pid: int) -> None:
    """Leave a process no file to open, but those of its streams."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


@pytest.mark.parametrize("at", [1, 8, 30, 49])
@pytest.mark.parametrize("limit", [no_more_memory, six_more_files], ids=["memory", "files"])
def test_limit_while_starting_loses_no_run(limit: Callable[[int], None], at: int, tmp_path: Path) -> None:
    """Each run is started once and has its id in the record and the log."""
    job = run_limited(tmp_path, limit, at)
    assert job.code == 0, job.log
    assert "Traceback" not in job.log
    assert job.posts == dict.fromkeys(IDS, 1)
    for name, run in job.record.items():
        assert (run["state"], run["run_id"]) == ("started", f"run-of-{name}")
        assert f"run-of-{name}" in job.log


@pytest.mark.parametrize("response", [started, started_in_escapes])
@pytest.mark.parametrize("at", [8, 49])
def test_response_is_read_without_files(at: int, response: RequestHandler, tmp_path: Path) -> None:
    """Reading a response opens no file, so all run ids are in the log."""
    job = run_limited(tmp_path, no_more_files, at, response)
    # The record can't be written any more, so even a job that started everything is not green.
    assert job.code == (7 if at == len(IDS) else 5), job.log
    assert set(job.posts.values()) == {1}
    for name in job.posts:
        assert f"run-of-{name}" in job.log
    assert ("the record could not be written to results-dir" in job.log) == (at == len(IDS))


def as_user_with(most: int) -> list[str]:
    """Return the command that runs another as a user of its own, who may have so many threads; skip where it can't.

    The limit does not bind root. A user that nobody else is has no other threads that count.
    """
    # The process keeps the right to read the code and to write into the folder of the test.
    rights = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    user = str(1_000_000 + os.getpid())
    command = ["setpriv", "--reuid", user, *rights, "prlimit", f"--nproc={most}"]
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("there is no setpriv or no prlimit")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may take another user's place")
    return command


def run_with_threads(
    folder: Path, most: int, handler: RequestHandler, stop: Callable[[int], None] | None = None
) -> Job:
    """Run a job that may have so many threads; `stop` gets its process id once the first start was received."""
    prefix = as_user_with(most)
    has_start = threading.Event()

    def noted(wire: Wire) -> bool:
        has_start.set()
        return handler(wire)

    with FaultServer(noted) as server:
        process = start_job(folder, server, IDS[:12], prefix)

        def meanwhile() -> None:
            if stop and has_start.wait(MAX_SECONDS):
                stop(process.pid)

        return end_job(folder, server, process, meanwhile)


@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_few_threads_start_each_run(most: int, tmp_path: Path) -> None:
    """Two threads are enough, the main thread and the one for timeouts."""
    job = run_with_threads(tmp_path, most, started)
    assert job.code == 0, job.log
    assert job.posts == dict.fromkeys(IDS[:12], 1)
    assert {run["state"] for run in job.record.values()} == {"started"}
    assert "12 of 12 runs started" in job.log


@pytest.mark.parametrize(("limit", "limited"), [(resource.RLIM_INFINITY, False), (256 * 1024 * 1024, True)])
def test_memory_limit_is_detected(limit: int, limited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limited address space is detected."""
    limits = {resource.RLIMIT_AS: (limit, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert cli._is_memory_limited() is limited


@pytest.mark.parametrize("most", [2, 3, 4])
def test_few_threads_stop_after_401(most: int, tmp_path: Path) -> None:
    """No start follows a rejection of the credentials."""
    job = run_with_threads(tmp_path, most, answer(401, "{}"))
    assert (job.code, job.posts) == (3, {"t0": 1}), job.log
    assert {run["state"] for run in job.record.values()} == {"not-started"}


@pytest.mark.parametrize("most", [3, 4])
def test_few_threads_handle_signal(most: int, tmp_path: Path) -> None:
    """A signal ends the job while a start is under way."""
    job = run_with_threads(tmp_path, most, hang, lambda pid: os.kill(pid, signal.SIGTERM))
    assert (job.code, job.posts) == (143, {"t0": 1}), job.log
    assert {name for name, run in job.record.items() if run["state"] == "unknown"} == {"t0"}
    assert "cancelled while the request was under way" in job.log
