"""Read the objects of a clone with dulwich, within limits.

A change can add any commit and any tree. So the size of each object and the work for all of them are limited.
"""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from autonoma_ci.fs.files import read_head
from autonoma_ci.git.errors import COMPLETE_HISTORY, OBJECT_TOO_LARGE, CloneError
from autonoma_ci.startup import NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from dulwich.object_format import ObjectFormat
    from dulwich.pack import Pack

# The numbers of the types in a pack. Source: git help gitformat-pack.
COMMIT, TREE, BLOB = 1, 2, 3
_TYPE_NAMES = {COMMIT: "commit", TREE: "directory", BLOB: "file"}
_TYPES = {b"commit": COMMIT, b"tree": TREE, b"blob": BLOB}
# The largest commit and tree, in bytes. A directory with 100,000 files has a tree of about 5 MB.
MAX_OBJECT_BYTES = 32 * 1024**2
# In objects, and in bytes of all objects. Reading a commit takes about 30 µs.
MAX_OBJECTS = 200_000
MAX_TOTAL_BYTES = 1024**3
# git follows chains of at most five stores. Source: alt_odb_usable and link_alt_odb_entries in object-file.c of git.
_MAX_STORES = 20
_MAX_ALTERNATES_BYTES = 64 * 1024
# Type and size, before the content in a file of its own.
_LOOSE_HEADER_BYTES = 32
_COMMIT_RE = lazy_pattern(
    rb"tree ([0-9a-f]+)\n((?:parent [0-9a-f]+\n)*)author [^\n]*\ncommitter [^\n]*?(-?\d+)(?: |\n)"
)


class MissingObjectError(CloneError):
    """The clone lacks an object, because it is shallow or partial."""


class Commit(NamedTuple):
    """The parts of a commit that its history needs."""

    tree: bytes
    parents: tuple[bytes, ...]
    # Unix time of its committer. Any number is possible.
    time: int


class TreeItem(NamedTuple):
    """One entry of a directory."""

    mode: int
    hash: bytes

    @property
    def is_directory(self) -> bool:
        """Whether the entry is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular_file(self) -> bool:
        """Whether the entry is a file, and not a link."""
        return stat.S_ISREG(self.mode)

    @property
    def is_submodule(self) -> bool:
        """Whether the entry is a commit of another repository."""
        return stat.S_IFMT(self.mode) == 0o160000


class ObjectReader:
    """Reads objects by their hash, in hexadecimal digits.

    Args:
        directory: The directory `objects` of the clone.
        hash_digits: How many digits a hash has: 40 for SHA-1, 64 for SHA-256.

    """

    def __init__(self, directory: Path, hash_digits: int) -> None:
        from dulwich.object_format import SHA1, SHA256

        self._format: ObjectFormat = SHA256 if hash_digits == SHA256.hex_length else SHA1
        self._directories = _find_object_directories(directory)
        self._packs: list[Pack] = []
        self._objects_left, self._bytes_left = MAX_OBJECTS, MAX_TOTAL_BYTES

    def __enter__(self) -> Self:
        """Open the packs.

        Raises:
            OSError: A pack is unreadable.

        """
        # Loaded only here, because the import takes 40 ms.
        from autonoma_ci.git.packs import open_pack

        try:
            for path in self._list_packs():
                # Another process can repack the clone at the same time. It deletes the index first.
                with suppress(FileNotFoundError):
                    self._packs.append(open_pack(path, self._format, MAX_OBJECT_BYTES))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _list_packs(self) -> Iterator[str]:
        """Yield the path of each pack with an index, without the ending."""
        for directory in self._directories:
            with suppress(FileNotFoundError):
                paths = sorted((directory / "pack").iterdir())
                stems = {path.stem for path in paths if path.suffix == ".pack"}
                # git writes the index last.
                yield from (str(path.with_suffix("")) for path in paths if path.suffix == ".idx" and path.stem in stems)

    def __exit__(self, *_: object) -> None:
        """Close the packs."""
        for pack in self._packs:
            pack.close()

    def read_commit(self, name: bytes) -> Commit:
        """Return a commit.

        Raises:
            CloneError: The commit is missing, damaged or too large.

        """
        match = _COMMIT_RE.match(self.read(name, COMMIT))
        if not match:
            raise CloneError("the clone has a damaged commit")
        # Python rejects a longer number, and the time only orders commits.
        return Commit(match[1], tuple(match[2].replace(b"parent ", b"").split()), int(match[3][:18]))

    def read_tree(self, name: bytes) -> dict[bytes, TreeItem]:
        """Return the entries of a directory by name.

        Raises:
            CloneError: The tree is missing, damaged or too large.

        """
        from dulwich.objects import parse_tree

        data = self.read(name, TREE)
        return {file: TreeItem(mode, item) for file, mode, item in parse_tree(data, self._format.oid_length)}

    def has(self, name: bytes) -> bool:
        """Return whether the clone has a commit."""
        try:
            self.read(name, COMMIT)
        except MissingObjectError:
            return False
        return True

    def read(self, name: bytes, kind: int, max_bytes: int = MAX_OBJECT_BYTES) -> bytes:
        """Return the content of an object.

        Args:
            name: The hash.
            kind: The expected type.
            max_bytes: The size limit.

        Raises:
            CloneError: The object is missing, of another type, or too large. Or too many objects were read.

        """
        self._objects_left -= 1
        if self._objects_left < 0 or self._bytes_left < 0:
            raise CloneError("the base is too many commits away", "Update the branch.")
        actual_kind, data = self._read_from_pack(name) or self._read_loose(name, kind, max_bytes)
        if actual_kind != kind:
            raise CloneError(f"the clone has a damaged {_TYPE_NAMES[kind]}")
        if len(data) > max_bytes:
            raise CloneError(OBJECT_TOO_LARGE)
        self._bytes_left -= len(data)
        return data

    def _read_from_pack(self, name: bytes) -> tuple[int, bytes] | None:
        raw_name = bytes.fromhex(name.decode("ascii"))
        for index, pack in enumerate(self._packs):
            try:
                offset = pack.index.object_offset(raw_name)  # type: ignore[arg-type]
            except KeyError:
                continue
            if index:
                # The next object is probably in the same pack.
                self._packs.insert(0, self._packs.pop(index))
            kind, chunks = pack.resolve_object(offset, *pack.data.get_object_at(offset))
            return kind, b"".join(chunks)  # type: ignore[arg-type]
        return None

    def _read_loose(self, name: bytes, kind: int, max_bytes: int) -> tuple[int, bytes]:
        digits = name.decode("ascii")
        for directory in self._directories:
            with suppress(FileNotFoundError):
                # Compressed data is hardly larger than the object.
                data = read_head(directory / digits[:2] / digits[2:], max_bytes + max_bytes // 100 + 1000)
                return _unpack_loose(data, max_bytes)
        raise MissingObjectError(f"the clone lacks a {_TYPE_NAMES[kind]} of its history", needed_depth=COMPLETE_HISTORY)


def _unpack_loose(data: bytes, max_bytes: int) -> tuple[int, bytes]:
    """Return type and content of an object in a file of its own.

    Raises:
        CloneError: The object is too large or damaged.

    """
    text = zlib.decompressobj().decompress(data, max_bytes + _LOOSE_HEADER_BYTES)
    header, _, content = text.partition(b"\0")
    if len(content) > max_bytes:
        raise CloneError(OBJECT_TOO_LARGE)
    type_name, _, size = header.partition(b" ")
    if type_name not in _TYPES or size != b"%d" % len(content):
        raise CloneError("the clone has a damaged object")
    return _TYPES[type_name], content


def _find_object_directories(directory: Path) -> list[Path]:
    """Return a directory of objects and its alternates."""
    directories = [directory]
    for current in directories:
        with suppress(FileNotFoundError):
            content = read_head(current / "info" / "alternates", _MAX_ALTERNATES_BYTES)
            paths = [current / os.fsdecode(line) for line in content.splitlines() if line and line[:1] != b"#"]
            directories += [path for path in paths if path not in directories][: _MAX_STORES - len(directories)]
    return directories
