"""What a signal is, before anything was sent and after; `test_signals` sends real ones to real processes."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.engine.workers import Interrupt
from autonoma_ci.errors import Cancelled
from autonoma_ci.interrupts import Interrupts

if TYPE_CHECKING:
    from autonoma_ci.engine.workers import Events


def test_before_anything_was_sent_a_signal_is_raised() -> None:
    with pytest.raises(Cancelled) as error:
        Interrupts().handle(15, None)
    assert error.value.signal == 15


def test_afterwards_it_is_an_event_and_the_same_wish_again_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # A later one would end the tests.
    monkeypatch.setattr("autonoma_ci.interrupts._SAME", 600.0)
    interrupts = Interrupts()
    events: Events = queue.SimpleQueue()
    interrupts.events = events
    interrupts.handle(2, None)
    interrupts.handle(15, None)
    assert events.get_nowait() == Interrupt(2)
    assert events.empty()
