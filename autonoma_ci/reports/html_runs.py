"""What report.html shows of each run: texts from outside, addresses that are safe to follow, and files of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.escaping import format_duration, safe_url
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import ENDED_STATES, NO_MESSAGE_STATES, has_run, pluralize, state_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Evidence, PreviousAttempt, Report, RunResult, RunStep

# Red, amber, green, or neither, and a sign for those who see no colours.
STATE_SYMBOLS = {"good": "✓", "flaky": "⚠", "bad": "✗", "open": "…"}
_LOOKS = {RunState.PASSED: "good", RunState.STARTED: "open", RunState.PLANNED: "open", RunState.STARTING: "open"}


def severity_class(run: RunResult) -> str:
    """Return how the run is shown: good, flaky, bad or open."""
    return "flaky" if run.is_flaky else _LOOKS.get(run.state, "bad")


def build_run_view(place: int, run: RunResult, report: Report, file: Callable[[str], str]) -> dict[str, Any]:
    """Return what the page shows of a run, which is the `place`-th on it; `file` as in `html.Page`."""
    request = run.request
    look = severity_class(run)
    page = safe_url(run.url) or (
        safe_url(report.web_base_url) if run.state is RunState.UNKNOWN and not has_run(run) else ""
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
    }
    attempts = [_attempt(number, before, file) for number, before in enumerate(run.previous_attempts, 1)]
    shown = _shown(run, file)
    notes = [] if run.state in NO_MESSAGE_STATES else [text for text in (run.message, run.suggestion) if text]
    return {
        "anchor": f"run-{place}",
        "label": run.display_name,
        "look": look,
        "sign": STATE_SYMBOLS[look],
        "state": state_label(run),
        "took": format_duration(run.duration_seconds) if run.state in ENDED_STATES and not run.reused else "",
        "began": format_duration(run.start_offset_seconds)
        if run.state in ENDED_STATES and run.start_offset_seconds > 0 and report.waits_for_results
        else "",
        "link": page,
        "linked": "Open the run" if safe_url(run.url) else "Look here",
        "facts": {name: text for name, text in facts.items() if text},
        "notes": notes,
        "attempts": attempts,
        "open": look == "bad",
        "more": bool(notes or attempts or shown["steps"] or shown["video"] or shown["missing"]),
        **shown,
    }


def _attempt(number: int, run: PreviousAttempt, file: Callable[[str], str]) -> dict[str, Any]:
    return {
        "number": number,
        "took": format_duration(run.duration_seconds) if run.duration_seconds else "",
        "message": run.message,
        "link": safe_url(run.url),
        **_shown(run, file),
    }


def _shown(run: RunResult | PreviousAttempt, file: Callable[[str], str]) -> dict[str, Any]:
    """Return what is to be seen of a run: its steps, or at least the one at which it failed."""
    evidence: Evidence = run.evidence
    failing = run.step.number if run.step else 0
    steps = evidence.steps or ((run.step,) if run.step else ())
    return {
        "steps": list(_steps(steps, failing, run.step, file)),
        "counted": pluralize(steps[-1].number, "step") if evidence.steps else "The step that failed",
        "video": file(evidence.video) if evidence.video else "",
        "missing": evidence.missing_reason,
    }


def _steps(
    steps: tuple[RunStep, ...], failing: int, whole: RunStep | None, file: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    before = 0
    for step in steps:
        failed = step.number == failing
        # Of the one that failed there is more to read.
        told = whole if failed and whole else step
        left_out = step.number - before - 1 if before else 0
        look = "bad" if failed else "good" if step.status == "passed" else "open"
        yield {
            "left_out": f"{pluralize(left_out, 'more step')} not shown." if left_out else "",
            "number": step.number,
            "look": look,
            "sign": STATE_SYMBOLS[look],
            "status": step.status or ("failed" if failed else ""),
            "instruction": told.instruction,
            "output": told.output,
            "page": step.url,
            "link": safe_url(step.url),
            "image": file(step.screenshot) if step.screenshot else "",
        }
        before = step.number
