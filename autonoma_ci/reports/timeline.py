"""Compute the start and the duration of each run for charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.models import RunState
from autonoma_ci.reports.summary import RunCategory, categorize_attempts, categorize_run, has_run_id_or_url

if TYPE_CHECKING:
    from autonoma_ci.models import Report, RunResult

_STATES_WITHOUT_BAR = frozenset({RunState.PLANNED, RunState.STARTING, RunState.NOT_STARTED})


class TimelineBar(NamedTuple):
    """One attempt at a run on the timeline."""

    # The position of the run in the plan, from 1.
    number: int
    # A text from outside.
    label: str
    # From 1 for earlier attempts, 0 for the last one.
    attempt: int
    state: RunState
    # Since the start of the first run.
    start_offset_seconds: float
    duration_seconds: float
    category: RunCategory = RunCategory.PROBLEM


def timeline_bars(report: Report) -> list[list[TimelineBar]]:
    """Return the bars of each run, earlier attempts first.

    The runs are sorted by their start. A run without progress during this job step has no bars.
    """
    runs = [_build_run_bars(number, run, report.duration_seconds) for number, run in enumerate(report.results, 1)]
    runs = sorted((run_bars for run_bars in runs if run_bars), key=lambda run_bars: run_bars[0].start_offset_seconds)
    first_offset = min((bar.start_offset_seconds for run_bars in runs for bar in run_bars), default=0.0)
    return [
        [bar._replace(start_offset_seconds=round(bar.start_offset_seconds - first_offset, 3)) for bar in run_bars]
        for run_bars in runs
    ]


def _build_run_bars(number: int, run: RunResult, elapsed_seconds: float) -> list[TimelineBar]:
    if run.reused:
        return []
    is_running = run.state is RunState.STARTED
    duration_seconds = (
        max(run.duration_seconds, elapsed_seconds - run.start_offset_seconds) if is_running else run.duration_seconds
    )
    category, label = categorize_attempts(run), run.display_name
    bars = [
        TimelineBar(
            number, label, index, RunState.FAILED, attempt.start_offset_seconds, attempt.duration_seconds, category
        )
        for index, attempt in enumerate(run.previous_attempts, 1)
    ]
    if has_run_id_or_url(run) and duration_seconds > 0 and run.state not in _STATES_WITHOUT_BAR:
        category = categorize_run(run)
        bars.append(TimelineBar(number, label, 0, run.state, run.start_offset_seconds, duration_seconds, category))
    return [_round_bar(bar) for bar in bars]


def _round_bar(bar: TimelineBar) -> TimelineBar:
    # Rounded to milliseconds as in results.json, so that a chart made from results.json is the same.
    return bar._replace(
        start_offset_seconds=round(bar.start_offset_seconds, 3), duration_seconds=round(bar.duration_seconds, 3)
    )
