"""What is said of a figure: promises are kept, and no ratio gets worse by a quarter."""

from __future__ import annotations

import pytest

from benchmarks.row import Row, find_drift, find_fault, select_medians, with_comparison

FAST = with_comparison(Row("fast", "s", 1.5), 1.0, 1.0)
SMALL = with_comparison(Row("small", "MiB", 300.0, absolute=True), 200.0, 100.0)
MISSING = Row("missing", "s", 1.0, how="there is no engine")
COUNT = Row("count", "", 0.0, absolute=True, ours=0.0, theirs=0.0)


@pytest.mark.parametrize(("ratio", "fault"), [(1.24, ""), (1.25, ""), (1.26, "worse than its baseline by 26 %")])
def test_a_ratio_may_get_worse_by_less_than_a_quarter(ratio: float, fault: str) -> None:
    assert find_fault(with_comparison(FAST, ratio, 1.0), {"fast": 1.0}) == fault


def test_the_quarter_is_one_of_the_baseline() -> None:
    assert find_fault(with_comparison(FAST, 0.13, 1.0), {"fast": 0.1}) == "worse than its baseline by 30 %"


def test_a_ratio_that_got_better_is_no_fault() -> None:
    assert find_fault(with_comparison(FAST, 0.1, 1.0), {"fast": 1.0}) == ""


def test_a_promise_holds_however_bad_the_baseline_is() -> None:
    assert find_fault(with_comparison(FAST, 1.6, 1.0), {"fast": 1.6}) == "the promise is not kept"


def test_a_promise_of_an_absolute_figure_is_about_ours_and_not_about_the_ratio() -> None:
    assert find_fault(SMALL, {"small": 2.0}) == ""
    assert find_fault(with_comparison(SMALL, 301.0, 301.0), {"small": 2.0}) == "the promise is not kept"


def test_what_has_nothing_beside_it_is_held_to_its_promise() -> None:
    assert find_fault(COUNT, {}) == ""
    assert find_fault(COUNT._replace(ours=1.0), {}) == "the promise is not kept"


def test_what_could_not_be_measured_is_no_fault() -> None:
    assert find_fault(MISSING, {"missing": 1.0}) == ""


def test_rows_and_baseline_that_are_about_the_same_do_not_drift() -> None:
    assert find_drift([FAST, SMALL, COUNT], {"fast": 1.0, "small": 2.0}) == []


def test_a_ratio_without_a_baseline_is_told() -> None:
    assert find_drift([FAST, SMALL], {"fast": 1.0}) == ["small: no baseline (make baseline writes it)"]


def test_a_baseline_without_a_row_or_of_a_row_without_a_ratio_is_told() -> None:
    assert find_drift([FAST, COUNT], {"fast": 1.0, "gone": 1.0, "count": 1.0}) == [
        "gone: a baseline without a ratio",
        "count: a baseline without a ratio",
    ]


def test_what_could_not_be_measured_keeps_its_baseline_and_needs_none() -> None:
    assert find_drift([MISSING], {"missing": 1.0}) == []
    assert find_drift([MISSING], {}) == []


def test_of_rows_measured_three_times_the_middle_one_counts_each_for_itself() -> None:
    tables = [
        [with_comparison(FAST, fast, 1.0), with_comparison(SMALL, small, 1.0)]
        for fast, small in ((3, 8), (1, 9), (2, 7))
    ]
    assert [row.ratio for row in select_medians(tables)] == [2.0, 8.0]
