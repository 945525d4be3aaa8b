"""The threads that send: every request comes back as an event, and no more of them than are needed."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from autonoma_ci.engine.workers import Done, Explained, Polled, Threads
from autonoma_ci.exchange import Attempt, Delivery, Details, Said, Status
from autonoma_ci.model import Kind, Reason, RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.engine.workers import Events

REQUEST = RunRequest(Kind.TEST, "a")


class Calls:
    """An API of one function."""

    def __init__(self, start: Callable[[RunRequest], Attempt]) -> None:
        self.start = start

    def status(self, request: RunRequest, run_id: str) -> Status:
        raise KeyError("a value that must not be shown")

    def details(self, request: RunRequest, run_id: str, *, media: bool = False) -> Details:
        raise KeyError("a value that must not be shown")


def test_a_request_that_fails_in_a_way_nobody_thought_of_comes_back_as_open() -> None:
    """Whatever happened, it may have been sent: the run is neither lost nor sent again, and no value is shown."""
    events: Events = queue.SimpleQueue()

    def start(_: RunRequest) -> Attempt:
        raise KeyError("a value that must not be shown")

    Threads(Calls(start), events).start(7, REQUEST)
    event = events.get(timeout=5)
    assert isinstance(event, Done)
    assert (event.position, event.attempt.delivery, event.attempt.reason) == (7, Delivery.OPEN, Reason.UNKNOWN)
    assert "KeyError" in event.attempt.message
    assert "a value" not in repr(event)


def test_a_question_that_fails_in_a_way_nobody_thought_of_comes_back_as_one_that_went_wrong() -> None:
    events: Events = queue.SimpleQueue()
    threads = Threads(Calls(lambda _: Attempt(Delivery.STARTED)), events)
    threads.poll(7, REQUEST, "r", 3)
    assert events.get(timeout=5) == Polled(7, "r", Status(Said.TROUBLE, message="unexpected KeyError while asking"), 3)
    threads.explain(7, REQUEST, "r")
    assert events.get(timeout=5) == Explained(7, "r", Details(problem="unexpected KeyError while asking"))


def test_a_thread_that_is_idle_takes_the_next_request() -> None:
    """One after the other needs one thread, and with it one kept connection."""
    events: Events = queue.SimpleQueue()
    names: list[str] = []

    def start(_: RunRequest) -> Attempt:
        names.append(threading.current_thread().name)
        return Attempt(Delivery.STARTED)

    threads = Threads(Calls(start), events)
    for position in range(20):
        threads.start(position, REQUEST)
        assert events.get(timeout=5) == Done(position, Attempt(Delivery.STARTED))
    assert len(set(names)) == 1


def test_requests_under_way_do_not_wait_for_each_other() -> None:
    events: Events = queue.SimpleQueue()
    all_here = threading.Barrier(8)

    def start(_: RunRequest) -> Attempt:
        all_here.wait(5)
        return Attempt(Delivery.STARTED)

    threads = Threads(Calls(start), events)
    for position in range(8):
        threads.start(position, REQUEST)
    found = [events.get(timeout=5) for _ in range(8)]
    assert {event.attempt.delivery for event in found if isinstance(event, Done)} == {Delivery.STARTED}
