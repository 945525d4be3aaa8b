"""The comment on a pull or merge request, updated in place.

A hidden mark identifies the comment.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.ownership import Claim, build_mark, decide_ownership, parse_mark, shared_warning, sign_mark
from autonoma_ci.ci.rest.http import RestError
from autonoma_ci.escaping import markdown_link
from autonoma_ci.identity import short_digest
from autonoma_ci.models import Conclusion
from autonoma_ci.reports.markdown import render_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

# Bytes for the mark and the link to the build.
_RESERVED_BYTES = 3000
_MARKER_RE = re.compile(r"<!-- autonoma-ci (?P<key>[0-9a-f]{16}) (?P<mark>[^\n]{0,300}?) mac (?P<mac>[0-9a-f]{32}) -->")


class Comment(NamedTuple):
    """An existing comment."""

    id: int  # higher for a later comment
    body: str


class CommentThread(Protocol):
    """The comments on one change."""

    workflow_key: str  # identifies the workflow
    build_id: str  # the number of the build, with a suffix for child pipelines, empty if unknown
    max_bytes: int  # of one comment

    def list_own(self) -> list[Comment] | None:
        """Return all comments of the token's owner.

        Returns None while the owner is unknown. The response to `create` may reveal the owner.

        Raises RestError if the request fails.
        """

    def list_changed(self) -> list[Comment]:
        """Return the comments that changed since `list_own`, and perhaps others.

        Raises RestError if the request fails.
        """

    def create(self, body: str) -> Comment:
        """Create a comment.

        Raises RestError if the request fails.
        """

    def update(self, comment: Comment, body: str) -> None:
        """Replace the text of a comment.

        Raises RestError if the request fails.
        """

    def delete(self, comment: Comment) -> None:
        """Delete a comment.

        Raises RestError if the request fails.
        """

    def find_hint(self, error: RestError) -> str | None:
        """Return a hint for an error, or None."""


def create_or_update_comment(thread: CommentThread, report: Report, secret: Secret | None) -> str | None:
    """Create or update the comment and return a warning, or None.

    The mark of a comment is signed with a key that is derived from the client secret. A comment with another
    signature is not ours, because all workflows with a job's token share one author. A comment of another author is
    not ours either, because a mark can be copied.

    If nothing was selected, an existing comment is updated, so that it shows no older result. No comment is created.

    Args:
        thread: The comments on the change.
        report: The report to show.
        secret: The client secret, None if the option is empty.
    """
    if not secret:
        return "The comment could not be written: the signature needs client-secret, which is empty."
    key = short_digest(f"{thread.workflow_key}\n{report.part.digest}", 16)
    marked = _MarkedComments(
        thread, key, build_mark(report, thread.build_id), sign_mark(secret, [key, report.context.change_number])
    )
    try:
        text = _render_text(report, thread.max_bytes - _RESERVED_BYTES)
        is_empty = bool(report.verdict and report.verdict.conclusion is Conclusion.SKIPPED and not report.results)
        is_shared = _update(marked, text) if is_empty else _create_or_update(marked, text)
    except RestError as error:
        return " ".join(filter(None, [f"The comment could not be written: {error}.", thread.find_hint(error)]))
    return shared_warning("a comment") if is_shared else None


def _render_text(report: Report, max_bytes: int) -> str:
    link = markdown_link("The build", report.context.build_url) if report.context.build_url else ""
    return "\n".join(filter(None, [render_summary(report, max_bytes), link]))


class _MarkedComments:
    """The comments with this key and a valid signature.

    Args:
        thread: The comments on the change.
        key: Identifies workflow and part of the build.
        mark: The mark of this job step.
        sign: Returns the signature of a mark.
    """

    def __init__(self, thread: CommentThread, key: str, mark: OwnerMark, sign: Callable[[OwnerMark], str]) -> None:
        self.thread, self.mark = thread, mark
        self._key, self._sign = key, sign
        # Comments by id, None before the first request.
        self._comments: dict[int, Comment] | None = None

    def render_body(self, text: str) -> str:
        """Return the text below the hidden mark of this job step."""
        return f"<!-- autonoma-ci {self._key} {self.mark} mac {self._sign(self.mark)} -->\n{text}"

    def list_marked(self) -> list[tuple[Comment, OwnerMark]] | None:
        """Return the comments with their marks.

        Returns None while the token's owner is unknown. The oldest comment comes first. From the second call
        on, only changed comments are read again.
        """
        comments = self.thread.list_own() if self._comments is None else self.thread.list_changed()
        if comments is None:
            return None
        self._comments = (self._comments or {}) | {comment.id: comment for comment in comments}
        marked = [(comment, self._parse_marker(comment.body)) for comment in sorted(self._comments.values())]
        return [(comment, mark) for comment, mark in marked if mark]

    def _parse_marker(self, body: str) -> OwnerMark | None:
        marker = _MARKER_RE.match(body)
        mark = parse_mark(marker["mark"]) if marker and marker["key"] == self._key else None
        return mark if marker and mark and compare_digest(marker["mac"], self._sign(mark)) else None


def _create_or_update(marked: _MarkedComments, text: str) -> bool:
    """Create or update the comment.

    Returns:
        Whether another job step of this build has a comment of the same name.
    """
    thread, body = marked.thread, marked.render_body(text)
    existing = marked.list_marked()
    if existing is None:
        return _create_before_reading(marked, body)
    decision = decide_ownership(marked.mark, existing)
    if decision.replaceable:
        return _replace(marked, decision.replaceable, body) or decision.is_shared
    if decision.is_outdated:
        return False
    created = thread.create(body)
    others = [(comment, mark) for comment, mark in marked.list_marked() or () if comment.id != created.id]
    earlier = [
        (comment, mark) for comment, mark in others if mark.build_id != marked.mark.build_id and comment.id < created.id
    ]
    builds = [(comment, mark) for comment, mark in earlier if marked.mark.classify(mark) is not Claim.OTHER]
    if builds:
        # Another build has created a comment at the same moment. The older comment stays.
        thread.delete(created)
        comment, mark = builds[0]
        if marked.mark.classify(mark) is Claim.REPLACE:
            return _replace(marked, comment, body) or decision.is_shared
        return decision.is_shared
    return decide_ownership(marked.mark, others).is_shared


def _update(marked: _MarkedComments, text: str) -> bool:
    """Update the comment if there is one.

    Returns:
        Whether another job step of this build has a comment of the same name.
    """
    comment = decide_ownership(marked.mark, marked.list_marked() or ()).replaceable
    return comment is not None and _replace(marked, comment, marked.render_body(text))


def _create_before_reading(marked: _MarkedComments, body: str) -> bool:
    """Create the comment to learn the token's owner from the response.

    If an existing comment of the owner is replaceable, that one is updated and the new one is deleted.

    Returns:
        Whether another job step of this build has a comment of the same name.
    """
    created = marked.thread.create(body)
    # If two builds write at the same moment, the later comment is deleted.
    earlier = [(comment, mark) for comment, mark in marked.list_marked() or () if comment.id < created.id]
    decision = decide_ownership(marked.mark, earlier)
    if not decision.replaceable and not decision.is_outdated:
        return decision.is_shared
    marked.thread.delete(created)
    return bool(decision.replaceable and (_replace(marked, decision.replaceable, body) or decision.is_shared))


def _replace(marked: _MarkedComments, comment: Comment, body: str) -> bool:
    """Replace the text of a comment.

    Another job step of this build may replace it at the same moment. Then this job step creates a new comment.

    Returns:
        Whether another job step did so.
    """
    marked.thread.update(comment, body)
    current = marked.list_marked() or []
    if any(mark == marked.mark for _, mark in current) or decide_ownership(marked.mark, current).is_outdated:
        return False
    marked.thread.create(body)
    return True
