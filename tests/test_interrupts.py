"""What a signal is, before anything was sent and after; `test_signals` sends real ones to real processes."""

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


def test_before_anything_was_sent_a_signal_is_raised() -> None:
    with pytest.raises(Cancelled) as error:
        SignalHandler().handle(15, None)
    assert error.value.signal == 15


def test_afterwards_it_is_an_event_and_the_same_wish_again_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # A later one would end the tests.
    monkeypatch.setattr("autonoma_ci.engine.signals.DUPLICATE_SIGNAL_SECONDS", 600.0)
    interrupts = SignalHandler()
    events: Events = queue.SimpleQueue()
    interrupts.hand_over(events)
    interrupts.handle(2, None)
    interrupts.handle(15, None)
    assert events.get_nowait() == SignalReceived(2)
    assert events.empty()


def test_no_handler_of_errors_takes_a_signal() -> None:
    """Libraries go on after any Exception, and so does our code in places."""
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


def test_signal_that_a_library_swallows_is_not_lost() -> None:
    """A step that is about to start runs takes it first."""
    interrupts = SignalHandler()
    _swallow(interrupts)
    events: Events = queue.SimpleQueue()
    interrupts.hand_over(events)
    interrupts.hand_over(events)
    assert events.get_nowait() == SignalReceived(15)
    assert events.empty()


def test_error_that_comes_of_a_signal_is_none_of_the_program() -> None:
    """Python 3.11 makes a RuntimeError of what `__set_name__` raises."""
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


@pytest.mark.parametrize("how", ["destructor", "weak reference"])
@pytest.mark.parametrize(
    ("code", "out"),
    [(WAITING, "lost\ncancelled 15\n"), (FOLLOWED, "cancelled 15\n"), (STARTING, "SignalReceived(signal=15) True\n")],
)
def test_signal_that_python_drops_is_not_lost(how: str, code: str, out: str) -> None:
    """Python says `Exception ignored` of what a destructor raises, and goes on."""
    ended = subprocess.run([sys.executable, "-c", LOST + code, how], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == (out, "")


def test_other_errors_of_destructors_are_shown_as_usual() -> None:
    code = "class Failing:\n    def __del__(self):\n        raise ValueError\nFailing()\n"
    ended = subprocess.run([sys.executable, "-c", LOST + code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "ValueError" in ended.stderr
