"""Test tasks in a background thread and their time limit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net.background import run_in_background

if TYPE_CHECKING:
    from collections.abc import Callable

# In seconds: what a wait takes that has no limit.
LONG = 20.0


def test_task_runs_in_another_thread() -> None:
    """A task returns its result or raises its error from another thread."""

    def fail() -> None:
        raise KeyError("x")

    assert run_in_background(threading.get_ident) != threading.get_ident()
    with pytest.raises(KeyError):
        run_in_background(fail)


def test_task_over_limit_times_out() -> None:
    """A task that exceeds its limit raises TimeoutError."""
    end = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: end.wait(LONG), 0.6)
    end.set()


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=["threads", "memory"])
def test_task_without_thread_runs_here(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new thread, the task runs in the calling thread."""

    def start_thread(work: Callable[[], None]) -> None:
        raise error

    monkeypatch.setattr("autonoma_ci.net.background.start_thread", start_thread)
    assert run_in_background(threading.get_ident, 1.0) == threading.get_ident()
