"""What all outcomes come to: a truth table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.model import Conclusion, Outcome, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_CODES = {
    Reason.OK: 0,
    Reason.FAILED: 1,
    Reason.INPUT: 2,
    Reason.UNAUTHORIZED: 3,
    Reason.NOT_FOUND: 4,
    Reason.API: 5,
    Reason.TIMEOUT: 6,
    Reason.UNKNOWN: 7,
}
# With several at once, the one that says most about what to do comes first.
_FIRST = (Reason.UNAUTHORIZED, Reason.NOT_FOUND, Reason.UNKNOWN, Reason.API)


def decide(outcomes: Iterable[Outcome], interrupt: int | None = None) -> Verdict:
    """Return the verdict; only runs that have all started give exit code 0, and no runs at all are `skipped`."""
    outcomes = tuple(outcomes)
    if interrupt is not None:
        return Verdict(Conclusion.CANCELLED, Reason.CANCELLED, 128 + interrupt)
    if not outcomes:
        return Verdict(Conclusion.SKIPPED, Reason.OK, 0)
    reasons = {_reason(outcome) for outcome in outcomes}
    if reasons == {Reason.OK}:
        return Verdict(Conclusion.STARTED, Reason.OK, 0)
    reason = next((reason for reason in _FIRST if reason in reasons), Reason.API)
    return Verdict(Conclusion.ERROR, reason, EXIT_CODES[reason])


def _reason(outcome: Outcome) -> Reason:
    if outcome.state is State.STARTED:
        return Reason.OK
    # A run that is not accounted for is open, whatever else is said of it: red, never green.
    unsure = outcome.state in {State.UNKNOWN, State.STARTING, State.PLANNED}
    return Reason.UNKNOWN if unsure or outcome.reason is Reason.OK else outcome.reason
