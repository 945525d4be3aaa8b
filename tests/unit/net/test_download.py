"""Tests of the download of evidence in chunks."""

from __future__ import annotations

import _thread
import re
from collections import deque
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net import threads, total_timeout
from autonoma_ci.net.download import DownloadError, download_file
from tests.support.fault_server import FaultServer
from tests.support.faults import (
    close,
    hang,
    reset,
    send_bad_chunk,
    send_half_body,
    send_huge_body,
    send_raw,
    send_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.fault_server import Connection, RequestHandler

# In seconds. Long because no test waits for it.
LONG = 60.0
PNG = b"\x89PNG"
PNG_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: Image/PNG; x=1\r\nContent-Length: 4\r\nConnection: close\r\n\r\n" + PNG
)
NOT_HTTPS = "invalid media URL: the scheme is not https"
INVALID = "invalid media URL"


class Download:
    """One download, with its chunks and its result."""

    def __init__(
        self, url: str, max_bytes: int = 100, seconds: float = LONG, *, allow_http_loopback: bool = True
    ) -> None:
        self.chunks: list[bytes] = []
        self.content_type, self.error, self.retryable = "", "", False
        try:
            self.content_type = download_file(
                url, self.chunks.append, max_bytes, seconds, allow_http_loopback=allow_http_loopback
            )
        except DownloadError as error:
            self.error, self.retryable = str(error), error.retryable

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)


def download_from(handler: RequestHandler, max_bytes: int = 100, seconds: float = LONG) -> Download:
    """Download a file from a server whose URL has a secret."""
    with FaultServer(handler) as server:
        result = Download(f"http://127.0.0.1:{server.port}/s3cret-value", max_bytes, seconds)
    assert "s3cret-value" not in result.error
    assert "127.0.0.1" not in result.error
    return result


def redirect(*locations: str) -> RequestHandler:
    """Redirect each request to the next location, and then send the file."""
    remaining = list(locations)

    def handler(connection: Connection) -> bool:
        return (send_response(302, "", f"Location: {remaining.pop(0)}") if remaining else send_raw(PNG_RESPONSE))(
            connection
        )

    return handler


def test_download_returns_content_type() -> None:
    """A download passes on the body and returns the content type without parameters."""
    result = download_from(send_raw(PNG_RESPONSE), 4)
    assert (result.content_type, result.data, result.error) == ("image/png", PNG, "")


@pytest.mark.parametrize(
    ("header", "content_type"), [("", ""), ("Content-Type: ;\r\n", ""), ("Content-Type:  A/B \r\n", "a/b")]
)
def test_content_type_can_be_missing(header: str, content_type: str) -> None:
    """A missing content type is an empty text."""
    result = download_from(send_raw(f"HTTP/1.1 200 OK\r\n{header}Content-Length: 1\r\n\r\na"))
    assert (result.content_type, result.data) == (content_type, b"a")


def test_download_raises_errors_of_receiver() -> None:
    """An error of the callback passes through."""

    def fail(chunk: bytes) -> None:
        raise KeyError

    with FaultServer(send_raw(PNG_RESPONSE)) as server, pytest.raises(KeyError) as error:
        download_file(f"http://127.0.0.1:{server.port}/secret", fail, 4, 5.0, allow_http_loopback=True)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("length", [b"Content-Length: 4\r\n", b""])
def test_download_above_limit_is_rejected(length: bytes) -> None:
    """The limit also holds for a body without a length."""
    result = download_from(send_raw(PNG_RESPONSE.replace(b"Content-Length: 4\r\n", length)), 3)
    assert result.error.startswith("larger than the limit")
    assert not result.retryable
    assert result.chunks == []


def test_body_with_encoding_is_rejected() -> None:
    """The limit counts bytes of the file, so no encoding is decoded."""
    result = download_from(send_response(200, PNG, "Content-Encoding: gzip"))
    assert result.error == "unexpected Content-Encoding"
    assert (result.retryable, result.chunks) == (False, [])


@pytest.mark.parametrize("encoding", ["", "identity", " IDENTITY "])
def test_body_without_encoding_is_accepted(encoding: str) -> None:
    """An empty encoding counts as no encoding."""
    assert download_from(send_response(200, PNG, f"Content-Encoding: {encoding}")).data == PNG


@pytest.mark.parametrize(
    ("length", "error"),
    [
        ("101", "larger than the limit (file size 0.0 MB)"),
        ("1073741824", "larger than the limit (file size 1,073.7 MB)"),
        ("9" * 30, "larger than the limit (file size 1,000,000,000,000.0 MB)"),
    ],
)
def test_long_content_length_is_rejected(length: str, error: str) -> None:
    """Nothing of a file is read that has too many bytes by its own length."""
    result = download_from(send_raw(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n" + "x" * 200))
    assert (result.error, result.retryable, result.chunks) == (error, False, [])


@pytest.mark.parametrize("size", [0, 99, 100])
def test_body_up_to_limit_is_accepted(size: int) -> None:
    """A file with exactly the limit is complete."""
    result = download_from(send_response(200, b"x" * size))
    assert (result.data, result.error) == (b"x" * size, "")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (send_response(204), "HTTP 204"),
        (send_response(206, PNG), "HTTP 206"),
        (send_response(304), "HTTP 304"),
        (send_response(403, "<b>s3cret-value</b>"), "HTTP 403"),
        (send_response(500), "HTTP 500"),
        (send_response(302), "HTTP 302"),
        (send_huge_body(404), "HTTP 404"),
        (close, "the connection ended before the response"),
        (reset, "the connection ended before the response"),
        (send_half_body(), "the connection ended before the response"),
        (send_bad_chunk(), "the connection ended before the response"),
        (send_raw("no HTTP\r\n\r\n"), "the connection ended before the response"),
    ],
    ids=["204", "206", "304", "403", "500", "302", "huge 404", "close", "reset", "half", "chunk", "no HTTP"],
)
def test_failed_download_is_retryable(handler: RequestHandler, error: str) -> None:
    """A new URL can help after another status than 200 and after a lost response."""
    result = download_from(handler, 1000)
    assert (result.error, result.retryable) == (error, True)


def test_slow_download_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error after the timeout has no other reason."""
    timeouts: list[Callable[[], None]] = []

    class ManualDeadlines(total_timeout.Deadlines):
        def add(self, seconds: float, on_timeout: Callable[[], None]) -> object:
            timeouts.append(on_timeout)
            return object()

    def expire(client_connection: Connection) -> bool:
        timeouts[0]()
        return hang(client_connection)

    monkeypatch.setattr(total_timeout, "deadlines", ManualDeadlines())
    result = download_from(expire)
    assert (result.error, result.retryable) == ("timed out", True)


def test_refused_connection_hides_host() -> None:
    """The text has no part of the URL, because the URL comes from the API."""
    with FaultServer(close) as server:
        url = f"http://127.0.0.1:{server.port}/s3cret-value"
    result = Download(url)
    assert (result.error, result.retryable) == ("the host refused the connection", True)


def test_missing_thread_is_download_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread for the timeout, nothing is sent."""

    def fail(work: Callable[[], None], arguments: tuple[()]) -> int:
        raise RuntimeError("can't start new thread")

    with FaultServer(send_raw(PNG_RESPONSE)) as server:
        monkeypatch.setattr(threads, "_idle_threads", deque())
        monkeypatch.setattr(total_timeout, "deadlines", total_timeout.Deadlines())
        monkeypatch.setattr(_thread, "start_new_thread", fail)
        result = Download(f"http://127.0.0.1:{server.port}/a")
        assert server.connection_count == 0
    assert result.error == "no thread could be started: the number of processes or the memory is limited"
    assert result.retryable


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://shop.test/a", NOT_HTTPS),
        ("http://127.0.0.1.shop.test/a", NOT_HTTPS),
        ("ftp://127.0.0.1/a", NOT_HTTPS),
        ("//127.0.0.1/a", NOT_HTTPS),
        ("", INVALID),
        ("file:///etc/passwd", INVALID),
        ("data:image/png;base64,AAAA", INVALID),
        ("javascript:alert(1)", INVALID),
        ("https://", INVALID),
        ("https://[::1", INVALID),
        ("https://127.0.0.1:65536/", INVALID),
        ("https://user:s3cret-value@127.0.0.1/", INVALID),
        ("https://@127.0.0.1/", INVALID),
        ("https://127.0.0.1/\na", INVALID),
        ("https://127.0.0.1/\ta", INVALID),
        ("https://127.0.0.1/\x1b[0m", INVALID),
        ("https://127.0.0.1/é", INVALID),
        ("https://127.0.0.1/\u202e", INVALID),
        ("https://127.0.0.1/" + "x" * 16_000, INVALID),
    ],
)
def test_invalid_url_is_rejected(url: str, error: str) -> None:
    """The API can send any text, and another attempt with it does not help."""
    result = Download(url)
    assert (result.error, result.retryable) == (error, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_http_needs_local_api(host: str) -> None:
    """Plain HTTP to this machine is allowed for a sandbox only."""
    with FaultServer(send_raw(PNG_RESPONSE)) as server:
        url = f"http://{host}:{server.port}/a"
        assert Download(url, allow_http_loopback=False).error == NOT_HTTPS
        assert server.connection_count == 0
        assert Download(url).data == PNG


@pytest.mark.parametrize(("length", "error"), [(16_000, ""), (16_001, INVALID)])
def test_url_length_has_limit(length: int, error: str) -> None:
    """Signed URLs are long, up to a limit."""
    with FaultServer(send_raw(PNG_RESPONSE)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert Download(url + "x" * (length - len(url))).error == error


def test_redirects_up_to_limit_are_followed() -> None:
    """A download follows five redirects."""
    assert download_from(redirect(*"abcde")).data == PNG


@pytest.mark.parametrize(
    ("locations", "error"),
    [
        (["/next"] * 6, "more than 5 redirects"),
        (["http://shop.test/a"], NOT_HTTPS),
        (["ftp://127.0.0.1/a"], NOT_HTTPS),
        (["file:///etc/passwd"], INVALID),
        (["//user:s3cret-value@127.0.0.1/a"], INVALID),
        (["/a", "/é"], INVALID),
        (["/" + "x" * 16_000], INVALID),
    ],
)
def test_bad_redirect_is_rejected(locations: list[str], error: str) -> None:
    """Each redirect has the rules of the first URL, and another attempt does not help."""
    result = download_from(redirect(*locations))
    assert (result.error, result.retryable, result.chunks) == (error, False, [])


def test_request_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of the file gets neither a login nor a cookie nor a header of the API."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password s3cret-value\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with FaultServer(send_response(302, "", "Location: /b", "Set-Cookie: a=s3cret-value; Path=/")) as server:
        Download(f"http://127.0.0.1:{server.port}/a")
    assert len(server.received_requests) == 6
    for request in server.received_requests:
        assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert re.fullmatch(r"autonoma-ci/\S+", request.headers["user-agent"])
        assert request.headers["accept-encoding"] == "identity"
