"""Tests of comments through a REST API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.comments.rest import CommentAuthor, CommentEndpoints, RestCommentThread
from autonoma_ci.ci.comments.sticky import Comment
from autonoma_ci.ci.rest.http import RestClient, RestError
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response

if TYPE_CHECKING:
    from tests.support.fault_server import Connection, RequestHandler

OWNER = {"id": 7, "login": "ada"}
DATE = "Date: Wed, 01 Jul 2026 10:00:00 GMT"
FORM_ERROR = "unexpected response from Service"


class CommentServer:
    """A server of a comment API, where `routes` has the handlers by method and path without query."""

    def __init__(self) -> None:
        self.routes: dict[str, RequestHandler] = {"GET /api/user": send_response(200, json.dumps(OWNER))}
        self.server = FaultServer(self._serve)

    def _serve(self, connection: Connection) -> bool:
        path = connection.request.path.partition("?")[0]
        return self.routes.get(f"{connection.request.method} {path}", send_response(404))(connection)

    def list_requests(self) -> list[str]:
        """Return the methods and paths of all requests."""
        return [f"{request.method} {request.path}" for request in self.server.received_requests]


def open_thread(service: CommentServer, *, graphql: bool = False) -> RestCommentThread:
    """Return the comments of a change, with or without GraphQL."""
    endpoints = CommentEndpoints(
        "Service", "/notes", "/notes/{}", "all=1", "since={}", "PATCH", "user", "/graphql" if graphql else ""
    )
    client = RestClient(service.server.url, {}, FakeClock())
    return RestCommentThread(client, endpoints, "workflow", "500", 1000, lambda error: f"hint {error.status}")


def make_note(number: object, author: object = None, **fields: object) -> dict[str, object]:
    """Make a comment of the owner, or of another author."""
    return {"id": number, "body": f"note {number}", "user": author or OWNER, **fields}


# Lists


def test_list_has_comments_of_owner() -> None:
    """Only comments of the token's owner are listed."""
    service = CommentServer()
    notes = [make_note(1), make_note(2, {"id": 8, "login": "ada"}), make_note(3, {"login": "ada"})]
    service.routes["GET /api/notes"] = send_response(200, json.dumps(notes))
    with service.server:
        assert open_thread(service).list_own() == [Comment(1, "note 1"), Comment(3, "note 3")]
    assert service.list_requests() == ["GET /api/user", "GET /api/notes?all=1"]


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "x",
        [],
        {},
        {"id": 1, "body": "x"},
        make_note("1"),
        make_note(None),
        make_note(1.5),
        make_note(2, body=None),
        make_note(2, body=["x"]),
        make_note(2, system=True),
        make_note(2, user=5),
        make_note(2, user={"id": True, "login": None}),
        make_note(2, user={"id": "7", "login": 5}),
        make_note(2, user={"id": -7, "login": ""}),
    ],
)
def test_list_omits_invalid_items(item: object) -> None:
    """An item of another form is no comment of the owner."""
    service = CommentServer()
    service.routes["GET /api/notes"] = send_response(200, json.dumps([item, make_note(9)]))
    with service.server:
        assert open_thread(service).list_own() == [Comment(9, "note 9")]


def test_list_follows_next_pages() -> None:
    """All pages are read in order, and the owner is requested once."""
    service = CommentServer()
    with service.server:
        link = f'Link: <{service.server.url}/page2>; rel="next"'
        service.routes["GET /api/notes"] = send_response(200, json.dumps([make_note(1)]), link)
        service.routes["GET /api/page2"] = send_response(200, json.dumps([make_note(2)]))
        thread = open_thread(service)
        for _ in range(2):
            assert thread.list_own() == [Comment(1, "note 1"), Comment(2, "note 2")]
    assert service.list_requests().count("GET /api/user") == 1
    assert service.list_requests().count("GET /api/page2") == 2


@pytest.mark.parametrize(("is_recent", "pages"), [(False, 38), (True, 2)])
def test_list_has_page_limit(is_recent: bool, pages: int) -> None:
    """An endless list ends after a fixed number of pages."""
    service = CommentServer()
    with service.server:
        link = f'Link: <{service.server.url}/notes>; rel="next"'
        service.routes["GET /api/notes"] = send_response(200, json.dumps([make_note(1)]), link)
        thread = open_thread(service)
        comments = thread.list_changed() if is_recent else thread.list_own()
    assert comments == ([] if is_recent else [Comment(1, "note 1")] * pages)
    assert [request for request in service.list_requests() if "/notes" in request][pages - 1 :] == ["GET /api/notes"]


@pytest.mark.parametrize(
    ("date", "since"),
    [
        (DATE, "2026-07-01T10:00:00Z"),
        ("Date: Wed, 01 Jul 2026 12:00:00 +0200", "2026-07-01T10:00:00Z"),
        ("Date: soon", "2000-01-01T00:00:00Z"),
        ("X-None: 1", "2000-01-01T00:00:00Z"),
        ("Date: Fri, 31 Dec 9999 23:59:59 -0100", "2000-01-01T00:00:00Z"),
    ],
)
def test_changed_comments_follow_list(date: str, since: str) -> None:
    """The changed comments are those since the time of the list on the server."""
    service = CommentServer()
    service.routes["GET /api/notes"] = send_response(200, "[]", date)
    with service.server:
        thread = open_thread(service)
        thread.list_own()
        thread.list_changed()
    assert service.list_requests()[-1] == f"GET /api/notes?since={since}"


@pytest.mark.parametrize("body", ["", "{}", "null", '"x"', "<html>"])
def test_list_of_other_form_is_error(body: str) -> None:
    """A list in another form is an error and no empty list."""
    service = CommentServer()
    service.routes["GET /api/notes"] = send_response(200, body)
    with service.server, pytest.raises(RestError, match=FORM_ERROR):
        open_thread(service).list_own()


# Owner of the token


@pytest.mark.parametrize("user", ["", "[]", "null", "{}", '{"id": 0}', '{"id": true, "login": 5}', "<html>"])
def test_owner_of_other_form_is_error(user: str) -> None:
    """A user without id and login is an error."""
    service = CommentServer()
    service.routes["GET /api/user"] = send_response(200, user)
    with service.server, pytest.raises(RestError, match=FORM_ERROR):
        open_thread(service).list_own()


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_owner_without_graphql_is_error(status: int) -> None:
    """Without GraphQL, a rejected request for the owner is an error."""
    service = CommentServer()
    service.routes["GET /api/user"] = send_response(status)
    with service.server, pytest.raises(RestError, match=f"HTTP {status}"):
        open_thread(service).list_own()


@pytest.mark.parametrize("status", [403, 404])
def test_owner_comes_from_graphql(status: int) -> None:
    """The token of an App has no user in REST, and its id comes from GraphQL."""
    service = CommentServer()
    service.routes["GET /api/user"] = send_response(status)
    service.routes["POST /api/graphql"] = send_response(200, '{"data": {"viewer": {"login": "x", "databaseId": 7}}}')
    service.routes["GET /api/notes"] = send_response(200, json.dumps([make_note(1), make_note(2, {"login": "y"})]))
    with service.server:
        assert open_thread(service, graphql=True).list_own() == [Comment(1, "note 1")]
    assert json.loads(service.server.received_requests[1].body) == {"query": "query { viewer { login databaseId } }"}


@pytest.mark.parametrize(
    ("status", "headers"), [(401, []), (422, []), (403, ["Retry-After: 3600"]), (403, ["Retry-After: 999999999"])]
)
def test_other_error_requests_no_graphql(status: int, headers: list[str]) -> None:
    """A wrong token and a rate limit are errors, with GraphQL too."""
    service = CommentServer()
    service.routes["GET /api/user"] = send_response(status, "", *headers)
    with service.server, pytest.raises(RestError, match=f"HTTP {status}"):
        open_thread(service, graphql=True).list_own()
    assert service.list_requests() == ["GET /api/user"]


@pytest.mark.parametrize(
    "handler",
    [
        send_response(404),
        send_response(500),
        send_response(200, "<html>"),
        send_response(200, "[]"),
        send_response(200, '{"data": null}'),
        send_response(200, '{"data": {"viewer": 5}}'),
        send_response(200, '{"data": {"viewer": {"login": 5, "id": 7}}}'),
    ],
)
def test_unknown_owner_has_no_list(handler: RequestHandler) -> None:
    """Without an owner there is no list, and a new comment reveals the owner."""
    service = CommentServer()
    service.routes |= {"GET /api/user": send_response(403), "POST /api/graphql": handler}
    service.routes["POST /api/notes"] = send_response(201, json.dumps(make_note(2)))
    service.routes["GET /api/notes"] = send_response(200, json.dumps([make_note(1, {"id": 9}), make_note(2)]))
    with service.server:
        thread = open_thread(service, graphql=True)
        assert thread.list_own() is None
        assert thread.create("note 2") == Comment(2, "note 2")
        assert thread.list_changed() == [Comment(2, "note 2")]


def test_lost_graphql_response_is_error() -> None:
    """A lost connection is an error, because a new comment would fail too."""
    service = CommentServer()
    service.routes["GET /api/user"] = send_response(403)

    def close_connection(_: Connection) -> bool:
        return False

    service.routes["POST /api/graphql"] = close_connection
    with service.server, pytest.raises(RestError, match="the connection ended before the response"):
        open_thread(service, graphql=True).list_own()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (CommentAuthor(7, "ada"), CommentAuthor(7, "bob"), True),
        (CommentAuthor(7, "ada"), CommentAuthor(8, "ada"), False),
        (CommentAuthor(0, "ada"), CommentAuthor(8, "ada"), True),
        (CommentAuthor(7, "ada"), CommentAuthor(0, "ada"), True),
        (CommentAuthor(0, "ada"), CommentAuthor(8, "Ada"), False),
        (CommentAuthor(0, ""), CommentAuthor(8, ""), False),
    ],
)
def test_authors_are_compared_by_id(one: CommentAuthor, other: CommentAuthor, expected: bool) -> None:
    """A login decides only if an id is unknown."""
    assert one.is_same(other) is expected


# Changes


def test_create_sends_text() -> None:
    """A new comment has the text, and its id comes from the response."""
    service = CommentServer()
    service.routes["POST /api/notes"] = send_response(201, json.dumps(make_note(5)))
    with service.server:
        assert open_thread(service).create("<b>é") == Comment(5, "note 5")
    assert json.loads(service.server.received_requests[0].body) == {"body": "<b>é"}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "1", "body": "x"}', '{"id": 1}'])
def test_create_with_other_response_is_error(body: str) -> None:
    """A response without a comment is an error."""
    service = CommentServer()
    service.routes["POST /api/notes"] = send_response(201, body)
    with service.server, pytest.raises(RestError, match=FORM_ERROR):
        open_thread(service).create("x")


def test_create_preserves_known_owner() -> None:
    """The author in a response changes no owner that is known."""
    service = CommentServer()
    service.routes["POST /api/notes"] = send_response(201, json.dumps(make_note(2, {"id": 9, "login": "mallory"})))
    service.routes["GET /api/notes"] = send_response(200, json.dumps([make_note(1), make_note(2, {"id": 9})]))
    with service.server:
        thread = open_thread(service)
        thread.list_own()
        thread.create("x")
        assert thread.list_changed() == [Comment(1, "note 1")]


def test_update_and_delete_name_comment() -> None:
    """A change of a comment has its id in the path."""
    service = CommentServer()
    service.routes["PATCH /api/notes/5"] = service.routes["DELETE /api/notes/5"] = send_response(200, "{}")
    with service.server:
        thread = open_thread(service)
        thread.update(Comment(5, "old"), "new")
        thread.delete(Comment(5, "old"))
    assert service.list_requests() == ["PATCH /api/notes/5", "DELETE /api/notes/5"]
    assert [request.body for request in service.server.received_requests] == [b'{"body": "new"}', b""]


def test_rejected_change_is_error() -> None:
    """A rejected change of a comment is an error."""
    service = CommentServer()
    with service.server:
        thread = open_thread(service)
        with pytest.raises(RestError, match="HTTP 404"):
            thread.update(Comment(5, "old"), "new")
        with pytest.raises(RestError, match="HTTP 404"):
            thread.delete(Comment(5, "old"))


def test_hint_of_connection_precedes_others() -> None:
    """The hint of a failed connection is more exact than that of the service."""
    service = CommentServer()
    with service.server:
        thread = open_thread(service)
    assert thread.find_hint(RestError("x", hint="Check the proxy.")) == "Check the proxy."
    assert thread.find_hint(RestError("x", 403)) == "hint 403"


# Base URL
