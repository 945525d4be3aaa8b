"""Signals: the first one asks the job to wind up, a later one ends it at once."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from autonoma_ci.engine.workers import Interrupt
from autonoma_ci.errors import Cancelled

if TYPE_CHECKING:
    from autonoma_ci.engine.workers import Events

# SIGBREAK is how Windows stops what runs in the background, and all that is about to lose its console.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# `timeout`, npm and terminals deliver one wish to stop twice, moments apart.
_SAME = 1.0


class Interrupts:
    """Handles SIGINT and SIGTERM, and SIGBREAK on Windows.

    While nothing has been sent, a signal raises Cancelled. From the moment that `events` is set it is an
    event instead, so that the outputs are never cut off half-way and every run is accounted for. After `end`
    it has no effect, because the exit code is decided.
    """

    def __init__(self) -> None:
        self.events: Events | None = None
        self._first: float | None = None
        self._ended = False

    @property
    def received(self) -> bool:
        """Whether a signal was received."""
        return self._first is not None

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

    def handle(self, number: int, _frame: Any) -> None:
        """Do what the signal asks for."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
            if self.events is not None:
                self.events.put(Interrupt(number))
            elif not self._ended:
                raise Cancelled(number)
        elif now - self._first > _SAME:
            os._exit(128 + number)
