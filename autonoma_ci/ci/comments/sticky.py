"""One comment on a pull or merge request, found again by a hidden mark and updated in place."""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.comments.http import RestError
from autonoma_ci.ci.ownership import Claim, build_mark, decide_ownership, parse_mark, shared_warning, sign_mark
from autonoma_ci.escaping import markdown_link
from autonoma_ci.reports.markdown import render_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

# Room for the mark and the link to the build.
_RESERVED_BYTES = 3000
_OPENING = re.compile(r"<!-- autonoma-ci (?P<key>[0-9a-f]{16}) (?P<mark>[^\n]{0,300}?) mac (?P<mac>[0-9a-f]{32}) -->")


class Comment(NamedTuple):
    """A comment that is there already; a higher id is a later comment."""

    id: int
    body: str


class CommentThread(Protocol):
    """The comments on one change; each method raises WebError if it fails.

    `scope` tells workflows apart, `build` is the build's number, and `limit` is how many bytes a comment may have.
    """

    workflow_key: str
    build: str
    limit: int

    def list_own(self) -> list[Comment] | None:
        """Return all comments of the token's owner, None while the owner is unknown: `create` may tell it."""

    def list_changed(self) -> list[Comment]:
        """Return those that were written or changed since `mine` was called, and perhaps others."""

    def create(self, body: str) -> Comment:
        """Write a comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""

    def permission_hint(self, error: RestError) -> str:
        """Return what to do about a failure, empty if its text says enough."""


def upsert_comment(thread: CommentThread, report: Report, secret: Secret | None) -> str:
    """Write the comment, or bring it up to date; return what the log should warn of, or an empty text.

    The mark is signed with a key from `secret`, the client secret. A comment whose mark has another signature is not
    ours, whoever wrote it: all workflows with a job's token share one author. A comment of another author is not ours
    either, as a mark can be copied.
    """
    if not secret:
        return "The comment could not be written: client-secret is empty, which signs it."
    key = hashlib.sha256(f"{thread.workflow_key}\n{report.part.digest}".encode("utf-8", "replace")).hexdigest()[:16]
    own = _MarkedComments(
        thread, key, build_mark(report, thread.build), sign_mark(secret, [key, report.context.change_number])
    )
    try:
        shared = _upsert(own, _text(report, thread.limit - _RESERVED_BYTES))
    except RestError as error:
        return " ".join(filter(None, [f"The comment could not be written: {error}.", thread.permission_hint(error)]))
    return shared_warning("a comment") if shared else ""


def _text(report: Report, limit: int) -> str:
    link = markdown_link("The build", report.context.build_url) if report.context.build_url else ""
    return "\n".join(filter(None, [render_summary(report, limit), link]))


class _MarkedComments:
    """The comments with one key and a valid signature, and the mark of this step."""

    def __init__(self, thread: CommentThread, key: str, mark: OwnerMark, sign: Callable[[OwnerMark], str]) -> None:
        self.thread, self.mark = thread, mark
        self._key, self._sign = key, sign
        # By their ids, once they were read.
        self._comments: dict[int, Comment] | None = None

    def body(self, text: str) -> str:
        """Return the text below the opening with the mark of this step."""
        return f"<!-- autonoma-ci {self._key} {self.mark} mac {self._sign(self.mark)} -->\n{text}"

    def found(self) -> list[tuple[Comment, OwnerMark]] | None:
        """Return the comments with their marks, the oldest first, None while the token's owner is unknown.

        From the second time on, only those that were changed meanwhile are read again.
        """
        read = self.thread.list_own() if self._comments is None else self.thread.list_changed()
        if read is None:
            return None
        self._comments = (self._comments or {}) | {comment.id: comment for comment in read}
        marked = [(comment, self._mark_in(comment.body)) for comment in sorted(self._comments.values())]
        return [(comment, mark) for comment, mark in marked if mark]

    def _mark_in(self, body: str) -> OwnerMark | None:
        opening = _OPENING.match(body)
        mark = parse_mark(opening["mark"]) if opening and opening["key"] == self._key else None
        return mark if opening and mark and compare_digest(opening["mac"], self._sign(mark)) else None


def _upsert(own: _MarkedComments, text: str) -> bool:
    """Write the comment; return whether another step of this build has one that looks the same."""
    thread, body = own.thread, own.body(text)
    before = own.found()
    if before is None:
        return _put_first(own, body)
    choice = decide_ownership(own.mark, before)
    if choice.replaceable:
        return _replace(own, choice.replaceable, body) or choice.is_shared
    if choice.is_outdated:
        return False
    made = thread.create(body)
    found = [(comment, mark) for comment, mark in own.found() or () if comment.id != made.id]
    others = [(comment, mark) for comment, mark in found if mark.build_id != own.mark.build_id and comment.id < made.id]
    builds = [(comment, mark) for comment, mark in others if own.mark.classify(mark) is not Claim.OTHER]
    if builds:
        # Another build has made one at the same moment: the older one stays.
        thread.delete(made)
        comment, mark = builds[0]
        if own.mark.classify(mark) is Claim.REPLACE:
            return _replace(own, comment, body) or choice.is_shared
        return choice.is_shared
    return decide_ownership(own.mark, found).is_shared


def _put_first(own: _MarkedComments, body: str) -> bool:
    """Write the comment before any is read, as the response to it is all that tells the token's owner.

    If the owner has a comment that is to be replaced, the new one is removed again.
    """
    made = own.thread.create(body)
    # Of two builds at the same moment, only the later comment gives way.
    earlier = [(comment, mark) for comment, mark in own.found() or () if comment.id < made.id]
    choice = decide_ownership(own.mark, earlier)
    if not choice.replaceable and not choice.is_outdated:
        return choice.is_shared
    own.thread.delete(made)
    return bool(choice.replaceable and (_replace(own, choice.replaceable, body) or choice.is_shared))


def _replace(own: _MarkedComments, comment: Comment, body: str) -> bool:
    """Replace the text of a comment; return whether another step of this build has replaced it at the same moment."""
    own.thread.update(comment, body)
    found = own.found() or []
    if any(mark == own.mark for _, mark in found) or decide_ownership(own.mark, found).is_outdated:
        return False
    own.thread.create(body)
    return True
