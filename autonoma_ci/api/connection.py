"""Connections that record when they are made, since that decides whether a request may have arrived.

A failure while a connection is being made means that nothing of the request was sent. After any later failure
the request may have arrived.

Source: http.client and urllib3, as they make connections and raise errors, and RFC 9110 §15.2 (interim responses).
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from autonoma_ci.text import LOOPBACK

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

# Interim responses before one final response, and header lines of one of them. Real servers send one or two.
_MAX_INTERIM_RESPONSES = 20
_MAX_HEADER_LINES = 100
_MAX_LINE_BYTES = 65_536
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


class _FinalResponse(http.client.HTTPResponse):
    """A response whose interim responses (1xx) were skipped, as RFC 9110 §15.2 demands.

    http.client skips 100 alone. It returns a 102 or 103 as final, and the next request gets the final response.
    """

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM_RESPONSES):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200:
                return version, status, reason
            if status == http.client.SWITCHING_PROTOCOLS:
                # No request of ours asks for an upgrade, so what follows is not HTTP.
                raise http.client.HTTPException("unexpected switch of protocols")
            self._skip_headers()
        raise http.client.HTTPException("too many interim responses")

    def _skip_headers(self) -> None:
        for _ in range(_MAX_HEADER_LINES):
            text = self.fp.readline(_MAX_LINE_BYTES + 1)
            if text in {b"\r\n", b"\n", b""}:
                return
            if len(text) > _MAX_LINE_BYTES:
                raise http.client.LineTooLong("header line")
        raise http.client.HTTPException("too many headers in an interim response")


class _Plain(HTTPConnection):
    """A connection that records when it is made."""

    response_class = _FinalResponse

    def connect(self) -> None:
        self._record_connecting()
        super().connect()
        line.connecting = False

    def _record_connecting(self) -> None:
        line.connection, line.connecting, line.made = self, True, True

    def request(self, *args: Any, **kwargs: Any) -> None:
        line.connection = self
        super().request(*args, **kwargs)


class _Secure(_Plain, HTTPSConnection):
    """The same for https: in the methods above, `super` is HTTPSConnection, which connects with a handshake."""

    def connect(self) -> None:
        self._record_connecting()
        # With a proxy that speaks TLS, urllib3 needs the file for both handshakes.
        if self.ssl_context is None and not (self.proxy and self.proxy.scheme == "https"):
            self.ssl_context = _tls_context(self.ca_certs, self.ca_cert_dir)
            self.ca_certs = self.ca_cert_dir = None
        super().connect()


@cache
def _tls_context(ca_certs: str | None, ca_cert_dir: str | None) -> ssl.SSLContext:
    """Return the context for all connections that trust these authorities.

    To read the usual file of authorities takes about 30 ms. Without this, each connection reads it again.
    """
    context = create_urllib3_context()
    if ca_certs or ca_cert_dir:
        context.load_verify_locations(ca_certs, ca_cert_dir)
    else:
        context.load_default_certs()
    return context


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
