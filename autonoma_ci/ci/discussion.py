"""The comments on one change request, by a REST interface such as GitHub and GitLab have.

Source: GitHub's REST documentation, "Issue comments", and GitLab's, "Notes API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.comment import Comment
from autonoma_ci.ci.web import WebError

if TYPE_CHECKING:
    from autonoma_ci.ci.web import Web


# Ten thousand comments; a host that always has another page would never be done with.
_PAGES = 100


class Form(NamedTuple):
    """How an interface has it.

    `all` and `one` are paths, the latter with a `{}` for the comment's id; `update` is a method. `author` is
    the field of a comment that says who wrote it, and `name` the field of a user that no two share. Where
    `jobs_are_bots`, the token of a job may not ask whose it is, and its comments are a bot's.
    """

    service: str
    all: str
    one: str
    query: str
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

    def mine(self) -> list[Comment]:
        """Return all comments of the token's owner, the oldest first."""
        owner, found, page = self._owner(), [], f"{self._form.all}?{self._form.query}"
        for _ in range(_PAGES):
            if not page:
                break
            reply = self._web.ask("GET", page)
            if not isinstance(reply.data, list):
                raise self._strange()
            found += [made for each in reply.data if self._is_by(each, owner) and (made := _comment(each))]
            page = reply.following
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


def _comment(data: object) -> Comment | None:
    if not isinstance(data, dict) or data.get("system"):
        return None
    number, body = data.get("id"), data.get("body")
    return Comment(number, body) if isinstance(number, int) and isinstance(body, str) else None
