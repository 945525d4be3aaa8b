"""Ask for titles and for what runs did, within bounds; a pass that the details contradict is no pass."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollStatus, RunDetails
from autonoma_ci.models import RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.evidence import EvidenceCollector
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import DetailsReceived, RequestExecutor
    from autonoma_ci.models import RunResult

_AT_ONCE = 8
_TRIES = 3
# Details may lag behind the status, for seconds.
_TRIES_OF_LAGGING = 10
_PAUSE = 1.0
# In seconds. If no details of any run came for this time, the requests that wait for their turn are given up. A request
# whose evidence is to be kept has this time from its first try.
_LIMIT = 20.0

_DOUBTED = "the API contradicted itself before, and the run's details could not be had again"


class _PendingRequest:
    __slots__ = ("already_reported", "doubt", "ended", "since", "tries")

    def __init__(self, ended: RunResult, since: float, *, told: bool) -> None:
        self.ended, self.since, self.already_reported, self.tries = ended, since, told, 0
        # The last contradiction that no later details have cleared up: a request that fails clears up nothing.
        self.doubt = _DOUBTED if ended.has_contradiction else ""

    def note(self, details: RunDetails) -> None:
        """Remember what these details make doubtful. Details that could not be had clear nothing up."""
        if details.contradiction or not details.error:
            self.doubt = _contradiction(self.ended, details)


class DetailsFetcher:
    """Asks for the details of runs that ended; `told` gets each, as it ended, with what could be had.

    `keep` sees to the screenshots and videos of those that it wants.
    """

    def __init__(
        self, board: RunTable, clock: Clock, told: Callable[[RunResult], None], keep: EvidenceCollector | None = None
    ) -> None:
        self._board, self._clock, self._told, self._keep = board, clock, told, keep
        self._open: dict[tuple[int, str], _PendingRequest] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._under_way = 0
        # When details of any run came last.
        self._answered = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to ask or to wait for."""
        return bool(self._open)

    def add(self, index: int, ended: RunResult, *, told: bool) -> None:
        """Ask for this run; `told` says that it need not be told of any more."""
        now = self._clock.monotonic()
        self._open[index, ended.run_id] = _PendingRequest(ended, inf if self._kept(ended) else now, told=told)
        heappush(self._waiting, (now, index, ended.run_id))

    def dispatch(self, workers: RequestExecutor) -> None:
        """Ask what may be asked now, and give up what has taken too long."""
        now = self._clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now and self._under_way < _AT_ONCE:
            _, index, run_id = heappop(self._waiting)
            if question := self._open.get((index, run_id)):
                question.since = now if question.since == inf else question.since
                question.tries += 1
                self._under_way += 1
                workers.fetch_details(index, question.ended.request, run_id, media=self._kept(question.ended))
        if now >= self._first_limit:
            for key in [key for key, question in self._open.items() if now >= self._limit(question)]:
                self._end(key, RunDetails(error="no answer came in time"))

    def next_action_at(self) -> float:
        """Return the clock's time at which there may be something to do, if nothing comes back before."""
        limit = self._first_limit
        # The open questions need no look until then.
        if self._clock.monotonic() >= limit:
            limit = min((self._limit(question) for question in self._open.values()), default=inf)
        return min(limit, self._waiting[0][0] if self._waiting and self._under_way < _AT_ONCE else inf)

    def handle_result(self, event: DetailsReceived) -> None:
        """Note what came back; what could not be had is asked for again, but not for ever."""
        self._under_way -= 1
        if not event.details.error:
            self._answered = self._clock.monotonic()
        key = event.plan_index, event.run_id
        question = self._open.get(key)
        if not question:
            return
        question.note(event.details)
        if _is_worth_another_try(question, event.details, kept=self._kept(question.ended)):
            heappush(self._waiting, (self._clock.monotonic() + self._clock.jitter(_PAUSE), *key))
            return
        self._end(key, event.details)

    def cancel(self) -> None:
        """Tell of all runs with what is known."""
        for key in list(self._open):
            self._end(key, RunDetails(error="the time was over"))

    @property
    def _first_limit(self) -> float:
        """Return the clock's time before which no open question is given up."""
        return self._answered + _LIMIT

    def _limit(self, question: _PendingRequest) -> float:
        return max(question.since + _LIMIT, self._first_limit)

    def _kept(self, ended: RunResult) -> bool:
        return bool(self._keep and self._keep.should_collect(ended))

    def _end(self, key: tuple[int, str], details: RunDetails) -> None:
        question = self._open.pop(key)
        ended = question.ended
        if not details.error:
            self._board.apply_details(*key, details)
            seconds = ended.duration_seconds if details.duration_seconds is None else details.duration_seconds
            ended = ended._replace(title=details.title or ended.title, step=details.step, duration_seconds=seconds)
        if question.doubt:
            ended = self._board.mark_contradiction(key[0], ended, question.doubt)
        elif ended.has_contradiction:
            self._board.clear_contradiction(key[0])
        if self._keep and self._keep.should_collect(ended):
            self._keep.add(key[0], ended, details)
        if not question.already_reported:
            self._told(ended)


def _is_worth_another_try(question: _PendingRequest, details: RunDetails, *, kept: bool) -> bool:
    ended = question.ended
    if ended.state is RunState.PASSED and details.status is PollStatus.RUNNING:
        return question.tries < _TRIES_OF_LAGGING
    if not details.error or question.tries >= _TRIES:
        return False
    # The details may contradict a pass.
    return ended.state in {RunState.FAILED, RunState.PASSED} or kept or bool(question.doubt)


def _contradiction(ended: RunResult, details: RunDetails) -> str:
    """Return how the details contradict the status by which the run ended, or an empty text."""
    if details.contradiction:
        return f"the API contradicts itself: the status is {ended.state}, but {details.contradiction}"
    if details.status is None or (details.status is PollStatus.PASSED) == (ended.state is RunState.PASSED):
        return ""
    word = "running" if details.status is PollStatus.RUNNING else details.status
    return f"the API contradicts itself: the status is {ended.state}, but the details say {word}"
