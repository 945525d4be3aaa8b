"""One comment on a pull or merge request, found again by a hidden mark and updated in place."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.web import WebError
from autonoma_ci.report.markdown import summary
from autonoma_ci.text import markdown_link

if TYPE_CHECKING:
    from autonoma_ci.model import Report

# Room for the mark and the link to the build.
_FRAME = 3000


class Comment(NamedTuple):
    """A comment that is there already; a higher id is a later comment."""

    id: int
    body: str


class Thread(Protocol):
    """The comments on one change; each method raises WebError if it fails.

    `scope` tells workflows apart, `build` is the build's number, `limit` is how many bytes a comment may
    have, and `advice` says what a token that is refused may lack.
    """

    scope: str
    build: str
    limit: int
    advice: str

    def mine(self) -> list[Comment]:
        """Return all comments of the token's owner, the oldest first."""

    def create(self, body: str) -> Comment:
        """Write a comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""


def publish(thread: Thread, report: Report) -> str:
    """Write the comment, or bring it up to date; return why that could not be done, or an empty text."""
    key = hashlib.sha256(f"{thread.scope}\n{report.title}".encode("utf-8", "replace")).hexdigest()[:16]
    mark = re.compile(rf"<!-- autonoma-ci {key} build ([0-9]{{0,18}}) -->")
    body = f"<!-- autonoma-ci {key} build {thread.build} -->\n{_text(report, thread.limit - _FRAME)}"
    try:
        _put(thread, mark, body)
    except WebError as error:
        advice = f" {thread.advice}" if error.status in {401, 403, 404} else ""
        return f"The comment could not be written: {error}.{advice}"
    return ""


def _text(report: Report, limit: int) -> str:
    link = markdown_link("The build", report.context.build_url) if report.context.build_url else ""
    return "\n".join(filter(None, [summary(report, limit), link]))


def _put(thread: Thread, mark: re.Pattern[str], body: str) -> None:
    found = _marked(thread, mark)
    if found:
        _update(thread, mark, found, body)
        return
    made = thread.create(body)
    found = _marked(thread, mark)
    if found and found[0].id != made.id:
        # Another job has made one at the same moment: the older one stays.
        thread.delete(made)
        _update(thread, mark, found, body)


def _marked(thread: Thread, mark: re.Pattern[str]) -> list[Comment]:
    return sorted(comment for comment in thread.mine() if mark.match(comment.body))


def _update(thread: Thread, mark: re.Pattern[str], found: list[Comment], body: str) -> None:
    """Bring the oldest up to date, unless a later build has done so."""
    if _build(mark, found[0].body) <= _build(mark, body):
        thread.update(found[0], body)


def _build(mark: re.Pattern[str], body: str) -> int:
    number = mark.match(body)
    return int(number[1] or 0) if number else 0
