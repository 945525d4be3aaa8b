"""Test the time limits of connections, proxies and bodies.

Sources: RFC 9110 §9.3.6 (CONNECT), RFC 9112 §9.6 (`Connection: close`), listen(2) for a full queue of connections.
"""

from __future__ import annotations

import json
import queue
import random
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from urllib3.connection import HTTPConnection

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import StartStatus, Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.engine.workers import StartFinished, StatusReceived, ThreadedExecutor
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.net import threads
from autonoma_ci.net.errors import RequestNotSentError
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import hang, make_head, send_raw, send_started_run
from tests.support.invoke_command import CREDENTIALS
from tests.support.proxy import ProxyServer
from tests.support.streams import start_process

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from autonoma_ci.engine.workers import Events
    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
# In seconds. Without the limit, each tested step would take much longer.
LIMIT, LONG = 1.0, 60.0
MAX_SECONDS = 20.0
CONNECT_TIMEOUTS = Timeouts(connect=LIMIT, read=LONG, total=LONG)
TOTAL_TIMEOUTS = Timeouts(connect=LONG, read=LONG, total=LIMIT)
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
A = RunRequest(TargetKind.TEST, "a")
HOST = "api.autonoma.test"
_resolve = socket.getaddrinfo
COMMAND = (sys.executable, "-m", "autonoma_ci")


@contextmanager
def open_unresponsive_port(port: int = 0) -> Iterator[int]:
    """Yield a port at which all addresses of 127.0.1.0/24 leave connections unanswered."""
    with track_sockets() as track:
        for number in range(1, 14):
            listener = track(socket.socket())
            listener.bind((f"127.0.1.{number}", port))
            listener.listen(0)
            port = listener.getsockname()[1]
            for _ in range(3):
                filler = track(socket.socket())
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect((f"127.0.1.{number}", port))
        yield port


@contextmanager
def track_sockets() -> Iterator[Callable[[socket.socket], socket.socket]]:
    """Yield a function that records sockets, and close them at the end."""
    sockets: list[socket.socket] = []

    def track(sock: socket.socket) -> socket.socket:
        sockets.append(sock)
        return sock

    try:
        yield track
    finally:
        for sock in sockets:
            sock.close()


def replace_resolver(
    patch: pytest.MonkeyPatch, *addresses: str, on_resolve: Callable[[], object] = lambda: None, host: str = HOST
) -> None:
    """Resolve a name to these addresses, after a call of `on_resolve`."""

    def resolve(name: str, *args: object, **options: object) -> object:
        if name != host:
            return _resolve(name, *args, **options)  # type: ignore[arg-type]
        on_resolve()
        return [entry for address in addresses for entry in _resolve(address, *args, **options)]  # type: ignore[arg-type]

    patch.setattr(socket, "getaddrinfo", resolve)


def make_transport(port: int, timeouts: Timeouts, scheme: str = "http") -> Transport:
    return Transport(f"{scheme}://{HOST}:{port}/api", SECRETS, timeouts=timeouts)


def get_start_error(transport: Transport) -> str:
    """Return the error of an unsent start, and check its duration."""
    started_at = time.monotonic()
    with pytest.raises(RequestNotSentError) as caught:
        transport.post("/test/a/run", {})
    assert caught.value.retryable
    assert time.monotonic() - started_at < MAX_SECONDS
    return str(caught.value)


# One limit for all of a connection


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_addresses_share_one_limit(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirteen unresponsive addresses take as long as one."""
    replace_resolver(monkeypatch, *(f"127.0.1.{number}" for number in range(1, 14)))
    with open_unresponsive_port() as port:
        # Each of them would have 2 s.
        error = get_start_error(make_transport(port, CONNECT_TIMEOUTS._replace(connect=2.0), scheme))
    assert error == f"{HOST}:{port} did not accept the connection in time"


@pytest.mark.slow
def test_dead_address_leaves_time_for_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with unresponsive first addresses stays usable."""
    replace_resolver(monkeypatch, "127.0.1.1", "127.0.1.2", "127.0.0.1")
    with FaultServer(send_started_run) as server, open_unresponsive_port(server.port):
        response = make_transport(server.port, LONG_TIMEOUTS._replace(connect=6.0)).post("/test/a/run", {})
        assert (response.status, server.post_counts) == (200, {"a": 1})


@pytest.mark.slow
def test_resolver_has_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late result of the resolver is not used."""
    release = threading.Event()
    replace_resolver(monkeypatch, "127.0.0.1", on_resolve=lambda: release.wait(LONG))
    with FaultServer(send_started_run) as server:
        error = get_start_error(make_transport(server.port, CONNECT_TIMEOUTS))
        release.set()
        time.sleep(0.2)
        assert (error, server.connection_count) == (f"the name of {HOST}:{server.port} could not be resolved", 0)


@pytest.mark.slow
@pytest.mark.parametrize("timeouts", [CONNECT_TIMEOUTS, TOTAL_TIMEOUTS], ids=["connect", "total"])
def test_nothing_is_sent_after_limit(timeouts: Timeouts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread for the resolver, the limit is checked afterwards."""

    def fail_to_start_thread(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(threads, "start_thread", fail_to_start_thread)
    replace_resolver(monkeypatch, "127.0.0.1", on_resolve=lambda: time.sleep(2 * LIMIT))
    with FaultServer(send_started_run) as server:
        get_start_error(make_transport(server.port, timeouts))
        assert server.post_counts == {}


@pytest.mark.slow
def test_slow_handshake_sends_no_request(certificates: CertificateAuthority, trusted_authority: Path) -> None:
    """No request follows a handshake that exceeds the total limit."""

    def delay_handshake(connection: Connection) -> bool:
        connection.pause(2 * LIMIT)
        return connection.start_tls(certificates.create_valid_context())

    with FaultServer(
        send_started_run, connection_handler=delay_handshake, tls=certificates.create_valid_context()
    ) as server:
        get_start_error(Transport(server.url, SECRETS, timeouts=TOTAL_TIMEOUTS))
        assert server.post_counts == {}


@pytest.mark.slow
def test_late_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is made after the limit is closed."""
    sockets: list[socket.socket] = []
    connect = HTTPConnection._new_conn

    def stall(self: HTTPConnection) -> socket.socket:
        sockets.append(connect(self))
        time.sleep(2 * LIMIT)
        return sockets[0]

    monkeypatch.setattr(HTTPConnection, "_new_conn", stall)
    with FaultServer(send_started_run) as server:
        get_start_error(Transport(server.url, SECRETS, timeouts=CONNECT_TIMEOUTS))
        assert server.post_counts == {}
    assert [sock.fileno() for sock in sockets] == [-1]


def test_unknown_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown host is reported as a failed name resolution."""

    def fail() -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    replace_resolver(monkeypatch, on_resolve=fail)
    assert get_start_error(make_transport(1, LONG_TIMEOUTS)) == f"the name of {HOST}:1 could not be resolved"


def test_resolver_file_error_is_no_dns_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open files are not reported as a failed name resolution."""

    def fail() -> None:
        raise OSError(24, "Too many open files")

    replace_resolver(monkeypatch, on_resolve=fail)
    assert get_start_error(make_transport(1, LONG_TIMEOUTS)) == f"could not connect to {HOST}:1"


# Proxies


@pytest.fixture(params=[False, True], ids=["http", "https"])
def proxy_tls(
    request: pytest.FixtureRequest, certificates: CertificateAuthority, trusted_authority: Path
) -> ssl.SSLContext | None:
    return certificates.create_valid_context() if request.param else None


def make_proxy_transport(proxy: ProxyServer, patch: pytest.MonkeyPatch, timeouts: Timeouts) -> Transport:
    patch.setenv("HTTPS_PROXY", proxy.url)
    return Transport(f"https://{HOST}/api", SECRETS, timeouts=timeouts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 Connected\r\n" + b"X-Filler: x\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\x40\x00" + bytes(9999),
    ],
    ids=["answer", "handshake"],
)
def test_dripping_proxy_has_one_limit(
    data: bytes, proxy_tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that sends single bytes does not extend the limit."""

    def send_single_bytes(connection: Connection) -> bool:
        connection.send_slowly(data, 0.02)
        return False

    proxy = ProxyServer(find_handler=lambda _: send_single_bytes, tls=proxy_tls)
    with proxy.server:
        error = get_start_error(make_proxy_transport(proxy, monkeypatch, CONNECT_TIMEOUTS))
    assert error.endswith("did not accept the connection in time")


def test_start_through_proxy_succeeds(
    proxy_tls: ssl.SSLContext | None, certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start arrives once through an HTTP or HTTPS proxy."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port, tls=proxy_tls)
        with proxy.server:
            assert make_proxy_transport(proxy, monkeypatch, LONG_TIMEOUTS).post("/test/a/run", {}).status == 200
        assert server.post_counts == {"a": 1}


@pytest.mark.slow
@pytest.mark.parametrize("close", ["", "Connection: close"], ids=["kept", "closed"])
def test_body_through_proxy_has_limit(
    close: str, proxy_tls: ssl.SSLContext | None, certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of a body also holds with TLS inside TLS."""
    headers = ["Content-Length: 9999", *filter(None, [close])]

    def send_single_bytes(connection: Connection) -> bool:
        connection.send(make_head(200, *headers).encode())
        connection.send_slowly(b" " * 9999, 0.05)
        return False

    with FaultServer(send_single_bytes, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port, tls=proxy_tls)
        with proxy.server:
            started_at = time.monotonic()
            assert (
                not make_proxy_transport(proxy, monkeypatch, LONG_TIMEOUTS._replace(total=3.0))
                .get("/run/a")
                .is_complete
            )
            assert time.monotonic() - started_at < MAX_SECONDS


@pytest.mark.parametrize(
    ("certificate_kind", "reason"), [("self_signed", "self"), ("expired", "expired"), ("other_host", "mismatch")]
)
def test_untrusted_proxy_is_reported(
    certificate_kind: str,
    reason: str,
    certificates: CertificateAuthority,
    trusted_authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An untrusted certificate of the proxy is reported as the proxy's."""
    proxy = ProxyServer(tls=getattr(certificates, f"create_{certificate_kind}_context")())
    with proxy.server, pytest.raises(RequestNotSentError, match="certificate of the proxy cannot be trusted") as caught:
        make_proxy_transport(proxy, monkeypatch, LONG_TIMEOUTS).post("/test/a/run", {})
    assert reason in str(caught.value)
    assert not caught.value.retryable


def test_untrusted_api_behind_proxy_is_reported(
    proxy_tls: ssl.SSLContext | None, certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrusted certificate behind a proxy is reported as the API's."""
    with FaultServer(send_started_run, tls=certificates.create_expired_context()) as server:
        proxy = ProxyServer(server.port, tls=proxy_tls)
        with proxy.server, pytest.raises(RequestNotSentError, match=f"certificate of {HOST} cannot be trusted"):
            make_proxy_transport(proxy, monkeypatch, LONG_TIMEOUTS).post("/test/a/run", {})
        assert server.post_counts == {}


def test_proxy_without_tls_is_reported(trusted_authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An https URL for a plain HTTP proxy gives an error about the proxy."""

    def refuse(connection: Connection) -> bool:
        connection.receive()
        return send_raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")(connection)

    with FaultServer(send_started_run, connection_handler=refuse) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{server.port}")
        with pytest.raises(RequestNotSentError, match="no secure connection to the proxy") as caught:
            Transport(f"https://{HOST}/api", SECRETS, timeouts=LONG_TIMEOUTS).post("/test/a/run", {})
    assert not caught.value.retryable


# Bodies


@pytest.mark.slow
@pytest.mark.parametrize("length", ["Content-Length: 9999", ""], ids=["length", "no length"])
def test_body_before_close_has_limit(length: str) -> None:
    """The limit holds although http.client releases the socket early."""
    headers = ["Connection: close", *filter(None, [length])]

    def send_single_bytes(connection: Connection) -> bool:
        connection.send(make_head(200, *headers).encode())
        connection.send_slowly(b"{}" + b" " * 9999, 0.05)
        return False

    with FaultServer(send_single_bytes) as server:
        started_at = time.monotonic()
        response = Transport(server.url, SECRETS, timeouts=LONG_TIMEOUTS._replace(total=LIMIT)).get("/run/a")
        assert (response.status, response.is_complete) == (200, False)
        assert time.monotonic() - started_at < MAX_SECONDS


# Starts that are withdrawn before they are sent


def make_executor(transport: Transport) -> tuple[ThreadedExecutor, Events]:
    events: Events = queue.SimpleQueue()
    return ThreadedExecutor(AutonomaClient(transport, "cli", SECRETS), events), events


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_withdrawn_start_is_never_sent(
    scheme: str, certificates: CertificateAuthority, trusted_authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that is withdrawn during name resolution is never sent."""
    resolver_called, release = threading.Event(), threading.Event()

    def wait_for_release() -> None:
        resolver_called.set()
        release.wait(LONG)

    replace_resolver(monkeypatch, "127.0.0.1", on_resolve=wait_for_release)
    with FaultServer(
        send_started_run, tls=certificates.create_valid_context() if scheme == "https" else None
    ) as server:
        workers, events = make_executor(
            make_transport(server.port, LONG_TIMEOUTS._replace(connect=LONG, total=LONG), scheme)
        )
        withdraw = workers.start(7, A)
        assert resolver_called.wait(LONG)
        assert withdraw()
        release.set()
        event = events.get(timeout=LONG)
        assert isinstance(event, StartFinished)
        assert (event.plan_index, event.result.status) == (7, StartStatus.NOT_SENT)
        assert withdraw()
        assert server.received_requests == []
        # Later polls in the same thread are not withdrawn.
        workers.poll(8, A, "run-of-a", 1)
        assert isinstance(events.get(timeout=LONG), StatusReceived)
        # The server has accepted the earlier connection by now.
        assert (server.connection_count, [request.method for request in server.received_requests]) == (2, ["GET"])


def test_sent_start_cannot_be_withdrawn() -> None:
    """A start request that was sent cannot be withdrawn."""
    with FaultServer(hang) as server:
        workers, _ = make_executor(Transport(server.url, SECRETS, timeouts=LONG_TIMEOUTS))
        withdraw = workers.start(7, A)
        server.wait_for_posts(count=1)
        assert not withdraw()


@pytest.mark.slow
def test_start_is_sent_or_withdrawn() -> None:
    """At any moment a start is either withdrawn or sent, never both."""
    random_source, withdrawn_ids = random.Random(7), set()
    ids = [f"t{number}" for number in range(300)]
    with FaultServer(send_started_run) as server:
        workers, events = make_executor(Transport(server.url, SECRETS, timeouts=LONG_TIMEOUTS))
        attempts = {}
        for number, name in enumerate(ids):
            withdraw = workers.start(number, RunRequest(TargetKind.TEST, name))
            time.sleep(random_source.uniform(0.0, 0.003))
            if withdraw():
                withdrawn_ids.add(name)
            event = events.get(timeout=LONG)
            assert isinstance(event, StartFinished)
            attempts[ids[event.plan_index]] = event.result.status
        posts = server.post_counts
    for name in ids:
        expected = (StartStatus.NOT_SENT, 0) if name in withdrawn_ids else (StartStatus.STARTED, 1)
        assert (attempts[name], posts[name]) == expected
    assert withdrawn_ids


@pytest.mark.slow
def test_signal_withdraws_connecting_starts(tmp_path: Path) -> None:
    """Starts without a connection are reported as not started."""
    with open_unresponsive_port() as port:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": f"https://127.0.1.1:{port}/api"}
        process = start_process(
            tmp_path,
            "run",
            "--test-ids",
            "a,b",
            "--results-dir",
            "r",
            environ=environ,
            command=COMMAND,
        )
        assert process.stdout
        while "Starting 2 runs" not in (line := process.stdout.readline()):
            assert line, "the process did not get that far"
        # After a second, it is connecting, which takes up to 10 s.
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONG)
    results_json = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))
    assert [run["state"] for run in results_json["runs"]] == ["not-started"] * 2
    assert {run["message"] for run in results_json["runs"]} == {"not sent: the job was cancelled"}
    assert process.returncode == 143
