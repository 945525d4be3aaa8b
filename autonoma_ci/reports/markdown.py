"""Render the summary as GitHub Markdown.

The summary has one sentence and a table of runs. The table starts with the runs that need attention.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.escaping import escape_markdown, format_duration, markdown_code_span, markdown_link
from autonoma_ci.models import ENDED_STATES, Conclusion, RunState
from autonoma_ci.reports.mermaid import render_gantt
from autonoma_ci.reports.summary import (
    NO_MESSAGE_STATES,
    format_headline,
    has_resumable_runs,
    pluralize,
    resume_hint,
    sort_by_severity,
    state_emoji,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.models import PreviousAttempt, Report, RunResult, RunStep

# GitHub drops the summary of a step above 1 MiB. The margin is for other text that the step wrote.
MAX_SUMMARY_BYTES = 1000 * 1024
_COMMIT_RE = re.compile(r"[0-9a-f]{7,64}")
# In bytes, for the line that counts the omitted rows.
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


def render_summary(report: Report, max_bytes: int = MAX_SUMMARY_BYTES, *, chart: bool = True) -> str:
    """Return the summary, with a count of omitted rows.

    Args:
        report: The report.
        max_bytes: Largest size in UTF-8. The summary is empty if not even its head fits.
        chart: Whether the summary has a timeline. Not every reader of Markdown draws Mermaid charts.
    """
    head = _render_head(report)
    if report.results:
        head += _render_table_head(report)
        lines = (_render_row(run, report) for run in sort_by_severity(report.results))
        count, noun = len(report.results), "more run"
        omitted_format = "| … and {} |" + " |" * (3 if report.waits_for_results else 2)
    else:
        lines = (f"- {escape_markdown(error)}" for error in report.input_errors)
        count, noun, omitted_format = len(report.input_errors), "more problem", "- … and {}"
    bytes_left = max_bytes - _TRUNCATION_RESERVE - _count_bytes(head)
    if bytes_left < 0:
        return ""
    body: list[str] = []
    for line in lines:
        bytes_left -= _count_bytes([line])
        if bytes_left < 0:
            break
        body.append(line)
    tail = [omitted_format.format(pluralize(count - len(body), noun))] if len(body) < count else []
    gantt = render_gantt(report) if chart else ""
    chart_lines = ["", gantt] if gantt and _count_bytes(["", gantt]) <= bytes_left else []
    return "\n".join([*head, *body, *tail, *chart_lines, ""])


def _count_bytes(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _render_head(report: Report) -> list[str]:
    conclusion = _CONCLUSIONS[report.verdict.conclusion] if report.verdict else "⏳ Running"
    if not report.verdict and not report.waits_for_results:
        conclusion = "⏳ Starting"
    head = [
        f"### {escape_markdown(report.heading)}: {conclusion}",
        "",
        escape_markdown(format_headline(report)) + _render_facts(report),
        "",
    ]
    for note in report.plan_notes if report.results else ():
        head += [escape_markdown(note), ""]
    if report.verdict and has_resumable_runs(report) and report.waits_for_results:
        head += [resume_hint(report), ""]
    if report.verdict and has_resumable_runs(report) and report.resume_command:
        head += [f"To wait for the results: {markdown_code_span(report.resume_command)}", ""]
    return head


def _render_facts(report: Report) -> str:
    context = report.context
    facts = []
    if context.change_number:
        facts.append(f"{escape_markdown(report.change_noun)} {escape_markdown(context.change_number)}")
    if context.branch:
        facts.append(f"branch {escape_markdown(context.branch)}")
    if context.sha:
        # A hash stays unescaped, because GitHub and GitLab make a link of it.
        commit = context.sha[:12] if _COMMIT_RE.fullmatch(context.sha) else escape_markdown(context.sha[:12])
        facts.append(f"commit {commit}")
    if report.waits_for_results and report.verdict:
        facts.append(f"duration {format_duration(report.duration_seconds)}")
    return f" ({', '.join(facts)})" if facts else ""


def _render_table_head(report: Report) -> list[str]:
    if report.waits_for_results:
        return ["| Run | State | Time | Link |", "| --- | --- | --- | --- |"]
    return ["| Run | State | Link |", "| --- | --- | --- |"]


def _render_row(run: RunResult, report: Report) -> str:
    request = run.request
    has_name = run.display_name != request.id
    name = escape_markdown(run.display_name) + (f"<br>{request.kind} {escape_markdown(request.id)}" if has_name else "")
    state = f"{state_emoji(run.state, flaky=run.is_flaky)} {state_label(run)}"
    details = [_render_step(run.step)] if run.step else []
    if run.state not in NO_MESSAGE_STATES:
        details += [escape_markdown(text) for text in (run.message, run.suggestion) if text]
    details += [_render_attempt(number, attempt) for number, attempt in enumerate(run.previous_attempts, 1)]
    cells = [name, "<br>".join([state, *details])]
    if report.waits_for_results:
        cells.append(format_duration(run.duration_seconds) if run.state in ENDED_STATES and not run.reused else "")
    return f"| {' | '.join([*cells, _render_link(run, report.web_base_url)])} |"


def _render_step(step: RunStep) -> str:
    title = f"test step {step.number}" + (f", {escape_markdown(step.instruction, 300)}" if step.instruction else "")
    output = f"<br>{escape_markdown(step.output, 1000)}" if step.output else ""
    page = f"<br>on {markdown_link(step.url.partition('?')[0], step.url)}" if step.url else ""
    return title + output + page


def _render_attempt(number: int, attempt: PreviousAttempt) -> str:
    link = markdown_link(attempt.run_id or "the run", attempt.url)
    return f"attempt {number} failed: {link}" + (f"<br>{_render_step(attempt.step)}" if attempt.step else "")


def _render_link(run: RunResult, web_base_url: str) -> str:
    if run.url:
        return markdown_link(run.run_id or "open the run", run.url)
    if run.state is RunState.UNKNOWN:
        return markdown_link("open Autonoma", web_base_url)
    return escape_markdown(run.run_id)
