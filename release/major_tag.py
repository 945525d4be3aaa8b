"""Print the moving tag that follows a release, such as v1 for v1.2.3, or nothing if a newer release has it.

git tag --list | python release/major_tag.py v1.2.3
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)")


def moving(tag: str, tags: Iterable[str]) -> str:
    """Return the major tag of `tag`, or an empty text if `tags` has a higher version of the same major.

    Raises ValueError if `tag` is not of the form v1.2.3; other tags are passed over.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} is not of the form v1.2.3")
    new = _numbers(tag)
    others = [_numbers(other) for other in tags if _TAG.fullmatch(other)]
    return "" if any(other[0] == new[0] and other > new for other in others) else f"v{new[0]}"


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(map(int, tag.removeprefix("v").split(".")))


if __name__ == "__main__":
    print(moving(sys.argv[1], sys.stdin.read().split()))
