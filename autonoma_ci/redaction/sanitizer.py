"""The texts of one answer, as they are shown: without a secret, on one line, and no longer than anybody reads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.redaction.normalize import drop_last_letters

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.redaction.redactor import Redactor

# In characters. To redact a megabyte of escapes takes up to half a second, and any answer is understood within one. The
# texts of 200 steps have a tenth of this.
MAX_CHARS_PER_RESPONSE = 2_000_000
# What a call costs, in characters.
_CALL = 100
# How much longer a value may be than its longest form, once it is wrapped up several times, or a part of it redacted.
_WRAPPED = 10


class ResponseSanitizer:
    """Redacts the texts of one answer; `redactor` is asked only once there is one.

    A text is cut before it is redacted, and an answer with more text than anybody's is told in part: any
    bytes are understood within a second. `spent` says whether something was left out for that. `budget` is in
    characters.
    """

    def __init__(self, redactor: Callable[[], Redactor], budget: int = MAX_CHARS_PER_RESPONSE) -> None:
        self._make = redactor
        self._left = budget
        self.spent = False

    @cached_property
    def _redact(self) -> Redactor:
        return self._make()

    @cached_property
    def _overlap(self) -> int:
        return _WRAPPED * self._redact.max_variant_length

    def contains_secret(self, text: str) -> bool:
        """Return whether a text holds a secret value; True if there is no time to look."""
        self._left -= len(text)
        self.spent = self.spent or self._left < 0
        return self.spent or self._redact.contains_secret(text)

    def clean(self, text: str, limit: int, *, apart: bool = False) -> str:
        """Return at most `limit` characters of the text, redacted, on one line; an ellipsis if there is no time.

        With `apart`, no sink shows the text directly before or after another one, so a half of a value stays in it.
        """
        if not text:
            return ""
        if not self.spent:
            # Four times, since characters that do not show are not kept.
            head = text[: 4 * limit + 2 * self._overlap]
            self._left -= len(head) + _CALL
            self.spent = self._left < 0
        if self.spent:
            return "…"
        shown = self._redact(head)
        if len(head) < len(text):
            # The first half of a secret that was cut in two would not be known for one.
            shown = drop_last_letters(shown, self._overlap) + "…"
        if not apart:
            shown = self._redact.redact_edges(shown)
        line = sanitize_line(shown, limit)
        # Once more as it is shown.
        return self._redact(line) if line != shown else line
