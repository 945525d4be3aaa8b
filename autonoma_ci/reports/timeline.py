"""When each run of a report began and how long it took, for those who draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.models import State
from autonoma_ci.reports.summary import has_run

if TYPE_CHECKING:
    from autonoma_ci.models import Outcome, Report

_NOT_DRAWN = frozenset({State.PLANNED, State.STARTING, State.NOT_STARTED})


class Bar(NamedTuple):
    """One run on the time line; `attempt` is 0 for the last one, and times are in seconds from the first run's begin.

    `number` is the run's place in the plan, from 1; `label` is from outside.
    """

    number: int
    label: str
    attempt: int
    state: State
    began: float
    seconds: float
    flaky: bool = False


def bars(report: Report) -> list[list[Bar]]:
    """Return the bars of each run, earlier attempts first; runs that were not going on in this step have none."""
    runs = [_run(number, outcome, report.seconds) for number, outcome in enumerate(report.outcomes, 1)]
    runs = sorted((found for found in runs if found), key=lambda found: found[0].began)
    zero = min((bar.began for found in runs for bar in found), default=0.0)
    return [[bar._replace(began=round(bar.began - zero, 3)) for bar in found] for found in runs]


def _run(number: int, outcome: Outcome, now: float) -> list[Bar]:
    if outcome.carried:
        return []
    going_on = outcome.state is State.STARTED
    seconds = max(outcome.seconds, now - outcome.began) if going_on else outcome.seconds
    found = [
        _bar(number, outcome.label, attempt, State.FAILED, run.began, run.seconds)
        for attempt, run in enumerate(outcome.earlier, 1)
    ]
    if has_run(outcome) and seconds > 0 and outcome.state not in _NOT_DRAWN:
        last = _bar(number, outcome.label, 0, outcome.state, outcome.began, seconds)
        found.append(last._replace(flaky=outcome.flaky))
    return found


def _bar(number: int, label: str, attempt: int, state: State, began: float, seconds: float) -> Bar:
    # To the millisecond, as in the record: what is drawn from that is the same.
    return Bar(number, label, attempt, state, round(began, 3), round(seconds, 3))
