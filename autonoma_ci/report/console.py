"""The log: one line per run, then the whole in one sentence, then what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Problem
from autonoma_ci.model import State
from autonoma_ci.report.words import STATE_WORDS, worst_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.model import Outcome

# Runners keep ten annotations of each kind per step; the last place is for the count of the others.
ISSUES_LIMIT = 9


def run_line(outcome: Outcome) -> str:
    """Return what the log says of one run; not yet escaped."""
    request = outcome.request
    name = f"{request.name} ({request.kind} {request.id})" if request.name else f"{request.kind} {request.id}"
    told = outcome.url or outcome.run_id if outcome.state is State.STARTED else outcome.message
    return f"{STATE_WORDS[outcome.state]}: {name}" + (f": {told}" if told else "")


def issues(outcomes: Sequence[Outcome], site: str = "") -> list[Problem]:
    """Return what went wrong, worst first; what went wrong in the same way for many runs is said once.

    `site` is the web address to look at for runs that may have started.
    """
    alike: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in worst_first(outcomes):
        if outcome.state in {State.NOT_STARTED, State.UNKNOWN}:
            alike.setdefault((outcome.state, outcome.message, outcome.hint), []).append(outcome)
    problems = []
    for (state, message, hint), group in alike.items():
        names = ", ".join(outcome.label for outcome in group[:3])
        more = f" and {len(group) - 3} more" if len(group) > 3 else ""
        text = f"{STATE_WORDS[State(state)]}: {names}{more}: {message}."
        look = f" Look here: {site}" if site and state == State.UNKNOWN else ""
        problems.append(Problem(f"{text} {hint}".strip() + look))
    kept = problems[:ISSUES_LIMIT]
    if len(problems) > ISSUES_LIMIT:
        kept.append(Problem(f"and {len(problems) - ISSUES_LIMIT} more kinds of failure; the log has them all."))
    return kept
