"""Advisory locks between processes of this program."""

from __future__ import annotations

import errno
import sys

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


def try_lock(descriptor: int) -> bool:
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
