"""Decide whether this step may replace what is there already, in a place that several steps share.

A comment, a report of a commit and data of a build carry a mark of the step that wrote them. What another step of the
same build wrote is never replaced: it may be a failure.
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

_FIELD = r"[A-Za-z0-9_.-]"
_MARK = re.compile(rf"build ({_FIELD}{{0,60}}) attempt ([0-9]{{0,18}}) part ({_FIELD}{{0,16}}) step ({_FIELD}{{0,32}})")
# Of a step's random id; enough to tell the few steps of a build apart.
_STEP_DIGITS = 8
_PURPOSE = "autonoma-ci mark 1"
# Hexadecimal digits of a signature: 128 bits.
_SIGNATURE_DIGITS = 32


class Claim(StrEnum):
    """What may be done about something that is there."""

    REPLACE = "replace"  # this step wrote it, or an earlier build did
    EARLIER = "earlier"  # an earlier attempt of this build wrote it: this step's, or that of a step of the same name
    LEAVE = "leave"  # a later build wrote it
    OTHER = "other"  # another step of this build wrote it


class OwnerMark(NamedTuple):
    """Which step wrote something: `part` is the digest of its part of the build, `step` a random id.

    `build` is the build's id. A dot and a name follow it where builds with that name run side by side, such as the
    child pipelines of a commit: none of them is the later one.
    """

    build_id: str
    attempt: str
    part: str
    step: str

    def __str__(self) -> str:
        return f"build {self.build_id} attempt {self.attempt} part {self.part} step {self.step}"

    def is_same_step(self, step: OwnerMark) -> bool:
        """Say whether the two marks are of one step."""
        return bool(self.step) and self.step == step.step

    def classify(self, found: OwnerMark) -> Claim:
        """Say what the step of this mark may do about something with the mark that was found."""
        if found.is_same_step(self):
            return Claim.REPLACE
        if found.part != self.part:
            return Claim.OTHER
        if found.build_id != self.build_id:
            (theirs, _, sibling_of), (ours, _, siblings) = found.build_id.partition("."), self.build_id.partition(".")
            if siblings and siblings == sibling_of:
                return Claim.OTHER
            # Ids that are no numbers have no order: what is there is then taken for the earlier one.
            return Claim.LEAVE if _number(theirs) > _number(ours) >= 0 else Claim.REPLACE
        # Some systems count the attempts at each job. Two steps of the same name may be two jobs, so a higher attempt
        # is not always a later one.
        return Claim.EARLIER if _number(found.attempt) < _number(self.attempt) else Claim.OTHER


class OwnershipDecision(NamedTuple, Generic[Text]):
    """What a step does about the texts of its name that are there.

    `replaced` is the text that it replaces, None if it writes a new one. `outdated`: a later build has written there,
    so that nothing is written. `shared`: another step of this build has, or may have, a text of the same name.
    """

    replaceable: Text | None
    is_outdated: bool
    is_shared: bool


def decide_ownership(mark: OwnerMark, found: Iterable[tuple[Text, OwnerMark]]) -> OwnershipDecision[Text]:
    """Choose what the step of this mark does about texts with these marks, the oldest first.

    With several candidates, none of this build is replaced: which one an earlier attempt at this step wrote is unknown.
    """
    own: list[Text] = []
    by: dict[Claim, list[Text]] = {claim: [] for claim in Claim}
    for text, theirs in found:
        (own if theirs.is_same_step(mark) else by[mark.classify(theirs)]).append(text)
    older, earlier, others = by[Claim.REPLACE], by[Claim.EARLIER], bool(by[Claim.OTHER])
    if own:
        return OwnershipDecision(own[0], is_outdated=False, is_shared=others)
    several = len(earlier) > 1 or bool(earlier and older)
    candidates = older or ([] if several else earlier)
    if candidates:
        return OwnershipDecision(candidates[0], is_outdated=False, is_shared=others or several)
    return OwnershipDecision(None, is_outdated=bool(by[Claim.LEAVE]), is_shared=others or several)


def build_mark(report: Report, build: str) -> OwnerMark:
    """Return the mark of the step that makes the report, in a build with this id."""
    build = build if re.fullmatch(rf"{_FIELD}{{0,60}}", build) else ""
    attempt = report.started_in_attempt or report.context.build_attempt
    attempt = attempt if re.fullmatch(r"[0-9]{0,18}", attempt) else ""
    # A record names the step that `wait` goes on with, and anybody may have written it.
    step = re.sub(r"[^A-Za-z0-9]", "", report.step_id)[:_STEP_DIGITS]
    return OwnerMark(build, attempt, report.part.digest, step)


def parse_mark(text: str) -> OwnerMark | None:
    """Return the mark that the text is, or None if it is none."""
    found = _MARK.fullmatch(text)
    return OwnerMark(*found.groups()) if found else None


def sign_mark(secret: Secret, facts: Sequence[str]) -> Callable[[OwnerMark], str]:
    """Return a function that signs a mark (HMAC-SHA256, RFC 2104).

    Args:
        secret: The client secret, from which the key is derived.
        facts: Where the mark stands. A copy in another place has an invalid signature.

    Returns:
        The function. A signature has 32 hexadecimal digits.

    """
    # Loaded only where there is something to sign.
    import hmac

    key = secret.derive_key(_PURPOSE)

    def sign(mark: OwnerMark) -> str:
        data = "\n".join([*facts, str(mark)]).encode("utf-8", "replace")
        return hmac.digest(key, data, "sha256").hex()[:_SIGNATURE_DIGITS]

    return sign


def classify_text(mark: OwnerMark, text: str | None) -> Claim:
    """Say what the step of this mark may do about something whose mark has this text.

    None is a text that could not be read: then it is taken for that of another step.
    """
    if text is None:
        return Claim.OTHER
    found = find_mark(text)
    return mark.classify(found) if found else Claim.REPLACE


def find_mark(text: str) -> OwnerMark | None:
    """Return the mark that a build's data has, or None: where no white space is allowed, colons stand for it."""
    return parse_mark(text.replace(":", " "))


def shared_warning(what: str) -> str:
    """Return what the log warns of if another step of this build wrote such a thing under the same name."""
    return (
        f"Another step of this build has {what} of the same name, which was left as it is. Give each step a "
        "summary-title of its own."
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
