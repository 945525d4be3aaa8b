"""Starting every run of a plan exactly once, many at a time.

One thread, the caller's, decides; the others each send one request and report what came of it. A request
is sent again only after `Delivery.NOT_SENT` or `Delivery.BUSY`: every other failure leaves open whether
the run has started, and a run started twice costs twice. A signal is an event like any other, so nothing
is ever interrupted half-way.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.engine.workers import MAY_HAVE_STARTED, Done, Interrupt
from autonoma_ci.exchange import Attempt, Delivery
from autonoma_ci.model import Outcome, Reason, RunRequest, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.engine.workers import Events, Watcher, Workers

_TICK = 0.5


class Policy(NamedTuple):
    """How starting goes about it; all times in seconds.

    `patience` is how long nothing but refusals to take requests may come back before the rest is given
    up; `attempts` bounds the tries that made no connection; `grace` is how long a cancelled job waits for
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
    """One plan being started; `outcomes` is at all times what is known of each run, in plan order."""

    def __init__(self, requests: Sequence[RunRequest], policy: Policy, clock: Clock, events: Events) -> None:
        self.outcomes = [Outcome(request) for request in requests]
        self.interrupt: int | None = None
        self._policy, self._clock, self._events = policy, clock, events
        self._ready = deque(range(len(self.outcomes)))
        self._later: list[tuple[float, int]] = []
        self._sent: dict[int, float] = {}
        self._first: dict[int, float] = {}
        self._gate = 0.0
        self._progress = 0.0

    def run(self, workers: Workers, watcher: Watcher) -> None:
        """Start all runs; return when each has an outcome or the job was told to stop."""
        self._progress = self._clock.monotonic()
        while (self._ready or self._later or self._sent) and self.interrupt is None:
            self._dispatch(workers)
            self._take(self._clock.receive(self._events, self._pause()), watcher)
            self._give_up_overdue(watcher)
            watcher.tick(self.outcomes)
        if self.interrupt is not None:
            self._wind_up(watcher)

    def _dispatch(self, workers: Workers) -> None:
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now:
            # What was sent before goes first, so that no run starves behind a long plan.
            self._ready.appendleft(heappop(self._later)[1])
        while self._ready and len(self._sent) < self._policy.concurrency and now >= self._gate:
            index = self._ready.popleft()
            outcome = self.outcomes[index]
            self._sent[index] = now
            self._first.setdefault(index, now)
            self.outcomes[index] = outcome._replace(state=State.STARTING, tries=outcome.tries + 1)
            workers.send(index, outcome.request)

    def _pause(self) -> float:
        now = self._clock.monotonic()
        times = [now + _TICK]
        if len(self._sent) < self._policy.concurrency:
            times += [self._gate] if self._ready else []
            times += [self._later[0][0]] if self._later else []
        return max(0.0, min(times) - now)

    def _take(self, event: Done | Interrupt | None, watcher: Watcher) -> None:
        if isinstance(event, Interrupt):
            self.interrupt = event.signal
        elif isinstance(event, Done) and self._sent.pop(event.position, None) is not None:
            self._settle(event.position, event.attempt, watcher)
        elif isinstance(event, Done) and event.attempt.delivery is Delivery.STARTED:
            # It had been given up, and comes after all: its link is worth more than consistency.
            self._end(event.position, event.attempt, watcher)

    def _settle(self, index: int, attempt: Attempt, watcher: Watcher) -> None:
        now, delivery = self._clock.monotonic(), attempt.delivery
        if delivery in {Delivery.NOT_SENT, Delivery.BUSY} and self._again(index, attempt, now):
            return
        if delivery not in {Delivery.NOT_SENT, Delivery.BUSY}:
            self._progress = now
        self._end(index, attempt, watcher)
        if self.interrupt is not None:
            return  # what has not been sent is accounted for at the end of winding up
        if attempt.reason is Reason.UNAUTHORIZED:
            self._drop(watcher, Reason.UNAUTHORIZED, "not sent: the API refused the credentials")
        elif self._policy.fail_fast and delivery is not Delivery.STARTED:
            self._drop(watcher, attempt.reason, "not sent: fail-fast is set and an earlier run could not be started")
        elif delivery is Delivery.BUSY:
            self._drop(watcher, attempt.reason, "not sent: the API asks to wait for longer than this step does")
        elif delivery is Delivery.UNSENDABLE:
            self._drop(watcher, attempt.reason, "not sent: no connection to the API can be made")
        elif now - self._progress >= self._policy.patience:
            self._drop(watcher, attempt.reason, "not sent: the API took no request for too long")

    def _again(self, index: int, attempt: Attempt, now: float) -> bool:
        """Plan another try if one is allowed and could be in time; say whether there will be one."""
        tries, policy = self.outcomes[index].tries, self._policy
        if self.interrupt is not None or (attempt.delivery is Delivery.NOT_SENT and tries >= policy.attempts):
            return False
        pause = self._clock.jitter(min(policy.longest_pause, policy.first_pause * 2 ** (tries - 1)))
        if attempt.retry_after is not None:
            # Jitter on top, never below what the server asked for.
            pause = attempt.retry_after + self._clock.jitter(policy.first_pause)
        if now + pause > self._progress + policy.patience:
            return False
        heappush(self._later, (now + pause, index))
        if attempt.delivery is Delivery.BUSY:
            self._gate = max(self._gate, now + pause)
        return True

    def _end(self, index: int, attempt: Attempt, watcher: Watcher) -> None:
        state = {Delivery.STARTED: State.STARTED, Delivery.OPEN: State.UNKNOWN}.get(attempt.delivery, State.NOT_STARTED)
        now = self._clock.monotonic()
        self.outcomes[index] = self.outcomes[index]._replace(
            state=state,
            reason=attempt.reason,
            run_id=attempt.run_id,
            url=attempt.url,
            message=attempt.message,
            hint=attempt.hint,
            status=attempt.status,
            seconds=now - self._first.get(index, now),
        )
        watcher.changed(self.outcomes[index])

    def _drop(self, watcher: Watcher, reason: Reason, message: str) -> None:
        """End all that is not under way without sending it."""
        waiting = sorted([*self._ready, *(index for _, index in self._later)])
        self._ready.clear()
        self._later.clear()
        for index in waiting:
            self._end(index, Attempt(Delivery.REFUSED, reason, message=message), watcher)

    def _give_up_overdue(self, watcher: Watcher) -> None:
        limit = self._clock.monotonic() - self._policy.overdue
        for index in [index for index, since in self._sent.items() if since < limit]:
            del self._sent[index]
            lost = Attempt(Delivery.OPEN, Reason.UNKNOWN, message="no answer came in time", hint=MAY_HAVE_STARTED)
            self._end(index, lost, watcher)

    def _wind_up(self, watcher: Watcher) -> None:
        """After a signal: send nothing more, wait briefly for answers under way, and account for every run."""
        until = self._clock.monotonic() + self._policy.grace
        while self._sent and self._clock.monotonic() < until:
            self._take(self._clock.receive(self._events, until - self._clock.monotonic()), watcher)
        for index in list(self._sent):
            message = "cancelled while the request was under way"
            self._end(index, Attempt(Delivery.OPEN, Reason.UNKNOWN, message=message, hint=MAY_HAVE_STARTED), watcher)
        self._sent.clear()
        self._drop(watcher, Reason.CANCELLED, "not sent: the job was cancelled")
