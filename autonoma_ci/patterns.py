"""Regular expressions that are compiled at their first use.

A step loads about forty of these patterns. Which of them it uses depends on the texts that it gets.
"""

from __future__ import annotations

import re
from typing import Any, cast


def lazy_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what has the methods of `re.compile(text, flags)`. It is no argument for the functions of `re`."""
    return cast("re.Pattern[str]", _LazyPattern(text, flags))


class _LazyPattern:
    """A pattern that is compiled when one of its methods is asked for."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        # Only called for what the object does not have yet. Later uses find the method without a detour.
        method = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, method)
        return method
