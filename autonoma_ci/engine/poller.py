"""Waiting for runs to end, all under one deadline; passed is only what the server calls so.

What waiting keeps of one run, and how waiting goes about it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import Said, Status
from autonoma_ci.engine.backoff import MIN_FAILED_POLLS, Pace
from autonoma_ci.escaping import duration
from autonoma_ci.models import Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import Board
    from autonoma_ci.engine.workers import Polled, Workers


class Waiting(NamedTuple):
    """How waiting goes about it; all times in seconds.

    `interval` is the pause between two questions for a run, or None for one that follows its age;
    `patience` how long the questions for a run may go wrong; `missing` how long a run may be unknown to
    the server; `closing` how long answers are waited for after the deadline; `overdue` when a question
    that the transport should have ended long ago is given up. Neither `patience` nor `missing` ends a run
    before MIN_FAILED_POLLS, except at the deadline.
    """

    timeout: float = 1800.0
    interval: float | None = None
    retries: int = 0
    concurrency: int = 16
    patience: float = 120.0
    missing: float = 30.0
    closing: float = 10.0
    overdue: float = 45.0


class Watch:
    """One run that is waited for; the times are the clock's, in seconds.

    `born` is when it was asked for, `known` when it was last known to exist, `asked` when the question
    under way was asked, `sent` when the last one was; `failing` is since when every question went wrong,
    `trouble` how, `hint` what to do about it, and `failed_polls` the number of polls since the last usable answer.
    `last` is the last usable answer, and `number` that of the last question.
    """

    __slots__ = ("asked", "born", "failed_polls", "failing", "hint", "known", "last", "number", "sent", "trouble")

    def __init__(self, born: float, now: float) -> None:
        self.born, self.known, self.sent = born, now, -inf
        self.asked: float | None = None
        self.failing: float | None = None
        self.last: Status | None = None
        self.trouble = self.hint = ""
        self.number = 0
        self.failed_polls = 0

    def answered(self, status: Status, now: float) -> None:
        """Note a usable answer."""
        self.last, self.known, self.failing, self.failed_polls = status, now, None, 0
        self.trouble = self.hint = ""

    def went_wrong(self, status: Status, now: float) -> None:
        """Note a question without a usable answer; that the run is not there yet is no failure of the server."""
        self.trouble, self.hint = status.message, status.hint
        self.failed_polls += 1
        if status.said is not Said.MISSING and self.failing is None:
            self.failing = now

    def is_missing(self, now: float, waiting: Waiting, deadline: float) -> bool:
        """Return whether the server has had the time and the polls to know the run."""
        return self._is_polled_enough(deadline) and now - self.known >= waiting.missing

    def is_lost(self, now: float, waiting: Waiting, deadline: float) -> bool:
        """Return whether the status was unavailable for too long, and for enough polls."""
        too_long = self.failing is not None and now - self.failing >= waiting.patience
        return too_long and self._is_polled_enough(deadline)

    def _is_polled_enough(self, deadline: float) -> bool:
        # The poll at the deadline is the last one.
        return self.failed_polls >= MIN_FAILED_POLLS or self.sent >= deadline


_ENDS = {Said.PASSED: State.PASSED, Said.FAILED: State.FAILED, Said.STOPPED: State.STOPPED}
_HINT = "The run goes on: look at its page, or ask again later with autonoma-ci wait."


class Wait:
    """Asks for the started runs of a board until each has ended; `ended` is told the place of each.

    One failed poll ends nothing. Three of them in at least 2 minutes do, and refused credentials, and a run
    that the server does not know. `warn` gets a text for each word that is not known.
    """

    def __init__(
        self, board: Board, waiting: Waiting, clock: Clock, ended: Callable[[int], None], warn: Callable[[str], None]
    ) -> None:
        self._board, self._waiting, self._clock = board, waiting, clock
        self._ended, self._warn = ended, warn
        self._pace = Pace(waiting.interval, clock)
        self._open: dict[int, Watch] = {}
        self._agenda: list[tuple[float, int]] = []
        self._under_way = 0
        self._words: set[str] = set()
        self._looked = 0.0
        # When all were asked for the last time: on a machine that was suspended, long after the deadline.
        self._closed = inf
        self.deadline = inf

    @property
    def busy(self) -> bool:
        """Whether a run is still waited for."""
        return bool(self._open)

    @property
    def over(self) -> bool:
        """Whether the deadline has passed, and the time for late answers too."""
        return self._clock.monotonic() >= self._closed + self._waiting.closing

    def begin(self) -> None:
        """Let the time to wait begin; does nothing the second time."""
        if self.deadline == inf:
            self.deadline = self._clock.monotonic() + self._waiting.timeout

    def add(self, position: int) -> None:
        """Wait for this run of the board too; it may have been started long ago."""
        now, run = self._clock.monotonic(), self._board.outcomes[position]
        born = min(now, self._board.origin + run.began)
        watch = self._open[position] = Watch(born, now)
        if not run.run_id:
            self._end(position, State.UNKNOWN, Reason.UNKNOWN, "the API named no id to ask for")
            return
        self._plan(position, watch, now - born)

    def dispatch(self, workers: Workers) -> None:
        """Ask what may be asked now; at the deadline, ask for all that is left once more."""
        now = self._clock.monotonic()
        if now >= self.deadline and self._closed == inf:
            self._ask_all_again(now)
        while self._agenda and self._under_way < self._waiting.concurrency:
            at, position = self._agenda[0]
            if min(at, self.deadline) > now or min(self._pace.gate, self.deadline) > now:
                break
            heappop(self._agenda)
            watch = self._open.get(position)
            if watch and watch.asked is None:
                watch.asked = watch.sent = now
                watch.number += 1
                self._under_way += 1
                run = self._board.outcomes[position]
                workers.poll(position, run.request, run.run_id, watch.number)

    def due(self) -> float:
        """Return the clock's time at which there will be something to ask, if nothing comes back before."""
        if not self._agenda or self._under_way >= self._waiting.concurrency:
            return self.deadline if self._closed == inf else inf
        return min(max(self._agenda[0][0], self._pace.gate), self.deadline)

    def take(self, event: Polled) -> None:
        """Draw the conclusions of an answer."""
        watch, run = self._open.get(event.position), self._board.outcomes[event.position]
        if watch is None or run.run_id != event.run_id:
            return
        # What comes after it was given up, or asked again, counts only if it says how the run ended.
        awaited = watch.asked is not None and event.number == watch.number
        if awaited or event.status.said in _ENDS:
            self._came_back(watch)
            self._judge(event.position, watch, event.status)

    def give_up_overdue(self) -> None:
        """Count the questions that should have come back long ago as gone wrong; looks once a second."""
        now = self._clock.monotonic()
        if now < self._looked + 1.0:
            return
        self._looked, limit = now, now - self._waiting.overdue
        for position, watch in list(self._open.items()):
            if watch.asked is not None and watch.asked < limit:
                self._came_back(watch)
                self._judge(position, watch, Status(Said.TROUBLE, message="no answer came in time"))

    def _came_back(self, watch: Watch) -> None:
        self._under_way -= watch.asked is not None
        watch.asked = None

    def _ask_all_again(self, now: float) -> None:
        # An answer to a question before the deadline may say less than one to a question at it.
        self._closed = now
        for position, watch in self._open.items():
            if watch.asked is not None:
                self._came_back(watch)
                heappush(self._agenda, (now, position))

    def close(self) -> None:
        """End all that is still waited for with what is known of it."""
        for position, watch in list(self._open.items()):
            self._conclude(position, watch)

    def _judge(self, position: int, watch: Watch, status: Status) -> None:
        now, said = self._clock.monotonic(), status.said
        if said in _ENDS:
            self._pace.speed_up()
            why = "" if said is not Said.STOPPED else f"it was ended on the server: {status.word}"
            reason = Reason.OK if said is Said.PASSED else Reason.FAILED
            self._end(position, _ENDS[said], reason, why, now - watch.born)
        elif said is Said.UNAUTHORIZED:
            self._end_all(Reason.UNAUTHORIZED, f"how it stands may not be asked: {status.message}")
        elif said in {Said.GOING_ON, Said.STRANGE}:
            self._pace.speed_up()
            watch.answered(status, now)
            if said is Said.STRANGE and status.message not in self._words:
                self._words.add(status.message)
                self._warn(f"{self._board.outcomes[position].label}: {status.message}; it is asked for again.")
            self._next(position, watch)
        else:
            refuses_all = said is Said.BUSY and self._pace.slow_down(
                watch.sent, status.retry_after, self._waiting.patience
            )
            watch.went_wrong(status, now)
            if said is Said.MISSING and watch.is_missing(now, self._waiting, self.deadline):
                why = f"the API does not know the run: {status.message}"
                self._end(position, State.UNKNOWN, Reason.NOT_FOUND, why)
            elif refuses_all and not watch.is_lost(now, self._waiting, self.deadline):
                self._end_all(Reason.UNKNOWN, f"how it stands could not be had: {status.message}")
            else:
                self._next(position, watch)

    def _next(self, position: int, watch: Watch) -> None:
        now = self._clock.monotonic()
        if watch.failing is not None and watch.is_lost(now, self._waiting, self.deadline):
            why = f"how it stands could not be had for {duration(now - watch.failing)}: {watch.trouble}"
            self._end(position, State.UNKNOWN, Reason.UNKNOWN, why, now - watch.born)
        elif watch.sent >= self.deadline:
            self._conclude(position, watch)
        else:
            self._plan(position, watch, now - watch.born)

    def _plan(self, position: int, watch: Watch, age: float) -> None:
        # A run that was started long ago, by another step, is asked for at once.
        first = watch.sent == -inf and age > self._waiting.missing
        pause = 0.0 if first else self._pace.pause(age, len(self._open))
        heappush(self._agenda, (self._clock.monotonic() + pause, position))

    def _conclude(self, position: int, watch: Watch) -> None:
        """End a run whose time is over."""
        seconds = self._clock.monotonic() - watch.born
        if watch.last is None:
            why = f"how it stands could not be had: {watch.trouble or 'no answer came in time'}"
            self._end(position, State.UNKNOWN, Reason.UNKNOWN, why, seconds)
        elif watch.last.said is Said.STRANGE:
            self._end(position, State.UNKNOWN, Reason.UNKNOWN, watch.last.message, seconds)
        else:
            why = f"still running after {duration(seconds)}"
            why += f"; the last question went wrong: {watch.trouble}" if watch.trouble else ""
            self._end(position, State.TIMED_OUT, Reason.TIMEOUT, why, seconds)

    def _end_all(self, reason: Reason, why: str) -> None:
        now = self._clock.monotonic()
        for position, watch in list(self._open.items()):
            self._end(position, State.UNKNOWN, reason, why, now - watch.born if reason is Reason.UNKNOWN else None)

    def _end(self, position: int, state: State, reason: Reason, message: str, seconds: float | None = None) -> None:
        watch = self._open.pop(position)
        self._came_back(watch)
        run = self._board.outcomes[position]
        hint = f"{watch.hint} {_HINT}".lstrip() if state in {State.TIMED_OUT, State.UNKNOWN} else ""
        took = run.seconds if seconds is None else seconds
        self._board.change(position, state=state, reason=reason, message=message, hint=hint, seconds=took)
        self._ended(position)
