"""Ownership of comments, reports and data that several job steps share.

A comment, a report of a commit and data of a build carry the mark of the job step that wrote them. A job step never
replaces the text of another job step of the same build, because that text may report a failure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

Text = TypeVar("Text")

_FIELD_CHAR = r"[A-Za-z0-9_.-]"
_MARK_RE = re.compile(
    rf"build ({_FIELD_CHAR}{{0,60}}) attempt ([0-9]{{0,18}}) part ({_FIELD_CHAR}{{0,16}}) step ({_FIELD_CHAR}{{0,32}})"
)
# Characters of a job step's random id. Eight distinguish the few job steps of a build.
_STEP_ID_CHARS = 8
_KEY_PURPOSE = "autonoma-ci mark 1"
# 128 bits.
_SIGNATURE_HEX_DIGITS = 32


class Claim(StrEnum):
    """Permission of a job step to replace an existing text."""

    REPLACE = "replace"  # this job step or an earlier build wrote it
    EARLIER = "earlier"  # an earlier attempt wrote it: of this job step, or of one with the same name
    LEAVE = "leave"  # a later build wrote it
    OTHER = "other"  # another job step of this build wrote it


class OwnerMark(NamedTuple):
    """The hidden mark of the job step that wrote a text."""

    # Builds with one name can run side by side, such as the child pipelines of a commit. Their ids end in a dot and
    # that name, and none of them is later than the others.
    build_id: str
    attempt: str  # decimal, empty if unknown
    part: str  # digest of the job step's part of the build
    step: str  # random id of the job step, empty if unknown

    def __str__(self) -> str:
        return f"build {self.build_id} attempt {self.attempt} part {self.part} step {self.step}"

    def is_same_step(self, other: OwnerMark) -> bool:
        """Return whether both marks belong to one job step."""
        return bool(self.step) and self.step == other.step

    def classify(self, other: OwnerMark) -> Claim:
        """Return the permission of this job step for another's text."""
        if other.is_same_step(self):
            return Claim.REPLACE
        if other.part != self.part:
            return Claim.OTHER
        if other.build_id != self.build_id:
            other_id, _, other_parent = other.build_id.partition(".")
            own_id, _, own_parent = self.build_id.partition(".")
            if own_parent and own_parent == other_parent:
                return Claim.OTHER
            # Ids that are not numbers have no order. Then the existing text counts as the earlier one.
            return Claim.LEAVE if _parse_number(other_id) > _parse_number(own_id) >= 0 else Claim.REPLACE
        # Some systems count the attempts of each job. Two job steps of the same name may be two jobs, so a higher
        # attempt is not always a later one.
        return Claim.EARLIER if _parse_number(other.attempt) < _parse_number(self.attempt) else Claim.OTHER


class OwnershipDecision(NamedTuple, Generic[Text]):
    """The decision of a job step about existing texts."""

    replaceable: Text | None  # the text to replace, None to write a new one
    is_outdated: bool  # a later build has written a text, so this job step writes none
    is_shared: bool  # another job step of this build has, or may have, a text of the same name


def decide_ownership(mark: OwnerMark, marked_texts: Iterable[tuple[Text, OwnerMark]]) -> OwnershipDecision[Text]:
    """Decide which existing text a job step replaces.

    With several candidates, no text of this build is replaced, because the one of an earlier attempt is unknown.

    Args:
        mark: The mark of the job step.
        marked_texts: The existing texts with their marks, the oldest first.

    Returns:
        The text to replace and the reasons against a new one.
    """
    own_texts: list[Text] = []
    by_claim: dict[Claim, list[Text]] = {claim: [] for claim in Claim}
    for text, text_mark in marked_texts:
        (own_texts if text_mark.is_same_step(mark) else by_claim[mark.classify(text_mark)]).append(text)
    older, earlier, has_other = by_claim[Claim.REPLACE], by_claim[Claim.EARLIER], bool(by_claim[Claim.OTHER])
    if own_texts:
        return OwnershipDecision(own_texts[0], is_outdated=False, is_shared=has_other)
    is_ambiguous = len(earlier) > 1 or bool(earlier and older)
    candidates = older or ([] if is_ambiguous else earlier)
    if candidates:
        return OwnershipDecision(candidates[0], is_outdated=False, is_shared=has_other or is_ambiguous)
    return OwnershipDecision(None, is_outdated=bool(by_claim[Claim.LEAVE]), is_shared=has_other or is_ambiguous)


def build_mark(report: Report, build_id: str) -> OwnerMark:
    """Return the mark of the job step that created a report.

    Args:
        report: The report of the job step.
        build_id: The id of the build. An invalid id counts as unknown.

    Returns:
        The mark, with empty fields for unknown values.
    """
    build_id = build_id if re.fullmatch(rf"{_FIELD_CHAR}{{0,60}}", build_id) else ""
    attempt = report.started_in_attempt or report.context.build_attempt
    attempt = attempt if re.fullmatch(r"[0-9]{0,18}", attempt) else ""
    # The id can come from a results.json that `wait` reads and that anybody may have written.
    step_id = re.sub(r"[^A-Za-z0-9]", "", report.step_id)[:_STEP_ID_CHARS]
    return OwnerMark(build_id, attempt, report.part.digest, step_id)


def parse_mark(text: str) -> OwnerMark | None:
    """Return the mark of a text, or None."""
    match = _MARK_RE.fullmatch(text)
    return OwnerMark(*match.groups()) if match else None


def sign_mark(secret: Secret, location: Sequence[str]) -> Callable[[OwnerMark], str]:
    """Return a function that signs a mark with HMAC-SHA256 (RFC 2104).

    Args:
        secret: The client secret. The key is derived from it.
        location: Texts that identify the place of the mark. A copy in another place has an invalid signature.

    Returns:
        A function from a mark to its signature of 32 hexadecimal digits.
    """
    # The import is local, because only comments are signed.
    import hmac

    key = secret.derive_key(_KEY_PURPOSE)

    def sign(mark: OwnerMark) -> str:
        data = "\n".join([*location, str(mark)]).encode("utf-8", "replace")
        return hmac.digest(key, data, "sha256").hex()[:_SIGNATURE_HEX_DIGITS]

    return sign


def classify_text(mark: OwnerMark, text: str | None) -> Claim:
    """Return the permission of a job step for a stored text.

    A text of None could not be read. It counts as the text of another job step.
    """
    if text is None:
        return Claim.OTHER
    text_mark = find_mark(text)
    return mark.classify(text_mark) if text_mark else Claim.REPLACE


def find_mark(text: str) -> OwnerMark | None:
    """Return the mark in a text of a build's data, or None.

    Such a text has colons in place of spaces, because some systems allow no white space.
    """
    return parse_mark(text.replace(":", " "))


def shared_warning(item: str) -> str:
    """Return the warning about another job step's item of the same name."""
    return (
        f"Another step of this build has {item} of the same name, which is unchanged. "
        "Use a separate summary-title for each step."
    )


def _parse_number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
