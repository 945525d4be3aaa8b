"""The words and counts that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.escaping import truncate
from autonoma_ci.models import Conclusion, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import Report, RunResult, RunStep

# What needs a look first comes first; within one rank the plan's order holds, and a flaky pass leads the passes.
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
    RunState.PLANNED: "waiting",
    RunState.STARTING: "starting",
    RunState.STARTED: "started",
    RunState.PASSED: "passed",
    RunState.FAILED: "failed",
    RunState.STOPPED: "stopped",
    RunState.TIMED_OUT: "still running",
    RunState.NOT_STARTED: "not started",
    RunState.UNKNOWN: "may have started",
}
NEEDS_ATTENTION = frozenset(
    {RunState.FAILED, RunState.STOPPED, RunState.NOT_STARTED, RunState.UNKNOWN, RunState.TIMED_OUT}
)
ENDED_STATES = frozenset({RunState.PASSED, RunState.FAILED, RunState.STOPPED})
# What the API said of such a run is that it started: its message and hint are no news.
NO_MESSAGE_STATES = frozenset({RunState.PLANNED, RunState.STARTING, RunState.STARTED, RunState.PASSED})


# One sign for each state, in every text that has pictures.
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
# How these systems call a change; all others have pull requests.
_CHANGES = {"gitlab": "merge request"}
# The systems in the words of their makers, by the names that they have here.
_SYSTEMS = {
    "github": "GitHub Actions",
    "gitlab": "GitLab",
    "jenkins": "Jenkins",
    "azure": "Azure Pipelines",
    "circleci": "CircleCI",
    "bitbucket": "Bitbucket",
    "buildkite": "Buildkite",
    "teamcity": "TeamCity",
    "travis": "Travis CI",
    "appveyor": "AppVeyor",
    "woodpecker": "Woodpecker",
    "harness": "Harness",
    "drone": "Drone",
    "semaphore": "Semaphore",
    "bitrise": "Bitrise",
    "codefresh": "Codefresh",
    "codebuild": "AWS CodeBuild",
    "cloudbuild": "Google Cloud Build",
    "gitea": "Gitea",
    "forgejo": "Forgejo",
    "ci": "a CI system",
    "cli": "the command line",
}


def state_emoji(state: RunState, *, flaky: bool) -> str:
    """Return the sign of a run in this state."""
    return FLAKY_EMOJI if flaky else STATE_EMOJI[state]


def change_noun(ci: str) -> str:
    """Return what the CI system calls a change: pull request or merge request."""
    return _CHANGES.get(ci, "pull request")


def source_label(source: str) -> str:
    """Return in words where the runs were started from; a source that the user gave stays as it is."""
    return _SYSTEMS.get(source, source)


def state_label(outcome: RunResult) -> str:
    """Return how the run stands, in words."""
    if outcome.state is RunState.UNKNOWN and has_run(outcome):
        return "end unknown"
    if outcome.reused:
        return "passed in an earlier attempt"
    return "passed, flaky" if outcome.is_flaky else STATE_LABELS[outcome.state]


def has_run(outcome: RunResult) -> bool:
    """Say whether the API named a run for it."""
    return bool(outcome.run_id or outcome.url)


def was_started(outcome: RunResult) -> bool:
    """Return whether the run is known to have been started, in this attempt."""
    if outcome.reused:
        return False
    known = outcome.state in ENDED_STATES | {RunState.STARTED, RunState.TIMED_OUT}
    return known or (outcome.state is RunState.UNKNOWN and has_run(outcome))


def count_states(outcomes: Sequence[RunResult]) -> dict[str, int]:
    """Return the totals that the outputs name."""
    states = [outcome.state for outcome in outcomes]
    return {
        "total": len(states),
        "started": sum(map(was_started, outcomes)),
        "passed": states.count(RunState.PASSED),
        "failed": states.count(RunState.FAILED) + states.count(RunState.STOPPED),
        "not-started": states.count(RunState.NOT_STARTED),
        "unknown": states.count(RunState.UNKNOWN) + states.count(RunState.STARTING),
    }


def sort_by_severity(outcomes: Sequence[RunResult]) -> list[RunResult]:
    """Return the outcomes with what needs a look before what does not."""
    return sorted(outcomes, key=lambda outcome: SEVERITY[outcome.state] - outcome.is_flaky)


def has_open_runs(report: Report) -> bool:
    """Return whether there are runs whose end a later step could wait for."""
    return _count_open(report) > 0


def _count_open(report: Report) -> int:
    open_states = {RunState.STARTED, RunState.TIMED_OUT, RunState.UNKNOWN}
    return sum(bool(run.run_id) and run.state in open_states for run in report.results)


def resume_hint(report: Report) -> str:
    """Return how many runs continue after the step; empty if there are none."""
    count = _count_open(report)
    if not count:
        return ""
    verb, them = ("continues", "it") if count == 1 else ("continue", "them")
    return f"{pluralize(count, 'run')} {verb} in Autonoma: the API has no way to cancel {them}."


def format_headline(report: Report) -> str:
    """Return the whole in one sentence."""
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
    parts = _ends(report.results) if report.waits_for_results else _starts(report.results)
    return ", ".join(parts) + "."


def _starts(outcomes: Sequence[RunResult]) -> list[str]:
    count = count_states(outcomes)
    carried = sum(outcome.reused and outcome.state is RunState.PASSED for outcome in outcomes)
    others = {
        "passed in an earlier attempt": carried,
        "not started": count["not-started"],
        "may have started": count["unknown"],
    }
    others["waiting"] = count["total"] - count["started"] - sum(others.values())
    parts = [f"{count['started']} of {pluralize(count['total'], 'run')} started"]
    return parts + [f"{number} {words}" for words, number in others.items() if number]


def _ends(outcomes: Sequence[RunResult]) -> list[str]:
    states = [outcome.state for outcome in outcomes]
    flaky = sum(outcome.is_flaky for outcome in outcomes)
    carried = sum(outcome.reused and outcome.state is RunState.PASSED for outcome in outcomes)
    marks = [f"{flaky} flaky"] if flaky else []
    marks += [f"{carried} in an earlier attempt"] if carried else []
    unknown = sum(outcome.state is RunState.UNKNOWN and has_run(outcome) for outcome in outcomes)
    others = {
        "failed": states.count(RunState.FAILED),
        "stopped": states.count(RunState.STOPPED),
        "not started": states.count(RunState.NOT_STARTED),
        "may have started": states.count(RunState.UNKNOWN) + states.count(RunState.STARTING) - unknown,
        "with an unknown end": unknown,
        "still running": states.count(RunState.TIMED_OUT) + states.count(RunState.STARTED),
        "waiting": states.count(RunState.PLANNED),
    }
    first = f"{states.count(RunState.PASSED)} of {pluralize(len(states), 'run')} passed"
    first += f" ({', '.join(marks)})" if marks else ""
    return [first] + [f"{number} {words}" for words, number in others.items() if number]


def describe_step(step: RunStep | None) -> str:
    """Return at which step a run failed, and what was seen there; empty if that is not known."""
    if not step:
        return ""
    instruction = f" ({truncate(step.instruction, 200)})" if step.instruction else ""
    return f"step {step.number}{instruction}" + (f": {truncate(step.output, 500)}" if step.output else "")


def pluralize(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
