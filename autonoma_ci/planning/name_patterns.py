"""Match names and ids of entries with the patterns of the option `only`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WILDCARDS = frozenset("*?")


class NamePattern:
    """One pattern with `*` and `?` as wildcards.

    All other characters are literal, and case is ignored. The pattern must match the whole text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._folded = text.casefold()
        self._regex = None if _WILDCARDS.isdisjoint(text) else _compile_wildcards(self._folded)

    def matches(self, folded_texts: Iterable[str]) -> bool:
        """Return whether the pattern matches one of these casefolded texts."""
        if self._regex is None:
            return self._folded in folded_texts
        return any(map(self._regex.fullmatch, folded_texts))


def _compile_wildcards(folded: str) -> re.Pattern[str]:
    first, *others = ("".join("." if char == "?" else re.escape(char) for char in part) for part in folded.split("*"))
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    # Each part matches as early as possible, and an atomic group never tries a later place. So the time is not
    # exponential in the number of wildcards.
    parts = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{parts}.*{last}", re.DOTALL)
