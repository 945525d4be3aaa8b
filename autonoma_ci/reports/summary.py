"""The words and counts that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.escaping import cut
from autonoma_ci.models import Conclusion, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import Outcome, Report, Step

# What needs a look first comes first; within one rank the plan's order holds, and a flaky pass leads the passes.
RANK = {
    State.FAILED: 0,
    State.STOPPED: 1,
    State.NOT_STARTED: 2,
    State.UNKNOWN: 3,
    State.TIMED_OUT: 4,
    State.STARTING: 5,
    State.PLANNED: 6,
    State.STARTED: 7,
    State.PASSED: 9,
}
STATE_WORDS = {
    State.PLANNED: "waiting",
    State.STARTING: "starting",
    State.STARTED: "started",
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.STOPPED: "stopped",
    State.TIMED_OUT: "still running",
    State.NOT_STARTED: "not started",
    State.UNKNOWN: "may have started",
}
AMISS = frozenset({State.FAILED, State.STOPPED, State.NOT_STARTED, State.UNKNOWN, State.TIMED_OUT})
ENDED = frozenset({State.PASSED, State.FAILED, State.STOPPED})
# What the API said of such a run is that it started: its message and hint are no news.
QUIET = frozenset({State.PLANNED, State.STARTING, State.STARTED, State.PASSED})


# One sign for each state, in every text that has pictures.
STATE_SIGNS = {
    State.PLANNED: "⏳",
    State.STARTING: "⏳",
    State.STARTED: "🚀",
    State.PASSED: "✅",
    State.FAILED: "❌",
    State.STOPPED: "🛑",
    State.TIMED_OUT: "⏰",
    State.NOT_STARTED: "❌",
    State.UNKNOWN: "❔",
}
FLAKY_SIGN = "⚠️"
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


def sign_of(state: State, *, flaky: bool) -> str:
    """Return the sign of a run in this state."""
    return FLAKY_SIGN if flaky else STATE_SIGNS[state]


def change_noun(ci: str) -> str:
    """Return what the CI system calls a change: pull request or merge request."""
    return _CHANGES.get(ci, "pull request")


def source_words(source: str) -> str:
    """Return in words where the runs were started from; a source that the user gave stays as it is."""
    return _SYSTEMS.get(source, source)


def state_words(outcome: Outcome) -> str:
    """Return how the run stands, in words."""
    if outcome.state is State.UNKNOWN and has_run(outcome):
        return "end unknown"
    if outcome.carried:
        return "passed in an earlier attempt"
    return "passed, flaky" if outcome.flaky else STATE_WORDS[outcome.state]


def has_run(outcome: Outcome) -> bool:
    """Say whether the API named a run for it."""
    return bool(outcome.run_id or outcome.url)


def was_started(outcome: Outcome) -> bool:
    """Return whether the run is known to have been started, in this attempt."""
    if outcome.carried:
        return False
    known = outcome.state in ENDED | {State.STARTED, State.TIMED_OUT}
    return known or (outcome.state is State.UNKNOWN and has_run(outcome))


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return the totals that the outputs name."""
    states = [outcome.state for outcome in outcomes]
    return {
        "total": len(states),
        "started": sum(map(was_started, outcomes)),
        "passed": states.count(State.PASSED),
        "failed": states.count(State.FAILED) + states.count(State.STOPPED),
        "not-started": states.count(State.NOT_STARTED),
        "unknown": states.count(State.UNKNOWN) + states.count(State.STARTING),
    }


def worst_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes with what needs a look before what does not."""
    return sorted(outcomes, key=lambda outcome: RANK[outcome.state] - outcome.flaky)


def still_open(report: Report) -> bool:
    """Return whether there are runs whose end a later step could wait for."""
    return _count_open(report) > 0


def _count_open(report: Report) -> int:
    open_states = {State.STARTED, State.TIMED_OUT, State.UNKNOWN}
    return sum(bool(run.run_id) and run.state in open_states for run in report.outcomes)


def continuing(report: Report) -> str:
    """Return how many runs continue after the step; empty if there are none."""
    count = _count_open(report)
    if not count:
        return ""
    verb, them = ("continues", "it") if count == 1 else ("continue", "them")
    return f"{plural(count, 'run')} {verb} in Autonoma: the API has no way to cancel {them}."


def headline(report: Report) -> str:
    """Return the whole in one sentence."""
    if report.problems:
        return f"{plural(len(report.problems), 'problem')} with the input. Nothing was sent."
    if report.skipped:
        return report.skipped
    if not report.outcomes and report.verdict and report.verdict.conclusion is Conclusion.CANCELLED:
        return "Cancelled before anything was started."
    if not report.outcomes:
        return " ".join(["Nothing was selected, so nothing was started.", *report.notes])
    if report.verdict and report.verdict.conclusion is Conclusion.SKIPPED:
        return f"Dry run: {plural(len(report.outcomes), 'run')} planned, nothing was sent."
    parts = _ends(report.outcomes) if report.waited else _starts(report.outcomes)
    return ", ".join(parts) + "."


def _starts(outcomes: Sequence[Outcome]) -> list[str]:
    count = counts(outcomes)
    carried = sum(outcome.carried and outcome.state is State.PASSED for outcome in outcomes)
    others = {
        "passed in an earlier attempt": carried,
        "not started": count["not-started"],
        "may have started": count["unknown"],
    }
    others["waiting"] = count["total"] - count["started"] - sum(others.values())
    parts = [f"{count['started']} of {plural(count['total'], 'run')} started"]
    return parts + [f"{number} {words}" for words, number in others.items() if number]


def _ends(outcomes: Sequence[Outcome]) -> list[str]:
    states = [outcome.state for outcome in outcomes]
    flaky = sum(outcome.flaky for outcome in outcomes)
    carried = sum(outcome.carried and outcome.state is State.PASSED for outcome in outcomes)
    marks = [f"{flaky} flaky"] if flaky else []
    marks += [f"{carried} in an earlier attempt"] if carried else []
    unknown = sum(outcome.state is State.UNKNOWN and has_run(outcome) for outcome in outcomes)
    others = {
        "failed": states.count(State.FAILED),
        "stopped": states.count(State.STOPPED),
        "not started": states.count(State.NOT_STARTED),
        "may have started": states.count(State.UNKNOWN) + states.count(State.STARTING) - unknown,
        "with an unknown end": unknown,
        "still running": states.count(State.TIMED_OUT) + states.count(State.STARTED),
        "waiting": states.count(State.PLANNED),
    }
    first = f"{states.count(State.PASSED)} of {plural(len(states), 'run')} passed"
    first += f" ({', '.join(marks)})" if marks else ""
    return [first] + [f"{number} {words}" for words, number in others.items() if number]


def told_step(step: Step | None) -> str:
    """Return at which step a run failed, and what was seen there; empty if that is not known."""
    if not step:
        return ""
    instruction = f" ({cut(step.instruction, 200)})" if step.instruction else ""
    return f"step {step.number}{instruction}" + (f": {cut(step.output, 500)}" if step.output else "")


def plural(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
