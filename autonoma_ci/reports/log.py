"""Format log lines of runs, and build diagnostics of failures and warnings.

The log has a line for each change of a run. At the end it has the result in one sentence and advice for the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import format_duration, safe_url, truncate
from autonoma_ci.models import ENDED_STATES, Conclusion, RunState
from autonoma_ci.reports.summary import (
    NEEDS_ATTENTION,
    describe_step,
    format_headline,
    has_resumable_runs,
    has_run_id_or_url,
    pluralize,
    resume_hint,
    sort_by_severity,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autonoma_ci.models import Report, RunResult

# GitHub's runner stores ten annotations of each kind per step. The tenth counts the omitted ones.
MAX_ANNOTATIONS = 9


def format_run(run: RunResult) -> str:
    """Return the line of one run, not yet escaped."""
    request = run.request
    target = f"{request.kind} {request.id}"
    name = target if run.display_name == request.id else f"{run.display_name} ({target})"
    duration = f" in {format_duration(run.duration_seconds)}" if run.state in ENDED_STATES and not run.reused else ""
    attempt = f" (attempt {run.attempt_count})" if run.previous_attempts else ""
    details = [text for text in (describe_step(run.step), _select_message(run), run.url or run.run_id) if text]
    return ": ".join([f"{state_label(run)}: {name}{attempt}{duration}", *details])


def _select_message(run: RunResult) -> str:
    # For a run that started or passed, the API's message is only that it started.
    return "" if run.state in {RunState.STARTED, RunState.PASSED} else run.message


def format_heartbeat(results: Sequence[RunResult], elapsed_seconds: float) -> str:
    """Return a line that counts the runs in each state.

    The log has such a line from time to time, so that users see that the job step is still waiting.
    """
    states = [run.state for run in results]
    counts = {
        "running": states.count(RunState.STARTED),
        "being started": states.count(RunState.STARTING),
        "waiting": states.count(RunState.PLANNED),
        "passed": states.count(RunState.PASSED),
        "failed": states.count(RunState.FAILED) + states.count(RunState.STOPPED),
        "not started": states.count(RunState.NOT_STARTED),
        "unknown": states.count(RunState.UNKNOWN),
    }
    counts_text = ", ".join(f"{number} {label}" for label, number in counts.items() if number)
    return f"{format_duration(elapsed_seconds)}: {counts_text or 'nothing is left to wait for'}."


def group_failures(results: Sequence[RunResult], web_base_url: str = "") -> list[Diagnostic]:
    """Return one diagnostic for each kind of failure, worst first.

    A failed run has its own diagnostic. Other runs share one if they have the same state, message and suggestion.
    At most `MAX_ANNOTATIONS` kinds are returned, then a count of the others.

    Args:
        results: All runs.
        web_base_url: The URL to open for runs that may have started.
    """
    groups: dict[tuple[str, str, str, str], list[RunResult]] = {}
    for run in sort_by_severity(results):
        if run.state in NEEDS_ATTENTION:
            cause = ": ".join(text for text in (describe_step(run.step), run.message) if text)
            # Two tests that failed in the same way are two failures, each with its own link.
            link = run.url if run.state is RunState.FAILED else ""
            groups.setdefault((state_label(run), cause, run.suggestion, link), []).append(run)
    diagnostics = [
        _build_diagnostic(label, cause, suggestion, group, web_base_url)
        for (label, cause, suggestion, _), group in groups.items()
    ]
    reported = diagnostics[:MAX_ANNOTATIONS]
    if len(diagnostics) > MAX_ANNOTATIONS:
        omitted = pluralize(len(diagnostics) - MAX_ANNOTATIONS, "more kind")
        reported.append(Diagnostic(f"and {omitted} of failure. The log has all failures."))
    return reported


def _build_diagnostic(
    label: str, cause: str, suggestion: str, group: Sequence[RunResult], web_base_url: str
) -> Diagnostic:
    names = ", ".join(truncate(run.display_name, 100) for run in group[:3])
    more = f" and {len(group) - 3} more" if len(group) > 3 else ""
    text = f"{label}: {names}{more}" + (f": {cause.rstrip('.')}." if cause else ".")
    url = (
        web_base_url
        if group[0].state is RunState.UNKNOWN and not has_run_id_or_url(group[0])
        else safe_url(group[0].url)
    )
    link = f"Look here: {url}" if url else ""
    return Diagnostic(" ".join(part for part in (text, suggestion, link) if part))


def format_summary_lines(report: Report) -> Iterator[str]:
    """Yield the last lines of the log.

    They contain the result in one sentence, the number of runs that continue in Autonoma, and the command that waits
    for them.
    """
    is_cancelled = bool(report.verdict and report.verdict.conclusion is Conclusion.CANCELLED)
    if not report.input_errors:
        headline = format_headline(report)
        yield headline if headline.startswith("Cancelled") or not is_cancelled else f"Cancelled. {headline}"
    if not has_resumable_runs(report):
        return
    if report.waits_for_results or is_cancelled:
        yield resume_hint(report)
    if report.resume_command:
        yield f"To wait for the results: {report.resume_command}"
    elif not report.results_dir:
        yield "To wait for runs later, set results-dir: the step then leaves a record for autonoma-ci wait."


def collect_warnings(results: Sequence[RunResult], contains_secret: Callable[[str], bool]) -> list[Diagnostic]:
    """Return one warning for each kind of problem besides failures.

    Args:
        results: All runs.
        contains_secret: Returns whether a text contains a value that the CI system masks. GitHub does not pass an
            output with such a value to later jobs.
    """
    names_by_problem = {
        "passed only after a failure (flaky)": [run.display_name for run in results if run.is_flaky],
        "without a link, as the API gave none that is an https URL without a credential's value; the ids are whole": [
            f"{run.display_name} is {run.run_id}" for run in results if run.run_id and not run.url
        ],
        "whose link has a credential's value in it, such as the host's name: the log may show stars for it "
        "and GitHub may leave out the outputs with links; the output run-ids is whole": [
            run.display_name for run in results if run.url and contains_secret(run.url)
        ],
        "with incomplete evidence": [problem for run in results for problem in _list_missing_evidence(run)],
    }
    return [
        Diagnostic(f"{pluralize(len(names), 'run')} {problem}: {_join_names(names)}.")
        for problem, names in names_by_problem.items()
        if names
    ]


def _list_missing_evidence(run: RunResult) -> list[str]:
    reasons = [attempt.evidence.missing_reason for attempt in run.previous_attempts] + [run.evidence.missing_reason]
    return [f"{run.display_name}: {reason}" for reason in reasons if reason]


def _join_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(truncate(name, 300) for name in names[:5]) + more
