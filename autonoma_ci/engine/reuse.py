"""Confirm the runs that passed in an earlier build attempt.

Such a run is reused only if the API returns the status `passed` now.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
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
        on_confirmed: Receives the index of a run that is reused, so it is not started.
        on_rejected: Receives the index of a run to start. A failed poll confirms nothing, so its run is here too.
        on_unauthorized: Called if the API rejects the credentials.

    """

    def __init__(
        self,
        run_table: RunTable,
        clock: Clock,
        candidates: Mapping[int, str],
        on_confirmed: Callable[[int], None],
        on_rejected: Callable[[int], None],
        on_unauthorized: Callable[[], None],
    ) -> None:
        self._run_table, self._clock = run_table, clock
        self._candidates: dict[int, str] = {}
        self._on_confirmed, self._on_rejected, self._on_unauthorized = on_confirmed, on_rejected, on_unauthorized
        for index, run_id in candidates.items():
            if run_table.claim(run_table.results[index].request.kind, run_id):
                self._candidates[index] = run_id
            else:
                on_rejected(index)
        self._queue = deque(self._candidates)
        self._sent_at: dict[int, float] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a run is not confirmed or rejected yet."""
        return bool(self._candidates)

    def awaits(self, event: StatusReceived) -> bool:
        """Return whether a response belongs to a poll of this class."""
        return self._candidates.get(event.plan_index) == event.run_id

    def dispatch(self, executor: RequestExecutor) -> None:
        """Send the polls that are due, and give up those that hang."""
        now = self._clock.monotonic()
        while self._queue and len(self._sent_at) < _MAX_CONCURRENT:
            index = self._queue.popleft()
            self._sent_at[index] = now
            executor.poll(index, self._run_table.results[index].request, self._candidates[index], 0)
        for index in [index for index, since in self._sent_at.items() if now >= since + _HUNG_AFTER_SECONDS]:
            self._reject(index)

    def next_action_at(self) -> float:
        """Return the clock's time at which the oldest poll counts as hung."""
        return min(self._sent_at.values(), default=inf) + _HUNG_AFTER_SECONDS

    def handle_status(self, event: StatusReceived) -> None:
        """Reuse the run if it passed, or reject it."""
        index, result = event.plan_index, event.result
        if result.status is PollStatus.UNAUTHORIZED:
            self._on_unauthorized()
        if result.status is not PollStatus.PASSED:
            self._reject(index)
            return
        self._remove(index)
        self._run_table.mark_reused(index, event.run_id, result.url)
        self._on_confirmed(index)

    def cancel(self) -> None:
        """Reject all runs that are not confirmed yet."""
        self._queue.clear()
        for index in list(self._candidates):
            self._reject(index)

    def _reject(self, index: int) -> None:
        self._remove(index)
        self._on_rejected(index)

    def _remove(self, index: int) -> None:
        del self._candidates[index]
        self._sent_at.pop(index, None)
