"""One comment on a pull or merge request, found again by a hidden mark and updated in place."""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.comments.http import WebError
from autonoma_ci.ci.ownership import Claim, choose, mark_of, mark_signer, parse_mark, shared_warning
from autonoma_ci.escaping import markdown_link
from autonoma_ci.reports.markdown import summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.ownership import Mark
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

# Room for the mark and the link to the build.
_FRAME = 3000
_OPENING = re.compile(r"<!-- autonoma-ci (?P<key>[0-9a-f]{16}) (?P<mark>[^\n]{0,300}?) mac (?P<mac>[0-9a-f]{32}) -->")


class Comment(NamedTuple):
    """A comment that is there already; a higher id is a later comment."""

    id: int
    body: str


class Thread(Protocol):
    """The comments on one change; each method raises WebError if it fails.

    `scope` tells workflows apart, `build` is the build's number, and `limit` is how many bytes a comment may have.
    """

    scope: str
    build: str
    limit: int

    def mine(self) -> list[Comment] | None:
        """Return all comments of the token's owner, None while the owner is unknown: `create` may tell it."""

    def changed(self) -> list[Comment]:
        """Return those that were written or changed since `mine` was called, and perhaps others."""

    def create(self, body: str) -> Comment:
        """Write a comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""

    def advise(self, error: WebError) -> str:
        """Return what to do about a failure, empty if its text says enough."""


def publish(thread: Thread, report: Report, secret: Secret | None) -> str:
    """Write the comment, or bring it up to date; return what the log should warn of, or an empty text.

    The mark is signed with a key from `secret`, the client secret. A comment whose mark has another signature is not
    ours, whoever wrote it: all workflows with a job's token share one author. A comment of another author is not ours
    either, as a mark can be copied.
    """
    if not secret:
        return "The comment could not be written: client-secret is empty, which signs it."
    key = hashlib.sha256(f"{thread.scope}\n{report.part.digest}".encode("utf-8", "replace")).hexdigest()[:16]
    own = _Marked(thread, key, mark_of(report, thread.build), mark_signer(secret, [key, report.context.change]))
    try:
        shared = _put(own, _text(report, thread.limit - _FRAME))
    except WebError as error:
        return " ".join(filter(None, [f"The comment could not be written: {error}.", thread.advise(error)]))
    return shared_warning("a comment") if shared else ""


def _text(report: Report, limit: int) -> str:
    link = markdown_link("The build", report.context.build_url) if report.context.build_url else ""
    return "\n".join(filter(None, [summary(report, limit), link]))


class _Marked:
    """The comments with one key and a valid signature, and the mark of this step."""

    def __init__(self, thread: Thread, key: str, mark: Mark, sign: Callable[[Mark], str]) -> None:
        self.thread, self.mark = thread, mark
        self._key, self._sign = key, sign
        # By their ids, once they were read.
        self._comments: dict[int, Comment] | None = None

    def body(self, text: str) -> str:
        """Return the text below the opening with the mark of this step."""
        return f"<!-- autonoma-ci {self._key} {self.mark} mac {self._sign(self.mark)} -->\n{text}"

    def found(self) -> list[tuple[Comment, Mark]] | None:
        """Return the comments with their marks, the oldest first, None while the token's owner is unknown.

        From the second time on, only those that were changed meanwhile are read again.
        """
        read = self.thread.mine() if self._comments is None else self.thread.changed()
        if read is None:
            return None
        self._comments = (self._comments or {}) | {comment.id: comment for comment in read}
        marked = [(comment, self._mark_in(comment.body)) for comment in sorted(self._comments.values())]
        return [(comment, mark) for comment, mark in marked if mark]

    def _mark_in(self, body: str) -> Mark | None:
        opening = _OPENING.match(body)
        mark = parse_mark(opening["mark"]) if opening and opening["key"] == self._key else None
        return mark if opening and mark and compare_digest(opening["mac"], self._sign(mark)) else None


def _put(own: _Marked, text: str) -> bool:
    """Write the comment; return whether another step of this build has one that looks the same."""
    thread, body = own.thread, own.body(text)
    before = own.found()
    if before is None:
        return _put_first(own, body)
    choice = choose(own.mark, before)
    if choice.replaced:
        return _replace(own, choice.replaced, body) or choice.shared
    if choice.outdated:
        return False
    made = thread.create(body)
    found = [(comment, mark) for comment, mark in own.found() or () if comment.id != made.id]
    others = [(comment, mark) for comment, mark in found if mark.build != own.mark.build and comment.id < made.id]
    builds = [(comment, mark) for comment, mark in others if own.mark.claim(mark) is not Claim.OTHER]
    if builds:
        # Another build has made one at the same moment: the older one stays.
        thread.delete(made)
        comment, mark = builds[0]
        if own.mark.claim(mark) is Claim.REPLACE:
            return _replace(own, comment, body) or choice.shared
        return choice.shared
    return choose(own.mark, found).shared


def _put_first(own: _Marked, body: str) -> bool:
    """Write the comment before any is read, as the response to it is all that tells the token's owner.

    If the owner has a comment that is to be replaced, the new one is removed again.
    """
    made = own.thread.create(body)
    # Of two builds at the same moment, only the later comment gives way.
    earlier = [(comment, mark) for comment, mark in own.found() or () if comment.id < made.id]
    choice = choose(own.mark, earlier)
    if not choice.replaced and not choice.outdated:
        return choice.shared
    own.thread.delete(made)
    return bool(choice.replaced and (_replace(own, choice.replaced, body) or choice.shared))


def _replace(own: _Marked, comment: Comment, body: str) -> bool:
    """Replace the text of a comment; return whether another step of this build has replaced it at the same moment."""
    own.thread.update(comment, body)
    found = own.found() or []
    if any(mark == own.mark for _, mark in found) or choose(own.mark, found).outdated:
        return False
    own.thread.create(body)
    return True
