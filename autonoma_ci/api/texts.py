"""The texts of one answer, as they are shown: without a secret, on one line, and no longer than anybody reads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.secret import Redactor

# To go over a megabyte takes a fifth of a second, in which an answer of 16 MiB has to be understood five times over.
_BUDGET = 3_000_000
# What a call costs, as so many characters.
_CALL = 40
# How much longer a value may be than its longest form, once it is wrapped up several times, or a part of it redacted.
_WRAPPED = 10


class Texts:
    """Redacts the texts of one answer; `redactor` is asked only once there is one.

    A text is cut before it is redacted, and an answer with more text than anybody's is told in part: any
    bytes are understood within a second. `spent` says whether something was left out for that.
    """

    def __init__(self, redactor: Callable[[], Redactor]) -> None:
        self._make = redactor
        self._left = _BUDGET
        self.spent = False

    @cached_property
    def _redact(self) -> Redactor:
        return self._make()

    @cached_property
    def _reach(self) -> int:
        return _WRAPPED * self._redact.longest

    def line(self, text: str, limit: int) -> str:
        """Return at most `limit` characters of the text, redacted, on one line; an ellipsis if there is no time."""
        if not text:
            return ""
        if not self.spent:
            # Four times, since characters that do not show are not kept.
            head = text[: 4 * limit + self._reach]
            self._left -= len(head) + _CALL
            self.spent = self._left < 0
        if self.spent:
            return "…"
        shown = self._redact(head)
        if len(head) < len(text):
            # The first half of a secret that was cut in two would not be known for one.
            shown = shown[: max(0, len(shown) - self._reach)] + "…"
        return one_line(shown, limit)
