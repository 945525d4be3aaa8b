"""List the responses that prove that a request to start a run did nothing.

A start must never be sent again, nor reported as not started, unless that is certain: a run that was started twice
costs twice. A response proves it only if its definition says that the server refused the request before it acted.

Every other status proves nothing. 303 is the answer to a POST that was processed (RFC 9110 §15.4.4), and a server may
use another 3xx the same way. 408, 425, 499 and 5xx also come from gateways that gave up while the server was still at
work. 409 may mean that the run was started before. 503 says that the server can't handle the request now, and does
not say that nothing was done (RFC 9110 §15.6.4): Varnish sends it with `Retry-After: 5` for a slow server.

Source: RFC 9110 §15, RFC 6585, RFC 7725, and for the sentence the vendor's own CI scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The status, and the definition that makes it a proof.
NOT_STARTED_STATUSES = {
    400: "RFC 9110 §15.5.1: the server will not process the request",
    401: "RFC 9110 §15.5.2: the request was not applied, as it lacks valid credentials",
    402: "the API's contract: the account's quota is used up, nothing was started",
    403: "RFC 9110 §15.5.4: the server refuses to fulfil the request",
    404: "RFC 9110 §15.5.5: there is no such resource",
    405: "RFC 9110 §15.5.6: the resource does not support POST",
    410: "RFC 9110 §15.5.11: the resource is gone",
    413: "RFC 9110 §15.5.14: the server refuses to process the content",
    414: "RFC 9110 §15.5.15: the server refuses to read the target",
    415: "RFC 9110 §15.5.16: the server refuses the content's format",
    421: "RFC 9110 §15.5.20: the request reached a server that does not answer for the target",
    422: "RFC 9110 §15.5.21: the server was unable to process the content",
    428: "RFC 6585 §3: the server requires a conditional request",
    429: "RFC 6585 §4: the limit on requests refused this one",
    431: "RFC 6585 §5: the server refuses to process such large headers",
    451: "RFC 7725 §3: the server denies access for legal reasons",
}
# The only status after which a start is sent again.
RETRYABLE_STATUS = 429
# A status that proves nothing, with a message that does: the API checks its configuration before it starts a run.
_KNOWN_MESSAGES = {500: frozenset({"device farm project arn is not configured"})}
# Each status with which a response may be a proof. It is one only if nothing else came that may be the real response.
CONCLUSIVE_STATUSES = NOT_STARTED_STATUSES.keys() | _KNOWN_MESSAGES.keys()


def proves_not_started(status: int, messages: Iterable[str]) -> bool:
    """Say whether a response proves that nothing was started.

    Args:
        status: The HTTP status.
        messages: The texts of the response's error fields. Only a whole field counts, not a part of one.
    """
    known_messages = _KNOWN_MESSAGES.get(status, frozenset())
    return status in NOT_STARTED_STATUSES or any(
        text.strip().rstrip(".!").lower() in known_messages for text in messages
    )
