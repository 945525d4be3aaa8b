"""Define the failures of the API that send complete responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.faults.kind import Kind, Phase
from tests.faults.network import exchange
from tests.support.faults import answer

if TYPE_CHECKING:
    from tests.faults.kind import Deed
    from tests.faults.scene import Scene
    from tests.support.fault_server import Act, Wire

_API = "API"
_UNKNOWN = {Phase.START: 7, Phase.WAIT: 7}
_LOGIN = answer(200, "<html><title>Log in</title></html>", "Content-Type: text/html")
_HOSTILE = "::error::x\r\n::set-output name=conclusion::passed\n##[error]y\x1b[31m\u202e<script>alert(1)</script>"
_SAID = json.dumps(dict.fromkeys(("error", "message", "run_id", "url", "status"), _HOSTILE))
_ELSEWHERE = "Location: https://example.com/"


def _answered(name: str, status: int, start: int, wait: int = 7, body: str = "{}", *headers: str) -> Kind:
    return exchange(name, answer(status, body, *headers), start, wait, group=_API, declines=start in {3, 4, 5})


def _refused(name: str, status: int) -> Kind:
    """Return a kind that is believed at once, wherever it ends a run."""
    codes = dict.fromkeys((Phase.START, Phase.BRIEFLY, Phase.WAIT), 3)
    return Kind(_API, name, codes, exchange=lambda scene, right: answer(status, "{}"), declines=True)


def _at_first(status: int) -> Deed:
    """Refuse what comes first, and then take it."""

    def deed(scene: Scene, right: Act) -> Act:
        def act(wire: Wire) -> bool:
            first = scene.dealt(wire.request) == 1
            return (answer(status, "{}", "Retry-After: 0") if first else right)(wire)

        return act

    return deed


def _repeats(status: int) -> Deed:
    """Say again all that was sent, in every field."""

    def act(wire: Wire) -> bool:
        request = wire.request
        said = f"{request.method} {request.path} {dict(request.headers)} {request.body.decode()}"
        fields = ("error", "message", "run_id", "url", "status", "name")
        return answer(status, json.dumps(dict.fromkeys(fields, said)))(wire)

    return lambda scene, right: act


KINDS = [
    _refused("401", 401),
    _refused("403", 403),
    _answered("403 that names the quota", 403, 5, 7, '{"message": "The quota of this account is used up"}'),
    _answered("404", 404, 4, 4),
    _answered("422", 422, 5),
    _answered("429 for ever", 429, 5, 7, "{}", "Retry-After: 3600"),
    Kind(_API, "429 once", exchange=_at_first(429), posts=2),
    Kind(_API, "503 with Retry-After, once", {Phase.START: 7}, exchange=_at_first(503)),
    _answered("503 with Retry-After", 503, 7, 7, "{}", "Retry-After: 1"),
    _answered("503 without Retry-After", 503, 7),
    _answered("402, payment required", 402, 5),
    _answered("408", 408, 7),
    _answered("409", 409, 7),
    _answered("500", 500, 7),
    _answered("502", 502, 7, 7, "<html>"),
    _answered("504", 504, 7),
    _answered("500, no device farm configured", 500, 5, 7, '{"message": "Device Farm Project ARN is not configured"}'),
    _answered("a redirect", 307, 7, 7, "", _ELSEWHERE),
    _answered("a redirect after the act", 303, 7, 7, "", _ELSEWHERE),
    exchange("a web page (login) with 200", _LOGIN, group=_API),
    _answered("an empty answer", 200, 7, 7, ""),
    _answered("an answer of another type", 200, 7, 7, "[1, null]"),
    _answered("fields of other types", 200, 7, 7, '{"run_id": [5], "url": ["x"], "status": {}, "id": "x"}'),
    _answered("nothing but hostile text", 200, 7, 7, _SAID),
    Kind(_API, "200 that repeats all that it was sent", _UNKNOWN, exchange=_repeats(200)),
    Kind(_API, "500 that repeats all that it was sent", _UNKNOWN, exchange=_repeats(500)),
    _answered("an answer nested 100,000 deep", 200, 7, 7, "[" * 100_000),
]  # fmt: skip
