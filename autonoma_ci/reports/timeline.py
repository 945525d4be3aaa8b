"""When each run of a report began and how long it took, for those who draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import has_run

if TYPE_CHECKING:
    from autonoma_ci.models import Report, RunResult

_NOT_DRAWN = frozenset({RunState.PLANNED, RunState.STARTING, RunState.NOT_STARTED})


class TimelineBar(NamedTuple):
    """One run on the time line; `attempt` is 0 for the last one, and times are in seconds from the first run's begin.

    `number` is the run's place in the plan, from 1; `label` is from outside.
    """

    number: int
    label: str
    attempt: int
    state: RunState
    start_offset_seconds: float
    duration_seconds: float
    is_flaky: bool = False


def timeline_bars(report: Report) -> list[list[TimelineBar]]:
    """Return the bars of each run, earlier attempts first; runs that were not going on in this step have none."""
    runs = [_run(number, outcome, report.duration_seconds) for number, outcome in enumerate(report.results, 1)]
    runs = sorted((found for found in runs if found), key=lambda found: found[0].start_offset_seconds)
    zero = min((bar.start_offset_seconds for found in runs for bar in found), default=0.0)
    return [
        [bar._replace(start_offset_seconds=round(bar.start_offset_seconds - zero, 3)) for bar in found]
        for found in runs
    ]


def _run(number: int, outcome: RunResult, now: float) -> list[TimelineBar]:
    if outcome.reused:
        return []
    going_on = outcome.state is RunState.STARTED
    seconds = (
        max(outcome.duration_seconds, now - outcome.start_offset_seconds) if going_on else outcome.duration_seconds
    )
    found = [
        _bar(number, outcome.display_name, attempt, RunState.FAILED, run.start_offset_seconds, run.duration_seconds)
        for attempt, run in enumerate(outcome.previous_attempts, 1)
    ]
    if has_run(outcome) and seconds > 0 and outcome.state not in _NOT_DRAWN:
        last = _bar(number, outcome.display_name, 0, outcome.state, outcome.start_offset_seconds, seconds)
        found.append(last._replace(is_flaky=outcome.is_flaky))
    return found


def _bar(number: int, label: str, attempt: int, state: RunState, began: float, seconds: float) -> TimelineBar:
    # To the millisecond, as in the record: what is drawn from that is the same.
    return TimelineBar(number, label, attempt, state, round(began, 3), round(seconds, 3))
