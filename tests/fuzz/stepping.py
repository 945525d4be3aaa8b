"""Run the engine step by step under control of a state machine."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.workers import DetailsReceived, SignalReceived, StartFinished, StatusReceived
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from tests.fuzz.material import SECRETS, Scripted
from tests.support.fake_clock import FakeClock, Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.engine.poller import PollPolicy
    from autonoma_ci.engine.starter import StartPolicy
    from autonoma_ci.engine.workers import Event
    from autonoma_ci.models import RunRequest, RunResult

# What comes of a request: an answer, or the error that stands for none.
Came = HttpResponse | ResponseLostError | RequestNotSentError


class Request(NamedTuple):
    """One request under way: which run it is for, and what event the answer makes."""

    plan_index: int
    kind: type
    event: Callable[[AutonomaClient], Event]


class _Scripted(Scripted):
    def __init__(self, came: Came) -> None:
        super().__init__(came if isinstance(came, HttpResponse) else HttpResponse(200, {}, b"", is_complete=False))
        self._came = came

    def _next(self) -> HttpResponse:
        if isinstance(self._came, HttpResponse):
            return self._came
        raise self._came


class Stepping(FakeClock):
    """The engine in a thread that runs only while the machine waits for it; also its clock, and its workers."""

    def __init__(
        self,
        outcomes: Sequence[RunResult],
        policy: StartPolicy,
        waiting: PollPolicy | None,
        sent: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.under_way: list[Request] = []
        self.board = RunTable(outcomes, self.time)
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

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
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
        self.go_on(0.0, request.event(AutonomaClient(_Scripted(came), "machine", SECRETS)))

    def interrupt(self) -> None:
        """Let the job be told to stop."""
        self.go_on(0.0, SignalReceived(15))

    # What follows is the workers' side.
    def can_start(self) -> bool:
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        self._sent(index)
        self.under_way.append(Request(index, StartFinished, lambda client: StartFinished(index, client.start(request))))
        return lambda: False

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        self.under_way.append(
            Request(
                index,
                StatusReceived,
                lambda client: StatusReceived(index, run_id, client.status(request, run_id), request_number),
            )
        )

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        self.under_way.append(
            Request(
                index,
                DetailsReceived,
                lambda client: DetailsReceived(index, run_id, client.details(request, run_id)),
            )
        )


def answer(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a whole answer."""
    return HttpResponse(status, headers or {}, body, is_complete=True)
