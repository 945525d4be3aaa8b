"""Lock of a results folder that two job steps write to."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.models import BuildContext
from autonoma_ci.reports import other_results
from autonoma_ci.reports.other_results import SharedResults
from tests.architecture.package import ROOT
from tests.integration.commands.test_wait_results import Writer
from tests.support.fake_clock import FakeClock

# A step that has looked at the record, and writes its own once a line arrives.
SLOW_STEP = """
import sys
from pathlib import Path
from autonoma_ci.reports import results_dir
from tests.integration.commands.test_wait_results import Writer

writer = Writer(Path(sys.argv[1]), "first")
writer.publish()
write_atomic = results_dir.write_atomic

def write_late(path, data):
    if path.name == "results.json":
        print("looked", flush=True)
        sys.stdin.readline()
    write_atomic(path, data)

results_dir.write_atomic = write_late
writer.publish()
"""


@pytest.mark.slow
def test_two_processes_keep_all_open_runs(tmp_path: Path) -> None:
    """The second step writes between the read and the write of the first, or waits for it."""
    first = subprocess.Popen(
        [sys.executable, "-c", SLOW_STEP, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdin
    assert first.stdout
    assert first.stdout.readline() == "looked\n"
    published = threading.Thread(target=lambda: Writer(tmp_path, "second").publish())
    published.start()
    # With a lock, it waits. Without one, it is over by then.
    published.join(1.0)
    first.stdin.write("\n")
    first.stdin.close()
    published.join()
    assert first.wait() == 0
    first.stdout.close()
    records = [json.loads(path.read_bytes()) for path in (tmp_path / "results").glob("results*.json")]
    found = {run["run_id"] for record in records for run in record["runs"]}
    assert found == {"run-first-0", "run-first-1", "run-second-0"}


def shared(folder: Path, clock: FakeClock) -> SharedResults:
    context = BuildContext("github", build_id="17")
    return SharedResults(folder / "results.json", "step", context, "2025-01-02T03:04:05Z", clock)


def test_stopped_lock_is_waited_for_once(tmp_path: Path) -> None:
    """After 10 seconds, the step continues without the lock."""
    clock = FakeClock()
    began = clock.monotonic()
    step = shared(tmp_path, clock)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        for _ in range(2):
            with step.locked():
                waited = clock.monotonic() - began
            assert other_results.MAX_LOCK_SECONDS <= waited < other_results.MAX_LOCK_SECONDS + 0.1
    finally:
        os.close(other)
    assert step.pop_warnings() == ["Another process holds the lock of results-dir. The step went on without it."]
    assert step.pop_warnings() == []


def open_in(folder: Path) -> int:
    """Return how often this process has the folder open. Threads of other tests open and close other files."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += descriptor.readlink() == folder
    return found


def test_signal_ends_wait_for_lock(tmp_path: Path) -> None:
    """All later writes together wait at most half a second, and no file stays open."""

    class Stopped(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if began + 2.0 <= self.time < began + 2.0 + seconds:
                raise Cancelled(signal.SIGTERM)

    clock = Stopped()
    began = clock.monotonic()
    step = shared(tmp_path, clock)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert open_in(tmp_path.resolve()) == 1
    try:
        with pytest.raises(Cancelled), step.locked():
            pass
        assert open_in(tmp_path.resolve()) == 1
        for _ in range(3):
            with step.locked():
                assert 2.4 < clock.monotonic() - began < 2.6
    finally:
        os.close(other)


def test_lock_after_free_one_is_waited_for(tmp_path: Path) -> None:
    """Only a lock that is never released ends the waiting of later writes."""
    clock = FakeClock()
    step = shared(tmp_path, clock)
    for _ in range(2):
        other = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        began = clock.monotonic()
        with step.locked():
            assert clock.monotonic() - began > other_results.MAX_LOCK_SECONDS - 0.1
        os.close(other)
        with step.locked():
            pass


def test_lock_wait_is_short_after_record(tmp_path: Path) -> None:
    """A signal and the deadline wait for this write."""
    clock = FakeClock()
    step = shared(tmp_path, clock)
    with step.locked():
        step.remember_written_file()
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    began = clock.monotonic()
    try:
        with step.locked():
            assert 1.0 <= clock.monotonic() - began < 1.1
    finally:
        os.close(other)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_step_works_without_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step on a file system without locks writes at once."""
    clock = FakeClock()
    began = clock.monotonic()

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with shared(tmp_path, clock).locked():
        pass
    assert clock.monotonic() == began


def test_step_works_without_folder(tmp_path: Path) -> None:
    """A failed write has its own warning."""
    with shared(tmp_path / "gone", FakeClock()).locked():
        pass


def test_lock_is_released_after_write(tmp_path: Path) -> None:
    """The next write of the same step does not wait."""
    clock = FakeClock()
    began = clock.monotonic()
    step = shared(tmp_path, clock)
    for _ in range(3):
        with step.locked():
            pass
    assert clock.monotonic() == began
