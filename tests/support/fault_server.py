"""A loopback server on bare sockets that goes wrong as it is told, and counts what arrived.

What it does with a request comes from `tests.support.faults`; what it does with a connection before
anything is read is `greeting`. A POST counts once its line, its headers and its body are all here.
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

# No test needs a connection for longer; a thread that is still here then would only keep pytest waiting.
_LONGEST = 45.0
# What a socket says, beside ConnectionError, once the other side has left or the server was stopped.
_ENDED = {errno.ENOTCONN, errno.EBADF}


@dataclass(frozen=True)
class Received:
    """One whole request; `connection` counts the connections from 1, `at` is monotonic."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    at: float

    @property
    def subject(self) -> str:
        """The id of the test, folder or tag that was asked to run."""
        return self.path.rsplit("/", 2)[-2]


class Wire:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.socket = sock
        self._stopping = stopping
        self._rest = b""
        self.request = Received("", "", {}, b"", 0, 0.0)

    def send(self, data: bytes) -> bool:
        """Send everything; say whether the other side took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, every: float) -> None:
        """Send one byte at a time until the other side has left."""
        for place in range(len(data)):
            if not self.send(data[place : place + 1]) or self.pause(every):
                return

    def pause(self, seconds: float) -> bool:
        """Wait; say whether the server is to stop."""
        return self._stopping.wait(seconds)

    def hang(self) -> None:
        """Say nothing until the other side has left."""
        with suppress(OSError):
            self.socket.recv(1)

    def secure(self, tls: ssl.SSLContext) -> bool:
        """Go on in TLS; say whether the other side agrees."""
        try:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self.socket.do_handshake()
        except OSError:
            return False
        return True

    def reset(self) -> None:
        """Make the end of this connection a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def read(self, connection: int) -> bool:
        """Read one request into `request`; say whether a whole one came."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            data += (more := self.receive())
            if not more:
                return False
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += (more := self.receive())
            if not more:
                return False
        self._rest = body[length:]
        method, path, _ = line.split(" ")
        self.request = Received(method, path, headers, body[:length], connection, time.monotonic())
        return True

    def receive(self) -> bytes:
        """Return what comes next, or nothing once the other side has left."""
        try:
            return self.socket.recv(65536)
        except OSError:
            return b""

    def await_data(self) -> bool:
        """Wait until the other side has sent something, and leave it unread; say whether it has."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


# Deals with the request that was read; says whether the connection is kept.
Act: TypeAlias = "Callable[[Wire], bool]"


class FaultServer:
    """Serves on `port` inside a `with` block; `scripts` are the acts for each id in turn, of which the last stays."""

    def __init__(
        self,
        default: Act,
        scripts: Mapping[str, Sequence[Act]] | None = None,
        greeting: Act | None = None,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._default, self._greeting, self._tls = default, greeting, tls
        self._scripts = {subject: list(acts) for subject, acts in (scripts or {}).items()}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family, backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.received: list[Received] = []

    def __enter__(self) -> Self:
        self._spawn(self._listen)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.refuse()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(_LONGEST)

    def refuse(self) -> None:
        """Take no connection any more."""
        # Closing alone would not wake the thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/api"

    @property
    def posts(self) -> Counter[str]:
        """How many POSTs arrived for each id."""
        with self._lock:
            return Counter(request.subject for request in self.received if request.method == "POST")

    def wait_for(self, posts: int, seconds: float = 60.0) -> None:
        """Return once so many POSTs have arrived."""
        until = time.monotonic() + seconds
        while self.posts.total() < posts:
            assert time.monotonic() < until, f"only {self.posts.total()} of {posts} POSTs arrived"
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
            self.connections += 1
            self._spawn(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(_LONGEST)
        try:
            if self._tls and not self._greeting:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            return  # The handshake failed, which is what some tests are about.
        with sock:
            with self._lock:
                self._open.add(sock)
            wire = Wire(sock, self._stopping)
            try:
                self._converse(wire, number)
            except OSError as error:
                # The other side may leave at any moment; everything else is a bug of the test.
                if not isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError)) and error.errno not in _ENDED:
                    raise
            # A greeting may have made it a secure one.
            wire.socket.close()
            with self._lock:
                self._open.discard(sock)

    def _converse(self, wire: Wire, number: int) -> None:
        if self._greeting and not self._greeting(wire):
            return
        while wire.read(number):
            with self._lock:
                self.received.append(wire.request)
                acts = self._scripts.get(wire.request.subject, [])
                act = self._default if not acts else acts.pop(0) if len(acts) > 1 else acts[0]
            if not act(wire):
                return
