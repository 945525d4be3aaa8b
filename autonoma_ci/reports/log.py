"""The log: a line for each change of a run, then the whole in one sentence, then what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import format_duration, safe_url, truncate
from autonoma_ci.models import Conclusion, RunState
from autonoma_ci.reports.summary import (
    ENDED_STATES,
    NEEDS_ATTENTION,
    describe_step,
    format_headline,
    has_open_runs,
    has_run,
    pluralize,
    resume_hint,
    sort_by_severity,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autonoma_ci.models import Report, RunResult

# Runners keep ten annotations of each kind per step; the last place is for the count of the others.
MAX_ANNOTATIONS = 9


def format_run(outcome: RunResult) -> str:
    """Return what the log says of one run; not yet escaped."""
    request = outcome.request
    name = (
        outcome.display_name
        if outcome.display_name == request.id
        else f"{outcome.display_name} ({request.kind} {request.id})"
    )
    if outcome.display_name == request.id:
        name = f"{request.kind} {request.id}"
    took = (
        f" in {format_duration(outcome.duration_seconds)}"
        if outcome.state in ENDED_STATES and not outcome.reused
        else ""
    )
    again = f" (attempt {outcome.attempt_count})" if outcome.previous_attempts else ""
    told = [text for text in (describe_step(outcome.step), _message(outcome), outcome.url or outcome.run_id) if text]
    return ": ".join([f"{state_label(outcome)}: {name}{again}{took}", *told])


def _message(outcome: RunResult) -> str:
    # What the API says of a run that started or passed is that it started.
    return "" if outcome.state in {RunState.STARTED, RunState.PASSED} else outcome.message


def format_heartbeat(outcomes: Sequence[RunResult], seconds: float) -> str:
    """Return the line that says that the step is alive, and what it waits for."""
    states = [outcome.state for outcome in outcomes]
    counted = {
        "running": states.count(RunState.STARTED),
        "being started": states.count(RunState.STARTING),
        "waiting": states.count(RunState.PLANNED),
        "passed": states.count(RunState.PASSED),
        "failed": states.count(RunState.FAILED) + states.count(RunState.STOPPED),
        "not started": states.count(RunState.NOT_STARTED),
        "unknown": states.count(RunState.UNKNOWN),
    }
    told = ", ".join(f"{number} {words}" for words, number in counted.items() if number)
    return f"{format_duration(seconds)}: {told or 'nothing is left to wait for'}."


def group_failures(outcomes: Sequence[RunResult], site: str = "") -> list[Diagnostic]:
    """Return what went wrong, worst first: each failure, and what went wrong in the same way for many runs once.

    `site` is the web address to look at for runs that may have started.
    """
    alike: dict[tuple[str, str, str, str], list[RunResult]] = {}
    for outcome in sort_by_severity(outcomes):
        if outcome.state in NEEDS_ATTENTION:
            what = ": ".join(text for text in (describe_step(outcome.step), outcome.message) if text)
            # Two tests that failed alike are two failures, each with a link of its own.
            page = outcome.url if outcome.state is RunState.FAILED else ""
            alike.setdefault((state_label(outcome), what, outcome.suggestion, page), []).append(outcome)
    problems = [_issue(words, what, hint, group, site) for (words, what, hint, _), group in alike.items()]
    kept = problems[:MAX_ANNOTATIONS]
    if len(problems) > MAX_ANNOTATIONS:
        more = pluralize(len(problems) - MAX_ANNOTATIONS, "more kind")
        kept.append(Diagnostic(f"and {more} of failure. The log has all failures."))
    return kept


def _issue(words: str, what: str, hint: str, group: Sequence[RunResult], site: str) -> Diagnostic:
    names = ", ".join(truncate(outcome.display_name, 100) for outcome in group[:3])
    more = f" and {len(group) - 3} more" if len(group) > 3 else ""
    text = f"{words}: {names}{more}" + (f": {what.rstrip('.')}." if what else ".")
    page = site if group[0].state is RunState.UNKNOWN and not has_run(group[0]) else safe_url(group[0].url)
    look = f"Look here: {page}" if page else ""
    return Diagnostic(" ".join(part for part in (text, hint, look) if part))


def format_summary_lines(report: Report) -> Iterator[str]:
    """Yield the end of the log: the result in one sentence, what continues in Autonoma, and how to wait for it."""
    is_cancelled = bool(report.verdict and report.verdict.conclusion is Conclusion.CANCELLED)
    if not report.input_errors:
        said = format_headline(report)
        yield said if said.startswith("Cancelled") or not is_cancelled else f"Cancelled. {said}"
    if not has_open_runs(report):
        return
    if report.waits_for_results or is_cancelled:
        yield resume_hint(report)
    if report.resume_command:
        yield f"To wait for the results: {report.resume_command}"
    elif not report.results_dir:
        yield "To wait for runs later, set results-dir: the step then leaves a record for autonoma-ci wait."


def collect_warnings(outcomes: Sequence[RunResult], holds_secret: Callable[[str], bool]) -> list[Diagnostic]:
    """Return what to know beside failures, one warning for each kind of it.

    `holds_secret` says whether a text has a value that the CI system masks: GitHub hands no output with one to
    later jobs.
    """
    found = {
        "passed only after a failure (flaky)": [run.display_name for run in outcomes if run.is_flaky],
        "without a link, as the API gave none that is an https URL without a credential's value; the ids are whole": [
            f"{run.display_name} is {run.run_id}" for run in outcomes if run.run_id and not run.url
        ],
        "whose link has a credential's value in it, such as the host's name: the log may show stars for it "
        "and GitHub may leave out the outputs with links; the output run-ids is whole": [
            run.display_name for run in outcomes if run.url and holds_secret(run.url)
        ],
        "with incomplete evidence": [told for run in outcomes for told in _missing(run)],
    }
    return [
        Diagnostic(f"{pluralize(len(names), 'run')} {what}: {_listed(names)}.")
        for what, names in found.items()
        if names
    ]


def _missing(run: RunResult) -> list[str]:
    told = [part.evidence.missing_reason for part in run.previous_attempts] + [run.evidence.missing_reason]
    return [f"{run.display_name}: {why}" for why in told if why]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(truncate(name, 300) for name in names[:5]) + more
