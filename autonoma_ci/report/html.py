"""report.html: one page that people read, from a disk, an artifact store or Jenkins, without any script.

Jenkins forbids scripts, and styles but those of a file, so the page has no script and its style is a file
beside the screenshots. Without it, the page is plain, and whole.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci import __version__
from autonoma_ci.model import Conclusion, State
from autonoma_ci.report.picture import picture
from autonoma_ci.report.words import ENDED, counts, has_run, headline, plural, state_words, still_open, worst_first
from autonoma_ci.text import duration, link, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.model import Earlier, Outcome, Report
    from autonoma_ci.steps import Evidence, Step

STYLESHEET = "evidence/report.css"
# Red, amber, green, or neither, and a sign for those who see no colours.
_LOOKS = {State.PASSED: "good", State.STARTED: "open", State.PLANNED: "open", State.STARTING: "open"}
_SIGNS = {"good": "✓", "flaky": "≈", "bad": "✗", "open": "…"}
_VERDICTS = {
    Conclusion.STARTED: ("open", "Started"),
    Conclusion.PASSED: ("good", "Passed"),
    Conclusion.FAILED: ("bad", "Failed"),
    Conclusion.TIMED_OUT: ("bad", "Timed out"),
    Conclusion.ERROR: ("bad", "Error"),
    Conclusion.SKIPPED: ("open", "Skipped"),
    Conclusion.CANCELLED: ("bad", "Cancelled"),
}
_FILTERS = {"bad": "needs a look", "flaky": "flaky", "open": "not ended", "good": "passed"}


class Page(NamedTuple):
    """How the page finds what lies beside it: `file` makes an address of a path in results-dir, or nothing.

    `style` is the stylesheet itself where it is to be within the page.
    """

    file: Callable[[str], str] = lambda path: path
    style: str = ""


def html(report: Report, page: Page | None = None) -> str:
    """Return the page; no value of a variable is in it, and every text is shown as text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_plain, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_resource("report.html"))
    page = page or Page()
    look, verdict = _VERDICTS[report.verdict.conclusion] if report.verdict else ("open", "Running")
    runs = [_run(place, run, report, page.file) for place, run in enumerate(worst_first(report.outcomes), 1)]
    text = template.render(
        report=report,
        version=__version__,
        verdict={"look": look, "sign": _SIGNS[look], "word": verdict, "text": headline(report)},
        facts=list(_facts(report)),
        counts=_counts(report),
        runs=runs,
        filters=[(look, told, n) for look, told in _FILTERS.items() if (n := sum(run["look"] == look for run in runs))],
        picture=picture(report),
        later=report.later if report.verdict and still_open(report) else "",
        stylesheet=STYLESHEET,
        # Ours, so it is no text to be escaped.
        style=Markup(page.style),  # noqa: S704
    )
    return text.encode("utf-8", "replace").decode()


def stylesheet() -> str:
    """Return the style of the page."""
    return _resource("report.css")


def _resource(name: str) -> str:
    return files("autonoma_ci.report").joinpath(name).read_text("utf-8")


def _plain(value: object) -> object:
    """Return what is put into the page: of text, only what is seen as it is."""
    return one_line(value) if type(value) is str else value


def _facts(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield what is known of the build: a name, a text, and a link or nothing."""
    context = report.context
    yield "Commit", context.sha[:12], ""
    yield "Branch", context.branch, ""
    yield "Change", context.change, ""
    yield "Repository", context.repository, ""
    yield "Build", context.build_url, link(context.build_url)
    yield "Deployment", context.deployment_url, link(context.deployment_url)
    yield "Source", report.source, ""
    yield "Began", report.started_at.replace("T", " ").replace("Z", " UTC"), ""
    yield "Took", duration(report.seconds) if report.verdict else "", ""


def _counts(report: Report) -> dict[str, int]:
    found = counts(report.outcomes)
    if report.waited:
        # All that ended had started: that is no news.
        del found["started"]
    return {name: number for name, number in found.items() if number or name == "total"}


def _run(place: int, run: Outcome, report: Report, file: Callable[[str], str]) -> dict[str, Any]:
    request = run.request
    look = "flaky" if run.flaky else _LOOKS.get(run.state, "bad")
    quiet = run.state in {State.PASSED, State.STARTED, State.PLANNED, State.STARTING}
    page = link(run.url) or (link(report.site) if run.state is State.UNKNOWN and not has_run(run) else "")
    versions = [request.application_version_id, *(version.version_id for version in request.application_versions)]
    facts = {
        "Test" if request.kind == "test" else request.kind.capitalize(): request.id if run.label != request.id else "",
        "Run": run.run_id,
        "Attempts": str(run.attempts) if run.earlier else "",
        "Variables": ", ".join(request.variables),
        "Version": ", ".join(filter(None, versions)) or ("latest" if request.run_on_latest else ""),
    }
    attempts = [_attempt(number, before, file) for number, before in enumerate(run.earlier, 1)]
    shown = _shown(run, file)
    notes = [] if quiet else [text for text in (run.message, run.hint) if text]
    return {
        "anchor": f"run-{place}",
        "label": run.label,
        "look": look,
        "sign": _SIGNS[look],
        "state": state_words(run),
        "took": duration(run.seconds) if run.state in ENDED and not run.carried else "",
        "began": duration(run.began) if run.state in ENDED and run.began > 0 and report.waited else "",
        "link": page,
        "linked": "Open the run" if link(run.url) else "Look here",
        "facts": {name: text for name, text in facts.items() if text},
        "notes": notes,
        "attempts": attempts,
        "open": look == "bad",
        "more": bool(notes or attempts or shown["steps"] or shown["video"] or shown["missing"]),
        **shown,
    }


def _attempt(number: int, run: Earlier, file: Callable[[str], str]) -> dict[str, Any]:
    return {
        "number": number,
        "took": duration(run.seconds) if run.seconds else "",
        "message": run.message,
        "link": link(run.url),
        **_shown(run, file),
    }


def _shown(run: Outcome | Earlier, file: Callable[[str], str]) -> dict[str, Any]:
    """Return what is to be seen of a run: its steps, or at least the one at which it failed."""
    evidence: Evidence = run.evidence
    failing = run.step.number if run.step else 0
    steps = evidence.steps or ((run.step,) if run.step else ())
    return {
        "steps": list(_steps(steps, failing, run.step, file)),
        "counted": plural(steps[-1].number, "step") if evidence.steps else "The step that failed",
        "video": file(evidence.video) if evidence.video else "",
        "missing": evidence.missing,
    }


def _steps(
    steps: tuple[Step, ...], failing: int, whole: Step | None, file: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    before = 0
    for step in steps:
        failed = step.number == failing
        # Of the one that failed there is more to read.
        told = whole if failed and whole else step
        look = "bad" if failed else "good" if step.status == "passed" else "open"
        yield {
            "left_out": step.number - before - 1 if before else 0,
            "number": step.number,
            "look": look,
            "sign": _SIGNS[look],
            "status": step.status or ("failed" if failed else ""),
            "instruction": told.instruction,
            "output": told.output,
            "page": step.url,
            "link": link(step.url),
            "image": file(step.image) if step.image else "",
        }
        before = step.number
