"""Connections that note when they are made, since that decides whether a request may have arrived.

A failure while a connection is being made means that nothing of the request was sent; after any later
failure that is open.

Source: http.client and urllib3, as they make connections and raise errors.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from autonoma_ci.text import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL = "localhost,127.0.0.0/8,127.0.0.1,::1"


class Line(threading.local):
    """The thread's own connection in its present request: whether it is being made, and was made for it."""

    connecting = False
    made = False
    connection: HTTPConnection | None = None

    def clear(self) -> dict[str, Any]:
        """Forget the last request; return what `hang_up` takes to end the next one from another thread."""
        self.connecting, self.made, self.connection = False, False, None
        return self.__dict__


line = Line()


class _Plain(HTTPConnection):
    def connect(self) -> None:
        line.connection, line.connecting, line.made = self, True, True
        super().connect()
        line.connecting = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        line.connection = self
        super().request(*args, **kwargs)


class _Secure(_Plain, HTTPSConnection):
    """The same for https: in the methods above, `super` is HTTPSConnection then, which connects with a handshake."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


# What an adapter makes its pools of, by scheme.
POOLS = {"http": _PlainPool, "https": _SecurePool}


def proxies_for(url: str) -> dict[str, str]:
    """Return requests' `proxies`: one that the environment names is for the world outside, never for this machine."""
    return {"no_proxy": _LOCAL} if LOOPBACK.fullmatch(urlsplit(url).hostname or "") else {}


@contextmanager
def limited(seconds: float) -> Iterator[threading.Event]:
    """End this thread's next request after so long; yield what is set once that has happened."""
    late = threading.Event()

    def end(of_thread: dict[str, Any]) -> None:
        # Noted before the line is cut: what comes of a request that was ended from here may read like an answer.
        late.set()
        hang_up(of_thread)

    guard = threading.Timer(seconds, end, [line.clear()])
    guard.daemon = True
    guard.start()
    try:
        yield late
    finally:
        guard.cancel()


def hang_up(of_thread: dict[str, Any]) -> None:
    """End a thread's request that takes too long as a whole; the libraries' timeouts are for each wait alone."""
    connection: HTTPConnection | None = of_thread.get("connection")
    with suppress(OSError, AttributeError):
        if connection and connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)
