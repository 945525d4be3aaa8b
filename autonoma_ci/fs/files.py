"""Write files atomically, open only regular files, and check paths in a checkout that can be hostile.

`write_atomic` never follows a symbolic link at its path. `open_or_create` and `open_for_append` follow links, because
their paths come from the runner. Reads follow links too, so `escapes_via_symlink` checks the paths of a checkout
before. New files and folders get the owner of their parent.
"""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path

# Windows has neither flag. There, links are found by a check of the path, and a folder never has named pipes.
O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Prevents waiting on a pipe or a device in place of a file.
O_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
# Without the last flag, Windows would put a carriage return before each line break.
_READ_WRITE_FLAGS = os.O_RDWR | O_NONBLOCK | O_NOFOLLOW | getattr(os, "O_BINARY", 0)
# Errors in a folder that allows no new file. It can belong to another user, or the old file is mounted on its own.
_NO_NEW_FILE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOT_REGULAR = "not a regular file"


class NotRegularFileError(OSError):
    """A pipe, a socket or a device in place of a file."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` completely or not at all.

    A symbolic link at the path is replaced, never followed. If the folder allows no new file, the existing file is
    overwritten in place, for example a file that is mounted on its own.

    Raises:
        OSError: The file can't be written.

    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        is_replaced = _replace_file(temporary, path, data)
    finally:
        # Runs after a signal and a lack of memory too, so no temporary file stays.
        _remove(temporary)
    if not is_replaced:
        _overwrite_in_place(path, data)


def _replace_file(temporary: Path, path: Path, data: bytes) -> bool:
    """Replace a file by a new one, and return whether it worked.

    If it did not, only an overwrite in place can work.

    Raises:
        OSError: The file can't be written, and an overwrite would not help.

    """
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_NOFOLLOW, 0o644)
    except OSError as error:
        if error.errno not in _NO_NEW_FILE_ERRNOS or path.is_symlink():
            raise
        return False
    # Errors from here on are raised: on a full disk, an overwrite would destroy the old content and fail as well.
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        _apply_old_mode_and_folder_owner(path, stream.fileno())
    try:
        temporary.replace(path)
    except OSError:
        if not path.is_file() or path.is_symlink():
            raise
        return False
    return True


def _overwrite_in_place(path: Path, data: bytes) -> None:
    descriptor = _require_regular(os.open(path, os.O_WRONLY | O_NOFOLLOW | O_NONBLOCK))
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.truncate()


def open_or_create(path: Path) -> int:
    """Open a regular file for reading and writing, created if missing.

    Links are followed, because the path comes from the runner.

    Raises:
        OSError: The file can't be opened or is not regular.
        ValueError: Python rejects the path.

    """
    path = Path(os.path.realpath(path))
    try:
        descriptor = os.open(path, _READ_WRITE_FLAGS)
    except FileNotFoundError:
        descriptor = _create(path)
    return _require_regular(descriptor)


def open_for_append(path: Path) -> int:
    """Open a regular file so that each write goes to its end.

    Raises:
        OSError: The file can't be opened or is not regular.
        ValueError: Python rejects the path.

    """
    return _require_regular(os.open(os.path.realpath(path), _READ_WRITE_FLAGS | os.O_APPEND))


def _create(path: Path) -> int:
    try:
        descriptor = os.open(path, _READ_WRITE_FLAGS | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        # Another process has just created the file.
        return os.open(path, _READ_WRITE_FLAGS)
    match_parent_owner(path.parent, descriptor)
    return descriptor


def _require_regular(descriptor: int) -> int:
    """Return the descriptor if it is a regular file, else close it.

    Raises:
        IsADirectoryError: It is a folder.
        NotRegularFileError: It is a pipe, a socket or a device.
        OSError: Its kind is unknown.

    """
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, _NOT_REGULAR)
        if not stat.S_ISREG(mode):
            raise NotRegularFileError(errno.EINVAL, _NOT_REGULAR)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _apply_old_mode_and_folder_owner(path: Path, descriptor: int) -> None:
    """Give a new file the mode of the old file at `path`, and the owner of its folder."""
    with suppress(OSError):
        old_mode = path.lstat().st_mode
        # On Windows a mode means read-only and nothing else, and a read-only temporary file can't be deleted.
        if stat.S_ISREG(old_mode) and os.name != "nt" and hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(old_mode))
    match_parent_owner(path.parent, descriptor)


def make_directory(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        OSError: A folder can't be created.

    """
    if path.is_dir():
        return
    if path != path.parent:
        make_directory(path.parent)
    path.mkdir(exist_ok=True)
    match_parent_owner(path.parent, path)


def match_parent_owner(parent: Path, target: Path | int) -> None:
    """Give a file or folder its parent's owner if running as root.

    Otherwise the runner's own user could not delete files that a container has created as root. Errors are ignored,
    because some file systems and user namespaces know no other owners.
    """
    chown = getattr(os, "chown", None)
    if chown and hasattr(os, "geteuid") and os.geteuid() == 0:
        with suppress(OSError):
            owner = parent.stat()
            chown(target, owner.st_uid, owner.st_gid)


def read_head(path: str | Path, max_bytes: int) -> bytes:
    """Return the first bytes of a regular file without ever blocking.

    All untrusted files are read by this function, except those that `ci.publishers.shared_file` also writes.

    Returns:
        The first `max_bytes` bytes, fewer if the file is shorter.

    Raises:
        FileNotFoundError: The file is missing.
        IsADirectoryError: The path is a folder. On Windows, this is a PermissionError.
        NotRegularFileError: The path is a pipe, a socket or a device.
        OSError: The file can't be read.
        ValueError: Python rejects the path.

    """
    descriptor = _require_regular(os.open(path, os.O_RDONLY | O_NONBLOCK | getattr(os, "O_BINARY", 0)))
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(max_bytes)


def read_whole_file(path: str, max_bytes: int) -> bytes | None:
    """Return the content of a regular file, or None if it is unreadable.

    A file with more than `max_bytes` bytes counts as unreadable.
    """
    try:
        data = read_head(path, max_bytes + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= max_bytes else None


def os_error_reason(error: OSError | ValueError) -> str:
    """Return in a few words why a path is unusable.

    Python itself rejects some paths with a ValueError.
    """
    return getattr(error, "strerror", None) or "not a path"


def escapes_via_symlink(path: str, folder: str) -> bool:
    """Return whether a path leaves its folder through a symbolic link.

    A path that leaves the folder by `..` is the user's intention and returns False.
    """
    if "\0" in path:
        return False  # not a path, so opening it fails
    try:
        root = Path(os.path.normpath(Path(folder).absolute()))
        target = Path(os.path.normpath(Path(folder, path).absolute()))
    except FileNotFoundError:
        return False  # the working directory was removed, so nothing inside it can be opened
    # Path.resolve raises RuntimeError for a loop of links. realpath does not, so opening the file reports the loop.
    return target.is_relative_to(root) and not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root))


def quote_for_shell(path: str, system: str = os.name) -> str:
    """Return a path quoted for any shell of an operating system.

    Args:
        path: The path.
        system: The operating system, as `os.name` names it.

    """
    if system != "nt":
        return shlex.quote(path)
    # Windows accepts slashes and allows no double quotes in paths. cmd, PowerShell and bash all read double quotes.
    path = path.replace("\\", "/")
    return path if shlex.quote(path) == path else f'"{path}"'
