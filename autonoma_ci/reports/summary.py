"""Labels, counts and sentences that all reports share."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line, truncate
from autonoma_ci.models import CONTINUING_STATES, ENDED_STATES, Conclusion, ExitReason, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autonoma_ci.models import ChangeSummary, Report, RunResult, RunStep


class RunCategory(StrEnum):
    """What a run means for the job step, in the order of reports.

    Each value is also a class in report.css.
    """

    PROBLEM = "bad"
    OPEN = "open"  # not ended
    FLAKY = "flaky"  # can count as failed
    QUARANTINED = "quarantined"  # failed, and does not count
    PASSED = "good"


_CATEGORY_ORDER = {category: number for number, category in enumerate(RunCategory)}
# The order of the states within a category. Runs of one state are in the order of the plan.
_STATE_ORDER = {
    RunState.FAILED: 0,
    RunState.STOPPED: 1,
    RunState.NOT_STARTED: 2,
    RunState.UNKNOWN: 3,
    RunState.TIMED_OUT: 4,
    RunState.STARTING: 5,
    RunState.PLANNED: 6,
    RunState.STARTED: 7,
    RunState.PASSED: 8,
}
_CATEGORY_BY_STATE = {
    RunState.STARTING: RunCategory.OPEN,
    RunState.PLANNED: RunCategory.OPEN,
    RunState.STARTED: RunCategory.OPEN,
    RunState.PASSED: RunCategory.PASSED,
}
STATE_LABELS = {
    RunState.PLANNED: "planned",
    RunState.STARTING: "starting",
    RunState.STARTED: "started",
    RunState.PASSED: "passed",
    RunState.FAILED: "failed",
    RunState.STOPPED: "stopped",
    RunState.TIMED_OUT: "timed out",
    RunState.NOT_STARTED: "not started",
    RunState.UNKNOWN: "may have started",
}
# In these states the API's message is only that the run started. So reports omit the message and the suggestion.
NO_MESSAGE_STATES = frozenset({RunState.PLANNED, RunState.STARTING, RunState.STARTED, RunState.PASSED})
_FAILED_STATES = frozenset({RunState.FAILED, RunState.STOPPED})
# The emoji of each state, the same in all texts with emojis.
STATE_EMOJI = {
    RunState.PLANNED: "⏳",
    RunState.STARTING: "⏳",
    RunState.STARTED: "🚀",
    RunState.PASSED: "✅",
    RunState.FAILED: "❌",
    RunState.STOPPED: "🛑",
    RunState.TIMED_OUT: "⏰",
    RunState.NOT_STARTED: "❌",
    RunState.UNKNOWN: "❔",
}
FLAKY_EMOJI = "⚠️"
QUARANTINE_EMOJI = "🚧"
# Where the changed files come from, by `ChangeSummary.source`.
_CHANGE_SOURCES = {"clone": "from the clone", "api": "from GitHub's API", "list": "from changed-files"}
# A longer command is not shown, because a part of a command is another command.
_MAX_COMMAND_CHARS = 1000
_MAX_LISTED_NAMES = 10


def categorize_run(run: RunResult) -> RunCategory:
    """Return what the run means for the job step."""
    if run.is_quarantined_failure:
        return RunCategory.QUARANTINED
    if run.is_flaky:
        return RunCategory.FLAKY
    return _CATEGORY_BY_STATE.get(run.state, RunCategory.PROBLEM)


def categorize_attempts(run: RunResult) -> RunCategory:
    """Return what the failed attempts before a retry mean."""
    return RunCategory.QUARANTINED if run.request.quarantine else RunCategory.PROBLEM


def state_emoji(state: RunState, category: RunCategory) -> str:
    """Return the emoji of a run in this state and category."""
    return {RunCategory.FLAKY: FLAKY_EMOJI, RunCategory.QUARANTINED: QUARANTINE_EMOJI}.get(category, STATE_EMOJI[state])


def state_label(run: RunResult) -> str:
    """Return the state of a run as words.

    The label of a failure in quarantine has a text of the manifest or of results.json.
    """
    if run.state is RunState.UNKNOWN and has_run_id_or_url(run):
        return "result unknown"
    if run.reused:
        return "passed in an earlier attempt"
    if run.request.quarantine and run.is_quarantined_failure:
        return f"{STATE_LABELS[run.state]}, quarantined until {run.request.quarantine.until}"
    return "passed, flaky" if run.is_flaky else STATE_LABELS[run.state]


def describe_quarantine(run: RunResult) -> str:
    """Return the end and the reason of the quarantine, such as `until 2026-12-31: login is late`.

    It is empty for a run that is not in quarantine. Both are texts of the manifest or of results.json.
    """
    quarantine = run.request.quarantine
    if not quarantine:
        return ""
    return f"until {quarantine.until}" + (f": {quarantine.reason}" if quarantine.reason else "")


def counts_flaky_as_failed(report: Report) -> bool:
    """Return whether the job step failed because runs are flaky."""
    return bool(report.verdict and report.verdict.reason is ExitReason.FLAKY)


def label_flaky_runs(report: Report) -> str:
    """Return `flaky`, and whether such runs decided the result."""
    if not counts_flaky_as_failed(report):
        return "flaky"
    has_uncounted = any(run.is_flaky and run.request.quarantine for run in report.results)
    return f"flaky, counted as failed{' outside of quarantine' if has_uncounted else ''}"


def is_failure(run: RunResult, *, fails_on_flaky: bool) -> bool:
    """Return whether the run decides that the job step fails.

    Args:
        run: The run.
        fails_on_flaky: Whether a pass after a failure counts as a failure.
    """
    category = categorize_run(run)
    return category is RunCategory.PROBLEM or (
        fails_on_flaky and category is RunCategory.FLAKY and not run.request.quarantine
    )


def select_rerun_command(run: RunResult, *, fails_on_flaky: bool = False) -> str:
    """Return the command that runs a failed run again, or an empty text.

    A command that a report would change or cut is left out.

    Args:
        run: The run.
        fails_on_flaky: Whether a pass after a failure counts as a failure.
    """
    command = run.request.rerun_command
    has_failed = run.is_quarantined_failure or is_failure(run, fails_on_flaky=fails_on_flaky)
    is_exact = len(command) <= _MAX_COMMAND_CHARS and sanitize_line(command) == command.strip()
    return command.strip() if has_failed and is_exact else ""


def rerun_hint(report: Report) -> str:
    """Return what the commands that run a failure again leave out.

    It is empty if there is no such command, or if no option sets a variable.
    """
    fails_on_flaky = counts_flaky_as_failed(report)
    commands = (select_rerun_command(run, fails_on_flaky=fails_on_flaky) for run in report.results)
    if not report.option_variables or not any(commands):
        return ""
    return f"The commands leave out variables of this step. Add --var for {join_names(report.option_variables)}."


def describe_changed_files(change: ChangeSummary, base: str) -> str:
    """Return the number of changed files, or an empty text if it is unknown.

    Args:
        change: How the changed files were found.
        base: The base of `change`, as the report shows a commit.
    """
    if change.file_count is None:
        return ""
    compared = f", compared with {base}" if base else ""
    source = f" ({_CHANGE_SOURCES[change.source]})" if change.source in _CHANGE_SOURCES else ""
    return f"{change.file_count:,}{compared}{source}"


def describe_full_run(change: ChangeSummary) -> str:
    """Return why `when` left out no entry, or an empty text."""
    return f"`when` left nothing out: {change.full_run_reason.rstrip('.')}." if change.full_run_reason else ""


def describe_new_quarantine(report: Report) -> str:
    """Return which entries this change put in quarantine, or an empty text."""
    names = report.quarantined_by_change
    return f"Quarantined by this change: {join_names(names)}." if names else ""


def find_environment(report: Report) -> str:
    """Return the name of the environment of the runs, or an empty text."""
    return next((run.request.environment for run in report.results if run.request.environment), "")


def join_names(names: Sequence[str], limit: int = _MAX_LISTED_NAMES) -> str:
    """Return at most `limit` names, and the number of the others."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(truncate(name, 300) for name in names[:limit]) + more


def has_run_id_or_url(run: RunResult) -> bool:
    """Return whether the API named an id or URL for the run."""
    return bool(run.run_id or run.url)


def was_started(run: RunResult) -> bool:
    """Return whether the run certainly started in this build attempt."""
    if run.reused:
        return False
    is_certain = run.state in ENDED_STATES | {RunState.STARTED, RunState.TIMED_OUT}
    return is_certain or (run.state is RunState.UNKNOWN and has_run_id_or_url(run))


def was_any_run_sent(report: Report) -> bool:
    """Return whether the job step did more than plan its runs."""
    return any(run.state is not RunState.PLANNED for run in report.results)


def count_states(results: Sequence[RunResult]) -> dict[str, int]:
    """Return the number of runs by the names of the outputs."""
    states = [run.state for run in results]
    return {
        "total": len(states),
        "started": sum(map(was_started, results)),
        "passed": states.count(RunState.PASSED),
        "failed": sum(run.state in _FAILED_STATES and not run.is_quarantined_failure for run in results),
        "flaky": sum(run.is_flaky for run in results),
        "quarantined": sum(run.is_quarantined_failure for run in results),
        "not-started": states.count(RunState.NOT_STARTED),
        "unknown": states.count(RunState.UNKNOWN) + states.count(RunState.STARTING),
    }


def sort_by_severity(results: Iterable[RunResult]) -> list[RunResult]:
    """Return the runs sorted, those that need attention first."""
    return sorted(results, key=lambda run: (_CATEGORY_ORDER[categorize_run(run)], _STATE_ORDER[run.state]))


def group_by_category(results: Iterable[RunResult]) -> list[tuple[RunCategory, list[RunResult]]]:
    """Return the sorted runs of each category that has runs."""
    return [(category, list(runs)) for category, runs in groupby(sort_by_severity(results), categorize_run)]


def needs_sections(results: Iterable[RunResult]) -> bool:
    """Return whether reports show the categories of runs apart.

    It is so if a run failed in quarantine or is flaky.
    """
    return any(categorize_run(run) in {RunCategory.QUARANTINED, RunCategory.FLAKY} for run in results)


def has_resumable_runs(report: Report) -> bool:
    """Return whether a later job step could wait for any run."""
    return _count_resumable(report) > 0


def _count_resumable(report: Report) -> int:
    return sum(bool(run.run_id) and run.state in CONTINUING_STATES for run in report.results)


def resume_hint(report: Report) -> str:
    """Return a sentence that counts the runs which still continue.

    It is empty if no run continues after the job step.
    """
    count = _count_resumable(report)
    if not count:
        return ""
    verb = "continues" if count == 1 else "continue"
    return f"{pluralize(count, 'run')} {verb} in Autonoma, because the API cannot cancel runs."


def format_headline(report: Report) -> str:
    """Return the result of the job step in one sentence."""
    if report.input_errors:
        return f"{pluralize(len(report.input_errors), 'problem')} with the input. Nothing was sent."
    if report.skip_reason:
        return report.skip_reason
    if not report.results and report.verdict and report.verdict.conclusion is Conclusion.CANCELLED:
        return "Cancelled before anything was started."
    if not report.results:
        return " ".join(["Nothing was selected, so nothing was started.", *report.plan_notes])
    is_skipped = bool(report.verdict and report.verdict.conclusion is Conclusion.SKIPPED)
    if is_skipped and not was_any_run_sent(report):
        return f"Dry run: {pluralize(len(report.results), 'run')} planned, nothing was sent."
    parts = _format_results(report) if report.waits_for_results else _format_starts(report.results)
    return ("Nothing that counts was run: " if is_skipped else "") + ", ".join(parts) + "."


def _format_starts(results: Sequence[RunResult]) -> list[str]:
    counts = count_states(results)
    reused_count = sum(run.reused and run.state is RunState.PASSED for run in results)
    other_counts = {
        "passed in an earlier attempt": reused_count,
        "not started": counts["not-started"],
        "may have started": counts["unknown"],
    }
    other_counts["planned"] = counts["total"] - counts["started"] - sum(other_counts.values())
    parts = [f"{counts['started']} of {pluralize(counts['total'], 'run')} started"]
    return parts + [f"{number} {label}" for label, number in other_counts.items() if number]


def _format_results(report: Report) -> list[str]:
    results = report.results
    states = [run.state for run in results if not run.is_quarantined_failure]
    quarantined_states = [run.state for run in results if run.is_quarantined_failure]
    flaky_count = sum(run.is_flaky for run in results)
    reused_count = sum(run.reused and run.state is RunState.PASSED for run in results)
    notes = [f"{flaky_count} {label_flaky_runs(report)}"] if flaky_count else []
    notes += [f"{reused_count} in an earlier attempt"] if reused_count else []
    unknown_end_count = sum(run.state is RunState.UNKNOWN and has_run_id_or_url(run) for run in results)
    other_counts = {
        "failed": states.count(RunState.FAILED),
        "stopped": states.count(RunState.STOPPED),
        "not started": states.count(RunState.NOT_STARTED),
        "may have started": states.count(RunState.UNKNOWN) + states.count(RunState.STARTING) - unknown_end_count,
        "with unknown result": unknown_end_count,
        "still running": states.count(RunState.TIMED_OUT) + states.count(RunState.STARTED),
        "planned": states.count(RunState.PLANNED),
    }
    for state, label in STATE_LABELS.items():
        other_counts[f"{label} in quarantine"] = quarantined_states.count(state)
    passed = f"{states.count(RunState.PASSED)} of {pluralize(len(results), 'run')} passed"
    passed += f" ({', '.join(notes)})" if notes else ""
    return [passed] + [f"{number} {label}" for label, number in other_counts.items() if number]


def describe_step(step: RunStep | None) -> str:
    """Return the failing step with its instruction and output.

    The text is empty without a step.
    """
    if not step:
        return ""
    instruction = f", {truncate(step.instruction, 200)}" if step.instruction else ""
    return f"test step {step.number}{instruction}" + (f": {truncate(step.output, 500)}" if step.output else "")


def pluralize(number: int, noun: str, plural: str = "") -> str:
    """Return the number and the noun, such as `2 runs`.

    Args:
        number: The number.
        noun: The singular.
        plural: The plural. If empty, it is the singular with an `s`.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
