"""What all outcomes come to: a truth table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import Conclusion, Outcome, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

# A job that a signal ended has 128 and the signal's number.
EXIT_CODES = {
    Reason.OK: 0,
    Reason.FAILED: 1,
    Reason.INPUT: 2,
    Reason.UNAUTHORIZED: 3,
    Reason.NOT_FOUND: 4,
    Reason.API: 5,
    Reason.QUOTA: 5,
    Reason.TIMEOUT: 6,
    Reason.UNKNOWN: 7,
}
# With several at once, the one that says most about what to do comes first.
_FIRST = (
    *(Reason.UNAUTHORIZED, Reason.NOT_FOUND, Reason.UNKNOWN, Reason.QUOTA, Reason.API, Reason.FAILED),
    Reason.TIMEOUT,
)
_CONCLUSIONS = {Reason.FAILED: Conclusion.FAILED, Reason.TIMEOUT: Conclusion.TIMED_OUT}
_ENDS = {State.PASSED: Reason.OK, State.FAILED: Reason.FAILED, State.STOPPED: Reason.FAILED}


def decide(outcomes: Iterable[Outcome], interrupt: int | None = None, *, waited: bool = False) -> Verdict:
    """Return the verdict; with `waited` only runs that all passed give exit code 0, else runs that all started.

    Where nothing was run, the conclusion is `skipped`, never `passed`.
    """
    outcomes = tuple(outcomes)
    if interrupt is not None:
        return Verdict(Conclusion.CANCELLED, Reason.CANCELLED, 128 + interrupt)
    if all(outcome.carried and outcome.state is State.PASSED for outcome in outcomes):
        return Verdict(Conclusion.SKIPPED, Reason.OK, 0)
    reasons = {_reason(outcome, waited) for outcome in outcomes}
    if reasons == {Reason.OK}:
        return Verdict(Conclusion.PASSED if waited else Conclusion.STARTED, Reason.OK, 0)
    reason = next((reason for reason in _FIRST if reason in reasons), Reason.API)
    return Verdict(_CONCLUSIONS.get(reason, Conclusion.ERROR), reason, EXIT_CODES[reason])


def _reason(outcome: Outcome, waited: bool) -> Reason:  # noqa: FBT001 - the two columns of the table
    match outcome.state:
        case State.PASSED | State.FAILED | State.STOPPED:
            return _ENDS[outcome.state]
        case State.TIMED_OUT:
            return Reason.TIMEOUT
        case State.STARTED:
            # Started is all that was asked for, or else it has not ended.
            return Reason.TIMEOUT if waited else Reason.OK
        case State.NOT_STARTED if outcome.reason is not Reason.OK:
            return outcome.reason
        case State.UNKNOWN if outcome.reason in {Reason.UNAUTHORIZED, Reason.NOT_FOUND}:
            return outcome.reason
    # A run that is not accounted for is open, whatever else is said of it: red, never green.
    return Reason.UNKNOWN
