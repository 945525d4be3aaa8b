"""Test that each response belongs to its request, with and without TLS.

Sources: RFC 9110 §15.2 (interim responses), RFC 9112 §6.3 (length of a body), §8 (responses that are cut short) and
§9.6 (`Connection: close`).
"""

from __future__ import annotations

import json
import select
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from urllib3.connection import HTTPConnection

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus, StartStatus, Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import (
    close,
    close_after,
    make_head,
    reset,
    send_raw,
    send_response,
    send_slowly,
    send_started_run,
)
from tests.support.github_job import run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, RequestHandler

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
# Long because no test waits for them, so that a slow machine does not change a result.
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
A, B = RunRequest(TargetKind.TEST, "a"), RunRequest(TargetKind.TEST, "b")
BODY = b'{"status": "running"}'
STATUS = "/run/run-of-a/status"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 5\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n"


def make_transport(server: FaultServer) -> Transport:
    return Transport(server.url, SECRETS, timeouts=LONG_TIMEOUTS)


def make_client(server: FaultServer) -> AutonomaClient:
    return AutonomaClient(make_transport(server), "cli", SECRETS)


def send_bytes(data: bytes) -> RequestHandler:
    """Send these bytes and leave the connection open."""
    return lambda connection: connection.send(data)


def make_response(*headers: str, status: int = 200, body: bytes = BODY) -> bytes:
    """Return a response with exactly these headers and this body."""
    return make_head(status, *headers).encode() + body


def make_status_response(word: str) -> bytes:
    """Return a response about a run's status with an unambiguous length."""
    body = json.dumps({"status": word}).encode()
    return make_response(f"Content-Length: {len(body)}", body=body)


RUN_OF_B = b'{"run_id": "run-of-b", "url": "https://autonoma.app/run/run-of-b"}'
LENGTH = f"Content-Length: {len(BODY)}"
PLAIN = make_response(LENGTH)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
CHUNKED = make_response("Transfer-Encoding: chunked", body=CHUNKS)


# Interim responses


@pytest.mark.parametrize(
    "interim",
    [CONTINUE, PROCESSING, HINTS, CONTINUE + PROCESSING + HINTS, 5 * HINTS],
    ids=["100", "102", "103", "mixed", "five"],
)
def test_interim_responses_are_skipped(interim: bytes) -> None:
    """The final response is returned after any interim responses."""
    with FaultServer(send_bytes(interim + PLAIN)) as server:
        result = make_transport(server).get(STATUS)
        assert (result.status, result.body, result.is_complete) == (200, BODY, True)
        result = make_transport(server).post("/test/a/run", {})
        assert (result.status, result.body, result.is_complete) == (200, BODY, True)


def test_late_final_response_is_not_mixed_up() -> None:
    """A late final response belongs to its own request."""

    def serve_late(connection: Connection) -> bool:
        connection.send(PROCESSING)
        connection.pause(0.05)
        return send_started_run(connection)

    with FaultServer(serve_late) as server:
        client = make_client(server)
        attempts = [client.start(RunRequest(TargetKind.TEST, name)) for name in ("a", "b", "c")]
    assert [attempt.run_id for attempt in attempts] == ["run-of-a", "run-of-b", "run-of-c"]


@pytest.mark.parametrize(
    "interims",
    [
        1000 * CONTINUE,
        1000 * HINTS,
        b"HTTP/1.1 102 Processing\r\n" + 1000 * b"X-Filler: x\r\n" + b"\r\n",
        b"HTTP/1.1 102 Processing\r\nX-Filler: " + 70_000 * b"x" + b"\r\n\r\n",
    ],
    ids=["continues", "hints", "headers", "a long header"],
)
def test_many_interim_responses_are_skipped(interims: bytes) -> None:
    """A gateway may send one every few seconds while the API works."""
    with FaultServer(send_bytes(interims + PLAIN)) as server:
        assert make_client(server).poll_status(A, "run-of-a").status is PollStatus.RUNNING


@pytest.mark.slow
@pytest.mark.parametrize(
    "interims",
    [
        50_000 * CONTINUE,
        15_000 * HINTS,
        b"HTTP/1.1 102 Processing\r\n" + 100_000 * b"X-Filler: x\r\n" + b"\r\n",
        b"HTTP/1.1 102 Processing\r\nX-Filler: " + (1 << 20) * b"x" + b"\r\n\r\n",
    ],
    ids=["continues", "hints", "headers", "a long header"],
)
def test_interim_responses_have_limit(interims: bytes) -> None:
    """More than 1 MiB of interim responses end the request with an error."""
    with FaultServer(send_bytes(interims + PLAIN)) as server:
        with pytest.raises(ResponseLostError, match="more than 1 MiB of interim responses") as caught:
            make_transport(server).get(STATUS)
        assert not caught.value.timed_out
        attempt = make_client(server).start(A)
        assert server.post_counts == {"a": 1}
    assert (attempt.status, attempt.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)


def test_start_after_101_is_indeterminate() -> None:
    """No request asks for an upgrade, so 101 proves nothing."""
    run_response = make_response(f"Content-Length: {len(RUN_OF_B)}", body=RUN_OF_B)
    with FaultServer(send_bytes(SWITCHING + run_response)) as server:
        attempt = make_client(server).start(A)
        assert server.post_counts == {"a": 1}
    assert (attempt.status, attempt.run_id, attempt.http_status) == (StartStatus.INDETERMINATE, "", 0)


def test_poll_after_101_is_unavailable() -> None:
    """A 101 response contains no status of a run."""
    with FaultServer(send_bytes(SWITCHING)) as server:
        client = make_client(server)
        assert [client.poll_status(A, "run-of-a").status for _ in range(3)] == [PollStatus.UNAVAILABLE] * 3
        assert server.connection_count == 3


# Bytes after a response

REJECTIONS = {status: make_response("Content-Length: 2", status=status, body=b"{}") for status in (400, 401, 404, 429)}


@pytest.mark.parametrize("status", REJECTIONS)
@pytest.mark.parametrize("surplus", [PLAIN, PLAIN[:3], HINTS, b"x", b"\r\n\r\nx"])
def test_rejection_with_surplus_is_indeterminate(status: int, surplus: bytes) -> None:
    """Bytes after a rejection can be the real response."""
    with FaultServer(send_bytes(REJECTIONS[status] + surplus)) as server:
        attempt = make_client(server).start(A)
    assert (attempt.status, attempt.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)
    assert attempt.message == f"HTTP {status} (extra data after the response)"


KNOWN_500_BODY = b'{"message": "Device Farm Project ARN is not configured"}'
START_RESPONSE = make_response(f"Content-Length: {len(RUN_OF_B)}", body=RUN_OF_B)


@pytest.mark.parametrize("status", [429, 401, 500])
@pytest.mark.parametrize("text", [b"", KNOWN_500_BODY])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Content-Length: x",),
        ("Content-Length: -1",),
        ("Content-Length:",),
        ("Content-Length: 9, 9",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: gzip",),
    ],
    ids=str,
)
def test_response_in_rejection_is_indeterminate(headers: tuple[str, ...], text: bytes, status: int) -> None:
    """Without a usable length, the body can contain the real response."""
    with FaultServer(send_raw(make_response(*headers, status=status, body=text) + START_RESPONSE)) as server:
        attempt = make_client(server).start(A)
        assert server.post_counts == {"a": 1}
    assert (attempt.status, attempt.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)


@pytest.mark.parametrize(
    "body",
    [b"slow down", b"slow down" + START_RESPONSE, bytes(2 << 20)],
    ids=["cut short", "a response within", "too long"],
)
def test_incomplete_429_is_indeterminate(body: bytes) -> None:
    """The missing rest of a response can change its meaning."""
    with FaultServer(send_raw(make_response(f"Content-Length: {len(body) + 5}", status=429, body=body))) as server:
        assert make_client(server).start(A).status is StartStatus.INDETERMINATE


def test_429_with_nested_response_is_sent_once(tmp_path: Path) -> None:
    """A start is sent once if the server may have acted on it."""
    with FaultServer(send_raw(make_response(status=429, body=b"slow down") + START_RESPONSE)) as server:
        job = run_job(tmp_path, server.url, ["a"], timeouts=LONG_TIMEOUTS)
        assert server.post_counts == {"a": 1}
    assert (job.code, job.states) == (7, {"a": "unknown"})


def test_rejection_page_can_mention_http() -> None:
    """An error page with a length can contain a status line."""
    error_page = b"<pre>\nHTTP/1.1 401 Unauthorized\r\n</pre>"
    with FaultServer(
        send_raw(make_response(f"Content-Length: {len(error_page)}", status=401, body=error_page))
    ) as server:
        assert make_client(server).start(A).status is StartStatus.REJECTED


@pytest.mark.parametrize("surplus", [START_RESPONSE, b"x"])
def test_known_500_with_surplus_is_indeterminate(surplus: bytes) -> None:
    """A 500 with the known message is a rejection only without further bytes."""
    response = make_response(f"Content-Length: {len(KNOWN_500_BODY)}", status=500, body=KNOWN_500_BODY)
    for data, delivery in ((response + surplus, StartStatus.INDETERMINATE), (response, StartStatus.REJECTED)):
        with FaultServer(send_bytes(data)) as server:
            assert make_client(server).start(A).status is delivery


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n\n"])
def test_line_ends_after_rejection_are_ignored(end: bytes) -> None:
    """Some servers send an empty line after a body."""
    with FaultServer(close_after(send_bytes(REJECTIONS[429] + end))) as server:
        assert make_client(server).start(A).status is StartStatus.RATE_LIMITED


@pytest.mark.parametrize("status", REJECTIONS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_rejection_before_request_is_indeterminate(
    tls: bool, status: int, certificates: CertificateAuthority, trusted_authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that arrives before the start does not belong to it."""
    monkeypatch.setattr("autonoma_ci.net.connection._SURPLUS_SECONDS", 10.0)

    def send_rejection(connection: Connection) -> bool:
        return (not tls or connection.start_tls(certificates.create_valid_context())) and connection.send(
            REJECTIONS[status]
        )

    # With a connection handler, the server leaves TLS to it.
    with FaultServer(
        send_started_run, connection_handler=send_rejection, tls=certificates.create_valid_context() if tls else None
    ) as server:
        attempt = make_client(server).start(A)
        assert server.post_counts == {"a": 1}
    assert (attempt.status, attempt.run_id) == (StartStatus.INDETERMINATE, "")


def test_429_before_request_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 on each new connection causes no second start."""
    monkeypatch.setattr("autonoma_ci.net.connection._SURPLUS_SECONDS", 10.0)
    with FaultServer(send_started_run, connection_handler=send_bytes(REJECTIONS[429])) as server:
        job = run_job(tmp_path, server.url, ["a"], timeouts=LONG_TIMEOUTS)
        assert server.post_counts == {"a": 1}
    assert (job.code, job.states) == (7, {"a": "unknown"})


def test_rejection_on_open_connection_is_proof() -> None:
    """A rejection counts even if the server keeps the connection open."""
    with FaultServer(send_bytes(REJECTIONS[404])) as server:
        assert make_client(server).start(A).status is StartStatus.REJECTED


@pytest.mark.parametrize("surplus", [PLAIN, PLAIN[:3], make_status_response("failed"), b" }garbage", b"\r\n\n"])
def test_first_response_is_used(surplus: bytes) -> None:
    """Bytes after a successful response are ignored."""
    with FaultServer(send_bytes(make_response(f"Content-Length: {len(RUN_OF_B)}", body=RUN_OF_B) + surplus)) as server:
        assert make_client(server).start(B).run_id == "run-of-b"
    with FaultServer(send_bytes(make_status_response("passed") + surplus)) as server:
        assert make_client(server).poll_status(A, "run-of-a").status is PollStatus.PASSED


INCOMPLETE_RESPONSES = {
    "in the status": b"HTTP/1.1 429",
    "in the reason": b"HTTP/1.1 429 Too Many",
    "before the headers": b"HTTP/1.1 429 Too Many\r\n",
    "in a header": b"HTTP/1.1 429 Too Many\r\nConte",
    "before the empty line": b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n",
}


@pytest.mark.parametrize("name", INCOMPLETE_RESPONSES)
@pytest.mark.parametrize("status", [200, 400, 404, 429])
def test_cut_headers_are_indeterminate(status: int, name: str) -> None:
    """The missing headers can change the meaning (RFC 9112 §8)."""
    with FaultServer(send_raw(INCOMPLETE_RESPONSES[name].replace(b"429", str(status).encode()))) as server:
        client = make_client(server)
        attempt = client.start(A)
        assert (attempt.status, attempt.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)
        assert "of the response" in attempt.message
        assert client.poll_status(A, "run-of-a").status is PollStatus.UNAVAILABLE


@pytest.mark.parametrize("status", ["0429", "+429", "4_29", "42", " 429x"])
def test_malformed_status_is_indeterminate(status: str) -> None:
    """A status has exactly three digits (RFC 9110 §15)."""
    with FaultServer(send_raw(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")) as server:
        assert make_client(server).start(A).status is StartStatus.INDETERMINATE


def test_status_line_without_reason_is_read() -> None:
    """The reason is optional (RFC 9112 §4)."""
    with FaultServer(send_raw(PLAIN.replace(b"200 Said", b"200"))) as server:
        assert make_client(server).poll_status(A, "run-of-a").status is PollStatus.RUNNING


def test_dripping_headers_time_out() -> None:
    """The error reports the timeout, not the incomplete headers."""
    handler = send_slowly(make_head(200, f"X-Filler: {'x' * 10_000}"))
    with FaultServer(handler) as server:
        transport = Transport(server.url, SECRETS, timeouts=Timeouts(connect=10.0, read=10.0, total=0.5))
        with pytest.raises(ResponseLostError, match="no response in time"):
            transport.post("/test/a/run", {})


# Every request has a connection of its own

HTTP_1_0_RESPONSE = PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")
RESPONSES = {
    "plain": PLAIN,
    "chunks": CHUNKED,
    "no body": make_response("Content-Length: 0", body=b""),
    "keep-alive": make_response(LENGTH, "Connection: keep-alive", "Keep-Alive: timeout=60"),
    "100 before it": CONTINUE + PLAIN,
    "103 before it": HINTS + PLAIN,
    "one byte behind it": PLAIN + b"\n",
    "a response behind it": PLAIN + make_status_response("passed"),
    "half a response behind it": PLAIN + make_status_response("passed")[:-9],
    "a response behind the chunks": CHUNKED + make_status_response("passed"),
    "two equal lengths": make_response(LENGTH, LENGTH),
    "chunks and a length": make_response(LENGTH, "Transfer-Encoding: chunked", body=CHUNKS),
    "a length and chunks": make_response("Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKS)}", body=CHUNKS),
    "204 with a body": make_response(LENGTH, status=204),
    "204 without a body": make_response(status=204, body=b""),
    "205 with a body": make_response(LENGTH, status=205),
    "304 with a body": make_response(LENGTH, status=304),
    "Connection: close": make_response(LENGTH, "Connection: close"),
    "HTTP/1.0": HTTP_1_0_RESPONSE,
    "HTTP/1.0 with keep-alive": HTTP_1_0_RESPONSE.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n", 1),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_requests_share_no_connection(name: str) -> None:
    """A server that keeps its connections gets a new one for each request."""
    with FaultServer(send_bytes(RESPONSES[name])) as server:
        transport = make_transport(server)
        for _ in range(2):
            transport.get(STATUS)
            transport.post("/test/a/run", {})
        assert [request.connection_number for request in server.received_requests] == [1, 2, 3, 4]
        assert {request.headers["connection"] for request in server.received_requests} == {"close"}


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_unclosed_connection_is_not_reused(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed close, no request uses the same connection."""
    close, errors = HTTPConnection.close, [error]

    def fail_once(connection: HTTPConnection) -> None:
        if errors and connection.sock is not None:
            raise errors.pop()
        close(connection)

    with FaultServer(send_bytes(PLAIN)) as server:
        transport = make_transport(server)
        monkeypatch.setattr(HTTPConnection, "close", fail_once)
        assert transport.post("/test/a/run", {}).status == 200
        with pytest.raises(RequestNotSentError) as caught:
            transport.post("/test/b/run", {})
        assert caught.value.retryable
        assert transport.post("/test/c/run", {}).status == 200
    requests = [(request.path, request.connection_number) for request in server.received_requests]
    assert requests == [("/api/test/a/run", 1), ("/api/test/c/run", 2)]


def test_conflicting_lengths_are_rejected() -> None:
    """A response with two different lengths is not read at all."""
    data = make_response(LENGTH, f"Content-Length: {len(BODY) - 1}")
    with FaultServer(send_bytes(data)) as server:
        client = make_client(server)
        assert [client.poll_status(A, "run-of-a").status for _ in range(2)] == [PollStatus.UNAVAILABLE] * 2
        assert client.start(A).status is StartStatus.INDETERMINATE
        assert server.connection_count == 3


def test_body_without_length_ends_at_close() -> None:
    """A body without a length is read until the server closes."""
    with FaultServer(close_after(send_bytes(make_response()))) as server:
        assert make_client(server).poll_status(A, "run-of-a").status is PollStatus.RUNNING


def test_client_closes_its_connections() -> None:
    """A connection does not outlive its request."""
    received: list[bytes] = []

    def wait_for_close(connection: Connection) -> bool:
        send_started_run(connection)
        received.append(connection.socket.recv(1))
        return False

    with FaultServer(wait_for_close) as server:
        client = make_client(server)
        assert [client.start(run).run_id for run in (A, B)] == ["run-of-a", "run-of-b"]
        assert client.fetch_details(A, "run-of-a").error is None
    assert received == [b""] * 3


@pytest.mark.parametrize("handler", [close, reset], ids=["close", "reset"])
def test_request_without_response_is_sent_once(handler: RequestHandler) -> None:
    """A request on a new connection is never repeated."""
    with FaultServer(handler) as server:
        client = make_client(server)
        assert client.poll_status(A, "run-of-a").status is PollStatus.UNAVAILABLE
        assert client.start(A).status is StartStatus.INDETERMINATE
        assert client.fetch_details(A, "run-of-a").error
        assert [request.method for request in server.received_requests] == ["GET", "POST", "GET"]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.002, 0.005])
def test_close_after_response_loses_no_start(seconds: float, tmp_path: Path) -> None:
    """A close directly after each response loses no start."""

    def serve_and_close(connection: Connection) -> bool:
        send_started_run(connection)
        connection.pause(seconds)
        return False

    ids = [f"t{number}" for number in range(200)]
    with FaultServer(serve_and_close) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=LONG_TIMEOUTS)
        assert server.post_counts == dict.fromkeys(ids, 1)
    assert (job.code, set(job.states.values())) == (0, {"started"})
    assert [run["run_id"] for run in job.results_json["runs"]] == [f"run-of-{name}" for name in ids]


def test_connection_close_loses_no_start(tmp_path: Path) -> None:
    """A `Connection` header with the value `close` loses no start."""

    def serve_and_close(connection: Connection) -> bool:
        body = json.dumps({"run_id": f"run-of-{connection.request.target_id}"})
        send_response(200, body, "Connection: close")(connection)
        return False

    ids = [f"t{number}" for number in range(50)]
    with FaultServer(serve_and_close) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=LONG_TIMEOUTS)
        assert server.post_counts == dict.fromkeys(ids, 1)
    assert (job.code, set(job.states.values())) == (0, {"started"})


@pytest.mark.slow
def test_whole_job_shares_no_connection(tmp_path: Path) -> None:
    """Starts, polls and details of a whole job have a connection each."""
    statuses = ["running", "running", "failed"]

    def handler(connection: Connection) -> bool:
        if connection.request.method == "POST":
            return send_started_run(connection)
        if "steps=" in connection.request.path:
            return send_response(200, '{"name": "A title"}')(connection)
        if "run-of-b" in connection.request.path:
            return connection.send(make_status_response("running"))
        return connection.send(make_status_response(statuses.pop(0) if len(statuses) > 1 else statuses[0]))

    environ_changes = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "2s", "INPUT_CONCURRENCY": "1"}
    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], extra_environ=environ_changes, timeouts=LONG_TIMEOUTS)
        connections = [request.connection_number for request in server.received_requests]
    assert job.states == {"a": "failed", "b": "timed-out"}
    assert len(connections) > 6
    assert len(set(connections)) == len(connections)


# Assignment of responses to requests


def wait_for_next_request(connection: Connection) -> None:
    """Wait until the client sends its next request on this connection or closes it."""
    with suppress(OSError, ValueError):
        select.select([connection.socket], [], [], 10.0)


def respond_late(late_data: bytes, expected: str) -> RequestHandler:
    """Respond to polls, with a late response before the first one about run b."""
    remaining = [late_data]

    def handler(connection: Connection) -> bool:
        if "run-of-a" in connection.request.path:
            connection.send(make_status_response("running"))
            wait_for_next_request(connection)
            return connection.send(remaining.pop())
        return connection.send(make_status_response(expected))

    return handler


@pytest.mark.parametrize(
    ("late_data", "expected"),
    [
        (make_status_response("passed"), "failed"),
        (make_status_response("failed"), "passed"),
        (make_status_response("stopped"), "running"),
        (make_response("Content-Length: 2", status=401, body=b"{}"), "running"),
        (make_response("Content-Length: 2", status=404, body=b"{}"), "running"),
    ],
    ids=["passed", "failed", "stopped", "401", "404"],
)
def test_late_poll_response_is_not_mixed_up(late_data: bytes, expected: str) -> None:
    """A second response to a poll is not the response to the next one."""
    with FaultServer(respond_late(late_data, expected)) as server:
        client = make_client(server)
        assert client.poll_status(A, "run-of-a").status is PollStatus.RUNNING
        assert client.poll_status(B, "run-of-b").raw_status == expected


@pytest.mark.parametrize("word", ["running", "passed", "failed"])
def test_status_takes_one_request(word: str) -> None:
    """One response decides the status of a run."""
    with FaultServer(send_bytes(make_status_response(word))) as server:
        assert make_client(server).poll_status(A, "run-of-a").raw_status == word
        assert len(server.received_requests) == 1


def test_concurrent_starts_get_their_own_runs(tmp_path: Path) -> None:
    """Interim and late responses mix up no starts of a whole job."""

    def respond_twice(connection: Connection) -> bool:
        connection.send(HINTS)
        send_started_run(connection)
        wait_for_next_request(connection)
        return send_started_run(connection)

    ids = [f"t{number}" for number in range(50)]
    with FaultServer(respond_twice) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=LONG_TIMEOUTS)
        assert server.post_counts == dict.fromkeys(ids, 1)
    assert [run["run_id"] for run in job.results_json["runs"]] == [f"run-of-{name}" for name in ids]


# TLS


@pytest.fixture
def ca_file_loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Record each load of a file of authorities."""
    load_calls: list[tuple[Any, ...]] = []
    load: Callable[..., None] = ssl.SSLContext.load_verify_locations

    def record_load(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        load_calls.append(args)
        load(context, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", record_load)
    return load_calls


def test_authorities_are_read_once(
    certificates: CertificateAuthority, trusted_authority: Path, ca_file_loads: list[tuple[Any, ...]]
) -> None:
    """Many connections read the file of authorities once."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        for _ in range(2):
            client = make_client(server)
            for number in range(5):
                attempt = client.start(RunRequest(TargetKind.TEST, f"t{number}"))
                assert attempt.run_id == f"run-of-t{number}"
        assert server.connection_count == 10
    assert len(ca_file_loads) <= 1


@pytest.mark.parametrize("certificate_kind", ["expired", "other_host", "self_signed"])
def test_each_connection_verifies_certificate(
    certificate_kind: str, certificates: CertificateAuthority, trusted_authority: Path
) -> None:
    """Each connection verifies the certificate of its server."""
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as good:
        assert make_client(good).start(A).status is StartStatus.STARTED
    with FaultServer(send_started_run, tls=getattr(certificates, f"create_{certificate_kind}_context")()) as server:
        for _ in range(2):
            with pytest.raises(RequestNotSentError, match="cannot be trusted"):
                make_transport(server).post("/test/a/run", {})
            assert make_client(server).poll_status(A, "run-of-a").status is PollStatus.UNAVAILABLE
        assert server.received_requests == []


def test_ca_bundle_is_read_per_connection(certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new connection uses the current REQUESTS_CA_BUNDLE."""
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        for bundle in (str(certificates.authority_file), "", str(certificates.authority_file)):
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
            expected = StartStatus.STARTED if bundle else StartStatus.CANNOT_SEND
            assert make_client(server).start(A).status is expected
        assert server.post_counts == {"a": 2}


@pytest.mark.parametrize("name", ["plain", "one byte behind it", "103 before it", "204 with a body"])
def test_requests_share_no_tls_connection(
    name: str, certificates: CertificateAuthority, trusted_authority: Path
) -> None:
    """Each request has its own connection with TLS too."""
    with FaultServer(send_bytes(RESPONSES[name]), tls=certificates.create_valid_context()) as server:
        transport = make_transport(server)
        for _ in range(3):
            transport.get(STATUS)
        assert [request.connection_number for request in server.received_requests] == [1, 2, 3]


def test_late_tls_response_is_not_mixed_up(certificates: CertificateAuthority, trusted_authority: Path) -> None:
    """A second response to a poll is not the response to the next one in TLS."""
    with FaultServer(
        respond_late(make_status_response("passed"), "failed"), tls=certificates.create_valid_context()
    ) as server:
        client = make_client(server)
        assert client.poll_status(A, "run-of-a").status is PollStatus.RUNNING
        assert client.poll_status(B, "run-of-b").status is PollStatus.FAILED
