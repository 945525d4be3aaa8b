"""A proxy on loopback that notes what it is asked, and connects to a port of this machine or goes wrong."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.fault_server import FaultServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.support.fault_server import Act, Wire

PASSWORD = "proxy-password"


class Proxy:
    """Sends every tunnel to this machine, to `port` or to the one that is asked for; `asked` are the first lines.

    With `refusal` there is no tunnel; `meddle` may return, for a port that is asked for, what is done instead. With
    `tls` it is spoken to in TLS.
    """

    def __init__(
        self,
        port: int = 0,
        refusal: str = "",
        meddle: Callable[[int], Act | None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._port, self._refusal, self._meddle, self._tls = port, refusal, meddle, tls
        self._targets: set[socket.socket] = set()
        self.asked: list[str] = []
        self.server = FaultServer(lambda _: False, greeting=self._greet)

    @property
    def url(self) -> str:
        """The proxy's address as HTTPS_PROXY takes it, with a login that must show nowhere."""
        return f"http{'s' * bool(self._tls)}://proxy-user:{PASSWORD}@127.0.0.1:{self.server.port}"

    def die(self) -> None:
        """Break every tunnel off, and take no connection any more."""
        self.server.refuse()
        for target in list(self._targets):
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def _greet(self, wire: Wire) -> bool:
        if self._tls and not wire.secure(self._tls):
            return False
        head = b""
        while b"\r\n\r\n" not in head:
            head += (more := wire.receive())
            if not more:
                return False
        self.asked.append(head.decode("latin-1").partition("\r\n")[0])
        port = int(self.asked[-1].split()[1].rpartition(":")[2])
        if act := self._meddle and self._meddle(port):
            return act(wire)
        if self._refusal:
            wire.send(f"HTTP/1.1 {self._refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return False
        wire.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        # There may be nobody any more who takes the connection.
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port or port), timeout=60) as target,
        ):
            self._targets.add(target)
            back = threading.Thread(target=_pump, args=(target, wire.socket), daemon=True)
            back.start()
            _pump(wire.socket, target)
            back.join(10)
        return False


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
