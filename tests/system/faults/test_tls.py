"""Test that nothing is sent over an untrusted connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Timeouts
from tests.support.certificates import CertificateAuthority
from tests.support.fault_server import Connection, FaultServer, RequestHandler
from tests.support.faults import close, reset, send_raw, send_started_run
from tests.support.github_job import START_POLICY, assert_runs_reported, run_job

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

UNTRUSTED_CERTIFICATES: dict[str, tuple[Callable[[CertificateAuthority], ssl.SSLContext], str]] = {
    "expired": (CertificateAuthority.create_expired_context, "expired"),
    "self-signed": (CertificateAuthority.create_self_signed_context, "self"),
    "wrong host": (CertificateAuthority.create_other_host_context, "127.0.0.1"),
}


def after_hello(handler: RequestHandler) -> RequestHandler:
    """Read the client's first message, then call the handler."""

    def handle_connection(connection: Connection) -> bool:
        connection.receive()
        return handler(connection)

    return handle_connection


@pytest.mark.usefixtures("trusted_authority")
def test_company_authority_is_trusted(certificates: CertificateAuthority, tmp_path: Path) -> None:
    """A company's own authority is trusted through REQUESTS_CA_BUNDLE."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        job = run_job(tmp_path, server.url, ["a", "b"])
    assert_runs_reported(job, ["a", "b"])
    assert (job.code, server.post_counts) == (0, {"a": 1, "b": 1})


def test_unknown_authority_is_not_trusted(certificates: CertificateAuthority, tmp_path: Path) -> None:
    """The same server is not trusted without REQUESTS_CA_BUNDLE."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert (job.code, job.states["a"], server.post_counts.total()) == (5, "not-started", 0)
    assert "certificate" in job.log


@pytest.mark.usefixtures("trusted_authority")
@pytest.mark.parametrize("kind", UNTRUSTED_CERTIFICATES)
def test_untrusted_certificate_is_not_retried(kind: str, certificates: CertificateAuthority, tmp_path: Path) -> None:
    """An untrusted certificate gets no request and no retry."""
    create_context, error_text = UNTRUSTED_CERTIFICATES[kind]
    with FaultServer(send_started_run, tls=create_context(certificates)) as server:
        job = run_job(tmp_path, server.url, ["a", "b"])
    assert_runs_reported(job, ["a", "b"])
    assert set(job.states.values()) == {"not-started"}
    assert (job.code, job.outputs["reason"]) == (5, "api")
    assert server.post_counts.total() == 0
    assert server.connection_count == 2
    assert "cannot be trusted" in job.log
    assert error_text in job.log


def test_plain_http_on_https_port_is_not_retried(tmp_path: Path) -> None:
    """A plain HTTP response on an HTTPS port gets no retry."""
    refusal = send_raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    with FaultServer(send_started_run, connection_handler=after_hello(refusal)) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), ["a"])
    assert_runs_reported(job, ["a"])
    assert (job.code, job.states["a"], server.connection_count) == (5, "not-started", 1)
    assert "secure connection" in job.log


@pytest.mark.parametrize("handler", [reset, close], ids=["reset", "close"])
def test_broken_handshake_is_not_started(handler: RequestHandler, tmp_path: Path) -> None:
    """A broken handshake proves that no run was started."""
    with FaultServer(send_started_run, connection_handler=after_hello(handler)) as server:
        job = run_job(tmp_path, server.url.replace("http:", "https:"), ["a"])
    assert_runs_reported(job, ["a"])
    assert (job.code, job.states["a"]) == (5, "not-started")
    assert 1 <= server.connection_count <= START_POLICY.max_connect_attempts


def send_record_slowly(connection: Connection) -> bool:
    """Send a long record slowly, without its end."""
    connection.send_slowly(b"\x16\x03\x03\x40\x00" + bytes(1000), 0.05)
    return False


@pytest.mark.parametrize(
    "connection_handler",
    [lambda connection: connection.pause(30), after_hello(send_record_slowly)],
    ids=["silence", "drip"],
)
def test_endless_handshake_times_out(connection_handler: RequestHandler, tmp_path: Path) -> None:
    """The connect limit covers the whole handshake instead of each byte."""
    started_at = time.monotonic()
    with FaultServer(send_started_run, connection_handler=connection_handler) as server:
        url = server.url.replace("http:", "https:")
        job = run_job(tmp_path, url, ["a"], timeouts=Timeouts(connect=0.5, read=0.5, total=0.5))
    assert_runs_reported(job, ["a"])
    assert (job.code, job.states["a"], server.connection_count) == (5, "not-started", START_POLICY.max_connect_attempts)
    # The silence would last for 30 s, and the record for 50 s.
    assert time.monotonic() - started_at < 25
