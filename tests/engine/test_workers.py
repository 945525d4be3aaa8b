"""The threads that send: every request comes back as an event, and no more of them than are needed."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api import connection
from autonoma_ci.engine import workers
from autonoma_ci.engine.workers import Done, Explained, Polled, Threads
from autonoma_ci.exchange import Attempt, Delivery, Details, Said, Status, Timeouts
from autonoma_ci.model import Kind, Reason, RunRequest
from tests.support.fault_server import FaultServer
from tests.support.faults import started
from tests.support.job import run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def limit_threads(monkeypatch: pytest.MonkeyPatch, place: object, name: str, most: int) -> None:
    """Let a module make so many threads of a class, and no more: the system's error is a RuntimeError."""
    made: list[object] = []
    start = threading.Thread.start

    class Limited(getattr(threading, name)):  # type: ignore[misc]
        def start(self) -> None:
            made.append(self)
            if len(made) > most:
                raise RuntimeError("can't start new thread")
            start(self)

    class Module:
        def __getattr__(self, wanted: str) -> object:
            return Limited if wanted == name else getattr(threading, wanted)

    monkeypatch.setattr(place, "threading", Module())


@pytest.mark.parametrize("most", [0, 1, 3])
def test_job_with_too_few_threads_starts_each_run_once(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of processes or the memory of a container may be limited: requests then wait for each other."""
    limit_threads(monkeypatch, workers, "Thread", most)
    ids = [f"t{number}" for number in range(12)]
    with FaultServer(started) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=Timeouts(connect=10.0, read=10.0, total=20.0))
        assert server.posts == dict.fromkeys(ids, 1)
    assert (job.code, set(job.states.values())) == (0, {"started"})


def test_start_that_nothing_could_end_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a limit of time could hold up the job for ever."""
    limit_threads(monkeypatch, connection, "Timer", 0)
    with FaultServer(started) as server:
        job = run_job(tmp_path, server.url, ["a"])
        assert server.posts == {}
    assert (job.code, job.states) == (5, {"a": "not-started"})
    assert "no thread could be made" in job.everything
