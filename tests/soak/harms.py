"""What goes wrong in the simulation: each kind of answer, error and silence that the client tells apart.

401 and 403 are not among them, nor a certificate that can't be trusted, nor a Retry-After of hours: each of these ends
the whole job, as it should, and there would be no load any more. tests/faults has them.
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from tests.soak.ledger import Told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

# What comes of a request: an answer, or the error that stands for none.
Came = HttpResponse | ResponseLostError | RequestNotSentError


def answer(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a whole answer with a body of JSON."""
    return HttpResponse(status, headers or {}, json.dumps(body or {"error": "No"}).encode(), is_complete=True)


class Harm(NamedTuple):
    """One way for an exchange to go wrong.

    `came` None is the answer that would have come anyway; `longer` is how many seconds more it takes. Of a start,
    `told` is what the sender comes to know, and `arrives` whether the server acts on it. What takes long is rare:
    more of it, and hardly anything else would be under way.
    """

    came: Came | None
    told: Told = Told.NOTHING
    arrives: bool = False
    longer: float = 0.0

    @property
    def weight(self) -> float:
        return 0.2 if self.longer else 1.0


RESET = ResponseLostError("the connection ended")
LATE = ResponseLostError("too late", timed_out=True)
REFUSED = RequestNotSentError("refused", retryable=True)
CUT = HttpResponse(200, {}, b'{"run_id": "cut", "status": "passed"', is_complete=False)

STARTS = {
    "connection refused": Harm(REFUSED, Told.AGAIN),
    "429": Harm(answer(429), Told.AGAIN),
    "429, Retry-After": Harm(answer(429, headers={"Retry-After": "2"}), Told.AGAIN),
    # Varnish says this while the server is at work on the request.
    "503, Retry-After": Harm(answer(503, headers={"Retry-After": "1"}), arrives=True),
    "302": Harm(answer(302, headers={"Location": "https://elsewhere.example/"})),
    "303 after the act": Harm(answer(303, headers={"Location": "https://elsewhere.example/"}), arrives=True),
    "400": Harm(answer(400), Told.NO),
    "404": Harm(answer(404), Told.NO),
    "500": Harm(answer(500), arrives=True),
    "502": Harm(answer(502)),
    "503": Harm(answer(503)),
    "504": Harm(answer(504), arrives=True),
    "reset before it arrived": Harm(RESET),
    "reset after it arrived": Harm(RESET, arrives=True),
    "answer cut short": Harm(CUT, arrives=True),
    "answer that names no run": Harm(answer(200, {"message": "ok"}), arrives=True),
    "no answer in 90 s": Harm(LATE, arrives=True, longer=90.0),
    "silence": Harm(RESET, arrives=True, longer=inf),
    "answer after 40 s": Harm(None, Told.STARTED, arrives=True, longer=40.0),
    # Given up by then, which takes 120 s.
    "answer after 150 s": Harm(None, Told.STARTED, arrives=True, longer=150.0),
}
QUESTIONS = {
    "connection refused": Harm(REFUSED),
    "429": Harm(answer(429)),
    "429, Retry-After": Harm(answer(429, headers={"Retry-After": "1"})),
    "503": Harm(answer(503)),
    "500": Harm(answer(500, {"status": "passed"})),
    "404 at first": Harm(answer(404, {"status": "passed"})),
    "reset": Harm(RESET),
    "answer cut short": Harm(CUT),
    "answer that is no JSON": Harm(HttpResponse(200, {}, b"passed", is_complete=True)),
    "word that is not known": Harm(answer(200, {"status": "evaporating"})),
    "no word": Harm(answer(200, {"status": None, "result": "passed"})),
    "no answer in 30 s": Harm(LATE, longer=30.0),
    "silence": Harm(RESET, longer=inf),
    # Given up by then, which takes 45 s; an end that is told so late counts all the same.
    "answer after 60 s": Harm(None, Told.STARTED, longer=60.0),
}


def one_of(harms: Mapping[str, Harm], random: Random) -> str:
    """Return the name of one of them."""
    return random.choices([*harms], [harm.weight for harm in harms.values()])[0]
