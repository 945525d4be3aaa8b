"""Print the major tag of a release, such as v1 for v1.2.3.

Prints nothing if a newer release of the same major version exists.

git tag --list | python release/major_tag.py v1.2.3
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG_RE = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)")


def find_major_tag(tag: str, tags: Iterable[str]) -> str:
    """Return the major tag that moves to `tag`, or an empty text.

    The result is empty if `tags` has a higher version of the same major. Tags of another form are ignored.

    Raises:
        ValueError: `tag` is not of the form v1.2.3.

    """
    if not _TAG_RE.fullmatch(tag):
        raise ValueError(f"{tag!r} is not of the form v1.2.3")
    version = _parse_version(tag)
    other_versions = [_parse_version(other) for other in tags if _TAG_RE.fullmatch(other)]
    return "" if any(other[0] == version[0] and other > version for other in other_versions) else f"v{version[0]}"


def _parse_version(tag: str) -> tuple[int, ...]:
    return tuple(map(int, tag.removeprefix("v").split(".")))


if __name__ == "__main__":
    print(find_major_tag(sys.argv[1], sys.stdin.read().split()))
