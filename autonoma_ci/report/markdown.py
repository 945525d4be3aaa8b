"""The summary in GitHub's Markdown: one sentence, then a table with what needs a look first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.model import Conclusion, State
from autonoma_ci.report.words import STATE_WORDS, headline, plural, worst_first
from autonoma_ci.text import markdown, markdown_link

if TYPE_CHECKING:
    from autonoma_ci.model import Outcome, Report

# GitHub drops a step's summary above 1 MiB; the margin is for what else the step has written.
SIZE_LIMIT = 1000 * 1024
# Room for the line that counts what did not fit.
_REST = 100
_SIGNS = {
    State.PLANNED: "⏳",
    State.STARTING: "⏳",
    State.STARTED: "🚀",
    State.NOT_STARTED: "❌",
    State.UNKNOWN: "❔",
}
_CONCLUSIONS = {
    None: "⏳ Starting",
    Conclusion.STARTED: "🚀 Started",
    Conclusion.SKIPPED: "⏭️ Skipped",
    Conclusion.ERROR: "❌ Error",
    Conclusion.CANCELLED: "🛑 Cancelled",
}


def summary(report: Report, limit: int = SIZE_LIMIT) -> str:
    """Return the summary, at most `limit` bytes of UTF-8; what doesn't fit is counted, and may be all of it."""
    conclusion = report.verdict.conclusion if report.verdict else None
    head = [
        f"### {markdown(report.title)}: {_CONCLUSIONS[conclusion]}",
        "",
        markdown(headline(report)) + _about(report),
        "",
    ]
    if report.outcomes:
        head += ["| What | State | Link |", "| --- | --- | --- |"]
        lines = (_row(outcome, report.site) for outcome in worst_first(report.outcomes))
        count, rest = len(report.outcomes), "| … and {} | | |"
    else:
        lines = (f"- {markdown(problem)}" for problem in report.problems)
        count, rest = len(report.problems), "- … and {}"
    used = sum(len(line.encode()) + 1 for line in head)
    if used > limit - _REST:
        return ""
    kept: list[str] = []
    for line in lines:
        used += len(line.encode()) + 1
        if used > limit - _REST:
            break
        kept.append(line)
    more = plural(count - len(kept), "more run" if report.outcomes else "more problem")
    tail = [rest.format(more)] if len(kept) < count else []
    return "\n".join([*head, *kept, *tail, ""])


def _about(report: Report) -> str:
    context = report.context
    facts = []
    if context.change:
        facts.append(f"change {markdown(context.change)}")
    if context.branch:
        facts.append(f"branch {markdown(context.branch)}")
    if context.sha:
        facts.append(f"commit {markdown(context.sha[:12])}")
    return f" ({', '.join(facts)})" if facts else ""


def _row(outcome: Outcome, site: str) -> str:
    request = outcome.request
    what = markdown(request.label) + (f"<br>{request.kind} {markdown(request.id)}" if request.name else "")
    state = f"{_SIGNS[outcome.state]} {STATE_WORDS[outcome.state]}"
    if outcome.state in {State.NOT_STARTED, State.UNKNOWN}:
        details = [markdown(text) for text in (outcome.message, outcome.hint) if text]
        state = "<br>".join([state, *details])
    if outcome.url:
        link = markdown_link(outcome.run_id or "open the run", outcome.url)
    elif outcome.state is State.UNKNOWN:
        link = markdown_link("look here", site)
    else:
        link = markdown(outcome.run_id)
    return f"| {what} | {state} | {link} |"
