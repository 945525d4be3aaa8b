"""The time line of report.html: when each run began and how long it took, as the measures of a drawing."""

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

# With more rows than this there is no room for names, and with more than that there is none for rows.
MAX_LABELED = 40
MAX_BARS = 1000
# Each has enough contrast on white and on black, so that one picture serves light, dark and paper.
GREEN, RED, AMBER, GREY = "#2e8b57", "#d64545", "#b7791f", "#767676"
_SIGNS = {RunState.PASSED: "✓", RunState.FAILED: "✗", RunState.STOPPED: "✗"}
_COLOURS = {RunState.PASSED: GREEN, RunState.FAILED: RED, RunState.STOPPED: RED}
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600)
_TICKS = 4


class ChartBar(NamedTuple):
    """One bar: `left` and `width` in percent, `top` and `height` in pixels."""

    left: float
    width: float
    top: int
    height: int
    colour: str
    sign: str
    label: str
    description: str


class TimelineChart(NamedTuple):
    """The whole drawing; `height` in pixels, `ticks` are times with their place in percent, `more` is left out."""

    bars: list[ChartBar]
    ticks: list[tuple[float, str]]
    height: int
    description: str
    labeled: bool
    more: int


def build_timeline_chart(report: Report) -> TimelineChart | None:
    """Return the drawing, or None if the report tells of no run that took any time."""
    runs = timeline_bars(report) if report.waits_for_results else []
    if not runs:
        return None
    every = [bar for found in runs for bar in found]
    span = max(bar.start_offset_seconds + bar.duration_seconds for bar in every) or 1.0
    named = len(every) <= MAX_LABELED
    row, height = (34, 10) if named else (8, 6)
    shown = every[:MAX_BARS]
    marks = [
        _mark(bar, span, place * row + (18 if named else 1), height, named=named) for place, bar in enumerate(shown)
    ]
    told = f"{pluralize(len(runs), 'run')} within {format_duration(span)}; the table below has the same times."
    return TimelineChart(marks, list(_ticks(span)), len(shown) * row + 4, told, named, len(every) - len(shown))


def _mark(bar: TimelineBar, span: float, top: int, height: int, *, named: bool) -> ChartBar:
    state = "flaky" if bar.is_flaky else STATE_LABELS[bar.state]
    words = [] if named else [state]
    words += [f"attempt {bar.attempt}"] if bar.attempt else []
    told = ", ".join([*words, format_duration(bar.duration_seconds)])
    left = min(100.0, 100 * bar.start_offset_seconds / span)
    width = max(0.3, min(100.0 - left, 100 * bar.duration_seconds / span))
    colour = AMBER if bar.is_flaky else _COLOURS.get(bar.state, GREY)
    sign = "⚠" if bar.is_flaky else _SIGNS.get(bar.state, "…")
    label = truncate(bar.label, 40 if named else 80)
    return ChartBar(round(min(left, 99.7), 3), round(width, 3), top, height, colour, sign, label, told)


def _ticks(span: float) -> Iterator[tuple[float, str]]:
    """Yield whole times with their places."""
    step = next((step for step in _STEPS if span / step <= _TICKS), span / _TICKS)
    for number in count():
        if number * step > span * 0.96:
            return
        yield round(100 * number * step / span, 3), format_duration(number * step) if number else "0"
