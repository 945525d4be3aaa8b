"""What is known of every run of the plan at this moment: the one place where it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.api.models import StartStatus
from autonoma_ci.api.run_ids import find_linked_run
from autonoma_ci.models import Evidence, ExitReason, PreviousAttempt, RunResult, RunState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autonoma_ci.api.models import RunDetails, StartResult

# A run whose start may have arrived is unknown; any other start that failed did not start a run.
_STATE_AFTER_START = {StartStatus.STARTED: RunState.STARTED, StartStatus.INDETERMINATE: RunState.UNKNOWN}
_CONTRADICTED = "Look at the run's page: the API gives two answers about it."


class RunTable:
    """The outcomes in plan order; `origin` is the clock's time from which their `began` counts.

    `earlier_ids` are the ids of runs that an earlier attempt at this build started. No new run has one of them.
    """

    def __init__(
        self, outcomes: Iterable[RunResult], origin: float, earlier_ids: frozenset[tuple[TargetKind, str]] = frozenset()
    ) -> None:
        self.results = list(outcomes)
        self.origin = origin
        self._earlier_ids = earlier_ids
        self._claimed: set[tuple[TargetKind, str]] = set()

    def claim(self, kind: TargetKind, run_id: str, url: str = "") -> bool:
        """Register a run by its id and the id in its link; return False if another run has one of them already.

        A run without either is registered by its link.
        """
        names = _names_of(kind, run_id, url) or {(kind, url)}
        if names & self._claimed:
            return False
        self._claimed |= names
        return True

    def claim_start(self, kind: TargetKind, run_id: str, url: str) -> bool:
        """Register a run that was just started; return False if it is not a new one."""
        return not _names_of(kind, run_id, url) & self._earlier_ids and self.claim(kind, run_id, url)

    def mark_starting(self, index: int, offset: float) -> RunResult:
        """Count a request that starts the run, and return the run as it is now.

        Args:
            index: The run's place in the plan.
            offset: When the first request for it was sent, in seconds after the start of the step.

        """
        was = self.results[index]
        return self._set(
            index,
            was._replace(state=RunState.STARTING, start_requests=was.start_requests + 1, start_offset_seconds=offset),
        )

    def finish_start(self, index: int, result: StartResult, suggestion: str, seconds: float) -> RunResult:
        """Store the result of the last start request, and return the run as it is now.

        Args:
            index: The run's place in the plan.
            result: The response, or why there is none.
            suggestion: What the user can do about a failure.
            seconds: How long the start took, with all its requests.

        """
        return self._set(
            index,
            self.results[index]._replace(
                state=_STATE_AFTER_START.get(result.status, RunState.NOT_STARTED),
                reason=result.reason,
                run_id=result.run_id,
                url=result.url,
                message=result.message,
                suggestion=suggestion,
                http_status=result.http_status,
                duration_seconds=seconds,
            ),
        )

    def finish(
        self,
        index: int,
        state: RunState,
        reason: ExitReason,
        message: str,
        *,
        suggestion: str | None = None,
        seconds: float | None = None,
    ) -> RunResult:
        """Store how a run ended, and return the run as it is now.

        Args:
            index: The run's place in the plan.
            state: The state in which it ended.
            reason: Why it ended so, if it did not pass.
            message: What happened, in one sentence.
            suggestion: What the user can do about it; None leaves the former one.
            seconds: How long the run took; None leaves the former length.

        """
        was = self.results[index]
        return self._set(
            index,
            was._replace(
                state=state,
                reason=reason,
                message=message,
                suggestion=was.suggestion if suggestion is None else suggestion,
                duration_seconds=was.duration_seconds if seconds is None else seconds,
            ),
        )

    def mark_reused(self, index: int, run_id: str, url: str) -> RunResult:
        """Store the pass of an earlier attempt at the build, and return the run as it is now."""
        was = self.results[index]
        return self._set(
            index, was._replace(state=RunState.PASSED, reason=ExitReason.OK, run_id=run_id, url=url, reused=True)
        )

    def set_suggestion(self, index: int, suggestion: str) -> None:
        """Store what the user can do about a run that was not started."""
        self._set(index, self.results[index]._replace(suggestion=suggestion))

    def clear_contradiction(self, index: int) -> None:
        """Record that the details fit the status of the run again."""
        self._set(index, self.results[index]._replace(has_contradiction=False))

    def _set(self, index: int, run: RunResult) -> RunResult:
        self.results[index] = run
        return run

    def begin_retry(self, index: int) -> None:
        """Put the run that failed with the earlier ones, and a new one in its place."""
        was = self.results[index]
        failed = PreviousAttempt(
            was.run_id, was.url, was.message, was.step, was.start_offset_seconds, was.duration_seconds, was.evidence
        )
        earlier = (*was.previous_attempts, failed)
        self.results[index] = RunResult(
            was.request, title=was.title, previous_attempts=earlier, request_mac=was.request_mac
        )

    def restore_previous_attempt(self, index: int) -> RunResult:
        """Put the last run that failed in the place of one that could not be started after it."""
        was = self.results[index]
        *earlier, last = was.previous_attempts
        return self._set(
            index,
            was._replace(
                state=RunState.FAILED,
                reason=ExitReason.FAILED,
                run_id=last.run_id,
                url=last.url,
                message=f"it could not be started again: {was.message}",
                step=last.step,
                start_offset_seconds=last.start_offset_seconds,
                duration_seconds=last.duration_seconds,
                previous_attempts=tuple(earlier),
                evidence=last.evidence,
            ),
        )

    def apply_details(self, index: int, run_id: str, details: RunDetails) -> None:
        """Note what the API tells of a run that ended; if it failed, it may have been started again since."""
        was = self.results[index]
        evidence = Evidence(details.steps)
        if was.run_id == run_id:
            seconds = was.duration_seconds if details.duration_seconds is None else details.duration_seconds
            was = was._replace(step=details.step, evidence=evidence, duration_seconds=seconds)
        else:
            was = _replace_attempt(was, run_id, lambda run: run._replace(step=details.step, evidence=evidence))
        self._set(index, was._replace(title=details.title or was.title))

    def mark_contradiction(self, index: int, ended: RunResult, why: str) -> RunResult:
        """Record that the API contradicts itself about a run that ended, and return the run as it is now.

        A pass is no pass then. The run may have been started again since.
        """
        was = self.results[index]
        if was.run_id == ended.run_id:
            self._set(index, _with_contradiction(was, why, passed=ended.state is RunState.PASSED))
        else:
            # A run that was started again had failed, so its state stays.
            self._set(index, _replace_attempt(was, ended.run_id, lambda run: run._replace(message=why)))
        return _with_contradiction(ended, why, passed=ended.state is RunState.PASSED)

    def update_evidence(self, index: int, run_id: str, change: Callable[[Evidence], Evidence]) -> None:
        """Note what is new of the evidence of a run, which may have been started again since."""
        was = self.results[index]
        runs: list[RunResult | PreviousAttempt] = [was, *was.previous_attempts]
        found = [run.evidence for run in runs if run.run_id == run_id]
        if not found:
            return
        evidence = change(found[0])
        if was.run_id == run_id:
            self._set(index, was._replace(evidence=evidence))
        else:
            self._set(index, _replace_attempt(was, run_id, lambda run: run._replace(evidence=evidence)))


def _with_contradiction(run: RunResult, why: str, *, passed: bool) -> RunResult:
    if not passed:
        return run._replace(message=why)
    return run._replace(
        message=why,
        state=RunState.UNKNOWN,
        reason=ExitReason.UNKNOWN,
        suggestion=_CONTRADICTED,
        has_contradiction=True,
    )


def _replace_attempt(run: RunResult, run_id: str, change: Callable[[PreviousAttempt], PreviousAttempt]) -> RunResult:
    """Return the run with one of its previous attempts changed."""
    attempts = (change(each) if each.run_id == run_id else each for each in run.previous_attempts)
    return run._replace(previous_attempts=tuple(attempts))


def _names_of(kind: TargetKind, run_id: str, url: str) -> set[tuple[TargetKind, str]]:
    """Return the ids that a run is known by. The page of a tag run may be that of the run of a folder."""
    linked = ((of, find_linked_run(url, of)) for of in (kind, TargetKind.FOLDER))
    return {(of, name) for of, name in ((kind, run_id), *linked) if name}
