"""Verdict of run results, as a truth table and as properties."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.models import Conclusion, ExitReason, RunRequest, RunResult, RunState, TargetKind, Verdict

REQUEST = RunRequest(TargetKind.TEST, "a")
STARTED = RunResult(REQUEST, RunState.STARTED)
UNAUTHORIZED = RunResult(REQUEST, RunState.NOT_STARTED, ExitReason.UNAUTHORIZED)
NOT_FOUND = RunResult(REQUEST, RunState.NOT_STARTED, ExitReason.NOT_FOUND)
QUOTA = RunResult(REQUEST, RunState.NOT_STARTED, ExitReason.QUOTA)
API = RunResult(REQUEST, RunState.NOT_STARTED, ExitReason.API)
UNKNOWN = RunResult(REQUEST, RunState.UNKNOWN, ExitReason.UNKNOWN)


@pytest.mark.parametrize(
    ("outcomes", "conclusion", "reason", "code"),
    [
        ([], "skipped", "ok", 0),
        ([STARTED], "started", "ok", 0),
        ([STARTED, STARTED], "started", "ok", 0),
        ([STARTED, API], "error", "api", 5),
        ([API, QUOTA], "error", "quota", 5),
        ([API, QUOTA, UNKNOWN], "error", "unknown", 7),
        ([API, UNKNOWN], "error", "unknown", 7),
        ([API, UNKNOWN, NOT_FOUND], "error", "not-found", 4),
        ([API, UNKNOWN, NOT_FOUND, UNAUTHORIZED], "error", "unauthorized", 3),
        ([RunResult(REQUEST, RunState.STARTING)], "error", "unknown", 7),
        ([RunResult(REQUEST, RunState.PLANNED)], "error", "unknown", 7),
        ([RunResult(REQUEST, RunState.NOT_STARTED)], "error", "unknown", 7),
        ([RunResult(REQUEST, RunState.NOT_STARTED, ExitReason.CANCELLED)], "error", "api", 5),
    ],
)
def test_verdict_of_started_runs(outcomes: list[RunResult], conclusion: str, reason: str, code: int) -> None:
    """The first of unauthorized, not-found, unknown, quota and api decides."""
    assert compute_verdict(outcomes) == Verdict(Conclusion(conclusion), ExitReason(reason), code)
    assert compute_verdict(outcomes[::-1]) == compute_verdict(outcomes)


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_signal_sets_exit_code(signal: int, code: int) -> None:
    """A cancelled job exits with 128 plus the number of the signal."""
    assert compute_verdict([STARTED], signal) == Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, code)


any_outcome = st.builds(partial(RunResult), st.just(REQUEST), st.sampled_from(RunState), st.sampled_from(ExitReason))


@given(st.lists(any_outcome), any_outcome)
def test_start_verdict_never_improves(outcomes: list[RunResult], added_run: RunResult) -> None:
    """Without `wait`, an additional run never turns an error into a success."""
    before, after = compute_verdict(outcomes), compute_verdict([*outcomes, added_run])
    success_states = {RunState.STARTED, RunState.PASSED}
    if added_run.state not in success_states:
        assert after.exit_code != 0
    if before.exit_code != 0:
        assert after.exit_code != 0
    assert (after.exit_code == 0) == all(o.state in success_states for o in [*outcomes, added_run])


@given(st.lists(any_outcome), any_outcome)
def test_wait_verdict_never_improves(outcomes: list[RunResult], added_run: RunResult) -> None:
    """With `wait`, an additional run never turns an error into a success."""
    before, after = (
        compute_verdict(outcomes, waits_for_results=True),
        compute_verdict([*outcomes, added_run], waits_for_results=True),
    )
    if added_run.state is not RunState.PASSED or before.exit_code != 0:
        assert after.exit_code != 0
    assert (after.exit_code == 0) == all(o.state is RunState.PASSED for o in [*outcomes, added_run])
    # If all runs were reused, no run of this step passed.
    has_new_run = not all(o.reused for o in [*outcomes, added_run])
    assert (after.conclusion is Conclusion.PASSED) == (after.exit_code == 0 and has_new_run)


def make_result(state: RunState, reason: ExitReason = ExitReason.OK) -> RunResult:
    return RunResult(REQUEST, state, reason, run_id="r")


PASSED, FAILED, STOPPED = (
    make_result(RunState.PASSED),
    make_result(RunState.FAILED, ExitReason.FAILED),
    make_result(RunState.STOPPED, ExitReason.FAILED),
)
NOT_FOUND_RUN, UNAUTHORIZED_RUN = (
    make_result(RunState.UNKNOWN, ExitReason.NOT_FOUND),
    make_result(RunState.UNKNOWN, ExitReason.UNAUTHORIZED),
)
TIMED_OUT, INDETERMINATE = (
    make_result(RunState.TIMED_OUT, ExitReason.TIMEOUT),
    make_result(RunState.UNKNOWN, ExitReason.UNKNOWN),
)


@pytest.mark.parametrize(
    ("outcomes", "conclusion", "reason", "code"),
    [
        ([], "skipped", "ok", 0),
        ([PASSED, PASSED], "passed", "ok", 0),
        ([PASSED, FAILED], "failed", "failed", 1),
        ([PASSED, STOPPED], "failed", "failed", 1),
        ([PASSED, TIMED_OUT], "timed-out", "timeout", 6),
        ([PASSED, STARTED], "timed-out", "timeout", 6),
        ([FAILED, TIMED_OUT], "failed", "failed", 1),
        ([FAILED, TIMED_OUT, API], "error", "api", 5),
        ([FAILED, TIMED_OUT, API, INDETERMINATE], "error", "unknown", 7),
        ([FAILED, INDETERMINATE, NOT_FOUND_RUN], "error", "not-found", 4),
        (
            [
                FAILED,
                make_result(RunState.UNKNOWN, ExitReason.NOT_FOUND),
                make_result(RunState.UNKNOWN, ExitReason.UNAUTHORIZED),
            ],
            "error",
            "unauthorized",
            3,
        ),
        ([PASSED, RunResult(REQUEST)], "error", "unknown", 7),
        ([PASSED, PASSED._replace(reused=True)], "passed", "ok", 0),
        ([PASSED._replace(reused=True)], "skipped", "ok", 0),
        ([FAILED._replace(reused=True)], "failed", "failed", 1),
    ],
)
def test_verdict_of_finished_runs(outcomes: list[RunResult], conclusion: str, reason: str, code: int) -> None:
    """The conclusion passed requires that all runs passed and at least one of them is new."""
    assert compute_verdict(outcomes, waits_for_results=True) == Verdict(
        Conclusion(conclusion), ExitReason(reason), code
    )
    assert compute_verdict(outcomes[::-1], waits_for_results=True) == compute_verdict(outcomes, waits_for_results=True)


def test_exit_codes_are_distinct() -> None:
    """Each exit reason has its own exit code, except quota, which is an API failure."""
    codes = {reason: code for reason, code in EXIT_CODES.items() if reason is not ExitReason.QUOTA}
    assert len(set(codes.values())) == len(codes)
    assert EXIT_CODES[ExitReason.QUOTA] == EXIT_CODES[ExitReason.API] == 5
