"""When each run began and how long it took, as a Mermaid chart that GitHub and GitLab draw.

Source: Mermaid's documentation, "Gantt diagrams", and its limit of text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line, truncate
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import state_emoji
from autonoma_ci.reports.timeline import TimelineBar, timeline_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.models import Report

# A single run has nothing to be compared with, and a chart of more than this has no room for names.
MIN_BARS = 2
MAX_BARS = 50
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
    RunState.PASSED: "done, ",
    RunState.FAILED: "crit, ",
    RunState.STOPPED: "crit, ",
    RunState.STARTED: "active, ",
    RunState.TIMED_OUT: "active, ",
}


def render_gantt(report: Report) -> str:
    """Return a fenced Mermaid chart of the runs that have a duration, or nothing if those are too few or too many."""
    runs = timeline_bars(report)
    if not report.waits_for_results or not MIN_BARS <= len(runs) <= MAX_BARS:
        return ""
    every = [bar for found in runs for bar in found]
    span = max(bar.start_offset_seconds + bar.duration_seconds for bar in every)
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


def _name(bar: TimelineBar) -> str:
    text = bar.label[:1000]
    kept = (c if c in _SAFE or (not c.isascii() and c.isprintable() and c not in _MARKS) else " " for c in text)
    name = truncate(" ".join(sanitize_line("".join(kept)).split()), _NAME_LIMIT) or f"run {bar.number}"
    return f"{name} (attempt {bar.attempt})" if bar.attempt else name


def _distinct(every: list[TimelineBar]) -> Iterator[tuple[str, TimelineBar]]:
    """Give bars of the same name a number each."""
    seen: dict[str, int] = {}
    for bar in every:
        name = _name(bar)
        count = seen[name] = seen.get(name, 0) + 1
        yield f"{name} {count}" if count > 1 else name, bar


def _line(name: str, bar: TimelineBar) -> str:
    began = (_ZERO + timedelta(seconds=bar.start_offset_seconds)).isoformat(" ", "milliseconds")
    length = max(1, round(bar.duration_seconds * 1000))
    # The sign tells without colour how it ended, and keeps every name from being read as a keyword.
    sign = state_emoji(bar.state, flaky=bar.is_flaky)
    return f"    {sign} {name} :{_TAGS.get(bar.state, '')}{began}, {length}ms"
