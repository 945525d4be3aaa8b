"""Test the download of evidence in pieces."""

from __future__ import annotations

import pytest

from autonoma_ci.net.download import DownloadError, download
from tests.support.fault_server import FaultServer
from tests.support.faults import send_raw

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: Image/PNG; x=1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd"


def test_download_returns_content_type() -> None:
    """A download passes on the body and returns the content type without parameters."""
    pieces: list[bytes] = []
    with FaultServer(send_raw(ANSWER)) as server:
        assert (
            download(f"http://127.0.0.1:{server.port}/a", pieces.append, 4, 5.0, allow_http_loopback=True)
            == "image/png"
        )
    assert b"".join(pieces) == b"abcd"


def test_download_raises_errors_of_receiver() -> None:
    """An error of the callback passes through."""

    def fail(chunk: bytes) -> None:
        raise KeyError

    with FaultServer(send_raw(ANSWER)) as server, pytest.raises(KeyError) as error:
        download(f"http://127.0.0.1:{server.port}/secret", fail, 4, 5.0, allow_http_loopback=True)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("length", [b"Content-Length: 4\r\n", b""])
def test_download_above_limit_is_rejected(length: bytes) -> None:
    """The limit also holds for a body without a length."""
    chunks: list[bytes] = []
    response = ANSWER.replace(b"Content-Length: 4\r\n", length)
    with (
        FaultServer(send_raw(response)) as server,
        pytest.raises(DownloadError, match=r"^larger than it may be") as error,
    ):
        download(f"http://127.0.0.1:{server.port}/secret", chunks.append, 3, 5.0, allow_http_loopback=True)
    assert chunks == []
    assert "secret" not in str(error.value)
