"""The time line of report.html: when each run began and how long it took, as the measures of a drawing."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.escaping import cut, duration
from autonoma_ci.models import State
from autonoma_ci.reports.summary import STATE_WORDS, plural
from autonoma_ci.reports.timeline import Bar, bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.models import Report

# With more rows than this there is no room for names, and with more than that there is none for rows.
NAMED = 40
MOST = 1000
# Each has enough contrast on white and on black, so that one picture serves light, dark and paper.
GREEN, RED, AMBER, GREY = "#2e8b57", "#d64545", "#b7791f", "#767676"
_SIGNS = {State.PASSED: "✓", State.FAILED: "✗", State.STOPPED: "✗"}
_COLOURS = {State.PASSED: GREEN, State.FAILED: RED, State.STOPPED: RED}
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600)
_TICKS = 4


class Mark(NamedTuple):
    """One bar: `left` and `width` in percent, `top` and `height` in pixels."""

    left: float
    width: float
    top: int
    height: int
    colour: str
    sign: str
    label: str
    told: str


class Picture(NamedTuple):
    """The whole drawing; `height` in pixels, `ticks` are times with their place in percent, `more` is left out."""

    marks: list[Mark]
    ticks: list[tuple[float, str]]
    height: int
    told: str
    named: bool
    more: int


def picture(report: Report) -> Picture | None:
    """Return the drawing, or None if the report tells of no run that took any time."""
    runs = bars(report) if report.waited else []
    if not runs:
        return None
    every = [bar for found in runs for bar in found]
    span = max(bar.began + bar.seconds for bar in every) or 1.0
    named = len(every) <= NAMED
    row, height = (34, 10) if named else (8, 6)
    shown = every[:MOST]
    marks = [
        _mark(bar, span, place * row + (18 if named else 1), height, named=named) for place, bar in enumerate(shown)
    ]
    told = f"{plural(len(runs), 'run')} within {duration(span)}; the table below has the same times."
    return Picture(marks, list(_ticks(span)), len(shown) * row + 4, told, named, len(every) - len(shown))


def _mark(bar: Bar, span: float, top: int, height: int, *, named: bool) -> Mark:
    state = "flaky" if bar.flaky else STATE_WORDS[bar.state]
    words = [] if named else [state]
    words += [f"attempt {bar.attempt}"] if bar.attempt else []
    told = ", ".join([*words, duration(bar.seconds)])
    left = min(100.0, 100 * bar.began / span)
    width = max(0.3, min(100.0 - left, 100 * bar.seconds / span))
    colour = AMBER if bar.flaky else _COLOURS.get(bar.state, GREY)
    sign = "⚠" if bar.flaky else _SIGNS.get(bar.state, "…")
    label = cut(bar.label, 40 if named else 80)
    return Mark(round(min(left, 99.7), 3), round(width, 3), top, height, colour, sign, label, told)


def _ticks(span: float) -> Iterator[tuple[float, str]]:
    """Yield whole times with their places."""
    step = next((step for step in _STEPS if span / step <= _TICKS), span / _TICKS)
    for number in count():
        if number * step > span * 0.96:
            return
        yield round(100 * number * step / span, 3), duration(number * step) if number else "0"
