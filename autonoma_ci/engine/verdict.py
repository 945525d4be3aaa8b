"""What all outcomes come to: a truth table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import Conclusion, ExitReason, RunResult, RunState, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

# A job that a signal ended has 128 and the signal's number.
EXIT_CODES = {
    ExitReason.OK: 0,
    ExitReason.FAILED: 1,
    ExitReason.INPUT: 2,
    ExitReason.UNAUTHORIZED: 3,
    ExitReason.NOT_FOUND: 4,
    ExitReason.API: 5,
    ExitReason.QUOTA: 5,
    ExitReason.TIMEOUT: 6,
    ExitReason.UNKNOWN: 7,
}
# With several at once, the one that says most about what to do comes first.
REASON_PRIORITY = (
    *(
        ExitReason.UNAUTHORIZED,
        ExitReason.NOT_FOUND,
        ExitReason.UNKNOWN,
        ExitReason.QUOTA,
        ExitReason.API,
        ExitReason.FAILED,
    ),
    ExitReason.TIMEOUT,
)
_CONCLUSIONS = {ExitReason.FAILED: Conclusion.FAILED, ExitReason.TIMEOUT: Conclusion.TIMED_OUT}
REASON_BY_STATE = {
    RunState.PASSED: ExitReason.OK,
    RunState.FAILED: ExitReason.FAILED,
    RunState.STOPPED: ExitReason.FAILED,
}


def compute_verdict(outcomes: Iterable[RunResult], interrupt: int | None = None, *, waited: bool = False) -> Verdict:
    """Return the verdict; with `waited` only runs that all passed give exit code 0, else runs that all started.

    Where nothing was run, the conclusion is `skipped`, never `passed`.
    """
    outcomes = tuple(outcomes)
    if interrupt is not None:
        return Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, 128 + interrupt)
    if all(outcome.reused and outcome.state is RunState.PASSED for outcome in outcomes):
        return Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
    reasons = {_reason(outcome, waited) for outcome in outcomes}
    if reasons == {ExitReason.OK}:
        return Verdict(Conclusion.PASSED if waited else Conclusion.STARTED, ExitReason.OK, 0)
    reason = next((reason for reason in REASON_PRIORITY if reason in reasons), ExitReason.API)
    return Verdict(_CONCLUSIONS.get(reason, Conclusion.ERROR), reason, EXIT_CODES[reason])


def _reason(outcome: RunResult, waited: bool) -> ExitReason:  # noqa: FBT001 - the two columns of the table
    match outcome.state:
        case RunState.PASSED | RunState.FAILED | RunState.STOPPED:
            return REASON_BY_STATE[outcome.state]
        case RunState.TIMED_OUT:
            return ExitReason.TIMEOUT
        case RunState.STARTED:
            # Started is all that was asked for, or else it has not ended.
            return ExitReason.TIMEOUT if waited else ExitReason.OK
        case RunState.NOT_STARTED if outcome.reason is not ExitReason.OK:
            return outcome.reason
        case RunState.UNKNOWN if outcome.reason in {ExitReason.UNAUTHORIZED, ExitReason.NOT_FOUND}:
            return outcome.reason
    # A run that is not accounted for is open, whatever else is said of it: red, never green.
    return ExitReason.UNKNOWN
