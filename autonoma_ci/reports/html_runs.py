"""Build the view of each run for report.html.

A view contains texts from outside, which the template escapes, URLs that are safe to follow, and URLs of evidence
files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.escaping import format_duration, safe_url
from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import ENDED_STATES, NO_MESSAGE_STATES, has_run_id_or_url, pluralize, state_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Evidence, PreviousAttempt, Report, RunResult, RunStep

# The symbol of each severity, for readers who can't distinguish the colours.
STATE_SYMBOLS = {"good": "✓", "flaky": "⚠", "bad": "✗", "open": "…"}
_SEVERITY_BY_STATE = {
    RunState.PASSED: "good",
    RunState.STARTED: "open",
    RunState.PLANNED: "open",
    RunState.STARTING: "open",
}


def severity_class(run: RunResult) -> str:
    """Return the CSS class of the run, such as `good` or `flaky`."""
    return "flaky" if run.is_flaky else _SEVERITY_BY_STATE.get(run.state, "bad")


def build_run_view(index: int, run: RunResult, report: Report, file_url: Callable[[str], str]) -> dict[str, Any]:
    """Return the values that the page shows for a run.

    Args:
        index: The position of the run on the page, from 1.
        run: The run.
        report: The report with the run.
        file_url: As in `html.AssetLinks`.
    """
    request = run.request
    severity = severity_class(run)
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
    }
    attempts = [
        _build_attempt_view(number, attempt, file_url) for number, attempt in enumerate(run.previous_attempts, 1)
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
        "link_text": "Open the run" if safe_url(run.url) else "Look here",
        "facts": {name: text for name, text in facts.items() if text},
        "notes": notes,
        "attempts": attempts,
        "is_expanded": severity == "bad",
        "has_details": bool(
            notes or attempts or evidence_view["steps"] or evidence_view["video"] or evidence_view["missing_reason"]
        ),
        **evidence_view,
    }


def _build_attempt_view(number: int, attempt: PreviousAttempt, file_url: Callable[[str], str]) -> dict[str, Any]:
    return {
        "number": number,
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
        "steps_label": pluralize(steps[-1].number, "step") if evidence.steps else "The step that failed",
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
        severity = "bad" if is_failing else "good" if step.status == "passed" else "open"
        yield {
            "omitted_note": f"{pluralize(omitted_count, 'more step')} not shown." if omitted_count else "",
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
