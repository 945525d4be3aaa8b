"""The engine, stopped wherever it waits: a machine says what comes next, and when."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.api.client import Client
from autonoma_ci.api.transport import Answer
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import Board
from autonoma_ci.engine.workers import Done, Explained, Interrupt, Polled
from autonoma_ci.net.errors import LostError, NotSentError
from tests.fuzz.material import SECRETS, Scripted
from tests.support.fake_clock import FakeClock, Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.engine.poller import Waiting
    from autonoma_ci.engine.starter import Policy
    from autonoma_ci.engine.workers import Event
    from autonoma_ci.models import Outcome, RunRequest

# What comes of a request: an answer, or the error that stands for none.
Came = Answer | LostError | NotSentError


class Request(NamedTuple):
    """One request under way: which run it is for, and what event the answer makes."""

    position: int
    kind: type
    event: Callable[[Client], Event]


class _Scripted(Scripted):
    def __init__(self, came: Came) -> None:
        super().__init__(came if isinstance(came, Answer) else Answer(200, {}, b"", complete=False))
        self._came = came

    def _next(self) -> Answer:
        if isinstance(self._came, Answer):
            return self._came
        raise self._came


class Stepping(FakeClock):
    """The engine in a thread that runs only while the machine waits for it; also its clock, and its workers."""

    def __init__(
        self, outcomes: Sequence[Outcome], policy: Policy, waiting: Waiting | None, sent: Callable[[int], None]
    ) -> None:
        super().__init__()
        self.under_way: list[Request] = []
        self.board = Board(outcomes, self.time)
        self.running = True
        self._sent = sent
        self._error: BaseException | None = None
        self._next: queue.SimpleQueue[tuple[float, Event | None]] = queue.SimpleQueue()
        self._asks: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.engine = Engine(self.board, policy, self, queue.SimpleQueue(), Watched(), waiting)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.pause = self._asks.get()

    def _run(self) -> None:
        try:
            self.engine.run(self)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - told to the machine
            self._error = error
        self.running = False
        self._asks.put(0.0)

    def receive(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        self._asks.put(seconds)
        passed, event = self._next.get()
        self.time += passed
        return event

    def go_on(self, seconds: float, event: Event | None = None) -> None:
        """Let time pass and perhaps an event happen, and the engine go on until it waits again or has ended."""
        self._next.put((seconds, event))
        self.pause = self._asks.get()
        if self._error:
            raise self._error

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass without an event, as the engine asks for it."""
        until = self.time + seconds
        while self.running and self.time < until:
            self.go_on(min(max(self.pause, 0.001), until - self.time))

    def answer(self, request: Request, came: Came) -> None:
        """Let this come of a request that is under way."""
        self.under_way.remove(request)
        self.go_on(0.0, request.event(Client(_Scripted(came), "machine", SECRETS)))

    def interrupt(self) -> None:
        """Let the job be told to stop."""
        self.go_on(0.0, Interrupt(15))

    # What follows is the workers' side.
    def can_start(self) -> bool:
        return True

    def start(self, position: int, request: RunRequest) -> Callable[[], bool]:
        self._sent(position)
        self.under_way.append(Request(position, Done, lambda client: Done(position, client.start(request))))
        return lambda: False

    def poll(self, position: int, request: RunRequest, run_id: str, number: int) -> None:
        self.under_way.append(
            Request(position, Polled, lambda client: Polled(position, run_id, client.status(request, run_id), number))
        )

    def explain(self, position: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        self.under_way.append(
            Request(position, Explained, lambda client: Explained(position, run_id, client.details(request, run_id)))
        )


def answer(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Answer:
    """Return a whole answer."""
    return Answer(status, headers or {}, body, complete=True)
