"""Advisory locks between processes of this program."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock

# In seconds, between two looks.
_RETRY_SECONDS = 0.02
# In seconds, for later waits once Cancelled was raised within a wait for the same lock: the runner may kill the step a
# few seconds after the signal. A signal at another moment, or one that comes as an event, shortens no wait.
MAX_LOCK_SECONDS_AFTER_CANCEL = 0.5
# The error numbers of a lock that another process has.
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
    """Locks one file or folder again and again, with one limit for all waits until it can be locked.

    A stopped process keeps its lock for ever, so only the first wait may take all of the time.

    Args:
        seconds: How long to wait for other processes.
        clock: The clock that limits the waits.

    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = self._seconds_left = seconds
        self._clock = clock

    def lock(self, descriptor: int) -> bool:
        """Lock the file and return whether that could be done in time."""
        try:
            is_locked = try_lock_for(self._seconds_left, descriptor, self._clock)
        except BaseException:
            # Cancelled was raised within the wait.
            self.shorten(MAX_LOCK_SECONDS_AFTER_CANCEL)
            raise
        self._seconds_left = self._seconds if is_locked else 0.0
        return is_locked

    def shorten(self, seconds: float) -> None:
        """Let later waits take no longer than this."""
        self._seconds = min(self._seconds, seconds)
        self._seconds_left = min(self._seconds_left, seconds)


def try_lock_for(seconds: float, descriptor: int, clock: Clock) -> bool:
    """Lock a file and return whether that could be done in time.

    A file system or a system without locks counts as locked.

    Args:
        seconds: How long to wait for another process.
        descriptor: The file, or a folder.
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

    Raises OSError or ImportError where the file system or the system has no locks.
    """
    try:
        _lock_without_waiting(descriptor)
    except OSError as error:
        if error.errno in _LOCKED_ERRNOS:
            return False
        raise
    return True
