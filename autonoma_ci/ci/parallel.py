"""Which of several parallel jobs this one is: systems count from 0 or from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import reader
from autonoma_ci.spans import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ALONE = Shard(1, 1)


def parallel(index: str, total: str, first: int) -> Callable[[Mapping[str, str]], Shard | None]:
    """Return what reads the job's place from these variables; `first` is the number of the first job."""

    def read(environ: Mapping[str, str]) -> Shard | None:
        get = reader(environ)
        return place(get(index), get(total), first)

    return read


def place(index: str, total: str, first: int) -> Shard | None:
    """Return the place that two numbers say, counted from 1: 1/1 where there is none, None where it makes no sense.

    A job that took nonsense for 1/1 would start the whole plan, and so would each of its siblings.
    """
    if not total or total == "1":
        return ALONE
    if not (index.isascii() and index.isdigit() and total.isascii() and total.isdigit() and len(index + total) < 12):
        return None
    found = Shard(int(index) - first + 1, int(total))
    return found if 1 <= found.number <= found.total else None
