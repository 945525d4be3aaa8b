"""Starting every run of a plan exactly once, many at a time.

A request is sent again only after `Delivery.NOT_SENT` or `Delivery.BUSY`: every other failure leaves
open whether the run has started, and a run started twice costs twice. Two runs never have the same id: the
second start that gets it is told another run's response, so whether it started a run is not known.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.api.models import Attempt, Delivery
from autonoma_ci.engine.workers import MAY_HAVE_STARTED, Done
from autonoma_ci.models import Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import Board
    from autonoma_ci.engine.workers import Workers

_SAME_RUN = "the API named the run that failed, so whether another one was started is not known"
_STATES = {Delivery.STARTED: State.STARTED, Delivery.OPEN: State.UNKNOWN}
# The refusals that every further start would get too.
_WHY_REFUSED = {
    Reason.UNAUTHORIZED: "not sent: the API refused the credentials",
    Reason.QUOTA: "not sent: the account's quota is used up",
}
_NO_CONNECTION = frozenset({Delivery.NOT_SENT, Delivery.UNSENDABLE})


class _Sent(NamedTuple):
    """A request under way: since when by the clock, and what withdraws it if nothing of it was sent."""

    since: float
    withdraw: Callable[[], bool]


def _never() -> bool:
    return False


class Policy(NamedTuple):
    """How starting goes about it; all times in seconds.

    `patience` is how long nothing but refusals to take requests may come back before the rest is given
    up; `attempts` bounds the tries in a row that made no connection; `grace` is how long a cancelled job waits for
    answers that are on their way; `overdue` when a request that the transport should have ended long ago
    is given up.
    """

    concurrency: int = 8
    fail_fast: bool = False
    patience: float = 120.0
    attempts: int = 6
    first_pause: float = 0.5
    longest_pause: float = 10.0
    grace: float = 1.0
    overdue: float = 120.0


class Fire:
    """Starts the planned runs of a board; `settled` is told the place of each that reached its state.

    `later` are the places of planned runs that are not to be started yet, `warn` gets a text for each odd response.
    """

    def __init__(
        self,
        board: Board,
        policy: Policy,
        clock: Clock,
        settled: Callable[[int], None],
        warn: Callable[[str], None],
        later: Container[int] = (),
    ) -> None:
        self._board, self._policy, self._clock, self._settled = board, policy, clock, settled
        self._warn = warn
        planned = (place for place, run in enumerate(board.outcomes) if run.state is State.PLANNED)
        self._ready = deque(place for place in planned if place not in later)
        self._later: list[tuple[float, int]] = []
        self._sent: dict[int, _Sent] = {}
        self._first: dict[int, float] = {}
        # How many tries in a row made no connection, by place.
        self._failed: Counter[int] = Counter()
        # Whether the last dispatch ended because no thread was free.
        self._lacks_thread = False
        self._gate = 0.0
        self._progress = clock.monotonic()
        self._ending = False
        # What ends all runs that would still be started, once there is such a thing.
        self._final: Attempt | None = None
        self._has_connected = False
        # A request has failed for good, and no connection was ever made: nothing new is sent until all came back.
        self._in_doubt = False
        # The last answer taken.
        self._settling: tuple[int, Attempt] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is anything to send or to wait for."""
        return bool(self._ready or self._later or self._sent)

    @property
    def under_way(self) -> bool:
        """Whether there is an answer to wait for."""
        return bool(self._sent)

    @property
    def is_held_up(self) -> bool:
        """Whether there is something to send now, and nothing under way, but all threads do something else."""
        return self._lacks_thread and not self._sent

    def add(self, position: int) -> None:
        """Start this run of the board as well, unless nothing further may be started."""
        if self._final:
            self._end(position, self._final)
            return
        if not self.busy:
            self._progress = self._clock.monotonic()
        self._first.pop(position, None)
        self._failed.pop(position, None)
        self._ready.append(position)

    def dispatch(self, workers: Workers) -> None:
        """Send what may be sent now.

        A request that would wait for a thread is not sent: what is under way may have arrived, and has a limit of time.
        """
        now = self._clock.monotonic()
        self._lacks_thread = False
        if self._in_doubt and not self._sent and not self._later:
            self._in_doubt = False
            self.drop(Reason.API, "not sent: no connection to the API can be made")
        while len(self._sent) < self._policy.concurrency and now >= max(self._gate, self._next()):
            if not workers.can_start():
                self._lacks_thread = True
                return
            # What was sent before goes first, so that no run starves behind a long plan.
            again = self._later and self._later[0][0] <= now
            position = heappop(self._later)[1] if again else self._ready.popleft()
            self._sent[position] = _Sent(now, _never)
            self._first.setdefault(position, now)
            tries = self._board.outcomes[position].tries + 1
            run = self._board.change(position, state=State.STARTING, tries=tries, began=self._since(position))
            self._sent[position] = _Sent(now, workers.start(position, run.request))

    def due(self) -> float:
        """Return the clock's time at which there will be something to send, if nothing comes back before."""
        if self._lacks_thread or len(self._sent) >= self._policy.concurrency:
            return inf
        return max(self._gate, self._next())

    def _next(self) -> float:
        """Return the clock's time at which there is something to send, if the API takes it then."""
        if self._ready and not self._in_doubt:
            return 0.0
        return self._later[0][0] if self._later else inf

    def take(self, event: Done) -> None:
        """Draw the conclusions of an answer."""
        attempt = self._with_distinct_run(event.position, event.attempt)
        self._settling = event.position, attempt
        if attempt.delivery is Delivery.OPEN and event.attempt.delivery is Delivery.STARTED:
            label = self._board.outcomes[event.position].request.label
            self._warn(f"{label}: {attempt.message}. Whether this run was started is not known.")
        if attempt.delivery not in _NO_CONNECTION:
            self.note_connection()
        if self._sent.pop(event.position, None) is not None:
            self._settle(event.position, attempt)
        elif attempt.delivery is Delivery.STARTED:
            # It had been given up, and comes after all: its link is worth more than consistency.
            self._end(event.position, attempt)

    def save(self, event: object) -> None:
        """Note the answer of a request on the board and nowhere else, after a bug; also the last one taken."""
        if isinstance(event, Done) and event.position in self._sent:
            self._settling = event.position, self._with_distinct_run(event.position, event.attempt)
            del self._sent[event.position]
        if not self._settling:
            return
        position, attempt = self._settling
        if self._board.outcomes[position].state is State.STARTING and position not in self._sent:
            self._board.change(position, **self._ended_as(position, attempt))

    def save_unanswered(self, position: int) -> None:
        """Note on the board and nowhere else, after a bug, what is known of a run that was planned."""
        if self._board.outcomes[position].state not in {State.PLANNED, State.STARTING}:
            return
        attempt = Attempt(Delivery.REFUSED, Reason.UNKNOWN, message="not sent: the step ended because of a bug")
        if position in self._sent:
            what = "the step ended because of a bug while the request was under way"
            attempt = Attempt(Delivery.OPEN, Reason.UNKNOWN, message=what)
        run = self._board.change(position, **self._ended_as(position, attempt))
        if run.earlier and run.state is State.NOT_STARTED:
            self._board.take_back(position)

    def note_connection(self) -> None:
        """Record that a connection was made: a failure to make one says nothing of the other runs any more."""
        self._has_connected, self._in_doubt = True, False

    def _with_distinct_run(self, position: int, attempt: Attempt) -> Attempt:
        """Return the attempt, as unknown if it names a run that is known as another one."""
        run = self._board.outcomes[position]
        if attempt.delivery is not Delivery.STARTED:
            return attempt
        if self._board.claim_start(run.request.kind, attempt.run_id, attempt.url):
            return attempt
        if attempt.run_id and attempt.run_id in {earlier.run_id for earlier in run.earlier}:
            # The failure stands: no run came after it that could have passed.
            return Attempt(Delivery.REFUSED, Reason.API, message=_SAME_RUN, status=attempt.status)
        what = f"the API named run {attempt.run_id or attempt.url}, which is another one"
        return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=what, hint=MAY_HAVE_STARTED, status=attempt.status)

    def give_up_overdue(self) -> None:
        """End the requests that should have come back long ago."""
        limit = self._clock.monotonic() - self._policy.overdue
        overdue = [position for position, sent in self._sent.items() if sent.since < limit]
        self._call_back(overdue, Reason.API, "not sent: no connection was made in time")
        for position in overdue:
            if self._sent.pop(position, None):
                self._end(position, Attempt(Delivery.OPEN, Reason.UNKNOWN, "", "", "no answer came in time"))

    def call_back(self, reason: Reason, message: str) -> None:
        """End what is under way and has no connection yet: nothing of it is sent any more."""
        self._call_back(list(self._sent), reason, message)

    def _call_back(self, positions: list[int], reason: Reason, message: str) -> None:
        for position in positions:
            if self._sent[position].withdraw():
                # For good: while its thread still connects, a second request would get the first one's answer.
                del self._sent[position]
                self._end(position, Attempt(Delivery.REFUSED, reason, message=message))

    def drop(self, reason: Reason, message: str) -> None:
        """End all that is not under way without sending it."""
        waiting = sorted([*self._ready, *(position for _, position in self._later)])
        self._ready.clear()
        self._later.clear()
        for position in waiting:
            self._end(position, Attempt(Delivery.REFUSED, reason, message=message))

    def refuse_all(self, reason: Reason = Reason.UNAUTHORIZED) -> None:
        """End all that is not sent yet, now and later: the API would refuse it for this reason too."""
        self._drop_for_good(reason, _WHY_REFUSED[reason])

    def _drop_for_good(self, reason: Reason, message: str) -> None:
        self._final = Attempt(Delivery.REFUSED, reason, message=message)
        self.drop(reason, message)

    def stop(self) -> None:
        """From now on, send nothing again."""
        self._ending = True

    def abandon(self, message: str) -> None:
        """End what is under way without its answer."""
        for position in list(self._sent):
            self._end(position, Attempt(Delivery.OPEN, Reason.UNKNOWN, message=message))
        self._sent.clear()

    def _settle(self, position: int, attempt: Attempt) -> None:
        now, delivery = self._clock.monotonic(), attempt.delivery
        if delivery in {Delivery.NOT_SENT, Delivery.BUSY} and self._again(position, attempt, now):
            return
        if delivery not in {Delivery.NOT_SENT, Delivery.BUSY}:
            self._progress = now
        self._end(position, attempt)
        if self._ending:
            return  # what has not been sent is accounted for by whoever ends it all
        if attempt.reason in _WHY_REFUSED:
            self.refuse_all(attempt.reason)
        elif self._policy.fail_fast and delivery is not Delivery.STARTED:
            self._drop_for_good(attempt.reason, "not sent: fail-fast is set and an earlier run could not be started")
        elif delivery is Delivery.BUSY:
            self.drop(attempt.reason, "not sent: the API asks to wait for longer than this step does")
        elif delivery is Delivery.UNSENDABLE and not self._has_connected:
            self._in_doubt = True
        elif now - self._progress >= self._policy.patience:
            self.drop(attempt.reason, "not sent: the API took no request for too long")

    def _again(self, position: int, attempt: Attempt, now: float) -> bool:
        """Plan another try if one is allowed and could be in time; say whether there will be one."""
        tries, policy = self._board.outcomes[position].tries, self._policy
        if attempt.delivery is Delivery.NOT_SENT:
            self._failed[position] += 1
            tries = self._failed[position]
        else:
            self._failed.pop(position, None)
        if self._ending or self._final or (attempt.delivery is Delivery.NOT_SENT and tries >= policy.attempts):
            return False
        pause = self._clock.jitter(min(policy.longest_pause, policy.first_pause * 2 ** (tries - 1)))
        if attempt.retry_after is not None:
            # Jitter on top, never below what the server asked for.
            pause = attempt.retry_after + self._clock.jitter(policy.first_pause)
        if now + pause > self._progress + policy.patience:
            return False
        heappush(self._later, (now + pause, position))
        if attempt.delivery is Delivery.BUSY:
            self._gate = max(self._gate, now + pause)
        return True

    def _end(self, position: int, attempt: Attempt) -> None:
        self._board.change(position, **self._ended_as(position, attempt))
        self._settled(position)

    def _ended_as(self, position: int, attempt: Attempt) -> dict[str, Any]:
        """Return what the board has to know of a run whose start came to this end."""
        now = self._clock.monotonic()
        is_open = attempt.delivery is Delivery.OPEN
        return {
            "state": _STATES.get(attempt.delivery, State.NOT_STARTED),
            "reason": attempt.reason,
            "run_id": attempt.run_id,
            "url": attempt.url,
            "message": attempt.message,
            "hint": attempt.hint or (MAY_HAVE_STARTED if is_open else ""),
            "status": attempt.status,
            "seconds": now - self._first.get(position, now),
        }

    def _since(self, position: int) -> float:
        return self._first[position] - self._board.origin
