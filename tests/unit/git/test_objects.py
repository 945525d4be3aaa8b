"""Objects of a clone, which dulwich writes for the tests."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dulwich.object_format import SHA1
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ShaFile, Tree

from autonoma_ci.git import objects
from autonoma_ci.git.errors import CloneError, report_damage
from autonoma_ci.git.objects import BLOB, COMMIT, TREE, MissingObjectError, ObjectReader

if TYPE_CHECKING:
    from dulwich.object_format import ObjectFormat


def create_store(folder: Path, object_format: ObjectFormat = SHA1) -> DiskObjectStore:
    """Return an empty object store."""
    return DiskObjectStore.init(str(folder), object_format=object_format)


def create_commit(tree: Tree) -> Commit:
    """Return a commit of a tree."""
    commit = Commit()
    commit.tree = tree.id
    commit.author = commit.committer = b"Name <name@example.com>"
    commit.author_time = commit.commit_time = 1_700_000_000
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = b"text"
    return commit


def create_objects() -> tuple[Blob, Tree, Commit]:
    """Return a file, its folder and a commit."""
    blob = Blob.from_string(b"content\n" * 100)
    tree = Tree()
    tree.add(b"file", 0o100644, blob.id)
    tree.add(b"link", 0o120000, blob.id)
    tree.add(b"sub", 0o160000, blob.id)
    return blob, tree, create_commit(tree)


@pytest.fixture(params=["loose", "packed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[DiskObjectStore, tuple[Blob, Tree, Commit]]:
    """Return a store with a file, a folder and a commit."""
    store = create_store(tmp_path / "objects")
    items = create_objects()
    add_objects(store, items, is_packed=request.param == "packed")
    return store, items


def add_objects(store: DiskObjectStore, items: tuple[ShaFile, ...], *, is_packed: bool) -> None:
    """Add objects to a store, as files of their own or as one pack."""
    if is_packed:
        store.add_objects([(item, None) for item in items])
    else:
        for item in items:
            store.add_object(item)
    store.close()


def test_objects_are_read(store: tuple[DiskObjectStore, tuple[Blob, Tree, Commit]]) -> None:
    """Commit, folder and file are read from a pack and from files of their own."""
    opened, (blob, tree, commit) = store
    with ObjectReader(path_of(opened), 40) as reader:
        assert reader.read_commit(commit.id) == (tree.id, (), 1_700_000_000)
        items = reader.read_tree(tree.id)
        assert {name: item.hash for name, item in items.items()} == dict.fromkeys((b"file", b"link", b"sub"), blob.id)
        assert items[b"file"].is_regular_file
        assert not items[b"link"].is_regular_file
        assert items[b"sub"].is_submodule
        assert not any(item.is_directory for item in items.values())
        assert reader.read(blob.id, BLOB) == blob.data
        assert reader.has(commit.id)
        assert not reader.has(b"1" * 40)


def path_of(store: DiskObjectStore) -> Path:
    """Return the folder of a store."""
    return Path(store.path)


def test_wrong_type_is_doubt(store: tuple[DiskObjectStore, tuple[Blob, Tree, Commit]]) -> None:
    """A file in place of a commit is damage."""
    opened, (blob, _, commit) = store
    with ObjectReader(path_of(opened), 40) as reader:
        with pytest.raises(CloneError, match="damaged commit"):
            reader.read_commit(blob.id)
        with pytest.raises(CloneError, match="damaged directory"):
            reader.read_tree(commit.id)


def test_missing_object_is_doubt(tmp_path: Path) -> None:
    """A partial clone lacks objects."""
    create_store(tmp_path / "objects")
    with ObjectReader(tmp_path / "objects", 40) as reader:
        for kind, noun in ((COMMIT, "commit"), (TREE, "directory"), (BLOB, "file")):
            with pytest.raises(MissingObjectError, match=f"lacks a {noun}") as caught:
                reader.read(b"1" * 40, kind)
            assert caught.value.needed_depth == 0


@pytest.mark.parametrize("kind", ["loose", "packed"])
def test_large_object_is_not_unpacked(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small file can unpack to gigabytes, so its size is checked before."""
    store, blob = create_store(tmp_path / "objects"), Blob.from_string(b"\0" * 1_000_001)
    add_objects(store, (blob,), is_packed=kind == "packed")
    with ObjectReader(tmp_path / "objects", 40) as reader:
        assert reader.read(blob.id, BLOB, 1_000_001) == blob.data
        with pytest.raises(CloneError, match="too large"):
            reader.read(blob.id, BLOB, 1_000_000)
    monkeypatch.setattr(objects, "MAX_OBJECT_BYTES", 1_000_000)
    if kind == "packed":
        # The pack has the limit, whatever the caller allows.
        with ObjectReader(tmp_path / "objects", 40) as reader, pytest.raises(CloneError, match="too large"):
            reader.read(blob.id, BLOB, 1_000_001)


def test_damaged_index_closes_other_packs(tmp_path: Path) -> None:
    """The packs that were opened before are closed, or a warning fails the test."""
    add_objects(create_store(tmp_path / "objects"), create_objects(), is_packed=True)
    (tmp_path / "objects/pack/pack-z.idx").write_bytes(b"not an index")
    (tmp_path / "objects/pack/pack-z.pack").write_bytes(b"not a pack")
    reader = ObjectReader(tmp_path / "objects", 40)
    with pytest.raises(CloneError, match="damaged"), report_damage():
        reader.__enter__()


def test_number_of_objects_is_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A huge history is a doubt, and needs limited time."""
    monkeypatch.setattr(objects, "MAX_OBJECTS", 3)
    blob, tree, commit = create_objects()
    add_objects(create_store(tmp_path / "objects"), (blob, tree, commit), is_packed=True)
    with ObjectReader(tmp_path / "objects", 40) as reader:
        for _ in range(3):
            reader.read_commit(commit.id)
        with pytest.raises(CloneError, match="too many commits"):
            reader.read_commit(commit.id)


def test_size_of_all_objects_is_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many large objects are a doubt, even if each one is allowed."""
    monkeypatch.setattr(objects, "MAX_TOTAL_BYTES", 1000)
    blob, tree, commit = create_objects()
    add_objects(create_store(tmp_path / "objects"), (blob, tree, commit), is_packed=True)
    with ObjectReader(tmp_path / "objects", 40) as reader:
        reader.read(blob.id, BLOB)
        reader.read(blob.id, BLOB)
        with pytest.raises(CloneError, match="too many"):
            reader.read(blob.id, BLOB)


def test_alternates_are_followed(tmp_path: Path) -> None:
    """A clone can use the objects of another one, and both can name each other."""
    stores = [create_store(tmp_path / name) for name in ("first", "second", "third")]
    blob, tree, commit = create_objects()
    for store, item in zip(stores, (blob, tree, commit), strict=True):
        add_objects(store, (item,), is_packed=item is tree)
    (tmp_path / "first/info").mkdir(exist_ok=True)
    (tmp_path / "second/info").mkdir(exist_ok=True)
    (tmp_path / "first/info/alternates").write_text(f"# comment\n{tmp_path / 'second'}\n/missing\n")
    (tmp_path / "second/info/alternates").write_text("../third\n../first\n../second\n")
    with ObjectReader(tmp_path / "first", 40) as reader:
        assert reader.read_commit(commit.id).tree == tree.id
        assert reader.read_tree(tree.id)
        assert reader.read(blob.id, BLOB)


def test_number_of_alternates_is_limited(tmp_path: Path) -> None:
    """Thousands of stores would make each search slow."""
    create_store(tmp_path / "objects")
    (tmp_path / "objects/info").mkdir(exist_ok=True)
    (tmp_path / "objects/info/alternates").write_text("".join(f"../{number}\n" for number in range(5000)))
    assert len(objects._find_object_directories(tmp_path / "objects")) == 20


def write_loose(folder: Path, kind: str, content: bytes, name: str = "1" * 40) -> bytes:
    """Write an object as a file of its own, even if it is damaged."""
    path = folder / name[:2] / name[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(zlib.compress(b"%s %d\0%s" % (kind.encode(), len(content), content)))
    return name.encode()


def test_sha256_objects_are_read(tmp_path: Path) -> None:
    """A clone can use longer hashes."""
    item = b"\2" * 32
    name = write_loose(tmp_path, "tree", b"100644 file\0" + item, "1" * 64)
    with ObjectReader(tmp_path, 64) as reader:
        assert reader.read_tree(name) == {b"file": (0o100644, item.hex().encode())}


@pytest.mark.parametrize("text", [b"-5 +0000", b"9" * 5000 + b" +0000", b"0"])
def test_odd_times_are_accepted(text: bytes, tmp_path: Path) -> None:
    """A change can have commits with any time."""
    tree = b"1" * 40
    content = b"tree %s\nparent %s\nauthor A <a> 1 +0\ncommitter A <a> %s\n\ntext" % (tree, tree, text)
    name = write_loose(tmp_path, "commit", content)
    with ObjectReader(tmp_path, 40) as reader:
        found = reader.read_commit(name)
    assert (found.tree, found.parents) == (tree, (tree,))


@pytest.mark.parametrize("content", [b"", b"tree 1\n", b"parent 1\ntree 1\n", b"tree 1\nauthor A\ncommitter A\n"])
def test_damaged_commit_is_doubt(content: bytes, tmp_path: Path) -> None:
    """A commit without its fields is damage."""
    name = write_loose(tmp_path, "commit", content)
    with ObjectReader(tmp_path, 40) as reader, pytest.raises(CloneError, match="damaged commit"):
        reader.read_commit(name)


@pytest.mark.parametrize(
    "data",
    [
        zlib.compress(b"blob 4\0text")[:-8],
        zlib.compress(b"blob 5\0text"),
        zlib.compress(b"blub 4\0text"),
        zlib.compress(b"text"),
    ],
)
def test_damaged_object_is_doubt(data: bytes, tmp_path: Path) -> None:
    """The header of an object has its type and its size."""
    name = write_loose(tmp_path, "blob", b"text")
    (tmp_path / name[:2].decode() / name[2:].decode()).write_bytes(data)
    with ObjectReader(tmp_path, 40) as reader, pytest.raises(CloneError, match="damaged object"):
        reader.read(name, BLOB)


def test_index_without_pack_is_ignored(tmp_path: Path) -> None:
    """Another process can repack the clone at the same time."""
    store = create_store(tmp_path / "objects")
    blob = Blob.from_string(b"content")
    add_objects(store, (blob,), is_packed=False)
    (tmp_path / "objects/pack/pack-1.idx").write_bytes(b"not an index")
    (tmp_path / "objects/pack/pack-2.pack").write_bytes(b"not a pack")
    with ObjectReader(tmp_path / "objects", 40) as reader:
        assert reader.read(blob.id, BLOB) == b"content"
