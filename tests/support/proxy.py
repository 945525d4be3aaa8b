"""A proxy on loopback that notes what it is asked, and connects to one given port or refuses."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.fault_server import FaultServer

if TYPE_CHECKING:
    from tests.support.fault_server import Wire


class Proxy:
    """Sends every tunnel to `port` of this machine, or refuses it with `refusal`; `asked` are the first lines."""

    def __init__(self, port: int = 0, refusal: str = "") -> None:
        self._port, self._refusal = port, refusal
        self.asked: list[str] = []
        self.server = FaultServer(lambda _: False, greeting=self._greet)

    @property
    def url(self) -> str:
        """The proxy's address as HTTPS_PROXY takes it, with a login that must show nowhere."""
        return f"http://proxy-user:proxy-password@127.0.0.1:{self.server.port}"

    def _greet(self, wire: Wire) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            more = wire.socket.recv(65536)
            if not more:
                return False
            head += more
        self.asked.append(head.decode("latin-1").partition("\r\n")[0])
        if self._refusal:
            wire.send(f"HTTP/1.1 {self._refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return False
        wire.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as target:
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
