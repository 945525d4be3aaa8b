"""The benchmark table in the terminal, the README and the baseline."""

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
# All rows of `make bench`.
ROWS = [row for module in (starting, waiting, image) for row in vars(module).values() if isinstance(row, Row)] + [
    *waiting.DELAYS,
    *waiting.POLLS,
]


def test_columns_have_units_and_baselines() -> None:
    """Rows are aligned and have units, promises and baselines."""
    lines = table.render_text([FAST, SMALL, COUNT], {"fast": 1.2, "small": 0.9}).splitlines()
    assert [re.split(r"  +", line) for line in lines] == [
        ["what", "ours", "theirs", "ratio", "at most baseline", "how"],
        ["fast", "0.250 s", "0.200 s", "1.25 x", "1.50 x", "1.20 x", "median of 5 pairs"],
        ["small", "69.3 MiB", "75 MiB 0.925 x", "300 MiB", "0.900 x", "peak"],
        ["count", "0", "0", "-", "0", "-", "runs"],
    ]
    assert len({line.rindex(row.how) for line, row in zip(lines[1:], (FAST, SMALL, COUNT), strict=True)}) == 1


def test_fault_is_below_its_row() -> None:
    lines = table.render_text([FAST, SMALL], {"fast": 0.5}).splitlines()
    assert lines[2] == "  ^ WORSE THAN ITS BASELINE BY 150 %"
    assert lines[3].startswith("small")


def test_unmeasured_row_has_reason() -> None:
    assert table.render_text([MISSING], {}).splitlines()[1].endswith("NOT MEASURED: no engine")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_fits_120_columns(row: Row) -> None:
    heading, line = table.render_text([with_comparison(row, 999.4, 999.4)], {row.name: 99.9}).splitlines()[:2]
    assert len(line) <= 120
    assert line.index(row.how or "999") >= heading.index("how") or not row.how


def test_markdown_has_machine_and_rows() -> None:
    assert table.render_markdown([FAST, COUNT], "on a machine").splitlines() == [
        "Measured on a machine.",
        "",
        "| what | ours | theirs | ratio | at most | how |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        "| fast | 0.250 s | 0.200 s | 1.25 × | 1.50 × | median of 5 pairs |",
        "| count | 0 | 0 | - | 0 | runs |",
    ]


def test_machine_has_date_and_versions() -> None:
    assert re.fullmatch(
        r"on \d{4}-\d\d-\d\d with Python 3\.\d+\.\d+\S*, \d+ cores of .+, \w+ \S+", table.describe_machine()
    )


def test_figures_are_inserted_between_markers() -> None:
    document = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    assert table.replace_figures(document, "new") == f"before\n{table.START}\nnew\n{table.END}\nafter\n"


@pytest.mark.parametrize("document", ["nothing", table.START, table.END])
def test_document_needs_markers(document: str) -> None:
    with pytest.raises(ValueError, match="figures:start"):
        table.replace_figures(document, "new")


def test_baseline_file_has_ratios_only(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(
        table.render_baseline([table.round_ratio(row) for row in (FAST, SMALL, COUNT)], "on a machine"), "utf-8"
    )
    assert table.read_baseline(path) == {"fast": 1.25, "small": 0.925}


def test_missing_baseline_file_is_empty(tmp_path: Path) -> None:
    assert table.read_baseline(tmp_path / "baseline.toml") == {}


def test_baseline_has_every_compared_row() -> None:
    assert set(table.read_baseline()) == {row.name for row in ROWS} - {waiting.LOST.name}


def test_readme_ratios_equal_baseline() -> None:
    """One command writes both, so this test finds a manual change."""
    rows = re.findall(r"^\| (.+?) \| .+? \| .+? \| ([\d,.]+) × \|", table.README.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == {name: table.format_number(ratio) for name, ratio in table.read_baseline().items()}


def test_readme_has_every_row() -> None:
    text = table.README.read_text("utf-8").partition(table.START)[2].partition(table.END)[0]
    assert [row.name for row in ROWS if f"| {row.name} |" not in text] == []
