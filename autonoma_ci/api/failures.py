"""Why no answer came, in words a user can act on: found in the chain of causes that libraries wrap it in.

Source: the errors of requests, urllib3, ssl and the operating system, as they are raised, RFC 9110 §15 for what a proxy
answers to CONNECT, and RFC 8446 §6 for the alerts of TLS.
"""

from __future__ import annotations

import http
import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
    ProxyError,
    TimeoutError,  # noqa: A004 - urllib3's own
)

from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# A proxy that answers CONNECT with one of these may let the next one through. Any other answer lasts.
_PASSING_STATUSES = frozenset({"408", "429", "500", "502", "503", "504"})
# How ssl calls a connection that ended within the handshake.
_ENDED_EARLY = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
# Failures of a handshake that last. Any other failure may pass: a damaged record (alerts 10, 20, 22, 50 and their like,
# or an error found here) and a server without its configuration (80, 112) say nothing of the next handshake.
# - Alerts 40, 70 and 71: the two sides have no parameters or no version of TLS in common (RFC 8446 §6.2), which is a
#   matter of their configuration. The names behind them are the same, found by this side.
# - Alerts 42 to 46, 48, 49 and 116: the other side does not accept this side, or the authority of its certificate.
# - What follows is no TLS, as with plain HTTP on the port. Since OpenSSL 3.2 that is `record layer failure`, and some
#   versions of Python know no name for it. There a damaged record has the same name, and so lasts too.
_LASTING_REASONS = re.compile(
    "ALERT_(?:HANDSHAKE_FAILURE|PROTOCOL_VERSION|INSUFFICIENT_SECURITY|UNKNOWN_CA|ACCESS_DENIED)$"
    "|ALERT_(?:\\w+_)?CERTIFICATE(?:_\\w+)?$"
    "|^(?:UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|UNSAFE_LEGACY_RENEGOTIATION_DISABLED|\\w+_KEY_TOO_SMALL)$"
    "|^(?:WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST)$"
    "|record.layer.failure",
    re.IGNORECASE,
)
# Where OpenSSL reads the file of trusted authorities. It is the same for each connection.
_FILE_LIBRARIES = frozenset({"X509", "PEM"})


class NotSentError(Exception):
    """No connection was made, so nothing arrived; `passing` says whether trying again may help."""

    def __init__(self, text: str, *, passing: bool) -> None:
        self.passing = passing
        super().__init__(text)


class LostError(Exception):
    """A connection was made and no usable answer came: the request may have arrived. `late`: it took too long."""

    def __init__(self, text: str, *, late: bool = False) -> None:
        self.late = late
        super().__init__(text)


class InvalidResponseError(http.client.HTTPException):
    """A response that proves nothing, since it is cut short or not in the form of HTTP. Its text is for the user."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def release_frames(error: BaseException) -> None:
    """Let go of the frames that an error and its causes passed through, with the request and the session in them.

    urllib3 keeps its error in a variable of the frame that the error's traceback leads to. Such a cycle lives until
    Python collects garbage: during an outage that is 18 KiB for each request, which hold the credentials too.
    """
    for cause in _causes(error):
        cause.__traceback__ = None


def not_sent(error: Exception, host: str) -> NotSentError:
    """Return why no connection to the host could be made, or to the proxy in front of it."""
    causes = list(_causes(error))
    # Only until the proxy has let us through does urllib3 blame the proxy.
    peer = "the proxy" if any(isinstance(cause, ProxyError) for cause in causes) else one_line(host, 200)
    host = one_line(host, 200)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            # OpenSSL's own words, without the name of the host.
            why = one_line(cause.verify_message.partition(", certificate is not valid for")[0], 200)
            return NotSentError(f"the certificate of {peer} can't be trusted ({why})", passing=False)
        if isinstance(cause, ssl.SSLError):
            return _handshake_failure(cause, peer)
        if isinstance(cause, socket.gaierror):
            return NotSentError(f"the name of {peer} could not be resolved", passing=True)
        if isinstance(cause, ConnectionRefusedError):
            return NotSentError(f"{peer} refused the connection", passing=True)
        if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed: "):
            # Its own reason phrase may hold anything.
            why = _status_line(str(cause).partition(": ")[2])
            passing = why.partition(" ")[0] in _PASSING_STATUSES
            return NotSentError(f"the proxy did not connect to {host} ({why})", passing=passing)
        # urllib3 derives the one that says no from the one that says nothing.
        if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
            return NotSentError(f"{peer} did not answer the connection in time", passing=True)
    return NotSentError(f"no connection to {peer} could be made", passing=True)


def _handshake_failure(error: ssl.SSLError, peer: str) -> NotSentError:
    """Return how the TLS handshake failed, and whether the next one may succeed."""
    if isinstance(error, _ENDED_EARLY):
        return NotSentError(f"the TLS handshake with {peer} ended early", passing=True)
    # An error that Python itself raises has neither attribute.
    reason, library = getattr(error, "reason", None), getattr(error, "library", None)
    if library in _FILE_LIBRARIES or _LASTING_REASONS.search(reason or str(error)):
        return NotSentError(f"no secure connection to {peer} could be made{_why(reason)}", passing=False)
    return NotSentError(f"the TLS handshake with {peer} failed{_why(reason)}", passing=True)


def _why(reason: str | None) -> str:
    """Return OpenSSL's name of an error as words in brackets."""
    return f" ({reason.replace('_', ' ').lower()})" if reason and re.fullmatch(r"\w{1,80}", reason, re.ASCII) else ""


def _status_line(text: str) -> str:
    """Return the status code that a text begins with, and the phrase that RFC 9110 has for it."""
    code = text.partition(" ")[0]
    phrases = {str(status.value): f"{status.value} {status.phrase}" for status in http.HTTPStatus}
    return phrases.get(code, f"HTTP {code}" if re.fullmatch("[0-9]{3}", code) else "no HTTP status")


def not_guarded() -> NotSentError:
    """Return why no request was sent: nothing could have ended it in time."""
    return NotSentError("no thread could be made: the number of processes or the memory is limited", passing=True)


def unsendable() -> NotSentError:
    """Return why a request was given up before any connection was tried."""
    text = "no request could be made: check api-url, the proxy settings and REQUESTS_CA_BUNDLE"
    return NotSentError(text, passing=False)


def lost(error: Exception, *, late: bool = False) -> LostError:
    """Return how the answer was lost. `late`: we ended the request ourselves, as it took too long."""
    causes = list(_causes(error))
    if late or any(isinstance(cause, TimeoutError | OSError) and "timed out" in str(cause) for cause in causes):
        return LostError("no answer came in time", late=True)
    for cause in causes:
        if isinstance(cause, InvalidResponseError):
            return LostError(str(cause))
    return LostError("the connection ended before an answer came")
