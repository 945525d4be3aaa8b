"""Tests of installed signal handlers with real signals."""

from __future__ import annotations

import os
import queue
import signal
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.engine.signals import SignalHandler
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.engine.workers import Events

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignalHandler]:
    """Return a handler to install, and restore all handlers after the test."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    original_handlers = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    handler = SignalHandler()
    yield handler
    handler.end()
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, action in original_handlers.items():
        signal.signal(number, action)


@pytest.fixture
def delay_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the timer of a lost signal to a time after the test."""
    monkeypatch.setattr("autonoma_ci.engine.signals._RERAISE_DELAY_SECONDS", 600.0)


@pytest.fixture
def exit_codes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the exit codes with which the process would have ended."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


class SignalSender:
    """Sends a signal in its destructor, where Python ignores exceptions."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        # The handler of a signal runs between two lines.
        self.is_sent = True


class FailingDestructor:
    """Raises an error in its destructor."""

    def __del__(self) -> None:
        raise ValueError("an error of a destructor")


def lose_cancelled_error() -> None:
    """Lose the Cancelled of a signal in a destructor."""
    SignalSender()


def get_timer_seconds() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[0]


# Installation


@pytest.mark.parametrize("number", SIGNALS)
def test_installed_signal_raises_cancelled(number: signal.Signals, handler: SignalHandler) -> None:
    """A real signal raises Cancelled with its number."""
    handler.install()
    assert not handler.received
    with pytest.raises(Cancelled) as error_info:
        signal.raise_signal(number)
    assert (error_info.value.signal, handler.received) == (number, True)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_after_hand_over_is_event(number: signal.Signals, handler: SignalHandler) -> None:
    """After the start of the runs, a real signal is an event."""
    events: Events = queue.SimpleQueue()
    handler.install()
    handler.hand_over(events)
    assert events.empty()
    signal.raise_signal(number)
    assert events.get_nowait() == SignalReceived(number)
    assert (events.empty(), handler.received) == (True, True)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_after_end_has_no_effect(number: signal.Signals, handler: SignalHandler) -> None:
    """After the end of the job step, a signal raises nothing."""
    handler.install()
    handler.end()
    signal.raise_signal(number)
    assert handler.received


@pytest.mark.parametrize(("number", "is_ignored"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_only_ignored_sigint_stays_ignored(number: signal.Signals, is_ignored: bool, handler: SignalHandler) -> None:
    """A background job of a shell ignores SIGINT, but not SIGTERM."""
    signal.signal(number, signal.SIG_IGN)
    handler.install()
    with suppress(Cancelled):
        signal.raise_signal(number)
    assert handler.received is not is_ignored


# Later signals


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("has_queue", [False, True])
@pytest.mark.parametrize(("seconds", "ends_process"), [(0.0, False), (1.0, False), (1.01, True), (3600.0, True)])
def test_later_signal_ends_process(
    number: signal.Signals, has_queue: bool, seconds: float, ends_process: bool, exit_codes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A signal more than a second after the first one ends the process."""
    times = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr("autonoma_ci.engine.signals.time", SimpleNamespace(monotonic=lambda: next(times)))
    handler = SignalHandler()
    events: Events = queue.SimpleQueue()
    if has_queue:
        handler.hand_over(events)
    with suppress(Cancelled):
        handler.handle(15, None)
    handler.handle(number, None)
    assert exit_codes == [128 + number] * ends_process
    assert events.qsize() == has_queue


def test_later_signal_ends_finished_process(exit_codes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs after its end can be ended by a second signal."""
    times = iter([100.0, 102.0])
    monkeypatch.setattr("autonoma_ci.engine.signals.time", SimpleNamespace(monotonic=lambda: next(times)))
    handler = SignalHandler()
    handler.end()
    handler.handle(15, None)
    assert exit_codes == []
    handler.handle(15, None)
    assert exit_codes == [143]


# Lost signals


@pytest.mark.usefixtures("delay_timer")
def test_lost_cancelled_is_raised_again(handler: SignalHandler) -> None:
    """A timer is set when a destructor loses a Cancelled, and raises it again."""
    handler.install()
    lose_cancelled_error()
    assert get_timer_seconds() > 0
    with pytest.raises(Cancelled) as error_info:
        signal.raise_signal(signal.SIGALRM)
    assert error_info.value.signal == signal.SIGTERM


def take_over(handler: SignalHandler) -> None:
    handler.hand_over(queue.SimpleQueue())


@pytest.mark.usefixtures("delay_timer")
@pytest.mark.parametrize("stop", [take_over, SignalHandler.end], ids=["hand over", "end"])
def test_lost_cancelled_is_not_raised_late(stop: Callable[[SignalHandler], None], handler: SignalHandler) -> None:
    """After the hand-over or the end, the timer raises nothing."""
    handler.install()
    lose_cancelled_error()
    stop(handler)
    signal.raise_signal(signal.SIGALRM)
    assert handler.received


@pytest.mark.usefixtures("delay_timer")
def test_hand_over_sends_lost_signal(handler: SignalHandler) -> None:
    """The hand-over sends a lost signal to the queue and stops the timer."""
    handler.install()
    lose_cancelled_error()
    events: Events = queue.SimpleQueue()
    handler.hand_over(events)
    assert (events.get_nowait(), events.empty()) == (SignalReceived(signal.SIGTERM), True)
    assert get_timer_seconds() == 0


@pytest.mark.usefixtures("delay_timer")
@pytest.mark.parametrize("error", [Cancelled(15), RuntimeError("__set_name__")], ids=["cancelled", "other"])
def test_revealed_cancelled_stops_timer(error: BaseException, handler: SignalHandler) -> None:
    """An error after a lost signal is Cancelled, and the timer is stopped."""
    handler.install()
    lose_cancelled_error()
    with pytest.raises(Cancelled), handler.reveal_cancelled():
        raise error
    assert get_timer_seconds() == 0


def test_cause_of_revealed_cancelled_is_error(handler: SignalHandler) -> None:
    """The error that replaced Cancelled is its cause."""
    error = RuntimeError("__set_name__")
    with suppress(Cancelled):
        handler.handle(15, None)
    with pytest.raises(Cancelled) as error_info, handler.reveal_cancelled():
        raise error
    assert error_info.value.__cause__ is error


def test_block_without_signal_is_unchanged(handler: SignalHandler) -> None:
    """Without a signal, a block ends or raises its own error."""
    with handler.reveal_cancelled():
        pass
    with pytest.raises(ZeroDivisionError), handler.reveal_cancelled():
        raise ZeroDivisionError


def test_other_destructor_error_is_printed(handler: SignalHandler, capsys: pytest.CaptureFixture[str]) -> None:
    """Python prints another error of a destructor as usual."""
    handler.install()
    FailingDestructor()
    assert "ValueError: an error of a destructor" in capsys.readouterr().err
    assert get_timer_seconds() == 0
