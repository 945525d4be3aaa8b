"""Advisory locks between processes of this program."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock

# Seconds between two attempts to lock a file.
_RETRY_SECONDS = 0.02
# Limit of later waits after Cancelled was raised within a wait for the same lock. The runner may kill the step a few
# seconds after the signal. A signal at another moment, or one that arrives as an event, does not shorten the waits.
MAX_LOCK_SECONDS_AFTER_CANCEL = 0.5
# The error numbers of a lock that another process holds.
_LOCKED_ERRNOS = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


if sys.platform == "win32":

    def _lock_without_waiting(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _lock_without_waiting(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockTimeouts:
    """Locks one file or directory repeatedly within one time limit.

    A stopped process holds its lock for ever. So after a failed wait, later calls only try once, until a lock succeeds.

    Args:
        seconds: How long to wait for other processes.
        clock: The clock that limits the waits.

    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = self._seconds_left = seconds
        self._clock = clock

    def lock(self, descriptor: int) -> bool:
        """Lock the file and return whether it succeeded in time."""
        try:
            is_locked = try_lock_for(self._seconds_left, descriptor, self._clock)
        except BaseException:
            # Such as Cancelled, raised within the wait.
            self.shorten(MAX_LOCK_SECONDS_AFTER_CANCEL)
            raise
        self._seconds_left = self._seconds if is_locked else 0.0
        return is_locked

    def shorten(self, seconds: float) -> None:
        """Limit later waits to this many seconds."""
        self._seconds = min(self._seconds, seconds)
        self._seconds_left = min(self._seconds_left, seconds)


def try_lock_for(seconds: float, descriptor: int, clock: Clock) -> bool:
    """Lock a file and return whether it succeeded in time.

    On a file system or an operating system without locks, the file counts as locked.

    Args:
        seconds: How long to wait for another process.
        descriptor: The file or directory.
        clock: The clock that limits the wait.

    """
    deadline = clock.monotonic() + seconds
    with suppress(OSError, ImportError):
        while not _try_lock(descriptor):
            if clock.monotonic() >= deadline:
                return False
            clock.sleep(_RETRY_SECONDS)
    return True


def _try_lock(descriptor: int) -> bool:
    """Lock a file without waiting and return whether the lock was free.

    Raises:
        OSError: The file system has no locks.
        ImportError: The operating system has no locks.

    """
    try:
        _lock_without_waiting(descriptor)
    except OSError as error:
        if error.errno in _LOCKED_ERRNOS:
            return False
        raise
    return True
