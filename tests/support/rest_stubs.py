"""Stubs of the comment APIs of GitHub and GitLab on loopback.

Each stub checks path, query, headers, body and paging of every request against the published REST documentation. Errors
are added to `errors`, and the response has the status of the real service.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "token-of-the-test"


@dataclass
class Comment:
    """A comment on a pull or merge request."""

    id: int
    body: str
    author: Any
    system: bool = False  # a note that GitLab itself wrote
    updated_at: str = ""  # time of the last change, in seconds like the services
    last_change_number: int = 0  # number of the last change, counted over all comments


@dataclass
class Fault:
    """The response to the next requests of a method."""

    method: str
    status: int
    remaining_count: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: {"message": "scripted"})


class CodeHostStub(ThreadingHTTPServer):
    """The common part of both stubs.

    `on_request` is called with the method of each request before the response.
    """

    daemon_threads = True
    base_path: str
    collection_path: str
    item_prefix: str
    update_method: str
    max_body_length: int
    default_page: int
    newest_first = False
    refusal_status = 422
    can_edit_all = False
    allowed_query_keys = frozenset({"per_page", "page", "since"})

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[Comment] = []
        self.requests: list[tuple[str, str, int]] = []
        self.errors: list[str] = []
        self.faults: list[Fault] = []
        self.on_request: Callable[[str], None] = lambda _: None
        self.lock = threading.Lock()
        self._ids, self._changes = count(1001), count(1)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.base_path}"

    def add_foreign_comment(self, body: str, author: Any, *, system: bool = False) -> Comment:
        """Add a comment as another user."""
        with self.lock:
            return self.add_comment(body, author, system=system)

    def add_comment(self, body: str, author: Any, *, system: bool = False) -> Comment:
        """Add a comment with a new id."""
        comment = Comment(next(self._ids), body, author, system)
        self.note_change(comment)
        self.comments.append(comment)
        return comment

    def note_change(self, comment: Comment) -> None:
        """Set the time of the last change to now."""
        comment.updated_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        comment.last_change_number = next(self._changes)

    def list_methods(self, *, without_get: bool = True) -> list[str]:
        """Return the methods of the requests in the order of arrival."""
        return [method for method, _, _ in self.requests if method not in {"GET", "GRAPHQL"} or not without_get]

    def token_user(self) -> Any:
        """Return the user of the token, as in a comment."""
        raise NotImplementedError

    def make_user_response(self) -> tuple[int, Any]:
        """Return the response of the user endpoint."""
        raise NotImplementedError

    def make_graphql_response(self, body: Any) -> tuple[int, Any]:
        """Return the response of GraphQL."""
        return 404, {"message": "Not Found"}

    def render_comment(self, comment: Comment) -> dict[str, Any]:
        """Return a comment as in a response."""
        raise NotImplementedError

    def find_header_errors(self, headers: dict[str, str]) -> list[str]:
        """Return the errors of the headers."""
        raise NotImplementedError

    def is_authorized(self, headers: dict[str, str]) -> bool:
        """Return whether the token is correct."""
        raise NotImplementedError


# The user of the tokens of all jobs of GitHub Actions, with its id on github.com.
ACTIONS_BOT = {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"}


class GitHub(CodeHostStub):
    """A GitHub Enterprise Server.

    Args:
        login: the user of the token, or None for a bot, whose user REST does not return.
        bot: the bot behind the token.
        graphql: whether GraphQL returns the user.
        can_edit_all: whether the token can change comments of others, like a job's token with write access.
    """

    base_path, update_method = "/api/v3", "PATCH"
    collection_path, item_prefix = "/repos/acme/shop/issues/7/comments", "/repos/acme/shop/issues/comments/"
    max_body_length, default_page = 65_536, 30

    def __init__(
        self, login: str | None = None, *, bot: Any = None, graphql: bool = True, can_edit_all: bool = False
    ) -> None:
        super().__init__()
        self.login, self.bot, self.graphql, self.can_edit_all = (
            login,
            bot or ACTIONS_BOT,
            graphql,
            can_edit_all,
        )

    def token_user(self) -> Any:
        return {"login": self.login, "id": 583231, "type": "User"} if self.login else self.bot

    def make_graphql_response(self, body: Any) -> tuple[int, Any]:
        """Return the response of GraphQL, where a bot has no suffix."""
        if not self.graphql:
            return 404, {"message": "Not Found"}
        if body != {"query": "query { viewer { login databaseId } }"}:
            self.errors.append(f"a query that is not described: {body}")
        owner = self.token_user()
        login = owner["login"].removesuffix("[bot]")
        return 200, {"data": {"viewer": {"login": login, "databaseId": owner.get("id")}}}

    def make_user_response(self) -> tuple[int, Any]:
        return (200, self.token_user()) if self.login else (403, {"message": "Resource not accessible by integration"})

    def render_comment(self, comment: Comment) -> dict[str, Any]:
        return {"id": comment.id, "body": comment.body, "user": comment.author, "created_at": "2026-11-24T07:00:00Z"}

    def find_header_errors(self, headers: dict[str, str]) -> list[str]:
        expected_headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
        return [
            f"{name} is {headers.get(name)!r}" for name, value in expected_headers.items() if headers.get(name) != value
        ]

    def is_authorized(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {TOKEN}"


class GitLab(CodeHostStub):
    """A self-hosted GitLab server with the token of a project's bot."""

    base_path, update_method = "/api/v4", "PUT"
    collection_path, item_prefix = "/projects/42/merge_requests/17/notes", "/projects/42/merge_requests/17/notes/"
    max_body_length, default_page = 1_000_000, 20
    newest_first = True
    refusal_status = 400
    allowed_query_keys = frozenset({"per_page", "page", "sort", "order_by"})

    def token_user(self) -> Any:
        return {"id": 7, "username": "project_42_bot"}

    def make_user_response(self) -> tuple[int, Any]:
        return 200, self.token_user()

    def render_comment(self, comment: Comment) -> dict[str, Any]:
        return {"id": comment.id, "body": comment.body, "author": comment.author, "system": comment.system}

    def find_header_errors(self, headers: dict[str, str]) -> list[str]:
        return ["an Authorization header beside the token"] if "authorization" in headers else []

    def is_authorized(self, headers: dict[str, str]) -> bool:
        return headers.get("private-token") == TOKEN


class _Handler(BaseHTTPRequestHandler):
    server: CodeHostStub
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        host, method = self.server, self.command
        # A GraphQL query only reads, like a GET.
        if self.path == "/api/graphql":
            method = "GRAPHQL"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        host.on_request(method)
        headers = {name.lower(): value for name, value in self.headers.items()}
        errors = host.find_header_errors(headers)
        errors += [f"a header {name}" for name in headers if name.startswith("autonoma") or name == "cookie"]
        errors += [] if headers.get("user-agent", "").startswith("autonoma-ci/") else ["no User-Agent of ours"]
        errors += ["a body that is not JSON"] if body and headers.get("content-type") != "application/json" else []
        with host.lock:
            data: Any
            fault = next((fault for fault in host.faults if fault.method == method and fault.remaining_count), None)
            if fault:
                fault.remaining_count -= 1
                status, data, extra_headers = fault.status, fault.body, fault.headers
            elif not host.is_authorized(headers):
                status, data, extra_headers = 401, {"message": "Bad credentials"}, {}
            else:
                status, data, extra_headers = self._handle_request(method, json.loads(body) if body else None)
            host.errors += [f"{method} {self.path}: {text}" for text in errors]
            host.requests.append((method, self.path, status))
        text = b"" if data is None else json.dumps(data).encode()
        # A Date header of the fault replaces the default one.
        self.send_response_only(status)
        if "Date" not in extra_headers:
            self.send_header("Date", self.date_time_string())
        for name, value in {"Content-Length": str(len(text)), **extra_headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _handle_request(self, method: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        host, parts = self.server, urlsplit(self.path)
        path = parts.path.removeprefix(host.base_path)
        if method == "GRAPHQL":
            return *host.make_graphql_response(body), {}
        if method == "GET" and path == "/user":
            return *host.make_user_response(), {}
        if path == host.collection_path and method == "GET":
            return self._make_page_response({key: values[-1] for key, values in parse_qs(parts.query).items()})
        if path == host.collection_path and method == "POST":
            if error := self._find_body_error(body):
                return host.refusal_status, {"message": error}, {}
            return 201, host.render_comment(host.add_comment(body["body"], host.token_user())), {}
        comment = next((comment for comment in host.comments if path == f"{host.item_prefix}{comment.id}"), None)
        if not comment or method not in {host.update_method, "DELETE"}:
            if path != host.collection_path and not path.startswith(host.item_prefix):
                host.errors.append(f"{method} {self.path} is no endpoint")
            return 404, {"message": "Not Found"}, {}
        return self._change(comment, method, body)

    def _change(self, comment: Comment, method: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        host = self.server
        if comment.author != host.token_user() and not host.can_edit_all:
            return 403, {"message": "Forbidden"}, {}
        if method == "DELETE":
            host.comments.remove(comment)
            return 204, None, {}
        if error := self._find_body_error(body):
            return host.refusal_status, {"message": error}, {}
        comment.body = body["body"]
        host.note_change(comment)
        return 200, host.render_comment(comment), {}

    def _find_body_error(self, body: Any) -> str:
        if set(body or {}) != {"body"} or not isinstance(body["body"], str) or not body["body"].strip():
            return "body is missing"
        return "body is too long" if len(body["body"]) > self.server.max_body_length else ""

    def _make_page_response(self, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        host = self.server
        size, number = int(query.get("per_page", host.default_page)), int(query.get("page", 1))
        if not set(query) <= host.allowed_query_keys or not 1 <= size <= 100 or number < 1:
            host.errors.append(f"GET {self.path}: a query that is not described")
            return host.refusal_status, {"message": "bad query"}, {}
        comments = [comment for comment in host.comments if comment.updated_at >= query.get("since", "")]
        if query.get("order_by") == "updated_at":
            comments.sort(key=lambda comment: comment.last_change_number)
        if host.newest_first and query.get("sort", "desc") == "desc":
            comments.reverse()
        page_comments = [host.render_comment(comment) for comment in comments[(number - 1) * size : number * size]]
        last = -(-len(comments) // size)
        page_numbers = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        links = [
            f'<{host.url}{host.collection_path}?{urlencode({**query, "page": str(page)})}>; rel="{name}"'
            for name, page in page_numbers.items()
            if 1 <= page <= last and (name in {"prev", "next"} or page != number)
        ]
        return 200, page_comments, {"Link": ", ".join(links)} if links else {}

    def log_message(self, *_: object) -> None:
        pass
