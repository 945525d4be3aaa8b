"""Confirm the runs that passed in an earlier build attempt.

Such a run is reused only if the API returns the status `passed` now.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollStatus
from autonoma_ci.engine.updates import CredentialsRejected, PassRejected, RunEnded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.updates import Update
    from autonoma_ci.engine.workers import RequestExecutor, StatusReceived

_MAX_CONCURRENT = 8
# The transport ends each request after 30 s. If there is no response after 45 s, its thread hangs.
_HUNG_AFTER_SECONDS = 45.0


class PassConfirmer:
    """Polls once each run that passed in an earlier build attempt.

    Each id belongs to one run. A start request whose response has one of these ids started no new run.

    Args:
        run_table: The runs of the plan.
        clock: Provides the time.
        candidates: The run ids of the earlier passes, by index in the plan.

    """

    def __init__(self, run_table: RunTable, clock: Clock, candidates: Mapping[int, str]) -> None:
        self._run_table, self._clock = run_table, clock
        self._candidates = dict(candidates)
        self._queue: deque[int] = deque()
        self._sent_at: dict[int, float] = {}

    def claim_candidates(self) -> list[Update]:
        """Register the ids of the candidates, and reject those whose id another run has.

        Call it once, before other runs are registered and before `dispatch`.
        """
        results = self._run_table.results
        rejected = [
            index
            for index, run_id in self._candidates.items()
            if not self._run_table.claim(results[index].request.kind, run_id)
        ]
        updates: list[Update] = [self._reject(index) for index in rejected]
        self._queue.extend(self._candidates)
        return updates

    @property
    def is_busy(self) -> bool:
        """Whether a run is not confirmed or rejected yet."""
        return bool(self._candidates)

    def awaits(self, event: StatusReceived) -> bool:
        """Return whether a response belongs to a poll of this class."""
        return self._candidates.get(event.plan_index) == event.run_id

    def dispatch(self, executor: RequestExecutor) -> list[Update]:
        """Send the polls that are due, and give up those that hang."""
        now = self._clock.monotonic()
        while self._queue and len(self._sent_at) < _MAX_CONCURRENT:
            index = self._queue.popleft()
            self._sent_at[index] = now
            executor.poll(index, self._run_table.results[index].request, self._candidates[index], 0)
        hung = [index for index, since in self._sent_at.items() if now >= since + _HUNG_AFTER_SECONDS]
        return [self._reject(index) for index in hung]

    def next_action_at(self) -> float:
        """Return the clock's time at which the oldest poll counts as hung."""
        return min(self._sent_at.values(), default=inf) + _HUNG_AFTER_SECONDS

    def handle_status(self, event: StatusReceived) -> list[Update]:
        """Reuse the run if it passed, or reject it.

        A failed poll confirms nothing, so its run is rejected too.
        """
        index, result = event.plan_index, event.result
        if result.status is PollStatus.UNAUTHORIZED:
            return [CredentialsRejected(), self._reject(index)]
        if result.status is not PollStatus.PASSED:
            return [self._reject(index)]
        self._remove(index)
        self._run_table.mark_reused(index, event.run_id, result.url)
        return [RunEnded(index)]

    def cancel(self) -> list[Update]:
        """Reject all runs that are not confirmed yet."""
        self._queue.clear()
        return [self._reject(index) for index in list(self._candidates)]

    def _reject(self, index: int) -> PassRejected:
        self._remove(index)
        return PassRejected(index)

    def _remove(self, index: int) -> None:
        del self._candidates[index]
        self._sent_at.pop(index, None)
