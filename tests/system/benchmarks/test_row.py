"""Faults and baselines of benchmark rows."""

from __future__ import annotations

import pytest

from benchmarks.row import Row, find_drift, find_fault, select_medians, with_comparison

FAST = with_comparison(Row("fast", "s", 1.5), 1.0, 1.0)
SMALL = with_comparison(Row("small", "MiB", 300.0, absolute=True), 200.0, 100.0)
MISSING = Row("missing", "s", 1.0, how="there is no engine")
COUNT = Row("count", "", 0.0, absolute=True, ours=0.0, theirs=0.0)


@pytest.mark.parametrize(("ratio", "fault"), [(1.24, ""), (1.25, ""), (1.26, "worse than its baseline by 26 %")])
def test_ratio_limit_is_quarter_worse(ratio: float, fault: str) -> None:
    assert find_fault(with_comparison(FAST, ratio, 1.0), {"fast": 1.0}) == fault


def test_quarter_is_relative_to_baseline() -> None:
    assert find_fault(with_comparison(FAST, 0.13, 1.0), {"fast": 0.1}) == "worse than its baseline by 30 %"


def test_better_ratio_is_no_fault() -> None:
    assert find_fault(with_comparison(FAST, 0.1, 1.0), {"fast": 1.0}) == ""


def test_promise_applies_with_any_baseline() -> None:
    assert find_fault(with_comparison(FAST, 1.6, 1.0), {"fast": 1.6}) == "the promise is not kept"


def test_absolute_promise_ignores_ratio() -> None:
    """A promise with a unit limits our figure and not the ratio."""
    assert find_fault(SMALL, {"small": 2.0}) == ""
    assert find_fault(with_comparison(SMALL, 301.0, 301.0), {"small": 2.0}) == "the promise is not kept"


def test_row_without_comparison_has_promise() -> None:
    """A row without a comparison must still fulfil its promise."""
    assert find_fault(COUNT, {}) == ""
    assert find_fault(COUNT._replace(ours=1.0), {}) == "the promise is not kept"


def test_unmeasured_row_is_no_fault() -> None:
    assert find_fault(MISSING, {"missing": 1.0}) == ""


def test_equal_rows_do_not_drift() -> None:
    """Rows and a baseline with the same names have no drift."""
    assert find_drift([FAST, SMALL, COUNT], {"fast": 1.0, "small": 2.0}) == []


def test_ratio_without_baseline_is_reported() -> None:
    assert find_drift([FAST, SMALL], {"fast": 1.0}) == ["small: no baseline (make bench-baseline writes it)"]


def test_baseline_without_ratio_is_reported() -> None:
    """A baseline needs a row that has a ratio."""
    assert find_drift([FAST, COUNT], {"fast": 1.0, "gone": 1.0, "count": 1.0}) == [
        "gone: a baseline without a ratio",
        "count: a baseline without a ratio",
    ]


def test_unmeasured_row_needs_no_baseline() -> None:
    """An unmeasured row can have a baseline or none."""
    assert find_drift([MISSING], {"missing": 1.0}) == []
    assert find_drift([MISSING], {}) == []


def test_medians_are_selected_per_row() -> None:
    """Each row has its own median of the three measurements."""
    tables = [
        [with_comparison(FAST, fast, 1.0), with_comparison(SMALL, small, 1.0)]
        for fast, small in ((3, 8), (1, 9), (2, 7))
    ]
    assert [row.ratio for row in select_medians(tables)] == [2.0, 8.0]
