"""Connections that record when they are made, since that decides whether a request may have arrived.

A failure while a connection is being made means that nothing of the request was sent. After any later failure
the request may have arrived.

All of a connection has one limit of time: the name, its addresses, the proxy and TLS. The libraries give the name none,
each address the whole, and each wait for a proxy the whole again. Once the limit is over, nothing is sent.

Source: http.client and urllib3, as they make connections and raise errors, and RFC 9110 §15.2 (interim responses).
"""

from __future__ import annotations

import errno
import http.client
import io
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache, partial
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_ import create_urllib3_context, is_ipaddress

from autonoma_ci.escaping import LOOPBACK_HOST_RE
from autonoma_ci.net.background import run_in_background
from autonoma_ci.net.certificates import is_special_file
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import CertificateFileError, InvalidResponseError, no_timeout_thread_error
from autonoma_ci.net.threads import start_thread

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

# Of the lines of all responses before one final response. Real servers send one or two responses.
_MAX_INTERIM_BYTES = 1024 * 1024
_MAX_LINE_BYTES = 65_536
# How long bytes behind a refusal are waited for, in seconds. A refusal may have been sent before the request was read,
# and then the real response comes once that was done. A server that closes, as it must after `Connection: close` (RFC
# 9112 §9.6), costs no wait.
_SURPLUS_SECONDS = 0.25
# For a connection where no limit was set. All requests set one.
_DEFAULT_CONNECT_SECONDS = 10.0
_BLANK_LINES = frozenset({b"\r\n", b"\n"})
_LOOPBACK_NO_PROXY = "localhost,127.0.0.0/8,127.0.0.1,::1"


class _CountingReader(io.BufferedReader):
    """Reads a response, and notes its last line and how long its lines are in all, in bytes."""

    last_line = b""
    line_bytes = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last_line = super().readline(size)
        self.line_bytes += len(self.last_line)
        return self.last_line


class _FinalResponse(http.client.HTTPResponse):
    """A response whose interim responses (1xx) were skipped, as RFC 9110 §15.2 demands.

    http.client skips 100 alone. It returns a 102 or 103 as final, and the next request gets the final response. A
    header section that is cut short is an error (RFC 9112 §8). http.client takes what came for the whole.
    """

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._sock, self._is_post = sock, method == "POST"
        self.fp: _CountingReader = _CountingReader(self.fp.detach())

    def begin(self) -> None:
        super().begin()
        if self.fp.last_line not in _BLANK_LINES:
            raise InvalidResponseError("the connection ended within the headers of the answer")

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            text = str(self.fp.last_line, "iso-8859-1")
            if not text.endswith("\n") or not re.fullmatch("[0-9]{3}", text.split(None, 2)[1]):
                raise InvalidResponseError("the status line of the answer is cut short or invalid")
            if not 100 <= status < 200:
                return version, status, reason
            if status == http.client.SWITCHING_PROTOCOLS:
                # No request of ours asks for an upgrade, so what follows is not HTTP.
                raise InvalidResponseError("unexpected switch of protocols")
            while self.fp.readline(_MAX_LINE_BYTES) not in {*_BLANK_LINES, b""}:
                self._check_interim_size()
            self._check_interim_size()

    def _check_interim_size(self) -> None:
        if self.fp.line_bytes > _MAX_INTERIM_BYTES:
            raise InvalidResponseError("more than 1 MiB of interim responses (1xx) came before the answer")

    def _close_conn(self) -> None:
        # The response to CONNECT has no headers here, and its connection goes on.
        if self._is_post and self.status in connection_state.exclusive_statuses and self.headers is not None:
            self._read_surplus()
        super()._close_conn()  # type: ignore[misc]

    def _read_surplus(self) -> None:
        # A timeout is an OSError. It says that nothing came.
        with suppress(OSError):
            self._sock.settimeout(_SURPLUS_SECONDS)
            while not connection_state.surplus_bytes and (data := self.fp.read1(_MAX_LINE_BYTES)):
                connection_state.surplus_bytes = data.lstrip(b"\r\n")


class TrackedHTTPConnection(HTTPConnection):
    """A connection that records when it is made, and is made in time or not at all."""

    response_class = _FinalResponse
    # The monotonic time at which it must be made.
    _connect_by = inf
    # The socket, which is still read from once http.client has let go of it: after `Connection: close`.
    _open_socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect; raise ConnectTimeoutError if that takes too long or the request was given up meanwhile."""
        self._record_connecting()
        self._open_socket = None
        self._connect_by = min(
            time.monotonic() + (self.timeout or _DEFAULT_CONNECT_SECONDS), connection_state.send_before
        )
        # For what drips: a proxy's answer, and a handshake through a proxy with TLS. The other waits end by themselves.
        key = deadlines.add(self._get_seconds_left(), self.shut_down)
        try:
            super().connect()
        except (ConnectTimeoutError, NewConnectionError):
            raise
        except Exception as error:
            # What our own end of it looks like is no news.
            if time.monotonic() >= self._connect_by:
                raise self._build_timeout_error() from error
            raise
        finally:
            deadlines.remove(key)
        self._get_seconds_left()
        self._open_socket = self.sock
        self._open_socket.settimeout(self.timeout)
        self._allow_sending()

    def shut_down(self) -> None:
        """End the connection from another thread. One that is not made yet ends by its own look at the clock."""
        sock = self.sock or self._open_socket
        with suppress(OSError):
            if sock:
                # With TLS in TLS, urllib3's own class has no such method. The socket is the one below.
                getattr(sock, "socket", sock).shutdown(socket.SHUT_RDWR)

    def _record_connecting(self) -> None:
        connection_state.connection, connection_state.connecting, connection_state.connect_attempted = self, True, True

    def _allow_sending(self) -> None:
        """Let the request be sent from now on; raise ConnectTimeoutError if it must not be any more."""
        # A limit that comes after this look at the clock finds the socket and shuts it down.
        if time.monotonic() >= connection_state.send_before or (
            connection_state.gate and not connection_state.gate.enter()
        ):
            raise self._build_timeout_error()
        connection_state.connecting = False

    def _get_seconds_left(self) -> float:
        """Return how many seconds are left to connect; raise ConnectTimeoutError if there are none."""
        seconds_left = self._connect_by - time.monotonic()
        if seconds_left <= 0:
            raise self._build_timeout_error()
        return seconds_left

    def _build_timeout_error(self) -> ConnectTimeoutError:
        return ConnectTimeoutError(self, "the connection was not made in time")

    def _new_conn(self) -> socket.socket:
        """Return a socket that is connected to one of the name's addresses.

        Raises ConnectTimeoutError, NewConnectionError and what `_resolved` raises.
        """
        host, timeout = self._dns_host, self.timeout
        addresses = self._resolve(host)
        error: Exception = NewConnectionError(self, "the name has no address")
        try:
            for number, address in enumerate(addresses):
                # An equal share of what is left, so that a dead one takes no time from those behind it.
                self._dns_host, self.timeout = address, self._get_seconds_left() / (len(addresses) - number)
                try:
                    sock = super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError) as failure:
                    error = failure
                else:
                    return self._apply_seconds_left(sock)
            raise error
        finally:
            self._dns_host, self.timeout = host, timeout
            del error

    def _apply_seconds_left(self, sock: socket.socket) -> socket.socket:
        """Return the socket with the time that is left as its limit; close it if there is none."""
        try:
            sock.settimeout(self._get_seconds_left())
        except ConnectTimeoutError:
            sock.close()
            raise
        return sock

    def _resolve(self, host: str) -> list[str]:
        """Return the addresses of a name.

        Raises NameResolutionError if there are none in time, NewConnectionError if nothing could be asked, and
        LocationParseError if it is no name.
        """
        if is_ipaddress(host.strip("[]")):
            return [host]
        task = partial(socket.getaddrinfo, host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        try:
            # The system's resolver has no limit that could be set from here.
            results = run_in_background(task, self._get_seconds_left())
        except (socket.gaierror, TimeoutError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(socket.EAI_AGAIN, "no answer")
            raise NameResolutionError(self.host, self, cause) from cause
        except OSError as error:
            raise NewConnectionError(self, "the name could not be asked for") from error
        except UnicodeError:
            raise LocationParseError(f"'{host}', label empty or too long") from None
        return list(dict.fromkeys(str(address[0]) for *_, address in results))

    def _tunnel(self) -> None:
        super()._tunnel()
        # The handshake that follows has no more than is left.
        self.sock.settimeout(self._get_seconds_left())

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request.

        Raises:
            ConnectTimeoutError: Nothing may be sent any more.
            NewConnectionError: The connection is that of an earlier request, which could not be closed.

        """
        # Without TLS, the connection is made only once the headers are complete.
        connection_state.connection, connection_state.connecting = self, True
        if self.sock is not None:
            self._check_owner()
            self._allow_sending()
        super().request(*args, **kwargs)

    def _check_owner(self) -> None:
        """Raise NewConnectionError if the connection was made for an earlier request."""
        if not connection_state.connect_attempted:
            raise NewConnectionError(self, "the connection of an earlier request is still open")


class TrackedHTTPSConnection(TrackedHTTPConnection, HTTPSConnection):
    """The same for https: in the methods above, `super` is HTTPSConnection, which connects with a handshake."""

    def connect(self) -> None:
        """Do the same as above, with a context that all connections share."""
        self._record_connecting()
        if self.ssl_context is None:
            context = _tls_context(self.ca_certs, self.ca_cert_dir)
            # With a proxy that speaks TLS, urllib3 needs the file for both handshakes.
            if not (self.proxy and self.proxy.scheme == "https"):
                self.ssl_context = context
                self.ca_certs = self.ca_cert_dir = None
        super().connect()


@cache
def _tls_context(ca_certs: str | None, ca_cert_dir: str | None) -> ssl.SSLContext:
    """Return the context for all connections that trust these authorities.

    To read the usual file of authorities takes about 30 ms. Without this, each connection reads it again. Raises
    AuthoritiesError if the file is unusable.
    """
    context = create_urllib3_context()
    if is_special_file(ca_certs or ca_cert_dir or ""):
        raise CertificateFileError(errno.EINVAL, "the trusted authorities are not in a regular file")
    try:
        if ca_certs or ca_cert_dir:
            context.load_verify_locations(ca_certs, ca_cert_dir)
        else:
            context.load_default_certs()
    except OSError as error:
        # OpenSSL's own errors are of this class too.
        raise CertificateFileError(error.errno, "the trusted authorities are unusable") from error
    return context


class TrackedHTTPPool(HTTPConnectionPool):
    """A pool of tracked connections."""

    ConnectionCls = TrackedHTTPConnection


class TrackedHTTPSPool(HTTPSConnectionPool):
    """A pool of tracked connections with TLS."""

    ConnectionCls = TrackedHTTPSConnection


# What an adapter makes its pools of, by scheme.
TRACKED_POOLS = {"http": TrackedHTTPPool, "https": TrackedHTTPSPool}


def find_proxies(url: str) -> dict[str, str]:
    """Return requests' `proxies`: one that the environment names is for the world outside, never for this machine."""
    return {"no_proxy": _LOOPBACK_NO_PROXY} if LOOPBACK_HOST_RE.fullmatch(urlsplit(url).hostname or "") else {}


class Deadlines:
    """Ends requests that take too long.

    One thread does it for all of them, since the number of threads may be limited.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._callbacks: dict[object, tuple[float, Callable[[], None]]] = {}
        self._is_running = False
        # The time until which the thread sleeps.
        self._wake_at = inf

    def start(self) -> None:
        """Make the thread if it is not there.

        Raises RuntimeError if that can't be done.
        """
        with self._changed:
            if not self._is_running:
                start_thread(self._run)
                self._is_running = True

    def add(self, seconds: float, on_timeout: Callable[[], None]) -> object:
        """Call `end` after so many seconds, unless the returned key is removed before.

        Raises RuntimeError if no thread can be made.
        """
        key, expires_at = object(), time.monotonic() + seconds
        self.start()
        with self._changed:
            self._callbacks[key] = expires_at, on_timeout
            if expires_at < self._wake_at:
                self._changed.notify()
        return key

    def remove(self, key: object) -> None:
        """Remove a deadline. What it ends is not called any more once this returns."""
        with self._changed:
            self._callbacks.pop(key, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for key in [key for key, (when, _) in self._callbacks.items() if when <= now]:
                    on_timeout = self._callbacks.pop(key)[1]
                    # Whatever goes wrong here, the other requests must end too.
                    with suppress(Exception):
                        on_timeout()
                self._wake_at = min((when for when, _ in self._callbacks.values()), default=inf)
                self._changed.wait(None if self._wake_at == inf else self._wake_at - now)


deadlines = Deadlines()


@contextmanager
def total_timeout(seconds: float) -> Iterator[threading.Event]:
    """End this thread's next request after so long.

    Args:
        seconds: How long the request may take.

    Yields:
        An event that is set once the request was ended.

    Raises:
        NotSentError: No thread can be made that would end the request.

    """
    # First, since to make the event may fail for want of memory.
    state = connection_state.reset()
    connection_state.send_before = time.monotonic() + seconds
    timed_out = threading.Event()

    def abort() -> None:
        # Noted before the line is cut: what comes of a request that was ended from here may read like an answer.
        timed_out.set()
        abort_connection(state)

    try:
        key = deadlines.add(seconds, abort)
    except (RuntimeError, MemoryError):
        raise no_timeout_thread_error() from None
    try:
        yield timed_out
    finally:
        deadlines.remove(key)


def close_connection() -> None:
    """Close the connection of this thread's request, which the server may keep open. No other request may use it."""
    if connection_state.connection:
        # Where this fails, the next request finds that the connection is not its own.
        with suppress(Exception):
            connection_state.connection.close()


def abort_connection(state: dict[str, Any]) -> None:
    """End a thread's request that takes too long as a whole; the libraries' timeouts are for each wait alone."""
    connection: TrackedHTTPConnection | None = state.get("connection")
    if connection:
        connection.shut_down()
