"""The words and counts that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.model import Conclusion, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.model import Outcome, Report

# What needs a look first comes first; within one rank the plan's order holds.
RANK = {State.NOT_STARTED: 0, State.UNKNOWN: 1, State.STARTING: 2, State.PLANNED: 3, State.STARTED: 4}
STATE_WORDS = {
    State.PLANNED: "waiting",
    State.STARTING: "starting",
    State.STARTED: "started",
    State.NOT_STARTED: "not started",
    State.UNKNOWN: "may have started",
}


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return the totals that the outputs name."""
    states = [outcome.state for outcome in outcomes]
    return {
        "total": len(states),
        "started": states.count(State.STARTED),
        "passed": 0,
        "failed": 0,
        "not-started": states.count(State.NOT_STARTED),
        "unknown": states.count(State.UNKNOWN) + states.count(State.STARTING),
    }


def worst_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes with what needs a look before what does not."""
    return sorted(outcomes, key=lambda outcome: RANK[outcome.state])


def headline(report: Report) -> str:
    """Return the whole in one sentence."""
    if report.problems:
        return f"{plural(len(report.problems), 'problem')} with the input. Nothing was sent."
    if not report.outcomes and report.verdict and report.verdict.conclusion is Conclusion.CANCELLED:
        return "Cancelled before anything was started."
    if not report.outcomes:
        return "Nothing was selected, so nothing was started."
    if report.verdict and report.verdict.conclusion is Conclusion.SKIPPED:
        return f"Dry run: {plural(len(report.outcomes), 'run')} planned, nothing was sent."
    count = counts(report.outcomes)
    parts = [f"{count['started']} of {plural(count['total'], 'run')} started"]
    if count["not-started"]:
        parts.append(f"{count['not-started']} not started")
    if count["unknown"]:
        parts.append(f"{count['unknown']} may have started")
    waiting = count["total"] - count["started"] - count["not-started"] - count["unknown"]
    if waiting:
        parts.append(f"{waiting} waiting")
    return ", ".join(parts) + "."


def plural(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
