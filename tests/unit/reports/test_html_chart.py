"""Tests of the timeline chart of report.html."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.models import RunState
from autonoma_ci.reports.html_chart import (
    AMBER,
    GREEN,
    GREY,
    MAX_BARS,
    MAX_LABELED,
    RED,
    TimelineChart,
    build_timeline_chart,
)
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult


def draw_chart(*runs: RunResult, seconds: float = 100.0) -> TimelineChart:
    """Return the chart of a step that waits for these runs."""
    run_report = create_report(runs, FAILED_VERDICT)._replace(waits_for_results=True, duration_seconds=seconds)
    chart = build_timeline_chart(run_report)
    assert chart
    return chart


def get_bars(*runs: RunResult) -> list[tuple[float, float, str, str]]:
    return [(bar.left, bar.width, bar.symbol, bar.label) for bar in draw_chart(*runs).bars]


def test_chart_has_bar_per_attempt() -> None:
    """Each run and attempt is a bar at its time."""
    first = make_passed_run("a", "First", 50.0)
    second = make_passed_run("b", "Second", 50.0)._replace(start_offset_seconds=50.0)
    assert get_bars(first, second) == [(0.0, 50.0, "✓", "First"), (50.0, 50.0, "✓", "Second")]
    flaky_bars = get_bars(make_flaky_run("c"))
    assert [bar[2] for bar in flaky_bars] == ["✗", "⚠"]


@pytest.mark.parametrize(
    ("run", "colour", "symbol"),
    [
        (make_passed_run("a"), GREEN, "✓"),
        (make_failed_run("a"), RED, "✗"),
        (make_passed_run("a")._replace(state=RunState.STOPPED), RED, "✗"),
        (make_timed_out_run("a"), GREY, "…"),
        (make_started_run("a"), GREY, "…"),
        (make_passed_run("a")._replace(state=RunState.UNKNOWN), GREY, "…"),
    ],
)
def test_bar_has_colour_and_symbol(run: RunResult, colour: str, symbol: str) -> None:
    """The result of a run is visible with and without colours."""
    [bar] = draw_chart(run).bars
    assert (bar.colour, bar.symbol) == (colour, symbol)


def test_flaky_run_has_red_and_amber_bar() -> None:
    """The failed attempt and the passed retry of a flaky run differ."""
    assert [bar.colour for bar in draw_chart(make_flaky_run("a")).bars] == [RED, AMBER]


def test_bars_stay_inside_chart() -> None:
    """Each bar begins and ends within the width of the chart."""
    runs = [make_passed_run(f"t{n}", seconds=n / 7)._replace(start_offset_seconds=n * 1.3) for n in range(60)]
    for left, width, *_ in get_bars(*runs):
        assert 0 <= left <= 100
        assert width > 0
        assert left + width <= 100.01


def test_short_bar_at_end_is_visible() -> None:
    """A bar that is too short for the screen has a least width, at the right end too."""
    short_run = make_passed_run("b", seconds=0.001)._replace(start_offset_seconds=1000.0)
    last_bar = get_bars(make_passed_run("a", seconds=10.0), short_run)[1]
    assert last_bar[:2] == (99.7, 0.3)


@pytest.mark.parametrize("count", [2, MAX_LABELED, MAX_LABELED + 1])
def test_rows_are_apart(count: int) -> None:
    """Bars do not overlap, and the last one ends above the end of the chart."""
    chart = draw_chart(*[make_passed_run(f"t{n}") for n in range(count)])
    assert all(upper.top + upper.height < lower.top for upper, lower in pairwise(chart.bars))
    assert chart.bars[0].top >= 0
    assert chart.bars[-1].top + chart.bars[-1].height <= chart.height


def test_chart_is_omitted_without_durations() -> None:
    """Runs without a duration have no chart."""
    assert (
        build_timeline_chart(
            create_report([make_planned_run("a"), make_rejected_run("b")], FAILED_VERDICT)._replace(
                waits_for_results=True
            )
        )
        is None
    )
    assert build_timeline_chart(create_report([make_started_run("a")])) is None
    assert (
        build_timeline_chart(
            create_report([make_passed_run("a")._replace(reused=True)], PASSED_VERDICT)._replace(waits_for_results=True)
        )
        is None
    )


def test_step_that_only_starts_has_no_chart() -> None:
    """Without a wait for results, the durations are those of the start requests."""
    run_report = create_report([make_passed_run("a"), make_passed_run("b")], PASSED_VERDICT)
    assert build_timeline_chart(run_report) is None
    assert build_timeline_chart(run_report._replace(waits_for_results=True))


@pytest.mark.parametrize(
    ("count", "has_labels", "bar_count", "omitted_count"),
    [
        (MAX_LABELED, True, MAX_LABELED, 0),
        (MAX_LABELED + 1, False, MAX_LABELED + 1, 0),
        (MAX_BARS, False, MAX_BARS, 0),
        (MAX_BARS + 1, False, MAX_BARS, 1),
        (MAX_BARS + 5, False, MAX_BARS, 5),
    ],
)
def test_chart_limits_labels_and_bars(count: int, has_labels: bool, bar_count: int, omitted_count: int) -> None:
    """Labels are left out above one limit, and bars above another."""
    chart = draw_chart(*[make_passed_run(f"t{n}") for n in range(count)])
    assert (chart.has_labels, len(chart.bars), chart.omitted_count) == (has_labels, bar_count, omitted_count)


def test_attempts_count_for_label_limit() -> None:
    """Each attempt needs a row, so it counts like a run."""
    assert draw_chart(*[make_flaky_run(f"t{n}") for n in range(MAX_LABELED // 2)]).has_labels
    assert not draw_chart(*[make_flaky_run(f"t{n}") for n in range(MAX_LABELED // 2)], make_passed_run("a")).has_labels


@pytest.mark.parametrize(("other_count", "limit"), [(0, 40), (MAX_LABELED, 80)])
def test_long_label_is_cut(other_count: int, limit: int) -> None:
    """A label is longer where it is only shown for the bar under the pointer."""
    runs = [make_passed_run("a", "x" * 500), *(make_passed_run(f"t{n}") for n in range(other_count))]
    assert draw_chart(*runs).bars[0].label == "x" * (limit - 1) + "…"


def test_description_of_bar_without_label() -> None:
    """Without labels, the description of a bar names the state too."""
    assert [bar.description for bar in draw_chart(make_flaky_run("a")).bars] == ["attempt 1, 30 s", "42 s"]
    many_bars_chart = draw_chart(make_flaky_run("a"), *(make_passed_run(f"t{n}") for n in range(MAX_LABELED)))
    descriptions = {bar.description for bar in many_bars_chart.bars}
    assert descriptions == {"failed, attempt 1, 30 s", "flaky, 42 s", "passed, 42 s"}


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([make_passed_run("a", seconds=65.0)], "1 run within 1 min 5 s; the table below has the same times."),
        ([make_flaky_run("a"), make_flaky_run("b")], "2 runs within 1 min 13 s; the table below has the same times."),
    ],
)
def test_description_counts_runs(runs: list[RunResult], text: str) -> None:
    """The description counts runs and not attempts."""
    assert draw_chart(*runs).description == text


@pytest.mark.parametrize("seconds", [0.001, 0.4, 3.0, 59.0, 61.0, 1800.0, 86_000.0, 900_000.0])
def test_axis_has_few_round_ticks(seconds: float) -> None:
    """The axis begins at 0 and has at most six ticks."""
    chart = draw_chart(make_passed_run("a", seconds=seconds))
    assert 1 <= len(chart.ticks) <= 6
    assert chart.ticks[0] == (0.0, "0")
    assert all(0 <= left < 97 for left, _ in chart.ticks)


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (0.5, [(0.0, "0")]),
        (4.0, [(0.0, "0"), (25.0, "1.0 s"), (50.0, "2.0 s"), (75.0, "3.0 s")]),
        (4.1, [(0.0, "0"), (48.78, "2.0 s")]),
        (42.0, [(0.0, "0"), (35.714, "15 s"), (71.429, "30 s")]),
        (7200.0, [(0.0, "0"), (25.0, "30 min"), (50.0, "1 h"), (75.0, "1 h 30 min")]),
        (345_601.0, [(0.0, "0"), (25.0, "24 h"), (50.0, "48 h"), (75.0, "72 h")]),
    ],
)
def test_ticks_have_round_times(seconds: float, ticks: list[tuple[float, str]]) -> None:
    """The distance of the ticks is a time that readers expect on a clock."""
    assert draw_chart(make_passed_run("a", seconds=seconds)).ticks == ticks


def test_attempt_without_duration_is_drawn() -> None:
    """A chart of attempts that took no time has a valid scale."""
    attempt = make_flaky_run("a").previous_attempts[0]._replace(duration_seconds=0.0)
    chart = draw_chart(make_rejected_run("a")._replace(previous_attempts=(attempt,)))
    assert [(bar.left, bar.width, bar.description) for bar in chart.bars] == [(0.0, 0.3, "attempt 1, 0.0 s")]
    assert chart.ticks == [(0.0, "0")]
