"""When each run began and how long it took, as a Mermaid chart that GitHub and GitLab draw.

Source: Mermaid's documentation, "Gantt diagrams", and its limit of text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from autonoma_ci.escaping import cut, one_line
from autonoma_ci.models import State
from autonoma_ci.reports.summary import sign_of
from autonoma_ci.reports.timeline import Bar, bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.models import Report

# A single run has nothing to be compared with, and a chart of more than this has no room for names.
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
_TAGS = {
    State.PASSED: "done, ",
    State.FAILED: "crit, ",
    State.STOPPED: "crit, ",
    State.STARTED: "active, ",
    State.TIMED_OUT: "active, ",
}


def timeline(report: Report) -> str:
    """Return a fenced Mermaid chart of the runs that have a duration, or nothing if those are too few or too many."""
    runs = bars(report)
    if not report.waited or not FEWEST <= len(runs) <= MOST:
        return ""
    every = [bar for found in runs for bar in found]
    span = max(bar.began + bar.seconds for bar in every)
    lines = [
        "```mermaid",
        "gantt",
        "    dateFormat YYYY-MM-DD HH:mm:ss.SSS",
        f"    axisFormat {'%M:%S' if span < 3600 else '%H:%M:%S'}",
        # Left alone, the axis of a few seconds has several ticks with the same label.
        *(["    tickInterval 1second"] if span < 10 else []),
        "    todayMarker off",
        *(_line(name, bar) for name, bar in _distinct(every)),
        "```",
    ]
    text = "\n".join(lines)
    return text if len(text) <= _SIZE_LIMIT else ""


def _name(bar: Bar) -> str:
    text = bar.label[:1000]
    kept = (c if c in _SAFE or (not c.isascii() and c.isprintable() and c not in _MARKS) else " " for c in text)
    name = cut(" ".join(one_line("".join(kept)).split()), _NAME_LIMIT) or f"run {bar.number}"
    return f"{name} (attempt {bar.attempt})" if bar.attempt else name


def _distinct(every: list[Bar]) -> Iterator[tuple[str, Bar]]:
    """Give bars of the same name a number each."""
    seen: dict[str, int] = {}
    for bar in every:
        name = _name(bar)
        count = seen[name] = seen.get(name, 0) + 1
        yield f"{name} {count}" if count > 1 else name, bar


def _line(name: str, bar: Bar) -> str:
    began = (_ZERO + timedelta(seconds=bar.began)).isoformat(" ", "milliseconds")
    length = max(1, round(bar.seconds * 1000))
    # The sign tells without colour how it ended, and keeps every name from being read as a keyword.
    sign = sign_of(bar.state, flaky=bar.flaky)
    return f"    {sign} {name} :{_TAGS.get(bar.state, '')}{began}, {length}ms"
