"""Tests of the requests of worker threads."""

from __future__ import annotations

import mmap
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import pytest

from autonoma_ci.api.models import (
    DownloadResult,
    EvidenceFile,
    PollResult,
    PollStatus,
    RunDetails,
    SignedUrl,
    StartResult,
    StartStatus,
)
from autonoma_ci.engine import workers
from autonoma_ci.engine.workers import (
    DetailsReceived,
    FileDownloaded,
    StartFinished,
    StatusReceived,
    ThreadedExecutor,
    UrlsRefreshed,
    reserve_memory,
)
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.threads import ThreadStuckError

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.engine.workers import Event, Events
    from autonoma_ci.net.connection_state import SendGate

REQUEST = RunRequest(TargetKind.TEST, "a")
STARTED = StartResult(StartStatus.STARTED, run_id="r1")
FILE = EvidenceFile("r1", 3, SignedUrl("https://media.test/3?key=s3cret-value"))


class FakeApi:
    """Records its requests, and calls one function for starts."""

    def __init__(self, start: Callable[[RunRequest], StartResult] = lambda _: STARTED) -> None:
        self._start = start
        self.calls: list[tuple[object, ...]] = []

    def start(self, request: RunRequest) -> StartResult:
        self.calls.append(("start", request.id))
        return self._start(request)

    def poll_status(self, request: RunRequest, run_id: str) -> PollResult:
        self.calls.append(("status", request.id, run_id, connection_state.gate))
        return PollResult(PollStatus.PASSED)

    def fetch_details(self, request: RunRequest, run_id: str, *, media: bool = False) -> RunDetails:
        self.calls.append(("details", request.id, run_id, media))
        return RunDetails("Checkout")

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        raise NotImplementedError


def get_event(events: Events) -> Event:
    return events.get(timeout=60)


@pytest.mark.parametrize(
    ("send", "expected_call", "expected_event"),
    [
        (lambda executor: executor.start(4, REQUEST), ("start", "a"), StartFinished(4, STARTED)),
        (
            lambda executor: executor.poll(4, REQUEST, "r1", 7),
            ("status", "a", "r1", None),
            StatusReceived(4, "r1", PollResult(PollStatus.PASSED), 7),
        ),
        (
            lambda executor: executor.fetch_details(4, REQUEST, "r1"),
            ("details", "a", "r1", False),
            DetailsReceived(4, "r1", RunDetails("Checkout")),
        ),
        (
            lambda executor: executor.fetch_details(4, REQUEST, "r1", media=True),
            ("details", "a", "r1", True),
            DetailsReceived(4, "r1", RunDetails("Checkout")),
        ),
        (
            lambda executor: executor.refresh_urls(4, REQUEST, "r1"),
            ("details", "a", "r1", True),
            UrlsRefreshed(4, "r1", RunDetails("Checkout")),
        ),
    ],
    ids=["start", "poll", "details", "details with media", "urls"],
)
def test_request_returns_one_event(
    send: Callable[[ThreadedExecutor], object], expected_call: tuple[object, ...], expected_event: Event
) -> None:
    """Each request is sent once, and its result is one event."""
    events: Events = queue.SimpleQueue()
    api = FakeApi()
    send(ThreadedExecutor(api, events))
    assert get_event(events) == expected_event
    assert events.empty()
    assert api.calls == [expected_call]


# Downloads


def test_download_returns_stored_path() -> None:
    """The result of a download is an event with its file."""
    events: Events = queue.SimpleQueue()
    ThreadedExecutor(FakeApi(), events, lambda file: DownloadResult(f"evidence/{file.step_number}.png")).download(
        4, FILE
    )
    assert get_event(events) == FileDownloaded(4, FILE, DownloadResult("evidence/3.png"))


def test_download_without_store_fails() -> None:
    """Without a place for files, a download fails with the reason."""
    events: Events = queue.SimpleQueue()
    ThreadedExecutor(FakeApi(), events).download(4, FILE)
    assert get_event(events) == FileDownloaded(4, FILE, DownloadResult(error="no directory for files"))


def test_unexpected_download_error_fails() -> None:
    """An unexpected error of a download is a result without its text."""
    events: Events = queue.SimpleQueue()

    def fail(file: EvidenceFile) -> NoReturn:
        raise KeyError(file.signed_url.url)

    ThreadedExecutor(FakeApi(), events, fail).download(4, FILE)
    event = get_event(events)
    assert event == FileDownloaded(4, FILE, DownloadResult(error="unexpected KeyError while downloading"))
    assert "s3cret-value" not in repr(event)


# Withdrawn starts


@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_start_is_sent_or_withdrawn(is_withdrawn: bool) -> None:
    """A start request is withdrawn only before its first byte."""
    events: Events = queue.SimpleQueue()
    at_gate, may_continue = threading.Event(), threading.Event()
    gate_results: list[bool] = []

    def enter_gate() -> None:
        assert connection_state.gate
        gate_results.append(connection_state.gate.enter())

    def start(_: RunRequest) -> StartResult:
        if not is_withdrawn:
            enter_gate()
        at_gate.set()
        assert may_continue.wait(60)
        if is_withdrawn:
            enter_gate()
        return STARTED

    withdraw_start = ThreadedExecutor(FakeApi(start), events).start(1, REQUEST)
    assert at_gate.wait(60)
    assert [withdraw_start(), withdraw_start()] == [is_withdrawn] * 2
    may_continue.set()
    assert get_event(events) == StartFinished(1, STARTED)
    assert gate_results == [not is_withdrawn]


def test_each_start_has_its_own_gate() -> None:
    """A withdrawal has no effect on the next request of the thread."""
    events: Events = queue.SimpleQueue()
    gates: list[SendGate | None] = []

    def start(_: RunRequest) -> StartResult:
        gates.append(connection_state.gate)
        return STARTED

    api = FakeApi(start)
    executor = ThreadedExecutor(api, events)
    for index in range(2):
        withdraw_start = executor.start(index, REQUEST)
        get_event(events)
        assert withdraw_start()
    executor.poll(2, REQUEST, "r1", 1)
    get_event(events)
    assert len(set(gates)) == 2
    assert api.calls[-1] == ("status", "a", "r1", None)


# Few threads


@pytest.mark.parametrize(
    ("error", "can_start"), [(MemoryError(), False), (KeyError("x"), True)], ids=["memory", "other"]
)
def test_no_thread_is_added_without_memory(error: Exception, can_start: bool) -> None:
    """After a lack of memory, further requests wait for an existing thread."""
    events: Events = queue.SimpleQueue()
    release_event = threading.Event()

    def start(request: RunRequest) -> StartResult:
        if request.id == "failing":
            raise error
        release_event.wait(60)
        return STARTED

    executor = ThreadedExecutor(FakeApi(start), events)
    executor.start(0, REQUEST._replace(id="failing"))
    get_event(events)
    assert executor.can_start()
    executor.start(1, REQUEST)
    assert executor.can_start() is can_start
    executor.start(2, REQUEST)
    release_event.set()
    assert {get_event(events), get_event(events)} == {StartFinished(1, STARTED), StartFinished(2, STARTED)}


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ThreadStuckError("the thread does not start"), 1),
        (RuntimeError("can't start new thread"), 3),
        (MemoryError(), 3),
    ],
    ids=["stuck", "limit", "memory"],
)
def test_stuck_thread_is_tried_once(error: Exception, attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a thread that did not begin, the calling thread sends all requests."""
    work_items: list[Callable[[], None]] = []

    def fail(work: Callable[[], None]) -> NoReturn:
        work_items.append(work)
        raise error

    monkeypatch.setattr(workers, "start_thread", fail)
    events: Events = queue.SimpleQueue()
    executor = ThreadedExecutor(FakeApi(), events)
    for index in range(3):
        executor.start(index, REQUEST)
        assert events.get_nowait() == StartFinished(index, STARTED)
    assert len(work_items) == attempts


def test_ended_thread_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits for a thread that an error ended."""
    threads: list[threading.Thread] = []

    def start_thread(work: Callable[[], None]) -> None:
        def run() -> None:
            with suppress(SystemExit):
                work()

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    def start(request: RunRequest) -> StartResult:
        if request.id == "failing":
            raise SystemExit
        return STARTED

    monkeypatch.setattr(workers, "start_thread", start_thread)
    events: Events = queue.SimpleQueue()
    executor = ThreadedExecutor(FakeApi(start), events)
    executor.start(1, REQUEST._replace(id="failing"))
    threads[0].join(60)
    executor.start(2, REQUEST)
    assert get_event(events) == StartFinished(2, STARTED)
    assert len(threads) == 2


# Memory


@pytest.mark.parametrize("size", [1, 4096, 4 * 1024 * 1024])
def test_reserve_has_requested_size(size: int) -> None:
    """The reserve holds the requested number of bytes."""
    assert len(reserve_memory(size)) == size


def test_too_large_reserve_is_empty() -> None:
    """Without enough address space, there is no reserve and no error."""
    assert reserve_memory(1 << 62) == b""


def test_reserve_without_memory_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory, there is no reserve and no error."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(mmap, "mmap", fail)
    assert reserve_memory(1) == b""
