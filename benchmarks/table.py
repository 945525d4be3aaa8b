"""The benchmark table for terminal and documentation, and the baseline file."""

from __future__ import annotations

import os
import platform
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.row import find_limit_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.row import Row

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "benchmarks.md"
BASELINE = FOLDER / "baseline.toml"
START, END = "<!-- figures:start -->", "<!-- figures:end -->"
HEADINGS = ("what", "ours", "theirs", "ratio", "at most", "baseline", "how")
_WIDTHS = (35, 9, 9, 7, 9, 8)


def format_number(value: float | None) -> str:
    """Return a figure with three significant digits, or "-" for none."""
    if value is None:
        return "-"
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1}f}"


def format_cells(row: Row, baseline: Mapping[str, float]) -> tuple[str, ...]:
    """Return the cells of a row."""
    unit = f" {row.unit}" if row.unit else ""
    if row.ours is None:
        return (row.name, "-", "-", "-", "-", "-", f"NOT MEASURED: {row.how}")
    return (
        row.name,
        format_number(row.ours) + unit,
        format_number(row.theirs) + unit if row.theirs is not None else "-",
        _format_ratio(row.ratio),
        "-" if row.limit is None else format_number(row.limit) + unit if row.absolute else _format_ratio(row.limit),
        _format_ratio(baseline.get(row.name)),
        row.how,
    )


def _format_ratio(value: float | None) -> str:
    return "-" if value is None else f"{format_number(value)} x"


def render_text(rows: Sequence[Row], baseline: Mapping[str, float]) -> str:
    """Return the table for a terminal."""
    lines = [HEADINGS, *(format_cells(row, baseline) for row in rows)]
    output = []
    for line, row in zip(lines, [None, *rows], strict=True):
        figures = " ".join(f"{cell:>{width}}" for cell, width in zip(line[1:-1], _WIDTHS[1:], strict=True))
        output.append(f"{line[0]:<{_WIDTHS[0]}}{figures}  {line[-1]}".rstrip())
        if row and (error := find_limit_error(row, baseline)):
            output.append(f"  ^ {error.upper()}")
    return "\n".join(output)


def render_markdown(rows: Sequence[Row], machine: str) -> str:
    """Return the table of the page, with the machine above it.

    It leaves out the baseline, because its ratios are the baseline now.
    """
    headings = [heading for heading in HEADINGS if heading != "baseline"]
    lines = [f"Measured {machine}.", "", f"| {' | '.join(headings)} |", "| --- |" + " ---: |" * 4 + " --- |"]
    for row in rows:
        *figures, _, how = format_cells(row, {})
        lines.append(f"| {' | '.join([*figures, how])} |".replace(" x |", " × |"))
    return "\n".join(lines)


def describe_machine() -> str:
    """Return the date and the properties of the machine that affect figures."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split("\t: ", 1) for line in info.read_text("utf-8").splitlines() if "\t: " in line)
        model = fields.get("model name", model)
    kernel = ".".join(platform.release().split(".")[:2])
    cores = os.cpu_count()
    return (
        f"on {datetime.now(UTC).date()} with Python {platform.python_version()}, "
        f"{cores} cores of {model}, {platform.system()} {kernel}"
    )


def replace_figures(document: str, figures: str) -> str:
    """Return a document with new text between its markers.

    Raises:
        ValueError: The document has no markers.

    """
    head, start, rest = document.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise ValueError(f"there is no {START} with its {END}")
    # Without the blank lines, Python-Markdown does not render a table.
    return f"{head}{START}\n\n{figures}\n\n{END}{tail}"


def read_baseline(path: Path = BASELINE) -> dict[str, float]:
    """Return the ratio of each row in the baseline file, if any."""
    if not path.exists():
        return {}
    return {name: float(ratio) for name, ratio in tomllib.loads(path.read_text("utf-8"))["ratios"].items()}


def round_ratio(row: Row) -> Row:
    """Return the row with its ratio rounded to three digits."""
    return row if row.ratio is None else row._replace(ratio=float(f"{row.ratio:.3g}"))


def render_baseline(rows: Sequence[Row], machine: str) -> str:
    """Return the text of the baseline file.

    It holds only ratios, because times are valid for one machine.
    """
    lines = [f'"{row.name}" = {row.ratio}' for row in rows if row.ratio is not None]
    head = f"# Ours to theirs, measured {machine}.\n# Written by `make bench-baseline`."
    return "\n".join([head, "[ratios]", *lines, ""])
