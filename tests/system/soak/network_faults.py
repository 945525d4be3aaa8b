"""Faults of connections.

HTTP 401 and 403 are missing, because each ends the whole job. tests/system/faults covers them.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests.support import faults
from tests.system.soak.ground_truth import KnownResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.support.fault_server import Connection, RequestHandler

# Gets the connection, the response of the sandbox, a random generator and the maximum delay in seconds.
# Returns whether the connection stays open.
FaultHandler: TypeAlias = "Callable[[Connection, bytes, Random, float], bool]"


class NetworkFault(NamedTuple):
    """One fault of an exchange."""

    handler: FaultHandler
    known_result: KnownResult = KnownResult.INDETERMINATE  # STARTED if the whole response arrives in the end
    reaches_server: bool = False  # whether the sandbox acts on the request
    before_read: bool = False  # whether the fault occurs before the request is read
    weight: float = 1.0


def choose_fault(table: Mapping[str, NetworkFault], random: Random) -> str:
    """Return the name of a random fault."""
    return random.choices([*table], [fault.weight for fault in table.values()])[0]


def _adapt_handler(handler: RequestHandler) -> FaultHandler:
    return lambda connection, data, random, max_delay: handler(connection)


def _send_status(status: int, *headers: str) -> FaultHandler:
    # The client must trust only the status, not the body.
    return _adapt_handler(
        faults.send_response(status, '{"error": "No", "run_id": "none", "status": "passed"}', *headers)
    )


def _close_unread(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    with suppress(OSError):
        connection.socket.shutdown(socket.SHUT_WR)
    return False


def _send_half_head(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    connection.send(data[: random.randrange(1, data.index(b"\r\n\r\n"))])
    return False


def _send_half_body(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    connection.send(data[: random.randrange(data.index(b"\r\n\r\n") + 4, len(data))])
    return False


def _send_bad_chunk(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    body = data.partition(b"\r\n\r\n")[2]
    connection.send(
        faults.make_head(200, "Transfer-Encoding: chunked").encode() + b"%x\r\n%b\r\nnone\r\n" % (len(body), body)
    )
    return False


def _hang(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    connection.pause(random.uniform(0.2, 1.0) * max_delay)
    return False


def _send_slowly(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    connection.send_slowly(data, random.uniform(0.2, 1.0) * min(3.0, max_delay) / len(data))
    return True


def _send_late(connection: Connection, data: bytes, random: Random, max_delay: float) -> bool:
    return not connection.pause(random.uniform(0.2, 1.0) * min(6.0, max_delay)) and connection.send(data)


_LOST_RESPONSES = {
    "closed unread": NetworkFault(_close_unread, before_read=True),
    "reset unread": NetworkFault(_adapt_handler(faults.reset), before_read=True),
    "closed when read": NetworkFault(_adapt_handler(faults.close)),
    "reset when read": NetworkFault(_adapt_handler(faults.reset)),
    "closed after the act": NetworkFault(_adapt_handler(faults.close), reaches_server=True),
    "reset after the act": NetworkFault(_adapt_handler(faults.reset), reaches_server=True),
    "half a head": NetworkFault(_send_half_head, reaches_server=True),
    "half a body": NetworkFault(_send_half_body, reaches_server=True),
    "bad chunk": NetworkFault(_send_bad_chunk, reaches_server=True),
    "page of a proxy": NetworkFault(
        _adapt_handler(faults.send_response(200, "<html>Log in</html>")), reaches_server=True
    ),
    # Slow faults are rare, because they would block all workers.
    "hang": NetworkFault(_hang, reaches_server=True, weight=0.3),
    "500": NetworkFault(_send_status(500)),
    "500 after the act": NetworkFault(_send_status(500), reaches_server=True),
    "502": NetworkFault(_send_status(502)),
    "504 after the act": NetworkFault(_send_status(504), reaches_server=True),
}
_SLOW_RESPONSES = {
    "drip": NetworkFault(_send_slowly, KnownResult.STARTED, reaches_server=True),
    "late": NetworkFault(_send_late, KnownResult.STARTED, reaches_server=True),
}
# These are rare, because each one makes the command send fewer requests for a while.
_RATE_LIMITS = {
    "429": NetworkFault(_send_status(429), KnownResult.RETRYABLE, weight=0.3),
    "429, Retry-After": NetworkFault(_send_status(429, "Retry-After: 1"), KnownResult.RETRYABLE, weight=0.3),
}
_UNAVAILABLE = {
    "503": NetworkFault(_send_status(503)),
    # Varnish can send this while the server still processes the request.
    "503, Retry-After": NetworkFault(_send_status(503, "Retry-After: 0"), reaches_server=True),
}
START_FAULTS = {
    **_LOST_RESPONSES,
    **_SLOW_RESPONSES,
    **_RATE_LIMITS,
    **_UNAVAILABLE,
    "302": NetworkFault(_adapt_handler(faults.send_response(302, "", "Location: http://127.0.0.2/"))),
    "303 after the act": NetworkFault(
        _adapt_handler(faults.send_response(303, "", "Location: http://127.0.0.2/")), reaches_server=True
    ),
    "400": NetworkFault(_send_status(400), KnownResult.REJECTED),
}
POLL_FAULTS = {
    **_LOST_RESPONSES,
    **_SLOW_RESPONSES,
    **{name: fault._replace(weight=0.1) for name, fault in (_RATE_LIMITS | _UNAVAILABLE).items()},
    "404 at first": NetworkFault(_send_status(404)),
    "unknown word": NetworkFault(_adapt_handler(faults.send_response(200, '{"status": "evaporating"}'))),
}
