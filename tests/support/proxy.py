"""A loopback proxy that records requests, with scripted faults."""

from __future__ import annotations

import selectors
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.fault_server import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fault_server import Connection, RequestHandler

PASSWORD = "proxy-password"
# The longest silence in a tunnel of a test, in seconds.
_MAX_SILENCE_SECONDS = 60.0


class ProxyServer:
    """A proxy whose tunnels all lead to this machine.

    Args:
        port: the port of each tunnel, or 0 for the requested port.
        refusal: the status line that replaces each tunnel.
        find_handler: returns the handler that replaces the tunnel to a port, or None.
        tls: the server context if clients use TLS.
    """

    def __init__(
        self,
        port: int = 0,
        refusal: str = "",
        find_handler: Callable[[int], RequestHandler | None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._port, self._refusal, self._find_handler, self._tls = port, refusal, find_handler, tls
        self._targets: set[socket.socket] = set()
        self.requests: list[str] = []
        self.server = FaultServer(lambda _: False, connection_handler=self._handle_connection)

    @property
    def url(self) -> str:
        """The URL for HTTPS_PROXY, with a login that must stay secret."""
        return f"http{'s' * bool(self._tls)}://proxy-user:{PASSWORD}@127.0.0.1:{self.server.port}"

    def close(self) -> None:
        """Close all tunnels, and refuse new connections."""
        self.server.stop_listening()
        for target in list(self._targets):
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def _handle_connection(self, connection: Connection) -> bool:
        if self._tls and not connection.start_tls(self._tls):
            return False
        head = b""
        while b"\r\n\r\n" not in head:
            head += (data := connection.receive())
            if not data:
                return False
        self.requests.append(head.decode("latin-1").partition("\r\n")[0])
        port = int(self.requests[-1].split()[1].rpartition(":")[2])
        if handler := self._find_handler and self._find_handler(port):
            return handler(connection)
        if self._refusal:
            connection.send(f"HTTP/1.1 {self._refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return False
        connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        # The target can have stopped listening.
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port or port), timeout=60) as target,
        ):
            self._targets.add(target)
            _relay(connection.socket, target)
        return False


def _relay(client: socket.socket, target: socket.socket) -> None:
    """Forward the data of both sides until both have ended.

    One thread does it, because two threads must not use one TLS connection at once (openssl-threads(7)).
    """
    targets = {client: target, target: client}
    with selectors.DefaultSelector() as selector:
        for sock in targets:
            selector.register(sock, selectors.EVENT_READ)
        while targets:
            # Data that TLS has decrypted already makes no socket ready.
            ready: list[socket.socket] = [
                sock for sock in targets if isinstance(sock, ssl.SSLSocket) and sock.pending()
            ]
            if not ready:
                readable = {key.fd for key, _ in selector.select(_MAX_SILENCE_SECONDS)}
                ready = [sock for sock in targets if sock.fileno() in readable]
            if not ready:
                return
            for source in ready:
                if not _forward(source, targets[source]):
                    selector.unregister(source)
                    del targets[source]


def _forward(source: socket.socket, target: socket.socket) -> bool:
    """Forward the data that has arrived, and return whether more can follow."""
    try:
        if data := source.recv(65536):
            target.sendall(data)
            return True
    except OSError:
        pass
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    return False
