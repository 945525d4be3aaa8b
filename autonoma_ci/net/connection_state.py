"""The connection of each thread's present request: it tells whether anything can have been sent.

Source: Python's documentation of `threading.local`.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from http.client import HTTPConnection


class SendGate:
    """What a request passes before its first byte, unless it was withdrawn: of the two, the first one wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._winner = ""

    def enter(self) -> bool:
        """Return whether the request may be sent. Then it can't be withdrawn any more."""
        return self._claim("sent")

    def withdraw(self) -> bool:
        """Return whether nothing was sent. Then nothing of the request ever will be."""
        return self._claim("withdrawn")

    def _claim(self, winner: str) -> bool:
        with self._lock:
            self._winner = self._winner or winner
            return self._winner == winner


class ConnectionState(threading.local):
    """The thread's own connection in its present request: whether it is being made, and was made for it.

    `surplus` is what came behind a response whose status is one of the `exclusive_statuses`, without CR and LF. After
    `until`, in seconds of the monotonic clock, nothing may be sent. `gate` is that of the start which the thread sends,
    and stays until it came back.
    """

    connecting = False
    connect_attempted = False
    connection: HTTPConnection | None = None
    surplus_bytes = b""
    exclusive_statuses: Collection[int] = ()
    send_before = inf
    gate: SendGate | None = None

    @property
    def nothing_sent(self) -> bool:
        """Whether no connection was made for the present request, so that nothing of it was sent."""
        return self.connecting or self.connection is None

    def reset(self) -> dict[str, Any]:
        """Forget the last request; return what `hang_up` takes to end the next one from another thread."""
        self.connecting, self.connect_attempted, self.connection, self.surplus_bytes, self.send_before = (
            False,
            False,
            None,
            b"",
            inf,
        )
        self.exclusive_statuses = ()
        return self.__dict__


connection_state = ConnectionState()
