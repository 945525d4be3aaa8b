"""Decide whether this step may replace what is there already, in a place that several steps share.

A comment, a report of a commit and data of a build carry a mark of the step that wrote them. What another step of the
same build and attempt wrote is never replaced: it may be a failure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from autonoma_ci.model import Report

_FIELD = r"[A-Za-z0-9_.-]"
_MARK = re.compile(rf"build ({_FIELD}{{0,60}}) attempt ([0-9]{{0,18}}) part ({_FIELD}{{0,16}}) step ({_FIELD}{{0,32}})")
# Of a step's random id; enough to tell the few steps of a build apart.
_STEP_DIGITS = 8


class Claim(StrEnum):
    """What may be done about something that is there."""

    REPLACE = "replace"  # this step wrote it, or an earlier attempt or build did
    LEAVE = "leave"  # a later attempt or build wrote it
    OTHER = "other"  # another step of this build and attempt wrote it


class Mark(NamedTuple):
    """Which step wrote something: `part` is the digest of its part of the build, `step` a random id."""

    build: str
    attempt: str
    part: str
    step: str

    def __str__(self) -> str:
        return f"build {self.build} attempt {self.attempt} part {self.part} step {self.step}"

    def claim(self, found: Mark) -> Claim:
        """Say what the step of this mark may do about something with the mark that was found."""
        if found.step and found.step == self.step:
            return Claim.REPLACE
        if found.part != self.part:
            return Claim.OTHER
        if found.build != self.build:
            # Ids that are no numbers have no order: what is there is then taken for the earlier one.
            return Claim.LEAVE if _number(found.build) > _number(self.build) >= 0 else Claim.REPLACE
        if found.attempt == self.attempt:
            return Claim.OTHER
        return Claim.LEAVE if _number(found.attempt) > _number(self.attempt) else Claim.REPLACE


def mark_of(report: Report, build: str) -> Mark:
    """Return the mark of the step that makes the report, in a build with this id."""
    build = build if re.fullmatch(rf"{_FIELD}{{0,60}}", build) else ""
    attempt = report.attempt or report.context.attempt
    attempt = attempt if re.fullmatch(r"[0-9]{0,18}", attempt) else ""
    # A record names the step that `wait` goes on with, and anybody may have written it.
    step = re.sub(r"[^A-Za-z0-9]", "", report.step_id)[:_STEP_DIGITS]
    return Mark(build, attempt, report.part.digest, step)


def parse_mark(text: str) -> Mark | None:
    """Return the mark that the text is, or None if it is none."""
    found = _MARK.fullmatch(text)
    return Mark(*found.groups()) if found else None


def claim_of(mark: Mark, text: str | None) -> Claim:
    """Say what the step of this mark may do about something whose mark has this text.

    None is a text that could not be read: then it is taken for that of another step.
    """
    if text is None:
        return Claim.OTHER
    # Where white space is not allowed, colons stand for it.
    found = parse_mark(text.replace(":", " "))
    return mark.claim(found) if found else Claim.REPLACE


def shared_warning(what: str) -> str:
    """Return what the log warns of if another step of this build wrote such a thing under the same name."""
    return (
        f"Another step of this build has {what} of the same name, which was left as it is. Give each step a "
        "summary-title of its own."
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
