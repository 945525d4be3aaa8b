"""Files that nobody sees half-written, that belong to the folder's owner, and that no link leads astray."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all; a symbolic link there is replaced, never followed.

    Where the folder takes no new file (a file that is mounted by itself), the file is rewritten in place.
    Raises OSError.
    """
    mode = 0o644
    with suppress(OSError):
        mode = stat.S_IMODE(path.lstat().st_mode) if not path.is_symlink() else mode
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError:
        _rewrite(path, data)
        return
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            _give_to_owner_of(path.parent, stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, IsADirectoryError) or not path.is_file() or path.is_symlink():
            raise
        _rewrite(path, data)


def _rewrite(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        stream.write(data)
        stream.truncate()


def make_folder(path: Path) -> None:
    """Make a folder and those above it; raises OSError."""
    if path.is_dir():
        return
    if path != path.parent:
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _give_to_owner_of(path.parent, path)


def _give_to_owner_of(folder: Path, thing: Path | int) -> None:
    """As root in a container, leave nothing that the runner's own user could not clean up."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(thing, owner.st_uid, owner.st_gid)


class Tail:
    """Our part at the end of a file that others may have written to before; it is written anew each time."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        before = self._path.read_bytes() if self._path.exists() else b""
        self._before = before + b"\n" if before and not before.endswith(b"\n") else before

    @property
    def used(self) -> int:
        """How many bytes others have written."""
        return len(self._before)

    def write(self, text: str) -> None:
        """Replace our part; raises OSError."""
        write_whole(self._path, self._before + text.encode())
