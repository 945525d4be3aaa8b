"""Tests of the reader of responses."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net import connection
from autonoma_ci.net.connection import TrackedHTTPConnection
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import InvalidResponseError

if TYPE_CHECKING:
    import http.client
    from collections.abc import Collection, Iterator

LONG = 60.0
MIB = 1024 * 1024
PROCESSING = b"HTTP/1.1 102 Processing\r\n"
FINAL = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
REJECTION = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _reset_state() -> Iterator[None]:
    connection_state.reset()
    yield
    connection_state.reset()


def read_response(data: bytes, method: str = "GET", *, is_closed: bool = True) -> http.client.HTTPResponse:
    """Return the response in the data, with its body read."""
    client_socket, server_socket = socket.socketpair()
    client_socket.settimeout(LONG)

    def send() -> None:
        # After an invalid response, the rest is not read.
        with suppress(BrokenPipeError):
            server_socket.sendall(data)
            if is_closed:
                server_socket.shutdown(socket.SHUT_WR)

    # The buffer of a socket is shorter than some responses.
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    with client_socket, server_socket:
        response = TrackedHTTPConnection.response_class(client_socket, method=method)
        try:
            response.begin()
            response.read()
        finally:
            client_socket.shutdown(socket.SHUT_RDWR)
            thread.join(LONG)
    return response


def make_interim(size: int) -> bytes:
    """Return an interim response of this size, with headers of many lines."""
    line = b"X-Filler: " + 50_000 * b"x" + b"\r\n"
    count, rest_size = divmod(size - len(PROCESSING) - len(b"\r\n") - len(b"Y: \r\n"), len(line))
    return PROCESSING + count * line + b"Y: " + rest_size * b"y" + b"\r\n\r\n"


# Interim responses


@pytest.mark.parametrize("parts", [1, 4], ids=["one response", "four responses"])
def test_interim_responses_up_to_1_mib_are_read(parts: int) -> None:
    """The final response is read after interim responses of 1 MiB in total."""
    data = parts * make_interim(MIB // parts)
    assert len(data) == MIB
    assert read_response(data + FINAL).status == 201


@pytest.mark.parametrize(
    "data",
    [
        make_interim(MIB + 1),
        make_interim(MIB) + b"HTTP/1.1 100 Continue\r\n\r\n",
        PROCESSING + b"X: " + 2 * MIB * b"x",
    ],
    ids=["headers", "responses", "endless line"],
)
def test_interim_responses_over_1_mib_are_error(data: bytes) -> None:
    """Longer interim responses end the request with an error."""
    with pytest.raises(InvalidResponseError, match=r"^more than 1 MiB of interim responses \(HTTP 1xx\) before"):
        read_response(data + FINAL)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_538, 65_539, 2 * 65_536 + 2])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CR LF", "LF"])
def test_long_interim_header_is_one_line(size: int, end: bytes) -> None:
    """The end of a long header line is not the end of the headers."""
    header = b"X-Filler: "
    header += (size - len(header) - len(end)) * b"x" + end
    assert len(header) == size
    assert read_response(PROCESSING + header + b"Y: z\r\n\r\n" + FINAL).status == 201


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CR LF", "LF"])
@pytest.mark.parametrize("status", [b"100", b"102", b"103", b"199"])
def test_interim_response_is_skipped(status: bytes, line_end: bytes) -> None:
    """Each interim response is skipped with its headers, whatever its line ends are."""
    interim = line_end.join([b"HTTP/1.1 " + status + b" Wait", b"Content-Length: 5", b"", b""])
    response = read_response(interim + FINAL)
    assert (response.status, response.reason, response.getheader("Content-Length")) == (201, "Created", "2")


# Invalid responses


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK", b"HTTP/1.1 0200 OK\r\n", b"HTTP/1.1 +200\r\n", b"HTTP/1.1 2_00\r\n"]
)
def test_invalid_status_line_is_error(line: bytes) -> None:
    """A status line without its end or with another number is an error."""
    with pytest.raises(InvalidResponseError, match="the status line of the response is incomplete or invalid"):
        read_response(line)


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", FINAL[:-6]])
def test_headers_without_end_are_error(data: bytes) -> None:
    """Headers without their empty line are an error."""
    with pytest.raises(InvalidResponseError, match="the connection ended within the headers of the response"):
        read_response(data)


def test_protocol_switch_is_error() -> None:
    """The bytes after a switch of protocols are not read as a response."""
    with pytest.raises(InvalidResponseError, match="unexpected switch of protocols"):
        read_response(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + FINAL)


# Bytes after a response


@pytest.mark.parametrize(
    ("method", "statuses", "surplus", "expected"),
    [
        ("POST", (429,), b"x", b"x"),
        ("POST", (401, 429), FINAL, FINAL),
        ("POST", (429,), b"\r\n\n\r\nx\r\n", b"x\r\n"),
        ("POST", (429,), b"", b""),
        ("POST", (429,), b"\r\n", b""),
        ("POST", (401,), b"x", b""),
        ("POST", (), b"x", b""),
        ("GET", (429,), b"x", b""),
    ],
)
def test_surplus_after_rejection_is_recorded(
    method: str, statuses: Collection[int], surplus: bytes, expected: bytes
) -> None:
    """Bytes after the rejection of a start are recorded without line ends before them."""
    connection_state.exclusive_statuses = statuses
    assert read_response(REJECTION + surplus, method).status == 429
    assert connection_state.surplus_bytes == expected


def test_wait_for_surplus_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that neither sends nor closes delays the rejection only briefly."""
    monkeypatch.setattr(connection, "_SURPLUS_SECONDS", 0.01)
    connection_state.exclusive_statuses = (429,)
    assert read_response(REJECTION, "POST", is_closed=False).status == 429
    assert connection_state.surplus_bytes == b""
