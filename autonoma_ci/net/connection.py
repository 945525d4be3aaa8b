"""Track connections to decide whether a request may have arrived.

If a failure occurs before the connection is made, nothing of the request was sent. After any later failure, the request
may have arrived.

One timeout covers all parts of a connection: name resolution, all addresses, the proxy and TLS. The libraries have no
timeout for name resolution, and apply the full timeout to each address and to each wait for a proxy. After the timeout,
nothing is sent.

Source: the code of http.client and urllib3 that makes connections and raises errors, and RFC 9110 §15.2 for interim
responses.
"""

from __future__ import annotations

import errno
import http.client
import io
import re
import socket
import time
from contextlib import suppress
from functools import cache, partial
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_ import create_urllib3_context, is_ipaddress

from autonoma_ci.net.certificates import is_special_file
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import CertificateFileError, InvalidResponseError
from autonoma_ci.net.threads import run_in_background
from autonoma_ci.net.total_timeout import deadlines
from autonoma_ci.urls import LOOPBACK_HOST_RE

if TYPE_CHECKING:
    import ssl

# For all interim responses before one final response. Real servers send one or two of them.
_MAX_INTERIM_BYTES = 1024 * 1024
_MAX_LINE_BYTES = 65_536
# Wait for bytes after the rejection of a start. A server can send a rejection before it has read the request, and the
# real response after that. A server that closes the connection causes no wait, and after `Connection: close` it must
# close it (RFC 9112 §9.6).
_SURPLUS_SECONDS = 0.25
# For a connection without a timeout. All requests of this package set one.
_DEFAULT_CONNECT_SECONDS = 10.0
_BLANK_LINES = frozenset({b"\r\n", b"\n"})
_LOOPBACK_NO_PROXY = "localhost,127.0.0.0/8,127.0.0.1,::1"


class _CountingReader(io.BufferedReader):
    """Reads a response and records its lines."""

    last_line = b""
    line_bytes = 0  # total length of all lines

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last_line = super().readline(size)
        self.line_bytes += len(self.last_line)
        return self.last_line


class _FinalResponse(http.client.HTTPResponse):
    """A final response, after all interim responses (1xx) were skipped.

    RFC 9110 §15.2 requires this. http.client skips only 100 and returns a 102 or 103 as final. Then the next request
    gets the final response. A header section that is cut short is an error (RFC 9112 §8). http.client accepts it as
    complete.
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
            raise InvalidResponseError("the connection ended within the headers of the response")

    def _read_status(self) -> tuple[str, int, str]:
        """Return the status line of the final response.

        Raises:
            InvalidResponseError: A status line is invalid, or the interim responses are too long.
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            text = str(self.fp.last_line, "iso-8859-1")
            if not text.endswith("\n") or not re.fullmatch("[0-9]{3}", text.split(None, 2)[1]):
                raise InvalidResponseError("the status line of the response is incomplete or invalid")
            if not 100 <= status < 200:
                return version, status, reason
            if status == http.client.SWITCHING_PROTOCOLS:
                # No request of this package contains an upgrade, so the next bytes are not HTTP.
                raise InvalidResponseError("unexpected switch of protocols (HTTP 101)")
            self._skip_headers()
            self._check_interim_size()

    def _skip_headers(self) -> None:
        """Read up to the blank line after the headers of an interim response.

        Raises:
            InvalidResponseError: The interim responses are too long.
        """
        # A long line is read in several parts, and its last part can look like a blank line.
        is_line_start = True
        while (part := self.fp.readline(_MAX_LINE_BYTES)) and not (is_line_start and part in _BLANK_LINES):
            self._check_interim_size()
            is_line_start = part.endswith(b"\n")

    def _check_interim_size(self) -> None:
        if self.fp.line_bytes > _MAX_INTERIM_BYTES:
            raise InvalidResponseError("more than 1 MiB of interim responses (HTTP 1xx) before the final response")

    def _close_conn(self) -> None:
        # The response to CONNECT has no headers here, and its connection stays open.
        if self._is_post and self.status in connection_state.exclusive_statuses and self.headers is not None:
            self._read_surplus()
        super()._close_conn()  # type: ignore[misc]

    def _read_surplus(self) -> None:
        # A timeout is an OSError. It means that nothing came.
        with suppress(OSError):
            self._sock.settimeout(_SURPLUS_SECONDS)
            while not connection_state.surplus_bytes and (data := self.fp.read1(_MAX_LINE_BYTES)):
                connection_state.surplus_bytes = data.lstrip(b"\r\n")


class TrackedHTTPConnection(HTTPConnection):
    """A connection that records its state and has one timeout."""

    response_class = _FinalResponse
    _connect_by = inf  # monotonic time at which the connection must be made
    # http.client drops its socket after `Connection: close`, while the response is still read from it.
    _open_socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect within the timeout.

        Raises:
            ConnectTimeoutError: The timeout is over, or the request was withdrawn meanwhile.
            NewConnectionError: The connection was refused, or the host is unknown.
        """
        self._record_connecting()
        self._open_socket = None
        self._connect_by = min(
            time.monotonic() + (self.timeout or _DEFAULT_CONNECT_SECONDS), connection_state.send_before
        )
        # A proxy's response and a handshake through a proxy with TLS can arrive byte by byte. Only the deadline ends
        # them. The other waits have their own timeout.
        key = deadlines.add(self._get_seconds_left(), self.shut_down)
        try:
            super().connect()
        except (ConnectTimeoutError, NewConnectionError):
            raise
        except Exception as error:
            # The deadline caused this error, so its text has no information.
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
        """End the connection from another thread.

        A connection that is not made yet ends itself, because it checks the clock.
        """
        sock = self.sock or self._open_socket
        with suppress(OSError):
            if sock:
                # With TLS in TLS, urllib3's class has no `shutdown`. Its attribute `socket` is the real socket.
                getattr(sock, "socket", sock).shutdown(socket.SHUT_RDWR)

    def _record_connecting(self) -> None:
        connection_state.connection, connection_state.connecting, connection_state.connect_attempted = self, True, True

    def _allow_sending(self) -> None:
        """Allow that the request is sent from now on.

        Raises:
            ConnectTimeoutError: The timeout is over, or the request was withdrawn.
        """
        # If the timeout ends after this check, its thread finds the socket and shuts it down.
        if time.monotonic() >= connection_state.send_before or (
            connection_state.gate and not connection_state.gate.enter()
        ):
            raise self._build_timeout_error()
        connection_state.connecting = False

    def _get_seconds_left(self) -> float:
        """Return the seconds left to connect.

        Raises:
            ConnectTimeoutError: No time is left.
        """
        seconds_left = self._connect_by - time.monotonic()
        if seconds_left <= 0:
            raise self._build_timeout_error()
        return seconds_left

    def _build_timeout_error(self) -> ConnectTimeoutError:
        return ConnectTimeoutError(self, "the connection was not made in time")

    def _new_conn(self) -> socket.socket:
        """Return a socket that is connected to one of the host's addresses.

        Raises:
            ConnectTimeoutError: No address accepted the connection in time.
            NewConnectionError: No address accepted the connection.
            NameResolutionError: See `_resolve`.
            LocationParseError: See `_resolve`.
        """
        host, timeout = self._dns_host, self.timeout
        addresses = self._resolve(host)
        error: Exception = NewConnectionError(self, "the name has no address")
        try:
            for number, address in enumerate(addresses):
                # Each address gets an equal share of the time left, so that a dead one leaves time for the next.
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
        """Set the time left as the socket's timeout.

        Raises:
            ConnectTimeoutError: No time is left. The socket is closed then.
        """
        try:
            sock.settimeout(self._get_seconds_left())
        except ConnectTimeoutError:
            sock.close()
            raise
        return sock

    def _resolve(self, host: str) -> list[str]:
        """Return the addresses of a host name.

        Raises:
            NameResolutionError: The name has no address, or was not resolved in time.
            NewConnectionError: The resolver could not be called.
            LocationParseError: The name is invalid.
        """
        if is_ipaddress(host.strip("[]")):
            return [host]
        task = partial(socket.getaddrinfo, host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        try:
            # The system's resolver has no timeout that a program can set.
            results = run_in_background(task, self._get_seconds_left())
        except (socket.gaierror, TimeoutError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(socket.EAI_AGAIN, "no response")
            raise NameResolutionError(self.host, self, cause) from cause
        except OSError as error:
            raise NewConnectionError(self, "the resolver could not be called") from error
        except UnicodeError:
            raise LocationParseError(f"'{host}', label empty or too long") from None
        return list(dict.fromkeys(str(address[0]) for *_, address in results))

    def _tunnel(self) -> None:
        super()._tunnel()
        # The TLS handshake comes next and has only the time left.
        self.sock.settimeout(self._get_seconds_left())

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request.

        Raises:
            ConnectTimeoutError: The timeout is over, or the request was withdrawn.
            NewConnectionError: The connection belongs to an earlier request and could not be closed.
        """
        # Without TLS, http.client connects only when the headers are complete.
        connection_state.connection, connection_state.connecting = self, True
        if self.sock is not None:
            self._check_owner()
            self._allow_sending()
        super().request(*args, **kwargs)

    def _check_owner(self) -> None:
        """Check that the connection belongs to the present request.

        Raises:
            NewConnectionError: It was made for an earlier request.
        """
        if not connection_state.connect_attempted:
            raise NewConnectionError(self, "the connection of an earlier request is still open")


class TrackedHTTPSConnection(TrackedHTTPConnection, HTTPSConnection):
    """A tracked connection with TLS.

    In the inherited methods, `super` is HTTPSConnection, which connects with a handshake.
    """

    def connect(self) -> None:
        """Connect with the TLS context that all connections share."""
        self._record_connecting()
        if self.ssl_context is None:
            context = _create_tls_context(self.ca_certs, self.ca_cert_dir)
            # With an https proxy, urllib3 needs the file for both handshakes.
            if not (self.proxy and self.proxy.scheme == "https"):
                self.ssl_context = context
                self.ca_certs = self.ca_cert_dir = None
        super().connect()


@cache
def _create_tls_context(ca_certs: str | None, ca_cert_dir: str | None) -> ssl.SSLContext:
    """Return the shared TLS context for these CA certificates.

    It is cached, because each connection would read the file again. For the usual file this needs about 30 ms.

    Raises:
        CertificateFileError: The file is unusable.
    """
    context = create_urllib3_context()
    if is_special_file(ca_certs or ca_cert_dir or ""):
        raise CertificateFileError(errno.EINVAL, "the CA certificates are not in a regular file")
    try:
        if ca_certs or ca_cert_dir:
            context.load_verify_locations(ca_certs, ca_cert_dir)
        else:
            context.load_default_certs()
    except OSError as error:
        # ssl.SSLError is an OSError too.
        raise CertificateFileError(error.errno, "the CA certificates are unusable") from error
    return context


class TrackedHTTPPool(HTTPConnectionPool):
    """A pool of tracked connections."""

    ConnectionCls = TrackedHTTPConnection


class TrackedHTTPSPool(HTTPSConnectionPool):
    """A pool of tracked connections with TLS."""

    ConnectionCls = TrackedHTTPSConnection


# Pool class for each URL scheme.
TRACKED_POOLS = {"http": TrackedHTTPPool, "https": TrackedHTTPSPool}


def find_proxies(url: str) -> dict[str, str]:
    """Return the `proxies` argument of requests for a URL.

    A proxy of the environment is used for other machines, never for this one.
    """
    return {"no_proxy": _LOOPBACK_NO_PROXY} if LOOPBACK_HOST_RE.fullmatch(urlsplit(url).hostname or "") else {}


def close_connection() -> None:
    """Close the connection of this thread's request.

    The server may leave it open, but no other request may use it.
    """
    if connection_state.connection:
        # If this fails, `_check_owner` stops the next request.
        with suppress(Exception):
            connection_state.connection.close()
