"""HTTP connections, parallel requests and hostile lengths."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from autonoma_ci.sandbox import Sandbox
from tests.support.sandbox_client import CREDENTIALS, SandboxClient

REQUEST_HEAD = "POST /api/test/abc/run HTTP/1.1\r\nHost: x\r\nautonoma-client-id: a\r\nautonoma-client-secret: b\r\n"


def connect(sandbox: Sandbox) -> socket.socket:
    parts = urlsplit(sandbox.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_connection_serves_many_requests(sandbox: Sandbox) -> None:
    """One connection stays open for several requests."""
    request = f"{REQUEST_HEAD}Content-Length: 0\r\n\r\n".encode()
    with connect(sandbox) as connection:
        for _ in range(5):
            connection.sendall(request)
            response = connection.recv(65536)
            assert response.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in response.lower()
    assert sandbox.count_starts("abc") == 5


def test_rejected_body_is_not_next_request(client: SandboxClient) -> None:
    """The rest of a rejected body is not read as a request."""
    for _ in range(3):
        assert client.request_start("sandbox-500", source="x" * 100_000).status_code == 500
        assert client.get("/folder", limit=0).status_code == 422


def test_parallel_requests_are_all_answered(sandbox: Sandbox) -> None:
    """Of 64 requests at the same time, each starts a run of its own."""
    barrier = threading.Barrier(64)

    def start_run(number: int) -> str:
        with SandboxClient(sandbox) as client:
            barrier.wait(60)
            return client.start_test(f"test-{number}")

    with ThreadPoolExecutor(64) as pool:
        runs = set(pool.map(start_run, range(64)))
    assert len(runs) == 64
    assert {sandbox.count_starts(f"test-{number}") for number in range(64)} == {1}


def test_tcp_nodelay_is_set(sandbox: Sandbox, client: SandboxClient) -> None:
    """Responses do not wait for acknowledgements of the client."""
    client.get("/folder")
    assert sandbox._server
    (connection,) = sandbox._server._connections
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 5_000_000])
def test_body_over_1_mib_is_413(sandbox: Sandbox, size: int) -> None:
    """The connection is closed and the client gets the response."""
    response = requests.post(f"{sandbox.url}/test/abc/run", data=b"x" * size, headers=CREDENTIALS, timeout=60)
    assert (response.status_code, response.headers["Connection"]) == (413, "close")
    assert sandbox.count_starts("abc") == 1


def test_huge_body_is_read_before_413(sandbox: Sandbox) -> None:
    """A client that sends its whole body first still gets the response."""
    with connect(sandbox) as connection:
        connection.sendall(f"{REQUEST_HEAD}Content-Length: 5000000\r\n\r\n".encode())
        connection.sendall(b"x" * 5_000_000)
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: -1", 400),
        ("Content-Length: 1e3", 400),
        ("Content-Length: ²", 400),
    ],
)
def test_invalid_length_closes_connection(sandbox: Sandbox, header: str, status: int) -> None:
    """The connection is closed, because the start of the next request is unknown."""
    with connect(sandbox) as connection:
        connection.sendall(f"{REQUEST_HEAD}{header}\r\n\r\n".encode())
        assert read_all(connection).startswith(f"HTTP/1.1 {status} ".encode())


def test_aborted_body_starts_nothing(
    sandbox: Sandbox, client: SandboxClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client that disconnects within its body starts no run and causes no log output."""
    with connect(sandbox) as connection:
        connection.sendall(f'{REQUEST_HEAD}Content-Length: 100\r\n\r\n{{"id":'.encode())
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    assert client.get("/folder").status_code == 200
    assert sandbox.count_starts("abc") == 0
    assert capfd.readouterr().err == ""


def test_close_ends_open_connections() -> None:
    """Closing also ends slow responses."""
    sandbox = Sandbox(pace=20)
    sandbox.start()
    with connect(sandbox) as idle_connection, connect(sandbox) as slow_connection:
        slow_connection.sendall(f"{REQUEST_HEAD}Content-Length: 0\r\n\r\n".replace("abc", "sandbox-slow").encode())
        while not sandbox.count_starts("sandbox-slow"):
            time.sleep(0.01)
        started_at = time.monotonic()
        sandbox.close()
        assert read_all(idle_connection) == b""
        slow_connection.settimeout(40)
        read_all(slow_connection)
        # The slow response takes 60 s.
        assert time.monotonic() - started_at < 30


def test_connection_during_close_is_ended(sandbox: Sandbox) -> None:
    """A connection that is accepted while the server stops is closed."""
    server = sandbox._server
    assert server
    server_socket, client_socket = socket.socketpair()
    with server_socket, client_socket:
        server.stopping.set()
        server.track(server_socket)
        server.untrack(server_socket)
        assert client_socket.recv(1) == b""


def test_exception_in_log_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """An error of the log callback ends the connection, and is in the error output."""

    def fail_to_log(line: str) -> None:
        raise RuntimeError("a bug in the log")

    with Sandbox(log=fail_to_log) as sandbox, SandboxClient(sandbox) as client, pytest.raises(requests.ConnectionError):
        client.get("/folder")
    assert "a bug in the log" in capfd.readouterr().err
