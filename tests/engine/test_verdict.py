"""What outcomes come to, as a truth table, and the one thing that must hold for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.models import Conclusion, Kind, Outcome, Reason, RunRequest, State, Verdict

REQUEST = RunRequest(Kind.TEST, "a")
STARTED = Outcome(REQUEST, State.STARTED)
UNAUTHORIZED = Outcome(REQUEST, State.NOT_STARTED, Reason.UNAUTHORIZED)
NOT_FOUND = Outcome(REQUEST, State.NOT_STARTED, Reason.NOT_FOUND)
QUOTA = Outcome(REQUEST, State.NOT_STARTED, Reason.QUOTA)
API = Outcome(REQUEST, State.NOT_STARTED, Reason.API)
UNKNOWN = Outcome(REQUEST, State.UNKNOWN, Reason.UNKNOWN)


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
        ([Outcome(REQUEST, State.STARTING)], "error", "unknown", 7),
        ([Outcome(REQUEST, State.PLANNED)], "error", "unknown", 7),
        ([Outcome(REQUEST, State.NOT_STARTED)], "error", "unknown", 7),
        ([Outcome(REQUEST, State.NOT_STARTED, Reason.CANCELLED)], "error", "api", 5),
    ],
)
def test_outcomes_come_to(outcomes: list[Outcome], conclusion: str, reason: str, code: int) -> None:
    """The first of unauthorized, not-found, unknown, quota and api wins."""
    assert decide(outcomes) == Verdict(Conclusion(conclusion), Reason(reason), code)
    assert decide(outcomes[::-1]) == decide(outcomes)


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_a_cancelled_job_ends_with_the_signals_code(signal: int, code: int) -> None:
    assert decide([STARTED], signal) == Verdict(Conclusion.CANCELLED, Reason.CANCELLED, code)


any_outcome = st.builds(Outcome, st.just(REQUEST), st.sampled_from(State), st.sampled_from(Reason))


@given(st.lists(any_outcome), any_outcome)
def test_adding_a_run_that_did_not_start_never_turns_red_into_green(outcomes: list[Outcome], more: Outcome) -> None:
    before, after = decide(outcomes), decide([*outcomes, more])
    green = {State.STARTED, State.PASSED}
    if more.state not in green:
        assert after.exit_code != 0
    if before.exit_code != 0:
        assert after.exit_code != 0
    assert (after.exit_code == 0) == all(o.state in green for o in [*outcomes, more])


@given(st.lists(any_outcome), any_outcome)
def test_adding_a_run_that_did_not_pass_never_turns_red_into_green(outcomes: list[Outcome], more: Outcome) -> None:
    before, after = decide(outcomes, waited=True), decide([*outcomes, more], waited=True)
    if more.state is not State.PASSED or before.exit_code != 0:
        assert after.exit_code != 0
    assert (after.exit_code == 0) == all(o.state is State.PASSED for o in [*outcomes, more])
    # Where all had passed in an earlier attempt, nothing has run now.
    ran = not all(o.carried for o in [*outcomes, more])
    assert (after.conclusion is Conclusion.PASSED) == (after.exit_code == 0 and ran)


def run(state: State, reason: Reason = Reason.OK) -> Outcome:
    return Outcome(REQUEST, state, reason, run_id="r")


PASSED, FAILED, STOPPED = run(State.PASSED), run(State.FAILED, Reason.FAILED), run(State.STOPPED, Reason.FAILED)
GONE, REFUSED = run(State.UNKNOWN, Reason.NOT_FOUND), run(State.UNKNOWN, Reason.UNAUTHORIZED)
TIMED_OUT, OPEN = run(State.TIMED_OUT, Reason.TIMEOUT), run(State.UNKNOWN, Reason.UNKNOWN)


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
        ([FAILED, TIMED_OUT, API, OPEN], "error", "unknown", 7),
        ([FAILED, OPEN, GONE], "error", "not-found", 4),
        (
            [FAILED, run(State.UNKNOWN, Reason.NOT_FOUND), run(State.UNKNOWN, Reason.UNAUTHORIZED)],
            "error",
            "unauthorized",
            3,
        ),
        ([PASSED, Outcome(REQUEST)], "error", "unknown", 7),
        ([PASSED, PASSED._replace(carried=True)], "passed", "ok", 0),
        ([PASSED._replace(carried=True)], "skipped", "ok", 0),
        ([FAILED._replace(carried=True)], "failed", "failed", 1),
    ],
)
def test_outcomes_that_were_waited_for_come_to(
    outcomes: list[Outcome], conclusion: str, reason: str, code: int
) -> None:
    """Passed needs every run to have passed, and one of them in this step."""
    assert decide(outcomes, waited=True) == Verdict(Conclusion(conclusion), Reason(reason), code)
    assert decide(outcomes[::-1], waited=True) == decide(outcomes, waited=True)


def test_every_exit_code_means_one_thing() -> None:
    """A used-up quota is a kind of API failure."""
    codes = {reason: code for reason, code in EXIT_CODES.items() if reason is not Reason.QUOTA}
    assert len(set(codes.values())) == len(codes)
    assert EXIT_CODES[Reason.QUOTA] == EXIT_CODES[Reason.API] == 5
