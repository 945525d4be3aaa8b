"""Write files atomically, open only regular files, and check paths in a checkout that can be hostile.

A `Directory` and a `DirectoryTree` follow no symbolic link, even if another process creates it at the same time.
`open_or_create` and `open_for_append` follow links, because their paths come from the runner. `read_head` follows links
too, so `escapes_via_symlink` checks the paths of a checkout before. New files and directories get the owner of their
parent.
"""

from __future__ import annotations

import codecs
import errno
import os
import secrets
import shlex
import stat
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

from autonoma_ci.startup import DebugLogger

_log = DebugLogger()
# Windows has neither flag. There, links are found by a check of the path, and a directory never has named pipes.
O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Prevents waiting on a pipe or a device in place of a file.
O_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
# Without the last flag, Windows would put a carriage return before each line break.
_READ_WRITE_FLAGS = os.O_RDWR | O_NONBLOCK | O_NOFOLLOW | getattr(os, "O_BINARY", 0)
_READ_FLAGS = os.O_RDONLY | O_NONBLOCK | getattr(os, "O_BINARY", 0)
# Errors in a directory that allows no new file. It can belong to another user, or the old file is mounted on its own.
_NO_NEW_FILE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOT_REGULAR = "not a regular file"
# The byte order marks that text editors write at the beginning of UTF-16.
UTF_16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Windows has no descriptors of directories.
HAS_DIRECTORY_DESCRIPTORS = (
    bool(O_NOFOLLOW) and {os.open, os.mkdir, os.rename, os.stat, os.unlink} <= os.supports_dir_fd
)
_DIRECTORY_FLAGS = os.O_RDONLY | O_NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
# Opens a directory without the permission to read it. Only Linux has this flag.
_O_PATH = getattr(os, "O_PATH", 0)
# Errors of these flags for a link or a file, because the operating systems differ.
_NO_DIRECTORY_ERRNOS = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EMLINK})
# The file that is locked in place of a directory without a descriptor.
_LOCK_FILE = "results.lock"


class NotRegularFileError(OSError):
    """A pipe, a socket or a device in place of a file."""


class LinkError(OSError):
    """A symbolic link leads out of a directory tree, or is below its top."""

    def __init__(self, reason: str = "symbolic link in place of a directory") -> None:
        super().__init__(errno.ELOOP, reason)


class Directory:
    """An open directory. Its files and directories have names, not paths.

    A link that replaces the directory or one of its parents has no effect, because each operation uses the descriptor.
    No operation follows a link that has the name of a file.

    Args:
        path: The path. Without a descriptor, the operations use it.
        descriptor: The descriptor, which `close` closes. None on Windows.

    """

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path, self._descriptor = path, descriptor
        self._lock_file: int | None = None

    def __enter__(self) -> Self:
        """Return the directory."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the directory."""
        self.close()

    def close(self) -> None:
        """Close the descriptors. This releases the lock too."""
        descriptors, self._descriptor, self._lock_file = (self._descriptor, self._lock_file), None, None
        for descriptor in descriptors:
            if descriptor is not None:
                os.close(descriptor)

    def open_directory(self, path: str, *, create: bool = True) -> Directory:
        """Open a directory below this one.

        Args:
            path: The relative path. It is empty for this directory.
            create: Whether missing directories are created.

        Raises:
            LinkError: A link is in the path.
            OSError: The directory can't be opened or created.

        """
        target = self.path / path
        if self._descriptor is None:
            if Path(os.path.realpath(target)) != Path(os.path.realpath(self.path), path):
                raise LinkError
            if create:
                make_directory(target)
            return Directory(target)
        # Both directories are closed, so each has a descriptor.
        return Directory(target, _open_below(os.dup(self._descriptor), path, create=create))

    def open_lock(self) -> int:
        """Return a descriptor for a lock of the directory. `close` closes it.

        Without the permission to read the directory, a lock of the descriptor fails, as on a file system without locks.

        Raises:
            LinkError: A link is in place of the lock file.
            OSError: The lock file can't be opened.

        """
        if self._descriptor is not None:
            return self._descriptor
        if self.is_symlink(_LOCK_FILE):
            raise LinkError
        self._lock_file = os.open(self.path / _LOCK_FILE, os.O_RDWR | os.O_CREAT)
        return self._lock_file

    def lstat(self, name: str) -> os.stat_result:
        """Return the status of a file or link.

        Raises:
            OSError: The file is missing or unreadable.
            ValueError: Python rejects the name.

        """
        return os.stat(self._locate(name), dir_fd=self._descriptor, follow_symlinks=False)

    def is_regular(self, name: str) -> bool:
        """Return whether the name is that of a regular file."""
        return stat.S_ISREG(self._read_mode(name))

    def is_symlink(self, name: str) -> bool:
        """Return whether the name is that of a symbolic link."""
        return stat.S_ISLNK(self._read_mode(name))

    def exists(self, name: str) -> bool:
        """Return whether the name is in use. A link without a target counts."""
        return bool(self._read_mode(name))

    def read_file(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a regular file, or None if it is unreadable.

        A file with more than `max_bytes` bytes and a link count as unreadable.
        """
        # Windows has no flag for this, so a link is found by a check.
        if not O_NOFOLLOW and self.is_symlink(name):
            return None
        try:
            descriptor = os.open(self._locate(name), _READ_FLAGS | O_NOFOLLOW, dir_fd=self._descriptor)
            data = _read_regular(descriptor, max_bytes + 1)
        except (OSError, ValueError):
            return None
        return data if len(data) <= max_bytes else None

    def create_file(self, name: str, mode: int = 0o644) -> int:
        """Create a file with the owner of the directory, and return its descriptor.

        Args:
            name: The name.
            mode: The permissions, from which the umask removes some.

        Raises:
            FileExistsError: The name is in use.
            OSError: The file can't be created.

        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_NOFOLLOW
        descriptor = os.open(self._locate(name), flags, mode, dir_fd=self._descriptor)
        match_parent_owner(self.path if self._descriptor is None else self._descriptor, descriptor)
        return descriptor

    def replace(self, name: str, target: str) -> None:
        """Rename a file, and replace the file or link that has the other name.

        Raises:
            OSError: The file can't be renamed.

        """
        directory = self._descriptor
        os.replace(self._locate(name), self._locate(target), src_dir_fd=directory, dst_dir_fd=directory)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file. Windows does not replace an existing file.

        Raises:
            OSError: The file can't be renamed.

        """
        directory = self._descriptor
        os.rename(self._locate(name), self._locate(new_name), src_dir_fd=directory, dst_dir_fd=directory)

    def unlink(self, name: str) -> None:
        """Remove a file or link.

        Raises:
            OSError: The file can't be removed.

        """
        os.unlink(self._locate(name), dir_fd=self._descriptor)

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write `data` to a file completely or not at all.

        A symbolic link in its place is replaced, never followed. If the directory allows no new file, the existing file
        is overwritten in place, for example a file that is mounted on its own.

        Raises:
            OSError: The file can't be written.

        """
        temporary = f".{name[:100]}.{secrets.token_hex(8)}"
        try:
            is_replaced = self._replace_file(temporary, name, data)
        finally:
            # Runs after a signal and a lack of memory too, so no temporary file stays.
            with suppress(OSError):
                self.unlink(temporary)
        if not is_replaced:
            self._overwrite_in_place(name, data)
        _log.debug("Wrote %s/%s (%d bytes)", self.path, name, len(data))

    def _replace_file(self, temporary: str, name: str, data: bytes) -> bool:
        """Replace a file by a new one, and return whether it worked.

        If it did not, only an overwrite in place can work.

        Raises:
            OSError: The file can't be written, and an overwrite would not help.

        """
        try:
            descriptor = self.create_file(temporary)
        except OSError as error:
            if error.errno not in _NO_NEW_FILE_ERRNOS or self.is_symlink(name):
                raise
            return False
        # Errors from here on are raised: on a full disk, an overwrite would destroy the old content and fail as well.
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            self._apply_old_mode(name, descriptor)
        try:
            self.replace(temporary, name)
        except OSError:
            if not self.is_regular(name):
                raise
            return False
        return True

    def _overwrite_in_place(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | O_NOFOLLOW | O_NONBLOCK
        descriptor = _require_regular(os.open(self._locate(name), flags, dir_fd=self._descriptor))
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.truncate()

    def _apply_old_mode(self, name: str, descriptor: int) -> None:
        """Give a new file the mode of the old file."""
        old_mode = self._read_mode(name)
        # On Windows a mode means read-only and nothing else, and a read-only temporary file can't be deleted.
        if stat.S_ISREG(old_mode) and os.name != "nt" and hasattr(os, "fchmod"):
            with suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(old_mode))

    def _read_mode(self, name: str) -> int:
        """Return the mode of a file or link, or 0 without one."""
        try:
            return self.lstat(name).st_mode
        except (OSError, ValueError):
            return 0

    def _locate(self, name: str) -> str:
        """Return the name for the descriptor, or the path without one."""
        return name if self._descriptor is not None else str(self.path / name)


class DirectoryTree:
    """A directory and all directories below it, opened without following a link out of it.

    Args:
        top: The first directory of the tree. It can be behind links that stay in `root`.
        root: The trusted directory. If the path of `top` leads out of it, `top` itself is trusted.

    """

    def __init__(self, top: Path, root: Path) -> None:
        self._top, self._root = top, root

    @cached_property
    def _trusted_root(self) -> Path:
        """The trusted directory without links.

        It is resolved once, because another process may create a link later.
        """
        try:
            is_inside = _is_inside(self._top, self._root)
        except FileNotFoundError:
            # The working directory was removed, so no directory is inside it.
            is_inside = False
        return Path(os.path.realpath(self._root if is_inside else self._top))

    def open_directory(self, path: str = "", *, create: bool = True) -> Directory:
        """Open a directory of the tree.

        Args:
            path: The path, relative to the top.
            create: Whether missing directories are created.

        Raises:
            LinkError: A link leads out of the root, or a link is below the top.
            OSError: The directory can't be opened or created.
            ValueError: Python rejects the path.

        """
        root = self._trusted_root
        top = Path(os.path.realpath(self._top))
        if not top.is_relative_to(root):
            raise LinkError("symbolic link leads outside of the directory")
        if create:
            make_directory(root)
        path_in_root = str(top.relative_to(root) / path)
        if not HAS_DIRECTORY_DESCRIPTORS:
            return Directory(root).open_directory(path_in_root, create=create)
        return Directory(top / path, _open_below(_open_directory(root), path_in_root, create=create))


def _open_below(descriptor: int, path: str, *, create: bool) -> int:
    """Close a directory, and return the descriptor of one below it.

    At most two descriptors are open at the same time, because their number can be limited.

    Raises:
        LinkError: A link is in the path.
        OSError: A directory can't be opened or created.

    """
    for name in Path(path).parts:
        parent = descriptor
        try:
            descriptor = _open_child(name, parent, create=create)
        finally:
            os.close(parent)
    return descriptor


def _open_child(name: str, parent: int, *, create: bool) -> int:
    try:
        return _open_directory(name, parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another process may create it at the same time
        os.mkdir(name, dir_fd=parent)
    descriptor = _open_directory(name, parent)
    match_parent_owner(parent, descriptor)
    return descriptor


def _open_directory(path: str | Path, parent: int | None = None) -> int:
    """Open a directory, relative to the parent.

    On Linux, the `x` permission is enough, because of `O_PATH`. macOS has no such flag, and needs the `r` permission
    too.

    Raises:
        LinkError: It is a link.
        FileExistsError: It is a file.
        OSError: It can't be opened.

    """
    try:
        return _open_with_least_access(path, parent)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_ERRNOS:
            raise
        if stat.S_ISLNK(os.stat(path, dir_fd=parent, follow_symlinks=False).st_mode):
            raise LinkError from None
        # As os.mkdir reports it.
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None


def _open_with_least_access(path: str | Path, parent: int | None) -> int:
    try:
        return os.open(path, _DIRECTORY_FLAGS, dir_fd=parent)
    except PermissionError:
        descriptor = os.open(path, _DIRECTORY_FLAGS | _O_PATH, dir_fd=parent)
    try:
        # The flag opens directories without any permission too. This call needs the `x` permission.
        os.stat(".", dir_fd=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` completely or not at all.

    The directories of the path are trusted. A link at the path itself is replaced, never followed.

    Raises:
        OSError: The file can't be written.

    """
    Directory(path.parent).write_atomic(path.name, data)


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
        IsADirectoryError: It is a directory.
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


def make_directory(path: Path) -> None:
    """Create a directory and its parents.

    Raises:
        OSError: A directory can't be created.

    """
    if path.is_dir():
        return
    if path != path.parent:
        make_directory(path.parent)
    path.mkdir(exist_ok=True)
    match_parent_owner(path.parent, path)


def match_parent_owner(parent: Path | int, target: Path | int) -> None:
    """Give a file or directory its parent's owner if running as root.

    Otherwise the runner's own user could not delete files that a container has created as root. Errors are ignored,
    because some file systems and user namespaces know no other owners.
    """
    chown = getattr(os, "chown", None)
    if chown and hasattr(os, "geteuid") and os.geteuid() == 0:
        with suppress(OSError):
            owner = os.stat(parent)  # noqa: PTH116 - a path has no descriptor
            chown(target, owner.st_uid, owner.st_gid)


def read_head(path: str | Path, max_bytes: int) -> bytes:
    """Return the first bytes of a regular file without ever blocking.

    Links are followed. `Directory.read_file` reads the files of a directory tree, and `ci.publishers.shared_file` the
    files that it also writes.

    Returns:
        The first `max_bytes` bytes, fewer if the file is shorter.

    Raises:
        FileNotFoundError: The file is missing.
        IsADirectoryError: The path is a directory. On Windows, this is a PermissionError.
        NotRegularFileError: The path is a pipe, a socket or a device.
        OSError: The file can't be read.
        ValueError: Python rejects the path.

    """
    return _read_regular(os.open(path, _READ_FLAGS), max_bytes)


def _read_regular(descriptor: int, max_bytes: int) -> bytes:
    """Return the first bytes of a regular file, and close it."""
    with os.fdopen(_require_regular(descriptor), "rb") as stream:
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
    return getattr(error, "strerror", None) or "invalid path"


def escapes_via_symlink(path: str, directory: str) -> bool:
    """Return whether a path leaves its directory through a symbolic link.

    A path that leaves the directory by `..` is the user's intention and returns False.
    """
    if "\0" in path:
        return False  # not a path, so opening it fails
    target = Path(directory, path)
    try:
        # Path.resolve raises RuntimeError for a loop of links. realpath does not, so opening the file reports the loop.
        return _is_inside(target, Path(directory)) and not Path(
            os.path.realpath(os.path.normpath(target.absolute()))
        ).is_relative_to(os.path.realpath(directory))
    except FileNotFoundError:
        return False  # the working directory was removed, so nothing inside it can be opened


def _is_inside(path: Path, directory: Path) -> bool:
    """Return whether a path is inside a directory by its own text.

    Raises:
        FileNotFoundError: The working directory was removed.

    """
    return Path(os.path.normpath(path.absolute())).is_relative_to(os.path.normpath(directory.absolute()))


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
