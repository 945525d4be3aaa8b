"""Tests of redirects of requests without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci.net.redirects import Redirect, TooManyRedirectsError, follow_redirects
from autonoma_ci.net.session import SafeSession
from autonoma_ci.net.total_timeout import limit_total_time
from tests.support.fault_server import FaultServer
from tests.support.faults import close, send_huge_body, send_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fault_server import Connection, RequestHandler

# In seconds. Long because no test waits for it.
LONG = 60.0


class Follower:
    """Follow redirects, and record each redirect before its request.

    Args:
        max_redirects: The number of redirects to follow.
        check: Raises an error for a forbidden redirect.
    """

    def __init__(self, max_redirects: int = 5, check: Callable[[Redirect], None] = lambda _: None) -> None:
        self._max_redirects, self._check = max_redirects, check
        self.redirects: list[Redirect] = []
        self.responses: list[requests.Response] = []

    def follow(self, url: str, decode: Callable[[str], str] = str) -> str:
        """Return status and body of the last response."""
        with SafeSession() as session, limit_total_time(LONG):
            return follow_redirects(session, url, LONG, self._max_redirects, self._check_redirect, self._read, decode)

    def _check_redirect(self, redirect: Redirect) -> None:
        self.redirects.append(redirect)
        self._check(redirect)

    def _read(self, response: requests.Response) -> str:
        self.responses.append(response)
        return f"{response.status_code} {response.text}"


def redirect_to(*locations: str, status: int = 302) -> RequestHandler:
    """Redirect each request to the next location, and then send a page."""
    remaining = list(locations)

    def handler(connection: Connection) -> bool:
        return (
            send_response(status, "", f"Location: {remaining.pop(0)}") if remaining else send_response(200, "page")
        )(connection)

    return handler


@pytest.mark.parametrize("status", [200, 204, 299, 300, 304, 399, 400, 404, 500])
def test_response_without_location_is_last(status: int) -> None:
    """A status of a redirect alone leads nowhere."""
    follower = Follower()
    with FaultServer(send_response(status)) as server:
        assert follower.follow(server.url) == f"{status} "
    assert follower.redirects == []


@pytest.mark.parametrize("status", [200, 201, 299, 400, 503])
def test_location_of_other_status_is_ignored(status: int) -> None:
    """Only a status from 300 to 399 is a redirect."""
    with FaultServer(redirect_to("/next", status=status)) as server:
        assert Follower().follow(server.url) == f"{status} "
        assert len(server.received_requests) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_redirect_is_followed(status: int) -> None:
    """The next URL is checked with the status and the URL that led to it."""
    follower = Follower()
    with FaultServer(redirect_to("/next", status=status)) as server:
        assert follower.follow(f"{server.url}/first?a=b#c") == "200 page"
        assert [request.path for request in server.received_requests] == ["/api/first?a=b", "/next"]
    base_url = server.url.removesuffix("/api")
    assert follower.redirects == [Redirect(status, f"{server.url}/first?a=b#c", f"{base_url}/next")]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("next", "/a/next"),
        ("../next", "/next"),
        ("?x=y", "/a/b?x=y"),
        ("#top", "/a/b"),
        ("/next?x=y#top", "/next?x=y"),
        ("//127.0.0.1:{port}/next", "/next"),
        ("http://127.0.0.1:{port}/next", "/next"),
    ],
)
def test_relative_location_is_joined(location: str, path: str) -> None:
    """A relative location begins at the URL of the request."""
    with FaultServer(lambda _: False) as server:
        server._default_handler = redirect_to(location.format(port=server.port))
        assert Follower().follow(f"http://127.0.0.1:{server.port}/a/b") == "200 page"
        assert server.received_requests[1].path == path


@pytest.mark.parametrize("max_redirects", [0, 1, 5])
def test_redirects_have_limit(max_redirects: int) -> None:
    """The redirect above the limit is neither checked nor followed."""
    paths = [f"/{number}" for number in range(max_redirects)]
    follower = Follower(max_redirects)
    with FaultServer(redirect_to(*paths)) as server:
        assert follower.follow(server.url) == "200 page"
    assert len(follower.redirects) == max_redirects

    follower = Follower(max_redirects)
    with FaultServer(redirect_to(*paths, "http://shop.test/above")) as server:
        with pytest.raises(TooManyRedirectsError, match=f"^more than {max_redirects} redirects$") as error:
            follower.follow(server.url)
        assert len(server.received_requests) == max_redirects + 1
    assert len(follower.redirects) == max_redirects
    assert (error.value.redirect.status, error.value.redirect.next_url) == (302, "http://shop.test/above")


def test_forbidden_redirect_is_not_requested() -> None:
    """An error of the check ends the requests."""

    def forbid(redirect: Redirect) -> None:
        raise PermissionError(redirect.next_url)

    with (
        FaultServer(send_response(200, "page")) as other_server,
        FaultServer(redirect_to(f"{other_server.url}/a")) as server,
    ):
        with pytest.raises(PermissionError, match=f"^{other_server.url}/a$"):
            Follower(check=forbid).follow(server.url)
        assert other_server.connection_count == 0


def test_body_of_redirect_is_not_read() -> None:
    """An endless body of a redirect does not delay the next request."""
    first = send_huge_body(302, "Location: /next", megabytes=10_000)

    def handler(connection: Connection) -> bool:
        return (send_response(200, "page") if connection.request.path == "/next" else first)(connection)

    with FaultServer(handler) as server:
        assert Follower().follow(server.url) == "200 page"


def test_location_is_decoded() -> None:
    """The caller decides how the bytes of the header become text."""
    follower = Follower(0)
    with FaultServer(redirect_to("/é")) as server, pytest.raises(TooManyRedirectsError) as error:
        follower.follow(server.url, lambda text: text.replace("é", "e"))
    assert error.value.redirect.next_url.endswith("/e")


def test_last_response_is_closed() -> None:
    """The connection is open only while the response is read."""
    follower = Follower()
    with FaultServer(send_response(200, "page")) as server:
        assert follower.follow(server.url) == "200 page"
    assert follower.responses[0].raw.closed


def test_failed_request_raises_library_error() -> None:
    """The caller explains the error."""
    with FaultServer(close) as server, pytest.raises(requests.ConnectionError):
        Follower().follow(server.url)


@pytest.mark.parametrize(
    ("location", "message"), [("//[::1", "Invalid IPv6 URL"), ("http://a:99999/", "Failed to parse")]
)
def test_invalid_location_raises_value_error(location: str, message: str) -> None:
    """The location is untrusted text."""
    with FaultServer(redirect_to(location)) as server, pytest.raises(ValueError, match=message):
        Follower().follow(server.url)


def test_each_url_has_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is used for another machine and not for this one."""
    with FaultServer(send_response(200, "proxied")) as proxy, FaultServer(redirect_to("http://shop.test/a")) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Follower().follow(server.url) == "200 proxied"
        assert [request.path for request in proxy.received_requests] == ["http://shop.test/a"]
