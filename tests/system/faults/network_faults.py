"""Define the faults of the network and of proxies."""

from __future__ import annotations

import socket
import threading
import zlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from tests.support.faults import (
    close,
    delay_until_data,
    hang,
    make_head,
    reset,
    send_bad_chunk,
    send_half_body,
    send_raw,
    send_response,
    send_slowly,
)
from tests.system.faults.fault_case import REQUEST_PHASES, SHORT_REQUEST_SECONDS, FaultCase, Phase

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, RequestHandler
    from tests.system.faults.fault_case import ConnectionFault
    from tests.system.faults.harness import FaultScenario

NETWORK = "network"
_PROXY = "proxy"


def make_request_fault(
    name: str,
    handler: RequestHandler,
    start_code: int = 7,
    wait_code: int = 7,
    *,
    group: str = NETWORK,
    proves_not_started: bool = False,
) -> FaultCase:
    """Return a fault that treats each request for the affected run alike."""
    codes = {Phase.START: start_code, Phase.WAIT: wait_code}
    return FaultCase(
        group,
        name,
        codes,
        request_fault=lambda scenario, correct_handler: handler,
        proves_not_started=proves_not_started,
    )


def _make_connection_fault(
    name: str, connection_handler: ConnectionFault, start_code: int = 7, *, uses_tls: bool = False
) -> FaultCase:
    codes = {Phase.START: start_code, Phase.WAIT: 7}
    return FaultCase(
        NETWORK,
        name,
        codes,
        connection_fault=connection_handler,
        closes_connections=True,
        uses_tls=uses_tls,
        begins_before_connection=True,
    )


def _make_handshake_fault(name: str, connection_handler: ConnectionFault) -> FaultCase:
    """Return a fault of the TLS handshake, before any request."""
    return _make_connection_fault(name, connection_handler, 5, uses_tls=True)


def _make_tunnel_fault(name: str, handler: RequestHandler) -> FaultCase:
    codes = {Phase.START: 5, Phase.WAIT: 7}
    return FaultCase(
        _PROXY,
        name,
        codes,
        tunnel_fault=lambda scenario: handler,
        uses_tls=True,
        uses_proxy=True,
        closes_connections=True,
        begins_before_connection=True,
    )


def _limit_to_first(case: FaultCase) -> FaultCase:
    """Return the case limited to the first connection of a phase.

    The exit code is then as usual in all phases.
    """
    return replace(case, name=f"{case.name}, once", codes={}, is_single=True)


def _shorten_timeout(case: FaultCase) -> FaultCase:
    """Return the case with a short request timeout.

    The job waits for the whole timeout.
    """
    return replace(case, request_seconds=SHORT_REQUEST_SECONDS)


def _make_refusal(status: int) -> FaultCase:
    return _limit_to_first(
        _make_tunnel_fault(f"response {status}", send_raw(f"HTTP/1.1 {status} Not now\r\nContent-Length: 0\r\n\r\n"))
    )


def _present_certificate(create_context: Callable[[CertificateAuthority], ssl.SSLContext]) -> ConnectionFault:
    return lambda scenario: lambda connection: connection.start_tls(create_context(scenario.certificates))


def _after_hello(handler: RequestHandler) -> ConnectionFault:
    def handle_connection(connection: Connection) -> bool:
        connection.receive()
        return handler(connection)

    return lambda scenario: handle_connection


def _send_nothing(connection: Connection) -> bool:
    connection.pause(20)
    return False


def _send_endless_body(connection: Connection) -> bool:
    connection.send(make_head(200, "Connection: close").encode())
    while connection.send(b" " * 65536):
        pass
    return False


def _send_endless_chunks(connection: Connection) -> bool:
    connection.send(make_head(200, "Transfer-Encoding: chunked").encode())
    while connection.send(b"10000\r\n" + b" " * 65536 + b"\r\n"):
        pass
    return False


def _send_endless_continues(connection: Connection) -> bool:
    while connection.send(b"HTTP/1.1 100 Continue\r\n\r\n"):
        if connection.pause(0.005):
            break
    return False


def _send_interim_responses(scenario: FaultScenario, correct_handler: RequestHandler) -> RequestHandler:
    def handler(connection: Connection) -> bool:
        connection.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        return correct_handler(connection)

    return handler


def _respond_twice(scenario: FaultScenario, correct_handler: RequestHandler) -> RequestHandler:
    def handler(connection: Connection) -> bool:
        is_open = correct_handler(connection)
        return is_open and not connection.pause(0.01) and correct_handler(connection)

    return handler


@cache
def _build_gzip_bomb() -> bytes:
    """Return 300 KB that decompress to 300 MB.

    The 300 MB are never in memory.
    """
    compressor = zlib.compressobj(wbits=31)
    return b"".join(compressor.compress(b" " * 1_000_000) for _ in range(300)) + compressor.flush()


def _prepare_gzip_bomb(scenario: FaultScenario) -> dict[str, str]:
    # This runs before the job, because it takes longer than the job's timeout. The jobs of all phases start at the same
    # time, so a lock lets only the first of them compress.
    with _COMPRESSION_LOCK:
        _build_gzip_bomb()
    return {}


def _send_gzip_bomb(connection: Connection) -> bool:
    return send_response(200, _build_gzip_bomb(), "Content-Encoding: gzip")(connection)


def _reset_in_body(connection: Connection) -> bool:
    connection.send(make_head(200, "Content-Length: 1000").encode() + b'{"run_id": ')
    connection.pause(0.05)
    return reset(connection)


def _send_record_slowly(connection: Connection) -> bool:
    connection.send_slowly(b"\x16\x03\x03\x40\x00" + bytes(1000), 0.05)
    return False


def _break_resolution(number: int) -> Callable[[FaultScenario], None]:
    """Return a function that breaks the name resolution of the faulty server."""

    def break_resolution(scenario: FaultScenario) -> None:
        name = {Phase.EVIDENCE: "media", Phase.COMMENT: "github"}.get(scenario.phase, "api")
        (scenario.faults_dir / f"{name}.autonoma.test").write_text(str(number))

    return break_resolution


def _restore_resolution(scenario: FaultScenario) -> None:
    (scenario.faults_dir / "api.autonoma.test").unlink()


def _make_name_fault(name: str, number: int) -> FaultCase:
    return FaultCase(
        NETWORK,
        name,
        _UNREACHABLE_CODES,
        begin=_break_resolution(number),
        end=_restore_resolution,
        begins_before_connection=True,
        uses_tls=True,
        closes_connections=True,
        log_text="could not be resolved",
    )


def _kill_proxy(scenario: FaultScenario, correct_handler: RequestHandler) -> RequestHandler:
    def handler(connection: Connection) -> bool:
        assert scenario.proxy
        scenario.proxy.close()
        return False

    return handler


_COMPRESSION_LOCK = threading.Lock()
_UNREACHABLE_CODES = {Phase.START: 5, Phase.WAIT: 7}
_PERMANENT_FAULT_PHASES = tuple(phase for phase in REQUEST_PHASES if phase is not Phase.SHORT_WAIT)

FAULT_CASES = [
    _make_name_fault("unknown host name", socket.EAI_NONAME),
    _make_name_fault("temporary failure of name resolution", socket.EAI_AGAIN),
    FaultCase(
        NETWORK,
        "connection refused",
        _UNREACHABLE_CODES,
        _PERMANENT_FAULT_PHASES,
        begin=lambda scenario: scenario.faulty_server.stop_listening(),
        begins_before_connection=True,
        closes_connections=True,
        log_text="refused the connection",
    ),
    FaultCase(NETWORK, "only IPv6", {}, (Phase.WHOLE_JOB,), uses_tls=True, address="::1"),
    FaultCase(
        NETWORK,
        "unreachable IPv6 beside IPv4",
        {},
        (Phase.WHOLE_JOB,),
        uses_tls=True,
        address="::1 127.0.0.1",
    ),
    _make_connection_fault("connection accepted and closed", lambda scenario: close),
    # The reset comes after the first data, because a reset while connecting proves that nothing was sent.
    _make_connection_fault("connection accepted and reset", lambda scenario: delay_until_data(reset)),
    _shorten_timeout(_make_handshake_fault("TLS handshake without a response", lambda scenario: _send_nothing)),
    _shorten_timeout(_make_handshake_fault("slow TLS handshake", _after_hello(_send_record_slowly))),
    _make_handshake_fault("TLS handshake reset", _after_hello(reset)),
    _limit_to_first(_make_handshake_fault("TLS handshake closed", _after_hello(close))),
    _limit_to_first(_make_handshake_fault("TLS handshake reset", _after_hello(reset))),
    _limit_to_first(_make_handshake_fault("TLS handshake cut off", _after_hello(send_raw(b"\x16\x03\x03\x40")))),
    _shorten_timeout(
        _limit_to_first(_make_handshake_fault("TLS handshake without a response", lambda scenario: _send_nothing))
    ),
    _make_handshake_fault("HTTP on the port of HTTPS", _after_hello(send_raw("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    _make_handshake_fault(
        "expired certificate", _present_certificate(lambda certificates: certificates.create_expired_context())
    ),
    _make_handshake_fault(
        "certificate of another host",
        _present_certificate(lambda certificates: certificates.create_other_host_context()),
    ),
    _make_handshake_fault(
        "self-signed certificate",
        _present_certificate(lambda certificates: certificates.create_self_signed_context()),
    ),
    FaultCase(
        NETWORK,
        "certificate of an untrusted authority",
        {Phase.WHOLE_JOB: 5},
        (Phase.WHOLE_JOB,),
        uses_tls=True,
        is_untrusted=True,
        log_text="cannot be trusted",
    ),
    FaultCase(NETWORK, "the same authority in `REQUESTS_CA_BUNDLE`", {}, (Phase.WHOLE_JOB,), uses_tls=True),
    make_request_fault("connection closed after the request", close),
    make_request_fault("connection reset after the request", reset),
    _shorten_timeout(make_request_fault("no response", hang)),
    make_request_fault("half a status line", send_raw("HTTP/1.1 20")),
    make_request_fault("half the headers", send_raw("HTTP/1.1 200 OK\r\nContent-Type: appli")),
    _shorten_timeout(make_request_fault("slow headers", send_slowly(make_head(200, f"X-Filler: {'x' * 1000}")))),
    make_request_fault("a header of 200 KB", send_raw(make_head(200, f"X-Filler: {'x' * 200_000}") + "{}")),
    make_request_fault("500 headers", send_raw(make_head(200, *(f"X-{n}: x" for n in range(500))) + "{}")),
    _shorten_timeout(make_request_fault("endless 100 Continue", _send_endless_continues)),
    make_request_fault(
        "101 Switching Protocols", send_raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: none\r\n\r\n")
    ),
    FaultCase(NETWORK, "102 and 103 before the response", request_fault=_send_interim_responses),
    FaultCase(NETWORK, "a second response later", request_fault=_respond_twice),
    make_request_fault("half a body", send_half_body()),
    _shorten_timeout(
        make_request_fault("a slow body", send_slowly(make_head(200, "Content-Length: 1000") + "{" * 1000, 0.02))
    ),
    make_request_fault("reset in the body", _reset_in_body),
    make_request_fault("an invalid chunk", send_bad_chunk()),
    make_request_fault("endless chunks", _send_endless_chunks),
    make_request_fault("an endless body", _send_endless_body),
    FaultCase(
        NETWORK,
        "a gzip bomb",
        {Phase.START: 7, Phase.WAIT: 7},
        request_fault=lambda scenario, correct_handler: _send_gzip_bomb,
        prepare=_prepare_gzip_bomb,
    ),
    make_request_fault("invalid compressed data", send_response(200, "not gzip", "Content-Encoding: gzip")),
    make_request_fault("two body lengths", send_raw(make_head(200, "Content-Length: 5", "Content-Length: 6") + "{}")),
    make_request_fault("not HTTP", send_raw("SSH-2.0-OpenSSH_9.6\r\n")),
    _make_tunnel_fault("refusal", send_raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")),
    _make_tunnel_fault("requires a password", send_raw("HTTP/1.1 407 Who is it?\r\nProxy-Authenticate: Basic\r\n\r\n")),
    _shorten_timeout(_make_tunnel_fault("no response", hang)),
    _make_tunnel_fault("response that is not HTTP", send_raw("SSH-2.0-OpenSSH_9.6\r\n")),
    _make_tunnel_fault("TLS handshake cut off", send_raw("HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x40")),
    *(_make_refusal(status) for status in (408, 429, 500, 502, 503, 504)),
    _limit_to_first(_make_tunnel_fault("connection closed", close)),
    _shorten_timeout(_limit_to_first(_make_tunnel_fault("no response", hang))),
    _limit_to_first(_make_tunnel_fault("response that is not HTTP", send_raw("SSH-2.0-OpenSSH_9.6\r\n"))),
    _limit_to_first(_make_tunnel_fault("incomplete response", send_raw("HTTP/1.1 200 Connected\r\nX-y"))),
    _limit_to_first(
        _make_tunnel_fault("TLS handshake cut off", send_raw("HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x40"))
    ),
    FaultCase(
        _PROXY,
        "stopped after the request",
        {Phase.START: 7, Phase.WAIT: 7},
        _PERMANENT_FAULT_PHASES,
        request_fault=_kill_proxy,
        uses_tls=True,
        uses_proxy=True,
        closes_connections=True,
        affects_all_starts=True,
    ),
]
