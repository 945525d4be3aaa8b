"""What goes wrong on the wire; each kind says what the sender comes to know by it.

401 and 403 are not among them: each ends the whole job, as it should, and there would be no load any more.
tests/faults has them.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests.soak.ledger import Told
from tests.support import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.support.fault_server import Act, Wire

# Deals with an exchange; is given the sandbox's answer, chance, and for how many seconds anything hangs at most.
# Says whether the connection is kept.
Harm: TypeAlias = "Callable[[Wire, bytes, Random, float], bool]"


class Trouble(NamedTuple):
    """One way for an exchange to go wrong.

    `unread`: before the request is read; `passes`: after the sandbox acted. `told` is STARTED where the
    sandbox's whole answer goes through in the end.
    """

    act: Harm
    told: Told = Told.NOTHING
    passes: bool = False
    unread: bool = False
    weight: float = 1.0


def one_of(troubles: Mapping[str, Trouble], random: Random) -> str:
    """Return the name of one of them."""
    return random.choices([*troubles], [trouble.weight for trouble in troubles.values()])[0]


def _plain(act: Act) -> Harm:
    return lambda wire, data, random, longest: act(wire)


def _says(status: int, *headers: str) -> Harm:
    # Nothing of this may be believed but the status.
    return _plain(faults.answer(status, '{"error": "No", "run_id": "none", "status": "passed"}', *headers))


def _closed_unread(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    with suppress(OSError):
        wire.socket.shutdown(socket.SHUT_WR)
    return False


def _half_a_head(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    wire.send(data[: random.randrange(1, data.index(b"\r\n\r\n"))])
    return False


def _half_a_body(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    wire.send(data[: random.randrange(data.index(b"\r\n\r\n") + 4, len(data))])
    return False


def _bad_chunk(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    body = data.partition(b"\r\n\r\n")[2]
    wire.send(faults.head(200, "Transfer-Encoding: chunked").encode() + b"%x\r\n%b\r\nnone\r\n" % (len(body), body))
    return False


def _hang(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    wire.pause(random.uniform(0.2, 1.0) * longest)
    return False


def _drip(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    wire.drip(data, random.uniform(0.2, 1.0) * min(3.0, longest) / len(data))
    return True


def _late(wire: Wire, data: bytes, random: Random, longest: float) -> bool:
    return not wire.pause(random.uniform(0.2, 1.0) * min(6.0, longest)) and wire.send(data)


_LOST = {
    "closed unread": Trouble(_closed_unread, unread=True),
    "reset unread": Trouble(_plain(faults.reset), unread=True),
    "closed when read": Trouble(_plain(faults.close)),
    "reset when read": Trouble(_plain(faults.reset)),
    "closed after the act": Trouble(_plain(faults.close), passes=True),
    "reset after the act": Trouble(_plain(faults.reset), passes=True),
    "half a head": Trouble(_half_a_head, passes=True),
    "half a body": Trouble(_half_a_body, passes=True),
    "bad chunk": Trouble(_bad_chunk, passes=True),
    "page of a proxy": Trouble(_plain(faults.answer(200, "<html>Log in</html>")), passes=True),
    # Of those that take long there are fewer, or hardly anything else would be under way.
    "hang": Trouble(_hang, passes=True, weight=0.3),
    "500": Trouble(_says(500)),
    "500 after the act": Trouble(_says(500), passes=True),
    "502": Trouble(_says(502)),
    "504 after the act": Trouble(_says(504), passes=True),
}
_WHOLE = {
    "drip": Trouble(_drip, Told.STARTED, passes=True),
    "late": Trouble(_late, Told.STARTED, passes=True),
}
# Each of these makes the command send less for a while: with as many of them, little load would be left.
_NOT_NOW = {
    "429": Trouble(_says(429), Told.AGAIN, weight=0.3),
    "429, Retry-After": Trouble(_says(429, "Retry-After: 1"), Told.AGAIN, weight=0.3),
}
_NOT_SERVING = {
    "503": Trouble(_says(503)),
    # Varnish says this while the server is at work on the request.
    "503, Retry-After": Trouble(_says(503, "Retry-After: 0"), passes=True),
}
POSTS = {
    **_LOST,
    **_WHOLE,
    **_NOT_NOW,
    **_NOT_SERVING,
    "302": Trouble(_plain(faults.answer(302, "", "Location: http://127.0.0.2/"))),
    "303 after the act": Trouble(_plain(faults.answer(303, "", "Location: http://127.0.0.2/")), passes=True),
    "400": Trouble(_says(400), Told.NO),
}
GETS = {
    **_LOST,
    **_WHOLE,
    **{name: trouble._replace(weight=0.1) for name, trouble in (_NOT_NOW | _NOT_SERVING).items()},
    "404 at first": Trouble(_says(404)),
    "unknown word": Trouble(_plain(faults.answer(200, '{"status": "evaporating"}'))),
}
