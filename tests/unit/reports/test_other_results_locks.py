"""Tests of the lock of a shared results folder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.fs.files import Directory
from autonoma_ci.models import BuildContext, BuildIdRules
from autonoma_ci.reports.other_results import MAX_LATER_LOCK_SECONDS, MAX_LOCK_SECONDS, SharedResults
from tests.support.fake_clock import FakeClock
from tests.support.files import open_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


def build_shared_results(clock: FakeClock) -> SharedResults:
    context = BuildContext("github", build_id="17")
    return SharedResults("step", context, BuildIdRules(), "2025-01-02T03:04:05Z", clock)


@contextmanager
def locked(step: SharedResults, directory: Directory) -> Iterator[Directory]:
    """Let a job step lock the directory."""
    with directory:
        step.lock(directory)
        yield directory


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder as another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def count_open_descriptors(folder: Path) -> int:
    """Return how often this process has the folder open.

    Threads of other tests open and close other files.
    """
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += descriptor.readlink() == folder
    return count


def test_stopped_lock_is_waited_for_once(tmp_path: Path) -> None:
    """After 10 seconds, the step continues without the lock."""
    clock = FakeClock()
    started_at = clock.monotonic()
    step = build_shared_results(clock)
    with hold_lock(tmp_path):
        for _ in range(2):
            with locked(step, open_directory(tmp_path)):
                waited_seconds = clock.monotonic() - started_at
            assert MAX_LOCK_SECONDS <= waited_seconds < MAX_LOCK_SECONDS + 0.1
    assert step.pop_warnings() == [
        "Another process holds the lock of results-dir. The step continued without the lock."
    ]
    assert step.pop_warnings() == []


def test_signal_ends_wait_for_lock(tmp_path: Path) -> None:
    """All later writes together wait at most half a second, and no file stays open."""

    class CancelledClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if started_at + 2.0 <= self.time < started_at + 2.0 + seconds:
                raise Cancelled(signal.SIGTERM)

    clock = CancelledClock()
    started_at = clock.monotonic()
    step = build_shared_results(clock)
    with hold_lock(tmp_path):
        assert count_open_descriptors(tmp_path.resolve()) == 1
        with pytest.raises(Cancelled), locked(step, open_directory(tmp_path)):
            pass
        assert count_open_descriptors(tmp_path.resolve()) == 1
        for _ in range(3):
            with locked(step, open_directory(tmp_path)):
                assert 2.4 < clock.monotonic() - started_at < 2.6


def test_lock_after_free_one_is_waited_for(tmp_path: Path) -> None:
    """Only a lock that is never released ends the waiting of later writes."""
    clock = FakeClock()
    step = build_shared_results(clock)
    for _ in range(2):
        with hold_lock(tmp_path):
            started_at = clock.monotonic()
            with locked(step, open_directory(tmp_path)):
                assert clock.monotonic() - started_at > MAX_LOCK_SECONDS - 0.1
        with locked(step, open_directory(tmp_path)):
            pass


def test_lock_wait_is_short_after_write(tmp_path: Path) -> None:
    """A signal and the deadline wait for this write."""
    clock = FakeClock()
    step = build_shared_results(clock)
    with locked(step, open_directory(tmp_path)) as directory:
        step.remember_written_file(directory)
    with hold_lock(tmp_path):
        started_at = clock.monotonic()
        with locked(step, open_directory(tmp_path)):
            assert MAX_LATER_LOCK_SECONDS <= clock.monotonic() - started_at < MAX_LATER_LOCK_SECONDS + 0.1
    assert MAX_LATER_LOCK_SECONDS == 1.0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_step_works_without_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step on a file system without locks writes at once."""
    clock = FakeClock()
    started_at = clock.monotonic()

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    step = build_shared_results(clock)
    with locked(step, open_directory(tmp_path)):
        pass
    assert clock.monotonic() == started_at
    assert step.pop_warnings() == []


def test_step_works_without_lock_file(tmp_path: Path) -> None:
    """A failed write has its own warning, so a missing folder has none here."""
    step = build_shared_results(FakeClock())
    is_inside = False
    with locked(step, Directory(tmp_path / "gone")):
        is_inside = True
    assert is_inside
    assert step.pop_warnings() == []


def test_lock_is_released_after_write(tmp_path: Path) -> None:
    """The next write of the same step does not wait."""
    clock = FakeClock()
    started_at = clock.monotonic()
    step = build_shared_results(clock)
    for _ in range(3):
        with locked(step, open_directory(tmp_path)):
            pass
    assert clock.monotonic() == started_at


def test_lock_is_released_after_error(tmp_path: Path) -> None:
    """An error of the write releases the lock for other job steps."""
    clock = FakeClock()
    started_at = clock.monotonic()
    with pytest.raises(OSError, match="no space"), locked(build_shared_results(clock), open_directory(tmp_path)):
        raise OSError(errno.ENOSPC, "no space")
    with locked(build_shared_results(clock), open_directory(tmp_path)):
        assert clock.monotonic() == started_at


def test_lock_excludes_other_step(tmp_path: Path) -> None:
    """A second step waits while the first one holds the lock."""
    clock = FakeClock()
    started_at = clock.monotonic()
    steps = [build_shared_results(step_clock) for step_clock in (FakeClock(), clock)]
    with locked(steps[0], open_directory(tmp_path)), locked(steps[1], open_directory(tmp_path)):
        assert clock.monotonic() - started_at >= MAX_LOCK_SECONDS


def test_windows_locks_file_in_folder(tmp_path: Path) -> None:
    """Without descriptors of folders, steps lock the file results.lock in their place."""
    clock = FakeClock()
    started_at = clock.monotonic()
    steps = [build_shared_results(step_clock) for step_clock in (FakeClock(), clock)]
    with locked(steps[0], Directory(tmp_path)), locked(steps[1], Directory(tmp_path)):
        assert clock.monotonic() - started_at >= MAX_LOCK_SECONDS
    assert [path.name for path in tmp_path.iterdir()] == ["results.lock"]
    assert count_open_descriptors(tmp_path.resolve() / "results.lock") == 0


def test_windows_lock_follows_no_link(tmp_path: Path) -> None:
    """A link in place of the file creates no file outside of the folder."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.lock").symlink_to(tmp_path / "outside")
    step = build_shared_results(FakeClock())
    with locked(step, Directory(tmp_path / "results")):
        assert not (tmp_path / "outside").exists()
    assert step.pop_warnings() == []
