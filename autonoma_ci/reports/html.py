"""Render report.html as one page without scripts.

People open the page from a disk, an artifact store or Jenkins. Jenkins forbids scripts, and it allows only styles that
come from a file. So the page has no script, and its stylesheet is a file in the folder of the screenshots. Without the
stylesheet, the page is plain but complete.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from autonoma_ci import __version__
from autonoma_ci.escaping import format_duration, safe_url, sanitize_line
from autonoma_ci.models import Conclusion
from autonoma_ci.reports.html_chart import GREEN, GREY, RED, build_timeline_chart
from autonoma_ci.reports.html_runs import STATE_SYMBOLS, build_run_view, severity_class
from autonoma_ci.reports.summary import (
    count_states,
    format_headline,
    has_open_runs,
    sort_by_severity,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jinja2 import Template

    from autonoma_ci.models import Report

STYLESHEET = "evidence/report.css"
ICON = "evidence/report.svg"
# Parts of the template's output that are encoded together. A run has about 150 parts.
_PARTS_PER_CHUNK = 1000
# The severity and the label of each conclusion.
_VERDICTS = {
    Conclusion.STARTED: ("open", "Started"),
    Conclusion.PASSED: ("good", "Passed"),
    Conclusion.FAILED: ("bad", "Failed"),
    Conclusion.TIMED_OUT: ("bad", "Timed out"),
    Conclusion.ERROR: ("bad", "Error"),
    Conclusion.SKIPPED: ("open", "Skipped"),
    Conclusion.CANCELLED: ("bad", "Cancelled"),
}
# The singular and the plural of each filter.
_FILTER_LABELS = {
    "bad": ("problem", "problems"),
    "flaky": ("flaky", "flaky"),
    "open": ("not ended", "not ended"),
    "good": ("passed", "passed"),
}


class AssetLinks(NamedTuple):
    """URLs of the files beside the page."""

    # Returns the URL of a path in the results folder, or an empty text if the page does not link to the file.
    file_url: Callable[[str], str] = lambda path: path
    # The stylesheet itself if it is part of the page. Otherwise the page links to `STYLESHEET`.
    inline_css: str = ""
    # The URL of the page's icon.
    icon: str = ICON


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
    severities = [severity_class(run) for run in report.results]
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
            (severity, labels[count > 1], count)
            for severity, labels in _FILTER_LABELS.items()
            if (count := severities.count(severity))
        ],
        "chart": build_timeline_chart(report),
        "resume_command": report.resume_command if report.verdict and has_open_runs(report) else "",
        "stylesheet": STYLESHEET,
        "inline_icon": f"data:image/svg+xml,{quote(_render_icon(report))}",
    }


def load_stylesheet() -> str:
    """Return the stylesheet of the page."""
    return _read_resource("report.css")


def _verdict_of(report: Report) -> tuple[str, str]:
    return _VERDICTS[report.verdict.conclusion] if report.verdict else ("open", "Running")


def _render_icon(report: Report) -> str:
    """Return the SVG icon in the colour of the verdict."""
    colour = {"good": GREEN, "bad": RED}.get(_verdict_of(report)[0], GREY)
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
    yield "Started from", report.source_label, ""
    yield "Began", report.started_at.replace("T", " ").replace("Z", " UTC"), ""
    yield "Took", format_duration(report.duration_seconds) if report.verdict else "", ""


def _select_counts(report: Report) -> dict[str, int]:
    counts = count_states(report.results)
    if report.waits_for_results:
        # Each run that ended was started, so this count adds nothing.
        del counts["started"]
    return {name: number for name, number in counts.items() if number or name == "total"}
