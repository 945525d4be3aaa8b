"""Compare the files of two commits, within limits.

`walk_trees` of dulwich stores the path of each entry of a directory, also of unchanged ones. In a deep directory with
many entries, these paths would fill the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.git.errors import CloneError
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from autonoma_ci.git.objects import ObjectReader, TreeItem

# In files, and in bytes of all their paths. Such a change selects every entry.
MAX_CHANGED_FILES = 100_000
MAX_PATH_BYTES = 16 * 1024**2


class TreeComparison(NamedTuple):
    """The paths with different content in two trees."""

    paths: frozenset[str]
    # Those of the paths that are commits of other repositories.
    submodules: frozenset[str]


def compare_trees(reader: ObjectReader, first: bytes, second: bytes) -> TreeComparison:
    """Return the files that only one of two trees has, or that differ.

    A renamed file counts with both names.

    Raises:
        CloneError: A tree is missing or damaged, or there are too many files.

    """
    comparison = _Comparison(reader)
    comparison.run(first, second)
    return TreeComparison(frozenset(comparison.paths), frozenset(comparison.submodules))


class _Comparison:
    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._pending: list[tuple[bytes, bytes | None, bytes | None]] = []
        self._bytes_left = MAX_PATH_BYTES
        self.paths: set[str] = set()
        self.submodules: set[str] = set()

    def run(self, first: bytes, second: bytes) -> None:
        """Compare two trees and all trees in them.

        A list of trees replaces recursion, because the depth of a hostile tree has no limit.
        """
        if first != second:
            self._pending.append((b"", first, second))
        while self._pending:
            path, old, new = self._pending.pop()
            old_items = self._reader.read_tree(old) if old else {}
            new_items = self._reader.read_tree(new) if new else {}
            for name in old_items.keys() | new_items.keys():
                self._compare_items(path + name, old_items.get(name), new_items.get(name))

    def _compare_items(self, path: bytes, old: TreeItem | None, new: TreeItem | None) -> None:
        if old == new:
            return
        old_tree = old.hash if old and old.is_directory else None
        new_tree = new.hash if new and new.is_directory else None
        if (old_tree or new_tree) and old_tree != new_tree:
            self._count(path)
            self._pending.append((path + b"/", old_tree, new_tree))
        files = [item for item in (old, new) if item and not item.is_directory]
        if files:
            self._count(path)
            # git stores paths as bytes, mostly in UTF-8.
            text = path.decode("utf-8", "surrogateescape")
            self.paths.add(text)
            if any(item.is_submodule for item in files):
                self.submodules.add(text)

    def _count(self, path: bytes) -> None:
        self._bytes_left -= len(path)
        if self._bytes_left < 0 or len(self.paths) > MAX_CHANGED_FILES:
            raise CloneError(f"more than {MAX_CHANGED_FILES:,} files changed, or their paths are too long", "")
