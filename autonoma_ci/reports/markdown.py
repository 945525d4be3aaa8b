"""The summary in GitHub's Markdown: one sentence, then a table with what needs a look first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.escaping import escape_markdown, format_duration, markdown_code_span, markdown_link
from autonoma_ci.models import Conclusion, RunState
from autonoma_ci.reports.mermaid import render_gantt
from autonoma_ci.reports.summary import (
    ENDED_STATES,
    NO_MESSAGE_STATES,
    change_noun,
    format_headline,
    has_open_runs,
    pluralize,
    resume_hint,
    sort_by_severity,
    state_emoji,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.models import PreviousAttempt, Report, RunResult, RunStep

# GitHub drops a step's summary above 1 MiB; the margin is for what else the step has written.
MAX_SUMMARY_BYTES = 1000 * 1024
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Room for the line that counts what did not fit.
_TRUNCATION_RESERVE = 100
_CONCLUSIONS = {
    Conclusion.STARTED: "🚀 Started",
    Conclusion.PASSED: "✅ Passed",
    Conclusion.FAILED: "❌ Failed",
    Conclusion.TIMED_OUT: "⏰ Timed out",
    Conclusion.SKIPPED: "⏭️ Skipped",
    Conclusion.ERROR: "❌ Error",
    Conclusion.CANCELLED: "🛑 Cancelled",
}


def render_summary(report: Report, limit: int = MAX_SUMMARY_BYTES, *, chart: bool = True) -> str:
    """Return the summary, at most `limit` bytes of UTF-8; what doesn't fit is counted, and may be all of it.

    Without `chart` there is no timeline: not everything that shows Markdown draws one.
    """
    head = _head(report)
    if report.results:
        head += _columns(report)
        lines = (_row(outcome, report) for outcome in sort_by_severity(report.results))
        count, noun = len(report.results), "more run"
        rest = "| … and {} |" + " |" * (3 if report.waits_for_results else 2)
    else:
        lines = (f"- {escape_markdown(problem)}" for problem in report.input_errors)
        count, noun, rest = len(report.input_errors), "more problem", "- … and {}"
    left = limit - _TRUNCATION_RESERVE - _size(head)
    if left < 0:
        return ""
    kept: list[str] = []
    for line in lines:
        left -= _size([line])
        if left < 0:
            break
        kept.append(line)
    tail = [rest.format(pluralize(count - len(kept), noun))] if len(kept) < count else []
    drawn = render_gantt(report) if chart else ""
    chart_lines = ["", drawn] if drawn and _size(["", drawn]) <= left else []
    return "\n".join([*head, *kept, *tail, *chart_lines, ""])


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _head(report: Report) -> list[str]:
    conclusion = _CONCLUSIONS[report.verdict.conclusion] if report.verdict else "⏳ Running"
    if not report.verdict and not report.waits_for_results:
        conclusion = "⏳ Starting"
    head = [
        f"### {escape_markdown(report.heading)}: {conclusion}",
        "",
        escape_markdown(format_headline(report)) + _about(report),
        "",
    ]
    for note in report.plan_notes if report.results else ():
        head += [escape_markdown(note), ""]
    if report.verdict and has_open_runs(report) and report.waits_for_results:
        head += [resume_hint(report), ""]
    if report.verdict and has_open_runs(report) and report.resume_command:
        head += [f"To wait for the results: {markdown_code_span(report.resume_command)}", ""]
    return head


def _about(report: Report) -> str:
    context = report.context
    facts = []
    if context.change_number:
        facts.append(f"{change_noun(context.ci_name)} {escape_markdown(context.change_number)}")
    if context.branch:
        facts.append(f"branch {escape_markdown(context.branch)}")
    if context.sha:
        # The build's own commit stays a reference: GitHub and GitLab make a link of it.
        commit = context.sha[:12] if _COMMIT.fullmatch(context.sha) else escape_markdown(context.sha[:12])
        facts.append(f"commit {commit}")
    if report.waits_for_results and report.verdict:
        facts.append(f"took {format_duration(report.duration_seconds)}")
    return f" ({', '.join(facts)})" if facts else ""


def _columns(report: Report) -> list[str]:
    if report.waits_for_results:
        return ["| What | State | Time | Link |", "| --- | --- | --- | --- |"]
    return ["| What | State | Link |", "| --- | --- | --- |"]


def _row(outcome: RunResult, report: Report) -> str:
    request = outcome.request
    named = outcome.display_name != request.id
    what = escape_markdown(outcome.display_name) + (
        f"<br>{request.kind} {escape_markdown(request.id)}" if named else ""
    )
    state = f"{state_emoji(outcome.state, flaky=outcome.is_flaky)} {state_label(outcome)}"
    details = [_step(outcome.step)] if outcome.step else []
    if outcome.state not in NO_MESSAGE_STATES:
        details += [escape_markdown(text) for text in (outcome.message, outcome.suggestion) if text]
    details += [_earlier(place, run) for place, run in enumerate(outcome.previous_attempts, 1)]
    cells = [what, "<br>".join([state, *details])]
    if report.waits_for_results:
        cells.append(
            format_duration(outcome.duration_seconds) if outcome.state in ENDED_STATES and not outcome.reused else ""
        )
    return f"| {' | '.join([*cells, _link(outcome, report.web_base_url)])} |"


def _step(step: RunStep) -> str:
    told = f"step {step.number}" + (f", {escape_markdown(step.instruction, 300)}" if step.instruction else "")
    output = f"<br>{escape_markdown(step.output, 1000)}" if step.output else ""
    page = f"<br>on {markdown_link(step.url.partition('?')[0], step.url)}" if step.url else ""
    return told + output + page


def _earlier(place: int, run: PreviousAttempt) -> str:
    link = markdown_link(run.run_id or "the run", run.url)
    return f"attempt {place} failed: {link}" + (f"<br>{_step(run.step)}" if run.step else "")


def _link(outcome: RunResult, site: str) -> str:
    if outcome.url:
        return markdown_link(outcome.run_id or "open the run", outcome.url)
    if outcome.state is RunState.UNKNOWN:
        return markdown_link("look here", site)
    return escape_markdown(outcome.run_id)
