"""Convert errors of requests into reasons, hints and retry decisions.

The libraries wrap the cause of a failure in other errors, so the chain of causes is searched.

Source: the errors of requests, urllib3, ssl and the operating system, RFC 9110 §15 for a proxy's response to CONNECT,
RFC 8446 §6 for TLS alerts, and OpenSSL's documentation, "X509_STORE_CTX_get_error".
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

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.net.certificates import configured_ca_file, find_ca_fault
from autonoma_ci.startup import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

# After one of these responses to CONNECT, the next attempt can succeed. Any other response is permanent.
_RETRYABLE_PROXY_STATUSES = frozenset({"408", "429", "500", "502", "503", "504"})
# Errors of ssl for a connection that ended within the handshake.
_EARLY_END_ERRORS = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
# The port does not use TLS, but for example plain HTTP.
_NOT_TLS_PATTERN = "^(?:WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST)$|record.layer.failure"
_CLIENT_REJECTED_PATTERN = "ALERT_(?:UNKNOWN_CA|ACCESS_DENIED|(?:\\w+_)?CERTIFICATE(?:_\\w+)?)$"
# Permanent failures of a handshake. After any other failure, the next handshake can succeed. Examples are a damaged
# record (alerts 10, 20, 22, 50 and similar ones, or an error that this side detects), and a server without its
# configuration (alerts 80 and 112).
# - Alerts 40, 70 and 71: the two sides have no parameters or no TLS version in common (RFC 8446 §6.2). Their
#   configuration causes this. The second line has the names of the same errors when this side detects them.
# - Alerts 42 to 46, 48, 49 and 116: the other side does not accept this side, or the authority of its certificate.
# - The port does not use TLS. Since OpenSSL 3.2 the error is `record layer failure`, and some versions of Python have
#   no name for it. A damaged record has the same name there, so it counts as permanent too.
_PERMANENT_REASON_RE = lazy_pattern(
    "ALERT_(?:HANDSHAKE_FAILURE|PROTOCOL_VERSION|INSUFFICIENT_SECURITY)$"
    "|^(?:UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|UNSAFE_LEGACY_RENEGOTIATION_DISABLED|\\w+_KEY_TOO_SMALL)$"
    f"|{_CLIENT_REJECTED_PATTERN}|{_NOT_TLS_PATTERN}",
    re.IGNORECASE,
)
# OpenSSL's libraries that read the file of CA certificates. Each connection uses the same file.
_CA_FILE_LIBRARIES = frozenset({"X509", "PEM"})
# OpenSSL's codes for a certificate whose authority is unknown: self-signed (18), self-signed in the chain (19), no
# issuer (20) and no chain at all (21).
_UNKNOWN_CA_CODES = frozenset({18, 19, 20, 21})
# Not valid yet (9), expired (10).
_WRONG_TIME_CODES = frozenset({9, 10})
# Another host (62), another address (64).
_WRONG_HOST_CODES = frozenset({62, 64})
_HINT_CHECK_PROXY = "Check host and port in HTTPS_PROXY."
_HINT_SET_PROXY = "If a proxy is required, set HTTPS_PROXY."


class RequestNotSentError(Exception):
    """No connection was made, so nothing arrived.

    Args:
        text: The reason.
        retryable: Another attempt can succeed.
        hint: Likely cause and remedy, in complete sentences.
    """

    def __init__(self, text: str, *, retryable: bool, hint: str = "") -> None:
        self.retryable, self.hint = retryable, hint
        super().__init__(text)


class ResponseLostError(Exception):
    """A connection was made, but no usable response came.

    The request may have arrived.

    Args:
        text: The reason.
        timed_out: The response took too long.
    """

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(text)


class CertificateFileError(OSError):
    """The file or directory of CA certificates is unusable."""


class InvalidResponseError(http.client.HTTPException):
    """A response is cut short or is not valid HTTP.

    Whether the request was carried out is not known. The text is for the user.
    """


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that caused it."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def drop_tracebacks(error: BaseException) -> None:
    """Remove the tracebacks of an error and its causes.

    The frames of a traceback hold the request with its credentials, and the session. urllib3 stores the error in a
    variable of such a frame. This reference cycle keeps 18 KiB for each failed request until Python collects garbage.
    """
    for cause in _iter_causes(error):
        cause.__traceback__ = None


def build_connect_error(error: Exception, host: str) -> RequestNotSentError:
    """Return the error for a failed connection to a host or a proxy."""
    causes = list(_iter_causes(error))
    # urllib3 raises ProxyError only before the proxy accepts CONNECT. Later errors are of the host.
    peer = "the proxy" if any(isinstance(cause, ProxyError) for cause in causes) else sanitize_line(host, 200)
    host = sanitize_line(host, 200)
    is_proxy = peer == "the proxy"
    for cause in causes:
        if isinstance(cause, CertificateFileError):
            return _build_ca_file_error()
        if isinstance(cause, ssl.SSLCertVerificationError):
            # OpenSSL's own message, without the name of the host.
            reason = sanitize_line(cause.verify_message.partition(", certificate is not valid for")[0], 200)
            text = f"the certificate of {peer} cannot be trusted ({reason})"
            return RequestNotSentError(text, retryable=False, hint=_build_certificate_hint(cause.verify_code))
        if isinstance(cause, ssl.SSLError):
            return _build_handshake_error(cause, peer, is_proxy=is_proxy)
        if isinstance(cause, socket.gaierror):
            hint = f"Check the spelling of the host, and the DNS of this machine. {_HINT_SET_PROXY}"
            hint = "Check the host in HTTPS_PROXY." if is_proxy else hint
            return RequestNotSentError(f"the name of {peer} could not be resolved", retryable=True, hint=hint)
        if isinstance(cause, ConnectionRefusedError):
            hint = f"No service listens on this port, or a firewall blocks it. Check host and port. {_HINT_SET_PROXY}"
            return RequestNotSentError(
                f"{peer} refused the connection", retryable=True, hint=_HINT_CHECK_PROXY if is_proxy else hint
            )
        if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed: "):
            # The proxy's reason phrase is untrusted.
            reason = _format_status_line(str(cause).partition(": ")[2])
            code = reason.partition(" ")[0]
            text = f"the proxy did not connect to {host} ({reason})"
            return RequestNotSentError(text, retryable=code in _RETRYABLE_PROXY_STATUSES, hint=_build_tunnel_hint(code))
        # In urllib3, NewConnectionError (refused) is a subclass of ConnectTimeoutError (no response).
        if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
            hint = f"A firewall may drop the packets: check the network. {_HINT_SET_PROXY}"
            hint = f"{_HINT_CHECK_PROXY} A firewall may drop the packets." if is_proxy else hint
            return RequestNotSentError(f"{peer} did not accept the connection in time", retryable=True, hint=hint)
    hint = _HINT_CHECK_PROXY if is_proxy else f"Check the network. {_HINT_SET_PROXY}"
    return RequestNotSentError(f"could not connect to {peer}", retryable=True, hint=hint)


def _build_ca_file_error() -> RequestNotSentError:
    """Return the error for an unusable file of CA certificates."""
    fault = find_ca_fault()
    if fault:
        return RequestNotSentError(fault.message, retryable=False, hint=fault.suggestion)
    hint = "Reinstall the Python package certifi."
    return RequestNotSentError("the file of CA certificates could not be read", retryable=False, hint=hint)


def _build_certificate_hint(code: int) -> str:
    """Return likely cause and remedy for an untrusted certificate.

    Args:
        code: OpenSSL's code of the verification error.
    """
    if code in _WRONG_TIME_CODES:
        return "Check the clock of this machine, or renew the certificate."
    if code in _WRONG_HOST_CODES:
        return "The certificate belongs to another host. Check the host's name, and look for a proxy in between."
    if code not in _UNKNOWN_CA_CODES:
        return ""
    if fault := find_ca_fault():
        return f"{fault.message}. {fault.suggestion}"
    name, path = configured_ca_file()
    if name:
        shown_path = sanitize_line(path, 200)
        return f"{name} replaces the public CA certificates. Add the host's CA certificate to {shown_path}."
    cause = "A proxy or a private CA may have signed the certificate"
    return f"{cause}. Set REQUESTS_CA_BUNDLE to a PEM file with its CA certificate and the public ones."


def _build_tunnel_hint(code: str) -> str:
    """Return the remedy for a proxy that rejected CONNECT."""
    if code == "407":
        return "The proxy requires a login. Set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT, from a secret."
    if code in _RETRYABLE_PROXY_STATUSES:
        return "The proxy has no route to the host, or is busy. Try again later, or check the proxy's log."
    if re.fullmatch("[1-5][0-9]{2}", code):
        return "The proxy blocks this host. Allow the host in the proxy, or add the host to NO_PROXY."
    return "HTTPS_PROXY must be the URL of an HTTP proxy. Check host and port."


def _build_handshake_error(error: ssl.SSLError, peer: str, *, is_proxy: bool) -> RequestNotSentError:
    """Return the error for a failed TLS handshake."""
    if isinstance(error, _EARLY_END_ERRORS):
        cause = "A firewall or a proxy may have closed the connection"
        hint = f"{cause}. {_HINT_CHECK_PROXY if is_proxy else _HINT_SET_PROXY}"
        return RequestNotSentError(f"the TLS handshake with {peer} ended early", retryable=True, hint=hint)
    # An error that Python itself raises has neither attribute.
    reason, library = getattr(error, "reason", None), getattr(error, "library", None)
    if library in _CA_FILE_LIBRARIES:
        return _build_ca_file_error()
    if _PERMANENT_REASON_RE.search(reason or str(error)):
        text = f"no secure connection to {peer}{_format_reason(reason)}"
        return RequestNotSentError(
            text, retryable=False, hint=_build_handshake_hint(reason or str(error), is_proxy=is_proxy)
        )
    hint = "The data may have been damaged in transit. Try again later."
    return RequestNotSentError(
        f"the TLS handshake with {peer} failed{_format_reason(reason)}", retryable=True, hint=hint
    )


def _build_handshake_hint(reason: str, *, is_proxy: bool) -> str:
    """Return likely cause and remedy for a permanent failure of a handshake."""
    if re.search(_NOT_TLS_PATTERN, reason, re.IGNORECASE):
        if is_proxy:
            return "The proxy may speak plain HTTP. Write http:// instead of https:// in HTTPS_PROXY."
        return "The port may speak plain HTTP. Check the port, and HTTPS_PROXY."
    if re.search(_CLIENT_REJECTED_PATTERN, reason):
        return "The other side rejected this client. autonoma-ci does not support client certificates."
    return "The other side must offer TLS 1.2 or later, with a current cipher."


def _format_reason(reason: str | None) -> str:
    """Return OpenSSL's name of an error as text in brackets."""
    return f" ({reason.replace('_', ' ').lower()})" if reason and re.fullmatch(r"\w{1,80}", reason, re.ASCII) else ""


def _format_status_line(text: str) -> str:
    """Return the leading status code of a text with its phrase.

    The phrase is from RFC 9110.
    """
    code = text.partition(" ")[0]
    phrases = {str(status.value): f"{status.value} {status.phrase}" for status in http.HTTPStatus}
    return phrases.get(code, f"HTTP {code}" if re.fullmatch("[0-9]{3}", code) else "invalid HTTP status")


def build_no_timeout_thread_error() -> RequestNotSentError:
    """Return the error for a missing timeout thread.

    Without this thread, no request is sent, because nothing would end it in time.
    """
    text = "no thread could be started: the number of processes or the memory is limited"
    return RequestNotSentError(text, retryable=True, hint="Raise the limit: ulimit -u, or the container's limits.")


def build_configuration_error(error: Exception) -> RequestNotSentError:
    """Return the error for invalid settings of requests."""
    # The message of requests for a missing file.
    if "TLS CA certificate bundle" in str(error):
        return _build_ca_file_error()
    hint = "Check api-url and the proxy settings. A proxy is a URL such as http://proxy.example.com:3128."
    if "SOCKS" in str(error):
        hint = "SOCKS is not supported. Use an HTTP proxy."
    text = "no request could be sent: invalid URL or proxy settings (HTTPS_PROXY, ALL_PROXY)"
    return RequestNotSentError(text, retryable=False, hint=hint)


def build_response_error(error: Exception, *, timed_out: bool = False) -> ResponseLostError:
    """Return the error for a response that did not arrive.

    Args:
        error: The error of the library.
        timed_out: The total timeout ended the request.
    """
    causes = list(_iter_causes(error))
    if timed_out or any(isinstance(cause, TimeoutError | OSError) and "timed out" in str(cause) for cause in causes):
        return ResponseLostError("no response in time", timed_out=True)
    for cause in causes:
        if isinstance(cause, InvalidResponseError):
            return ResponseLostError(str(cause))
    return ResponseLostError("the connection ended before the response")
