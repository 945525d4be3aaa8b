"""Compute the verdict of a job step from its run results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import UNCOUNTED_STATES, Conclusion, ExitReason, RunResult, RunState, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

# A job that a signal ended exits with 128 plus the number of the signal.
EXIT_CODES = {
    ExitReason.OK: 0,
    ExitReason.FAILED: 1,
    ExitReason.FLAKY: 1,
    ExitReason.INPUT: 2,
    ExitReason.UNAUTHORIZED: 3,
    ExitReason.NOT_FOUND: 4,
    ExitReason.API: 5,
    ExitReason.QUOTA: 5,
    ExitReason.TIMEOUT: 6,
    ExitReason.UNKNOWN: 7,
}
# If runs have different reasons, the first of these is reported. The most helpful reason for the user is first.
REASON_PRIORITY = (
    *(
        ExitReason.UNAUTHORIZED,
        ExitReason.NOT_FOUND,
        ExitReason.UNKNOWN,
        ExitReason.QUOTA,
        ExitReason.API,
        ExitReason.FAILED,
        ExitReason.FLAKY,
    ),
    ExitReason.TIMEOUT,
)
_CONCLUSION_BY_REASON = {
    ExitReason.FAILED: Conclusion.FAILED,
    ExitReason.FLAKY: Conclusion.FAILED,
    ExitReason.TIMEOUT: Conclusion.TIMED_OUT,
}
# In quarantine, a run in one of these states does not count. A pass does not count either, because a job step in which
# nothing else ran has tested nothing.
_QUARANTINED_STATES = UNCOUNTED_STATES | {RunState.PASSED, RunState.STARTED}
REASON_BY_STATE = {
    RunState.PASSED: ExitReason.OK,
    RunState.FAILED: ExitReason.FAILED,
    RunState.STOPPED: ExitReason.FAILED,
}


def compute_verdict(
    results: Iterable[RunResult],
    signal_number: int | None = None,
    *,
    waits_for_results: bool = False,
    fails_on_flaky: bool = False,
) -> Verdict:
    """Return the verdict of a job step.

    If nothing that counts was started, the conclusion is `skipped`, never `passed`.

    Args:
        results: The results of all runs in the plan.
        signal_number: The signal that ended the job, or None.
        waits_for_results: Whether exit code 0 requires that all runs passed. Otherwise all runs must have started.
        fails_on_flaky: Whether a pass after a failure fails the job step.

    """
    if signal_number is not None:
        return Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, 128 + signal_number)
    results = tuple(run for run in results if is_counted(run))
    if all(run.reused and run.state is RunState.PASSED for run in results):
        return Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
    reasons = {_find_reason(run, waits_for_results) for run in results}
    if fails_on_flaky and any(run.is_flaky for run in results):
        reasons.add(ExitReason.FLAKY)
    if reasons == {ExitReason.OK}:
        return Verdict(Conclusion.PASSED if waits_for_results else Conclusion.STARTED, ExitReason.OK, 0)
    reason = next((reason for reason in REASON_PRIORITY if reason in reasons), ExitReason.API)
    return Verdict(_CONCLUSION_BY_REASON.get(reason, Conclusion.ERROR), reason, EXIT_CODES[reason])


def is_counted(run: RunResult) -> bool:
    """Return whether the verdict depends on a run.

    A quarantined run counts only if it was not started, or if its result is unknown.
    """
    return run.request.quarantine is None or run.state not in _QUARANTINED_STATES


def _find_reason(run: RunResult, waits_for_results: bool) -> ExitReason:  # noqa: FBT001 - the two columns of the table
    match run.state:
        case RunState.PASSED | RunState.FAILED | RunState.STOPPED:
            return REASON_BY_STATE[run.state]
        case RunState.TIMED_OUT:
            return ExitReason.TIMEOUT
        case RunState.STARTED:
            # Without waiting, a started run is a success. With waiting, it did not end in time.
            return ExitReason.TIMEOUT if waits_for_results else ExitReason.OK
        case RunState.NOT_STARTED if run.reason is not ExitReason.OK:
            return run.reason
        case RunState.UNKNOWN if run.reason in {ExitReason.UNAUTHORIZED, ExitReason.NOT_FOUND}:
            return run.reason
    # Any other state is unresolved. It must fail the step, never pass it.
    return ExitReason.UNKNOWN
