"""Tests of comments on pull requests of GitHub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.comments.github import MAX_COMMENT_CHARS, open_pull_request_thread
from autonoma_ci.ci.rest.http import RestError
from autonoma_ci.errors import InputError
from autonoma_ci.models import BuildContext
from autonoma_ci.redaction.redactor import Secret
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.comments.rest import RestCommentThread
    from tests.support.fault_server import Connection, ReceivedRequest

TOKEN = Secret("s3cret-value")
API_URL = "https://api.github.com"
CONTEXT = BuildContext("github", change_number="7", repository="acme/shop", build_id="500")


def open_thread(
    context: BuildContext = CONTEXT, url: str = API_URL, environ: Mapping[str, str] | None = None
) -> RestCommentThread | None:
    return open_pull_request_thread({"GITHUB_API_URL": url, **(environ or {})}, context, TOKEN, FakeClock())


def find_hint(error: RestError) -> str | None:
    thread = open_thread()
    assert thread
    return thread.find_hint(error)


def record_requests(base: str, context: BuildContext = CONTEXT, *, is_app: bool = False) -> list[ReceivedRequest]:
    """List the comments twice and write one, and return the requests."""
    user = {"id": 7, "login": "ada"}

    def serve(connection: Connection) -> bool:
        path = connection.request.path
        if path.endswith("/user"):
            return send_response(403 if is_app else 200, json.dumps(user))(connection)
        if path.endswith("/graphql"):
            return send_response(200, '{"data": {"viewer": {"login": "ada", "databaseId": 7}}}')(connection)
        is_list = connection.request.method == "GET"
        note = {"id": 5, "body": "x", "user": user}
        return send_response(200, json.dumps([note] if is_list else note), "Date: Wed, 01 Jul 2026 10:00:00 GMT")(
            connection
        )

    with FaultServer(serve) as server:
        thread = open_thread(context, f"http://127.0.0.1:{server.port}{base}")
        assert thread
        [comment] = thread.list_own() or []
        assert thread.list_changed() == [comment]
        thread.create("new")
        thread.update(comment, "newer")
        thread.delete(comment)
    return server.received_requests


@pytest.mark.parametrize("base", ["", "/api/v3"])
def test_requests_follow_rest_documentation(base: str) -> None:
    """The paths and queries are those of issue comments."""
    comments = f"{base}/repos/acme/shop/issues/7/comments"
    assert [f"{request.method} {request.path}" for request in record_requests(base)] == [
        f"GET {base}/user",
        f"GET {comments}?per_page=100",
        f"GET {comments}?per_page=100&since=2026-07-01T10:00:00Z",
        f"POST {comments}",
        f"PATCH {base}/repos/acme/shop/issues/comments/5",
        f"DELETE {base}/repos/acme/shop/issues/comments/5",
    ]


def test_requests_have_documented_headers() -> None:
    """Each request has the token, the media type and the version of the API."""
    for request in record_requests(""):
        assert request.headers["authorization"] == "Bearer s3cret-value"
        assert request.headers["accept"] == "application/vnd.github+json"
        assert request.headers["x-github-api-version"] == "2022-11-28"


@pytest.mark.parametrize(("base", "path"), [("", "/graphql"), ("/api/v3", "/api/graphql"), ("/v3x", "/v3x/graphql")])
def test_graphql_is_beside_rest(base: str, path: str) -> None:
    """An Enterprise Server has GraphQL beside the version of REST."""
    assert [request.path for request in record_requests(base, is_app=True)][1] == path


def test_repository_is_quoted_in_path() -> None:
    """A name with a query or a line break changes no other part of the path."""
    context = CONTEXT._replace(repository="acme/a?b=c#d\n e%2F")
    assert record_requests("", context)[3].path == "/repos/acme/a%3Fb%3Dc%23d%0A%20e%252F/issues/7/comments"


@pytest.mark.parametrize(
    ("context", "url"),
    [
        (CONTEXT._replace(change_number=""), API_URL),
        (CONTEXT._replace(repository=""), API_URL),
        (CONTEXT, ""),
        (CONTEXT, "file:///etc/passwd"),
        (CONTEXT, "https://user@api.github.com"),
        (CONTEXT, "https://api.github.com\n.example.com"),
        (CONTEXT, f"https://api.github.com/{'x' * 2000}"),
    ],
)
def test_incomplete_job_has_no_thread(context: BuildContext, url: str) -> None:
    """Without pull request, repository or API there are no comments."""
    assert open_thread(context, url) is None


def test_plain_http_api_is_rejected() -> None:
    """A token is never sent without encryption to another machine."""
    with pytest.raises(InputError, match="GITHUB_API_URL is plain HTTP") as caught:
        open_thread(url="http://git.example.com/api/v3")
    assert "turn comment off" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({}, ""),
        ({"GITHUB_WORKFLOW": "E2E"}, "E2E"),
        ({"GITHUB_WORKFLOW": "E2E", "GITHUB_WORKFLOW_REF": "acme/shop/e2e.yml@refs/heads/main"}, "acme/shop/e2e.yml"),
        ({"GITHUB_WORKFLOW_REF": "acme/shop/e2e.yml"}, "acme/shop/e2e.yml"),
        ({"GITHUB_WORKFLOW": "a\nb"}, ""),
    ],
)
def test_workflow_file_identifies_workflow(environ: Mapping[str, str], key: str) -> None:
    """Two workflows may share a name, so the name only replaces a missing file."""
    thread = open_thread(environ=environ)
    assert thread
    assert thread.workflow_key == key


@pytest.mark.parametrize(("build_id", "expected"), [("500", "500"), ("", ""), ("5a", ""), ("-5", ""), ("5.6", "")])
def test_build_id_is_a_number(build_id: str, expected: str) -> None:
    """Another id has no order and counts as unknown."""
    thread = open_thread(CONTEXT._replace(build_id=build_id))
    assert thread
    assert (thread.build_id, thread.max_bytes) == (expected, MAX_COMMENT_CHARS)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (403, "Resource not accessible by integration", "The job needs the permission `pull-requests: write`"),
        (403, "Resource not accessible by personal access token", "the permission `Pull requests: write`."),
        (403, "Resource protected by organization SAML enforcement", "Authorize github-token for the organization's"),
        (403, "Unable to create comment because issue is locked", "Unlock the conversation"),
        (403, "Repository was ARCHIVED so is read-only", "Unarchive the repository, or turn comment off."),
        (403, "the `acme` organization has an IP allow list enabled", "Add the IP address of the runner"),
        (404, "This repository is archived", "Unarchive the repository"),
        (401, "Bad credentials", "github-token is invalid, expired, or of another server."),
        (404, "Not Found", "github-token may lack access to this repository."),
        (403, "", "GitHub gave no reason, so a proxy or a firewall may have responded. Check HTTPS_PROXY"),
        (429, "", "Run the step again later"),
        (403, "You have exceeded a secondary rate limit", "Run the step again later"),
    ],
)
def test_error_has_hint(status: int, message: str, hint: str) -> None:
    """The message of GitHub decides about the remedy before the status does."""
    assert hint in (find_hint(RestError("x", status, server_message=message)) or "")


@pytest.mark.parametrize(("status", "message"), [(403, "Maintenance"), (422, "Validation Failed"), (500, ""), (0, "")])
def test_other_error_has_no_hint(status: int, message: str) -> None:
    """An error of an unknown cause has no hint."""
    assert find_hint(RestError("x", status, server_message=message)) is None


@pytest.mark.parametrize(("seconds", "time"), [(90.0, "in 1 min 30 s. "), (0.0, ""), (None, "")])
def test_rate_limit_hint_has_time(seconds: float | None, time: str) -> None:
    """The hint has the time of the next request if GitHub names it."""
    hint_start = f"GitHub accepts requests again {time}" if time else ""
    hint = find_hint(RestError("x", 429, wait_seconds=seconds))
    assert hint == f"{hint_start}Run the step again later, and let fewer jobs comment at the same time."
