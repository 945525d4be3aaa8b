"""Define the faults of the API that send complete responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.faults import send_response
from tests.system.faults.fault_case import FaultCase, Phase
from tests.system.faults.network_faults import make_request_fault

if TYPE_CHECKING:
    from tests.support.fault_server import Connection, RequestHandler
    from tests.system.faults.fault_case import RequestFault
    from tests.system.faults.harness import FaultScenario

_API = "API"
_UNKNOWN_CODES = {Phase.START: 7, Phase.WAIT: 7}
_LOGIN_PAGE = send_response(200, "<html><title>Log in</title></html>", "Content-Type: text/html")
_HOSTILE_TEXT = "::error::x\r\n::set-output name=conclusion::passed\n##[error]y\x1b[31m\u202e<script>alert(1)</script>"
_HOSTILE_BODY = json.dumps(dict.fromkeys(("error", "message", "run_id", "url", "status"), _HOSTILE_TEXT))
_REDIRECT_HEADER = "Location: https://example.com/"


def _make_response_fault(
    name: str, status: int, start_code: int, wait_code: int = 7, body: str = "{}", *headers: str
) -> FaultCase:
    return make_request_fault(
        name,
        send_response(status, body, *headers),
        start_code,
        wait_code,
        group=_API,
        proves_not_started=start_code in {3, 4, 5},
    )


def _make_credential_fault(name: str, status: int) -> FaultCase:
    """Return a rejection that ends the run at once in each phase."""
    codes = dict.fromkeys((Phase.START, Phase.SHORT_WAIT, Phase.WAIT), 3)
    return FaultCase(
        _API,
        name,
        codes,
        request_fault=lambda scenario, correct_handler: send_response(status, "{}"),
        proves_not_started=True,
    )


def _reject_first(status: int) -> RequestFault:
    """Reject the first request and accept the next ones."""

    def make_handler(scenario: FaultScenario, correct_handler: RequestHandler) -> RequestHandler:
        def handler(connection: Connection) -> bool:
            is_first = scenario.count_request(connection.request) == 1
            return (send_response(status, "{}", "Retry-After: 0") if is_first else correct_handler)(connection)

        return handler

    return make_handler


def _echo_request(status: int) -> RequestFault:
    """Return the whole request in each field of the response."""

    def handler(connection: Connection) -> bool:
        request = connection.request
        request_text = f"{request.method} {request.path} {dict(request.headers)} {request.body.decode()}"
        fields = ("error", "message", "run_id", "url", "status", "name")
        return send_response(status, json.dumps(dict.fromkeys(fields, request_text)))(connection)

    return lambda scenario, correct_handler: handler


FAULT_CASES = [
    _make_credential_fault("401", 401),
    _make_credential_fault("403", 403),
    _make_response_fault("403 that names the quota", 403, 5, 7, '{"message": "The quota of this account is used up"}'),
    _make_response_fault("404", 404, 4, 4),
    _make_response_fault("422", 422, 5),
    _make_response_fault("429 always", 429, 5, 7, "{}", "Retry-After: 3600"),
    FaultCase(_API, "429 once", request_fault=_reject_first(429), max_posts=2),
    FaultCase(_API, "503 with Retry-After, once", {Phase.START: 7}, request_fault=_reject_first(503)),
    _make_response_fault("503 with Retry-After", 503, 7, 7, "{}", "Retry-After: 1"),
    _make_response_fault("503 without Retry-After", 503, 7),
    _make_response_fault("402, payment required", 402, 5),
    _make_response_fault("408", 408, 7),
    _make_response_fault("409", 409, 7),
    _make_response_fault("500", 500, 7),
    _make_response_fault("502", 502, 7, 7, "<html>"),
    _make_response_fault("504", 504, 7),
    _make_response_fault(
        "500, no device farm configured", 500, 5, 7, '{"message": "Device Farm Project ARN is not configured"}'
    ),
    _make_response_fault("a redirect", 307, 7, 7, "", _REDIRECT_HEADER),
    _make_response_fault("a redirect after the start", 303, 7, 7, "", _REDIRECT_HEADER),
    make_request_fault("a web page (login) with 200", _LOGIN_PAGE, group=_API),
    _make_response_fault("an empty response", 200, 7, 7, ""),
    _make_response_fault("a response of another type", 200, 7, 7, "[1, null]"),
    _make_response_fault("fields of other types", 200, 7, 7, '{"run_id": [5], "url": ["x"], "status": {}, "id": "x"}'),
    _make_response_fault("only hostile text", 200, 7, 7, _HOSTILE_BODY),
    FaultCase(_API, "200 that repeats the request", _UNKNOWN_CODES, request_fault=_echo_request(200)),
    FaultCase(_API, "500 that repeats the request", _UNKNOWN_CODES, request_fault=_echo_request(500)),
    _make_response_fault("a response nested 100,000 deep", 200, 7, 7, "[" * 100_000),
]
