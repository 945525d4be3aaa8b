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
_SPAN = re.compile(r"(?:([0-9]{1,6})h)? ?(?:([0-9]{1,6})m)? ?(?:([0-9]{1,6})s)?")
_NO_DURATION = "is not a duration"
# Other ways to write a duration, in lower case: 5 minutes, 1.5h, PT10M, 00:10:00. As texts, since most steps need none,
# and to compile them takes a millisecond.
_CLOCK = r"([0-9]{1,3}):([0-5]?[0-9]):([0-5]?[0-9])"
_AMOUNT = r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*([a-z]*)\s*"
_SECONDS = {
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
}
# The unit of a number without one that follows a number with this one, as in 1h30.
_NEXT_UNIT = {3600.0: 60.0, 60.0: 1.0}
# Other ways to write a size: 30M, 1.5MB, 30 MiB, 20 megabytes.
_SIZE = r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*([kmgt])(?:ib?|b|(?:ilo|ega|iga|era)?bytes?)?"
_BYTES = {"k": 1000, "m": 1000**2, "g": 1000**3}
# In characters; what is longer is not guessed at.
_LONGEST_TEXT = 40


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
    """Return seconds from `90s`, `30m`, `2h` or `1h30m`; a unit is required.

    Raises InputError for anything else, and for less than 1 second or more than 24 hours.
    """
    found = _SPAN.fullmatch(text.lower())
    if not found or not any(found.groups()):
        raise InputError([_why_no_duration(text)])
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    length = hours * 3600 + minutes * 60 + seconds
    if not 1 <= length <= LONGEST:
        raise InputError([f"'{one_line(text, 40)}' is out of range: use 1s to 24h"])
    return length


def _why_no_duration(text: str) -> str:
    """Return what is wrong with a duration, and how to write what was probably meant."""
    shown, plain = f"'{one_line(text, 40)}'", _without_quotes(text)
    if re.fullmatch(r"[0-9]{1,9}", plain):
        number = int(plain)
        cures = [f"{number}m for minutes"] if 1 <= number * 60 <= LONGEST else []
        cures += [f"{number}s for seconds"] if 1 <= number <= LONGEST else []
        return f"{shown} has no unit: {'write ' + ' or '.join(cures) if cures else 'use 1s to 24h'}"
    if re.match(r"[-\u2212]\s*[0-9]", plain):
        return f"{shown} is negative: use 1s to 24h, such as 10m"
    meant = _seconds_meant(plain) if len(plain) <= _LONGEST_TEXT and "\n" not in plain else None
    if meant is None:
        return f"{shown} {_NO_DURATION}: write a number and a unit, such as 90s, 30m, 2h or 1h30m"
    if not 1 <= meant <= LONGEST:
        return f"{shown} is out of range: use 1s to 24h"
    if meant != int(meant):
        return f"{shown} is not in whole seconds: write {_as_duration(int(meant))}"
    return f"{shown} is not written as a duration: write {_as_duration(int(meant))}"


def _without_quotes(text: str) -> str:
    """Return the text in small letters, without white space and quotes around it."""
    return text.strip().strip("\"'`").strip().lower()


def _seconds_meant(text: str) -> float | None:
    """Return the seconds in a duration that is written in another way, or None if it is not one."""
    if clock := re.fullmatch(_CLOCK, text):
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600.0 + int(minutes) * 60 + int(seconds)
    # The form of ISO 8601.
    text = re.sub("^pt?(?=[0-9])", "", text)
    total, end = 0.0, 0
    unit: float | None = None
    for found in re.finditer(_AMOUNT, text):
        unit = _SECONDS.get(found[2]) if found[2] else _NEXT_UNIT.get(unit or 0.0)
        if found.start() != end or unit is None:
            return None
        total += float(found[1].replace(",", ".")) * unit
        end = found.end()
    # To milliseconds: 1.1 * 3600 is 3960.0000000000005.
    return round(total, 3) if end == len(text) > 0 else None


def _as_duration(seconds: int) -> str:
    """Return whole seconds as the option takes them, such as 1h30m."""
    amounts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in amounts if amount)


def interval(text: str) -> float | None:
    """Return a duration in seconds, or None for `auto`; raise InputError as `duration` does."""
    if text.lower() == "auto":
        return None
    try:
        return duration(text)
    except InputError as error:
        if _NO_DURATION not in str(error):
            raise
        raise InputError([f"{error}, or auto"]) from None


def size(text: str) -> int:
    """Return bytes from `500KB`, `30MB` or `1GB`; a thousand bytes are one KB.

    Raises InputError for anything else, and for less than 1 KB or more than 100 GB.
    """
    found = re.fullmatch(r"([0-9]{1,9}) ?([kmg])b", text.lower())
    if not found:
        raise InputError([_why_no_size(text)])
    number = int(found[1]) * _BYTES[found[2]]
    if not 1000 <= number <= LARGEST:
        raise InputError([f"'{one_line(text, 40)}' is out of range: use 1KB to 100GB"])
    return number


def _why_no_size(text: str) -> str:
    """Return what is wrong with a size, and how to write what was probably meant."""
    shown, plain = f"'{one_line(text, 40)}'", _without_quotes(text)
    if re.fullmatch(r"[0-9]{1,9}", plain):
        number = int(plain)
        cures = [f"{number}{unit}" for unit in ("MB", "KB") if 1000 <= number * _BYTES[unit[0].lower()] <= LARGEST]
        return f"{shown} has no unit: {'write ' + ' or '.join(cures) if cures else 'use 1KB to 100GB'}"
    if re.match(r"[-\u2212]\s*[0-9]", plain):
        return f"{shown} is negative: use 1KB to 100GB, such as 30MB"
    found = re.fullmatch(_SIZE, plain) if len(plain) <= _LONGEST_TEXT else None
    if not found:
        return f"{shown} is not a size: write a number and a unit, such as 500KB, 30MB or 1GB"
    meant = float(found[1].replace(",", ".")) * 1000 ** ("kmgt".index(found[2]) + 1)
    if not 1000 <= meant <= LARGEST:
        return f"{shown} is out of range: use 1KB to 100GB"
    # The largest unit that needs no fraction, rounded down to whole KB.
    number = round(meant) // 1000
    unit = next(unit for unit, size in (("GB", 1000**2), ("MB", 1000), ("KB", 1)) if number % size == 0)
    return f"{shown} is not written as a size: write {number // (_BYTES[unit[0].lower()] // 1000)}{unit}"


def shard(text: str) -> Shard:
    """Return a shard like `2/5`, or AUTO for `auto`; raise InputError for anything else."""
    if text.lower() == "auto":
        return AUTO
    shown = f"'{one_line(text, 40)}'"
    found = re.fullmatch(r"([0-9]{1,4}) ?/ ?([0-9]{1,4})", text)
    if not found:
        cure = "write the number of this job and of all jobs, such as 2/5, or auto"
        raise InputError([f"{shown} is not a shard: {cure}"])
    number, total = int(found[1]), int(found[2])
    if total == 0 or total > SHARDS_LIMIT:
        raise InputError([f"{shown}: the number of shards is out of range: use 1 to {SHARDS_LIMIT}"])
    if not 1 <= number <= total:
        why = "shards are counted from 1" if number == 0 else f"there are only {total}"
        raise InputError([f"{shown}: shard {number} does not exist, {why}: use 1/{total} to {total}/{total}"])
    return Shard(number, total)
