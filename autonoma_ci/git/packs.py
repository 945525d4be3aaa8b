"""Read the objects of a pack with dulwich, none of them larger than a limit.

dulwich unpacks an object of any size. A small object can be a delta of a large one, so all bases are limited too.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

from dulwich.pack import OFS_DELTA, REF_DELTA, Pack, PackData, load_pack_index

from autonoma_ci.git.errors import OBJECT_TOO_LARGE, CloneError

if TYPE_CHECKING:
    import mmap

    from dulwich.object_format import ObjectFormat
    from dulwich.pack import OldUnpackedObject

# In bytes, for each pack. The default of dulwich is 96 MiB.
_DELTA_CACHE_BYTES = 16 * 1024**2
# A header of a delta has two sizes of at most 10 bytes each.
_DELTA_HEADER_BYTES = 20


def open_pack(path: str, object_format: ObjectFormat, max_object_bytes: int) -> Pack:
    """Open a pack and its index.

    Args:
        path: The path without `.pack` and `.idx`.
        object_format: The kind of its hashes.
        max_object_bytes: The limit on the size of each object that is unpacked.

    """
    return Pack.from_lazy_objects(
        partial(_LimitedPackData, f"{path}.pack", object_format, max_object_bytes),
        partial(load_pack_index, f"{path}.idx", object_format),
    )


class _LimitedPackData(PackData):
    """A pack that checks the size of each object before it is unpacked."""

    def __init__(self, path: str, object_format: ObjectFormat, max_object_bytes: int) -> None:
        super().__init__(path, object_format, delta_base_cache_limit=_DELTA_CACHE_BYTES)
        self._max_object_bytes = max_object_bytes

    def get_object_at(self, offset: int) -> tuple[int, OldUnpackedObject]:
        """Return the object at an offset. dulwich calls this for each base of a delta too.

        Raises:
            CloneError: The object is too large.

        """
        if max(_read_sizes(self._buffer(), offset, self.object_format.oid_length)) > self._max_object_bytes:
            raise CloneError(OBJECT_TOO_LARGE)
        return super().get_object_at(offset)


def _read_sizes(buffer: bytes | mmap.mmap, offset: int, hash_bytes: int) -> list[int]:
    """Return the size of a packed object. For a delta, add the size of its result."""
    kind = buffer[offset] >> 4 & 7
    size, end = _read_size(buffer, offset, first_bits=4)
    if kind == REF_DELTA:
        end += hash_bytes
    elif kind == OFS_DELTA:
        _, end = _read_size(buffer, end)
    else:
        return [size]
    header = zlib.decompressobj().decompress(buffer[end : end + 2 * _DELTA_HEADER_BYTES], _DELTA_HEADER_BYTES)
    # The first size is that of the base, which is checked when dulwich reads the base.
    _, position = _read_size(header, 0)
    return [size, _read_size(header, position)[0]]


def _read_size(buffer: bytes | mmap.mmap, position: int, first_bits: int = 7) -> tuple[int, int]:
    """Return a size of variable length, and the position after it.

    Args:
        buffer: The bytes.
        position: The position of the first byte.
        first_bits: How many bits of the first byte belong to the size.

    """
    byte = buffer[position]
    size, shift = byte & (1 << first_bits) - 1, first_bits
    while byte & 0x80:
        position += 1
        byte = buffer[position]
        size |= (byte & 0x7F) << shift
        shift += 7
    return size, position + 1
