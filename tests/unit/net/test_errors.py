"""Test the messages and suggestions of connection errors."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

from autonoma_ci.net.errors import (
    CertificateFileError,
    RequestNotSentError,
    build_configuration_error,
    build_connect_error,
    build_no_timeout_thread_error,
    build_response_error,
)

HOST = "api.example.com"


def cert_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_code, error.verify_message = code, message
    return error


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason, error.library = reason, "SSL"
    return error


UNKNOWN = cert_error(20, "unable to get local issuer certificate")
CAUSES: dict[str, tuple[Exception, str, str, str]] = {
    "name": (socket.gaierror(-2, "x"), "the name of {} could not be resolved", "the DNS of this machine",
             "Check the host in HTTPS_PROXY"),
    "refused": (ConnectionRefusedError(111, "x"), "{} refused the connection", "No service listens on this port",
                "Check host and port in HTTPS_PROXY"),
    "time": (ConnectTimeoutError(None, "x"), "{} did not accept the connection in time", "A firewall may drop",
             "Check host and port in HTTPS_PROXY"),
    "other": (NewConnectionError(HTTPConnection(HOST), "x"), "could not connect to {}", "Check the network",
              "Check host and port in HTTPS_PROXY"),
    "expired": (cert_error(10, "certificate has expired"), "the certificate of {} cannot be trusted (certificate has",
                "the clock of this machine", "the clock of this machine"),
    "host": (cert_error(62, "Hostname mismatch, certificate is not valid for 'x'"),
             "the certificate of {} cannot be trusted (Hostname mismatch)",
             "belongs to another host", "belongs to another host"),
    "address": (cert_error(64, "IP address mismatch"), "the certificate of {} cannot be trusted (IP address mismatch)",
                "belongs to another host", "belongs to another host"),
    "issuer": (UNKNOWN, "the certificate of {} cannot be trusted (unable to get",
               "A proxy or a private CA", "REQUESTS_CA_"),
    "itself": (cert_error(18, "self-signed certificate"), "the certificate of {} cannot be trusted (self-signed",
               "Set REQUESTS_CA_BUNDLE", "Set REQUESTS_CA_BUNDLE"),
    "plain HTTP": (tls_error("WRONG_VERSION_NUMBER"), "no secure connection to {} (wrong version number)",
                   "The port may speak plain HTTP", "Write http:// instead of https:// in HTTPS_PROXY"),
    "version": (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "no secure connection to {} (tlsv1 alert",
                "TLS 1.2 or later", "TLS 1.2 or later"),
    "client": (tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "no secure connection to {} (tlsv13",
               "client certificates", "client certificates"),
    "ended": (ssl.SSLEOFError(8, "x"), "the TLS handshake with {} ended early", "If a proxy is required",
              "Check host and port in HTTPS_PROXY"),
    "damaged": (tls_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), "the TLS handshake with {} failed (decryption",
                "Try again later", "Try again later"),
}  # fmt: skip


@pytest.mark.parametrize("peer", [HOST, "the proxy"])
@pytest.mark.parametrize("cause", CAUSES)
def test_connection_error_has_suggestion(cause: str, peer: str) -> None:
    """Each error names its peer and has a suggestion for it."""
    error, text, hint, hint_of_proxy = CAUSES[cause]
    failure = build_connect_error(
        ProxyError("x", error) if peer == "the proxy" else requests.ConnectionError(error), HOST
    )
    assert str(failure).startswith(text.format(peer))
    assert (hint_of_proxy if peer == "the proxy" else hint) in failure.hint
    assert failure.hint.endswith(".")


@pytest.mark.parametrize(
    ("status_line", "hint"),
    [
        ("407 Who is it?", "The proxy requires a login. Set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"),
        ("403 Forbidden", "The proxy blocks this host."),
        ("502 Bad Gateway", "The proxy has no route to the host"),
        ("SSH-2.0", "HTTPS_PROXY must be the URL of an HTTP proxy."),
    ],
)
def test_proxy_refusal_has_suggestion(status_line: str, hint: str) -> None:
    """Each failed CONNECT has a suggestion for its status."""
    failure = build_connect_error(ProxyError("x", OSError(f"Tunnel connection failed: {status_line}")), HOST)
    assert str(failure).startswith(f"the proxy did not connect to {HOST} (")
    assert failure.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Missing dependencies for SOCKS support.", "SOCKS is not supported. Use an HTTP proxy."),
        (
            "Please check proxy URL.",
            "Check api-url and the proxy settings. A proxy is a URL such as http://proxy.example.com:3128.",
        ),
    ],
)
def test_invalid_proxy_has_suggestion(text: str, hint: str) -> None:
    """An invalid proxy setting has a suggestion."""
    failure = build_configuration_error(requests.exceptions.InvalidProxyURL(text))
    assert str(failure).startswith("no request could be sent: invalid URL or proxy settings (HTTPS_PROXY")
    assert (failure.hint, failure.retryable) == (hint, False)


def test_unreadable_default_ca_has_suggestion() -> None:
    """The default CA file is part of the installed libraries."""
    failure = build_connect_error(requests.ConnectionError(CertificateFileError(1, "x")), HOST)
    assert (str(failure), failure.retryable) == ("the file of CA certificates could not be read", False)
    assert "Reinstall" in failure.hint


def test_missing_thread_has_suggestion() -> None:
    """The error for a missing thread suggests ulimit -u."""
    assert "ulimit -u" in build_no_timeout_thread_error().hint


@pytest.mark.parametrize(
    "failure",
    [build_response_error(OSError("x")), build_no_timeout_thread_error(), build_connect_error(OSError("x"), HOST)],
)
def test_error_text_is_short(failure: RequestNotSentError) -> None:
    """An error text has at most 80 characters and no final full stop."""
    assert not str(failure).endswith(".")
    assert len(str(failure)) <= 80
