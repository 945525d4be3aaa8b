"""Format log lines of runs, and build diagnostics of failures and warnings.

The log has a line for each change of a run. It is the same on every CI system, in a dry run and at a terminal:

    STATUS  NAME  (DURATION, attempt N)  — REASON  URL

Two spaces separate the parts, and a part never has two spaces in a row. So a program can split a line at two spaces.
Empty parts are left out with their separator.

- STATUS is the state in results.json, in upper case.
- NAME is the name of the run, or else its id.
- DURATION is only in the line of a run that has ended, and `attempt N` only from the second attempt.
- REASON of a started run with a name is its kind and id. It also begins with them if the run has neither run id nor
  URL, so that the user finds a wrong id. For a planned run without a name, it begins with the kind.
- REASON of a run that failed in quarantine begins with `quarantined until` and the date.
- URL is the URL of the run. Without one, it is `run` with the run id.

The line of a heartbeat has the number of running runs as its name, and the counts of the others as its reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import format_duration, safe_url, sanitize_line, truncate
from autonoma_ci.models import ENDED_STATES, Conclusion, RunState
from autonoma_ci.reports.summary import (
    describe_new_quarantine,
    describe_quarantine,
    describe_step,
    format_headline,
    has_resumable_runs,
    has_run_id_or_url,
    is_failure,
    join_names,
    pluralize,
    rerun_hint,
    resume_hint,
    select_rerun_command,
    sort_by_severity,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autonoma_ci.models import Report, RunResult

# How many runs the diagnostic of a group names.
_MAX_NAMED_RUNS = 3
# How many runs in quarantine the end of the log lists.
_MAX_LISTED_RUNS = 20
# GitHub's runner stores ten annotations of each kind per step. The tenth counts the omitted ones.
MAX_ANNOTATIONS = 9
_MAX_COMMAND_TEXT_CHARS = 3500
_PART_SEPARATOR = "  "
# A log line has at most 4,000 characters. With these limits, a URL of 2,000 characters is never cut.
_MAX_NAME_CHARS = 300
_MAX_REASON_CHARS = 1500
_MAX_WARNED_NAMES = 5
_FLAKY_CAUSE = "a pass after a failure counts as failed here"
_NO_URL_HINT = "The API returned no https URL without credentials. Use the run ids."
_MASKED_URL_HINT = (
    "The log may show *** for the URL, and GitHub may omit outputs with URLs. Output run-ids is complete."
)


def format_run(run: RunResult, details: str = "") -> str:
    """Return the line of one run, not yet escaped.

    Args:
        run: The run.
        details: What a planned run is started with.

    """
    duration = format_duration(run.duration_seconds) if run.state in ENDED_STATES and not run.reused else ""
    attempt = f"attempt {run.attempt_count}" if run.previous_attempts else ""
    return _join_parts(
        run.state.upper(),
        _sanitize_part(run.display_name, _MAX_NAME_CHARS) or run.request.id,
        ", ".join(filter(None, [duration, attempt])),
        _sanitize_part(_describe_reason(run, details), _MAX_REASON_CHARS),
        _sanitize_part(run.url or (f"run {run.run_id}" if run.run_id else "")),
    )


def _describe_reason(run: RunResult, details: str) -> str:
    if run.reused:
        return "passed in an earlier attempt"
    target = f"{run.request.kind} {run.request.id}" if run.display_name != run.request.id else ""
    # Here the API's message is only that the run started.
    if run.state is RunState.STARTED:
        return target
    if run.state is RunState.PASSED:
        return ", ".join(["flaky"] * run.is_flaky + ["in quarantine"] * bool(run.request.quarantine))
    if has_run_id_or_url(run):
        target = ""
    elif run.state is RunState.PLANNED:
        target = target or run.request.kind
    if run.is_quarantined_failure:
        target = f"quarantined {describe_quarantine(run)}"
    return ": ".join(filter(None, [target, details, describe_step(run.step), run.message]))


def _join_parts(status: str, name: str, timing: str, reason: str, url: str = "") -> str:
    parts = [status, name, timing and f"({timing})", reason and f"— {reason}", url]
    return _PART_SEPARATOR.join(filter(None, parts))


def _sanitize_part(text: str, limit: int = 4000) -> str:
    """Return the text on one line, without two spaces in a row."""
    return re.sub(" {2,}", " ", sanitize_line(text, limit)).strip(" ")


def format_heartbeat(results: Sequence[RunResult], elapsed_seconds: float) -> str:
    """Return a line that counts the runs in each state.

    The log has such a line from time to time, so that users see that the job step is still waiting.
    """
    states = [run.state for run in results]
    names = ["quarantined" if run.is_quarantined_failure else run.state.value for run in results]
    counts = [(names.count(name), name) for name in [*RunState, "quarantined"] if name != RunState.STARTED]
    return _join_parts(
        RunState.STARTED.upper(),
        f"{states.count(RunState.STARTED)} of {pluralize(len(states), 'run')}",
        format_duration(elapsed_seconds),
        ", ".join(f"{number} {name}" for number, name in counts if number),
    )


def group_failures(
    results: Sequence[RunResult], web_base_url: str = "", *, fails_on_flaky: bool = False
) -> list[Diagnostic]:
    """Return one diagnostic for each kind of failure, worst first.

    A failed run has its own diagnostic. Other runs share one if they have the same state, message and suggestion.
    At most `MAX_ANNOTATIONS` kinds are returned, then a count of the others. Failures in quarantine are left out.

    Args:
        results: All runs.
        web_base_url: The URL to open for runs that may have started.
        fails_on_flaky: Whether a pass after a failure counts as a failure.
    """
    groups: dict[tuple[str, str, str, str], list[RunResult]] = {}
    for run in sort_by_severity(results):
        if is_failure(run, fails_on_flaky=fails_on_flaky):
            texts = [_FLAKY_CAUSE] if run.is_flaky else [describe_step(run.step), run.message]
            cause = ": ".join(filter(None, texts))
            # Two tests that failed in the same way are two failures, each with its own link.
            link = run.url if run.state in {RunState.FAILED, RunState.PASSED} else ""
            groups.setdefault((state_label(run), cause, run.suggestion, link), []).append(run)
    diagnostics = [
        _build_diagnostic(label, cause, suggestion, group, web_base_url)
        for (label, cause, suggestion, _), group in groups.items()
    ]
    reported = diagnostics[:MAX_ANNOTATIONS]
    if len(diagnostics) > MAX_ANNOTATIONS:
        omitted = pluralize(len(diagnostics) - MAX_ANNOTATIONS, "more kind")
        reported.append(Diagnostic(f"{omitted} of failure. The log has all failures."))
    return reported


def _build_diagnostic(
    label: str, cause: str, suggestion: str, group: Sequence[RunResult], web_base_url: str
) -> Diagnostic:
    named = group[:_MAX_NAMED_RUNS]
    names = ", ".join(truncate(run.display_name, 100) for run in named)
    more = f" and {len(group) - len(named)} more" if len(group) > len(named) else ""
    text = f"{label[0].upper()}{label[1:]}: {names}{more}" + (f": {cause.rstrip('.')}." if cause else ".")
    url = (
        web_base_url
        if group[0].state is RunState.UNKNOWN and not has_run_id_or_url(group[0])
        else safe_url(group[0].url)
    )
    link = f"See {url}" if url else ""
    # The runs of a matrix have the same command.
    # A flaky run is in a group only if it counts as failed.
    commands = dict.fromkeys(filter(None, (select_rerun_command(run, fails_on_flaky=True) for run in named)))
    again = f"Run again: {'; '.join(commands)}" if commands else ""
    # In a longer text, a CI system would cut the command.
    parts = [text, suggestion, link, again if len(text + suggestion + link + again) < _MAX_COMMAND_TEXT_CHARS else ""]
    return Diagnostic(" ".join(filter(None, parts)))


def format_summary_lines(report: Report, report_path: str = "") -> Iterator[str]:
    """Yield the last lines of the log.

    They contain the failures in quarantine, the path of report.html and the result in one sentence. The last ones are
    the number of runs that continue in Autonoma, and the command that waits for them.

    Args:
        report: The final report.
        report_path: The path of report.html, or an empty text if it was not written.

    """
    is_cancelled = bool(report.verdict and report.verdict.conclusion is Conclusion.CANCELLED)
    yield from _format_quarantine(report)
    if hint := rerun_hint(report):
        yield hint
    # The log has the reason of a skipped step already, as an annotation.
    if not (report.input_errors or report.skip_reason):
        if report_path and report.results:
            yield f"Report: {report_path}"
        # Also the notes about the plan.
        headline = format_headline(report._replace(plan_notes=()))
        yield headline if headline.startswith("Cancelled") or not is_cancelled else f"Cancelled. {headline}"
    if not has_resumable_runs(report):
        return
    if report.waits_for_results or is_cancelled:
        yield resume_hint(report)
    if report.resume_command:
        yield f"To wait for the results: {report.resume_command}"
    elif not report.results_dir:
        yield "To wait for the results later, set results-dir. The command autonoma-ci wait needs its results.json."


def _format_quarantine(report: Report) -> Iterator[str]:
    """Yield a line for each run that failed in quarantine.

    The last line has the entries that this change put in quarantine.
    """
    runs = [run for run in report.results if run.is_quarantined_failure]
    if runs:
        yield f"Failed in quarantine, not counted: {pluralize(len(runs), 'run')}"
    for run in runs[:_MAX_LISTED_RUNS]:
        yield f"  {_describe_quarantined_run(run)}"
    if len(runs) > _MAX_LISTED_RUNS:
        yield f"  and {len(runs) - _MAX_LISTED_RUNS} more"
    if new_quarantine := describe_new_quarantine(report):
        yield new_quarantine


def _describe_quarantined_run(run: RunResult) -> str:
    request, command = run.request, select_rerun_command(run)
    issue = request.quarantine.issue if request.quarantine else ""
    parts = [
        _sanitize_part(run.display_name, _MAX_NAME_CHARS) or request.id,
        _sanitize_part(request.owner and f"owner {request.owner}", _MAX_NAME_CHARS),
        _sanitize_part(f"— quarantined {describe_quarantine(run)}", _MAX_REASON_CHARS),
        _sanitize_part(issue and f"issue {issue}", _MAX_NAME_CHARS),
        command and f"Run again: {command}",
    ]
    return _PART_SEPARATOR.join(filter(None, parts))


def collect_warnings(
    results: Sequence[RunResult], contains_secret: Callable[[str], bool], *, fails_on_flaky: bool = False
) -> list[Diagnostic]:
    """Return one warning for each kind of problem besides failures.

    Args:
        results: All runs.
        contains_secret: Returns whether a text contains a value that the CI system masks. GitHub does not pass an
            output with such a value to later jobs.
        fails_on_flaky: Whether a pass after a failure counts as a failure, and so is no warning.
    """
    quarantined_names = [run.display_name for run in results if run.is_quarantined_failure]
    passed = [run for run in results if not is_failure(run, fails_on_flaky=fails_on_flaky)]
    flaky_names = [run.display_name for run in passed if run.is_flaky]
    names_without_url = [f"{run.display_name} (run {run.run_id})" for run in results if run.run_id and not run.url]
    names_with_secret = [run.display_name for run in results if run.url and contains_secret(run.url)]
    evidence_problems = [problem for run in results for problem in _list_missing_evidence(run)]
    problems = (
        ("failed in quarantine, not counted", quarantined_names, ""),
        ("passed only after a failure (flaky)", flaky_names, ""),
        ("without URL", names_without_url, f" {_NO_URL_HINT}"),
        ("with a credential in the URL", names_with_secret, f" {_MASKED_URL_HINT}"),
        ("with incomplete evidence", evidence_problems, ""),
    )
    return [
        Diagnostic(f"{pluralize(len(names), 'run')} {problem}: {join_names(names, _MAX_WARNED_NAMES)}.{hint}")
        for problem, names, hint in problems
        if names
    ]


def _list_missing_evidence(run: RunResult) -> list[str]:
    reasons = [attempt.evidence.missing_reason for attempt in run.previous_attempts] + [run.evidence.missing_reason]
    return [f"{run.display_name}: {reason}" for reason in reasons if reason]
