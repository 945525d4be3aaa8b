"""The stubs of the REST APIs of GitHub and GitLab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.support.rest_stubs import TOKEN, CodeHostStub, GitHub, GitLab

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADERS: dict[type[CodeHostStub], dict[str, str]] = {
    GitHub: {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "Authorization": f"Bearer {TOKEN}",
        "User-Agent": "autonoma-ci/1",
    },
    GitLab: {"PRIVATE-TOKEN": TOKEN, "User-Agent": "autonoma-ci/1"},
}


@pytest.fixture(params=[GitHub, GitLab], ids=["github", "gitlab"])
def host(request: pytest.FixtureRequest) -> Iterator[CodeHostStub]:
    with request.param() as stub:
        yield stub


def send_request(
    host: CodeHostStub, method: str, path: str, body: Any = None, **headers: str | None
) -> requests.Response:
    sent_headers = {**HEADERS[type(host)], **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.request(method, host.url + path, json=body, headers=sent_headers, timeout=60)


def test_documented_requests_succeed(host: CodeHostStub) -> None:
    """Requests as documented succeed without an error."""
    assert send_request(host, "POST", host.collection_path, {"body": "one"}).status_code == 201
    [comment] = send_request(host, "GET", f"{host.collection_path}?per_page=100").json()
    assert (
        send_request(host, host.update_method, f"{host.item_prefix}{comment['id']}", {"body": "two"}).json()["body"]
        == "two"
    )
    assert send_request(host, "DELETE", f"{host.item_prefix}{comment['id']}").status_code == 204
    assert send_request(host, "DELETE", f"{host.item_prefix}{comment['id']}").status_code == 404
    assert host.errors == []


def test_ids_are_never_reused(host: CodeHostStub) -> None:
    """A deleted comment's id is not assigned again."""
    ids = [send_request(host, "POST", host.collection_path, {"body": "x"}).json()["id"] for _ in range(2)]
    send_request(host, "DELETE", f"{host.item_prefix}{ids[0]}")
    assert send_request(host, "POST", host.collection_path, {"body": "x"}).json()["id"] not in ids


def test_pages_have_links(host: CodeHostStub) -> None:
    """A page has links to the next and the previous page."""
    for number in range(5):
        host.add_foreign_comment(str(number), host.token_user())
    first = send_request(host, "GET", f"{host.collection_path}?per_page=2&page=1")
    assert set(first.links) == {"next", "last"}
    second = requests.get(first.links["next"]["url"], headers=HEADERS[type(host)], timeout=60)
    assert set(second.links) == {"prev", "next", "last", "first"}
    assert len(second.json()) == 2


@pytest.mark.parametrize("query", ["per_page=0", "per_page=500", "nonsense=1"])
def test_undocumented_query_is_error(host: CodeHostStub, query: str) -> None:
    """An undocumented query is refused with an error."""
    assert send_request(host, "GET", f"{host.collection_path}?{query}").status_code == host.refusal_status
    assert len(host.errors) == 1


@pytest.mark.parametrize("body", [{"body": ""}, {"body": " "}, {"text": "x"}, {"body": "x", "more": 1}])
def test_invalid_body_is_refused(host: CodeHostStub, body: dict[str, Any]) -> None:
    """A body without text or with other fields is refused."""
    assert send_request(host, "POST", host.collection_path, body).status_code == host.refusal_status


def test_long_body_is_refused(host: CodeHostStub) -> None:
    """A body over the limit is refused."""
    assert (
        send_request(host, "POST", host.collection_path, {"body": "x" * (host.max_body_length + 1)}).status_code
        == host.refusal_status
    )


def test_wrong_token_is_refused(host: CodeHostStub) -> None:
    """A wrong token has status 401."""
    assert (
        send_request(host, "GET", host.collection_path, Authorization="Bearer x", PRIVATE_TOKEN="x").status_code == 401
    )


def test_foreign_comment_cannot_be_changed(host: CodeHostStub) -> None:
    """A comment of another user has status 403."""
    comment = host.add_foreign_comment("x", {"id": 1, "login": "ada"})
    assert send_request(host, host.update_method, f"{host.item_prefix}{comment.id}", {"body": "y"}).status_code == 403


def test_credentials_and_wrong_path_are_errors(host: CodeHostStub) -> None:
    """Autonoma's credentials and an unknown path are errors."""
    send_request(host, "GET", host.collection_path, autonoma_client_id="x")
    assert send_request(host, "GET", "/elsewhere").status_code == 404
    assert len(host.errors) == 2


def test_missing_user_agent_is_error(host: CodeHostStub) -> None:
    """A request without our User-Agent is an error."""
    send_request(host, "GET", host.collection_path, User_Agent="curl/8")
    assert host.errors == [f"GET {host.base_path}{host.collection_path}: no User-Agent of ours"]


def test_github_needs_api_version() -> None:
    """A request to GitHub without the API version is an error."""
    with GitHub() as host:
        send_request(host, "GET", host.collection_path, X_GitHub_Api_Version=None)
        assert len(host.errors) == 1
