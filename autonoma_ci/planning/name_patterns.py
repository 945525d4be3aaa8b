"""Match names and ids of entries with the patterns of the option `only`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WILDCARDS = frozenset("*?")


def has_wildcard(text: str) -> bool:
    """Return whether a pattern has a wildcard."""
    return not _WILDCARDS.isdisjoint(text)


class NamePattern:
    """One pattern with `*` and `?` as wildcards.

    All other characters are literal, and case is ignored. The pattern must match the whole text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._regex = _compile_wildcards(text.casefold())

    def matches(self, folded_texts: Iterable[str]) -> bool:
        """Return whether the pattern matches one of these casefolded texts."""
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
