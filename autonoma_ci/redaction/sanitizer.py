"""Sanitize the texts of one API response for logs and reports."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.redaction.normalize import drop_last_letters

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.redaction.redactor import Redactor

# Redacting 1 MB of escapes needs at most 0.5 s, and each response must be processed within 1 s. The texts of 200 run
# steps have a tenth of this length.
MAX_CHARS_PER_RESPONSE = 2_000_000
# The time that one call takes, as a number of characters.
_CALL_COST_CHARS = 100
# A value can be this many times longer than its longest form, if it is escaped several times or partly redacted.
_WRAPPING_FACTOR = 10


class ResponseSanitizer:
    """Redacts and cuts the texts of one response.

    A text is cut before it is redacted. Texts beyond the budget are left out, so each response is processed within 1 s.
    `is_budget_exhausted` is True if something was left out.

    Args:
        create_redactor: Creates the redactor at the first text.
        budget: The most characters to process.
    """

    def __init__(self, create_redactor: Callable[[], Redactor], budget: int = MAX_CHARS_PER_RESPONSE) -> None:
        self._create_redactor = create_redactor
        self._remaining_chars = budget
        self.is_budget_exhausted = False

    @cached_property
    def _redact(self) -> Redactor:
        return self._create_redactor()

    @cached_property
    def _overlap(self) -> int:
        return _WRAPPING_FACTOR * self._redact.max_variant_length

    def contains_secret(self, text: str) -> bool:
        """Return whether a text contains a secret value.

        The result is True if the budget is exhausted.
        """
        self._remaining_chars -= len(text)
        self.is_budget_exhausted = self.is_budget_exhausted or self._remaining_chars < 0
        return self.is_budget_exhausted or self._redact.contains_secret(text)

    def clean(self, text: str, limit: int, *, is_standalone: bool = False) -> str:
        """Return the text redacted, in one line and cut to a limit.

        Args:
            text: A text of the response.
            limit: The most characters to return.
            is_standalone: No sink shows the text directly before or after another one, so halves of values may stay at
                its ends.

        Returns:
            The text, or an ellipsis if the budget is exhausted.
        """
        if not text:
            return ""
        if not self.is_budget_exhausted:
            # Four times the limit, because invisible characters are dropped.
            head = text[: 4 * limit + 2 * self._overlap]
            self._remaining_chars -= len(head) + _CALL_COST_CHARS
            self.is_budget_exhausted = self._remaining_chars < 0
        if self.is_budget_exhausted:
            return "…"
        shown = self._redact(head)
        if len(head) < len(text):
            # The cut may split a secret, and its first half would not be recognized.
            shown = drop_last_letters(shown, self._overlap) + "…"
        if not is_standalone:
            shown = self._redact.redact_edges(shown)
        line = sanitize_line(shown, limit)
        # Redact once more, because `sanitize_line` changed the text.
        return self._redact(line) if line != shown else line
