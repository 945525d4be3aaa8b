"""A process whose memory, threads or open files are limited loses no run: real limits of real processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import after, started
from tests.support.job import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fault_server import Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's own")

IDS = [f"t{number}" for number in range(49)]
JOB = "from autonoma_ci.cli import run; run()"
# In seconds. A job takes three; one that hangs is given up after this.
MAX_SECONDS = 120.0
_SIX_MORE = 6


class Job(NamedTuple):
    """How a job ended: its exit code, what it printed, and its record, if there is one."""

    code: int
    log: str
    record: dict[str, dict[str, str]]
    posts: dict[str, int]


def run_limited(folder: Path, limit: Callable[[int], None], at: int) -> Job:
    """Run a job whose process is limited while the server deals with the start of this number."""
    running: list[subprocess.Popen[str]] = []
    lock, count = threading.Lock(), [0]

    def act(wire: Wire) -> bool:
        # The lock is held until the process is known.
        with lock:
            count[0] += 1
            if count[0] == at:
                limit(running[0].pid)
        return after(0.05, started)(wire)

    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with FaultServer(act) as server:
        environ |= environment(folder, server.url, IDS)
        command = [sys.executable, "-B", "-c", JOB]
        with lock:
            process = subprocess.Popen(
                command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            running.append(process)
        try:
            log, _ = process.communicate(timeout=MAX_SECONDS)
        finally:
            process.kill()
        posts = dict(server.posts)
    runs = json.loads((folder / "results" / "results.json").read_text("utf-8"))["runs"]
    return Job(process.returncode, log, {run["id"]: run for run in runs}, posts)


def no_more_memory(pid: int) -> None:
    """Leave a process no more address space than it has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))


def six_more_files(pid: int) -> None:
    """Leave a process few files to open: each request and each report needs one."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_SIX_MORE, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def no_more_files(pid: int) -> None:
    """Leave a process no file to open, but those of its streams."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


@pytest.mark.parametrize("at", [1, 8, 30, 49])
@pytest.mark.parametrize("limit", [no_more_memory, six_more_files], ids=["memory", "files"])
def test_limit_while_runs_are_started_loses_no_id(limit: Callable[[int], None], at: int, tmp_path: Path) -> None:
    """Fewer requests go side by side then, and each run is started once and has its id in the record and the log."""
    job = run_limited(tmp_path, limit, at)
    assert job.code == 0, job.log
    assert "Traceback" not in job.log
    assert job.posts == dict.fromkeys(IDS, 1)
    for name, run in job.record.items():
        assert (run["state"], run["run_id"]) == ("started", f"run-of-{name}")
        assert f"run-of-{name}" in job.log


@pytest.mark.parametrize("at", [8, 49])
def test_start_under_way_keeps_its_response_without_files(at: int, tmp_path: Path) -> None:
    """Nothing is opened to read a response: all starts that the server took are in the log, with their ids."""
    job = run_limited(tmp_path, no_more_files, at)
    # The record can't be written any more, so even a job that started everything is not green.
    assert job.code == (7 if at == len(IDS) else 5), job.log
    assert set(job.posts.values()) == {1}
    for name in job.posts:
        assert f"run-of-{name}" in job.log
    assert ("the record could not be written to results-dir" in job.log) == (at == len(IDS))
