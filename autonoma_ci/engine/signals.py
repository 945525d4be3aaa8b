"""Signals: the first one asks the job to wind up, a later one ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.engine.workers import Events

# SIGBREAK is how Windows stops what runs in the background, and all that is about to lose its console.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# `timeout`, npm and terminals deliver one wish to stop twice, moments apart.
DUPLICATE_SIGNAL_SECONDS = 1.0
# In seconds: when Cancelled is raised again after it was lost. By then the code that lost it is left behind, as a rule;
# if not, it is raised once more.
_AGAIN = 0.01


class SignalHandler:
    """Handles SIGINT and SIGTERM, and SIGBREAK on Windows.

    While nothing has been sent, a signal raises Cancelled. After `hand_over` it is an event instead, so that
    the outputs are never cut off half-way and every run is accounted for. After `end` it has no effect, because the
    exit code is decided.

    Python drops what is raised in a destructor or in the callback of a weak reference, with a traceback on standard
    error (documentation of sys.unraisablehook). Imports have such callbacks. A Cancelled that is lost there is raised
    again. Python 3.11 makes a RuntimeError of what is raised while a class gets its attributes' names, and so may
    libraries elsewhere: `reveal_cancelled` undoes that.
    """

    def __init__(self) -> None:
        self.events: Events | None = None
        self._first: float | None = None
        # The signal whose Cancelled was raised, until `hand_over`.
        self._raised: int | None = None
        self._ended = False

    @property
    def received(self) -> bool:
        """Whether a signal was received."""
        return self._first is not None

    def hand_over(self, events: Events) -> None:
        """Put signals into `events` from now on, and first one that may have been lost."""
        self.events = events
        self._stop_timer()
        if self._raised is not None:
            events.put(SignalReceived(self._raised))
            self._raised = None

    @contextmanager
    def reveal_cancelled(self) -> Iterator[None]:
        """Raise Cancelled in place of an error that follows it."""
        try:
            yield
        except Cancelled:
            self._stop_timer()
            raise
        except Exception as error:
            if self._raised is not None:
                self._stop_timer()
                raise Cancelled(self._raised) from error
            raise

    def _stop_timer(self) -> None:
        if sys.platform != "win32" and self._raised is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def end(self) -> None:
        """Stop raising Cancelled."""
        self._ended = True

    def install(self) -> None:
        """Take over the signals; as process 1 of a container they would otherwise be ignored."""
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # A shell starts `command &` in a script with SIGINT ignored, so that Ctrl-C ends only what runs in front
            # (POSIX.1-2017, Shell Command Language, 2.11). SIGTERM is always meant for this process.
            if number and (name != "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
                signal.signal(number, self.handle)
        sys.unraisablehook = self._take_unraisable

    def handle(self, number: int, _frame: Any) -> None:
        """Do what the signal asks for."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
            if self.events is not None:
                self.events.put(SignalReceived(number))
            elif not self._ended:
                self._raised = number
                raise Cancelled(number)
        elif now - self._first > DUPLICATE_SIGNAL_SECONDS:
            os._exit(128 + number)

    def _take_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raise a lost Cancelled again, and leave all other errors to Python."""
        if not isinstance(unraisable.exc_value, Cancelled):
            sys.__unraisablehook__(unraisable)
            return
        # Windows has no such timer: there `hand_over` passes the signal on.
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, self._raise_again)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    def _raise_again(self, _number: int, _frame: Any) -> None:
        if self._raised is not None and not self._ended:
            raise Cancelled(self._raised)
