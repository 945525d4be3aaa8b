"""Render the start and duration of each run as Mermaid chart.

GitHub and GitLab draw such charts in Markdown.

Source: Mermaid's documentation, "Gantt diagrams", and its limit of text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line, truncate
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import RunCategory, state_emoji
from autonoma_ci.reports.timeline import TimelineBar, timeline_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.models import Report

# In runs. A chart of one run compares nothing. A chart of more than 50 has no space for names.
MIN_BARS = 2
MAX_BARS = 50
# Mermaid refuses a chart of more than 50,000 characters.
_MAX_CHART_CHARS = 45_000
_MAX_NAME_CHARS = 40
# Mermaid labels the axis in the reader's time zone. So times are dates without a zone, and midnight is zero everywhere.
# No time zone changes its clocks on the days after this one.
_ZERO = datetime(2000, 1, 1)  # noqa: DTZ001
# The ASCII characters that have no meaning in Mermaid's grammar and can't end the fence.
_SAFE_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_.()/+")
# Mermaid replaces entities by these characters while it parses.
_ENTITY_MARKS = frozenset("ﬂ°¶ß")
_TAGS = {
    RunState.PASSED: "done, ",
    RunState.FAILED: "crit, ",
    RunState.STOPPED: "crit, ",
    RunState.STARTED: "active, ",
    RunState.TIMED_OUT: "active, ",
}


def render_gantt(report: Report) -> str:
    """Return a fenced Mermaid chart of the runs that have a duration.

    The text is empty if these runs are fewer than `MIN_BARS` or more than `MAX_BARS`.
    """
    runs = timeline_bars(report)
    if not report.waits_for_results or not MIN_BARS <= len(runs) <= MAX_BARS:
        return ""
    all_bars = [bar for run_bars in runs for bar in run_bars]
    span_seconds = max(bar.start_offset_seconds + bar.duration_seconds for bar in all_bars)
    lines = [
        "```mermaid",
        "gantt",
        "    dateFormat YYYY-MM-DD HH:mm:ss.SSS",
        f"    axisFormat {'%M:%S' if span_seconds < 3600 else '%H:%M:%S'}",
        # By default, the axis of a few seconds has several ticks with the same label.
        *(["    tickInterval 1second"] if span_seconds < 10 else []),
        "    todayMarker off",
        *(_render_bar(name, bar) for name, bar in _add_distinct_names(all_bars)),
        "```",
    ]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_CHART_CHARS else ""


def _build_name(bar: TimelineBar) -> str:
    text = bar.label[:1000]
    safe = (
        c if c in _SAFE_CHARS or (not c.isascii() and c.isprintable() and c not in _ENTITY_MARKS) else " " for c in text
    )
    name = truncate(" ".join(sanitize_line("".join(safe)).split()), _MAX_NAME_CHARS) or f"run {bar.number}"
    return f"{name} (attempt {bar.attempt})" if bar.attempt else name


def _add_distinct_names(bars: list[TimelineBar]) -> Iterator[tuple[str, TimelineBar]]:
    """Yield each bar with a name, and number repeated names."""
    counts: dict[str, int] = {}
    for bar in bars:
        name = _build_name(bar)
        count = counts[name] = counts.get(name, 0) + 1
        yield f"{name} {count}" if count > 1 else name, bar


def _render_bar(name: str, bar: TimelineBar) -> str:
    start = (_ZERO + timedelta(seconds=bar.start_offset_seconds)).isoformat(" ", "milliseconds")
    milliseconds = max(1, round(bar.duration_seconds * 1000))
    # The emoji shows the state without colour. It also prevents Mermaid from reading a name as a keyword.
    emoji = state_emoji(bar.state, bar.category)
    # Mermaid draws a task without a tag in a neutral colour.
    tag = "" if bar.category is RunCategory.QUARANTINED else _TAGS.get(bar.state, "")
    return f"    {emoji} {name} :{tag}{start}, {milliseconds}ms"
