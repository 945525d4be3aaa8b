"""The table of the benchmarks: in a terminal, in the README, and as the baseline's file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from benchmarks import image, starting, table, waiting
from benchmarks.row import Row, with_comparison

if TYPE_CHECKING:
    from pathlib import Path

FAST = with_comparison(Row("fast", "s", 1.5, how="median of 5 pairs"), 0.25, 0.2)
SMALL = with_comparison(Row("small", "MiB", 300.0, absolute=True, how="peak"), 69.34, 75.0)
COUNT = Row("count", "", 0.0, absolute=True, ours=0.0, theirs=0.0, how="runs")
MISSING = Row("missing", "s", 1.0, how="no engine")
# Every row that `make bench` prints.
ROWS = [row for module in (starting, waiting, image) for row in vars(module).values() if isinstance(row, Row)] + [
    *waiting.DELAYS,
    *waiting.POLLS,
]


def test_figures_stand_in_columns_with_their_units_promises_and_baselines() -> None:
    lines = table.render_text([FAST, SMALL, COUNT], {"fast": 1.2, "small": 0.9}).splitlines()
    assert [re.split(r"  +", line) for line in lines] == [
        ["what", "ours", "theirs", "ratio", "at most baseline", "how"],
        ["fast", "0.250 s", "0.200 s", "1.25 x", "1.50 x", "1.20 x", "median of 5 pairs"],
        ["small", "69.3 MiB", "75 MiB 0.925 x", "300 MiB", "0.900 x", "peak"],
        ["count", "0", "0", "-", "0", "-", "runs"],
    ]
    assert len({line.rindex(row.how) for line, row in zip(lines[1:], (FAST, SMALL, COUNT), strict=True)}) == 1


def test_a_fault_stands_below_its_row() -> None:
    lines = table.render_text([FAST, SMALL], {"fast": 0.5}).splitlines()
    assert lines[2] == "  ^ WORSE THAN ITS BASELINE BY 150 %"
    assert lines[3].startswith("small")


def test_a_row_that_could_not_be_measured_says_why() -> None:
    assert table.render_text([MISSING], {}).splitlines()[1].endswith("NOT MEASURED: no engine")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_fits_into_a_terminal_of_120_columns(row: Row) -> None:
    heading, line = table.render_text([with_comparison(row, 999.4, 999.4)], {row.name: 99.9}).splitlines()[:2]
    assert len(line) <= 120
    assert line.index(row.how or "999") >= heading.index("how") or not row.how


def test_the_readme_gets_the_machine_and_every_row() -> None:
    assert table.render_markdown([FAST, COUNT], "on a machine").splitlines() == [
        "Measured on a machine.",
        "",
        "| what | ours | theirs | ratio | at most | how |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        "| fast | 0.250 s | 0.200 s | 1.25 × | 1.50 × | median of 5 pairs |",
        "| count | 0 | 0 | - | 0 | runs |",
    ]


def test_the_machine_is_told_by_day_processor_python_and_kernel() -> None:
    assert re.fullmatch(
        r"on \d{4}-\d\d-\d\d with Python 3\.\d+\.\d+\S*, \d+ cores of .+, \w+ \S+", table.describe_machine()
    )


def test_figures_replace_what_was_between_the_markers_and_nothing_else() -> None:
    document = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    assert table.replace_figures(document, "new") == f"before\n{table.START}\nnew\n{table.END}\nafter\n"


@pytest.mark.parametrize("document", ["nothing", table.START, table.END])
def test_a_document_without_markers_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="figures:start"):
        table.replace_figures(document, "new")


def test_a_baseline_is_read_as_it_was_written_with_ratios_alone(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(
        table.render_baseline([table.round_ratio(row) for row in (FAST, SMALL, COUNT)], "on a machine"), "utf-8"
    )
    assert table.read_baseline(path) == {"fast": 1.25, "small": 0.925}


def test_without_a_file_there_is_no_baseline(tmp_path: Path) -> None:
    assert table.read_baseline(tmp_path / "baseline.toml") == {}


def test_the_baseline_has_every_row_that_is_compared() -> None:
    assert set(table.read_baseline()) == {row.name for row in ROWS} - {waiting.LOST.name}


def test_the_readme_s_ratios_are_those_of_the_baseline() -> None:
    """Both are written by one command: a figure that was mended by hand shows."""
    rows = re.findall(r"^\| (.+?) \| .+? \| .+? \| ([\d,.]+) × \|", table.README.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == {name: table.format_number(ratio) for name, ratio in table.read_baseline().items()}


def test_the_readme_has_the_figures_of_every_row() -> None:
    text = table.README.read_text("utf-8").partition(table.START)[2].partition(table.END)[0]
    assert [row.name for row in ROWS if f"| {row.name} |" not in text] == []
