"""What report.html shows of each run: texts from outside, addresses that are safe to follow, and files of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.escaping import duration, link
from autonoma_ci.models import State
from autonoma_ci.reports.summary import ENDED, QUIET, has_run, plural, state_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Earlier, Evidence, Outcome, Report, Step

# Red, amber, green, or neither, and a sign for those who see no colours.
SIGNS = {"good": "✓", "flaky": "⚠", "bad": "✗", "open": "…"}
_LOOKS = {State.PASSED: "good", State.STARTED: "open", State.PLANNED: "open", State.STARTING: "open"}


def look_of(run: Outcome) -> str:
    """Return how the run is shown: good, flaky, bad or open."""
    return "flaky" if run.flaky else _LOOKS.get(run.state, "bad")


def run_view(place: int, run: Outcome, report: Report, file: Callable[[str], str]) -> dict[str, Any]:
    """Return what the page shows of a run, which is the `place`-th on it; `file` as in `html.Page`."""
    request = run.request
    look = look_of(run)
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
    notes = [] if run.state in QUIET else [text for text in (run.message, run.hint) if text]
    return {
        "anchor": f"run-{place}",
        "label": run.label,
        "look": look,
        "sign": SIGNS[look],
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
        left_out = step.number - before - 1 if before else 0
        look = "bad" if failed else "good" if step.status == "passed" else "open"
        yield {
            "left_out": f"{plural(left_out, 'more step')} not shown." if left_out else "",
            "number": step.number,
            "look": look,
            "sign": SIGNS[look],
            "status": step.status or ("failed" if failed else ""),
            "instruction": told.instruction,
            "output": told.output,
            "page": step.url,
            "link": link(step.url),
            "image": file(step.image) if step.image else "",
        }
        before = step.number
