"""Tests of notes on merge requests of GitLab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.comments.gitlab import MAX_NOTE_BYTES, open_merge_request_thread
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
SHA = "c0ffee" + "0123456789" * 3 + "abcd"
CONTEXT = BuildContext("gitlab", sha=SHA, change_number="17")
ENVIRON = {
    "CI_API_V4_URL": "https://git.example.com/api/v4",
    "CI_CONFIG_PATH": ".gitlab-ci.yml",
    "CI_MERGE_REQUEST_IID": "17",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_PIPELINE_ID": "500",
    "CI_PROJECT_ID": "43",
}


def open_thread(environ: Mapping[str, str] | None = None, context: BuildContext = CONTEXT) -> RestCommentThread | None:
    return open_merge_request_thread({**ENVIRON, **(environ or {})}, context, TOKEN, FakeClock())


def find_hint(error: RestError) -> str | None:
    thread = open_thread()
    assert thread
    return thread.find_hint(error)


def record_requests(**environ: str) -> list[ReceivedRequest]:
    """List the notes twice and write one, and return the requests."""
    user = {"id": 7, "username": "bot"}

    def serve(connection: Connection) -> bool:
        if connection.request.path.endswith("/user"):
            return send_response(200, json.dumps(user))(connection)
        note = {"id": 5, "body": "x", "author": user}
        return send_response(200, json.dumps([note] if connection.request.method == "GET" else note))(connection)

    with FaultServer(serve) as server:
        thread = open_thread({**environ, "CI_API_V4_URL": f"http://127.0.0.1:{server.port}/api/v4"})
        assert thread
        [note] = thread.list_own() or []
        assert thread.list_changed() == [note]
        thread.create("new")
        thread.update(note, "newer")
        thread.delete(note)
    return server.received_requests


def test_requests_follow_notes_documentation() -> None:
    """The paths and queries are those of the notes API."""
    notes = "/api/v4/projects/42/merge_requests/17/notes"
    query = "per_page=100&sort=desc&order_by=updated_at"
    assert [f"{request.method} {request.path}" for request in record_requests()] == [
        "GET /api/v4/user",
        f"GET {notes}?{query}",
        f"GET {notes}?{query}",
        f"POST {notes}",
        f"PUT {notes}/5",
        f"DELETE {notes}/5",
    ]


def test_requests_have_private_token() -> None:
    """Each request has the token in GitLab's header only."""
    for request in record_requests():
        assert request.headers["private-token"] == "s3cret-value"
        assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("target_id", "source_id", "expected_id"),
    [("42", "43", "42"), ("", "43", "43"), ("  ", "43", "43"), ("1\n2", "43", "43"), ("42", "", "42")],
)
def test_note_belongs_to_target_project(target_id: str, source_id: str, expected_id: str) -> None:
    """The merge request of a fork belongs to its target project."""
    requests = record_requests(CI_MERGE_REQUEST_PROJECT_ID=target_id, CI_PROJECT_ID=source_id)
    assert requests[3].path == f"/api/v4/projects/{expected_id}/merge_requests/17/notes"


@pytest.mark.parametrize(
    "environ",
    [
        {"CI_MERGE_REQUEST_PROJECT_ID": "", "CI_PROJECT_ID": ""},
        {"CI_MERGE_REQUEST_PROJECT_ID": "0"},
        {"CI_MERGE_REQUEST_PROJECT_ID": "../1"},
        {"CI_API_V4_URL": ""},
        {"CI_API_V4_URL": "file:///etc/passwd"},
        {"CI_API_V4_URL": "https://git.example.com/api/v4?x=s3cret-value"},
        {"CI_EXTERNAL_PULL_REQUEST_IID": "17", "CI_MERGE_REQUEST_IID": ""},
    ],
)
def test_incomplete_job_has_no_thread(environ: dict[str, str]) -> None:
    """Without project, API or merge request of GitLab there are no notes."""
    assert open_thread(environ) is None


def test_job_without_change_has_no_thread() -> None:
    """Without a merge request there are no notes."""
    assert open_thread(context=CONTEXT._replace(change_number="")) is None
    assert open_thread({"CI_MERGE_REQUEST_IID": ""}, CONTEXT._replace(change_number="")) is None


def test_merge_request_precedes_external_one() -> None:
    """A merge request with the number of an external pull request has notes."""
    assert open_thread({"CI_EXTERNAL_PULL_REQUEST_IID": "17"}) is not None
    assert open_thread({"CI_EXTERNAL_PULL_REQUEST_IID": "18", "CI_MERGE_REQUEST_IID": ""}) is not None


def test_plain_http_api_is_rejected() -> None:
    """A token is never sent without encryption to another machine."""
    with pytest.raises(InputError, match="CI_API_V4_URL is plain HTTP") as caught:
        open_thread({"CI_API_V4_URL": "http://git.example.com/api/v4"})
    assert "Serve the API over https" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "build_id"),
    [
        ({}, "500"),
        ({"CI_PIPELINE_ID": ""}, ""),
        ({"CI_PIPELINE_ID": "x"}, ""),
        ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_UPSTREAM_PIPELINE_ID": "499"}, "500"),
        ({"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_UPSTREAM_PIPELINE_ID": "499"}, "500.499"),
        ({"CI_PIPELINE_SOURCE": "parent_pipeline"}, "500.c0ffee012345"),
        ({"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_UPSTREAM_PIPELINE_ID": "4 9"}, "500.c0ffee012345"),
        ({"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_PIPELINE_ID": ""}, ""),
    ],
)
def test_build_id_names_parent_pipeline(environ: dict[str, str], build_id: str) -> None:
    """The id of a child pipeline has the id of its parent, or else the commit."""
    thread = open_thread(environ)
    assert thread
    assert thread.build_id == build_id


@pytest.mark.parametrize(("path", "key"), [(".gitlab-ci.yml", ".gitlab-ci.yml"), ("", ""), ("a\x1b[0K", "")])
def test_config_path_identifies_workflow(path: str, key: str) -> None:
    """The path of the configuration identifies the workflow."""
    thread = open_thread({"CI_CONFIG_PATH": path})
    assert thread
    assert (thread.workflow_key, thread.max_bytes) == (key, MAX_NOTE_BYTES)


ACCESS = "gitlab-token must be a personal, group or project access token"
LOCKED = "In a locked discussion, only members of the project may write."


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "invalid_token", ACCESS),
        (404, "Project Not Found", ACCESS),
        (403, "INSUFFICIENT_SCOPE: The request requires higher privileges", ACCESS),
        (403, "Forbidden", LOCKED),
        (403, "", LOCKED),
        (403, "The project is Archived", "Unarchive the project, or turn comment off."),
        (400, "archived", "Unarchive the project, or turn comment off."),
        (429, "", "Run the step again later, and let fewer jobs comment at the same time."),
    ],
)
def test_error_has_hint(status: int, message: str, hint: str) -> None:
    """The hint names the token, the project or the rate limit."""
    assert hint in (find_hint(RestError("x", status, server_message=message)) or "")


def test_wrong_scope_hint_omits_locked_discussion() -> None:
    """A token without the scope `api` is the only cause of that message."""
    assert LOCKED not in (find_hint(RestError("x", 403, server_message="insufficient_scope")) or "")


@pytest.mark.parametrize(("status", "message"), [(400, "note is too long"), (500, ""), (0, "")])
def test_other_error_has_no_hint(status: int, message: str) -> None:
    """An error of an unknown cause has no hint."""
    assert find_hint(RestError("x", status, server_message=message)) is None


@pytest.mark.parametrize(("seconds", "time"), [(90.0, "in 1 min 30 s. "), (0.0, ""), (None, "")])
def test_rate_limit_hint_has_time(seconds: float | None, time: str) -> None:
    """The hint has the time of the next request if GitLab names it."""
    hint_start = f"GitLab accepts requests again {time}" if time else ""
    hint = find_hint(RestError("x", 429, wait_seconds=seconds))
    assert hint == f"{hint_start}Run the step again later, and let fewer jobs comment at the same time."
