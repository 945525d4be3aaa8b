"""Tests of file locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import runpy
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.fs import locks
from autonoma_ci.fs.locks import MAX_LOCK_SECONDS_AFTER_CANCEL, LockTimeouts, try_lock_for
from tests.support.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The longest pause between two attempts, with a margin for rounding, in seconds.
PAUSE = 0.021


class LockedFile:
    """A file with two descriptors, of which the first stands for another process.

    A lock belongs to the open file and not to the process. Source: flock(2).
    """

    def __init__(self, path: Path) -> None:
        path.touch()
        self.other_descriptor, self.own_descriptor = (os.open(path, os.O_RDWR) for _ in range(2))
        self.lock()

    def lock(self) -> None:
        fcntl.flock(self.other_descriptor, fcntl.LOCK_EX)

    def unlock(self) -> None:
        fcntl.flock(self.other_descriptor, fcntl.LOCK_UN)

    def unlock_own(self) -> None:
        fcntl.flock(self.own_descriptor, fcntl.LOCK_UN)


class EventClock(FakeClock):
    """A clock that calls a function in each pause."""

    def __init__(self, on_sleep: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.on_sleep = on_sleep

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.on_sleep()

    def measure(self, call: Callable[[], object]) -> float:
        """Return how long a call takes."""
        started_at = self.time
        call()
        return self.time - started_at


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LockedFile]:
    file = LockedFile(tmp_path / "file")
    yield file
    os.close(file.own_descriptor)
    os.close(file.other_descriptor)


def test_free_lock_succeeds_at_once(file: LockedFile) -> None:
    """A free file is locked without a pause, and then excludes other processes."""
    file.unlock()
    clock = FakeClock()
    assert try_lock_for(1.0, file.own_descriptor, clock)
    assert clock.time == 1000.0
    with pytest.raises(BlockingIOError):
        fcntl.flock(file.other_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_folder_can_be_locked(tmp_path: Path) -> None:
    """The descriptor of a folder excludes other processes too."""
    first_descriptor, second_descriptor = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert try_lock_for(0.0, first_descriptor, FakeClock())
    assert not try_lock_for(0.0, second_descriptor, FakeClock())
    os.close(first_descriptor)
    os.close(second_descriptor)


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_held_lock_fails_after_time(seconds: float, file: LockedFile) -> None:
    """The wait for another process ends at its limit."""
    clock = FakeClock()
    assert not try_lock_for(seconds, file.own_descriptor, clock)
    assert seconds <= clock.time - 1000.0 < seconds + PAUSE


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_lock_without_time_is_tried_once(seconds: float, file: LockedFile) -> None:
    """Without time for a wait, there is one attempt and no pause."""
    clock = FakeClock()
    assert not try_lock_for(seconds, file.own_descriptor, clock)
    assert clock.time == 1000.0
    file.unlock()
    assert try_lock_for(seconds, file.own_descriptor, clock)


def test_lock_succeeds_during_wait(file: LockedFile) -> None:
    """The wait ends when the other process releases the lock."""
    clock = EventClock(file.unlock)
    assert try_lock_for(60.0, file.own_descriptor, clock)
    assert clock.time - 1000.0 < PAUSE


def reject_locks(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """Let the operating system reject each lock."""

    def flock(descriptor: int, operation: int) -> None:
        raise error

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN, errno.EDEADLK])
def test_lock_of_other_process_is_held(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operating system has its own error for a lock of another process."""
    reject_locks(monkeypatch, OSError(number, "held"))
    assert not try_lock_for(0.0, 0, FakeClock())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF])
def test_missing_locks_count_as_locked(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks does not delay the job."""
    reject_locks(monkeypatch, OSError(number, "no locks"))
    clock = FakeClock()
    assert try_lock_for(60.0, 0, clock)
    assert clock.time == 1000.0


def test_missing_module_counts_as_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some operating systems have no module for locks."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert try_lock_for(60.0, 0, FakeClock())


@pytest.mark.parametrize("is_held", [False, True])
def test_windows_locks_first_byte(is_held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows one byte is locked, and a lock of another process is an error of access."""
    calls: list[tuple[int, int, int]] = []

    def locking(*arguments: int) -> None:
        calls.append(arguments)  # type: ignore[arg-type]
        if is_held:
            raise PermissionError(errno.EACCES, "Permission denied")

    # The numbers are those of the C runtime of Windows.
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        module = runpy.run_path(locks.__file__)
    assert module["try_lock_for"](0.0, 7, FakeClock()) == (not is_held)
    assert calls == [(7, 2, 1)]


# Repeated locks


def test_failed_wait_is_not_repeated(file: LockedFile) -> None:
    """A stopped process delays the job once."""
    clock = EventClock()
    timeouts = LockTimeouts(2.0, clock)
    assert 2.0 <= clock.measure(lambda: timeouts.lock(file.own_descriptor)) < 2.0 + PAUSE
    for _ in range(3):
        assert clock.measure(lambda: timeouts.lock(file.own_descriptor)) == 0.0
    assert not timeouts.lock(file.own_descriptor)


def test_success_restores_time_limit(file: LockedFile) -> None:
    """After a lock that succeeds, the next wait has its full time."""
    clock = EventClock()
    timeouts = LockTimeouts(2.0, clock)
    assert not timeouts.lock(file.own_descriptor)
    file.unlock()
    assert timeouts.lock(file.own_descriptor)
    file.unlock_own()
    file.lock()
    assert 2.0 <= clock.measure(lambda: timeouts.lock(file.own_descriptor)) < 2.0 + PAUSE


def test_signal_shortens_later_waits(file: LockedFile) -> None:
    """After a signal within the wait, later waits are short even after a success."""

    def cancel() -> None:
        raise Cancelled(15)

    clock = EventClock(cancel)
    timeouts = LockTimeouts(60.0, clock)
    with pytest.raises(Cancelled):
        timeouts.lock(file.own_descriptor)
    clock.on_sleep = lambda: None
    for _ in range(2):
        seconds = clock.measure(lambda: timeouts.lock(file.own_descriptor))
        assert MAX_LOCK_SECONDS_AFTER_CANCEL <= seconds < MAX_LOCK_SECONDS_AFTER_CANCEL + PAUSE
        file.unlock()
        assert timeouts.lock(file.own_descriptor)
        file.unlock_own()
        file.lock()


@pytest.mark.parametrize(("seconds", "limit"), [(0.3, 0.3), (5.0, 2.0)])
def test_shorten_never_extends_waits(seconds: float, limit: float, file: LockedFile) -> None:
    """The smaller of both limits counts."""
    clock = EventClock()
    timeouts = LockTimeouts(2.0, clock)
    timeouts.shorten(seconds)
    assert limit <= clock.measure(lambda: timeouts.lock(file.own_descriptor)) < limit + PAUSE
    timeouts.shorten(seconds)
    assert clock.measure(lambda: timeouts.lock(file.own_descriptor)) == 0.0
