"""Changed files of two trees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.git import tree_comparison
from autonoma_ci.git.errors import CloneError
from autonoma_ci.git.objects import TreeItem
from autonoma_ci.git.tree_comparison import TreeComparison, compare_trees

if TYPE_CHECKING:
    from autonoma_ci.git.objects import ObjectReader

FILE, EXECUTABLE, LINK, SUBMODULE, DIRECTORY = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000
NAMES = st.sampled_from([b"a", b"b", b"a.b", b"a-b", b"\xff", "ä".encode()])
LEAVES = st.builds(
    TreeItem, st.sampled_from([FILE, EXECUTABLE, LINK, SUBMODULE]), st.sampled_from([b"1" * 40, b"2" * 40])
)
TREES = st.recursive(LEAVES, lambda items: st.dictionaries(NAMES, items, max_size=4), max_leaves=12).map(
    lambda tree: tree if isinstance(tree, dict) else {b"only": tree}
)
Tree = dict[bytes, "Tree | TreeItem"]


class TreeStore:
    """Trees in memory, with names for equal content."""

    def __init__(self) -> None:
        self.trees: dict[bytes, dict[bytes, TreeItem]] = {}

    def add(self, tree: Tree) -> bytes:
        """Store a tree, and return its name."""
        items = {
            name: item if isinstance(item, TreeItem) else TreeItem(DIRECTORY, self.add(item))
            for name, item in tree.items()
        }
        name = repr(sorted(items.items())).encode()
        self.trees[name] = items
        return name

    def read_tree(self, name: bytes) -> dict[bytes, TreeItem]:
        """Return the entries of a tree."""
        return self.trees[name]

    def compare(self, first: bytes, second: bytes) -> TreeComparison:
        """Compare two trees by name."""
        return compare_trees(cast("ObjectReader", self), first, second)


def flatten(tree: Tree, prefix: bytes = b"") -> dict[str, TreeItem]:
    """Return all files of a tree by path."""
    files = {}
    for name, item in tree.items():
        if isinstance(item, TreeItem):
            files[os.fsdecode(prefix + name)] = item
        else:
            files |= flatten(item, prefix + name + b"/")
    return files


@given(TREES, TREES)
def test_comparison_finds_all_differences(first: Tree, second: Tree) -> None:
    """A file counts if only one tree has it, or if mode or content differ."""
    store = TreeStore()
    comparison = store.compare(store.add(first), store.add(second))
    old, new = flatten(first), flatten(second)
    expected = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    assert comparison.paths == expected
    submodules = {path for files in (old, new) for path, item in files.items() if item.mode == SUBMODULE}
    assert comparison.submodules == expected & submodules


def test_equal_trees_are_not_read() -> None:
    """Equal hashes mean equal content, so such a tree need not exist."""
    assert TreeStore().compare(b"1", b"1") == TreeComparison(frozenset(), frozenset())


def test_deep_tree_needs_no_recursion() -> None:
    """A tree with thousands of levels is compared like any other."""
    store = TreeStore()
    store.trees = {b"%d" % level: {b"d": TreeItem(DIRECTORY, b"%d" % (level + 1))} for level in range(3000)}
    store.trees[b"3000"] = {b"file": TreeItem(FILE, b"1" * 40)}
    store.trees[b"empty"] = {}
    assert store.compare(b"empty", b"0").paths == {"d/" * 3000 + "file"}


def test_tree_with_countless_files_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few small trees can stand for ten billion files."""
    monkeypatch.setattr(tree_comparison, "MAX_CHANGED_FILES", 1000)
    store = TreeStore()
    store.trees = {
        b"%d" % level: {b"%d" % name: TreeItem(DIRECTORY, b"%d" % (level + 1)) for name in range(10)}
        for level in range(10)
    }
    store.trees[b"10"] = {b"file": TreeItem(FILE, b"1" * 40)}
    store.trees[b"empty"] = {}
    with pytest.raises(CloneError, match="more than 1,000 files changed"):
        store.compare(b"empty", b"0")


def test_number_of_files_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with too many short names is a doubt too."""
    store = TreeStore()
    store.trees = {b"new": {b"%d" % number: TreeItem(FILE, b"1" * 40) for number in range(100)}, b"old": {}}
    assert len(store.compare(b"old", b"new").paths) == 100
    monkeypatch.setattr(tree_comparison, "MAX_CHANGED_FILES", 50)
    with pytest.raises(CloneError, match="more than 50 files changed"):
        store.compare(b"old", b"new")


def test_long_paths_are_doubt() -> None:
    """The paths of all files together have a size limit."""
    store = TreeStore()
    store.trees = {
        b"new": {b"%04d" % number + b"x" * 100_000: TreeItem(FILE, b"1" * 40) for number in range(200)},
        b"old": {},
    }
    with pytest.raises(CloneError, match="too long"):
        store.compare(b"old", b"new")


def test_deep_tree_without_files_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of directories count too, because the tree can lack files."""
    monkeypatch.setattr(tree_comparison, "MAX_PATH_BYTES", 1000)
    store = TreeStore()
    store.trees = {b"%d" % level: {b"d": TreeItem(DIRECTORY, b"%d" % (level + 1))} for level in range(100)}
    store.trees |= {b"100": {}, b"empty": {}}
    with pytest.raises(CloneError, match="too long"):
        store.compare(b"empty", b"0")
