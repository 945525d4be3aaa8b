"""Labels, counts and sentences that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.escaping import truncate
from autonoma_ci.models import CONTINUING_STATES, ENDED_STATES, Conclusion, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import Report, RunResult, RunStep

# The sort key of each state. Runs that need attention come first. Runs of one state are in the order of the plan. 8 is
# free for a run that passed and is flaky: `sort_by_severity` subtracts 1.
SEVERITY = {
    RunState.FAILED: 0,
    RunState.STOPPED: 1,
    RunState.NOT_STARTED: 2,
    RunState.UNKNOWN: 3,
    RunState.TIMED_OUT: 4,
    RunState.STARTING: 5,
    RunState.PLANNED: 6,
    RunState.STARTED: 7,
    RunState.PASSED: 9,
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
NEEDS_ATTENTION = frozenset(
    {RunState.FAILED, RunState.STOPPED, RunState.NOT_STARTED, RunState.UNKNOWN, RunState.TIMED_OUT}
)
# In these states the API's message is only that the run started. So reports omit the message and the suggestion.
NO_MESSAGE_STATES = frozenset({RunState.PLANNED, RunState.STARTING, RunState.STARTED, RunState.PASSED})
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


def state_emoji(state: RunState, *, flaky: bool) -> str:
    """Return the emoji of a run in this state."""
    return FLAKY_EMOJI if flaky else STATE_EMOJI[state]


def state_label(run: RunResult) -> str:
    """Return the state of a run as words."""
    if run.state is RunState.UNKNOWN and has_run_id_or_url(run):
        return "result unknown"
    if run.reused:
        return "passed in an earlier attempt"
    return "passed, flaky" if run.is_flaky else STATE_LABELS[run.state]


def has_run_id_or_url(run: RunResult) -> bool:
    """Return whether the API named an id or URL for the run."""
    return bool(run.run_id or run.url)


def was_started(run: RunResult) -> bool:
    """Return whether the run certainly started in this build attempt."""
    if run.reused:
        return False
    is_certain = run.state in ENDED_STATES | {RunState.STARTED, RunState.TIMED_OUT}
    return is_certain or (run.state is RunState.UNKNOWN and has_run_id_or_url(run))


def count_states(results: Sequence[RunResult]) -> dict[str, int]:
    """Return the number of runs by the names of the outputs."""
    states = [run.state for run in results]
    return {
        "total": len(states),
        "started": sum(map(was_started, results)),
        "passed": states.count(RunState.PASSED),
        "failed": states.count(RunState.FAILED) + states.count(RunState.STOPPED),
        "flaky": sum(run.is_flaky for run in results),
        "quarantined": sum(run.is_quarantined_failure for run in results),
        "not-started": states.count(RunState.NOT_STARTED),
        "unknown": states.count(RunState.UNKNOWN) + states.count(RunState.STARTING),
    }


def sort_by_severity(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs sorted, those that need attention first."""
    return sorted(results, key=lambda run: SEVERITY[run.state] - run.is_flaky)


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
    if report.verdict and report.verdict.conclusion is Conclusion.SKIPPED:
        return f"Dry run: {pluralize(len(report.results), 'run')} planned, nothing was sent."
    parts = _format_results(report.results) if report.waits_for_results else _format_starts(report.results)
    return ", ".join(parts) + "."


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


def _format_results(results: Sequence[RunResult]) -> list[str]:
    states = [run.state for run in results]
    flaky_count = sum(run.is_flaky for run in results)
    reused_count = sum(run.reused and run.state is RunState.PASSED for run in results)
    notes = [f"{flaky_count} flaky"] if flaky_count else []
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
    passed = f"{states.count(RunState.PASSED)} of {pluralize(len(states), 'run')} passed"
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


def pluralize(number: int, noun: str) -> str:
    """Return the number and the noun, such as `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
