"""Spans of time, sizes of files, and shares of a plan, as options give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import InputError
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from autonoma_ci.model import RunRequest

# In seconds, in bytes, and in jobs.
LONGEST = 24 * 3600.0
LARGEST = 100 * 1000**3
SHARDS_LIMIT = 1000
_SPAN = re.compile(r"(?:([0-9]{1,6})h)? ?(?:([0-9]{1,6})m)? ?(?:([0-9]{1,6})s)?|([0-9]{1,6})")


class Shard(NamedTuple):
    """One of `total` equal parts of a plan, counted from 1; 0 of 0 is what the CI system says."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def share(self, runs: list[RunRequest]) -> tuple[list[RunRequest], str]:
        """Return this part of the runs, and a sentence that tells of it."""
        # One by one in turn: the parts are of one size, and tests that stand together are spread.
        part, whole = runs[self.number - 1 :: self.total], len(runs)
        if self.total == 1:
            return part, f"Shard {self} is the whole plan: this job is not one of several."
        if whole and not part:
            return part, f"Shard {self} has no runs: the whole plan has only {whole}."
        return part, f"Shard {self}: {len(part)} of the plan's {whole} run{'' if whole == 1 else 's'}."


AUTO = Shard(0, 0)


def duration(text: str) -> float:
    """Return seconds from `90s`, `30m`, `2h`, `1h30m` or a bare number of seconds.

    Raises InputError for anything else, and for less than 1 second or more than 24 hours.
    """
    found = _SPAN.fullmatch(text.lower())
    if not found or not any(found.groups()):
        raise InputError([f"'{one_line(text, 40)}' is not a duration like 90s, 30m, 2h or 1h30m"])
    hours, minutes, seconds, bare = (float(part or 0) for part in found.groups())
    length = hours * 3600 + minutes * 60 + seconds + bare
    if not 1 <= length <= LONGEST:
        raise InputError([f"'{one_line(text, 40)}' is not between 1s and 24h"])
    return length


def interval(text: str) -> float | None:
    """Return a duration in seconds, or None for `auto`; raise InputError as `duration` does."""
    return None if text.lower() == "auto" else duration(text)


def size(text: str) -> int:
    """Return bytes from `500KB`, `30MB` or `1GB`; a thousand bytes are one KB.

    Raises InputError for anything else, and for less than 1 KB or more than 100 GB.
    """
    found = re.fullmatch(r"([0-9]{1,9}) ?([kmg])b", text.lower())
    if not found:
        raise InputError([f"'{one_line(text, 40)}' is not a size like 500KB, 30MB or 1GB"])
    number = int(found[1]) * {"k": 1000, "m": 1000**2, "g": 1000**3}[found[2]]
    if not 1000 <= number <= LARGEST:
        raise InputError([f"'{one_line(text, 40)}' is not between 1KB and 100GB"])
    return number


def shard(text: str) -> Shard:
    """Return a share like `2/5`, or AUTO for `auto`; raise InputError for anything else."""
    if text.lower() == "auto":
        return AUTO
    found = re.fullmatch(r"([0-9]{1,4}) ?/ ?([0-9]{1,4})", text)
    if not found:
        raise InputError([f"'{one_line(text, 40)}' is not a share like 2/5, nor auto"])
    number, total = int(found[1]), int(found[2])
    if not 1 <= number <= total <= SHARDS_LIMIT:
        why = "shares are counted from 1" if number == 0 else f"it takes 1/1 to {SHARDS_LIMIT}/{SHARDS_LIMIT}"
        raise InputError([f"'{one_line(text, 40)}' is no share of a plan: {why}"])
    return Shard(number, total)
