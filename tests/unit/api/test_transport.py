"""Test requests to the API, their headers, proxies and limits."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import StartStatus, Timeouts
from autonoma_ci.api.transport import MAX_DETAILS_BYTES, Transport
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import close, close_after, hang, make_head, send_response, send_slowly, send_started_run
from tests.support.proxy import ProxyServer
from tests.support.threads import run_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, RequestHandler

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
BODY = b'{"run_id": "r"}'
NO_MATCH_RE = re.compile("(?!)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: ClassVar[list[tuple[int, dict[str, str]]]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.client_address[1], {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("Set-Cookie", "taste=sweet; Path=/")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[int, dict[str, str]]]]]:
    class RecordingHandler(Handler):
        received: ClassVar[list[tuple[int, dict[str, str]]]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), RecordingHandler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", RecordingHandler.received
        server.shutdown()


def test_each_start_has_own_connection(server: tuple[str, list[tuple[int, dict[str, str]]]]) -> None:
    """Each start uses a new connection."""
    url, received = server
    transport = Transport(url, SECRETS)
    for _ in range(3):
        assert transport.post("/test/a/run", {}).body == BODY
    assert len({port for port, _ in received}) == 3


def test_request_has_no_extra_headers(
    server: tuple[str, list[tuple[int, dict[str, str]]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request has no netrc login, cookie or compression."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    url, received = server
    transport = Transport(url, SECRETS)
    transport.post("/test/a/run", {})
    transport.post("/test/a/run", {})
    for _, headers in received:
        assert not {"authorization", "cookie"} & set(headers)
        assert headers["accept-encoding"] == "identity"
        assert headers["autonoma-client-id"] == "client-id-of-the-test"
        assert headers["autonoma-client-secret"] == "client-secret-of-the-test"


def test_proxy_is_skipped_for_loopback(
    server: tuple[str, list[tuple[int, dict[str, str]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is not used for loopback addresses."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert Transport(server[0], SECRETS).post("/test/a/run", {}).status == 200


@pytest.mark.parametrize(
    ("proxy", "message", "is_retryable"),
    [
        ("http://127.0.0.1:9", "the proxy refused the connection", True),
        ("socks5://127.0.0.1:9", "invalid URL or proxy settings", False),
        ("http://user:password@", "invalid URL or proxy settings", False),
        ("user:password@", "invalid URL or proxy settings", False),
        ("http://user@/path", "invalid URL or proxy settings", False),
        ("http://:80", "invalid URL or proxy settings", False),
    ],
)
def test_failed_proxy_sends_nothing(
    proxy: str, message: str, is_retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed proxy connection means that no request was sent."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    transport = Transport("https://autonoma.test", SECRETS, Timeouts(20, 20, 40))
    with pytest.raises(RequestNotSentError, match=message) as caught:
        transport.post("/test/a/run", {})
    assert caught.value.retryable is is_retryable


def test_proxy_with_407_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that requires a login receives only the CONNECT request."""
    proxy = ProxyServer(refusal="407 Proxy Authentication Required")
    with proxy.server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        transport = Transport("https://autonoma.test", SECRETS, Timeouts(20, 20, 40))
        with pytest.raises(RequestNotSentError, match=r"the proxy did not connect to autonoma\.test .407") as caught:
            transport.post("/test/a/run", {})
    assert [line.rpartition(" ")[0] for line in proxy.requests] == ["CONNECT autonoma.test:443"]
    assert "proxy-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "status_text"),
    [
        ("403 client-secret-of-the-test", "(403 Forbidden)"),
        ("502 autonoma.test: no route", "(502 Bad Gateway)"),
        ("599 client-secret-of-the-test", "(HTTP 599)"),
    ],
)
def test_proxy_reason_is_not_shown(refusal: str, status_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy's reason text is replaced, because it can contain secrets."""
    proxy = ProxyServer(refusal=refusal)
    with proxy.server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(RequestNotSentError) as caught:
            Transport("https://autonoma.test/api", SECRETS).get("/run/r/status")
    assert str(caught.value) == f"the proxy did not connect to autonoma.test {status_text}"


def test_proxy_tunnel_is_used(
    certificates: CertificateAuthority, trusted_authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials are sent only inside the tunnel."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port)
        with proxy.server:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "")
            monkeypatch.setattr("autonoma_ci.net.connection.LOOPBACK_HOST_RE", NO_MATCH_RE)
            transport = Transport(f"https://127.0.0.1:{server.port}", SECRETS, Timeouts(20, 20, 40))
            assert transport.post("/test/a/run", {}).status == 200
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{server.port} ")


def test_missing_ca_bundle_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing CA file means that no request was sent."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/at/all.pem")
    with pytest.raises(RequestNotSentError, match="REQUESTS_CA_BUNDLE"):
        Transport("https://127.0.0.1:9", SECRETS).post("/test/a/run", {})


def test_unknown_host_sends_nothing() -> None:
    """A failed name resolution means that no request was sent."""
    with pytest.raises(RequestNotSentError, match=r"the name of nowhere\.invalid could not be resolved"):
        Transport("https://nowhere.invalid", SECRETS).post("/test/a/run", {})


@pytest.mark.slow
@pytest.mark.parametrize("handler", [hang, send_slowly("HTTP/1.1 200 OK\r\nX: " + "x" * 500)], ids=["hang", "drip"])
def test_total_timeout_covers_slow_response(handler: RequestHandler) -> None:
    """The total timeout also ends a response that arrives byte by byte."""
    with FaultServer(handler) as server:
        transport = Transport(server.url, SECRETS, Timeouts(1.0, 5.0, 0.6))
        started_at = time.monotonic()
        attempt = AutonomaClient(transport, "cli", SECRETS).start(RunRequest(TargetKind.TEST, "a"))
        # The complete response takes 25 s.
        assert time.monotonic() - started_at < 20
    assert attempt.status is StartStatus.INDETERMINATE


@pytest.mark.parametrize("status", [200, 302, 500])
def test_body_over_limit_is_not_read(status: int) -> None:
    """The connection ends when a body exceeds its limit."""
    sent_chunks: list[bool] = []

    def send_large_body(connection: Connection) -> bool:
        connection.send(make_head(status, "Location: https://elsewhere.test/", f"Content-Length: {50 << 20}").encode())
        sent_chunks.extend(itertools.takewhile(bool, (connection.send(bytes(1 << 20)) for _ in range(50))))
        return False

    with FaultServer(send_large_body) as server:
        response = Transport(server.url, SECRETS).post("/test/a/run", {})
    assert (response.status, response.body, response.is_complete) == (status, b"", False)
    # The transport reads one of them. The buffers of the machine hold the others.
    assert len(sent_chunks) < 25


def test_each_thread_has_own_connection(server: tuple[str, list[tuple[int, dict[str, str]]]]) -> None:
    """Each thread uses its own connection."""
    url, received = server
    transport = Transport(url, SECRETS)
    run_at_once([partial(transport.post, "/test/a/run", {})] * 4)
    assert len({port for port, _ in received}) == 4


def serve_ok(connection: Connection) -> bool:
    return send_response(200, BODY)(connection)


def test_each_get_has_own_connection() -> None:
    """Each GET uses a new connection."""
    with FaultServer(serve_ok) as server:
        transport = Transport(server.url, SECRETS)
        assert [transport.get("/run/a/status").status for _ in range(3)] == [200] * 3
        assert server.connection_count == 3
        assert {request.headers["connection"] for request in server.received_requests} == {"close"}


def test_get_before_close_is_read() -> None:
    """A response is read although the server closes the connection."""
    with FaultServer(close_after(serve_ok)) as server:
        transport = Transport(server.url, SECRETS)
        assert [transport.get("/run/a/status").status for _ in range(3)] == [200] * 3
        assert server.connection_count == 3


def test_get_after_close_is_not_retried() -> None:
    """The transport does not repeat a GET after a closed connection."""
    with FaultServer(close) as server:
        with pytest.raises(ResponseLostError):
            Transport(server.url, SECRETS).get("/run/a/status")
        assert server.connection_count == 1


def test_get_after_timeout_is_not_retried() -> None:
    """The transport does not repeat a GET after a timeout."""
    paths: list[str] = []

    def serve_first_request(connection: Connection) -> bool:
        paths.append(connection.request.path)
        return serve_ok(connection) if len(paths) == 1 else hang(connection)

    with FaultServer(serve_first_request) as server:
        transport = Transport(server.url, SECRETS, Timeouts(1.0, 0.3, 0.6))
        transport.get("/run/a/status")
        with pytest.raises(ResponseLostError, match="in time"):
            transport.get("/run/a/status")
        assert len(paths) == 2


def test_get_has_credentials_and_no_body() -> None:
    """A GET has credentials and no body, and follows no redirect."""
    wires: list[Connection] = []

    def redirect(connection: Connection) -> bool:
        wires.append(connection)
        return send_response(302, "", "Location: https://elsewhere.test/")(connection)

    with FaultServer(redirect) as server:
        assert Transport(server.url, SECRETS).get("/run/a/status").status == 302
    request = wires[0].request
    assert (request.method, request.path, request.body) == ("GET", "/api/run/a/status", b"")
    assert request.headers["autonoma-client-secret"] == "client-secret-of-the-test"


def test_details_have_higher_limit() -> None:
    """Details have a higher size limit than other responses."""
    large_body = json.dumps({"name": "x" * (2 << 20)})
    with FaultServer(send_response(200, large_body)) as server:
        transport = Transport(server.url, SECRETS)
        assert not transport.get("/run/a").is_complete
        assert transport.get("/run/a", MAX_DETAILS_BYTES).is_complete


def raise_memory_error(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(
    "target", ["autonoma_ci.api.transport.SafeSession", "urllib3.connection.HTTPConnection.connect"]
)
def test_memory_error_before_request_is_retryable(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that lacks memory was not sent and can be retried."""
    monkeypatch.setattr(target, raise_memory_error)
    with FaultServer(serve_ok) as server:
        with pytest.raises(RequestNotSentError) as caught:
            Transport(server.url, SECRETS).post("/test/a/run", {})
        assert not server.received_requests
    assert caught.value.retryable


def test_memory_error_after_request_loses_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that lacks memory counts as lost."""
    monkeypatch.setattr("urllib3.connection.HTTPConnection.getresponse", raise_memory_error)
    with FaultServer(serve_ok) as server, pytest.raises(ResponseLostError):
        Transport(server.url, SECRETS).post("/test/a/run", {})
