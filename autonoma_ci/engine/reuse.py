"""Confirm passes of an earlier attempt at the build: each counts only if the API says `passed` now."""

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

_CONCURRENCY = 8
# In seconds. The transport ends each request after 30 s, so a later response is a thread that hangs.
_OVERDUE = 45.0


class PassConfirmer:
    """Polls the runs that passed earlier, once each, while they are planned on the board.

    A run that passed keeps its place, so nothing is started for it. All others are handed to `refuted`, which starts
    them: the response of a poll that failed proves nothing. `unauthorized` is called if the API refuses the
    credentials. Each id belongs to one run, so a start that is answered with one of these ids is no new run.
    """

    def __init__(
        self,
        board: RunTable,
        clock: Clock,
        candidates: Mapping[int, str],
        confirmed: Callable[[int], None],
        refuted: Callable[[int], None],
        unauthorized: Callable[[], None],
    ) -> None:
        self._board, self._clock = board, clock
        self._candidates: dict[int, str] = {}
        self._confirmed, self._refuted, self._unauthorized = confirmed, refuted, unauthorized
        for index, run_id in candidates.items():
            if board.claim(board.results[index].request.kind, run_id):
                self._candidates[index] = run_id
            else:
                refuted(index)
        self._waiting = deque(self._candidates)
        self._sent: dict[int, float] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a run is still to be confirmed."""
        return bool(self._candidates)

    def awaits(self, event: StatusReceived) -> bool:
        """Say whether a response belongs to a poll of this class."""
        return self._candidates.get(event.plan_index) == event.run_id

    def dispatch(self, workers: RequestExecutor) -> None:
        """Send the polls that may be sent now, and give up those that are overdue."""
        now = self._clock.monotonic()
        while self._waiting and len(self._sent) < _CONCURRENCY:
            index = self._waiting.popleft()
            self._sent[index] = now
            workers.poll(index, self._board.results[index].request, self._candidates[index], 0)
        for index in [index for index, since in self._sent.items() if now >= since + _OVERDUE]:
            self._refute(index)

    def next_action_at(self) -> float:
        """Return the clock's time at which a poll is overdue."""
        return min(self._sent.values(), default=inf) + _OVERDUE

    def handle_status(self, event: StatusReceived) -> None:
        """Keep the run if it passed, or else hand it over to be started."""
        index, status = event.plan_index, event.result
        if status.status is PollStatus.UNAUTHORIZED:
            self._unauthorized()
        if status.status is not PollStatus.PASSED:
            self._refute(index)
            return
        self._forget(index)
        self._board.mark_reused(index, event.run_id, status.url)
        self._confirmed(index)

    def cancel(self) -> None:
        """Hand over all that is not confirmed."""
        self._waiting.clear()
        for index in list(self._candidates):
            self._refute(index)

    def _refute(self, index: int) -> None:
        self._forget(index)
        self._refuted(index)

    def _forget(self, index: int) -> None:
        del self._candidates[index]
        self._sent.pop(index, None)
