"""End requests after their total timeout.

The timeouts of the libraries limit only each single wait.

Source: Python's documentation of `threading.Condition`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any

from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import build_no_timeout_thread_error
from autonoma_ci.net.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Deadlines:
    """Ends requests after their timeout.

    One thread does this for all requests, because the number of threads can be limited.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._callbacks: dict[object, tuple[float, Callable[[], None]]] = {}
        self._is_running = False
        self._wake_at = inf  # monotonic time at which the thread wakes up

    def start(self) -> None:
        """Start the thread unless it runs already.

        Raises:
            RuntimeError: The thread can't be started.
        """
        with self._changed:
            if not self._is_running:
                start_thread(self._run)
                self._is_running = True

    def add(self, seconds: float, on_timeout: Callable[[], None]) -> object:
        """Call `on_timeout` after some seconds.

        Args:
            seconds: Time until the call.
            on_timeout: The function to call. It runs in the thread of the deadlines.

        Returns:
            A key. After `remove` with this key, the function is not called.

        Raises:
            RuntimeError: No thread can be started.
        """
        key, expires_at = object(), time.monotonic() + seconds
        self.start()
        with self._changed:
            self._callbacks[key] = expires_at, on_timeout
            if expires_at < self._wake_at:
                self._changed.notify()
        return key

    def remove(self, key: object) -> None:
        """Remove a deadline.

        After this call returns, its function is not called.
        """
        with self._changed:
            self._callbacks.pop(key, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for key in [key for key, (expires_at, _) in self._callbacks.items() if expires_at <= now]:
                    on_timeout = self._callbacks.pop(key)[1]
                    # If this fails, the other requests must still end.
                    with suppress(Exception):
                        on_timeout()
                self._wake_at = min((expires_at for expires_at, _ in self._callbacks.values()), default=inf)
                self._changed.wait(None if self._wake_at == inf else self._wake_at - now)


deadlines = Deadlines()


@contextmanager
def limit_total_time(seconds: float) -> Iterator[threading.Event]:
    """Limit the total time of this thread's next request.

    Args:
        seconds: Maximum duration of the request.

    Yields:
        An event that is set when the timeout ends the request.

    Raises:
        RequestNotSentError: No thread can be started that would end the request.
    """  # noqa: DOC501 - a function builds the raised error
    # This comes first, because the event can fail if memory is exhausted.
    state = connection_state.reset()
    connection_state.send_before = time.monotonic() + seconds
    timed_out = threading.Event()

    def abort() -> None:
        # Set the event before the abort, because the result of an aborted request can look like a response.
        timed_out.set()
        abort_connection(state)

    try:
        key = deadlines.add(seconds, abort)
    except (RuntimeError, MemoryError):
        raise build_no_timeout_thread_error() from None
    try:
        yield timed_out
    finally:
        deadlines.remove(key)


def abort_connection(state: dict[str, Any]) -> None:
    """End a request of another thread after its total timeout.

    The timeouts of the libraries limit only each single wait.

    Args:
        state: The result of `ConnectionState.reset` in that thread.
    """
    if connection := state.get("connection"):
        connection.shut_down()
