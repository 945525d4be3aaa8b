"""Record for each thread whether its request may have been sent.

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
    """Decides between sending and withdrawing a request.

    The request enters the gate before its first byte. The first call wins, and the other one has no effect.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._winner = ""

    def enter(self) -> bool:
        """Return whether the request may be sent.

        If so, it can't be withdrawn later.
        """
        return self._claim("sent")

    def withdraw(self) -> bool:
        """Return whether the request is withdrawn.

        If so, nothing of it was sent, and nothing will be.
        """
        return self._claim("withdrawn")

    def _claim(self, winner: str) -> bool:
        with self._lock:
            self._winner = self._winner or winner
            return self._winner == winner


class ConnectionState(threading.local):
    """The connection of each thread's present request."""

    connecting = False  # the connection is being made
    connect_attempted = False  # a connection was made or tried for this request
    connection: HTTPConnection | None = None
    surplus_bytes = b""  # bytes after a response with an exclusive status, without CR and LF
    exclusive_statuses: Collection[int] = ()  # after a response with one of these, surplus bytes are read
    send_before = inf  # monotonic time after which nothing may be sent
    gate: SendGate | None = None  # gate of the start request that this thread sends, None when it has returned

    @property
    def nothing_sent(self) -> bool:
        """Whether nothing of the request was sent.

        This is certain if no connection was made for it.
        """
        return self.connecting or self.connection is None

    def reset(self) -> dict[str, Any]:
        """Forget the last request.

        Returns:
            The state of this thread, with which `abort_connection` can end the next request from another thread.
        """
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
