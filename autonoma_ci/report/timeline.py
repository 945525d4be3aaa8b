"""When each run began and how long it took, as a Mermaid chart that GitHub and GitLab draw."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.model import State
from autonoma_ci.report.words import has_run
from autonoma_ci.text import cut, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.model import Outcome, Report

FEWEST = 2
MOST = 50
# Mermaid draws nothing above 50,000 characters.
_SIZE_LIMIT = 45_000
_NAME_LIMIT = 40
# The axis is labelled in the reader's own time zone, so times are dates without a zone: midnight is zero
# everywhere. No zone changes its clocks on the days after this one.
_ZERO = datetime(2000, 1, 1)  # noqa: DTZ001
# Of ASCII, nothing that is grammar anywhere in Mermaid or could end the fence.
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_.()/+")
# Mermaid's own marks for entities while it reads.
_MARKS = frozenset("ﬂ°¶ß")
# The sign tells without colour how it ended, and keeps every name from being read as a keyword.
_SIGNS = {State.PASSED: "✅", State.FAILED: "❌", State.STOPPED: "⏹️", State.STARTED: "⏳", State.TIMED_OUT: "⏱️"}
_TAGS = {
    State.PASSED: "done, ",
    State.FAILED: "crit, ",
    State.STOPPED: "crit, ",
    State.STARTED: "active, ",
    State.TIMED_OUT: "active, ",
}


class _Bar(NamedTuple):
    name: str
    state: State
    began: float
    seconds: float


def timeline(report: Report) -> str:
    """Return a fenced Mermaid chart of the runs that have a duration, or nothing if those are too few or too many."""
    runs = [_run(number, outcome, report.seconds) for number, outcome in enumerate(report.outcomes, 1)]
    runs = sorted((bars for bars in runs if bars), key=lambda bars: bars[0].began)
    if not report.waited or not FEWEST <= len(runs) <= MOST:
        return ""
    every = [bar for bars in runs for bar in bars]
    zero = min(bar.began for bar in every)
    span = max(bar.began + bar.seconds for bar in every) - zero
    lines = [
        "```mermaid",
        "gantt",
        "    dateFormat YYYY-MM-DD HH:mm:ss.SSS",
        f"    axisFormat {'%M:%S' if span < 3600 else '%H:%M:%S'}",
        # Left alone, the axis of a few seconds has several ticks with the same label.
        *(["    tickInterval 1second"] if span < 10 else []),
        "    todayMarker off",
        *(_line(name, bar, zero) for name, bar in _distinct(every)),
        "```",
    ]
    text = "\n".join(lines)
    return text if len(text) <= _SIZE_LIMIT else ""


def _run(number: int, outcome: Outcome, now: float) -> list[_Bar]:
    """Return the bars of a run, earlier attempts first; none if it did not run in this step for any time."""
    going_on = outcome.state is State.STARTED
    seconds = max(outcome.seconds, now - outcome.began) if going_on else outcome.seconds
    name = _name(outcome.label) or f"run {number}"
    bars = [
        _Bar(f"{name} (attempt {attempt})", State.FAILED, run.began, run.seconds)
        for attempt, run in enumerate(outcome.earlier, 1)
    ]
    if has_run(outcome) and seconds > 0 and outcome.state not in {State.PLANNED, State.STARTING, State.NOT_STARTED}:
        bars.append(_Bar(name, outcome.state, outcome.began, seconds))
    return [] if outcome.carried else bars


def _name(text: str) -> str:
    kept = (c if c in _SAFE or (not c.isascii() and c.isprintable() and c not in _MARKS) else " " for c in text[:1000])
    return cut(" ".join(one_line("".join(kept)).split()), _NAME_LIMIT)


def _distinct(bars: list[_Bar]) -> Iterator[tuple[str, _Bar]]:
    """Give bars of the same name a number each."""
    seen: dict[str, int] = {}
    for bar in bars:
        count = seen[bar.name] = seen.get(bar.name, 0) + 1
        yield f"{bar.name} {count}" if count > 1 else bar.name, bar


def _line(name: str, bar: _Bar, zero: float) -> str:
    began = (_ZERO + timedelta(seconds=bar.began - zero)).isoformat(" ", "milliseconds")
    length = max(1, round(bar.seconds * 1000))
    return f"    {_SIGNS.get(bar.state, '❔')} {name} :{_TAGS.get(bar.state, '')}{began}, {length}ms"
