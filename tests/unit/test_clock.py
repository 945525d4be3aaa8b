"""Waits of the real clock, and signals during them."""

from __future__ import annotations

import queue
import threading
import time
from math import inf
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable


class WaitRecorder(queue.SimpleQueue[str]):
    """Record the timeout of each call in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        assert timeout is not None
        self.waits.append(timeout)
        return super().get(block, timeout)


def test_sleep_uses_short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep is split because a signal is handled only after the current call."""
    now, calls = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        calls.append(seconds)
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    Clock().sleep(1.75)
    assert calls == [0.5, 0.5, 0.5, 0.25]
    Clock().sleep(0.0)
    Clock().sleep(-1.0)
    assert len(calls) == 4


@pytest.mark.slow
def test_event_wait_uses_short_calls() -> None:
    """The wait for an event is split into calls of at most 0.5 seconds."""
    events = WaitRecorder()
    started_at = time.monotonic()
    assert Clock().wait_for_event(events, 1.2) is None
    assert time.monotonic() - started_at >= 1.2
    assert len(events.waits) >= 3
    assert max(events.waits) <= 0.5
    events.waits.clear()
    for seconds in (0.0, -1.0):
        assert Clock().wait_for_event(events, seconds) is None
    assert events.waits == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [inf, 600.0, 0.0])
def test_event_ends_wait(seconds: float) -> None:
    """An event that arrives during the wait is returned."""
    events = WaitRecorder()
    put_event: Callable[[], None] = lambda: events.put("event")  # noqa: E731
    timer = threading.Timer(0.7 if seconds else 0.0, put_event)
    timer.start()
    if not seconds:
        timer.join()
    assert Clock().wait_for_event(events, seconds) == "event"
    timer.join()
