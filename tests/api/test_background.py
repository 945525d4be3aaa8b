"""A request in another thread: what comes of it, and the limit of the wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net.background import run_in_background

if TYPE_CHECKING:
    from collections.abc import Callable

# In seconds: what a wait takes that has no limit.
LONG = 20.0


def test_result_and_error_come_from_another_thread() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert run_in_background(threading.get_ident) != threading.get_ident()
    with pytest.raises(KeyError):
        run_in_background(fail)


def test_limit_leaves_the_task_behind() -> None:
    end = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_background(lambda: end.wait(LONG), 0.6)
    end.set()


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=["threads", "memory"])
def test_without_a_thread_the_task_is_done_here(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def start_thread(work: Callable[[], None]) -> None:
        raise error

    monkeypatch.setattr("autonoma_ci.net.background.start_thread", start_thread)
    assert run_in_background(threading.get_ident, 1.0) == threading.get_ident()
