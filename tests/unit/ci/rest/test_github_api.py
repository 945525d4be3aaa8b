"""Tests of the client for GitHub's API and of its hints."""

from __future__ import annotations

import pytest

from autonoma_ci.ci.rest.github_api import create_github_client, find_github_hint
from autonoma_ci.ci.rest.http import RestError
from autonoma_ci.redaction.redactor import Secret
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response


def test_client_sends_documented_headers() -> None:
    """Each request has the token, the media type and the version of the API."""
    with FaultServer(send_response(200, "{}")) as server:
        create_github_client(server.url, Secret("s3cret-value"), FakeClock()).request("GET", "/user")
    [request] = server.received_requests
    assert request.headers["authorization"] == "Bearer s3cret-value"
    assert request.headers["accept"] == "application/vnd.github+json"
    assert request.headers["x-github-api-version"] == "2022-11-28"


def test_client_hides_token_in_errors() -> None:
    """The server can repeat the token in its message."""
    with FaultServer(send_response(422, '{"message": "bad s3cret-value"}')) as server:
        client = create_github_client(server.url, Secret("s3cret-value"), FakeClock())
        with pytest.raises(RestError) as caught:
            client.request("GET", "/user")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (403, "Resource not accessible by integration", "The job needs the permission `contents: read`."),
        (
            403,
            "Resource not accessible by personal access token",
            "Grant the token access to this repository and the permission `Contents: read`.",
        ),
        (
            404,
            "Not Found",
            "github-token may lack access to this repository. Pass ${{ github.token }} with `contents: read`.",
        ),
        (
            401,
            "Bad credentials",
            "github-token is invalid, expired, or of another server. Pass ${{ github.token }} or a new token.",
        ),
        (429, "", "Later."),
        (403, "API rate limit exceeded", "Later."),
        (500, "", None),
    ],
)
def test_hint_names_permission(status: int, message: str, hint: str | None) -> None:
    """A hint has the permission of the request, and a read permission has no note about forks."""
    error = RestError("x", status, server_message=message)
    assert find_github_hint(error, "contents: read", "Later.") == hint
