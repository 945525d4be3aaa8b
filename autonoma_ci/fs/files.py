"""Files that nobody sees half-written, that belong to the folder's owner, and that no link leads astray."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

# Windows has neither flag: there, links are looked for by name, and no named pipe stands among files.
O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Never to wait on a pipe or a device that stands where a file should.
O_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
# Without the last flag, Windows would put a carriage return before each line break.
_SHARED_FLAGS = os.O_RDWR | O_NONBLOCK | O_NOFOLLOW | getattr(os, "O_BINARY", 0)
# What a folder says that takes no new file: other users' folders, and files that are mounted by themselves.
_NO_NEW_FILE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all; a symbolic link there is replaced, never followed.

    Where the folder takes no new file (a file that is mounted by itself), the file is rewritten in place.
    Raises OSError.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        is_replaced = _replace_file(temporary, path, data)
    finally:
        # Whatever ends it, a signal or a lack of memory too, and wherever it does: no draft stays.
        _remove(temporary)
    if not is_replaced:
        _overwrite_in_place(path, data)


def _replace_file(temporary: Path, path: Path, data: bytes) -> bool:
    """Write a new file and put it in place of the other; return False if only a rewrite may do. Raises OSError."""
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_NOFOLLOW, 0o644)
    except OSError as error:
        if error.errno not in _NO_NEW_FILE_ERRNOS or path.is_symlink():
            raise
        return False
    # On a full disk, rewriting in place would destroy what is there and fail as well.
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        _copy_mode_and_owner(path, stream.fileno())
    try:
        temporary.replace(path)
    except OSError:
        if not path.is_file() or path.is_symlink():
            raise
        return False
    return True


def _overwrite_in_place(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | O_NOFOLLOW | O_NONBLOCK)
    with os.fdopen(descriptor, "wb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_regular_error()
        stream.write(data)
        stream.truncate()


def _not_regular_error() -> OSError:
    return OSError(errno.EINVAL, "not a regular file")


def open_shared(path: Path) -> int:
    """Open a regular file for reading and writing in place, and create it if it is missing.

    The path is the runner's own, so links in it are followed. Raises OSError or ValueError.
    """
    path = Path(os.path.realpath(path))
    try:
        descriptor = os.open(path, _SHARED_FLAGS)
    except FileNotFoundError:
        descriptor = _create_shared(path)
    return _require_regular(descriptor)


def open_for_append(path: Path) -> int:
    """Open a regular file so that each write goes to its end; raise OSError or ValueError."""
    return _require_regular(os.open(os.path.realpath(path), _SHARED_FLAGS | os.O_APPEND))


def _create_shared(path: Path) -> int:
    try:
        descriptor = os.open(path, _SHARED_FLAGS | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        # Another process has just created it.
        return os.open(path, _SHARED_FLAGS)
    match_parent_owner(path.parent, descriptor)
    return descriptor


def _require_regular(descriptor: int) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular_error()
    return descriptor


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _copy_mode_and_owner(path: Path, descriptor: int) -> None:
    """Give the new file the mode of the one that it replaces, and the folder's owner."""
    with suppress(OSError):
        old_mode = path.lstat().st_mode
        # On Windows a mode says "read-only" and no more, and a draft that is can't be put away.
        if stat.S_ISREG(old_mode) and os.name != "nt" and hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(old_mode))
    match_parent_owner(path.parent, descriptor)


def make_directory(path: Path) -> None:
    """Make a folder and those above it; raise OSError if that can't be done."""
    if path.is_dir():
        return
    if path != path.parent:
        make_directory(path.parent)
    path.mkdir(exist_ok=True)
    match_parent_owner(path.parent, path)


def match_parent_owner(folder: Path, target: Path | int) -> None:
    """As root in a container, leave nothing that the runner's own user could not clean up.

    Some file systems and user namespaces know no other owners; the file matters more than whose it is.
    """
    chown = getattr(os, "chown", None)
    if chown and hasattr(os, "geteuid") and os.geteuid() == 0:
        with suppress(OSError):
            owner = folder.stat()
            chown(target, owner.st_uid, owner.st_gid)


def read_regular_file(path: str, max_bytes: int) -> bytes:
    """Return what a regular file of at most `limit` bytes holds; b"" for anything else, without ever blocking."""
    try:
        descriptor = os.open(path, os.O_RDONLY | O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return data if len(data) <= max_bytes else b""


def read_head(path: Path, max_bytes: int) -> bytes:
    """Return the first bytes of a regular file, at most `limit`; raise OSError or ValueError."""
    descriptor = _require_regular(os.open(path, os.O_RDONLY | O_NONBLOCK | getattr(os, "O_BINARY", 0)))
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(max_bytes)


def os_error_reason(error: OSError | ValueError) -> str:
    """Return in a few words why a path could not be used; Python itself refuses some, with a ValueError."""
    return getattr(error, "strerror", None) or "not a path"
