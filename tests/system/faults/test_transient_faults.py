"""Test that a temporary network fault does not end a plan."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.net.errors import RequestNotSentError
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import close, hang, reset, send_raw, send_slowly, send_started_run
from tests.support.github_job import LONG_TIMEOUTS, START_POLICY, JobResult, assert_runs_reported, run_job
from tests.support.proxy import ProxyServer
from tests.system.faults.test_tls import after_hello

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, RequestHandler

IDS = [f"t{number}" for number in range(12)]
# An alert of TLS: one record of two bytes, the level and the number (RFC 8446 §5.1 and §6).
CLOSE_NOTIFY, HANDSHAKE_FAILURE, INTERNAL_ERROR, PROTOCOL_VERSION, INSUFFICIENT_SECURITY = (
    bytes([0x15, 3, 3, 0, 2, level, number]) for level, number in ((1, 0), (2, 40), (2, 80), (2, 70), (2, 71))
)
UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, DECODE_ERROR, UNRECOGNIZED_NAME = (
    bytes([0x15, 3, 3, 0, 2, 2, number]) for number in (10, 20, 22, 50, 112)
)
HANDSHAKE_FAULTS = {
    "FIN at once": close,
    "FIN": after_hello(close),
    "reset": after_hello(reset),
    "half a record": after_hello(send_raw(b"\x16\x03\x03\x40")),
    "close_notify": after_hello(send_raw(CLOSE_NOTIFY)),
    "internal_error": after_hello(send_raw(INTERNAL_ERROR)),
    "unexpected_message": after_hello(send_raw(UNEXPECTED_MESSAGE)),
    "bad_record_mac": after_hello(send_raw(BAD_RECORD_MAC)),
    "record_overflow": after_hello(send_raw(RECORD_OVERFLOW)),
    "decode_error": after_hello(send_raw(DECODE_ERROR)),
    "unrecognized_name": after_hello(send_raw(UNRECOGNIZED_NAME)),
    "silence": after_hello(hang),
}
TUNNEL_FAULTS = {
    **{
        str(status): send_raw(f"HTTP/1.1 {status} Not now\r\nContent-Length: 0\r\n\r\n")
        for status in (408, 429, 500, 502, 503, 504)
    },
    "FIN": close,
    "reset": reset,
    "half a status line": send_raw("HTTP/1.1 20"),
    "half the headers": send_raw("HTTP/1.1 200 Connected\r\nX-y"),
    "garbage": send_raw("SSH-2.0-OpenSSH_9.6\r\n"),
    "silence": hang,
    "drip": send_slowly("HTTP/1.1 200 Connected\r\nX: " + "x" * 500),
    "handshake cut": send_raw("HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x40"),
}
PERMANENT_REFUSALS = {
    "403": "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "407": "HTTP/1.1 407 Who is it?\r\nContent-Length: 0\r\n\r\n",
    "404": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "302": "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/\r\n\r\n",
    "501": "HTTP/1.1 501 Not Implemented\r\n\r\n",
}
# Long enough for a busy machine, and short enough to wait for it.
SILENCE_TIMEOUTS = Timeouts(connect=3.0, read=3.0, total=4.0)


class Countdown:
    """Count down from a number in any thread."""

    def __init__(self, count: int) -> None:
        self._left, self._lock = count, threading.Lock()

    def consume(self) -> bool:
        """Subtract one, and return whether the number was positive before."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


def fail_first_handshakes(handler: RequestHandler, fault_count: int, tls: ssl.SSLContext) -> RequestHandler:
    """Use the handler for the first connections, and TLS for the others."""
    fault_countdown = Countdown(fault_count)

    def handle_connection(connection: Connection) -> bool:
        return handler(connection) if fault_countdown.consume() else connection.start_tls(tls)

    return handle_connection


def run_through_proxy(
    handler: RequestHandler,
    fault_count: int,
    certificates: CertificateAuthority,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *argv: str,
) -> tuple[JobResult, FaultServer, ProxyServer]:
    """Run a job through a proxy with a fault in the first CONNECT requests."""
    fault_countdown = Countdown(fault_count)
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port, find_handler=lambda _: handler if fault_countdown.consume() else None)
        with proxy.server:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "")
            timeouts = SILENCE_TIMEOUTS if handler in {hang, TUNNEL_FAULTS["drip"]} else LONG_TIMEOUTS
            job = run_job(folder, f"https://api.autonoma.test:{server.port}/api", IDS, *argv, timeouts=timeouts)
    return job, server, proxy


@pytest.mark.usefixtures("trusted_authority")
@pytest.mark.parametrize("name", HANDSHAKE_FAULTS)
@pytest.mark.parametrize("fault_count", [1, 3])
def test_failed_handshake_is_retried(
    name: str, fault_count: int, certificates: CertificateAuthority, tmp_path: Path
) -> None:
    """All runs are started once although the first handshakes end early."""
    handler = HANDSHAKE_FAULTS[name]
    connection_handler = fail_first_handshakes(handler, fault_count, certificates.create_valid_context())
    timeouts = SILENCE_TIMEOUTS if name == "silence" else LONG_TIMEOUTS
    with FaultServer(send_started_run, connection_handler=connection_handler) as server:
        url, argv = server.url.replace("http:", "https:"), ("--concurrency", "4")
        # One fast run can meet all of the faults.
        policy = START_POLICY._replace(max_connect_attempts=fault_count + 1)
        job = run_job(tmp_path, url, IDS, *argv, timeouts=timeouts, policy=policy)
    assert_runs_reported(job, IDS)
    assert (job.code, set(job.states.values())) == (0, {"started"})
    assert server.post_counts == dict.fromkeys(IDS, 1)
    assert server.connection_count == len(IDS) + fault_count


@pytest.mark.usefixtures("trusted_authority")
@pytest.mark.parametrize("name", TUNNEL_FAULTS)
def test_failed_tunnel_is_retried(
    name: str, certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs are started once although the first tunnel fails."""
    argv = "--concurrency", "4"
    job, server, proxy = run_through_proxy(TUNNEL_FAULTS[name], 1, certificates, tmp_path, monkeypatch, *argv)
    assert_runs_reported(job, IDS)
    assert (job.code, set(job.states.values())) == (0, {"started"})
    assert server.post_counts == dict.fromkeys(IDS, 1)
    assert len(proxy.requests) == len(IDS) + 1


@pytest.mark.usefixtures("trusted_authority")
@pytest.mark.parametrize("name", PERMANENT_REFUSALS)
def test_proxy_refusal_is_not_retried(
    name: str, certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of the proxy is permanent, so the remaining starts are dropped."""
    argv = "--concurrency", "3"
    job, server, proxy = run_through_proxy(
        send_raw(PERMANENT_REFUSALS[name]), 1000, certificates, tmp_path, monkeypatch, *argv
    )
    assert_runs_reported(job, IDS)
    assert (job.code, set(job.states.values())) == (5, {"not-started"})
    assert len(proxy.requests) == 3
    assert not server.post_counts
    assert "not sent: no connection to the API" in job.log


@pytest.mark.usefixtures("trusted_authority")
def test_single_proxy_refusal_drops_one_run(
    certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 403 for one CONNECT affects only its own run."""
    success_countdown = Countdown(2)
    refusal_handler = send_raw(PERMANENT_REFUSALS["403"])
    refusals: list[bool] = []

    def choose_tunnel_fault(_: int) -> RequestHandler | None:
        if success_countdown.consume() or refusals:
            return None
        refusals.append(True)
        return refusal_handler

    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        proxy = ProxyServer(server.port, find_handler=choose_tunnel_fault)
        with proxy.server:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "")
            url = f"https://api.autonoma.test:{server.port}/api"
            job = run_job(tmp_path, url, IDS, "--concurrency", "1")
    assert_runs_reported(job, IDS)
    assert job.code == 5
    assert job.states == {name: "not-started" if name == "t2" else "started" for name in IDS}


@pytest.mark.usefixtures("trusted_authority")
@pytest.mark.parametrize(
    "connection_handler",
    [
        after_hello(send_raw("HTTP/1.1 400 Bad Request\r\n\r\n")),
        after_hello(send_raw(HANDSHAKE_FAILURE)),
        after_hello(send_raw(PROTOCOL_VERSION)),
        after_hello(send_raw(INSUFFICIENT_SECURITY)),
        send_raw("SSH-2.0-OpenSSH_9.6\r\n"),
    ],
    ids=["HTTP", "no common cipher", "no common version", "no strong cipher", "SSH"],
)
def test_port_without_tls_is_not_retried(connection_handler: RequestHandler, tmp_path: Path) -> None:
    """A port without usable TLS is permanent, so the remaining starts are dropped."""
    with FaultServer(send_started_run, connection_handler=connection_handler) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), IDS, "--concurrency", "3")
    assert_runs_reported(job, IDS)
    assert (job.code, server.connection_count) == (5, 3)
    assert "not sent: no connection to the API" in job.log


def complete_handshake(
    end_connection: Callable[[Connection], object], folder: Path, damage_mask: int = 0
) -> RequestHandler:
    """Return a handler that completes the handshake and reads no request.

    `damage_mask` changes bits of one byte of the last record.
    """

    def handle_connection(connection: Connection) -> bool:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "good.pem", folder / "good.key")
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.receive())
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        flight = bytearray(outgoing.read())
        flight[-5] ^= damage_mask
        connection.send(bytes(flight))
        end_connection(connection)
        return False

    return handle_connection


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO >= (3, 2), reason="OpenSSL tells it from plain HTTP only until 3.1")
def test_damaged_handshake_is_retried(
    certificates: CertificateAuthority, trusted_authority: Path, tmp_path: Path
) -> None:
    """A damaged handshake does not affect the next one."""
    handler = complete_handshake(lambda connection: connection.receive(), trusted_authority.parent, damage_mask=0xFF)
    with FaultServer(
        send_started_run, connection_handler=fail_first_handshakes(handler, 1, certificates.create_valid_context())
    ) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), IDS, "--concurrency", "1")
    assert_runs_reported(job, IDS)
    assert (job.code, set(job.states.values())) == (0, {"started"})
    assert server.post_counts == dict.fromkeys(IDS, 1)


def test_empty_ca_file_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file would fail each time."""
    bundle = tmp_path / "empty.pem"
    bundle.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with FaultServer(send_started_run) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), ["a"])
    assert (job.code, job.states, server.post_counts.total()) == (5, {"a": "not-started"}, 0)
    assert job.results_json["runs"][0]["start_requests"] == 1


@pytest.mark.parametrize(
    "end_connection", [lambda connection: None, lambda connection: connection.receive()], ids=["at once", "later"]
)
def test_close_after_handshake_is_not_retried(
    end_connection: Callable[[Connection], object],
    certificates: CertificateAuthority,
    trusted_authority: Path,
    tmp_path: Path,
) -> None:
    """With TLS 1.3 the client can have sent its request before the close."""
    certificates.create_valid_context()
    with FaultServer(
        send_started_run, connection_handler=complete_handshake(end_connection, trusted_authority.parent)
    ) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), ["a", "b"])
    assert_runs_reported(job, ["a", "b"])
    assert (job.code, set(job.states.values()), server.connection_count) == (7, {"unknown"}, 2)


@pytest.mark.parametrize(
    ("text", "is_retryable"),
    [
        ("UNEXPECTED_EOF_WHILE_READING", True),
        ("TLSV1_ALERT_INTERNAL_ERROR", True),
        ("SSLV3_ALERT_BAD_RECORD_MAC", True),
        ("TLSV1_UNRECOGNIZED_NAME", True),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", True),
        ("WRONG_VERSION_NUMBER", False),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False),
        ("TLSV1_ALERT_PROTOCOL_VERSION", False),
        ("TLSV1_ALERT_INSUFFICIENT_SECURITY", False),
        ("UNSUPPORTED_PROTOCOL", False),
        ("NO_PROTOCOLS_AVAILABLE", False),
        ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED", False),
        ("DH_KEY_TOO_SMALL", False),
        ("TLSV1_ALERT_UNKNOWN_CA", False),
        ("TLSV1_ALERT_ACCESS_DENIED", False),
        ("SSLV3_ALERT_BAD_CERTIFICATE", False),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", False),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", False),
        ("HTTP_REQUEST", False),
        ("RECORD_LAYER_FAILURE", False),
        # Plain HTTP on the port, with OpenSSL 3.2 and later.
        (None, False),
    ],
)
def test_handshake_error_decides_retry(text: str | None, is_retryable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of other Python and OpenSSL versions are simulated."""

    class FailingContext(ssl.SSLContext):
        def wrap_socket(self, *_: object, **__: object) -> ssl.SSLSocket:
            error_type = ssl.SSLEOFError if text == "UNEXPECTED_EOF_WHILE_READING" else ssl.SSLError
            error = error_type(1, f"[SSL{f': {text}' if text else ''}] record layer failure (_ssl.c:1032)")
            error.reason = text  # type: ignore[assignment]
            raise error

    monkeypatch.setattr(
        "autonoma_ci.net.connection._create_tls_context", lambda *_: FailingContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    credentials = Secret("client-id-of-the-test"), Secret("client-secret-of-the-test")
    with FaultServer(send_started_run) as server:
        transport = Transport(server.url.replace("http:", "https:"), credentials)
        with pytest.raises(RequestNotSentError) as caught:
            transport.post("/test/a/run", {})
    assert caught.value.retryable is is_retryable
    if text and text != "UNEXPECTED_EOF_WHILE_READING":
        assert f"({text.replace('_', ' ').lower()})" in str(caught.value)
