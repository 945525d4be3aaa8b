"""What waiting keeps of one run, and how waiting goes about it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.engine.pace import MIN_FAILED_POLLS
from autonoma_ci.exchange import Said

if TYPE_CHECKING:
    from autonoma_ci.exchange import Status


class Waiting(NamedTuple):
    """How waiting goes about it; all times in seconds.

    `interval` is the pause between two questions for a run, or None for one that follows its age;
    `patience` how long the questions for a run may go wrong; `missing` how long a run may be unknown to
    the server; `closing` how long answers are waited for after the deadline; `overdue` when a question
    that the transport should have ended long ago is given up. Neither `patience` nor `missing` ends a run
    before MIN_FAILED_POLLS, except at the deadline.
    """

    timeout: float = 1800.0
    interval: float | None = None
    retries: int = 0
    concurrency: int = 16
    patience: float = 120.0
    missing: float = 30.0
    closing: float = 10.0
    overdue: float = 45.0


class Watch:
    """One run that is waited for; the times are the clock's, in seconds.

    `born` is when it was asked for, `known` when it was last known to exist, `asked` when the question
    under way was asked, `sent` when the last one was; `failing` is since when every question went wrong,
    `trouble` how, `hint` what to do about it, and `failed_polls` the number of polls since the last usable answer.
    `last` is the last usable answer, and `number` that of the last question.
    """

    __slots__ = ("asked", "born", "failed_polls", "failing", "hint", "known", "last", "number", "sent", "trouble")

    def __init__(self, born: float, now: float) -> None:
        self.born, self.known, self.sent = born, now, -inf
        self.asked: float | None = None
        self.failing: float | None = None
        self.last: Status | None = None
        self.trouble = self.hint = ""
        self.number = 0
        self.failed_polls = 0

    def answered(self, status: Status, now: float) -> None:
        """Note a usable answer."""
        self.last, self.known, self.failing, self.failed_polls = status, now, None, 0
        self.trouble = self.hint = ""

    def went_wrong(self, status: Status, now: float) -> None:
        """Note a question without a usable answer; that the run is not there yet is no failure of the server."""
        self.trouble, self.hint = status.message, status.hint
        self.failed_polls += 1
        if status.said is not Said.MISSING and self.failing is None:
            self.failing = now

    def is_missing(self, now: float, waiting: Waiting, deadline: float) -> bool:
        """Return whether the server has had the time and the polls to know the run."""
        return self._is_polled_enough(deadline) and now - self.known >= waiting.missing

    def is_lost(self, now: float, waiting: Waiting, deadline: float) -> bool:
        """Return whether the status was unavailable for too long, and for enough polls."""
        too_long = self.failing is not None and now - self.failing >= waiting.patience
        return too_long and self._is_polled_enough(deadline)

    def _is_polled_enough(self, deadline: float) -> bool:
        # The poll at the deadline is the last one.
        return self.failed_polls >= MIN_FAILED_POLLS or self.sent >= deadline
