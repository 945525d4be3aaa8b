"""The comments on one change request, by a REST interface such as GitHub and GitLab have.

Source: GitHub's REST documentation, "Issue comments" and its `since`, and GitLab's, "Notes API" and its `order_by`;
RFC 9110 §6.6.1 for `Date`.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.comment import Comment
from autonoma_ci.ci.web import WebError

if TYPE_CHECKING:
    from autonoma_ci.ci.web import Web

# Of the 50 requests of one comment, 38 read it and 12 are left to write it. GitHub takes at most 2,500 comments on a
# change, which are 25 pages. GitLab takes 5,000, and system notes on top: of those, the 3,800 changed last are read.
_PAGES = 38
# The comments that were changed since.
_RECENT_PAGES = 2


class Form(NamedTuple):
    """How an interface has it.

    `all` and `one` are paths, the latter with a `{}` for the comment's id; `update` is a method. `query` is for all
    comments, those that were changed last first where that can be had. `recent` is for those that were changed last, or
    with a `{}` for those that were changed since a time. `author` is
    the field of a comment that says who wrote it, and `name` the field of a user that no two share. Where
    `jobs_are_bots`, the token of a job may not ask whose it is, and its comments are a bot's.
    """

    service: str
    all: str
    one: str
    query: str
    recent: str
    update: str
    author: str
    name: str
    jobs_are_bots: bool


class Discussion:
    """The comments on one change, as `comment.Thread` has them; each method raises WebError if it fails.

    `limit` is how many bytes a comment may have.
    """

    def __init__(self, web: Web, form: Form, scope: str, build: str, limit: int, advice: str) -> None:
        self._web, self._form = web, form
        self.scope, self.build, self.limit, self.advice = scope, build, limit, advice
        self._author: object = None
        # The server's time before all comments were read.
        self._read_at = ""

    def mine(self) -> list[Comment]:
        """Return all comments of the token's owner."""
        self._author, self._read_at = self._owner(), ""
        return self._read(self._form.query, _PAGES)

    def changed(self) -> list[Comment]:
        """Return those that were written or changed since `mine` was called, and perhaps others."""
        return self._read(self._form.recent.format(self._read_at), _RECENT_PAGES)

    def _read(self, query: str, pages: int) -> list[Comment]:
        found, page = [], f"{self._form.all}?{query}"
        for _ in range(pages):
            reply = self._web.ask("GET", page)
            if not isinstance(reply.data, list):
                raise self._strange()
            self._read_at = self._read_at or _since(reply.date)
            found += [made for each in reply.data if self._is_by(each, self._author) and (made := _comment(each))]
            page = reply.following
            if not page:
                break
        return found

    def create(self, body: str) -> Comment:
        """Write a comment."""
        made = _comment(self._web.ask("POST", self._form.all, {"body": body}).data)
        if not made:
            raise self._strange()
        return made

    def update(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""
        self._web.ask(self._form.update, self._form.one.format(comment.id), {"body": body})

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""
        self._web.ask("DELETE", self._form.one.format(comment.id))

    def _owner(self) -> object:
        try:
            user = self._web.ask("GET", "/user").data
        except WebError as error:
            if self._form.jobs_are_bots and error.status in {403, 404}:
                return None
            raise
        owner = user.get(self._form.name) if isinstance(user, dict) else None
        if not owner:
            raise self._strange()
        return owner

    def _is_by(self, data: object, owner: object) -> bool:
        """Say whether we wrote it: anybody can copy a mark, and would have our words under their name."""
        author = data.get(self._form.author) if isinstance(data, dict) else None
        if not isinstance(author, dict):
            return False
        return author.get("type") == "Bot" if owner is None else author.get(self._form.name) == owner

    def _strange(self) -> WebError:
        return WebError(f"{self._form.service}'s answer is not in the form that is known")


def _since(date: str) -> str:
    """Return a server's time as its interface takes it; the years before all comments if it is none."""
    try:
        return f"{parsedate_to_datetime(date).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:
        return "2000-01-01T00:00:00Z"


def _comment(data: object) -> Comment | None:
    if not isinstance(data, dict) or data.get("system"):
        return None
    number, body = data.get("id"), data.get("body")
    return Comment(number, body) if isinstance(number, int) and isinstance(body, str) else None
