"""Tests of the way to a connection, from addresses to TLS."""

from __future__ import annotations

import errno
import os
import socket
import threading
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
)

from autonoma_ci.net import connection
from autonoma_ci.net.connection import (
    TrackedHTTPConnection,
    TrackedHTTPSConnection,
    close_connection,
    find_proxies,
)
from autonoma_ci.net.connection_state import SendGate, connection_state
from autonoma_ci.net.errors import CertificateFileError
from autonoma_ci.net.session import SafeSession
from autonoma_ci.net.total_timeout import abort_connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import hang, make_head, send_response, send_started_run
from tests.support.proxy import ProxyServer
from tests.unit.net.test_connection_timeouts import HOST, replace_resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection

LONG = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Provide the clock of all connections, without the thread that would end them."""
    clock = FakeClock()
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=clock.monotonic))
    no_deadlines = SimpleNamespace(add=lambda seconds, on_timeout: None, remove=lambda key: None)
    monkeypatch.setattr(connection, "deadlines", no_deadlines)
    return clock


@pytest.fixture(autouse=True)
def _reset_state() -> Iterator[None]:
    connection_state.reset()
    yield
    connection_state.reset()
    connection_state.gate = None


def make_connection(port: int, host: str = "127.0.0.1", timeout: float | None = LONG) -> TrackedHTTPConnection:
    return TrackedHTTPConnection(host, port, timeout=timeout)


def replace_attempt(
    patch: pytest.MonkeyPatch, attempt: Callable[[HTTPConnection, Callable[[HTTPConnection], socket.socket]], object]
) -> None:
    """Replace urllib3's attempt to connect to one address.

    Args:
        patch: Reverts the change.
        attempt: The replacement, called with the connection and urllib3's function.
    """
    original = HTTPConnection._new_conn
    patch.setattr(HTTPConnection, "_new_conn", lambda self: attempt(self, original))


# One timeout


each_limit = pytest.mark.parametrize(
    ("timeout", "total", "seconds"),
    [(5.0, inf, 5.0), (None, inf, 10.0), (LONG, 3.0, 3.0), (3.0, LONG, 3.0)],
    ids=["timeout", "default", "total", "shorter timeout"],
)


def stall_attempts(patch: pytest.MonkeyPatch, clock: FakeClock, seconds: float) -> list[socket.socket]:
    """Let each attempt take some seconds, and return the sockets that are made."""
    sockets: list[socket.socket] = []

    def stall(self: HTTPConnection, original: Callable[[HTTPConnection], socket.socket]) -> socket.socket:
        sockets.append(original(self))
        clock.sleep(seconds)
        return sockets[-1]

    replace_attempt(patch, stall)
    return sockets


@each_limit
def test_connection_within_timeout_is_used(
    timeout: float | None, total: float, seconds: float, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes less than the shorter limit is made."""
    stall_attempts(monkeypatch, clock, seconds - 0.25)
    connection_state.send_before = clock.monotonic() + total
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port, timeout=timeout)
        http_connection.connect()
        assert (http_connection.sock.gettimeout(), connection_state.nothing_sent) == (timeout, False)
        http_connection.close()


@each_limit
def test_connection_at_timeout_is_closed(
    timeout: float | None, total: float, seconds: float, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes as long as the shorter limit is closed without a request."""
    sockets = stall_attempts(monkeypatch, clock, seconds)
    connection_state.send_before = clock.monotonic() + total
    with FaultServer(send_started_run) as server:
        with pytest.raises(ConnectTimeoutError, match="the connection was not made in time"):
            make_connection(server.port, timeout=timeout).connect()
        assert ([sock.fileno() for sock in sockets], connection_state.nothing_sent) == ([-1], True)


@pytest.mark.parametrize(("seconds", "expected"), [(4.75, OSError), (5.0, ConnectTimeoutError)])
def test_error_after_timeout_is_timeout(
    seconds: float, expected: type[Exception], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that the end of the time causes is replaced, and an earlier error stays."""
    cause = OSError(errno.EIO, "I/O error")

    def fail(*_: object) -> None:
        clock.sleep(seconds)
        raise cause

    replace_attempt(monkeypatch, fail)
    with pytest.raises(expected) as caught:
        make_connection(9, timeout=5.0).connect()
    assert cause in (caught.value, caught.value.__cause__)
    assert connection_state.nothing_sent


def test_silent_handshake_is_timeout(certificates: CertificateAuthority) -> None:
    """A server that does not answer the TLS handshake causes a timeout of the connection."""
    with FaultServer(send_started_run, connection_handler=lambda connection: connection.pause(LONG)) as server:
        http_connection = TrackedHTTPSConnection(
            "127.0.0.1", server.port, timeout=0.02, ca_certs=str(certificates.authority_file)
        )
        with pytest.raises(ConnectTimeoutError):
            http_connection.connect()
        assert connection_state.nothing_sent
        http_connection.close()


def test_expired_request_starts_no_attempt(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without time left connects to no address."""
    attempts: list[object] = []
    replace_attempt(monkeypatch, lambda self, _: attempts.append(self))
    connection_state.send_before = clock.monotonic()
    with pytest.raises(ConnectTimeoutError):
        make_connection(9).connect()
    assert attempts == []


# Addresses


def test_addresses_share_timeout(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address has an equal share of the time that is left."""
    attempts: list[tuple[str, object]] = []

    def fail(self: HTTPConnection, _: object) -> None:
        attempts.append((self._dns_host, self.timeout))
        if len(attempts) == 1:
            clock.sleep(2.0)
            raise ConnectTimeoutError(self, "no response")
        raise NewConnectionError(self, f"refusal {len(attempts)}")

    replace_resolver(monkeypatch, "127.0.1.1", "127.0.1.2", "127.0.1.3")
    replace_attempt(monkeypatch, fail)
    http_connection = make_connection(9, HOST, timeout=6.0)
    with pytest.raises(NewConnectionError, match="refusal 3"):
        http_connection.connect()
    assert attempts == [("127.0.1.1", 2.0), ("127.0.1.2", 2.0), ("127.0.1.3", 4.0)]
    assert http_connection.timeout == 6.0


def test_second_address_replaces_refused_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the first address does not end the attempt."""
    replace_resolver(monkeypatch, "127.0.0.2", "127.0.0.1")
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port, HOST)
        http_connection.request("GET", "/run/a/status")
        assert http_connection.getresponse().status == 200
        assert (http_connection.sock.getpeername()[0], connection_state.nothing_sent) == ("127.0.0.1", False)
        assert server.received_requests[0].headers["host"] == f"{HOST}:{server.port}"
        http_connection.close()


def test_repeated_address_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that the resolver returns twice gets one attempt."""
    attempts: list[str] = []

    def fail(self: HTTPConnection, _: object) -> None:
        attempts.append(self._dns_host)
        raise NewConnectionError(self, "refused")

    replace_resolver(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.2")
    replace_attempt(monkeypatch, fail)
    with pytest.raises(NewConnectionError, match="refused"):
        make_connection(9, HOST).connect()
    assert attempts == ["127.0.0.2", "127.0.0.1"]


def test_name_without_address_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an empty list of addresses has no connection."""
    replace_resolver(monkeypatch)
    with pytest.raises(NewConnectionError, match="the name has no address"):
        make_connection(9, HOST).connect()
    assert connection_state.nothing_sent


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
def test_address_needs_no_resolver(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is used without the slow name resolution."""

    def fail(*_: object) -> None:
        raise AssertionError

    attempts: list[str] = []

    def attempt(self: HTTPConnection, _: object) -> socket.socket:
        attempts.append(self._dns_host)
        return socket.socket()

    monkeypatch.setattr(connection, "run_in_background", fail)
    replace_attempt(monkeypatch, attempt)
    http_connection = make_connection(9, host)
    http_connection.connect()
    assert [attempt.strip("[]") for attempt in attempts] == [host.strip("[]")]
    http_connection.close()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), NameResolutionError, "no such name"),
        (socket.gaierror(socket.EAI_AGAIN, "try later"), NameResolutionError, "try later"),
        (OSError(errno.EMFILE, "Too many open files"), NewConnectionError, "the resolver could not be called"),
        (UnicodeError("label too long"), LocationParseError, "label empty or too long"),
    ],
)
def test_resolver_error_is_translated(
    error: Exception, expected: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each error of the resolver becomes the error of urllib3."""

    def fail() -> None:
        raise error

    replace_resolver(monkeypatch, on_resolve=fail)
    with pytest.raises(expected, match=text) as caught:
        make_connection(9, HOST).connect()
    assert type(caught.value) is expected
    assert connection_state.nothing_sent


@pytest.mark.parametrize("host", [f"{'a' * 64}.test", "a..test"])
def test_invalid_name_is_parse_error(host: str) -> None:
    """A name that DNS does not allow is an error without a resolver."""
    with pytest.raises(LocationParseError, match="label empty or too long"):
        make_connection(9, host).connect()


def test_slow_resolver_is_name_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver without a result in time counts as temporary failure."""
    release = threading.Event()
    replace_resolver(monkeypatch, "127.0.0.1", on_resolve=lambda: release.wait(LONG))
    with pytest.raises(NameResolutionError, match="no response") as caught:
        make_connection(9, HOST, timeout=0.02).connect()
    release.set()
    assert isinstance(caught.value.__cause__, socket.gaierror)
    assert caught.value.__cause__.errno == socket.EAI_AGAIN


# The request


def test_request_is_sent_after_connect() -> None:
    """A request connects first, or uses the connection that was made for it."""
    with FaultServer(send_started_run) as server:
        for connects_first in (False, True):
            connection_state.reset()
            http_connection = make_connection(server.port)
            if connects_first:
                http_connection.connect()
            assert connection_state.nothing_sent is not connects_first
            http_connection.request("GET", "/run/a/status")
            assert (connection_state.nothing_sent, connection_state.connection) == (False, http_connection)
            assert http_connection.getresponse().status == 200
            http_connection.close()
        assert [request.connection_number for request in server.received_requests] == [1, 2]


def test_refused_request_is_not_sent() -> None:
    """After a refusal, nothing of the request was sent."""
    with FaultServer(send_started_run) as server:
        port = server.port
    with pytest.raises(NewConnectionError, match="refused"):
        make_connection(port).request("GET", "/run/a/status")
    assert (connection_state.nothing_sent, connection_state.connect_attempted) == (True, True)


def test_open_connection_of_other_request_fails() -> None:
    """A connection that is still open is not used by the next request."""
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        http_connection.request("GET", "/run/a/status")
        http_connection.getresponse().read()
        connection_state.reset()
        with pytest.raises(NewConnectionError, match="the connection of an earlier request is still open"):
            http_connection.request("GET", "/run/b/status")
        assert connection_state.nothing_sent
        http_connection.close()
    assert [request.path for request in server.received_requests] == ["/run/a/status"]


@pytest.mark.parametrize("is_connected", [False, True], ids=["before connect", "after connect"])
def test_withdrawn_request_is_not_sent(is_connected: bool) -> None:
    """A request that is withdrawn before its first byte is never sent."""
    connection_state.gate = gate = SendGate()
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        if is_connected:
            http_connection.connect()
            connection_state.gate = gate = SendGate()
        assert gate.withdraw()
        with pytest.raises(ConnectTimeoutError):
            http_connection.request("POST", "/test/a/run")
        http_connection.close()
    assert server.received_requests == []


def test_sent_request_cannot_be_withdrawn() -> None:
    """A request enters its gate before its first byte."""
    connection_state.gate = gate = SendGate()
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        http_connection.request("POST", "/test/a/run")
        assert not gate.withdraw()
        http_connection.close()


def test_late_request_is_not_sent(clock: FakeClock) -> None:
    """A connection that was made in time sends nothing after the total timeout."""
    connection_state.send_before = clock.monotonic() + 5.0
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        http_connection.connect()
        clock.sleep(5.0)
        with pytest.raises(ConnectTimeoutError):
            http_connection.request("POST", "/test/a/run")
        http_connection.close()
    assert server.received_requests == []


# The end


def send_part(connection: Connection) -> bool:
    """Send a part of a response, and then nothing."""
    connection.send(make_head(200, "Connection: close", "Content-Length: 9999").encode() + b"part")
    return hang(connection)


def test_close_without_connection_does_nothing() -> None:
    """A thread without a connection has none to close."""
    close_connection()
    assert connection_state.nothing_sent


def test_close_ends_connection_of_thread() -> None:
    """The connection of the request is closed for the server too."""
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        http_connection.request("GET", "/run/a/status")
        sock = http_connection.sock
        close_connection()
        assert (sock.fileno(), http_connection.sock) == (-1, None)


@pytest.mark.parametrize("error", [OSError, MemoryError])
def test_failed_close_is_ignored(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while closing does not hide the response."""

    def fail() -> None:
        raise error

    connection_state.connection = make_connection(9)
    monkeypatch.setattr(connection_state.connection, "close", fail)
    close_connection()
    assert isinstance(connection_state.connection, TrackedHTTPConnection)


def test_shut_down_before_connect_does_nothing() -> None:
    """A connection without a socket can be shut down and made later."""
    with FaultServer(send_started_run) as server:
        http_connection = make_connection(server.port)
        http_connection.shut_down()
        http_connection.request("GET", "/run/a/status")
        assert http_connection.getresponse().status == 200
        http_connection.close()
        http_connection.shut_down()


def test_shut_down_ends_body_without_socket() -> None:
    """The body ends although http.client has released its socket."""
    with FaultServer(send_part) as server:
        http_connection = make_connection(server.port)
        http_connection.request("GET", "/run/a/status", preload_content=False)
        response = http_connection.getresponse()
        assert http_connection.sock is None
        http_connection.shut_down()
        with pytest.raises(ProtocolError):
            response.read()
        http_connection.close()


@pytest.mark.parametrize("has_tls", [False, True], ids=["http", "https"])
def test_abort_ends_body_behind_proxy(
    has_tls: bool, certificates: CertificateAuthority, trusted_authority: Path
) -> None:
    """The body ends through an HTTP proxy and with TLS inside TLS."""
    with FaultServer(send_part, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port, tls=certificates.create_valid_context() if has_tls else None)
        with proxy.server, SafeSession() as session:
            state = connection_state.reset()
            url = f"https://{HOST}/api/run/a/status"
            response = session.get(url, stream=True, timeout=LONG, proxies={"https": proxy.url})
            abort_connection(state)
            with pytest.raises(HTTPError):
                response.raw.read()
            response.close()


# TLS


@pytest.fixture
def _remove_contexts() -> Iterator[None]:
    """Remove the shared TLS contexts, which other tests made."""
    connection._create_tls_context.cache_clear()
    yield
    connection._create_tls_context.cache_clear()


def test_connections_share_tls_context(certificates: CertificateAuthority) -> None:
    """Connections with the same authorities have the same TLS context at each connect."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        connections = [
            TrackedHTTPSConnection("127.0.0.1", server.port, timeout=LONG, ca_certs=str(certificates.authority_file))
            for _ in range(2)
        ]
        for http_connection in (*connections, connections[0]):
            http_connection.connect()
            http_connection.close()
    assert connections[0].ssl_context is connections[1].ssl_context is not None


@pytest.mark.usefixtures("_remove_contexts")
def test_default_authorities_are_loaded(certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without configured authorities, those of OpenSSL are trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority_file))
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        http_connection = TrackedHTTPSConnection("127.0.0.1", server.port, timeout=LONG)
        http_connection.request("GET", "/run/a/status")
        assert http_connection.getresponse().status == 200
        http_connection.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None],
    ids=["empty", "damaged", "missing"],
)
def test_unusable_authorities_are_error(content: bytes | None, tmp_path: Path) -> None:
    """A file without usable authorities ends the attempt before the connection."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with FaultServer(send_started_run) as server:
        with pytest.raises(CertificateFileError, match="the CA certificates are unusable"):
            TrackedHTTPSConnection("127.0.0.1", server.port, timeout=LONG, ca_certs=str(path)).connect()
        assert server.connection_count == 0
    assert connection_state.nothing_sent


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_pipe_with_authorities_is_error(is_folder: bool, tmp_path: Path) -> None:
    """A pipe is an error, because OpenSSL would wait for its data."""
    pipe = tmp_path / "ca.pem"
    os.mkfifo(pipe)
    http_connection = TrackedHTTPSConnection("127.0.0.1", 9, timeout=LONG)
    http_connection.ca_certs, http_connection.ca_cert_dir = (None, str(pipe)) if is_folder else (str(pipe), None)
    with pytest.raises(CertificateFileError, match="the CA certificates are not in a regular file"):
        http_connection.connect()


# Proxies of the environment


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:8080/api",
        "http://127.0.0.1:80/api",
        "https://127.255.1.2",
        "http://[::1]:8080/api?x",
        "http://user:s3cret-value@127.0.0.1/",
    ],
)
def test_local_url_uses_no_proxy(url: str) -> None:
    """Requests to this machine are never sent to a proxy."""
    assert find_proxies(url) == {"no_proxy": "localhost,127.0.0.0/8,127.0.0.1,::1"}


@pytest.mark.parametrize(
    "url",
    [
        "https://autonoma.app/api",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://example.com/127.0.0.1",
        "http://127.0.0.1@example.com",
        "http://128.0.0.1",
        "http://10.0.0.1",
        "http://[::2]",
        "http://",
        "",
    ],
)
def test_other_url_can_use_proxy(url: str) -> None:
    """The proxy of the environment applies to all other hosts."""
    assert find_proxies(url) == {}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_is_skipped_for_this_machine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local request succeeds although the proxy of the environment is unusable."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with FaultServer(send_response(200, "{}")) as server, SafeSession() as session:
        response = session.get(f"{server.url}/run/a", proxies=find_proxies(server.url), timeout=LONG)
    assert (response.status_code, len(server.received_requests)) == (200, 1)
