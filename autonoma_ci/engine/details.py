"""Fetch the details of runs that ended, and check them against the final status.

Details are the title and the steps of a run. A run passes only if its details do not contradict the status.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollStatus, RunDetails
from autonoma_ci.engine.updates import DetailsSettled
from autonoma_ci.models import RunState

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.evidence import EvidenceCollector
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.updates import Update
    from autonoma_ci.engine.workers import DetailsReceived, RequestExecutor
    from autonoma_ci.models import RunResult

_MAX_CONCURRENT = 8
_MAX_ATTEMPTS = 3
# For some seconds, the details of a run that passed can say that it is still running.
_MAX_ATTEMPTS_IF_STILL_RUNNING = 10
_RETRY_DELAY_SECONDS = 1.0
# A request is cancelled after this time without the details of any run. The time counts from the end of its run. If the
# run's evidence is downloaded, it counts from the first request.
_MAX_SILENCE_SECONDS = 20.0

# A resumed run with a contradiction in its results.json has this one until new details arrive.
_UNRESOLVED_CONTRADICTION = "contradictory responses from the API before, and no new details of the run"


class _PendingRequest:
    """The details request of one run, with all its attempts."""

    __slots__ = ("already_reported", "attempt_count", "contradiction", "first_sent_at", "run")

    def __init__(self, run: RunResult, first_sent_at: float, *, already_reported: bool) -> None:
        self.run, self.first_sent_at, self.already_reported = run, first_sent_at, already_reported
        self.attempt_count = 0
        # How the latest details contradict the status, or None. A failed request leaves it as it is.
        self.contradiction = _UNRESOLVED_CONTRADICTION if run.has_contradiction else None

    def record_details(self, details: RunDetails) -> None:
        """Update the contradiction from a response, but not from an error."""
        if details.contradiction is not None or details.error is None:
            self.contradiction = _find_contradiction(self.run, details)


class DetailsFetcher:
    """Requests the details of runs that ended.

    Args:
        run_table: The runs of the plan.
        clock: Provides the time and the jitter.
        evidence: Downloads the screenshots and videos of the runs that it selects.

    """

    def __init__(self, run_table: RunTable, clock: Clock, evidence: EvidenceCollector | None = None) -> None:
        self._run_table, self._clock, self._evidence = run_table, clock, evidence
        self._pending: dict[tuple[int, str], _PendingRequest] = {}
        self._queue: list[tuple[float, int, str]] = []
        self._in_flight_count = 0
        # The clock's time of the last details of any run.
        self._last_response_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a request is pending or in flight."""
        return bool(self._pending)

    def add(self, index: int, run: RunResult, *, already_reported: bool) -> None:
        """Request the details of a run.

        Args:
            index: The index of the run in the plan.
            run: The run as it ended.
            already_reported: Whether the listener has this run already, so no update is returned for it.

        """
        now = self._clock.monotonic()
        self._pending[index, run.run_id] = _PendingRequest(
            run, inf if self._collects_evidence(run) else now, already_reported=already_reported
        )
        heappush(self._queue, (now, index, run.run_id))

    def dispatch(self, executor: RequestExecutor) -> list[Update]:
        """Send the due requests, and cancel those that took too long."""
        now = self._clock.monotonic()
        while self._queue and self._queue[0][0] <= now and self._in_flight_count < _MAX_CONCURRENT:
            _, index, run_id = heappop(self._queue)
            if pending := self._pending.get((index, run_id)):
                pending.first_sent_at = now if pending.first_sent_at == inf else pending.first_sent_at
                pending.attempt_count += 1
                self._in_flight_count += 1
                executor.fetch_details(index, pending.run.request, run_id, media=self._collects_evidence(pending.run))
        if now < self._no_cancel_before:
            return []
        late = [key for key, pending in self._pending.items() if now >= self._cancel_time_of(pending)]
        return self._cancel(late, "no response in time")

    def next_action_at(self) -> float:
        """Return the clock's time of the next action without a response."""
        cancel_at = self._no_cancel_before
        # Before that time, the exact times of the pending requests are not needed.
        if self._clock.monotonic() >= cancel_at:
            cancel_at = min((self._cancel_time_of(pending) for pending in self._pending.values()), default=inf)
        return min(cancel_at, self._queue[0][0] if self._queue and self._in_flight_count < _MAX_CONCURRENT else inf)

    def handle_details(self, event: DetailsReceived) -> list[Update]:
        """Handle a response, and retry a failed request within limits."""
        self._in_flight_count -= 1
        if event.details.error is None:
            self._last_response_at = self._clock.monotonic()
        key = event.plan_index, event.run_id
        pending = self._pending.get(key)
        if not pending:
            return []
        pending.record_details(event.details)
        if _should_retry(pending, event.details, collects_evidence=self._collects_evidence(pending.run)):
            heappush(self._queue, (self._clock.monotonic() + self._clock.jitter(_RETRY_DELAY_SECONDS), *key))
            return []
        return self._finish(key, event.details)

    def cancel(self) -> list[Update]:
        """Settle all pending runs without their details."""
        return self._cancel(list(self._pending), "no time left")

    @property
    def _no_cancel_before(self) -> float:
        """The clock's time before which no pending request is cancelled."""
        return self._last_response_at + _MAX_SILENCE_SECONDS

    def _cancel_time_of(self, pending: _PendingRequest) -> float:
        return max(pending.first_sent_at + _MAX_SILENCE_SECONDS, self._no_cancel_before)

    def _collects_evidence(self, run: RunResult) -> bool:
        return bool(self._evidence and self._evidence.should_collect(run))

    def _cancel(self, keys: list[tuple[int, str]], message: str) -> list[Update]:
        return [update for key in keys for update in self._finish(key, RunDetails(error=message))]

    def _finish(self, key: tuple[int, str], details: RunDetails) -> list[Update]:
        pending = self._pending.pop(key)
        run = pending.run
        if details.error is None:
            self._run_table.apply_details(*key, details)
            duration_seconds = run.duration_seconds if details.duration_seconds is None else details.duration_seconds
            run = run._replace(title=details.title or run.title, step=details.step, duration_seconds=duration_seconds)
        if pending.contradiction is not None:
            run = self._run_table.mark_contradiction(key[0], run, pending.contradiction)
        elif run.has_contradiction:
            self._run_table.clear_contradiction(key[0])
        if self._evidence and self._evidence.should_collect(run):
            self._evidence.add(key[0], run, details)
        return [] if pending.already_reported else [DetailsSettled(run)]


def _should_retry(pending: _PendingRequest, details: RunDetails, *, collects_evidence: bool) -> bool:
    run = pending.run
    if run.state is RunState.PASSED and details.status is PollStatus.RUNNING:
        return pending.attempt_count < _MAX_ATTEMPTS_IF_STILL_RUNNING
    if details.error is None or pending.attempt_count >= _MAX_ATTEMPTS:
        return False
    # A run that passed needs details, because they can contradict the pass.
    return run.state in {RunState.FAILED, RunState.PASSED} or collects_evidence or pending.contradiction is not None


def _find_contradiction(run: RunResult, details: RunDetails) -> str | None:
    """Return how the details contradict the final status, or None."""
    if details.contradiction is not None:
        return f"contradictory responses from the API: status {run.state}, but {details.contradiction}"
    if details.status is None or (details.status is PollStatus.PASSED) == (run.state is RunState.PASSED):
        return None
    return f"contradictory responses from the API: status {run.state}, but {details.status} in the details"
