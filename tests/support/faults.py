"""What a server can do with a request, right and wrong; each says whether the connection is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.fault_server import Act, Wire

_MEGABYTE = b"x" * 1024 * 1024


def started(wire: Wire) -> bool:
    """Start a run whose id tells which request started it."""
    run = f"run-of-{wire.request.subject}"
    body = {"message": "started", "url": f"https://autonoma.app/run/{run}", "run_id": run}
    return answer(200, json.dumps(body))(wire)


def answer(status: int, body: str | bytes = b"", *headers: str) -> Act:
    """Answer in full."""

    def act(wire: Wire) -> bool:
        return wire.send(_head(status, *headers, f"Content-Length: {len(_bytes(body))}") + _bytes(body))

    return act


def after(seconds: float, act: Act) -> Act:
    """Do something, but not at once."""
    return lambda wire: not wire.pause(seconds) and act(wire)


def once_sent(act: Act) -> Act:
    """Do something once the other side has sent something, which is not read."""
    return lambda wire: wire.await_data() and act(wire)


def then_close(act: Act) -> Act:
    """Do something and close a connection that was promised to be kept."""

    def both(wire: Wire) -> bool:
        act(wire)
        return False

    return both


def said(data: str | bytes) -> Act:
    """Send these bytes, whatever they are, and close."""

    def act(wire: Wire) -> bool:
        wire.send(_bytes(data))
        return False

    return act


def close(wire: Wire) -> bool:
    """Close without a word."""
    return False


def reset(wire: Wire) -> bool:
    """End the connection with a reset."""
    wire.reset()
    return False


def hang(wire: Wire) -> bool:
    """Never answer."""
    wire.hang()
    return False


def dripped(data: str, every: float = 0.05) -> Act:
    """Send a byte at a time."""

    def act(wire: Wire) -> bool:
        wire.drip(data.encode(), every)
        return False

    return act


def half_body() -> Act:
    """Promise a longer body than what comes; what comes is a perfect answer."""
    body = b'{"run_id": "run-of-half", "url": "https://autonoma.app/run/run-of-half"}'
    return said(_head(200, f"Content-Length: {len(body) + 100}") + body)


def bad_chunk() -> Act:
    """Break off the chunked form in the middle of a perfect answer."""
    chunk = b'{"run_id": "run-of-chunk"}'
    return said(_head(200, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\nno-number\r\n" % (len(chunk), chunk))


def huge(status: int = 200, *headers: str, megabytes: int = 50) -> Act:
    """Send a body that nobody should want, for as long as it is taken."""

    def act(wire: Wire) -> bool:
        wire.send(_head(status, *headers, f"Content-Length: {megabytes * len(_MEGABYTE)}"))
        return all(wire.send(_MEGABYTE) for _ in range(megabytes))

    return act


def head(status: int, *headers: str) -> str:
    """Return the part of an answer before its body."""
    return _head(status, *headers).decode()


def _head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
