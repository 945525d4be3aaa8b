"""Confirm passes of an earlier attempt at the build: each counts only if the API says `passed` now."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import Said
from autonoma_ci.models import Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import Board
    from autonoma_ci.engine.workers import Polled, Workers

_CONCURRENCY = 8
# In seconds. The transport ends each request after 30 s, so a later response is a thread that hangs.
_OVERDUE = 45.0


class Carry:
    """Polls the runs that passed earlier, once each, while they are planned on the board.

    A run that passed keeps its place, so nothing is started for it. All others are handed to `refuted`, which starts
    them: the response of a poll that failed proves nothing. `unauthorized` is called if the API refuses the
    credentials. Each id belongs to one run, so a start that is answered with one of these ids is no new run.
    """

    def __init__(
        self,
        board: Board,
        clock: Clock,
        candidates: Mapping[int, str],
        confirmed: Callable[[int], None],
        refuted: Callable[[int], None],
        unauthorized: Callable[[], None],
    ) -> None:
        self._board, self._clock = board, clock
        self._candidates: dict[int, str] = {}
        self._confirmed, self._refuted, self._unauthorized = confirmed, refuted, unauthorized
        for position, run_id in candidates.items():
            if board.claim(board.outcomes[position].request.kind, run_id):
                self._candidates[position] = run_id
            else:
                refuted(position)
        self._waiting = deque(self._candidates)
        self._sent: dict[int, float] = {}

    @property
    def busy(self) -> bool:
        """Whether a run is still to be confirmed."""
        return bool(self._candidates)

    def awaits(self, event: Polled) -> bool:
        """Say whether a response belongs to a poll of this class."""
        return self._candidates.get(event.position) == event.run_id

    def dispatch(self, workers: Workers) -> None:
        """Send the polls that may be sent now, and give up those that are overdue."""
        now = self._clock.monotonic()
        while self._waiting and len(self._sent) < _CONCURRENCY:
            position = self._waiting.popleft()
            self._sent[position] = now
            workers.poll(position, self._board.outcomes[position].request, self._candidates[position], 0)
        for position in [position for position, since in self._sent.items() if now >= since + _OVERDUE]:
            self._refute(position)

    def due(self) -> float:
        """Return the clock's time at which a poll is overdue."""
        return min(self._sent.values(), default=inf) + _OVERDUE

    def take(self, event: Polled) -> None:
        """Keep the run if it passed, or else hand it over to be started."""
        position, status = event.position, event.status
        if status.said is Said.UNAUTHORIZED:
            self._unauthorized()
        if status.said is not Said.PASSED:
            self._refute(position)
            return
        self._forget(position)
        self._board.change(
            position, state=State.PASSED, reason=Reason.OK, run_id=event.run_id, url=status.url, carried=True
        )
        self._confirmed(position)

    def give_up(self) -> None:
        """Hand over all that is not confirmed."""
        self._waiting.clear()
        for position in list(self._candidates):
            self._refute(position)

    def _refute(self, position: int) -> None:
        self._forget(position)
        self._refuted(position)

    def _forget(self, position: int) -> None:
        del self._candidates[position]
        self._sent.pop(position, None)
