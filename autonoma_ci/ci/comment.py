"""One comment on a pull or merge request, found again by a hidden mark and updated in place."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.mark import Claim, Mark, mark_of, parse_mark, shared_warning
from autonoma_ci.ci.web import WebError
from autonoma_ci.report.markdown import summary
from autonoma_ci.text import markdown_link

if TYPE_CHECKING:
    from autonoma_ci.model import Report

# Room for the mark and the link to the build.
_FRAME = 3000
_OPENING = re.compile(r"<!-- autonoma-ci ([0-9a-f]{16}) ([^\n]{0,300}?) -->")


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
    """Write the comment, or bring it up to date; return what the log should warn of, or an empty text."""
    key = hashlib.sha256(f"{thread.scope}\n{report.part.digest}".encode("utf-8", "replace")).hexdigest()[:16]
    mark = mark_of(report, thread.build)
    body = f"<!-- autonoma-ci {key} {mark} -->\n{_text(report, thread.limit - _FRAME)}"
    try:
        shared = _put(thread, key, mark, body)
    except WebError as error:
        advice = f" {thread.advice}" if error.status in {401, 403, 404} else ""
        return f"The comment could not be written: {error}.{advice}"
    return shared_warning("a comment") if shared else ""


def _text(report: Report, limit: int) -> str:
    link = markdown_link("The build", report.context.build_url) if report.context.build_url else ""
    return "\n".join(filter(None, [summary(report, limit), link]))


def _put(thread: Thread, key: str, mark: Mark, body: str) -> bool:
    """Write the comment; return whether another step of this build has one that looks the same."""
    found = _marked(thread, key, mark)
    if found[Claim.REPLACE]:
        thread.update(found[Claim.REPLACE][0], body)
        if not _is_there(thread, mark):
            # Another step has found the same comment at the same moment.
            thread.create(body)
            return True
        return bool(found[Claim.OTHER])
    if found[Claim.LEAVE]:
        return False
    made = thread.create(body)
    found = _marked(thread, key, mark)
    earlier = [comment for comment in (*found[Claim.REPLACE], *found[Claim.LEAVE]) if comment.id < made.id]
    if earlier:
        # Another build has made one at the same moment: the older one stays.
        thread.delete(made)
        if earlier[0] in found[Claim.REPLACE]:
            thread.update(earlier[0], body)
    return bool(found[Claim.OTHER])


def _marked(thread: Thread, key: str, mark: Mark) -> dict[Claim, list[Comment]]:
    """Return the comments with this key, the oldest first, by what may be done about them."""
    found: dict[Claim, list[Comment]] = {claim: [] for claim in Claim}
    for comment in sorted(thread.mine()):
        opening = _OPENING.match(comment.body)
        theirs = parse_mark(opening[2]) if opening and opening[1] == key else None
        if theirs:
            own = theirs.step == mark.step
            found[mark.claim(theirs)].insert(0 if own else len(found[mark.claim(theirs)]), comment)
    return found


def _is_there(thread: Thread, mark: Mark) -> bool:
    openings = (_OPENING.match(comment.body) for comment in thread.mine())
    return any(opening and opening[2] == str(mark) for opening in openings)
