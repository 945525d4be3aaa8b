"""The table with the current result of each run in the plan.

It is the only mutable state of a job step's runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.api.models import StartStatus
from autonoma_ci.api.run_ids import find_linked_run
from autonoma_ci.clock import round_to_ms
from autonoma_ci.models import Evidence, ExitReason, PreviousAttempt, RunResult, RunState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autonoma_ci.api.models import RunDetails, StartResult

# A run whose start request may have arrived is unknown. All other failed start requests started no run.
_STATE_AFTER_START = {StartStatus.STARTED: RunState.STARTED, StartStatus.INDETERMINATE: RunState.UNKNOWN}
_CONTRADICTION_SUGGESTION = "Open the page of the run, because the responses of the API contradict each other."


class RunTable:
    """The results of all runs in plan order.

    Args:
        results: The runs of the plan, most of them planned.
        origin: The clock's time at the start of the job step. `start_offset_seconds` counts from it.
        previous_run_ids: The ids of runs that an earlier build attempt started. A new run never has one of them.

    """

    def __init__(
        self,
        results: Iterable[RunResult],
        origin: float,
        previous_run_ids: frozenset[tuple[TargetKind, str]] = frozenset(),
    ) -> None:
        self.results = list(results)
        self.origin = origin
        self._previous_run_ids = previous_run_ids
        self._claimed_ids: set[tuple[TargetKind, str]] = set()

    def claim(self, kind: TargetKind, run_id: str, url: str = "") -> bool:
        """Register a run by its ids.

        These are its run id and the id in its link. A run without an id is registered by its link.

        Args:
            kind: The target kind of the run.
            run_id: The run id, or an empty text.
            url: The link of the run, or an empty text.

        Returns:
            False if another run has one of these ids.

        """
        ids = _find_ids(kind, run_id, url) or {(kind, url)}
        if ids & self._claimed_ids:
            return False
        self._claimed_ids |= ids
        return True

    def claim_start(self, kind: TargetKind, run_id: str, url: str) -> bool:
        """Register a started run, and return whether it is new."""
        return not _find_ids(kind, run_id, url) & self._previous_run_ids and self.claim(kind, run_id, url)

    def mark_starting(self, index: int, offset_seconds: float) -> RunResult:
        """Count a start request, and return the run.

        Args:
            index: The index of the run in the plan.
            offset_seconds: When its first start request was sent, in seconds after the start of the job step.

        """
        run = self.results[index]
        self.results[index] = run._replace(
            state=RunState.STARTING,
            start_requests=run.start_requests + 1,
            start_offset_seconds=round_to_ms(offset_seconds),
        )
        return self.results[index]

    def finish_start(self, index: int, result: StartResult, suggestion: str, seconds: float) -> None:
        """Store the result of the last start request.

        If a retry was not started, the run is its last failed attempt again.

        Args:
            index: The index of the run in the plan.
            result: The response, or the reason why there is none.
            suggestion: How the user can fix a failure.
            seconds: The duration of all start requests of the run, in seconds.

        """
        run = self.results[index]._replace(
            state=_STATE_AFTER_START.get(result.status, RunState.NOT_STARTED),
            reason=result.reason,
            run_id=result.run_id,
            url=result.url,
            message=result.message,
            suggestion=suggestion,
            http_status=result.http_status,
            duration_seconds=round_to_ms(seconds),
        )
        is_failed_retry = bool(run.previous_attempts) and run.state is RunState.NOT_STARTED
        self.results[index] = _restore_previous_attempt(run) if is_failed_retry else run

    def finish(
        self,
        index: int,
        state: RunState,
        reason: ExitReason,
        message: str,
        *,
        suggestion: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Store how a run ended.

        Args:
            index: The index of the run in the plan.
            state: The final state.
            reason: The exit reason, OK for a run that passed.
            message: What happened, in one sentence.
            suggestion: How the user can fix it. None does not change it.
            seconds: The duration of the run in seconds. None does not change it.

        """
        run = self.results[index]
        self.results[index] = run._replace(
            state=state,
            reason=reason,
            message=message,
            suggestion=run.suggestion if suggestion is None else suggestion,
            duration_seconds=run.duration_seconds if seconds is None else round_to_ms(seconds),
        )

    def mark_reused(self, index: int, run_id: str, url: str) -> None:
        """Store a pass of an earlier build attempt."""
        self.results[index] = self.results[index]._replace(
            state=RunState.PASSED, reason=ExitReason.OK, run_id=run_id, url=url, reused=True
        )

    def set_suggestion(self, index: int, suggestion: str) -> None:
        """Store how the user can fix a run that was not started."""
        self.results[index] = self.results[index]._replace(suggestion=suggestion)

    def clear_contradiction(self, index: int) -> None:
        """Record that the details fit the status of the run."""
        self.results[index] = self.results[index]._replace(has_contradiction=False)

    def begin_retry(self, index: int) -> None:
        """Move a failed run to its previous attempts, and plan a retry."""
        run = self.results[index]
        failed = PreviousAttempt(
            run.run_id, run.url, run.message, run.step, run.start_offset_seconds, run.duration_seconds, run.evidence
        )
        previous_attempts = (*run.previous_attempts, failed)
        self.results[index] = RunResult(
            run.request,
            title=run.title,
            previous_attempts=previous_attempts,
            request_mac=run.request_mac,
            variable_macs=run.variable_macs,
        )

    def apply_details(self, index: int, run_id: str, details: RunDetails) -> None:
        """Store the details of a run that ended.

        If the run failed, a retry may have replaced it. Then `run_id` is the id of a previous attempt.
        """
        run = self.results[index]
        evidence = Evidence(details.steps)
        if run.run_id == run_id:
            seconds = run.duration_seconds if details.duration_seconds is None else details.duration_seconds
            run = run._replace(step=details.step, evidence=evidence, duration_seconds=seconds)
        else:
            run = _replace_attempt(run, run_id, lambda attempt: attempt._replace(step=details.step, evidence=evidence))
        self.results[index] = run._replace(title=details.title or run.title)

    def mark_contradiction(self, index: int, run: RunResult, message: str) -> RunResult:
        """Store that the API contradicts itself about a run that ended.

        A run that passed becomes unknown. If the run failed, a retry may have replaced it.

        Args:
            index: The index of the run in the plan.
            run: The run as it ended.
            message: The contradiction, in one sentence.

        Returns:
            The updated run.

        """
        current = self.results[index]
        if current.run_id == run.run_id:
            self.results[index] = _with_contradiction(current, message, has_passed=run.state is RunState.PASSED)
        else:
            # Only failed runs have a retry, so the state does not change.
            self.results[index] = _replace_attempt(
                current, run.run_id, lambda attempt: attempt._replace(message=message)
            )
        return _with_contradiction(run, message, has_passed=run.state is RunState.PASSED)

    def update_evidence(self, index: int, run_id: str, change: Callable[[Evidence], Evidence]) -> None:
        """Update the evidence of a run.

        If the run failed, a retry may have replaced it. Then `run_id` is the id of a previous attempt.
        """
        current = self.results[index]
        runs: list[RunResult | PreviousAttempt] = [current, *current.previous_attempts]
        matches = [run.evidence for run in runs if run.run_id == run_id]
        if not matches:
            return
        evidence = change(matches[0])
        if current.run_id == run_id:
            self.results[index] = current._replace(evidence=evidence)
        else:
            self.results[index] = _replace_attempt(current, run_id, lambda attempt: attempt._replace(evidence=evidence))


def _with_contradiction(run: RunResult, message: str, *, has_passed: bool) -> RunResult:
    if not has_passed:
        return run._replace(message=message)
    return run._replace(
        message=message,
        state=RunState.UNKNOWN,
        reason=ExitReason.UNKNOWN,
        suggestion=_CONTRADICTION_SUGGESTION,
        has_contradiction=True,
    )


def _restore_previous_attempt(run: RunResult) -> RunResult:
    """Return the last failed attempt of a run whose retry was not started."""
    *previous_attempts, last = run.previous_attempts
    return run._replace(
        state=RunState.FAILED,
        reason=ExitReason.FAILED,
        run_id=last.run_id,
        url=last.url,
        message=f"retry not started: {run.message.removeprefix('not sent: ')}",
        step=last.step,
        start_offset_seconds=last.start_offset_seconds,
        duration_seconds=last.duration_seconds,
        previous_attempts=tuple(previous_attempts),
        evidence=last.evidence,
    )


def _replace_attempt(run: RunResult, run_id: str, change: Callable[[PreviousAttempt], PreviousAttempt]) -> RunResult:
    """Return the run with one of its previous attempts changed."""
    attempts = (change(attempt) if attempt.run_id == run_id else attempt for attempt in run.previous_attempts)
    return run._replace(previous_attempts=tuple(attempts))


def _find_ids(kind: TargetKind, run_id: str, url: str) -> set[tuple[TargetKind, str]]:
    """Return the ids of a run, from its response and its link.

    The link of a tag run can be the page of a folder run.
    """
    linked_ids = ((of, find_linked_run(url, of)) for of in (kind, TargetKind.FOLDER))
    return {(of, name) for of, name in ((kind, run_id), *linked_ids) if name}
