"""Tests of the HTTP client for the APIs of CI systems."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.rest import http
from autonoma_ci.ci.rest.http import RestClient, RestError, RestLimits, api_base_url
from autonoma_ci.clock import Clock
from autonoma_ci.errors import InputError
from autonoma_ci.net.total_timeout import deadlines
from autonoma_ci.redaction.redactor import Secret
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import close, make_head, send_half_body, send_response, send_slowly

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, RequestHandler

TOKEN = Secret("s3cret-value")
OK = send_response(200, "{}")
UNAVAILABLE = send_response(502)
DATE = "Date: Wed, 01 Jul 2026 10:00:00 GMT"
# The time of that date, in seconds since 1970.
DATE_SECONDS = 1782900000
NO_REQUESTS_LEFT = "X-RateLimit-Remaining: 0"


class WallClock(FakeClock):
    """A fake clock that starts at a known time of day."""

    def unix_time(self) -> int:
        return DATE_SECONDS + int(self.time - 1000.0)


def serve(*handlers: RequestHandler) -> FaultServer:
    """Return a server with one handler for each request, of which the last one repeats."""
    return FaultServer(handlers[-1], {"api": handlers})


def make_client(server: FaultServer, clock: Clock | None = None, **headers: str) -> RestClient:
    """Make a client with these headers that hides the token."""
    return RestClient(server.url, headers, clock or FakeClock(), secrets=[TOKEN])


def get_request_error(*handlers: RequestHandler, method: str = "GET") -> RestError:
    """Return the error of one request to a server with these handlers."""
    with serve(*handlers) as server, pytest.raises(RestError) as caught:
        make_client(server).request(method, "/notes")
    return caught.value


# Requests and responses


def test_request_sends_body_as_json() -> None:
    """A body is ASCII JSON with its content type, and the client's headers are sent."""
    with serve(OK) as server:
        make_client(server, Name="value").request("PUT", "/notes", {"body": "é\n<b>"})
    [request] = server.received_requests
    assert (request.method, request.path, request.body) == ("PUT", "/api/notes", b'{"body": "\\u00e9\\n<b>"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["name"] == "value"
    assert request.headers["user-agent"].startswith("autonoma-ci/")


def test_request_without_body_has_no_type() -> None:
    """A request without a body has no content type."""
    with serve(OK) as server:
        make_client(server).request("GET", "/notes")
    [request] = server.received_requests
    assert request.body == b""
    assert "content-type" not in request.headers


def test_base_url_can_end_in_slash() -> None:
    """A slash at the end of the base URL is not doubled."""
    with serve(OK) as server:
        RestClient(f"{server.url}/", {}, FakeClock()).request("GET", "/notes")
    assert server.received_requests[0].path == "/api/notes"


@pytest.mark.parametrize("status", [200, 201, 299])
def test_response_has_data_page_and_date(status: int) -> None:
    """A response with a success status has its data, next page and time."""
    link = 'Link: <http://127.0.0.1/next>; rel="next", <http://127.0.0.1/last>; rel="last"'
    with serve(send_response(status, '[{"id": 1}]', link, DATE)) as server:
        response = make_client(server).request("GET", "/notes")
    assert response == (status, [{"id": 1}], "http://127.0.0.1/next", DATE.removeprefix("Date: "))


@pytest.mark.parametrize("body", ["", "<html>", '{"id": ', "[" * 100_000, b"\xff\xfe", '"\\ud800'])
def test_response_without_json_has_no_data(body: str | bytes) -> None:
    """A successful response that is not JSON has no data."""
    with serve(send_response(200, body)) as server:
        response = make_client(server).request("GET", "/notes")
    assert (response.status, response.data, response.next_url) == (200, None, "")


def test_request_accepts_url_on_same_host() -> None:
    """The complete URL of a next page is requested on the same host."""
    with serve(OK) as server:
        make_client(server).request("GET", f"http://127.0.0.1:{server.port}/elsewhere/api/x?page=2")
    assert server.received_requests[0].path == "/elsewhere/api/x?page=2"


@pytest.mark.parametrize(
    "url",
    ["https://{host}/api/x", "http://127.0.0.1/api/x", "http://user@{host}/api/x", "http://{host}.example/x", "x://y"],
)
def test_url_on_other_host_is_not_requested(url: str) -> None:
    """A next page with another scheme, host, port or login gets no token."""
    with serve(OK) as server, pytest.raises(RestError, match="on another host, which gets no token"):
        make_client(server).request("GET", url.format(host=f"127.0.0.1:{server.port}"))
    assert server.received_requests == []


def test_invalid_url_is_not_requested() -> None:
    """An invalid URL of the next page is an error without a request."""
    with serve(OK) as server, pytest.raises(RestError, match="invalid URL of the next page"):
        make_client(server).request("GET", "http://[")
    assert server.received_requests == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_an_error(status: int) -> None:
    """A redirect is not followed, because it could send the token to another host."""
    error = get_request_error(send_response(status, "", "Location: /api/other"))
    assert (str(error), error.status, error.is_retryable) == (f"HTTP {status}", status, False)


@pytest.mark.parametrize(("size", "is_accepted"), [(100, True), (101, False)])
def test_response_body_has_size_limit(size: int, is_accepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer body is an error that a retry may end."""
    monkeypatch.setattr(http, "_MAX_RESPONSE_BYTES", 100)
    with serve(send_response(200, json.dumps("x" * (size - 2)))) as server:
        client = make_client(server)
        if is_accepted:
            assert client.request("GET", "/notes").data == "x" * 98
        else:
            with pytest.raises(RestError) as caught:
                client.request("GET", "/notes")
            assert (caught.value.status, caught.value.is_unsent) == (0, False)


def test_proxy_gets_complete_url() -> None:
    """A client with a proxy sends its requests there."""
    with serve(OK) as server:
        client = RestClient("http://api.example.invalid/v1", {}, FakeClock(), proxy=f"http://127.0.0.1:{server.port}")
        assert client.request("GET", "/notes").status == 200
    assert server.received_requests[0].path == "http://api.example.invalid/v1/notes"


def test_loopback_request_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment gets no request to this machine."""
    with serve(OK) as proxy, serve(OK) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert make_client(server).request("GET", "/notes").status == 200
    assert proxy.received_requests == []


# Messages of the server


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Validation Failed", "errors": [{"message": "body is too long"}]},
         "Validation Failed: body is too long"),
        ({"message": "Not Found."}, "Not Found"),
        ({"message": "400 Bad request"}, "Bad request"),
        ({"message": "400: Bad request"}, "Bad request"),
        ({"message": "4000 notes"}, "4000 notes"),
        ({"message": {"note": ["is too long", "is bad"]}}, "note is too long: note is bad"),
        ({"message": {"a": "1", "b": "2", "c": "3", "d": "4"}}, "a 1: b 2: c 3"),
        ({"message": ["a", "b", "c", "d"]}, "a: b: c"),
        ({"error": "invalid_token", "error_description": "Token is expired."}, "invalid_token: Token is expired"),
        ({"errors": ["a", {"message": "b"}, {"message": 5}, "d"]}, "a: b"),
        ({"message": "two\nlines\x1b[31m"}, "two lines\ufffd[31m"),
        ({"message": "the token s3cret-value is bad"}, "the token *** is bad"),
        ({"errors": 5}, ""),
        ({"message": {"note": {"deep": "x"}}}, ""),
        ({"message": [["x"], None, 5, ""]}, ""),
        ({"detail": "x"}, ""),
        (["message"], ""),
        ("message", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_error_has_message_of_server(body: object, message: str) -> None:
    """The error shows the known messages of the body on one redacted line."""
    error = get_request_error(send_response(400, json.dumps(body)))
    assert error.server_message == message
    assert str(error) == (f"HTTP 400: {message}" if message else "HTTP 400")


def test_error_message_is_cut() -> None:
    """A long message of the server is cut to 200 characters."""
    error = get_request_error(send_response(400, json.dumps({"message": "long " * 100_000})))
    assert 150 < len(error.server_message) <= 200
    assert error.server_message.endswith("…")


@pytest.mark.parametrize("status", [400, 499])
def test_client_error_shows_message(status: int) -> None:
    """A response with status 4xx is about the request."""
    assert str(get_request_error(send_response(status, '{"message": "no"}'))) == f"HTTP {status}: no"


@pytest.mark.parametrize("status", [399, 500, 599])
def test_other_error_shows_no_message(status: int) -> None:
    """A message of a failing server is not about the request."""
    assert str(get_request_error(send_response(status, '{"message": "no"}'))) == f"HTTP {status}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RestError("x", 429), True),
        (RestError("x", 403, wait_seconds=0.0), True),
        (RestError("x", 403, server_message="You have exceeded a secondary Rate Limit"), True),
        (RestError("x", 403, server_message="You have triggered an abuse detection mechanism"), True),
        (RestError("x", 403, server_message="Forbidden"), False),
        (RestError("x", 403), False),
        (RestError("x", 503, wait_seconds=5.0), False),
        (RestError("x", 404, server_message="rate limit"), False),
        (RestError("x"), False),
    ],
)
def test_rate_limit_is_recognized(error: RestError, expected: bool) -> None:
    """GitHub reports a rate limit with status 403 or 429."""
    assert error.is_rate_limit is expected


# Retries


@pytest.mark.parametrize("status", sorted(http.RETRYABLE_STATUSES))
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_idempotent_request_is_retried(method: str, status: int) -> None:
    """Requests without a second effect are sent at most three times."""
    clock = FakeClock()
    with serve(send_response(status), send_response(status), OK) as server:
        assert make_client(server, clock).request(method, "/notes").status == 200
    assert (len(server.received_requests), clock.time) == (3, 1002.0)


def test_third_failure_is_raised() -> None:
    """After three attempts, the error of the last one is raised."""
    clock = FakeClock()
    with (
        serve(UNAVAILABLE, UNAVAILABLE, send_response(500), OK) as server,
        pytest.raises(RestError, match=r"^HTTP 500$"),
    ):
        make_client(server, clock).request("GET", "/notes")
    assert (len(server.received_requests), clock.time) == (3, 1002.0)


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 422, 501])
def test_permanent_error_is_not_retried(status: int) -> None:
    """An error that a retry does not end is raised at once."""
    with serve(send_response(status), OK) as server, pytest.raises(RestError):
        make_client(server).request("GET", "/notes")
    assert len(server.received_requests) == 1


@pytest.mark.parametrize("handler", [UNAVAILABLE, send_response(429), close, send_half_body()])
def test_post_that_arrived_is_not_resent(handler: RequestHandler) -> None:
    """A second POST could create a second comment."""
    with serve(handler, OK) as server, pytest.raises(RestError) as caught:
        make_client(server).request("POST", "/notes", {})
    assert len(server.received_requests) == 1
    assert caught.value.is_retryable
    assert not caught.value.is_unsent


@pytest.mark.parametrize("handler", [UNAVAILABLE, close, send_half_body()])
def test_graphql_query_is_retried(handler: RequestHandler) -> None:
    """A query only reads, so a second one has no effect."""
    with serve(handler, send_response(200, '{"data": 1}')) as server:
        assert make_client(server).query_graphql("/graphql", {"query": "q"}).data == {"data": 1}
    assert [request.method for request in server.received_requests] == ["POST", "POST"]


def test_refused_post_is_retried() -> None:
    """A POST without a connection has no effect, and its error has a remedy."""
    clock = FakeClock()
    with serve(OK) as server:
        server.stop_listening()
        with pytest.raises(RestError) as caught:
            make_client(server, clock).request("POST", "/notes", {})
    assert clock.time == 1002.0
    assert (caught.value.is_unsent, caught.value.is_retryable, caught.value.status) == (True, True, 0)
    assert "refused the connection" in str(caught.value)
    assert "Check host and port." in caught.value.hint


def test_request_without_thread_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread for the timeout, no request is sent."""

    def fail() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(deadlines, "start", fail)
    with serve(OK) as server, pytest.raises(RestError, match="no thread could be started") as caught:
        make_client(server).request("POST", "/notes", {})
    assert server.received_requests == []
    assert caught.value.is_unsent
    assert "ulimit -u" in caught.value.hint


def test_comment_timeout_starts_with_request() -> None:
    """A client may exist long before its first request."""
    clock = FakeClock()
    with FaultServer(send_response(200, "{}")) as server:
        client = RestClient(server.url, {}, clock)
        clock.sleep(http.MAX_TOTAL_SECONDS + 1)
        assert client.request("GET", "/").status == 200
        clock.sleep(http.MAX_TOTAL_SECONDS + 1)
        with pytest.raises(RestError, match="time limit of 60 s exceeded"):
            client.request("GET", "/")


def test_unsent_post_is_sent_again(
    certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, trusted_authority: Path
) -> None:
    """The first handshake fails, so no second comment can result."""
    failures = iter([True])
    tls: ssl.SSLContext = certificates.create_valid_context()

    def fail_first_handshake(connection: Connection) -> bool:
        if next(failures, False):
            connection.receive()
            return close(connection)
        return connection.start_tls(tls)

    with FaultServer(send_response(201, "{}"), connection_handler=fail_first_handshake) as server:
        client = RestClient(server.url.replace("http:", "https:"), {}, FakeClock())
        assert client.request("POST", "/comments", {}).status == 201
        assert len(server.received_requests) == 1


def test_client_sends_at_most_50_requests() -> None:
    """The 51st request of a client is not sent."""
    with serve(OK) as server:
        client = make_client(server)
        for _ in range(http.MAX_REQUESTS):
            client.request("GET", "/notes")
        with pytest.raises(RestError, match=r"^limit of 50 requests exceeded$"):
            client.request("GET", "/notes")
    assert len(server.received_requests) == 50


def test_client_with_limits_sends_fewer_requests() -> None:
    """The attempts of one request and the requests in total have limits of their own."""
    limits = RestLimits(total_seconds=10.0, request_seconds=5.0, total_requests=3, attempts=2)
    with serve(UNAVAILABLE) as server:
        client = RestClient(server.url, {}, FakeClock(), limits=limits)
        with pytest.raises(RestError, match=r"^HTTP 502$"):
            client.request("GET", "/notes")
        assert len(server.received_requests) == 2
        with pytest.raises(RestError, match=r"^limit of 3 requests exceeded$"):
            client.request("GET", "/notes")
    assert len(server.received_requests) == 3


def test_client_with_limits_ends_slow_body() -> None:
    """A body that arrives byte by byte ends at the timeout of the request."""
    limits = RestLimits(total_seconds=0.5, request_seconds=0.2, total_requests=1, attempts=1)
    with serve(send_slowly(f"{make_head(200, 'Content-Length: 9000')}{' ' * 9000}", 0.01)) as server:
        client = RestClient(server.url, {}, Clock(), limits=limits)
        with pytest.raises(RestError, match="no response in time"):
            client.request("GET", "/notes")


@pytest.mark.parametrize(("seconds", "is_sent"), [(59.9, True), (60.0, False)])
def test_client_has_60_seconds_in_total(seconds: float, is_sent: bool) -> None:
    """After 60 seconds, no further request is sent."""
    clock = FakeClock()
    with serve(OK) as server:
        client = make_client(server, clock)
        client.request("GET", "/notes")
        clock.sleep(seconds)
        if is_sent:
            client.request("GET", "/notes")
        else:
            with pytest.raises(RestError, match=r"^time limit of 60 s exceeded$"):
                client.request("GET", "/notes")
    assert len(server.received_requests) == 1 + is_sent


# Rate limits


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, ["Retry-After: 7"], 7.0),
        (403, ["Retry-After: 7"], 7.0),
        (403, ["Retry-After: 0"], 1.0),
        (403, ["Retry-After: Wed, 01 Jul 2026 10:00:30 GMT", DATE], 30.0),
        (403, [NO_REQUESTS_LEFT, f"X-RateLimit-Reset: {DATE_SECONDS + 20}", DATE], 20.0),
        (403, [NO_REQUESTS_LEFT, f"X-RateLimit-Reset: {DATE_SECONDS + 20}"], 20.0),
        (403, [NO_REQUESTS_LEFT, f"X-RateLimit-Reset: {DATE_SECONDS + 20}", "Date: soon"], 20.0),
        (403, [NO_REQUESTS_LEFT, "X-RateLimit-Reset: 1", DATE], 1.0),
        (403, ["Retry-After: 7", NO_REQUESTS_LEFT, f"X-RateLimit-Reset: {DATE_SECONDS + 20}", DATE], 7.0),
    ],
)
def test_rate_limit_delays_request(method: str, status: int, headers: list[str], seconds: float) -> None:
    """The server refused the request, so it is sent again after the delay of the server."""
    clock = WallClock()
    with serve(send_response(status, "", *headers), OK) as server:
        assert make_client(server, clock).request(method, "/notes").status == 200
    assert clock.time == 1000.0 + seconds


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Retry-After: soon"],
        ["X-RateLimit-Remaining: 1", f"X-RateLimit-Reset: {DATE_SECONDS + 20}"],
        [NO_REQUESTS_LEFT],
        [NO_REQUESTS_LEFT, "X-RateLimit-Reset: -1"],
        [NO_REQUESTS_LEFT, f"X-RateLimit-Reset: {'9' * 13}"],
    ],
)
def test_rate_limit_without_time_is_raised(headers: list[str]) -> None:
    """Without a valid time, a refused request is not sent again."""
    with serve(send_response(403, "", *headers), OK) as server, pytest.raises(RestError) as caught:
        make_client(server, WallClock()).request("GET", "/notes")
    assert caught.value.wait_seconds is None
    assert len(server.received_requests) == 1


def test_second_rate_limit_is_raised() -> None:
    """A client waits for one rate limit in total."""
    clock = FakeClock()
    limit = send_response(429, "", "Retry-After: 7")
    with serve(limit, OK, limit, OK) as server:
        client = make_client(server, clock)
        client.request("GET", "/notes")
        with pytest.raises(RestError) as caught:
            client.request("GET", "/notes")
    assert (caught.value.wait_seconds, clock.time, len(server.received_requests)) == (7.0, 1007.0, 3)


@pytest.mark.parametrize(("delay", "is_sent"), [(59, True), (60, False), (999_999_999, False)])
def test_long_rate_limit_is_raised(delay: int, is_sent: bool) -> None:
    """A delay that exceeds the total time is not waited for."""
    clock = FakeClock()
    with serve(send_response(429, "", f"Retry-After: {delay}"), OK) as server:
        if is_sent:
            make_client(server, clock).request("GET", "/notes")
        else:
            with pytest.raises(RestError, match=r"^HTTP 429$"):
                make_client(server, clock).request("GET", "/notes")
    assert clock.time == 1000.0 + (delay if is_sent else 0)


def test_unavailable_server_delays_get() -> None:
    """A server that is unavailable may name the time of the next attempt."""
    clock = FakeClock()
    with serve(send_response(503, "", "Retry-After: 5"), OK) as server:
        make_client(server, clock).request("GET", "/notes")
    assert clock.time == 1005.0


def test_unavailable_server_gets_post_once() -> None:
    """A POST may have arrived at a server that is unavailable."""
    with serve(send_response(503, "", "Retry-After: 5"), OK) as server, pytest.raises(RestError, match=r"^HTTP 503$"):
        make_client(server).request("POST", "/notes", {})
    assert len(server.received_requests) == 1


def test_other_status_names_no_delay() -> None:
    """Retry-After with another status is ignored."""
    error = get_request_error(send_response(404, "", "Retry-After: 5"))
    assert error.wait_seconds is None


# Base URLs


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://git.example.com/api/v4/", "https://git.example.com/api/v4"),
        ("http://127.0.0.1:8080/api", "http://127.0.0.1:8080/api"),
        ("", ""),
        ("file:///etc", ""),
        ("git.example.com", ""),
        ("https://", ""),
        ("https://user:s3cret-value@git.example.com", ""),
        ("https://git.example.com/api?x=1", ""),
        ("ftp://git.example.com", ""),
    ],
)
def test_base_url_is_https_or_empty(text: str, url: str) -> None:
    """An invalid URL of the API counts as unknown."""
    assert api_base_url({"API_URL": text}.__getitem__, "API_URL", "turn comment off") == url


@pytest.mark.parametrize(
    ("text", "url_text"),
    [
        ("http://git.example.com/api", " (http://git.example.com/api)"),
        ("HTTP://git.example.com/api?token=s3cret-value#x", " (HTTP://git.example.com/api)"),
        ("http://git.example.com/#s3cret-value", " (http://git.example.com/)"),
        ("http://user:s3cret-value@git.example.com/api", ""),
    ],
)
def test_plain_http_base_url_is_rejected(text: str, url_text: str) -> None:
    """The error has the URL without credentials and names the remedy."""
    with pytest.raises(InputError) as caught:
        api_base_url({"API_URL": text}.__getitem__, "API_URL", "turn comment off")
    assert str(caught.value) == (
        f"API_URL is plain HTTP{url_text}, but the token needs https. Serve the API over https, or turn comment off"
    )


def test_long_base_url_is_cut_in_error() -> None:
    """The error shows at most 100 characters of the URL."""
    with pytest.raises(InputError) as caught:
        api_base_url({"API_URL": f"http://git.example.com/{'x' * 500}"}.__getitem__, "API_URL", "turn comment off")
    assert len(str(caught.value)) < 250
