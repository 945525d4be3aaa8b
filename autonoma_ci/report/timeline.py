"""The runs side by side in time, as a Mermaid gantt chart, which GitHub and GitLab draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.model import State

if TYPE_CHECKING:
    from autonoma_ci.model import Outcome, Report

FEWEST, MOST = 2, 50
_LONGEST_NAME = 40
# Mermaid takes colons, semicolons, commas, hashes and percent signs for structure; what is left is text.
_UNSAFE = re.compile(r"[^\w .()/+\[\]!?-]|_")
# A name that opens with one of its words would be a statement.
_WORD = re.compile(
    r"(?:acc(?:Title|Descr)|axisFormat|click|dateFormat|excludes|gantt|inclusiveEndDates|includes|section|tickInterval"
    r"|title|todayMarker|topAxis|weekday|weekend)",
    re.IGNORECASE,
)
_TAGS = {State.FAILED: "crit, ", State.STOPPED: "crit, ", State.PASSED: "done, "}


class _Bar(NamedTuple):
    name: str
    tag: str
    began: float
    seconds: float


def timeline(report: Report) -> str:
    """Return the chart as a fenced block of Markdown; an empty text unless there are 2 to 50 runs to draw."""
    runs = [run for run in report.outcomes if run.run_id and not run.carried]
    if not report.waited or not FEWEST <= len(runs) <= MOST:
        return ""
    bars = [bar for number, run in enumerate(runs, 1) for bar in _bars(number, run)]
    origin = min(bar.began for bar in bars)
    end = max(bar.began + bar.seconds for bar in bars)
    axis = "%H:%M" if end - origin >= 3600 else "%M:%S"
    lines = ["gantt", "  dateFormat x", f"  axisFormat {axis}", "  todayMarker off"]
    for number, bar in enumerate(bars):
        since = round(1000 * (bar.began - origin))
        until = since + max(1, round(1000 * bar.seconds))
        lines.append(f"  {bar.name} :{bar.tag}b{number}, {since}, {until}")
    return "\n".join(["```mermaid", *lines, "```"])


def _bars(number: int, run: Outcome) -> list[_Bar]:
    name = _name(run.label, number)
    bars = [
        _Bar(f"{name} (attempt {place})", _TAGS[State.FAILED], old.began, old.seconds)
        for place, old in enumerate(run.earlier, 1)
    ]
    last = f"{name} (attempt {run.attempts})" if run.earlier else name
    return [*bars, _Bar(last, _TAGS.get(run.state, "active, "), run.began, run.seconds)]


def _name(label: str, number: int) -> str:
    """Return a name that Mermaid takes for nothing else; runs without a letter or a digit are numbered."""
    text = " ".join(_UNSAFE.sub(" ", label[:200]).split())[:_LONGEST_NAME].strip()
    if not any(character.isalnum() for character in text):
        return f"run {number}"
    return f"run {text}" if _WORD.match(text) or not text[0].isalnum() else text
