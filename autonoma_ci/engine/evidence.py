"""Keeping screenshots and videos: their addresses die after an hour, and no verdict hangs on them."""

from __future__ import annotations

from collections import deque
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import Item
from autonoma_ci.models import Kind, State

if TYPE_CHECKING:
    from autonoma_ci.api.models import Details, Media
    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import Board
    from autonoma_ci.engine.workers import Fetched, Refreshed, Workers
    from autonoma_ci.models import Evidence, Outcome, RunRequest


class Keeping(NamedTuple):
    """What is kept, of `failed` runs or of `all`; `at_once` files are fetched at a time.

    `closing` is for how many seconds details and files are waited for once all runs have ended.
    """

    of: str = "failed"
    at_once: int = 4
    closing: float = 180.0


class _Run:
    """The files of one run: `lost` are those that went wrong, and `fresh` says that addresses were asked for anew."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.left = 0
        self.lost: dict[int, Item] = {}
        self.problems: dict[str, int] = {}
        self.fresh = False


class Keep:
    """Fetches the files of runs that ended, and notes on the board where they are and what is missing."""

    def __init__(self, board: Board, clock: Clock, keeping: Keeping) -> None:
        self._board, self._clock, self._keeping = board, clock, keeping
        self._runs: dict[tuple[int, str], _Run] = {}
        self._agenda: list[tuple[int, int, int, Item]] = []
        self._stale: deque[tuple[int, str]] = deque()
        self._under_way = 0
        self._added = 0
        self._closes = inf

    @property
    def busy(self) -> bool:
        """Whether there is anything to fetch or to wait for."""
        return bool(self._runs)

    def wants(self, run: Outcome) -> bool:
        """Say whether the evidence of this run, which ended, is to be kept; only runs of tests have any."""
        states = {State.FAILED, State.STOPPED} | ({State.PASSED} if self._keeping.of == "all" else set())
        return run.request.kind is Kind.TEST and bool(run.run_id) and run.state in states

    def add(self, position: int, ended: Outcome, details: Details) -> None:
        """Fetch what the details of a run name."""
        if details.problem:
            self._board.keep(
                position, ended.run_id, partial(_missing, f"its details could not be had: {details.problem}")
            )
            return
        run = self._runs[position, ended.run_id] = _Run(ended.request)
        # What shows the failure comes first, then the other steps, then the video, which is the largest.
        failing = details.step.number if details.step else -1
        first = {failing: 0, 0: 2}
        spare = ended.state is State.PASSED
        digits = max(3, len(str(max(details.media, default=0))))
        for number, media in sorted(details.media.items()):
            run.left += 1
            self._plan(3 if spare else first.get(number, 1), position, Item(ended.run_id, number, media, spare, digits))
        self._settle(position, ended.run_id)

    def dispatch(self, workers: Workers) -> None:
        """Ask for what may be asked for now."""
        while self._stale and self._under_way < self._keeping.at_once:
            position, run_id = self._stale.popleft()
            self._under_way += 1
            workers.refresh(position, self._runs[position, run_id].request, run_id)
        while self._agenda and self._under_way < self._keeping.at_once:
            _, _, position, item = heappop(self._agenda)
            self._under_way += 1
            workers.fetch(position, item)

    def take(self, event: Fetched) -> None:
        """Note what came of fetching a file."""
        self._under_way -= 1
        key, number = (event.position, event.item.run_id), event.item.number
        run = self._runs.get(key)
        if not run:
            return
        run.left -= 1
        if event.kept.path:
            self._board.keep(*key, partial(_kept, number, event.kept.path))
        elif event.kept.again and not run.fresh:
            run.lost[number] = event.item
        else:
            run.problems[event.kept.problem] = run.problems.get(event.kept.problem, 0) + 1
        self._settle(*key)

    def renew(self, event: Refreshed) -> None:
        """Fetch what had gone wrong once more, from the new addresses."""
        self._under_way -= 1
        run = self._runs.get((event.position, event.run_id))
        if not run:
            return
        lost, run.lost = run.lost, {}
        for number, item in lost.items():
            run.left += 1
            media: Media = event.details.media.get(number, item.media)
            self._plan(0, event.position, item._replace(media=media))
        self._settle(event.position, event.run_id)

    def close(self) -> None:
        """Take note that all runs have ended: from now on, time is limited."""
        if self._closes == inf:
            self._closes = self._clock.monotonic() + self._keeping.closing

    def due(self) -> float:
        """Return the clock's time at which what is still under way is given up."""
        return self._closes

    def give_up(self, why: str) -> None:
        """Fetch nothing more, and note what is missing therefore."""
        for (position, run_id), run in self._runs.items():
            count = run.left + len(run.lost)
            run.problems[why] = run.problems.get(why, 0) + count
            self._note(position, run_id, run)
        self._runs.clear()
        self._agenda.clear()
        self._stale.clear()

    def _plan(self, rank: int, position: int, item: Item) -> None:
        self._added += 1
        heappush(self._agenda, (rank, self._added, position, item))

    def _settle(self, position: int, run_id: str) -> None:
        run = self._runs[position, run_id]
        if run.left:
            return
        if run.lost:
            run.fresh = True
            self._stale.append((position, run_id))
            return
        del self._runs[position, run_id]
        self._note(position, run_id, run)

    def _note(self, position: int, run_id: str, run: _Run) -> None:
        told = [f"{count} of its files: {why}" for why, count in run.problems.items()]
        if told:
            self._board.keep(position, run_id, partial(_missing, "; ".join(told)))


def _kept(number: int, path: str, was: Evidence) -> Evidence:
    if number == 0:
        return was._replace(video=path)
    return was._replace(steps=tuple(s._replace(image=path) if s.number == number else s for s in was.steps))


def _missing(why: str, was: Evidence) -> Evidence:
    return was._replace(missing=why)
