"""The summary in GitHub's Markdown: one sentence, then a table with what needs a look first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.escaping import duration, markdown, markdown_code, markdown_link
from autonoma_ci.models import Conclusion, State
from autonoma_ci.reports.mermaid import timeline
from autonoma_ci.reports.summary import (
    ENDED,
    QUIET,
    change_noun,
    continuing,
    headline,
    plural,
    sign_of,
    state_words,
    still_open,
    worst_first,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.models import Earlier, Outcome, Report, Step

# GitHub drops a step's summary above 1 MiB; the margin is for what else the step has written.
SIZE_LIMIT = 1000 * 1024
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Room for the line that counts what did not fit.
_REST = 100
_CONCLUSIONS = {
    Conclusion.STARTED: "🚀 Started",
    Conclusion.PASSED: "✅ Passed",
    Conclusion.FAILED: "❌ Failed",
    Conclusion.TIMED_OUT: "⏰ Timed out",
    Conclusion.SKIPPED: "⏭️ Skipped",
    Conclusion.ERROR: "❌ Error",
    Conclusion.CANCELLED: "🛑 Cancelled",
}


def summary(report: Report, limit: int = SIZE_LIMIT, *, chart: bool = True) -> str:
    """Return the summary, at most `limit` bytes of UTF-8; what doesn't fit is counted, and may be all of it.

    Without `chart` there is no timeline: not everything that shows Markdown draws one.
    """
    head = _head(report)
    if report.outcomes:
        head += _columns(report)
        lines = (_row(outcome, report) for outcome in worst_first(report.outcomes))
        count, noun = len(report.outcomes), "more run"
        rest = "| … and {} |" + " |" * (3 if report.waited else 2)
    else:
        lines = (f"- {markdown(problem)}" for problem in report.problems)
        count, noun, rest = len(report.problems), "more problem", "- … and {}"
    left = limit - _REST - _size(head)
    if left < 0:
        return ""
    kept: list[str] = []
    for line in lines:
        left -= _size([line])
        if left < 0:
            break
        kept.append(line)
    tail = [rest.format(plural(count - len(kept), noun))] if len(kept) < count else []
    drawn = timeline(report) if chart else ""
    chart_lines = ["", drawn] if drawn and _size(["", drawn]) <= left else []
    return "\n".join([*head, *kept, *tail, *chart_lines, ""])


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _head(report: Report) -> list[str]:
    conclusion = _CONCLUSIONS[report.verdict.conclusion] if report.verdict else "⏳ Running"
    if not report.verdict and not report.waited:
        conclusion = "⏳ Starting"
    head = [f"### {markdown(report.heading)}: {conclusion}", "", markdown(headline(report)) + _about(report), ""]
    for note in report.notes if report.outcomes else ():
        head += [markdown(note), ""]
    if report.verdict and still_open(report) and report.waited:
        head += [continuing(report), ""]
    if report.verdict and still_open(report) and report.later:
        head += [f"To wait for the results: {markdown_code(report.later)}", ""]
    return head


def _about(report: Report) -> str:
    context = report.context
    facts = []
    if context.change:
        facts.append(f"{change_noun(context.ci)} {markdown(context.change)}")
    if context.branch:
        facts.append(f"branch {markdown(context.branch)}")
    if context.sha:
        # The build's own commit stays a reference: GitHub and GitLab make a link of it.
        commit = context.sha[:12] if _COMMIT.fullmatch(context.sha) else markdown(context.sha[:12])
        facts.append(f"commit {commit}")
    if report.waited and report.verdict:
        facts.append(f"took {duration(report.seconds)}")
    return f" ({', '.join(facts)})" if facts else ""


def _columns(report: Report) -> list[str]:
    if report.waited:
        return ["| What | State | Time | Link |", "| --- | --- | --- | --- |"]
    return ["| What | State | Link |", "| --- | --- | --- |"]


def _row(outcome: Outcome, report: Report) -> str:
    request = outcome.request
    named = outcome.label != request.id
    what = markdown(outcome.label) + (f"<br>{request.kind} {markdown(request.id)}" if named else "")
    state = f"{sign_of(outcome.state, flaky=outcome.flaky)} {state_words(outcome)}"
    details = [_step(outcome.step)] if outcome.step else []
    if outcome.state not in QUIET:
        details += [markdown(text) for text in (outcome.message, outcome.hint) if text]
    details += [_earlier(place, run) for place, run in enumerate(outcome.earlier, 1)]
    cells = [what, "<br>".join([state, *details])]
    if report.waited:
        cells.append(duration(outcome.seconds) if outcome.state in ENDED and not outcome.carried else "")
    return f"| {' | '.join([*cells, _link(outcome, report.site)])} |"


def _step(step: Step) -> str:
    told = f"step {step.number}" + (f", {markdown(step.instruction, 300)}" if step.instruction else "")
    output = f"<br>{markdown(step.output, 1000)}" if step.output else ""
    page = f"<br>on {markdown_link(step.url.partition('?')[0], step.url)}" if step.url else ""
    return told + output + page


def _earlier(place: int, run: Earlier) -> str:
    link = markdown_link(run.run_id or "the run", run.url)
    return f"attempt {place} failed: {link}" + (f"<br>{_step(run.step)}" if run.step else "")


def _link(outcome: Outcome, site: str) -> str:
    if outcome.url:
        return markdown_link(outcome.run_id or "open the run", outcome.url)
    if outcome.state is State.UNKNOWN:
        return markdown_link("look here", site)
    return markdown(outcome.run_id)
