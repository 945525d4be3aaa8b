"""Tests of the start and the duration of each run in charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.models import PreviousAttempt, RunState
from autonoma_ci.reports.summary import RunCategory
from autonoma_ci.reports.timeline import TimelineBar, timeline_bars
from tests.support.reports import (
    FAILED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_quarantined_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
    quarantine_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult


def get_bars(*runs: RunResult, elapsed_seconds: float = 0.0) -> list[list[TimelineBar]]:
    return timeline_bars(create_report(runs, FAILED_VERDICT)._replace(duration_seconds=elapsed_seconds))


def shift_start(run: RunResult, seconds: float) -> RunResult:
    return run._replace(start_offset_seconds=seconds)


def test_bars_are_sorted_by_start() -> None:
    """The first bar begins at 0, and each number is the position in the plan."""
    bars = get_bars(
        shift_start(make_passed_run("a"), 12.0),
        shift_start(make_failed_run("b"), 8.0),
        shift_start(make_passed_run("c", "C", 5.0), 9.5),
    )
    assert bars == [
        [TimelineBar(2, "Checkout pays by card", 0, RunState.FAILED, 0.0, 65.0)],
        [TimelineBar(3, "C", 0, RunState.PASSED, 1.5, 5.0, RunCategory.PASSED)],
        [TimelineBar(1, "a", 0, RunState.PASSED, 4.0, 42.0, RunCategory.PASSED)],
    ]


def test_attempts_come_before_last_one() -> None:
    """Each failed attempt has a number, and only the last bar is flaky."""
    attempts = (PreviousAttempt("r1", "", "", None, 1.0, 2.0), PreviousAttempt("r2", "", "", None, 4.0, 3.0))
    run = shift_start(make_passed_run("a", "A", 5.0), 8.0)._replace(previous_attempts=attempts)
    assert get_bars(run) == [
        [
            TimelineBar(1, "A", 1, RunState.FAILED, 0.0, 2.0),
            TimelineBar(1, "A", 2, RunState.FAILED, 3.0, 3.0),
            TimelineBar(1, "A", 0, RunState.PASSED, 7.0, 5.0, RunCategory.FLAKY),
        ]
    ]


def test_quarantined_attempts_do_not_count() -> None:
    """Each failed attempt of a run in quarantine has that category."""
    attempts = make_flaky_run("a").previous_attempts
    [failed] = get_bars(make_quarantined_run("a")._replace(previous_attempts=attempts))
    assert [bar.category for bar in failed] == [RunCategory.QUARANTINED, RunCategory.QUARANTINED]
    [passed] = get_bars(quarantine_run(make_flaky_run("a")))
    assert [bar.category for bar in passed] == [RunCategory.QUARANTINED, RunCategory.FLAKY]


def test_failed_retry_is_not_flaky() -> None:
    """A run whose retry failed too has no flaky bar."""
    [bars] = get_bars(make_failed_run("a")._replace(previous_attempts=make_flaky_run("a").previous_attempts))
    assert [(bar.attempt, bar.category) for bar in bars] == [(1, RunCategory.PROBLEM), (0, RunCategory.PROBLEM)]


@pytest.mark.parametrize(
    ("elapsed", "duration", "expected"), [(60.0, 0.25, 50.0), (10.1, 0.25, 0.25), (0.0, 0.25, 0.25)]
)
def test_running_run_extends_to_now(elapsed: float, duration: float, expected: float) -> None:
    """The bar of a run in progress ends now, and never before the known duration."""
    run = shift_start(make_started_run("a"), 10.0)._replace(duration_seconds=duration)
    [[bar]] = get_bars(run, elapsed_seconds=elapsed)
    assert bar.duration_seconds == expected


@pytest.mark.parametrize("state", [RunState.PASSED, RunState.FAILED, RunState.TIMED_OUT, RunState.STOPPED])
def test_ended_run_does_not_extend_to_now(state: RunState) -> None:
    """The bar of an ended run has the duration of the run."""
    [[bar]] = get_bars(make_passed_run("a", seconds=5.0)._replace(state=state), elapsed_seconds=60.0)
    assert (bar.state, bar.duration_seconds) == (state, 5.0)


@pytest.mark.parametrize(
    "run",
    [
        make_planned_run("a"),
        make_rejected_run("a")._replace(duration_seconds=3.0),
        make_passed_run("a")._replace(reused=True),
        make_flaky_run("a")._replace(reused=True),
        make_passed_run("a", seconds=0.0),
        make_passed_run("a")._replace(run_id="", url=""),
        make_started_run("a")._replace(state=RunState.PLANNED),
        make_started_run("a")._replace(state=RunState.STARTING),
        make_started_run("a")._replace(state=RunState.NOT_STARTED),
    ],
)
def test_run_without_progress_has_no_bars(run: RunResult) -> None:
    """A run that did not run in this job step is not on the timeline."""
    assert get_bars(run, elapsed_seconds=60.0) == []
    [[bar]] = get_bars(run, make_passed_run("b"), elapsed_seconds=60.0)
    assert bar.number == 2


@pytest.mark.parametrize("run", [make_passed_run("a")._replace(run_id=""), make_passed_run("a")._replace(url="")])
def test_run_is_known_by_id_or_url(run: RunResult) -> None:
    """One of both is enough for a bar."""
    assert len(get_bars(run)) == 1


def test_failed_start_leaves_attempts() -> None:
    """A retry that was not started leaves the bars of the attempts before it."""
    run = make_rejected_run("a")._replace(previous_attempts=make_flaky_run("a").previous_attempts)
    [[bar]] = get_bars(run)
    assert (bar.attempt, bar.state, bar.duration_seconds) == (1, RunState.FAILED, 30.0)


def test_times_have_milliseconds() -> None:
    """Times are rounded as in results.json."""
    attempt = PreviousAttempt("r", "", "", None, 0.00049, 1.23456)
    run = shift_start(make_passed_run("a", seconds=2.00051), 2.34567)._replace(previous_attempts=(attempt,))
    [bars] = get_bars(run)
    assert [(bar.start_offset_seconds, bar.duration_seconds) for bar in bars] == [(0.0, 1.235), (2.346, 2.001)]


def test_runs_of_earlier_step_begin_at_zero() -> None:
    """Runs that an earlier job step started have negative offsets."""
    bars = get_bars(shift_start(make_timed_out_run("a"), -30.0), shift_start(make_passed_run("b"), -10.5))
    assert [bar.start_offset_seconds for [bar] in bars] == [0.0, 19.5]


def test_equal_starts_are_in_plan_order() -> None:
    """Runs that start at the same time are in the order of the plan."""
    assert [bar.number for [bar] in get_bars(*[make_passed_run(f"t{n}") for n in range(9)])] == list(range(1, 10))


def test_report_without_runs_has_no_bars() -> None:
    """A report without runs has an empty timeline."""
    assert get_bars() == []
