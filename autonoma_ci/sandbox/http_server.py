"""HTTP on a socket: reads requests, writes answers, keeps connections open in between."""

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

from autonoma_ci.sandbox.contract import parse
from autonoma_ci.sandbox.request_log import RecordedRequest, RequestLog
from autonoma_ci.sandbox.responses import Request, Response, error_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.sandbox.router import Router

# In bytes.
LARGEST_BODY = 1024 * 1024
_DROPPED_BODY = 16 * LARGEST_BODY
_BLOCK = 64 * 1024
_IDLE_SECONDS = 60


class HttpServer(ThreadingHTTPServer):
    """One thread for each connection; `origin` is where the links to it start."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], site: Router, journal: RequestLog) -> None:
        self.site = site
        self.journal = journal
        self.ending = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)
        self.origin = f"http://{address[0]}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which takes seconds where no name server answers."""
        # On Windows this would let two servers share a port; there, one that was just left is free without it.
        if os.name != "nt":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()

    def track(self, connection: socket.socket) -> None:
        """Remember an open connection, so that `end` can end it."""
        with self._lock:
            self._open.add(connection)
            if self.ending.is_set():
                _hang_up(connection)

    def untrack(self, connection: socket.socket) -> None:
        """Forget a connection that is about to be closed."""
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Let a client leave when it likes; anything else is a bug and shows."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Stop, close the socket, and wake every thread that waits for a client or for a slow answer."""
        self.shutdown()
        self.server_close()
        self.ending.set()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)


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
        request = self._read()
        answer = self.server.site.answer(request, self.server.origin)
        # Noted before it is answered: whoever has the answer finds it in the journal.
        noted = RecordedRequest(request.method, request.target, request.headers, request.body, answer.status)
        self.server.journal.add(noted)
        if answer.delay:
            self.server.ending.wait(answer.delay)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.content)))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _read(self) -> Request:
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        raw = self._body(request.headers)
        if isinstance(raw, Response):
            self.close_connection = True  # where the next request begins is not known
            return replace(request, fault=raw)
        if not raw:
            return request
        try:
            return replace(request, body=parse(raw), has_body=True)
        except ValueError as error:
            return replace(request, fault=error_response(400, str(error)))

    def _body(self, headers: Mapping[str, str]) -> bytes | Response:
        if "transfer-encoding" in headers:
            return error_response(411, "The body must come with a Content-Length")
        given = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,12}", given):
            return error_response(400, "Content-Length must be a number")
        length = int(given)
        if length > LARGEST_BODY:
            # A client that is still sending would miss the answer, so some more is read and dropped.
            for left in range(min(length, _DROPPED_BODY), 0, -_BLOCK):
                self.rfile.read(min(left, _BLOCK))
            return error_response(413, f"The body must have at most {LARGEST_BODY} bytes")
        raw = self.rfile.read(length)
        if len(raw) < length:
            raise ConnectionAbortedError("the client left in the middle of its body")
        return raw

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Keep quiet: the journal tells of each request."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have been faster
        connection.shutdown(socket.SHUT_RDWR)
