"""Cancel the job on the first SIGINT or SIGTERM, and end the process on a later one."""

from __future__ import annotations

# The built-in part of `signal`, because importing `signal` costs up to 5 ms.
import _signal  # type: ignore[import-not-found]
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.engine.workers import Events

# Windows sends SIGBREAK to background processes, and to processes whose console closes.
_SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")
# `timeout`, npm and terminals can send one signal twice within moments. Within 1 s it counts once.
DUPLICATE_SIGNAL_SECONDS = 1.0
# The delay before a lost Cancelled is raised again. Usually the code that lost it has ended by then. If not, Cancelled
# is raised once more.
_RERAISE_DELAY_SECONDS = 0.01


class SignalHandler:
    """Handles SIGINT and SIGTERM, and SIGBREAK on Windows.

    Before the first request, a signal raises Cancelled. After `hand_over` a signal is an event. So the outputs are
    always complete, and the report contains every run. After `end` a signal has no effect, because the exit code is
    final.

    Python ignores an exception in a destructor or in the callback of a weak reference, and prints a traceback.
    Source: documentation of sys.unraisablehook. Imports have such callbacks. A Cancelled that is lost there is raised
    again. Python 3.11 replaces an exception in `__set_name__` with a RuntimeError, and libraries can do the same.
    `reveal_cancelled` undoes that.
    """

    def __init__(self) -> None:
        self.events: Events | None = None
        # The time of the first signal, in seconds of time.monotonic.
        self._first_received_at: float | None = None
        # The signal for which Cancelled was raised before `hand_over`.
        self._raised_signal: int | None = None
        self._has_ended = False

    @property
    def received(self) -> bool:
        """Whether a signal was received."""
        return self._first_received_at is not None

    def hand_over(self, events: Events) -> None:
        """Send all further signals to a queue.

        A signal whose Cancelled may be lost is sent first.
        """
        self.events = events
        self._stop_timer()
        if self._raised_signal is not None:
            events.put(SignalReceived(self._raised_signal))
            self._raised_signal = None

    @contextmanager
    def reveal_cancelled(self) -> Iterator[None]:
        """Raise Cancelled instead of an error that it caused.

        Raises:
            Cancelled: A signal arrived within the block.
        """
        try:
            yield
        except Cancelled:
            self._stop_timer()
            raise
        except Exception as error:
            if self._raised_signal is not None:
                self._stop_timer()
                raise Cancelled(self._raised_signal) from error
            raise

    def _stop_timer(self) -> None:
        if sys.platform != "win32" and self._raised_signal is not None:
            _signal.setitimer(_signal.ITIMER_REAL, 0)

    def end(self) -> None:
        """Stop raising Cancelled, because the exit code is final."""
        self._has_ended = True

    def install(self) -> None:
        """Install the handlers of all signals.

        Without a handler, Linux ignores these signals for process 1 of a container.
        """
        for name in _SIGNAL_NAMES:
            number = getattr(_signal, name, None)
            # In a script, a shell starts `command &` with SIGINT ignored, so that Ctrl-C ends only foreground commands.
            # Source: POSIX.1-2017, Shell Command Language, 2.11. SIGTERM is always for this process.
            if number and (name != "SIGINT" or _signal.getsignal(number) != _signal.SIG_IGN):
                _signal.signal(number, self.handle)
        sys.unraisablehook = self._handle_unraisable

    def handle(self, number: int, _frame: Any) -> None:
        """Handle a signal.

        Raises:
            Cancelled: On the first signal, if there is no event queue yet.

        """
        now = time.monotonic()
        if self._first_received_at is None:
            self._first_received_at = now
            if self.events is not None:
                self.events.put(SignalReceived(number))
            elif not self._has_ended:
                self._raised_signal = number
                raise Cancelled(number)
        elif now - self._first_received_at > DUPLICATE_SIGNAL_SECONDS:
            os._exit(128 + number)

    def _handle_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raise a lost Cancelled again, and pass all other errors to Python."""
        if not isinstance(unraisable.exc_value, Cancelled):
            sys.__unraisablehook__(unraisable)
            return
        # Windows has no such timer. There, `hand_over` sends the signal to the queue.
        if sys.platform != "win32":
            _signal.signal(_signal.SIGALRM, self._reraise_cancelled)
            _signal.setitimer(_signal.ITIMER_REAL, _RERAISE_DELAY_SECONDS)

    def _reraise_cancelled(self, _number: int, _frame: Any) -> None:
        if self._raised_signal is not None and not self._has_ended:
            raise Cancelled(self._raised_signal)
