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
from tests.support.fake_clock import FakeClock, RecordingListener
from tests.system.fuzz.strategies import SECRETS, ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.engine.poller import PollPolicy
    from autonoma_ci.engine.starter import StartPolicy
    from autonoma_ci.engine.workers import Event
    from autonoma_ci.models import RunRequest, RunResult

# The outcome of a request is a response or the error for a missing one.
RequestOutcome = HttpResponse | ResponseLostError | RequestNotSentError


class PendingRequest(NamedTuple):
    """A pending request and the event that its outcome creates."""

    plan_index: int
    kind: type
    event: Callable[[AutonomaClient], Event]


class _OutcomeTransport(ScriptedTransport):
    def __init__(self, outcome: RequestOutcome) -> None:
        super().__init__(
            outcome if isinstance(outcome, HttpResponse) else HttpResponse(200, {}, b"", is_complete=False)
        )
        self._outcome = outcome

    def _next(self) -> HttpResponse:
        if isinstance(self._outcome, HttpResponse):
            return self._outcome
        raise self._outcome


class SteppedEngine(FakeClock):
    """Run the engine in a thread that advances only on demand.

    The object is also the engine's clock and its workers.
    """

    def __init__(
        self,
        results: Sequence[RunResult],
        policy: StartPolicy,
        poll_policy: PollPolicy | None,
        on_sent: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.pending_requests: list[PendingRequest] = []
        self.run_table = RunTable(results, self.time)
        self.is_running = True
        self._on_sent = on_sent
        self._error: BaseException | None = None
        self._next: queue.SimpleQueue[tuple[float, Event | None]] = queue.SimpleQueue()
        self._requested_waits: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.engine = Engine(self.run_table, policy, self, queue.SimpleQueue(), RecordingListener(), poll_policy)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_seconds = self._requested_waits.get()

    def _run(self) -> None:
        try:
            self.engine.run(self)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the machine
            self._error = error
        self.is_running = False
        self._requested_waits.put(0.0)

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        self._requested_waits.put(seconds)
        elapsed_seconds, event = self._next.get()
        self.time += elapsed_seconds
        return event

    def advance(self, seconds: float, event: Event | None = None) -> None:
        """Advance the engine until it waits again or ends."""
        self._next.put((seconds, event))
        self.wait_seconds = self._requested_waits.get()
        if self._error:
            raise self._error

    def pass_time(self, seconds: float) -> None:
        """Let time pass without an event, in the steps of the engine."""
        deadline = self.time + seconds
        while self.is_running and self.time < deadline:
            self.advance(min(max(self.wait_seconds, 0.001), deadline - self.time))

    def complete(self, request: PendingRequest, outcome: RequestOutcome) -> None:
        """Complete a pending request with this outcome."""
        self.pending_requests.remove(request)
        self.advance(0.0, request.event(AutonomaClient(_OutcomeTransport(outcome), "machine", SECRETS)))

    def interrupt(self) -> None:
        """Send SIGTERM to the job."""
        self.advance(0.0, SignalReceived(15))

    # The methods below implement the workers.
    def can_start(self) -> bool:
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        self._on_sent(index)
        self.pending_requests.append(
            PendingRequest(index, StartFinished, lambda client: StartFinished(index, client.start(request)))
        )
        return lambda: False

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        self.pending_requests.append(
            PendingRequest(
                index,
                StatusReceived,
                lambda client: StatusReceived(index, run_id, client.poll_status(request, run_id), request_number),
            )
        )

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        self.pending_requests.append(
            PendingRequest(
                index,
                DetailsReceived,
                lambda client: DetailsReceived(index, run_id, client.fetch_details(request, run_id)),
            )
        )


def make_response(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a complete response."""
    return HttpResponse(status, headers or {}, body, is_complete=True)
