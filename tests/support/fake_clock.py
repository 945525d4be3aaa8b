"""A clock without waiting, and workers that answer from a script at the times it says."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.engine.clock import Clock
from autonoma_ci.engine.workers import Done

if TYPE_CHECKING:
    import queue
    from collections.abc import Mapping, Sequence

    from autonoma_ci.engine.workers import Interrupt
    from autonoma_ci.exchange import Attempt
    from autonoma_ci.model import Outcome, RunRequest

# A loop that asks for events this often without an end in sight has none.
_TOO_OFTEN = 200_000


class FakeClock(Clock):
    """Time passes only while somebody waits; `jitter` takes the same share of every pause."""

    def __init__(self, share: float = 1.0) -> None:
        self.time = 1000.0
        self.share = share
        self.jittered: list[float] = []
        self._agenda: list[tuple[float, int, Done | Interrupt]] = []
        self._number = count()
        self._asked = 0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> str:
        return "2025-01-07T09:30:00Z"

    def jitter(self, seconds: float) -> float:
        self.jittered.append(seconds)
        return seconds * self.share

    def later(self, seconds: float, event: Done | Interrupt) -> None:
        """Let an event happen in so many seconds."""
        heapq.heappush(self._agenda, (self.time + seconds, next(self._number), event))

    @property
    def awaited(self) -> int:
        """How many requests are under way."""
        return sum(isinstance(event, Done) for _, _, event in self._agenda)

    def receive(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        self._asked += 1
        assert self._asked < _TOO_OFTEN, "this never ends"
        until = self.time + max(0.0, seconds)
        if not self._agenda or self._agenda[0][0] > until:
            self.time = until
            return None
        at, _, event = heapq.heappop(self._agenda)
        self.time = max(self.time, at)
        return event


class Sent(NamedTuple):
    """One request on its way: when, and which run."""

    at: float
    run: int


class ScriptedWorkers:
    """Answers each run's requests from its script, each after so many seconds; the last one stays."""

    def __init__(self, clock: FakeClock, scripts: Mapping[int, Sequence[tuple[float, Attempt]]]) -> None:
        self._clock = clock
        self._scripts = scripts
        self.sent: list[Sent] = []
        self.at_once = 0

    def send(self, index: int, request: RunRequest) -> None:
        """Take note, and let the answer come in its time."""
        attempts = sum(sent.run == index for sent in self.sent)
        self.sent.append(Sent(self._clock.time, index))
        script = self._scripts[index]
        seconds, attempt = script[min(attempts, len(script) - 1)]
        self._clock.later(seconds, Done(index, attempt))
        self.at_once = max(self.at_once, self._clock.awaited)

    def times(self, index: int) -> list[float]:
        """Return when the run's requests were sent."""
        return [sent.at for sent in self.sent if sent.run == index]


class Watched:
    """A watcher that keeps which runs reached their state, in that order."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.ticks = 0

    def changed(self, outcome: Outcome) -> None:
        """Note which run reached its state."""
        self.ended.append(outcome.request.id)

    def tick(self, outcomes: Sequence[Outcome]) -> None:
        """Count."""
        self.ticks += 1
