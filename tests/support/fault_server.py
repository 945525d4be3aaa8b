"""A test server on loopback that responds to each request with a chosen fault.

A handler of `tests.support.faults` handles each request. A `connection_handler` handles each connection before its
first request. A request counts when its line, headers and body have arrived.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# No test needs a connection for longer, and a remaining thread would only delay pytest.
_TIMEOUT_SECONDS = 45.0
# Errors of a socket, in addition to ConnectionError, after the client left or the server stopped.
_DISCONNECT_ERRORS = {errno.ENOTCONN, errno.EBADF}


@dataclass(frozen=True)
class ReceivedRequest:
    """One complete request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection_number: int  # number of the connection, from 1
    received_at: float  # monotonic time in seconds

    @property
    def target_id(self) -> str:
        """The id of the test, folder or tag in the path."""
        return self.path.rsplit("/", 2)[-2]


class Connection:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.socket = sock
        self._stopping = stopping
        self._rest = b""
        self.request = ReceivedRequest("", "", {}, b"", 0, 0.0)

    def send(self, data: bytes) -> bool:
        """Send all data, and return whether the client was still there."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def send_slowly(self, data: bytes, interval_seconds: float) -> None:
        """Send one byte at a time until the client leaves."""
        for index in range(len(data)):
            if not self.send(data[index : index + 1]) or self.pause(interval_seconds):
                return

    def pause(self, seconds: float) -> bool:
        """Wait, and return whether the server is stopping."""
        return self._stopping.wait(seconds)

    def hang(self) -> None:
        """Send nothing until the client leaves."""
        with suppress(OSError):
            self.socket.recv(1)

    def start_tls(self, tls: ssl.SSLContext) -> bool:
        """Start TLS, and return whether the handshake succeeded."""
        try:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self.socket.do_handshake()
        except OSError:
            return False
        return True

    def reset(self) -> None:
        """Reset the connection when it is closed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def read(self, connection: int) -> bool:
        """Read one request into `request`, and return whether it is complete."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            data += (chunk := self.receive())
            if not chunk:
                return False
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += (chunk := self.receive())
            if not chunk:
                return False
        self._rest = body[length:]
        method, path, _ = line.split(" ")
        self.request = ReceivedRequest(method, path, headers, body[:length], connection, time.monotonic())
        return True

    def receive(self) -> bytes:
        """Return the next data, or nothing after the client left."""
        try:
            return self.socket.recv(65536)
        except OSError:
            return b""

    def await_data(self) -> bool:
        """Wait for data without reading it, and return whether any arrived."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


# Handles the request that was read, and returns whether the connection stays open.
RequestHandler: TypeAlias = "Callable[[Connection], bool]"


class FaultServer:
    """A server that listens on `port` inside a `with` block.

    Args:
        default_handler: Handles the requests for all other ids.
        handlers_by_id: The handlers of the requests for an id, in order. The last one repeats.
        connection_handler: Handles a connection before its first request, and returns whether requests follow. It also
            starts TLS, if the test needs TLS.
        tls: The certificate of the server, or None for plain HTTP.
        address: The IP address to listen on.
    """

    def __init__(
        self,
        default_handler: RequestHandler,
        handlers_by_id: Mapping[str, Sequence[RequestHandler]] | None = None,
        connection_handler: RequestHandler | None = None,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._default_handler, self._connection_handler, self._tls = default_handler, connection_handler, tls
        self._handlers_by_id = {target_id: list(handlers) for target_id, handlers in (handlers_by_id or {}).items()}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family, backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.connection_count = 0
        self.received_requests: list[ReceivedRequest] = []

    def __enter__(self) -> Self:
        self._spawn(self._listen)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.stop_listening()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(_TIMEOUT_SECONDS)

    def stop_listening(self) -> None:
        """Stop listening, so that new connections are refused."""
        # Only the shutdown of the socket wakes the thread in `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/api"

    @property
    def post_counts(self) -> Counter[str]:
        """The number of POSTs by id."""
        with self._lock:
            return Counter(request.target_id for request in self.received_requests if request.method == "POST")

    def wait_for_posts(self, count: int, seconds: float = 60.0) -> None:
        """Wait until this number of POSTs has arrived."""
        deadline = time.monotonic() + seconds
        while self.post_counts.total() < count:
            assert time.monotonic() < deadline, f"only {self.post_counts.total()} of {count} POSTs arrived"
            time.sleep(0.01)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self._spawn(self._serve, sock, self.connection_count)

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(_TIMEOUT_SECONDS)
        try:
            if self._tls and not self._connection_handler:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            return  # The handshake failed, which some tests expect.
        with sock:
            with self._lock:
                self._open.add(sock)
            connection = Connection(sock, self._stopping)
            try:
                self._handle_requests(connection, number)
            except OSError as error:
                # The client can leave at any time. Any other error is a bug of the test.
                if (
                    not isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError))
                    and error.errno not in _DISCONNECT_ERRORS
                ):
                    raise
            # A connection handler can have replaced the socket by a TLS socket.
            connection.socket.close()
            with self._lock:
                self._open.discard(sock)

    def _handle_requests(self, connection: Connection, number: int) -> None:
        if self._connection_handler and not self._connection_handler(connection):
            return
        while connection.read(number):
            with self._lock:
                self.received_requests.append(connection.request)
                handlers = self._handlers_by_id.get(connection.request.target_id, [])
                handler = (
                    self._default_handler if not handlers else handlers.pop(0) if len(handlers) > 1 else handlers[0]
                )
            if not handler(connection):
                return
