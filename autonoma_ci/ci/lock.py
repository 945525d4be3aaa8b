"""Advisory locks between processes of this program."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonoma_ci.engine.clock import Clock

# In seconds, between two looks.
_PAUSE = 0.02
# The error numbers of a lock that another process has.
_LOCKED = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


if sys.platform == "win32":

    def _take_lock(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _take_lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_within(seconds: float, descriptor: int, clock: Clock) -> bool:
    """Lock a file and return whether that could be done in time.

    A file system or a system without locks counts as locked.

    Args:
        seconds: How long to wait for another process.
        descriptor: The file, or a folder.
        clock: The clock that limits the wait.

    """
    until = clock.monotonic() + seconds
    with suppress(OSError, ImportError):
        while not _try_lock(descriptor):
            if clock.monotonic() >= until:
                return False
            clock.sleep(_PAUSE)
    return True


def _try_lock(descriptor: int) -> bool:
    """Lock a file without waiting and return whether the lock was free.

    Raises OSError or ImportError where the file system or the system has no locks.
    """
    try:
        _take_lock(descriptor)
    except OSError as error:
        if error.errno in _LOCKED:
            return False
        raise
    return True
