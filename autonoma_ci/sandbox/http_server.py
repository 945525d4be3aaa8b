"""An HTTP server that reads JSON requests and holds connections open."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.contract import parse_json
from autonoma_ci.sandbox.request_log import RecordedRequest, RequestLog
from autonoma_ci.sandbox.responses import Request, Response, error_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.sandbox.router import Router

MAX_BODY_BYTES = 1024 * 1024
# How much of a larger body is read and discarded before the response.
_MAX_DISCARDED_BYTES = 16 * MAX_BODY_BYTES
_BLOCK_BYTES = 64 * 1024
_IDLE_SECONDS = 60


class HttpServer(ThreadingHTTPServer):
    """An HTTP server with one thread for each connection.

    `origin` is the scheme, host and port of its URLs.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], router: Router, request_log: RequestLog) -> None:
        self.router = router
        self.request_log = request_log
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)
        self.origin = f"http://{address[0]}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind the socket without looking up the host's name.

        The lookup takes seconds if no name server responds.
        """
        # On Windows this flag would let two servers share a port, and a port that was just closed is free without it.
        if os.name != "nt":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()

    def track(self, connection: socket.socket) -> None:
        """Add an open connection, so that `stop` can close it."""
        with self._lock:
            self._connections.add(connection)
            if self.stopping.is_set():
                _disconnect(connection)

    def untrack(self, connection: socket.socket) -> None:
        """Remove a connection that is about to be closed."""
        with self._lock:
            self._connections.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that disconnects.

        Any other error is a bug and is printed.
        """
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Stop the server and wake all waiting threads."""
        self.shutdown()
        self.server_close()
        self.stopping.set()
        with self._lock:
            for connection in self._connections:
                _disconnect(connection)


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "autonoma-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    timeout = _IDLE_SECONDS

    def setup(self) -> None:
        super().setup()
        self.server.track(self.connection)

    def finish(self) -> None:
        self.server.untrack(self.connection)
        super().finish()

    def _serve(self) -> None:
        request = self._read_request()
        response = self.server.router.respond(request, self.server.origin)
        # Recorded before the response, so a client with the response finds its request in the log.
        record = RecordedRequest(request.method, request.target, request.headers, request.body, response.status)
        self.server.request_log.add(record)
        if response.delay:
            self.server.stopping.wait(response.delay)
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.content)))
        for name, value in response.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _read_request(self) -> Request:
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        raw = self._read_body(request.headers)
        if isinstance(raw, Response):
            self.close_connection = True  # the start of the next request is unknown
            return replace(request, error=raw)
        if not raw:
            return request
        try:
            return replace(request, body=parse_json(raw), has_body=True)
        except ValueError as error:
            return replace(request, error=error_response(400, str(error)))

    def _read_body(self, headers: Mapping[str, str]) -> bytes | Response:
        if "transfer-encoding" in headers:
            return error_response(411, "Content-Length is required")
        content_length = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,12}", content_length):
            return error_response(400, "Content-Length must be a number")
        length = int(content_length)
        if length > MAX_BODY_BYTES:
            # A client that is still sending would miss the response, so a part of the body is read and discarded.
            for remaining in range(min(length, _MAX_DISCARDED_BYTES), 0, -_BLOCK_BYTES):
                self.rfile.read(min(remaining, _BLOCK_BYTES))
            return error_response(413, f"The body must have at most {MAX_BODY_BYTES} bytes")
        raw = self.rfile.read(length)
        if len(raw) < length:
            raise ConnectionAbortedError("the client closed the connection before the end of the body")
        return raw

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Print nothing, because the request log records each request."""


def _disconnect(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have closed it first
        connection.shutdown(socket.SHUT_RDWR)
