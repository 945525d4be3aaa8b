"""What comes of an address of a screenshot or video, piece by piece."""

from __future__ import annotations

import pytest

from autonoma_ci.net.download import DownloadError, FileTooLargeError, download
from tests.support.fault_server import FaultServer
from tests.support.faults import said

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: Image/PNG; x=1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd"


def test_the_pieces_are_the_body_and_the_content_type_comes_without_its_parameters() -> None:
    pieces: list[bytes] = []
    with FaultServer(said(ANSWER)) as server:
        assert (
            download(f"http://127.0.0.1:{server.port}/a", pieces.append, 4, 5.0, allow_http_loopback=True)
            == "image/png"
        )
    assert b"".join(pieces) == b"abcd"


@pytest.mark.parametrize("raised", [FileTooLargeError, KeyError])
def test_what_the_taker_raises_passes_through_but_for_too_many_pieces(raised: type[Exception]) -> None:
    def take(piece: bytes) -> None:
        raise raised

    told = DownloadError if raised is FileTooLargeError else raised
    with FaultServer(said(ANSWER)) as server, pytest.raises(told) as error:
        download(f"http://127.0.0.1:{server.port}/secret", take, 4, 5.0, allow_http_loopback=True)
    assert "secret" not in str(error.value)
