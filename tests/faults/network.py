"""Define the failures of the network and of proxies."""

from __future__ import annotations

import socket
import threading
import zlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from tests.faults.kind import HTTP, UNANSWERED, Kind, Phase
from tests.support.faults import answer, bad_chunk, close, dripped, half_body, hang, head, once_sent, reset, said

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.faults.kind import Greeting
    from tests.faults.scene import Scene
    from tests.support.certificates import Certificates
    from tests.support.fault_server import Act, Wire

NETWORK = "network"
_PROXY = "proxy"


def exchange(
    name: str, act: Act, start: int = 7, wait: int = 7, *, group: str = NETWORK, declines: bool = False
) -> Kind:
    """Return a kind that does the same with each request for the one run."""
    codes = {Phase.START: start, Phase.WAIT: wait}
    return Kind(group, name, codes, exchange=lambda scene, right: act, declines=declines)


def _connection(name: str, greeting: Greeting, start: int = 7, *, named: bool = False) -> Kind:
    codes = {Phase.START: start, Phase.WAIT: 7}
    return Kind(NETWORK, name, codes, greeting=greeting, closing=True, named=named, before=True)


def _handshake(name: str, greeting: Greeting) -> Kind:
    """Return a kind of connection over which nothing was sent."""
    return _connection(name, greeting, 5, named=True)


def _tunnel(name: str, act: Act) -> Kind:
    codes = {Phase.START: 5, Phase.WAIT: 7}
    return Kind(_PROXY, name, codes, tunnel=lambda scene: act, named=True, proxied=True, closing=True, before=True)


def _once(kind: Kind) -> Kind:
    """Return the kind that passes after the first connection: the exit code is as usual in all phases."""
    return replace(kind, name=f"{kind.name}, once", codes={}, once=True)


def _unanswered(kind: Kind) -> Kind:
    """Return the kind with a short limit for each request, since the job waits for that limit."""
    return replace(kind, seconds=UNANSWERED)


def _refusal(status: int) -> Kind:
    return _once(_tunnel(f"answers {status}", said(f"HTTP/1.1 {status} Not now\r\nContent-Length: 0\r\n\r\n")))


def _certificate(of: Callable[[Certificates], ssl.SSLContext]) -> Greeting:
    return lambda scene: lambda wire: wire.secure(of(scene.certificates))


def _after_hello(act: Act) -> Greeting:
    def greet(wire: Wire) -> bool:
        wire.receive()
        return act(wire)

    return lambda scene: greet


def _silent(wire: Wire) -> bool:
    wire.pause(20)
    return False


def _endless(wire: Wire) -> bool:
    wire.send(head(200, "Connection: close").encode())
    while wire.send(b" " * 65536):
        pass
    return False


def _endless_chunks(wire: Wire) -> bool:
    wire.send(head(200, "Transfer-Encoding: chunked").encode())
    while wire.send(b"10000\r\n" + b" " * 65536 + b"\r\n"):
        pass
    return False


def _about_to_come(wire: Wire) -> bool:
    while wire.send(b"HTTP/1.1 100 Continue\r\n\r\n"):
        if wire.pause(0.005):
            break
    return False


def _interim(scene: Scene, right: Act) -> Act:
    def act(wire: Wire) -> bool:
        wire.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        return right(wire)

    return act


def _twice(scene: Scene, right: Act) -> Act:
    def act(wire: Wire) -> bool:
        kept = right(wire)
        return kept and not wire.pause(0.01) and right(wire)

    return act


@cache
def _packed() -> bytes:
    """Return 300 KB that unpack to 300 MB, without ever having had those."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(300)) + packer.flush()


def _pack(scene: Scene) -> dict[str, str]:
    # Before the job starts, since it takes longer than the job waits for an answer. The jobs of all phases start at
    # the same time, and only the first of them is to do the work.
    with _PACKING:
        _packed()
    return {}


def _bomb(wire: Wire) -> bool:
    return answer(200, _packed(), "Content-Encoding: gzip")(wire)


def _reset_in_body(wire: Wire) -> bool:
    wire.send(head(200, "Content-Length: 1000").encode() + b'{"run_id": ')
    wire.pause(0.05)
    return reset(wire)


def _record_that_drips(wire: Wire) -> bool:
    wire.drip(b"\x16\x03\x03\x40\x00" + bytes(1000), 0.05)
    return False


def _unknown(number: int) -> Callable[[Scene], None]:
    """Return what lets name resolution fail for the server that goes wrong."""

    def arm(scene: Scene) -> None:
        name = {Phase.EVIDENCE: "media", Phase.COMMENT: "github"}.get(scene.phase, "api")
        (scene.faults / f"{name}.autonoma.test").write_text(str(number))

    return arm


def _known_again(scene: Scene) -> None:
    (scene.faults / "api.autonoma.test").unlink()


def _name(name: str, number: int) -> Kind:
    return Kind(
        NETWORK,
        name,
        _UNREACHABLE,
        arm=_unknown(number),
        relent=_known_again,
        before=True,
        named=True,
        closing=True,
        says="could not be resolved",
    )


def _dies(scene: Scene, right: Act) -> Act:
    def act(wire: Wire) -> bool:
        assert scene.proxy
        scene.proxy.die()
        return False

    return act


_PACKING = threading.Lock()
_UNREACHABLE = {Phase.START: 5, Phase.WAIT: 7}
_LASTING = tuple(phase for phase in HTTP if phase is not Phase.BRIEFLY)

KINDS = [
    _name("a name that is not known", socket.EAI_NONAME),
    _name("name resolution that fails for now", socket.EAI_AGAIN),
    Kind(NETWORK, "connection refused", _UNREACHABLE, _LASTING, arm=lambda scene: scene.victim.refuse(), before=True,
         closing=True, says="refused the connection"),
    Kind(NETWORK, "IPv6 alone", {}, (Phase.THROUGHOUT,), named=True, address="::1"),
    Kind(NETWORK, "IPv6 that leads nowhere, IPv4 beside it", {}, (Phase.THROUGHOUT,), named=True,
         address="::1 127.0.0.1"),
    _connection("accepted and closed", lambda scene: close),
    # Not at once: a connection that is reset while it is being made is none, and then nothing was sent.
    _connection("accepted and reset", lambda scene: once_sent(reset)),
    _unanswered(_handshake("handshake without an answer", lambda scene: _silent)),
    _unanswered(_handshake("handshake that drips", _after_hello(_record_that_drips))),
    _handshake("handshake that is reset", _after_hello(reset)),
    _once(_handshake("handshake that is closed", _after_hello(close))),
    _once(_handshake("handshake that is reset", _after_hello(reset))),
    _once(_handshake("handshake that breaks off", _after_hello(said(b"\x16\x03\x03\x40")))),
    _unanswered(_once(_handshake("handshake without an answer", lambda scene: _silent))),
    _handshake("HTTP on the port of HTTPS", _after_hello(said("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    _handshake("certificate that has expired", _certificate(lambda by: by.expired())),
    _handshake("certificate of another host", _certificate(lambda by: by.of_another_host())),
    _handshake("certificate signed by itself", _certificate(lambda by: by.self_signed())),
    Kind(NETWORK, "certificate of an authority that is not trusted", {Phase.THROUGHOUT: 5}, (Phase.THROUGHOUT,),
         named=True, stranger=True, says="can't be trusted"),
    Kind(NETWORK, "the same authority in `REQUESTS_CA_BUNDLE`", {}, (Phase.THROUGHOUT,), named=True),
    exchange("closed after the request", close),
    exchange("reset after the request", reset),
    _unanswered(exchange("no answer", hang)),
    exchange("half a status line", said("HTTP/1.1 20")),
    exchange("half the headers", said("HTTP/1.1 200 OK\r\nContent-Type: appli")),
    _unanswered(exchange("headers that drip", dripped(head(200, f"X-Filler: {'x' * 1000}")))),
    exchange("a header of 200 KB", said(head(200, f"X-Filler: {'x' * 200_000}") + "{}")),
    exchange("500 headers", said(head(200, *(f"X-{n}: x" for n in range(500))) + "{}")),
    _unanswered(exchange("100 Continue without an end", _about_to_come)),
    exchange("101 Switching Protocols", said("HTTP/1.1 101 Switching Protocols\r\nUpgrade: none\r\n\r\n")),
    Kind(NETWORK, "102 and 103 before the answer", exchange=_interim),
    Kind(NETWORK, "a second answer a moment later", exchange=_twice),
    exchange("half a body", half_body()),
    _unanswered(exchange("a body that drips", dripped(head(200, "Content-Length: 1000") + "{" * 1000, 0.02))),
    exchange("reset in the body", _reset_in_body),
    exchange("a bad chunk", bad_chunk()),
    exchange("chunks without an end", _endless_chunks),
    exchange("a body without an end", _endless),
    Kind(NETWORK, "a gzip bomb", {Phase.START: 7, Phase.WAIT: 7}, exchange=lambda scene, right: _bomb, prepare=_pack),
    exchange("compressed nonsense", answer(200, "not gzip", "Content-Encoding: gzip")),
    exchange("two lengths", said(head(200, "Content-Length: 5", "Content-Length: 6") + "{}")),
    exchange("not HTTP", said("SSH-2.0-OpenSSH_9.6\r\n")),
    _tunnel("refuses", said("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")),
    _tunnel("asks for a password", said("HTTP/1.1 407 Who is it?\r\nProxy-Authenticate: Basic\r\n\r\n")),
    _unanswered(_tunnel("does not answer", hang)),
    _tunnel("answers what is not HTTP", said("SSH-2.0-OpenSSH_9.6\r\n")),
    _tunnel("breaks off in the handshake", said("HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x40")),
    *(_refusal(status) for status in (408, 429, 500, 502, 503, 504)),
    _once(_tunnel("closes the connection", close)),
    _unanswered(_once(_tunnel("does not answer", hang))),
    _once(_tunnel("answers what is not HTTP", said("SSH-2.0-OpenSSH_9.6\r\n"))),
    _once(_tunnel("answers half", said("HTTP/1.1 200 Connected\r\nX-y"))),
    _once(_tunnel("breaks off in the handshake", said("HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x40"))),
    Kind(_PROXY, "dies after the request", {Phase.START: 7, Phase.WAIT: 7}, _LASTING, exchange=_dies, named=True,
         proxied=True, closing=True, takes_all=True),
]  # fmt: skip
