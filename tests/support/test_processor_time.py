"""Measurement of processor time."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processor_time import MAX_ATTEMPTS, measure_processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable


def use_processor(seconds: float) -> None:
    """Use the processor for some seconds in this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.slow
def test_work_counts_and_waiting_does_not() -> None:
    """Only processor time counts."""
    assert measure_processor_seconds(lambda: use_processor(0.2), 0.1) >= 0.2
    assert measure_processor_seconds(lambda: time.sleep(0.2), 0.1) < 0.1


def test_other_threads_do_not_count() -> None:
    """Only the calling thread counts."""

    def wait_for_other() -> None:
        other = threading.Thread(target=use_processor, args=(0.2,))
        other.start()
        other.join()

    assert measure_processor_seconds(wait_for_other, 0.1) < 0.1


@pytest.mark.slow
def test_fastest_of_three_calls_counts() -> None:
    """The result is the smallest of three measurements."""
    calls: list[float] = [0.3, 0.2, 0.3]
    assert 0.2 <= measure_processor_seconds(lambda: use_processor(calls.pop(0)), 0.1) < 0.3
    assert calls == []


def test_fast_call_is_not_repeated() -> None:
    """A call below the limit is measured once."""
    calls: list[int] = []
    measure_processor_seconds(lambda: calls.append(1), 60)
    assert len(calls) == 1 < MAX_ATTEMPTS


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off(enabled: bool) -> None:
    """Garbage collection is off during the call and restored after it."""
    gc_states: list[bool] = []

    def fail() -> None:
        gc_states.append(gc.isenabled())
        raise ValueError

    was_enabled = gc.isenabled()
    set_collection: Callable[[], None] = gc.enable if enabled else gc.disable
    set_collection()
    try:
        with pytest.raises(ValueError, match=r"^$"):
            measure_processor_seconds(fail, 1)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
    assert gc_states == [False]
