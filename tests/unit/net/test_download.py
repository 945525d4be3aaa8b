"""Test the download of evidence in pieces."""

from __future__ import annotations

import pytest

from autonoma_ci.net.download import DownloadError, FileTooLargeError, download
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


@pytest.mark.parametrize("raised", [FileTooLargeError, KeyError])
def test_download_raises_errors_of_writer(raised: type[Exception]) -> None:
    """An error of the writer passes through unless the file is too large."""

    def take(piece: bytes) -> None:
        raise raised

    told = DownloadError if raised is FileTooLargeError else raised
    with FaultServer(send_raw(ANSWER)) as server, pytest.raises(told) as error:
        download(f"http://127.0.0.1:{server.port}/secret", take, 4, 5.0, allow_http_loopback=True)
    assert "secret" not in str(error.value)
