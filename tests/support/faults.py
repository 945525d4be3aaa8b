"""Request handlers of the fault server.

Each one handles a request, and returns whether the connection stays open.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.fault_server import Connection, RequestHandler

_MEGABYTE = b"x" * 1024 * 1024


def send_started_run(connection: Connection) -> bool:
    """Respond with a run whose id has the id of the request."""
    run_id = f"run-of-{connection.request.target_id}"
    body = {"message": "started", "url": f"https://autonoma.app/run/{run_id}", "run_id": run_id}
    return send_response(200, json.dumps(body))(connection)


def send_response(status: int, body: str | bytes = b"", *headers: str) -> RequestHandler:
    """Send a complete response."""

    def handler(connection: Connection) -> bool:
        return connection.send(_encode_head(status, *headers, f"Content-Length: {len(_encode(body))}") + _encode(body))

    return handler


def delay(seconds: float, handler: RequestHandler) -> RequestHandler:
    """Call a handler after a delay."""
    return lambda connection: not connection.pause(seconds) and handler(connection)


def delay_until_data(handler: RequestHandler) -> RequestHandler:
    """Call a handler after the client has sent data, which stays unread."""
    return lambda connection: connection.await_data() and handler(connection)


def close_after(handler: RequestHandler) -> RequestHandler:
    """Call a handler, and close a keep-alive connection."""

    def handle_and_close(connection: Connection) -> bool:
        handler(connection)
        return False

    return handle_and_close


def send_raw(data: str | bytes) -> RequestHandler:
    """Send raw bytes, and close."""

    def handler(connection: Connection) -> bool:
        connection.send(_encode(data))
        return False

    return handler


def close(connection: Connection) -> bool:
    """Close without a response."""
    return False


def reset(connection: Connection) -> bool:
    """Reset the connection."""
    connection.reset()
    return False


def hang(connection: Connection) -> bool:
    """Send no response."""
    connection.hang()
    return False


def send_slowly(data: str, interval_seconds: float = 0.05) -> RequestHandler:
    """Send one byte at a time."""

    def handler(connection: Connection) -> bool:
        connection.send_slowly(data.encode(), interval_seconds)
        return False

    return handler


def send_half_body() -> RequestHandler:
    """Send a valid response with a Content-Length that is too long."""
    body = b'{"run_id": "run-of-half", "url": "https://autonoma.app/run/run-of-half"}'
    return send_raw(_encode_head(200, f"Content-Length: {len(body) + 100}") + body)


def send_bad_chunk() -> RequestHandler:
    """Send a valid response with an invalid second chunk."""
    chunk = b'{"run_id": "run-of-chunk"}'
    return send_raw(
        _encode_head(200, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\nno-number\r\n" % (len(chunk), chunk)
    )


def send_huge_body(status: int = 200, *headers: str, megabytes: int = 50) -> RequestHandler:
    """Send a huge body for as long as the client reads."""

    def handler(connection: Connection) -> bool:
        connection.send(_encode_head(status, *headers, f"Content-Length: {megabytes * len(_MEGABYTE)}"))
        return all(connection.send(_MEGABYTE) for _ in range(megabytes))

    return handler


def make_head(status: int, *headers: str) -> str:
    """Return the head of a response."""
    return _encode_head(status, *headers).decode()


def _encode_head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _encode(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
