"""Regular expressions that compile at first use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci import lazy_regex
from autonoma_ci.lazy_regex import lazy_pattern

if TYPE_CHECKING:
    import pytest


def test_pattern_compiles_once_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call compiles the pattern, and later calls use it."""
    compiled: list[str] = []

    class _Counting:
        def compile(self, text: str, flags: int) -> re.Pattern[str]:
            compiled.append(text)
            return re.compile(text, flags)

    monkeypatch.setattr(lazy_regex, "re", _Counting())
    pattern = lazy_pattern("a+")
    assert compiled == []
    assert [pattern.sub("-", text) for text in ("baa", "ab")] == ["b-", "-b"]
    assert compiled == ["a+"]


def test_pattern_equals_compiled_pattern() -> None:
    """Each method returns the result of a compiled pattern."""
    lazy, usual = lazy_pattern("(A) (b)", re.IGNORECASE), re.compile("(A) (b)", re.IGNORECASE)
    text = "a B, A b"
    assert lazy.findall(text) == usual.findall(text) == [("a", "B"), ("A", "b")]
    assert lazy.split(text) == usual.split(text)
    assert lazy.fullmatch(text) is None
    found = lazy.search(text, 2)
    assert found
    assert found.span() == (5, 8)
    assert lazy.flags == usual.flags
