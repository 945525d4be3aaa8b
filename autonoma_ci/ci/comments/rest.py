"""The comments on one change request, by a REST interface such as GitHub and GitLab have.

Source: GitHub's REST documentation, "Issue comments" and its `since`, its GraphQL documentation, "viewer", and
GitLab's, "Notes API" and its `order_by`; RFC 9110 §6.6.1 for `Date`.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.comments.http import RestError
from autonoma_ci.ci.comments.sticky import Comment
from autonoma_ci.config.parsers import parse_api_base_url
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.comments.http import RestClient

# Of the 50 requests of one comment, 38 read it and 12 are left to write it. GitHub takes at most 2,500 comments on a
# change, which are 25 pages. GitLab takes 5,000, and system notes on top: of those, the 3,800 changed last are read.
_PAGES = 38
# The comments that were changed since.
_RECENT_PAGES = 2


class CommentEndpoints(NamedTuple):
    """The requests of one interface.

    Paths begin with a slash.
    """

    service: str
    all: str  # path of all comments
    one: str  # path of a comment, with a `{}` for its id
    query: str  # for all comments, those that were changed last first where the interface can sort them
    recent: str  # for those that were changed last, or with a `{}` for those that were changed since a time
    update: str  # the method that replaces a text
    author: str  # the field of a comment with its author
    graphql: str = ""  # URL of the interface that tells the owner of an App's token, empty if there are no such tokens


class CommentAuthor(NamedTuple):
    """Who wrote a comment, or owns a token: `number` is 0 and `login` empty if the server does not tell."""

    number: int
    login: str

    def is_same(self, other: CommentAuthor) -> bool:
        """Return whether both are one: no two share a number, and a login may have got a new owner."""
        if self.number and other.number:
            return self.number == other.number
        return bool(self.login) and self.login == other.login


class RestCommentThread:
    """The comments on one change, as `comment.Thread` has them; each method raises WebError if it fails.

    `limit` is how many bytes a comment may have. `advise` is called with a failure and returns what to do.
    """

    def __init__(
        self,
        web: RestClient,
        form: CommentEndpoints,
        scope: str,
        build: str,
        limit: int,
        advise: Callable[[RestError], str],
    ) -> None:
        self._web, self._form, self._advise = web, form, advise
        self.workflow_key, self.build, self.limit = scope, build, limit
        self._author: CommentAuthor | None = None
        # The server's time before all comments were read.
        self._read_at = ""

    def list_own(self) -> list[Comment] | None:
        """Return all comments of the token's owner, None while the owner is unknown: `create` may tell it."""
        self._author, self._read_at = self._author or self._owner(), ""
        return self._read(self._form.query, _PAGES) if self._author else None

    def list_changed(self) -> list[Comment]:
        """Return those that were written or changed since `mine` was called, and perhaps others."""
        return self._read(self._form.recent.format(self._read_at), _RECENT_PAGES)

    def _read(self, query: str, pages: int) -> list[Comment]:
        found, page = [], f"{self._form.all}?{query}"
        for _ in range(pages):
            reply = self._web.request("GET", page)
            if not isinstance(reply.data, list):
                raise self._unexpected_response()
            self._read_at = self._read_at or _since(reply.server_date)
            found += [made for each in reply.data if self._is_ours(each) and (made := _comment(each))]
            page = reply.next_url
            if not page:
                break
        return found

    def create(self, body: str) -> Comment:
        """Write a comment."""
        data = self._web.request("POST", self._form.all, {"body": body}).data
        made = _comment(data)
        if not made:
            raise self._unexpected_response()
        self._author = self._author or _author_in(data, self._form.author)
        return made

    def update(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""
        self._web.request(self._form.update, self._form.one.format(comment.id), {"body": body})

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""
        self._web.request("DELETE", self._form.one.format(comment.id))

    def permission_hint(self, error: RestError) -> str:
        """Return what to do about a failure, empty if its text says enough."""
        return error.hint or self._advise(error)

    def _owner(self) -> CommentAuthor | None:
        """Return the token's owner, None if the server does not tell."""
        try:
            owner = _author(self._web.request("GET", "/user").data)
        except RestError as error:
            if not self._form.graphql or error.status not in {403, 404} or error.is_rate_limit:
                raise
            # The token of a job or of an App's installation has no user. REST does not tell its owner, GraphQL does.
            return self._viewer()
        if not owner:
            raise self._unexpected_response()
        return owner

    def _viewer(self) -> CommentAuthor | None:
        query = {"query": "query { viewer { login databaseId } }"}
        try:
            data = self._web.query_graphql(self._form.graphql, query).data
        except RestError as error:
            if not error.status:
                raise
            return None
        for name in ("data", "viewer"):
            data = data.get(name) if isinstance(data, dict) else None
        return _author({**data, "id": data.get("databaseId")}) if isinstance(data, dict) else None

    def _is_ours(self, data: object) -> bool:
        """Return whether the token's owner wrote it: others can copy a mark, and have our words under their name."""
        author = _author_in(data, self._form.author)
        return bool(author and self._author and author.is_same(self._author))

    def _unexpected_response(self) -> RestError:
        return RestError(f"{self._form.service}'s answer is not in the form that is known")


def api_base_url(get: Callable[[str], str], name: str) -> str:
    """Return the base URL that a variable of the job has, empty if it has none that is valid.

    Raises InputError for plain HTTP, over which no token is sent.
    """
    text = get(name)
    try:
        return parse_api_base_url(text)
    except InputError:
        if not text.lower().startswith("http://"):
            return ""
    # A URL with a login is not shown.
    shown = "" if "@" in text else f" ({sanitize_line(re.split('[?#]', text)[0], 100)})"
    why = f"{name} is plain HTTP{shown}, and the token is sent over https only"
    raise InputError([f"{why}. Serve the API over https, or turn comment off"])


def _author_in(data: object, field: str) -> CommentAuthor | None:
    return _author(data.get(field)) if isinstance(data, dict) else None


def _author(user: object) -> CommentAuthor | None:
    """Return the author that GitHub and GitLab describe, None if it has no name and no number."""
    if not isinstance(user, dict):
        return None
    number, login = user.get("id"), user.get("login")
    number = number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0
    author = CommentAuthor(number, login if isinstance(login, str) else "")
    return author if any(author) else None


def _since(date: str) -> str:
    """Return a server's time as its interface takes it; the years before all comments if it is none."""
    try:
        return f"{parsedate_to_datetime(date).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError):
        return "2000-01-01T00:00:00Z"


def _comment(data: object) -> Comment | None:
    if not isinstance(data, dict) or data.get("system"):
        return None
    number, body = data.get("id"), data.get("body")
    return Comment(number, body) if isinstance(number, int) and isinstance(body, str) else None
