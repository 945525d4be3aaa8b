"""What is promised about speed and size, measured beside the obvious other ways in one run; `make bench` runs it.

Exit code 1 if a promise is not kept, or if a ratio of ours to theirs got worse by a quarter. What fails is measured
once more before it counts. With --write-baseline everything is measured three times, the middle ratios become the
baseline, since one that was low by luck would fail what comes after it, and their table goes into the README.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

from benchmarks.image import image
from benchmarks.row import drift_of, fault_of, middle_of
from benchmarks.starting import manifest, many, one
from benchmarks.table import (
    BASELINE,
    README,
    baseline_file,
    machine,
    markdown,
    number,
    read_baseline,
    rounded,
    text,
    with_figures,
)
from benchmarks.waiting import delays, thousand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.row import Row

ROUNDS = 3
MEASUREMENTS = (one, many, manifest, delays, thousand, image)


def measured(measure: Callable[[], list[Row]], baseline: Mapping[str, float]) -> tuple[list[Row], list[str]]:
    """Return the rows of a measurement, those with a fault from a second one, and what is to be said of that."""
    rows = measure()
    if not any(fault_of(row, baseline) for row in rows):
        return rows, []
    second = {row.name: row for row in measure()}
    told = [
        f"Measured twice: {row.name}: {number(row.ours)} {row.unit} at first, {number(row.ratio)} x: {fault}."
        for row in rows
        if (fault := fault_of(row, baseline))
    ]
    return [second[row.name] if fault_of(row, baseline) else row for row in rows], told


def write(rows: Sequence[Row]) -> None:
    """Let these rows be the baseline and the README's table."""
    day, rows = machine(), [rounded(row) for row in rows]
    BASELINE.write_text(baseline_file(rows, day), "utf-8")
    README.write_text(with_figures(README.read_text("utf-8"), markdown(rows, day)), "utf-8")


def all_measured(baseline: Mapping[str, float]) -> tuple[list[Row], list[str]]:
    """Return all rows, and what is to be said of those that were measured twice."""
    found = []
    # The image first: if it can't be built, that is told at once.
    for measure in reversed(MEASUREMENTS):
        print(f"measuring: {measure.__name__}", file=sys.stderr, flush=True)
        found.append(measured(measure, baseline))
    rows, told = zip(*reversed(found), strict=True)
    return [*chain(*rows)], [*chain(*told)]


def main(arguments: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    writing = "--write-baseline" in arguments
    baseline = {} if writing else read_baseline()
    tables, told = zip(*(all_measured(baseline) for _ in range(ROUNDS if writing else 1)), strict=True)
    rows = middle_of(tables)
    print(text(rows, baseline))
    notes = [*chain(*told), *(f"Not measured: {row.name}: {row.how}." for row in rows if row.ours is None)]
    wrong = [f"{row.name}: {fault}" for row in rows if (fault := fault_of(row, baseline))]
    if not writing:
        wrong += drift_of(rows, baseline)
    elif wrong or any(row.ours is None for row in rows):
        wrong.append("no baseline was written: it takes every row, and every promise kept")
    else:
        write(rows)
    print("\n".join(["", *notes, *(f"WRONG: {line}" for line in wrong)]).rstrip())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
