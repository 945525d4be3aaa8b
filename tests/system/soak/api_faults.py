"""Faults of the simulation.

HTTP 401 and 403, invalid certificates and a Retry-After of hours are missing, because each ends the whole job.
tests/system/faults covers them.
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from tests.system.soak.ground_truth import KnownResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

# A response, or the error that replaces it.
Response = HttpResponse | ResponseLostError | RequestNotSentError


def make_response(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a complete response with a JSON body."""
    return HttpResponse(status, headers or {}, json.dumps(body or {"error": "No"}).encode(), is_complete=True)


class SimulatedFault(NamedTuple):
    """One fault of an exchange."""

    response: Response | None  # None: the regular response
    known_result: KnownResult = KnownResult.INDETERMINATE  # what the client knows after a start request
    reaches_server: bool = False  # whether the server acts on a start request
    extra_seconds: float = 0.0

    @property
    def weight(self) -> float:
        """Relative frequency. Slow faults are rare, because they would block all workers."""
        return 0.2 if self.extra_seconds else 1.0


RESET = ResponseLostError("the connection ended")
TIMED_OUT = ResponseLostError("too late", timed_out=True)
REFUSED = RequestNotSentError("refused", retryable=True)
TRUNCATED = HttpResponse(200, {}, b'{"run_id": "cut", "status": "passed"', is_complete=False)

START_FAULTS = {
    "connection refused": SimulatedFault(REFUSED, KnownResult.RETRYABLE),
    "429": SimulatedFault(make_response(429), KnownResult.RETRYABLE),
    "429, Retry-After": SimulatedFault(make_response(429, headers={"Retry-After": "2"}), KnownResult.RETRYABLE),
    # Varnish can send this while the server still processes the request.
    "503, Retry-After": SimulatedFault(make_response(503, headers={"Retry-After": "1"}), reaches_server=True),
    "302": SimulatedFault(make_response(302, headers={"Location": "https://elsewhere.example/"})),
    "303 after the act": SimulatedFault(
        make_response(303, headers={"Location": "https://elsewhere.example/"}), reaches_server=True
    ),
    "400": SimulatedFault(make_response(400), KnownResult.REJECTED),
    "404": SimulatedFault(make_response(404), KnownResult.REJECTED),
    "500": SimulatedFault(make_response(500), reaches_server=True),
    "502": SimulatedFault(make_response(502)),
    "503": SimulatedFault(make_response(503)),
    "504": SimulatedFault(make_response(504), reaches_server=True),
    "reset before it arrived": SimulatedFault(RESET),
    "reset after it arrived": SimulatedFault(RESET, reaches_server=True),
    "answer cut short": SimulatedFault(TRUNCATED, reaches_server=True),
    "answer that names no run": SimulatedFault(make_response(200, {"message": "ok"}), reaches_server=True),
    "no answer in 90 s": SimulatedFault(TIMED_OUT, reaches_server=True, extra_seconds=90.0),
    "silence": SimulatedFault(RESET, reaches_server=True, extra_seconds=inf),
    "answer after 40 s": SimulatedFault(None, KnownResult.STARTED, reaches_server=True, extra_seconds=40.0),
    # The client has given up after 120 s.
    "answer after 150 s": SimulatedFault(None, KnownResult.STARTED, reaches_server=True, extra_seconds=150.0),
}
POLL_FAULTS = {
    "connection refused": SimulatedFault(REFUSED),
    "429": SimulatedFault(make_response(429)),
    "429, Retry-After": SimulatedFault(make_response(429, headers={"Retry-After": "1"})),
    "503": SimulatedFault(make_response(503)),
    "500": SimulatedFault(make_response(500, {"status": "passed"})),
    "404 at first": SimulatedFault(make_response(404, {"status": "passed"})),
    "reset": SimulatedFault(RESET),
    "answer cut short": SimulatedFault(TRUNCATED),
    "answer that is no JSON": SimulatedFault(HttpResponse(200, {}, b"passed", is_complete=True)),
    "word that is not known": SimulatedFault(make_response(200, {"status": "evaporating"})),
    "no word": SimulatedFault(make_response(200, {"status": None, "result": "passed"})),
    "no answer in 30 s": SimulatedFault(TIMED_OUT, extra_seconds=30.0),
    "silence": SimulatedFault(RESET, extra_seconds=inf),
    # The client has given up after 45 s, but a late final status counts.
    "answer after 60 s": SimulatedFault(None, KnownResult.STARTED, extra_seconds=60.0),
}


def choose_fault(faults: Mapping[str, SimulatedFault], random: Random) -> str:
    """Return the name of a random fault."""
    return random.choices([*faults], [fault.weight for fault in faults.values()])[0]
