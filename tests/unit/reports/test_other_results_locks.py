"""Tests of the lock of a shared results folder."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.models import BuildContext, BuildIdRules
from autonoma_ci.reports.other_results import MAX_LATER_LOCK_SECONDS, MAX_LOCK_SECONDS, SharedResults
from tests.support.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


def build_shared_results(folder: Path, clock: FakeClock) -> SharedResults:
    context = BuildContext("github", build_id="17")
    return SharedResults(folder / "results.json", "step", context, BuildIdRules(), "2025-01-02T03:04:05Z", clock)


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
    step = build_shared_results(tmp_path, clock)
    with hold_lock(tmp_path):
        for _ in range(2):
            with step.locked():
                waited_seconds = clock.monotonic() - started_at
            assert MAX_LOCK_SECONDS <= waited_seconds < MAX_LOCK_SECONDS + 0.1
    assert step.pop_warnings() == ["Another process holds the lock of results-dir. The step went on without it."]
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
    step = build_shared_results(tmp_path, clock)
    with hold_lock(tmp_path):
        assert count_open_descriptors(tmp_path.resolve()) == 1
        with pytest.raises(Cancelled), step.locked():
            pass
        assert count_open_descriptors(tmp_path.resolve()) == 1
        for _ in range(3):
            with step.locked():
                assert 2.4 < clock.monotonic() - started_at < 2.6


def test_lock_after_free_one_is_waited_for(tmp_path: Path) -> None:
    """Only a lock that is never released ends the waiting of later writes."""
    clock = FakeClock()
    step = build_shared_results(tmp_path, clock)
    for _ in range(2):
        with hold_lock(tmp_path):
            started_at = clock.monotonic()
            with step.locked():
                assert clock.monotonic() - started_at > MAX_LOCK_SECONDS - 0.1
        with step.locked():
            pass


def test_lock_wait_is_short_after_write(tmp_path: Path) -> None:
    """A signal and the deadline wait for this write."""
    clock = FakeClock()
    step = build_shared_results(tmp_path, clock)
    with step.locked():
        step.remember_written_file()
    with hold_lock(tmp_path):
        started_at = clock.monotonic()
        with step.locked():
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
    step = build_shared_results(tmp_path, clock)
    with step.locked():
        pass
    assert clock.monotonic() == started_at
    assert step.pop_warnings() == []


def test_step_works_without_folder(tmp_path: Path) -> None:
    """A failed write has its own warning, so a missing folder has none here."""
    step = build_shared_results(tmp_path / "gone", FakeClock())
    is_inside = False
    with step.locked():
        is_inside = True
    assert is_inside
    assert step.pop_warnings() == []


def test_lock_is_released_after_write(tmp_path: Path) -> None:
    """The next write of the same step does not wait."""
    clock = FakeClock()
    started_at = clock.monotonic()
    step = build_shared_results(tmp_path, clock)
    for _ in range(3):
        with step.locked():
            pass
    assert clock.monotonic() == started_at


def test_lock_is_released_after_error(tmp_path: Path) -> None:
    """An error of the write releases the lock for other job steps."""
    clock = FakeClock()
    started_at = clock.monotonic()
    with pytest.raises(OSError, match="no space"), build_shared_results(tmp_path, clock).locked():
        raise OSError(errno.ENOSPC, "no space")
    with build_shared_results(tmp_path, clock).locked():
        assert clock.monotonic() == started_at


def test_lock_excludes_other_step(tmp_path: Path) -> None:
    """A second step waits while the first one holds the lock."""
    clock = FakeClock()
    started_at = clock.monotonic()
    with build_shared_results(tmp_path, FakeClock()).locked(), build_shared_results(tmp_path, clock).locked():
        assert clock.monotonic() - started_at >= MAX_LOCK_SECONDS


@pytest.fixture
def windows_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module as it is on Windows, where a folder has no descriptor."""
    spec = importlib.util.find_spec(SharedResults.__module__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "platform", "win32")
    spec.loader.exec_module(module)
    return module


def test_windows_locks_file_in_folder(windows_module: Any, tmp_path: Path) -> None:
    """On Windows, steps lock the file results.lock in place of the folder."""
    clock = FakeClock()
    started_at = clock.monotonic()
    steps = [
        windows_module.SharedResults(
            tmp_path / "results.json",
            "step",
            BuildContext("github"),
            BuildIdRules(),
            "2025-01-02T03:04:05Z",
            step_clock,
        )
        for step_clock in (FakeClock(), clock)
    ]
    with steps[0].locked(), steps[1].locked():
        assert clock.monotonic() - started_at >= MAX_LOCK_SECONDS
    assert [path.name for path in tmp_path.iterdir()] == ["results.lock"]


def test_windows_lock_follows_no_link(windows_module: Any, tmp_path: Path) -> None:
    """A link in place of the file creates no file outside of the folder."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.lock").symlink_to(tmp_path / "outside")
    step = windows_module.SharedResults(
        tmp_path / "results" / "results.json",
        "step",
        BuildContext("github"),
        BuildIdRules(),
        "2025-01-02T03:04:05Z",
        FakeClock(),
    )
    with step.locked():
        assert not (tmp_path / "outside").exists()
    assert step.pop_warnings() == []
