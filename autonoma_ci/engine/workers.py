"""Who sends the requests while the engine decides: threads, and the events by which they report."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from autonoma_ci.exchange import Attempt, Delivery
from autonoma_ci.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autonoma_ci.model import Outcome, RunRequest

MAY_HAVE_STARTED = "The run may have started: look for it in Autonoma before starting it again."


class Done(NamedTuple):
    """A request came back."""

    position: int
    attempt: Attempt


class Interrupt(NamedTuple):
    """The job was told to stop, by this signal."""

    signal: int


Events: TypeAlias = "queue.SimpleQueue[Done | Interrupt]"


class Watcher(Protocol):
    """Is told of every change while it happens, and at least twice a second that time passes."""

    def changed(self, outcome: Outcome) -> None:
        """Take note of a run that reached its state."""

    def tick(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what there is, if it is time to."""


class Workers(Protocol):
    """Sends requests; each comes back as a Done event."""

    def send(self, index: int, request: RunRequest) -> None:
        """Send a request in the background."""


class Threads:
    """One daemon thread per request under way; idle ones are used again with their open connections."""

    def __init__(self, start: Callable[[RunRequest], Attempt], events: Events) -> None:
        self._start = start
        self._events = events
        self._tasks: queue.SimpleQueue[tuple[int, RunRequest]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def send(self, index: int, request: RunRequest) -> None:
        """Give the request to an idle thread, or to a new one if there is none."""
        self._tasks.put((index, request))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            index, request = self._tasks.get()
            try:
                attempt = self._start(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must not be lost
                name = type(error).__name__
                attempt = Attempt(
                    Delivery.OPEN, Reason.UNKNOWN, message=f"unexpected {name} while sending", hint=MAY_HAVE_STARTED
                )
            # Idle first: whoever sees the event may send the next request at once.
            self._idle.release()
            self._events.put(Done(index, attempt))
