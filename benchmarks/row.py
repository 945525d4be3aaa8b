"""A row of the benchmark table, and the checks of its figures.

A figure on a busy machine means little, and nothing on another machine. So each figure is measured beside that of a
simple script in the same run. The ratio of the two is compared with the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# A ratio may be up to 25 % above its baseline.
MAX_RATIO_GROWTH = 1.25


class Row(NamedTuple):
    """One measurement of autonoma-ci beside a simple script."""

    name: str
    # Unit of both figures.
    unit: str = ""
    # The maximum of the ratio, or of our figure if `absolute`.
    limit: float | None = None
    absolute: bool = False
    # The figure of autonoma-ci, or None if it could not be measured.
    ours: float | None = None
    # The figure of the script.
    theirs: float | None = None
    # `ours` to `theirs`.
    ratio: float | None = None
    # How the figures were measured, or why they are missing.
    how: str = ""

    @property
    def is_within_limit(self) -> bool:
        """Whether the figure is within its limit.

        It is true if the row has no limit or no figure.
        """
        figure = self.ours if self.absolute else self.ratio
        return figure is None or self.limit is None or figure <= self.limit


def with_comparison(row: Row, ours: float, theirs: float) -> Row:
    """Return the row with both figures and their ratio."""
    return row._replace(ours=ours, theirs=theirs, ratio=ours / theirs)


def find_limit_error(row: Row, baseline: Mapping[str, float]) -> str:
    """Return how a row's figures exceed a limit, or ""."""
    if not row.is_within_limit:
        return "over its limit"
    previous_ratio = baseline.get(row.name)
    if row.ratio is not None and previous_ratio is not None and row.ratio > MAX_RATIO_GROWTH * previous_ratio:
        return f"worse than its baseline by {100 * (row.ratio / previous_ratio - 1):.0f} %"
    return ""


def find_baseline_mismatches(rows: Iterable[Row], baseline: Mapping[str, float]) -> list[str]:
    """Return the ratios without a baseline and the baselines without a ratio."""
    rows = list(rows)
    missing = [row.name for row in rows if row.ratio is not None and row.name not in baseline]
    # The baseline of a row that could not be measured this time stays valid.
    names = {row.name for row in rows if row.ratio is not None or row.ours is None}
    return [f"{name}: no baseline (make bench-baseline writes it)" for name in missing] + [
        f"{name}: a baseline without a ratio" for name in baseline if name not in names
    ]


def select_medians(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Return each row with its median ratio from several tables."""
    return [sorted(rows, key=lambda row: row.ratio or 0.0)[len(rows) // 2] for rows in zip(*tables, strict=True)]
