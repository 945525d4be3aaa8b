"""Regular expressions that are compiled at their first use.

A step loads about forty of these patterns. Which of them it uses depends on the texts that it gets. The functions of
`re` compile a text at its first use too, but the search for many secret values fills their cache, and then they compile
it at each use.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, AnyStr, cast

if TYPE_CHECKING:
    from collections.abc import Callable


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return an object with the methods of `re.compile(text, flags)`. The functions of `re` do not take it."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(partial(re.compile, text, flags)))


class _LazyPattern:
    """A pattern that is compiled when one of its methods is asked for."""

    def __init__(self, compiled: Callable[[], re.Pattern[Any]]) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        # Only called for what the object does not have yet. Later uses find the method without a detour.
        method = getattr(self._compiled(), name)
        setattr(self, name, method)
        return method
