"""report.html: one page that people read, from a disk, an artifact store or Jenkins, without any script.

Jenkins forbids scripts, and styles but those of a file, so the page has no script and its style is a file
beside the screenshots. Without it, the page is plain, and whole.
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
    change_noun,
    count_states,
    format_headline,
    has_open_runs,
    sort_by_severity,
    source_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jinja2 import Template

    from autonoma_ci.models import Report

STYLESHEET = "evidence/report.css"
ICON = "evidence/report.svg"
# Of the template's output, encoded at once. A run has about 150.
_PIECES = 1000
_VERDICTS = {
    Conclusion.STARTED: ("open", "Started"),
    Conclusion.PASSED: ("good", "Passed"),
    Conclusion.FAILED: ("bad", "Failed"),
    Conclusion.TIMED_OUT: ("bad", "Timed out"),
    Conclusion.ERROR: ("bad", "Error"),
    Conclusion.SKIPPED: ("open", "Skipped"),
    Conclusion.CANCELLED: ("bad", "Cancelled"),
}
# The words behind one, and behind several.
_FILTER_LABELS = {
    "bad": ("problem", "problems"),
    "flaky": ("flaky", "flaky"),
    "open": ("not ended", "not ended"),
    "good": ("passed", "passed"),
}


class AssetLinks(NamedTuple):
    """How the page finds what lies beside it: `file` makes an address of a path in results-dir, or nothing.

    `style` is the stylesheet itself where it is to be within the page, `icon` the address of the page's own icon.
    """

    file: Callable[[str], str] = lambda path: path
    style: str = ""
    icon: str = ICON


def asset_files(report: Report) -> dict[str, str]:
    """Return the files that the page needs beside it, by their paths from there."""
    return {STYLESHEET: load_stylesheet(), ICON: _icon(report)}


def render_html(report: Report, page: AssetLinks | None = None) -> bytes:
    """Return the page in UTF-8; no value of a variable is in it, and every text is shown as text."""
    from markupsafe import Markup, escape

    page = page or AssetLinks()

    def file(path: str) -> str:
        # An address of ours, and with the file in it longer than any text may be.
        return escape(page.file(path))

    runs = [build_run_view(place, run, report, file) for place, run in enumerate(sort_by_severity(report.results), 1)]
    # The style is ours too, so it is no text to be escaped.
    style = Markup(page.style)  # noqa: S704
    # Encoded in parts: as one text, the page of a thousand runs takes several times its size.
    parts = _template().stream(_view(report), runs=runs, style=style, icon=page.icon)
    parts.enable_buffering(_PIECES)
    return b"".join(part.encode("utf-8", "replace") for part in parts)


@cache
def _template() -> Template:
    # Loaded only where there is a page to make.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_plain, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("report.html"))


def _view(report: Report) -> dict[str, object]:
    look, verdict = _verdict(report)
    looks = [severity_class(run) for run in report.results]
    return {
        "report": report,
        "version": __version__,
        "verdict": {"look": look, "sign": STATE_SYMBOLS[look], "word": verdict, "text": format_headline(report)},
        "facts": list(_facts(report)),
        "counts": _counts(report),
        "filters": [
            (look, told[count > 1], count) for look, told in _FILTER_LABELS.items() if (count := looks.count(look))
        ],
        "picture": build_timeline_chart(report),
        "later": report.resume_command if report.verdict and has_open_runs(report) else "",
        "stylesheet": STYLESHEET,
        "drawn_icon": f"data:image/svg+xml,{quote(_icon(report))}",
    }


def load_stylesheet() -> str:
    """Return the style of the page."""
    return _resource("report.css")


def _verdict(report: Report) -> tuple[str, str]:
    return _VERDICTS[report.verdict.conclusion] if report.verdict else ("open", "Running")


def _icon(report: Report) -> str:
    """Return the picture for the browser's tab, which tells passed from failed."""
    colour = {"good": GREEN, "bad": RED}.get(_verdict(report)[0], GREY)
    circle = f'<circle cx="8" cy="8" r="7" fill="{colour}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{circle}</svg>'


def _resource(name: str) -> str:
    return files("autonoma_ci.reports").joinpath(name).read_text("utf-8")


def _plain(value: object) -> object:
    """Return what is put into the page: of text, only what is seen as it is."""
    return sanitize_line(value) if type(value) is str else value


def _facts(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield what is known of the build: a name, a text, and a link or nothing."""
    context = report.context
    yield "Commit", context.sha[:12], ""
    yield "Branch", context.branch, ""
    yield change_noun(context.ci_name).capitalize(), context.change_number, ""
    yield "Repository", context.repository, ""
    yield "Build", context.build_url, safe_url(context.build_url)
    yield "Deployment", context.deployment_url, safe_url(context.deployment_url)
    yield "Started from", source_label(report.source), ""
    yield "Began", report.started_at.replace("T", " ").replace("Z", " UTC"), ""
    yield "Took", format_duration(report.duration_seconds) if report.verdict else "", ""


def _counts(report: Report) -> dict[str, int]:
    found = count_states(report.results)
    if report.waits_for_results:
        # All that ended had started: that is no news.
        del found["started"]
    return {name: number for name, number in found.items() if number or name == "total"}
