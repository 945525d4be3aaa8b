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
    interrupts = SignalHandler()
    events: Events = queue.SimpleQueue()
    interrupts.hand_over(events)
    interrupts.handle(2, None)
    interrupts.handle(15, None)
    assert events.get_nowait() == SignalReceived(2)
    assert events.empty()


def test_signal_is_no_exception_subclass() -> None:
    """Libraries and our own code catch Exception, so a signal must not be one."""
    with pytest.raises(Cancelled), suppress(Exception):
        SignalHandler().handle(15, None)


# A signal comes while Python runs a destructor, or the callback of a weak reference.
LOST = """
import os, queue, signal, sys, time, weakref
from autonoma_ci.errors import Cancelled
from autonoma_ci.engine.signals import SignalHandler
interrupts = SignalHandler()
interrupts.install()
def send(_=None):
    os.kill(os.getpid(), signal.SIGTERM)
    # The handler of a signal runs between two lines.
    return _
class Sending:
    def __del__(self):
        send()
class Watched:
    pass
def lose(how):
    if how == "destructor":
        Sending()
    else:
        watched = Watched()
        reference = weakref.ref(watched, send)
        del watched
"""
# The timer is heard only after the line: a busy machine may take longer for it than the timer.
WAITING = """
try:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    lose(sys.argv[1])
    print("lost", flush=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    time.sleep(60)
except Cancelled as error:
    print("cancelled", error.signal, flush=True)
"""
# The step takes over before the exception is raised again.
STARTING = """
signal.setitimer = lambda *args: None
lose(sys.argv[1])
events = queue.SimpleQueue()
interrupts.hand_over(events)
print(events.get_nowait(), events.empty(), flush=True)
"""


def _swallow(interrupts: SignalHandler) -> None:
    with suppress(BaseException):
        interrupts.handle(15, None)


def test_swallowed_signal_is_raised_later() -> None:
    """A step checks for it before it starts runs."""
    interrupts = SignalHandler()
    _swallow(interrupts)
    events: Events = queue.SimpleQueue()
    interrupts.hand_over(events)
    interrupts.hand_over(events)
    assert events.get_nowait() == SignalReceived(15)
    assert events.empty()


def test_error_caused_by_signal_is_cancelled() -> None:
    """Python 3.11 converts exceptions of `__set_name__` to RuntimeError."""
    interrupts = SignalHandler()
    _swallow(interrupts)
    with pytest.raises(Cancelled) as error, interrupts.reveal_cancelled():
        raise RuntimeError
    assert error.value.signal == 15
    for ready in (SignalHandler(), interrupts):
        ready.hand_over(queue.SimpleQueue())
        with pytest.raises(RuntimeError), ready.reveal_cancelled():
            raise RuntimeError


# A lost signal is raised again soon. Another error comes first, and then it is raised no more.
FOLLOWED = """
try:
    with interrupts.reveal_cancelled():
        lose(sys.argv[1])
        raise RuntimeError
except Cancelled as error:
    time.sleep(0.2)
    print("cancelled", error.signal, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["destructor", "weak reference"])
@pytest.mark.parametrize(
    ("code", "out"),
    [(WAITING, "lost\ncancelled 15\n"), (FOLLOWED, "cancelled 15\n"), (STARTING, "SignalReceived(signal=15) True\n")],
)
def test_signal_in_destructor_is_kept(how: str, code: str, out: str) -> None:
    """Python prints `Exception ignored` for exceptions of a destructor and continues."""
    result = subprocess.run([sys.executable, "-c", LOST + code, how], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == (out, "")


def test_destructor_error_is_printed() -> None:
    """Python prints other errors of destructors as usual."""
    code = "class Failing:\n    def __del__(self):\n        raise ValueError\nFailing()\n"
    result = subprocess.run([sys.executable, "-c", LOST + code], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "ValueError" in result.stderr
