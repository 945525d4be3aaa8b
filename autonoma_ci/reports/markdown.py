"""Render the summary as GitHub Markdown.

The summary has one sentence and tables of runs. The first table has the runs that need attention. If a run failed in
quarantine or is flaky, these runs and those that passed have sections of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.escaping import (
    escape_markdown,
    format_duration,
    markdown_code_span,
    markdown_command,
    markdown_link,
    safe_url,
)
from autonoma_ci.models import ENDED_STATES, Conclusion, RunState
from autonoma_ci.reports.mermaid import render_gantt
from autonoma_ci.reports.summary import (
    FLAKY_EMOJI,
    NO_MESSAGE_STATES,
    QUARANTINE_EMOJI,
    STATE_EMOJI,
    RunCategory,
    categorize_run,
    counts_flaky_as_failed,
    describe_changed_files,
    describe_full_run,
    describe_new_quarantine,
    describe_quarantine,
    find_environment,
    format_headline,
    group_by_category,
    has_resumable_runs,
    label_flaky_runs,
    needs_sections,
    pluralize,
    rerun_hint,
    resume_hint,
    select_rerun_command,
    state_emoji,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    foot: list[str] = []
    if report.results:
        sections = _build_sections(report)
        head += _render_section_head(sections[0], report)
        rows = _render_rows(sections, report)
        count, noun = len(report.results), "more run"
        omitted_format = "| … and {} |" + " |" * (3 if report.waits_for_results else 2)
        foot = ["", escape_markdown(hint, 2000)] if (hint := rerun_hint(report)) else []
    else:
        rows = ([f"- {escape_markdown(error)}"] for error in report.input_errors)
        count, noun, omitted_format = len(report.input_errors), "more problem", "- … and {}"
    bytes_left = max_bytes - _TRUNCATION_RESERVE - _count_bytes([*head, *foot])
    if bytes_left < 0:
        return ""
    body: list[str] = []
    shown_count = 0
    for lines in rows:
        bytes_left -= _count_bytes(lines)
        if bytes_left < 0:
            break
        body += lines
        shown_count += 1
    tail = [omitted_format.format(pluralize(count - shown_count, noun))] if shown_count < count else []
    gantt = render_gantt(report) if chart else ""
    chart_lines = ["", gantt] if gantt and _count_bytes(["", gantt]) <= bytes_left else []
    return "\n".join([*head, *body, *tail, *foot, *chart_lines, ""])


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
    for line in _render_change(report):
        head += [line, ""]
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
        facts.append(f"commit {_render_commit(context.sha)}")
    if environment := find_environment(report):
        facts.append(f"environment {escape_markdown(environment)}")
    if report.waits_for_results and report.verdict:
        facts.append(f"duration {format_duration(report.duration_seconds)}")
    return f" ({', '.join(facts)})" if facts else ""


def _render_commit(sha: str) -> str:
    # A hash stays unescaped, because GitHub and GitLab make a link of it.
    return sha[:12] if _COMMIT_RE.fullmatch(sha) else escape_markdown(sha[:12])


def _render_change(report: Report) -> Iterator[str]:
    """Yield the sentences about changed files and new quarantines."""
    if change := report.change:
        if files := describe_changed_files(change, _render_commit(change.base)):
            yield f"Changed files: {files}."
        if full_run := describe_full_run(change):
            yield escape_markdown(full_run)
    if quarantined := describe_new_quarantine(report):
        yield f"{QUARANTINE_EMOJI} {escape_markdown(quarantined, 2000)}"


class _Section(NamedTuple):
    """Runs of one table."""

    # Empty for the first table of most reports.
    heading: str
    runs: list[RunResult]


def _build_sections(report: Report) -> list[_Section]:
    """Return the tables of the summary.

    There is one table, unless a run failed in quarantine or is flaky.
    """
    groups = group_by_category(report.results)
    if not needs_sections(report.results):
        return [_Section("", [run for _, runs in groups for run in runs])]
    headings = {
        RunCategory.FLAKY: f"{FLAKY_EMOJI} {label_flaky_runs(report).capitalize()}",
        RunCategory.QUARANTINED: f"{QUARANTINE_EMOJI} Failed in quarantine, not counted",
        RunCategory.PASSED: f"{STATE_EMOJI[RunState.PASSED]} Passed",
    }
    first = [run for category, runs in groups for run in runs if category not in headings]
    others = [_Section(headings[category], runs) for category, runs in groups if category in headings]
    return [_Section("", first), *others] if first else others


def _render_section_head(section: _Section, report: Report) -> list[str]:
    heading = [f"#### {section.heading} ({len(section.runs):,})", ""] if section.heading else []
    if report.waits_for_results:
        return [*heading, "| Run | State | Time | Link |", "| --- | --- | --- | --- |"]
    return [*heading, "| Run | State | Link |", "| --- | --- | --- |"]


def _render_rows(sections: list[_Section], report: Report) -> Iterator[list[str]]:
    """Yield the lines of each run.

    The first run of a section is below the heading. The first section has none here.
    """
    for number, section in enumerate(sections):
        head = ["", *_render_section_head(section, report)] if number else []
        for run in section.runs:
            yield [*head, _render_row(run, report)]
            head = []


def _render_row(run: RunResult, report: Report) -> str:
    request = run.request
    has_name = run.display_name != request.id
    name = [escape_markdown(run.display_name)]
    name += [f"{request.kind} {escape_markdown(request.id)}"] if has_name else []
    name += [f"owner {escape_markdown(request.owner)}"] if request.owner else []
    state = f"{state_emoji(run.state, categorize_run(run))} {escape_markdown(state_label(run))}"
    details = [text for text in [_render_quarantine(run)] if text]
    details += [_render_step(run.step)] if run.step else []
    if run.state not in NO_MESSAGE_STATES:
        details += [escape_markdown(text) for text in (run.message, run.suggestion) if text]
    details += [_render_attempt(number, attempt) for number, attempt in enumerate(run.previous_attempts, 1)]
    if command := select_rerun_command(run, fails_on_flaky=counts_flaky_as_failed(report)):
        details.append(f"Run again: {markdown_command(command)}")
    cells = ["<br>".join(name), "<br>".join([state, *details])]
    if report.waits_for_results:
        cells.append(format_duration(run.duration_seconds) if run.state in ENDED_STATES and not run.reused else "")
    return f"| {' | '.join([*cells, _render_link(run, report.web_base_url)])} |"


def _render_quarantine(run: RunResult) -> str:
    quarantine = run.request.quarantine
    if not quarantine:
        return ""
    # The label of a failure in quarantine has the date already.
    text = quarantine.reason if run.is_quarantined_failure else f"in quarantine {describe_quarantine(run)}"
    issue = quarantine.issue
    link = markdown_link("issue", issue) if safe_url(issue) else f"issue {escape_markdown(issue)}" if issue else ""
    return ", ".join(filter(None, [escape_markdown(text), link]))


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
