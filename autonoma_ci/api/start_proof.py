"""Decide whether a response proves that a start request started nothing.

A start request is sent again, or reported as not started, only if that is certain. Otherwise two runs could be started
and charged. A response is a proof only if its definition states that the server refused the request before it acted.

After every other status, the run may have started:

- 303 is the response to a processed POST (RFC 9110 §15.4.4). A server can use another 3xx in the same way.
- 408, 425, 499 and 5xx also come from gateways that gave up while the server was still working.
- 409 can mean that the run was started before.
- 503 means that the server can't handle the request now. It does not mean that the server did nothing (RFC 9110
  §15.6.4). Varnish sends it with `Retry-After: 5` for a slow server.

Source: RFC 9110 §15, RFC 6585, RFC 7725, and for the known message the vendor's own CI scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each status, and the definition that makes it a proof.
NOT_STARTED_STATUSES = {
    400: "RFC 9110 §15.5.1: the server will not process the request",
    401: "RFC 9110 §15.5.2: the request was not applied, because valid credentials are missing",
    402: "the API's contract: the account's quota is used up, nothing was started",
    403: "RFC 9110 §15.5.4: the server refuses to fulfil the request",
    404: "RFC 9110 §15.5.5: the resource does not exist",
    405: "RFC 9110 §15.5.6: the resource does not support POST",
    410: "RFC 9110 §15.5.11: the resource is gone",
    413: "RFC 9110 §15.5.14: the server refuses to process the content",
    414: "RFC 9110 §15.5.15: the server refuses to read the target",
    415: "RFC 9110 §15.5.16: the server refuses the content's format",
    421: "RFC 9110 §15.5.20: the server is not responsible for the target",
    422: "RFC 9110 §15.5.21: the server was unable to process the content",
    428: "RFC 6585 §3: the server requires a conditional request",
    429: "RFC 6585 §4: the limit on requests refused this one",
    431: "RFC 6585 §5: the server refuses to process such large headers",
    451: "RFC 7725 §3: the server denies access for legal reasons",
}
# Only after this status is a start request sent again.
RETRYABLE_STATUS = 429
# The status alone proves nothing. With this message it does, because the API checks its configuration before a start.
_KNOWN_MESSAGES = {500: frozenset({"device farm project arn is not configured"})}
# A response with one of these can be a proof. It is one only if no other bytes came that can be the real response.
CONCLUSIVE_STATUSES = NOT_STARTED_STATUSES.keys() | _KNOWN_MESSAGES.keys()


def proves_not_started(status: int, messages: Iterable[str]) -> bool:
    """Return whether a response proves that nothing was started.

    Args:
        status: The HTTP status.
        messages: The texts of the response's error fields. Only a complete field counts.
    """
    known_messages = _KNOWN_MESSAGES.get(status, frozenset())
    return status in NOT_STARTED_STATUSES or any(
        text.strip().rstrip(".!").lower() in known_messages for text in messages
    )
