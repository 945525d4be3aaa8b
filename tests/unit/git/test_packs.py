"""Sizes of objects in packs, which dulwich writes for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dulwich.object_format import SHA1
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, RawObjectID
from dulwich.pack import UnpackedObject, write_pack_data

from autonoma_ci.git.errors import CloneError
from autonoma_ci.git.packs import open_pack

if TYPE_CHECKING:
    from pathlib import Path


def to_raw_hash(item: Blob) -> RawObjectID:
    """Return the hash of an object as bytes."""
    return RawObjectID(bytes.fromhex(item.id.decode()))


def read_from_pack(folder: Path, blob: Blob, max_object_bytes: int) -> bytes:
    """Return the content of an object in the only pack of a store."""
    (path,) = (folder / "pack").glob("*.pack")
    pack = open_pack(str(path.with_suffix("")), SHA1, max_object_bytes)
    try:
        return pack.get_raw(to_raw_hash(blob))[1]
    finally:
        pack.close()


def add_pack(folder: Path, items: list[UnpackedObject]) -> None:
    """Create a store with one pack of these objects and deltas."""
    store = DiskObjectStore.init(str(folder), object_format=SHA1)
    stream, commit, _ = store.add_pack()
    write_pack_data(stream.write, iter(items), num_records=len(items), object_format=SHA1)
    commit()
    store.close()


def create_delta(base: Blob, result: Blob, instructions: bytes) -> UnpackedObject:
    """Return a delta. Source: git help gitformat-pack, "Deltified representation"."""
    sizes = b"".join(encode_size(len(blob.data)) for blob in (base, result))
    delta = sizes + instructions
    raw_base, raw_result = to_raw_hash(base), to_raw_hash(result)
    return UnpackedObject(7, delta_base=raw_base, decomp_chunks=[delta], decomp_len=len(delta), sha=raw_result)


def encode_size(size: int) -> bytes:
    """Return a size of variable length, with seven bits in each byte."""
    return bytes([size & 0x7F | 0x80]) + encode_size(size >> 7) if size > 0x7F else bytes([size])


def create_whole(blob: Blob) -> UnpackedObject:
    """Return an object that is no delta."""
    return UnpackedObject(3, decomp_chunks=[blob.data], decomp_len=len(blob.data), sha=to_raw_hash(blob))


def test_large_object_is_not_unpacked(tmp_path: Path) -> None:
    """The limit is the largest size that is allowed."""
    blob = Blob.from_string(b"x" * 60_000)
    add_pack(tmp_path, [create_whole(blob)])
    assert read_from_pack(tmp_path, blob, 60_000) == blob.data
    with pytest.raises(CloneError, match="too large"):
        read_from_pack(tmp_path, blob, 59_999)


def test_large_object_of_delta_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A delta of some bytes can stand for a large object."""
    small = Blob.from_string(b"x" * 60_000)
    large = Blob.from_string(small.data * 20)
    # The instructions copy the base 20 times.
    add_pack(tmp_path, [create_whole(small), create_delta(small, large, 20 * b"\xb0\x60\xea")])
    assert read_from_pack(tmp_path, large, 1_200_000) == large.data
    # dulwich must not unpack it.
    monkeypatch.setattr("dulwich.pack.apply_delta", lambda *_: pytest.fail("the delta was applied"))
    with pytest.raises(CloneError, match="too large"):
        read_from_pack(tmp_path, large, 1_199_999)


def test_large_base_of_base_is_not_unpacked(tmp_path: Path) -> None:
    """A small object can be a delta of a delta of a large one."""
    large, middle, small = (Blob.from_string(b"x" * size) for size in (60_000, 200, 100))
    # The instructions copy the first 200 and 100 bytes of their base.
    deltas = [create_delta(large, middle, b"\x90\xc8"), create_delta(middle, small, b"\x90\x64")]
    add_pack(tmp_path, [create_whole(large), *deltas])
    assert read_from_pack(tmp_path, small, 60_000) == small.data
    with pytest.raises(CloneError, match="too large"):
        read_from_pack(tmp_path, small, 59_999)
