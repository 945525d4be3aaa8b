"""Signal handling before and after the first start request."""

from __future__ import annotations

import queue
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.engine.signals import SignalHandler
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.errors import Cancelled

if TYPE_CHECKING:
    from autonoma_ci.engine.workers import Events


def test_signal_before_first_request_raises() -> None:
    """Before the first start request, a signal raises Cancelled."""
    with pytest.raises(Cancelled) as error:
        SignalHandler().handle(15, None)
    assert error.value.signal == 15


def test_later_signal_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """During the runs, a signal is one event, and its duplicate is ignored."""
    # A later one would end the tests.
    monkeypatch.setattr("autonoma_ci.engine.signals.DUPLICATE_SIGNAL_SECONDS", 600.0)
    handler = SignalHandler()
    events: Events = queue.SimpleQueue()
    handler.hand_over(events)
    handler.handle(2, None)
    handler.handle(15, None)
    assert events.get_nowait() == SignalReceived(2)
    assert events.empty()


def test_signal_is_no_exception_subclass() -> None:
    """Libraries and our own code catch Exception, so a signal must not be one."""
    with pytest.raises(Cancelled), suppress(Exception):
        SignalHandler().handle(15, None)


# A signal comes while Python runs a destructor, or the callback of a weak reference.
LOSE_SIGNAL = """
import _signal, os, queue, signal, sys, time, weakref
from autonoma_ci.errors import Cancelled
from autonoma_ci.engine.signals import SignalHandler
handler = SignalHandler()
handler.install()
def send(_=None):
    os.kill(os.getpid(), signal.SIGTERM)
    # The handler of a signal runs between two lines.
    return _
class Sending:
    def __del__(self):
        send()
class Watched:
    pass
def lose_signal(place):
    if place == "destructor":
        Sending()
    else:
        watched = Watched()
        reference = weakref.ref(watched, send)
        del watched
"""
# The timer is blocked until the line is printed, because a busy machine can take longer than the timer.
WAIT_FOR_TIMER = """
try:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    lose_signal(sys.argv[1])
    print("lost", flush=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    time.sleep(60)
except Cancelled as error:
    print("cancelled", error.signal, flush=True)
"""
# The step takes over before the exception is raised again.
HAND_OVER = """
_signal.setitimer = lambda *args: None
lose_signal(sys.argv[1])
events = queue.SimpleQueue()
handler.hand_over(events)
print(events.get_nowait(), events.empty(), flush=True)
"""


def swallow_signal(handler: SignalHandler) -> None:
    with suppress(BaseException):
        handler.handle(15, None)


def test_swallowed_signal_is_raised_later() -> None:
    """A job step finds a swallowed signal before it starts runs."""
    handler = SignalHandler()
    swallow_signal(handler)
    events: Events = queue.SimpleQueue()
    handler.hand_over(events)
    handler.hand_over(events)
    assert events.get_nowait() == SignalReceived(15)
    assert events.empty()


def test_error_caused_by_signal_is_cancelled() -> None:
    """Python 3.11 converts exceptions of `__set_name__` to RuntimeError."""
    handler = SignalHandler()
    swallow_signal(handler)
    with pytest.raises(Cancelled) as error, handler.reveal_cancelled():
        raise RuntimeError
    assert error.value.signal == 15
    for signal_handler in (SignalHandler(), handler):
        signal_handler.hand_over(queue.SimpleQueue())
        with pytest.raises(RuntimeError), signal_handler.reveal_cancelled():
            raise RuntimeError


# Another error occurs before the lost signal is raised again, so it is not raised a second time.
RAISE_OTHER_ERROR = """
try:
    with handler.reveal_cancelled():
        lose_signal(sys.argv[1])
        raise RuntimeError
except Cancelled as error:
    time.sleep(0.2)
    print("cancelled", error.signal, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["destructor", "weak reference"])
@pytest.mark.parametrize(
    ("code", "expected_output"),
    [
        (WAIT_FOR_TIMER, "lost\ncancelled 15\n"),
        (RAISE_OTHER_ERROR, "cancelled 15\n"),
        (HAND_OVER, "SignalReceived(signal=15) True\n"),
    ],
)
def test_signal_in_destructor_is_kept(method: str, code: str, expected_output: str) -> None:
    """Python prints `Exception ignored` for exceptions of a destructor and continues."""
    result = subprocess.run(
        [sys.executable, "-c", LOSE_SIGNAL + code, method], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == (expected_output, "")


def test_destructor_error_is_printed() -> None:
    """Python prints other errors of destructors as usual."""
    code = "class Failing:\n    def __del__(self):\n        raise ValueError\nFailing()\n"
    result = subprocess.run([sys.executable, "-c", LOSE_SIGNAL + code], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "ValueError" in result.stderr
