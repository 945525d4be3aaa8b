"""Run all measurements, compare them with the limits, and print the table.

`make bench` runs it. The exit code is 1 if a figure is over its limit. It is also 1 if a ratio is more than 25 % above
its baseline. The ratio compares the figure of autonoma-ci with that of a simple script. A row over a limit is measured
once more, and the second measurement counts.

With --write-baseline, everything is measured three times. The median ratios become the baseline, because a ratio that
was low by chance would fail later measurements. Their table is written to docs/benchmarks.md.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

from benchmarks.changed_files import measure_changed_files
from benchmarks.image import measure_image
from benchmarks.row import find_baseline_mismatches, find_limit_error, select_medians
from benchmarks.starting import measure_changed_plan, measure_manifest, measure_many_starts, measure_one_start
from benchmarks.table import (
    BASELINE,
    PAGE,
    describe_machine,
    format_number,
    read_baseline,
    render_baseline,
    render_markdown,
    render_text,
    replace_figures,
    round_ratio,
)
from benchmarks.waiting import measure_delays, measure_many_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.row import Row

BASELINE_ROUNDS = 3
MEASUREMENTS = (
    measure_one_start,
    measure_many_starts,
    measure_manifest,
    measure_changed_plan,
    measure_changed_files,
    measure_delays,
    measure_many_runs,
    measure_image,
)


def measure_with_retry(measure: Callable[[], list[Row]], baseline: Mapping[str, float]) -> tuple[list[Row], list[str]]:
    """Return a measurement's rows and notes about the repeated ones.

    Rows over a limit come from a second measurement.
    """
    rows = measure()
    if not any(find_limit_error(row, baseline) for row in rows):
        return rows, []
    repeated_rows = {row.name: row for row in measure()}
    notes = [
        f"Measured twice: {row.name}: {format_number(row.ours)} {row.unit} at first, "
        f"{format_number(row.ratio)} x: {error}."
        for row in rows
        if (error := find_limit_error(row, baseline))
    ]
    return [repeated_rows[row.name] if find_limit_error(row, baseline) else row for row in rows], notes


def write_baseline(rows: Sequence[Row]) -> None:
    """Write these rows as the baseline and as the table of the page."""
    machine_text, rows = describe_machine(), [round_ratio(row) for row in rows]
    BASELINE.write_text(render_baseline(rows, machine_text), "utf-8")
    PAGE.write_text(replace_figures(PAGE.read_text("utf-8"), render_markdown(rows, machine_text)), "utf-8")


def measure_all(baseline: Mapping[str, float]) -> tuple[list[Row], list[str]]:
    """Return all rows and notes about the repeated ones."""
    measurements = []
    # The image is measured first, so that a failed build of it ends the command at once.
    for measure in reversed(MEASUREMENTS):
        print(f"measuring: {measure.__name__.removeprefix('measure_')}", file=sys.stderr, flush=True)
        measurements.append(measure_with_retry(measure, baseline))
    rows, notes = zip(*reversed(measurements), strict=True)
    return [*chain(*rows)], [*chain(*notes)]


def main(arguments: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    is_writing = "--write-baseline" in arguments
    baseline = {} if is_writing else read_baseline()
    tables, round_notes = zip(
        *(measure_all(baseline) for _ in range(BASELINE_ROUNDS if is_writing else 1)), strict=True
    )
    rows = select_medians(tables)
    print(render_text(rows, baseline))
    notes = [*chain(*round_notes), *(f"Not measured: {row.name}: {row.how}." for row in rows if row.ours is None)]
    problems = [f"{row.name}: {error}" for row in rows if (error := find_limit_error(row, baseline))]
    if not is_writing:
        problems += find_baseline_mismatches(rows, baseline)
    elif problems or any(row.ours is None for row in rows):
        problems.append("no baseline was written: all rows must be measured and within their limits")
    else:
        write_baseline(rows)
    print("\n".join(["", *notes, *(f"WRONG: {line}" for line in problems)]).rstrip())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
