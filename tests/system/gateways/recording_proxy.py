"""Count the requests and responses between the job and a gateway."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.support.fault_server import FaultServer

if TYPE_CHECKING:
    from tests.support.fault_server import Connection

_START_RE = re.compile(rb"POST /api/test/([\w-]+)/run HTTP/1\.1\r\n")
_POLL_RE = re.compile(rb"GET /api/run/([\w-]+)/status HTTP/1\.1\r\n")
_STATUS_RE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class RecordingProxy:
    """Forward TCP connections to `port` and record both directions."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._requests: list[bytearray] = []
        self._responses: list[bytearray] = []
        self._server = FaultServer(lambda _: False, connection_handler=self._forward)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self._server.url

    @property
    def starts(self) -> Counter[str]:
        """The number of POSTs that the job sent, per test id."""
        return self._count(self._requests, _START_RE)

    @property
    def polls(self) -> Counter[str]:
        """The number of status requests that the job sent, per run id."""
        return self._count(self._requests, _POLL_RE)

    @property
    def statuses(self) -> Counter[str]:
        """The number of responses that the job received, per HTTP status."""
        return self._count(self._responses, _STATUS_RE)

    def _count(self, streams: list[bytearray], pattern: re.Pattern[bytes]) -> Counter[str]:
        # Whole streams are searched, because one recv() may end in the middle of a line.
        with self._lock:
            return Counter(match.decode() for stream in streams for match in pattern.findall(stream))

    def _forward(self, connection: Connection) -> bool:
        requests, responses = bytearray(), bytearray()
        with self._lock:
            self._requests.append(requests)
            self._responses.append(responses)
        with socket.create_connection(("127.0.0.1", self._port), timeout=15.0) as gateway:
            response_thread = threading.Thread(
                target=self._copy, args=(gateway, connection.socket, responses), daemon=True
            )
            response_thread.start()
            self._copy(connection.socket, gateway, requests)
            response_thread.join()
        return False

    def _copy(self, source: socket.socket, target: socket.socket, recorded_bytes: bytearray) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    recorded_bytes += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
