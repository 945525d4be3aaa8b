"""Compute the timeline chart of report.html.

The chart shows when each run started and its duration. The template draws it as SVG.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.escaping import format_duration, truncate
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import STATE_LABELS, pluralize
from autonoma_ci.reports.timeline import TimelineBar, timeline_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.models import Report

# In rows. Above the first limit the chart has no labels, above the second it omits rows.
MAX_LABELED = 40
MAX_BARS = 1000
# Each colour has enough contrast on white and on black, so one chart is enough for light, dark and print.
GREEN, RED, AMBER, GREY = "#2e8b57", "#d64545", "#b7791f", "#767676"
_SYMBOLS = {RunState.PASSED: "✓", RunState.FAILED: "✗", RunState.STOPPED: "✗"}
_COLOURS = {RunState.PASSED: GREEN, RunState.FAILED: RED, RunState.STOPPED: RED}
# In seconds. The distance between two ticks is the first of these with at most `_MAX_TICKS` ticks.
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600)
_MAX_TICKS = 4


class ChartBar(NamedTuple):
    """One bar of the chart."""

    # In percent of the chart's width.
    left: float
    width: float
    # In pixels.
    top: int
    height: int
    colour: str
    symbol: str
    label: str
    description: str


class TimelineChart(NamedTuple):
    """The geometry and the texts of the chart."""

    bars: list[ChartBar]
    # The position of each tick in percent, and its label.
    ticks: list[tuple[float, str]]
    # In pixels.
    height: int
    description: str
    has_labels: bool
    # The number of bars that are not drawn.
    omitted_count: int


def build_timeline_chart(report: Report) -> TimelineChart | None:
    """Return the chart, or None if no run has a duration."""
    runs = timeline_bars(report) if report.waits_for_results else []
    if not runs:
        return None
    all_bars = [bar for run_bars in runs for bar in run_bars]
    span_seconds = max(bar.start_offset_seconds + bar.duration_seconds for bar in all_bars) or 1.0
    has_labels = len(all_bars) <= MAX_LABELED
    row_height, bar_height = (34, 10) if has_labels else (8, 6)
    drawn_bars = all_bars[:MAX_BARS]
    chart_bars = [
        _build_bar(bar, span_seconds, row * row_height + (18 if has_labels else 1), bar_height, has_label=has_labels)
        for row, bar in enumerate(drawn_bars)
    ]
    description = (
        f"{pluralize(len(runs), 'run')} within {format_duration(span_seconds)}; the table below has the same times."
    )
    return TimelineChart(
        chart_bars,
        list(_build_ticks(span_seconds)),
        len(drawn_bars) * row_height + 4,
        description,
        has_labels,
        len(all_bars) - len(drawn_bars),
    )


def _build_bar(bar: TimelineBar, span_seconds: float, top: int, height: int, *, has_label: bool) -> ChartBar:
    state = "flaky" if bar.is_flaky else STATE_LABELS[bar.state]
    parts = [] if has_label else [state]
    parts += [f"attempt {bar.attempt}"] if bar.attempt else []
    description = ", ".join([*parts, format_duration(bar.duration_seconds)])
    left = min(100.0, 100 * bar.start_offset_seconds / span_seconds)
    width = max(0.3, min(100.0 - left, 100 * bar.duration_seconds / span_seconds))
    colour = AMBER if bar.is_flaky else _COLOURS.get(bar.state, GREY)
    symbol = "⚠" if bar.is_flaky else _SYMBOLS.get(bar.state, "…")
    label = truncate(bar.label, 40 if has_label else 80)
    return ChartBar(round(min(left, 99.7), 3), round(width, 3), top, height, colour, symbol, label, description)


def _build_ticks(span_seconds: float) -> Iterator[tuple[float, str]]:
    """Yield the position of each tick in percent, and its label."""
    distance = next(
        (seconds for seconds in _TICK_SECONDS if span_seconds / seconds <= _MAX_TICKS), span_seconds / _MAX_TICKS
    )
    for number in count():
        if number * distance > span_seconds * 0.96:
            return
        yield round(100 * number * distance / span_seconds, 3), format_duration(number * distance) if number else "0"
