"""Limits and baselines of benchmark rows."""

from __future__ import annotations

import pytest

from benchmarks.row import Row, find_baseline_mismatches, find_limit_error, select_medians, with_comparison

FAST_ROW = with_comparison(Row("fast", "s", 1.5), 1.0, 1.0)
SMALL_ROW = with_comparison(Row("small", "MiB", 300.0, absolute=True), 200.0, 100.0)
UNMEASURED_ROW = Row("missing", "s", 1.0, how="there is no engine")
COUNT_ROW = Row("count", "", 0.0, absolute=True, ours=0.0, theirs=0.0)


@pytest.mark.parametrize(("ratio", "error"), [(1.24, ""), (1.25, ""), (1.26, "worse than its baseline by 26 %")])
def test_ratio_limit_is_quarter_worse(ratio: float, error: str) -> None:
    """A ratio up to 25 % above its baseline is no error."""
    assert find_limit_error(with_comparison(FAST_ROW, ratio, 1.0), {"fast": 1.0}) == error


def test_quarter_is_relative_to_baseline() -> None:
    """A small ratio has a small tolerance."""
    assert find_limit_error(with_comparison(FAST_ROW, 0.13, 1.0), {"fast": 0.1}) == "worse than its baseline by 30 %"


def test_better_ratio_is_no_error() -> None:
    """A ratio may be far below its baseline."""
    assert find_limit_error(with_comparison(FAST_ROW, 0.1, 1.0), {"fast": 1.0}) == ""


def test_limit_applies_with_any_baseline() -> None:
    """A row over its own limit fails, even if the baseline is as high."""
    assert find_limit_error(with_comparison(FAST_ROW, 1.6, 1.0), {"fast": 1.6}) == "over its limit"


def test_absolute_limit_ignores_ratio() -> None:
    """An absolute limit is for our figure and not for the ratio."""
    assert find_limit_error(SMALL_ROW, {"small": 2.0}) == ""
    assert find_limit_error(with_comparison(SMALL_ROW, 301.0, 301.0), {"small": 2.0}) == "over its limit"


def test_row_without_comparison_has_limit() -> None:
    """A row without a comparison has a limit too."""
    assert find_limit_error(COUNT_ROW, {}) == ""
    assert find_limit_error(COUNT_ROW._replace(ours=1.0), {}) == "over its limit"


def test_unmeasured_row_is_no_error() -> None:
    """A row that could not be measured is within its limits."""
    assert find_limit_error(UNMEASURED_ROW, {"missing": 1.0}) == ""


def test_equal_rows_do_not_drift() -> None:
    """Rows and a baseline with the same names have no drift."""
    assert find_baseline_mismatches([FAST_ROW, SMALL_ROW, COUNT_ROW], {"fast": 1.0, "small": 2.0}) == []


def test_ratio_without_baseline_is_reported() -> None:
    """A row without a baseline is named, with the command that writes it."""
    assert find_baseline_mismatches([FAST_ROW, SMALL_ROW], {"fast": 1.0}) == [
        "small: no baseline (make bench-baseline writes it)"
    ]


def test_baseline_without_ratio_is_reported() -> None:
    """A baseline needs a row that has a ratio."""
    assert find_baseline_mismatches([FAST_ROW, COUNT_ROW], {"fast": 1.0, "gone": 1.0, "count": 1.0}) == [
        "gone: a baseline without a ratio",
        "count: a baseline without a ratio",
    ]


def test_unmeasured_row_needs_no_baseline() -> None:
    """An unmeasured row can have a baseline or none."""
    assert find_baseline_mismatches([UNMEASURED_ROW], {"missing": 1.0}) == []
    assert find_baseline_mismatches([UNMEASURED_ROW], {}) == []


def test_medians_are_selected_per_row() -> None:
    """Each row has its own median of the three measurements."""
    tables = [
        [with_comparison(FAST_ROW, fast, 1.0), with_comparison(SMALL_ROW, small, 1.0)]
        for fast, small in ((3, 8), (1, 9), (2, 7))
    ]
    assert [row.ratio for row in select_medians(tables)] == [2.0, 8.0]
