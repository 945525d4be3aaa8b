"""A row of the table, and what is said of it: promises are kept, and no ratio gets worse by a quarter.

A figure on a busy machine says little, and nothing on another one. So each is measured beside that of the obvious
other way, in the same run, and the ratio of the two is what is held against the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# How much worse than its baseline a ratio may be.
MAX_RATIO_GROWTH = 1.25


class Row(NamedTuple):
    """What was measured: our figure and that of the other way, in `unit`, and the ratio of ours to theirs.

    `most` is what is promised: of the ratio, or of our figure if `absolute`. `how` says how it was got; if it
    could not be had, there are no figures, and `how` says why.
    """

    name: str
    unit: str = ""
    limit: float | None = None
    absolute: bool = False
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    how: str = ""

    @property
    def is_within_limit(self) -> bool:
        """Whether the promise is kept, if there is one; what could not be had breaks none."""
        figure = self.ours if self.absolute else self.ratio
        return figure is None or self.limit is None or figure <= self.limit


def with_comparison(row: Row, ours: float, theirs: float) -> Row:
    """Return the row with both figures and their ratio."""
    return row._replace(ours=ours, theirs=theirs, ratio=ours / theirs)


def find_fault(row: Row, baseline: Mapping[str, float]) -> str:
    """Return what is wrong with a row's figures, or ""."""
    if not row.is_within_limit:
        return "the promise is not kept"
    previous_ratio = baseline.get(row.name)
    if row.ratio is not None and previous_ratio is not None and row.ratio > MAX_RATIO_GROWTH * previous_ratio:
        return f"worse than its baseline by {100 * (row.ratio / previous_ratio - 1):.0f} %"
    return ""


def find_drift(rows: Iterable[Row], baseline: Mapping[str, float]) -> list[str]:
    """Return where the rows and the baseline are not about the same: ratios without one, and entries without a row."""
    rows = list(rows)
    missing = [row.name for row in rows if row.ratio is not None and row.name not in baseline]
    # A row that could not be measured this time keeps its entry.
    names = {row.name for row in rows if row.ratio is not None or row.ours is None}
    return [f"{name}: no baseline (make baseline writes it)" for name in missing] + [
        f"{name}: a baseline without a ratio" for name in baseline if name not in names
    ]


def select_medians(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Return of each row, measured more than once, the one whose ratio is the middle one."""
    return [sorted(rows, key=lambda row: row.ratio or 0.0)[len(rows) // 2] for rows in zip(*tables, strict=True)]
