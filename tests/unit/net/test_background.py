"""Tests of tasks in a background thread and their time limit."""

from __future__ import annotations

import os
import queue
import signal
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import Cancelled
from autonoma_ci.net import background
from autonoma_ci.net.background import run_in_background

if TYPE_CHECKING:
    from collections.abc import Callable

# In seconds. Long because no test waits for it.
LONG = 20.0


def test_task_runs_in_another_thread() -> None:
    """A task returns its result or raises its error from another thread."""

    def fail() -> None:
        raise KeyError("x")

    assert run_in_background(threading.get_ident) != threading.get_ident()
    with pytest.raises(KeyError):
        run_in_background(fail)


@pytest.mark.parametrize("result", [None, False, (), "text"])
def test_result_of_task_is_returned(result: object) -> None:
    """Empty results are results too."""
    assert run_in_background(lambda: result, LONG) is result


@pytest.mark.parametrize("error", [Cancelled(15), MemoryError(), SystemExit(3), TimeoutError("of the task")])
def test_error_of_task_is_raised(error: BaseException) -> None:
    """Errors that are no Exception reach the caller too."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_in_background(fail, LONG)
    assert caught.value is error


def test_task_over_limit_times_out() -> None:
    """A task that exceeds its limit raises TimeoutError."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: release.wait(LONG), 0.05)
    release.set()


def test_long_wait_has_short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is split, because Windows handles a signal only between two calls."""
    wait_timeouts: list[float] = []

    class Results(queue.SimpleQueue[object]):
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            assert timeout is not None
            wait_timeouts.append(timeout)
            raise queue.Empty

    monkeypatch.setattr(background, "queue", SimpleNamespace(SimpleQueue=Results, Empty=queue.Empty))
    with pytest.raises(TimeoutError):
        run_in_background(lambda: None, 1.75)
    assert wait_timeouts == [0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_task_without_time_is_abandoned(seconds: float) -> None:
    """Without any time there is no wait."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: release.wait(LONG), seconds)
    release.set()


def test_signal_abandons_task() -> None:
    """The error of a signal handler ends the wait, and the task continues."""
    release, task_ended = threading.Event(), threading.Event()

    def cancel(number: int, frame: object) -> None:
        raise Cancelled(number)

    def wait() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        release.wait(LONG)
        task_ended.set()

    previous_handler = signal.signal(signal.SIGUSR1, cancel)
    try:
        with pytest.raises(Cancelled):
            run_in_background(wait)
    finally:
        signal.signal(signal.SIGUSR1, previous_handler)
    assert not task_ended.is_set()
    release.set()
    assert task_ended.wait(LONG)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=["threads", "memory"])
def test_task_without_thread_runs_here(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new thread, the task runs in the calling thread."""

    def start_thread(work: Callable[[], None]) -> None:
        raise error

    monkeypatch.setattr("autonoma_ci.net.background.start_thread", start_thread)
    assert run_in_background(threading.get_ident, 1.0) == threading.get_ident()
