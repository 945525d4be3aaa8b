"""Verdict of run results, as a truth table and as properties."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.models import (
    UNCOUNTED_STATES,
    Conclusion,
    ExitReason,
    PreviousAttempt,
    RunRequest,
    RunResult,
    RunState,
    TargetKind,
    Verdict,
)
from tests.support.reports import QUARANTINE

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
    """Only two pairs of reasons share an exit code: failed and flaky, api and quota."""
    reasons_by_code: dict[int, set[ExitReason]] = {}
    for reason, code in EXIT_CODES.items():
        reasons_by_code.setdefault(code, set()).add(reason)
    shared = {code: reasons for code, reasons in reasons_by_code.items() if len(reasons) > 1}
    assert shared == {1: {ExitReason.FAILED, ExitReason.FLAKY}, 5: {ExitReason.API, ExitReason.QUOTA}}


# Flaky runs

FLAKY = PASSED._replace(previous_attempts=(PreviousAttempt("r0"),))
FAILED_AGAIN = FAILED._replace(previous_attempts=(PreviousAttempt("r0"),))


@pytest.mark.parametrize(
    ("outcomes", "conclusion", "reason", "code"),
    [
        ([PASSED], "passed", "ok", 0),
        ([FLAKY], "failed", "flaky", 1),
        ([PASSED, FLAKY], "failed", "flaky", 1),
        ([PASSED._replace(reused=True), FLAKY], "failed", "flaky", 1),
        ([FAILED, FLAKY], "failed", "failed", 1),
        ([FAILED_AGAIN], "failed", "failed", 1),
        ([TIMED_OUT, FLAKY], "failed", "flaky", 1),
        ([API, FLAKY], "error", "api", 5),
        ([INDETERMINATE, FLAKY], "error", "unknown", 7),
    ],
)
def test_flaky_run_fails_step_on_request(outcomes: list[RunResult], conclusion: str, reason: str, code: int) -> None:
    """Among the reasons with the exit code 1, failed precedes flaky."""
    expected = Verdict(Conclusion(conclusion), ExitReason(reason), code)
    for ordered in (outcomes, outcomes[::-1]):
        assert compute_verdict(ordered, waits_for_results=True, fails_on_flaky=True) == expected


def test_flaky_run_passes_by_default() -> None:
    """Without the option, a pass after a failure is a pass."""
    assert compute_verdict([FLAKY], waits_for_results=True) == Verdict(Conclusion.PASSED, ExitReason.OK, 0)


# Quarantine

QUARANTINED = REQUEST._replace(quarantine=QUARANTINE)
SKIPPED = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)


def quarantine(run: RunResult) -> RunResult:
    return run._replace(request=QUARANTINED)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    "run", [PASSED, FLAKY, FAILED, STOPPED, TIMED_OUT, STARTED], ids=lambda run: f"{run.state}{run.is_flaky or ''}"
)
def test_quarantined_result_does_not_count(run: RunResult, waits: bool) -> None:
    """Alone it is skipped, and beside other runs it changes nothing."""
    hidden = quarantine(run)
    for fails in (False, True):
        assert compute_verdict([hidden], waits_for_results=waits, fails_on_flaky=fails) == SKIPPED
        for other in (PASSED, FAILED, STARTED, TIMED_OUT, API, UNKNOWN, PASSED._replace(reused=True)):
            verdict = compute_verdict([other, hidden], waits_for_results=waits, fails_on_flaky=fails)
            assert verdict == compute_verdict([other], waits_for_results=waits, fails_on_flaky=fails)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    "run",
    [
        API,
        QUOTA,
        NOT_FOUND,
        UNAUTHORIZED,
        UNKNOWN,
        NOT_FOUND_RUN,
        RunResult(REQUEST),
        STARTED._replace(state=RunState.STARTING),
    ],
    ids=lambda run: f"{run.state} {run.reason}",
)
def test_quarantined_run_without_result_counts(run: RunResult, waits: bool) -> None:
    """A run that was not started or is unknown fails the step in quarantine too."""
    verdict = compute_verdict([quarantine(run)], waits_for_results=waits)
    assert verdict == compute_verdict([run], waits_for_results=waits)
    assert verdict.exit_code != 0


any_run = st.builds(
    RunResult,
    st.sampled_from([REQUEST, QUARANTINED]),
    st.sampled_from(RunState),
    st.sampled_from(ExitReason),
    previous_attempts=st.sampled_from([(), FLAKY.previous_attempts]),
    reused=st.booleans(),
)
OPTIONS = st.fixed_dictionaries({"waits_for_results": st.booleans(), "fails_on_flaky": st.booleans()})


@given(st.lists(any_run), OPTIONS)
def test_quarantine_hides_only_quarantined_runs(runs: list[RunResult], options: dict[str, bool]) -> None:
    """Quarantine turns a red verdict green only if each red run is in quarantine."""
    verdict = compute_verdict(runs, **options)
    without = compute_verdict([run._replace(request=REQUEST) for run in runs], **options)
    if verdict.exit_code == 0 and without.exit_code != 0:
        red_runs = [run for run in runs if compute_verdict([run._replace(request=REQUEST)], **options).exit_code]
        assert red_runs
        assert all(
            run.request.quarantine and run.state in UNCOUNTED_STATES | {RunState.STARTED, RunState.PASSED}
            for run in red_runs
        )
    assert verdict.exit_code == 0 or without.exit_code != 0


@given(st.lists(any_run), OPTIONS)
def test_success_needs_counting_run(runs: list[RunResult], options: dict[str, bool]) -> None:
    """The conclusions started and passed need a new run outside quarantine."""
    if compute_verdict(runs, **options).conclusion in {Conclusion.STARTED, Conclusion.PASSED}:
        counted = [run for run in runs if run.request.quarantine is None and not run.reused]
        assert any(run.state in {RunState.STARTED, RunState.PASSED} for run in counted)


@given(st.lists(any_run), any_run, OPTIONS)
def test_added_run_never_improves_verdict(runs: list[RunResult], added: RunResult, options: dict[str, bool]) -> None:
    """An additional run never turns red into green, and a failed counting run always turns it red."""
    before, after = compute_verdict(runs, **options), compute_verdict([*runs, added], **options)
    assert before.exit_code == 0 or after.exit_code != 0
    if added.request.quarantine is None and added.state in UNCOUNTED_STATES:
        assert after.exit_code != 0
