"""Render report.html as one page without scripts.

People open the page from a disk, an artifact store or Jenkins. Jenkins forbids scripts, and it allows only styles that
come from a file. So the page has no script, and its stylesheet is a file in the folder of the screenshots. Without the
stylesheet, the page is plain but complete.
"""

from __future__ import annotations

import itertools
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from autonoma_ci import __version__
from autonoma_ci.escaping import format_duration, safe_url, sanitize_line, truncate
from autonoma_ci.models import ENDED_STATES, Conclusion, RunState
from autonoma_ci.reports.summary import (
    NO_MESSAGE_STATES,
    STATE_LABELS,
    RunCategory,
    categorize_attempts,
    categorize_run,
    count_states,
    counts_flaky_as_failed,
    describe_changed_files,
    describe_full_run,
    describe_new_quarantine,
    describe_quarantine,
    find_environment,
    format_headline,
    has_resumable_runs,
    has_run_id_or_url,
    label_flaky_runs,
    needs_sections,
    pluralize,
    rerun_hint,
    select_rerun_command,
    sort_by_severity,
    state_label,
)
from autonoma_ci.reports.timeline import TimelineBar, timeline_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jinja2 import Template

    from autonoma_ci.models import Evidence, PreviousAttempt, Report, RunResult, RunStep

STYLESHEET = "evidence/report.css"
ICON = "evidence/report.svg"
# Parts of the template's output that are encoded together. A run has about 150 parts.
_PARTS_PER_CHUNK = 1000
# The severity and the label of each conclusion.
_VERDICTS = {
    Conclusion.STARTED: (RunCategory.OPEN, "Started"),
    Conclusion.PASSED: (RunCategory.PASSED, "Passed"),
    Conclusion.FAILED: (RunCategory.PROBLEM, "Failed"),
    Conclusion.TIMED_OUT: (RunCategory.PROBLEM, "Timed out"),
    Conclusion.ERROR: (RunCategory.PROBLEM, "Error"),
    Conclusion.SKIPPED: (RunCategory.OPEN, "Skipped"),
    Conclusion.CANCELLED: (RunCategory.PROBLEM, "Cancelled"),
}
# The singular and the plural of each filter.
_FILTER_LABELS = {
    RunCategory.PROBLEM: ("problem", "problems"),
    RunCategory.OPEN: ("not ended", "not ended"),
    RunCategory.FLAKY: ("flaky", "flaky"),
    RunCategory.QUARANTINED: ("failed in quarantine", "failed in quarantine"),
    RunCategory.PASSED: ("passed", "passed"),
}
# The heading of each category in the table. That of flaky runs depends on the report.
_SECTION_LABELS = {
    RunCategory.PROBLEM: "Problems",
    RunCategory.OPEN: "Not ended",
    RunCategory.QUARANTINED: "Failed in quarantine, not counted",
    RunCategory.PASSED: "Passed",
}
# The symbol of each category, for readers who can't distinguish the colours.
STATE_SYMBOLS = {
    RunCategory.PASSED: "✓",
    RunCategory.FLAKY: "⚠",
    RunCategory.QUARANTINED: "⊘",
    RunCategory.PROBLEM: "✗",
    RunCategory.OPEN: "…",
}
# Limits of the chart in rows. Above the first, it has no labels. Above the second, it omits rows.
MAX_LABELED = 40
MAX_BARS = 1000
# Each colour has enough contrast on white and on black, so one chart is enough for light, dark and print.
GREEN, RED, AMBER, GREY, VIOLET = "#2e8b57", "#d64545", "#b7791f", "#767676", "#8b6bd1"
_BAR_SYMBOLS = {RunState.PASSED: "✓", RunState.FAILED: "✗", RunState.STOPPED: "✗"}
_BAR_COLOURS = {RunState.PASSED: GREEN, RunState.FAILED: RED, RunState.STOPPED: RED}
_CATEGORY_COLOURS = {RunCategory.FLAKY: AMBER, RunCategory.QUARANTINED: VIOLET}
# In seconds. The distance between two ticks is the first of these with at most `_MAX_TICKS` ticks.
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600)
_MAX_TICKS = 4


class AssetLinks(NamedTuple):
    """URLs of the files beside the page."""

    # Returns the URL of a path in the results folder, or an empty text if the page does not link to the file.
    file_url: Callable[[str], str] = lambda path: path
    # The stylesheet itself if it is part of the page. Otherwise the page links to `STYLESHEET`.
    inline_css: str = ""
    # The URL of the page's icon.
    icon: str = ICON


class ChartBar(NamedTuple):
    """One bar of the chart."""

    # In percent of the chart's width.
    left: float
    width: float
    # In pixels.
    top: int
    height: int
    colour: str
    symbol: str
    label: str
    description: str


class TimelineChart(NamedTuple):
    """The geometry and the texts of the chart."""

    bars: list[ChartBar]
    # The position of each tick in percent, and its label.
    ticks: list[tuple[float, str]]
    # In pixels.
    height: int
    description: str
    has_labels: bool
    # The number of bars that are not drawn.
    omitted_count: int


def asset_files(report: Report) -> dict[str, str]:
    """Return the files beside the page, by their relative paths."""
    return {STYLESHEET: load_stylesheet(), ICON: _render_icon(report)}


def render_html(report: Report, links: AssetLinks | None = None) -> bytes:
    """Return the page in UTF-8.

    It contains no values of variables. Every text from outside is escaped.
    """
    from markupsafe import Markup, escape

    links = links or AssetLinks()

    def file_url(path: str) -> str:
        # Escaped here, so that `_sanitize` does not shorten it. A data URL is longer than any text.
        return escape(links.file_url(path))

    runs = [
        build_run_view(index, run, report, file_url) for index, run in enumerate(sort_by_severity(report.results), 1)
    ]
    # The stylesheet is part of this package, so it is not escaped.
    inline_css = Markup(links.inline_css)  # noqa: S704
    # Encoded in chunks, because the page of a thousand runs as one text needs several times its size in memory.
    chunks = _load_template().stream(_build_view(report), runs=runs, inline_css=inline_css, icon=links.icon)
    chunks.enable_buffering(_PARTS_PER_CHUNK)
    return b"".join(chunk.encode("utf-8", "replace") for chunk in chunks)


@cache
def _load_template() -> Template:
    # Imported here, because most job steps render no page.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_sanitize, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read_resource("report.html"))


def _build_view(report: Report) -> dict[str, object]:
    """Return the variables of the template."""
    severity, label = _verdict_of(report)
    categories = [categorize_run(run) for run in report.results]
    sections = _SECTION_LABELS | {RunCategory.FLAKY: label_flaky_runs(report).capitalize()}
    return {
        "report": report,
        "version": __version__,
        "verdict": {
            "severity": severity,
            "symbol": STATE_SYMBOLS[severity],
            "label": label,
            "headline": format_headline(report),
        },
        "facts": list(_build_facts(report)),
        "counts": _select_counts(report),
        "filters": [
            (category, labels[count > 1], count)
            for category, labels in _FILTER_LABELS.items()
            if (count := categories.count(category))
        ],
        "sections": sections if needs_sections(report.results) else {},
        "plan_notes": list(_list_plan_notes(report)),
        "rerun_hint": rerun_hint(report),
        "chart": build_timeline_chart(report),
        "resume_command": report.resume_command if report.verdict and has_resumable_runs(report) else "",
        "stylesheet": STYLESHEET,
        "inline_icon": f"data:image/svg+xml,{quote(_render_icon(report))}",
    }


def load_stylesheet() -> str:
    """Return the stylesheet of the page."""
    return _read_resource("report.css")


def _list_plan_notes(report: Report) -> Iterator[str]:
    yield from report.plan_notes if report.results else ()
    yield describe_full_run(report.change) if report.change else ""
    yield describe_new_quarantine(report)


def _verdict_of(report: Report) -> tuple[RunCategory, str]:
    return _VERDICTS[report.verdict.conclusion] if report.verdict else (RunCategory.OPEN, "Running")


def _render_icon(report: Report) -> str:
    """Return the SVG icon in the colour of the verdict."""
    colour = {RunCategory.PASSED: GREEN, RunCategory.PROBLEM: RED}.get(_verdict_of(report)[0], GREY)
    circle = f'<circle cx="8" cy="8" r="7" fill="{colour}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{circle}</svg>'


def _read_resource(name: str) -> str:
    return files("autonoma_ci.reports").joinpath(name).read_text("utf-8")


def _sanitize(value: object) -> object:
    """Return a template value, without control characters in a text."""
    return sanitize_line(value) if type(value) is str else value


def _build_facts(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield the facts of the build as name, text and URL.

    The text and the URL can be empty.
    """
    context = report.context
    yield "Commit", context.sha[:12], ""
    yield "Branch", context.branch, ""
    yield report.change_noun.capitalize(), context.change_number, ""
    yield "Repository", context.repository, ""
    yield "Build", context.build_url, safe_url(context.build_url)
    yield "Deployment", context.deployment_url, safe_url(context.deployment_url)
    yield "Environment", find_environment(report), ""
    yield "Changed files", describe_changed_files(report.change, report.change.base[:12]) if report.change else "", ""
    yield "Started by", report.source_label, ""
    yield "Started at", report.started_at.replace("T", " ").replace("Z", " UTC"), ""
    yield "Duration", format_duration(report.duration_seconds) if report.verdict else "", ""


def _select_counts(report: Report) -> dict[str, int]:
    counts = count_states(report.results)
    if report.waits_for_results:
        # Each run that ended was started, so this count adds nothing.
        del counts["started"]
    return {name: number for name, number in counts.items() if number or name == "total"}


def build_run_view(index: int, run: RunResult, report: Report, file_url: Callable[[str], str]) -> dict[str, Any]:
    """Return the values that the page shows for a run.

    They contain texts from outside, which the template escapes, URLs that are safe to follow, and URLs of evidence
    files.

    Args:
        index: The position of the run on the page, from 1.
        run: The run.
        report: The report with the run.
        file_url: As in `AssetLinks`.
    """
    request = run.request
    severity = categorize_run(run)
    link = safe_url(run.url) or (
        safe_url(report.web_base_url) if run.state is RunState.UNKNOWN and not has_run_id_or_url(run) else ""
    )
    versions = [request.application_version_id, *(version.version_id for version in request.application_versions)]
    facts = {
        "Test" if request.kind == "test" else request.kind.capitalize(): request.id
        if run.display_name != request.id
        else "",
        "Run": run.run_id,
        "Attempts": str(run.attempt_count) if run.previous_attempts else "",
        "Variables": ", ".join(request.variables),
        "Version": ", ".join(filter(None, versions)) or ("latest" if request.run_on_latest else ""),
        "Owner": request.owner,
        "Quarantine": describe_quarantine(run),
    }
    issue = request.quarantine.issue if request.quarantine else ""
    rerun_command = select_rerun_command(run, fails_on_flaky=counts_flaky_as_failed(report))
    attempt_category = categorize_attempts(run)
    attempts = [
        _build_attempt_view(number, attempt, attempt_category, file_url)
        for number, attempt in enumerate(run.previous_attempts, 1)
    ]
    evidence_view = _build_evidence_view(run, file_url)
    notes = [] if run.state in NO_MESSAGE_STATES else [text for text in (run.message, run.suggestion) if text]
    return {
        "anchor": f"run-{index}",
        "label": run.display_name,
        "severity": severity,
        "symbol": STATE_SYMBOLS[severity],
        "state": state_label(run),
        "duration": format_duration(run.duration_seconds) if run.state in ENDED_STATES and not run.reused else "",
        "start_offset": format_duration(run.start_offset_seconds)
        if run.state in ENDED_STATES and run.start_offset_seconds > 0 and report.waits_for_results
        else "",
        "link": link,
        "link_text": "Open the run" if safe_url(run.url) else "Open Autonoma",
        "facts": {name: text for name, text in facts.items() if text},
        "owner": request.owner,
        "issue": issue,
        "issue_link": safe_url(issue),
        "rerun_command": rerun_command,
        "notes": notes,
        "attempts": attempts,
        "is_expanded": severity is RunCategory.PROBLEM
        or (severity is RunCategory.FLAKY and counts_flaky_as_failed(report)),
        "has_details": bool(
            notes
            or attempts
            or issue
            or rerun_command
            or evidence_view["steps"]
            or evidence_view["video"]
            or evidence_view["missing_reason"]
        ),
        **evidence_view,
    }


def _build_attempt_view(
    number: int, attempt: PreviousAttempt, category: RunCategory, file_url: Callable[[str], str]
) -> dict[str, Any]:
    return {
        "number": number,
        "severity": category,
        "symbol": STATE_SYMBOLS[category],
        "duration": format_duration(attempt.duration_seconds) if attempt.duration_seconds else "",
        "message": attempt.message,
        "link": safe_url(attempt.url),
        **_build_evidence_view(attempt, file_url),
    }


def _build_evidence_view(run: RunResult | PreviousAttempt, file_url: Callable[[str], str]) -> dict[str, Any]:
    """Return the steps and the video of a run.

    Without evidence, the only step is the one that failed.
    """
    evidence: Evidence = run.evidence
    failing_number = run.step.number if run.step else 0
    steps = evidence.steps or ((run.step,) if run.step else ())
    return {
        "steps": list(_build_step_views(steps, failing_number, run.step, file_url)),
        "steps_label": pluralize(steps[-1].number, "test step") if evidence.steps else "Failed test step",
        "video": file_url(evidence.video) if evidence.video else "",
        "missing_reason": evidence.missing_reason,
    }


def _build_step_views(
    steps: tuple[RunStep, ...], failing_number: int, failing_step: RunStep | None, file_url: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    previous_number = 0
    for step in steps:
        is_failing = step.number == failing_number
        # The texts of the failing step are more detailed there than in the evidence.
        detailed = failing_step if is_failing and failing_step else step
        omitted_count = step.number - previous_number - 1 if previous_number else 0
        severity = (
            RunCategory.PROBLEM if is_failing else RunCategory.PASSED if step.status == "passed" else RunCategory.OPEN
        )
        yield {
            "omitted_note": f"{pluralize(omitted_count, 'more test step')} not shown." if omitted_count else "",
            "number": step.number,
            "severity": severity,
            "symbol": STATE_SYMBOLS[severity],
            "status": step.status or ("failed" if is_failing else ""),
            "instruction": detailed.instruction,
            "output": detailed.output,
            "page": step.url,
            "link": safe_url(step.url),
            "image": file_url(step.screenshot) if step.screenshot else "",
        }
        previous_number = step.number


def build_timeline_chart(report: Report) -> TimelineChart | None:
    """Return the chart of when each run started and of its duration.

    The template draws it as SVG. Without a run that has a duration, the result is None.
    """
    runs = timeline_bars(report) if report.waits_for_results else []
    if not runs:
        return None
    all_bars = [bar for run_bars in runs for bar in run_bars]
    span_seconds = max(bar.start_offset_seconds + bar.duration_seconds for bar in all_bars) or 1.0
    has_labels = len(all_bars) <= MAX_LABELED
    row_height, bar_height = (34, 10) if has_labels else (8, 6)
    drawn_bars = all_bars[:MAX_BARS]
    chart_bars = [
        _build_bar(bar, span_seconds, row * row_height + (18 if has_labels else 1), bar_height, has_label=has_labels)
        for row, bar in enumerate(drawn_bars)
    ]
    description = (
        f"{pluralize(len(runs), 'run')} within {format_duration(span_seconds)}. The table below has the same times."
    )
    return TimelineChart(
        chart_bars,
        list(_build_ticks(span_seconds)),
        len(drawn_bars) * row_height + 4,
        description,
        has_labels,
        len(all_bars) - len(drawn_bars),
    )


def _build_bar(bar: TimelineBar, span_seconds: float, top: int, height: int, *, has_label: bool) -> ChartBar:
    state = "flaky" if bar.category is RunCategory.FLAKY else STATE_LABELS[bar.state]
    state += " in quarantine" if bar.category is RunCategory.QUARANTINED else ""
    parts = [] if has_label else [state]
    parts += [f"attempt {bar.attempt}"] if bar.attempt else []
    description = ", ".join([*parts, format_duration(bar.duration_seconds)])
    left = min(100.0, 100 * bar.start_offset_seconds / span_seconds)
    width = max(0.3, min(100.0 - left, 100 * bar.duration_seconds / span_seconds))
    colour = _CATEGORY_COLOURS.get(bar.category) or _BAR_COLOURS.get(bar.state, GREY)
    symbol = STATE_SYMBOLS[bar.category] if bar.category in _CATEGORY_COLOURS else _BAR_SYMBOLS.get(bar.state, "…")
    label = truncate(bar.label, 40 if has_label else 80)
    return ChartBar(round(min(left, 99.7), 3), round(width, 3), top, height, colour, symbol, label, description)


def _build_ticks(span_seconds: float) -> Iterator[tuple[float, str]]:
    """Yield the position of each tick in percent, and its label."""
    distance = next(
        (seconds for seconds in _TICK_SECONDS if span_seconds / seconds <= _MAX_TICKS), span_seconds / _MAX_TICKS
    )
    for number in itertools.count():
        if number * distance > span_seconds * 0.96:
            return
        yield round(100 * number * distance / span_seconds, 3), format_duration(number * distance) if number else "0"
