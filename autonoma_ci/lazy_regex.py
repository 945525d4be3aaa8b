"""Compile regular expressions at their first use.

A job step loads about forty of these patterns, and uses only some of them. The functions of `re` also compile a pattern
at its first use. But the search for many secret values fills their cache, and then they compile it at each use.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, AnyStr, cast

if TYPE_CHECKING:
    from collections.abc import Callable


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a lazy object with the methods of `re.compile(text, flags)`.

    The functions of `re` do not accept this object as a pattern.
    """
    return cast("re.Pattern[AnyStr]", _LazyPattern(partial(re.compile, text, flags)))


class _LazyPattern:
    """A pattern that is compiled when one of its methods is used."""

    def __init__(self, compiled: Callable[[], re.Pattern[Any]]) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        # Python calls this only for attributes that are missing. Later uses find the stored method directly.
        method = getattr(self._compiled(), name)
        setattr(self, name, method)
        return method
