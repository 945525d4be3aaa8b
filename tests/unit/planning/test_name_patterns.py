"""Patterns of names and ids."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.planning.name_patterns import NamePattern
from tests.support.processor_time import measure_processor_seconds


def match(pattern: str, text: str) -> bool:
    return NamePattern(pattern).matches([text.casefold()])


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("Checkout", "checkout", True),
        ("CHECKOUT*", "Checkout pays by card", True),
        ("Check", "Checkout", False),
        ("out", "Checkout", False),
        ("*pays*card", "Checkout pays by card", True),
        ("*card*pays*", "Checkout pays by card", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*", "", True),
        ("?", "", False),
        ("[ab]", "a", False),
        ("[ab]", "[AB]", True),
        ("[*]", "[LOCALE=en]", True),
        ("a.c", "abc", False),
        ("a\\*", "a\\b", True),
        ("STRASSE", "Straße", True),
        ("Ünï*", "üNÏCODE", True),
        ("a*b", "a\nb", True),
        ("a**b", "a-b", True),
        ("ab*ba", "aba", False),
        ("a$", "a", False),
    ],
)
def test_pattern_matches_whole_text(pattern: str, text: str, *, expected: bool) -> None:
    """A star and a question mark are wildcards, and all other characters are literal."""
    assert match(pattern, text) is expected


def test_pattern_matches_any_of_texts() -> None:
    """The name or the id has to match."""
    assert NamePattern("t-*").matches(("checkout", "t-1"))
    assert not NamePattern("t-*").matches(("checkout", "u-1"))


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_pattern_agrees_with_fnmatch(pattern: str, text: str) -> None:
    """Without brackets, the standard library has the same wildcards."""
    assert match(pattern, text) == fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["*a" * 200 + "*b", "a*" * 400, "?*" * 200 + "b", "*" * 1000 + "b"])
def test_hostile_pattern_is_fast(pattern: str) -> None:
    """The time is not exponential in the number of wildcards."""
    assert measure_processor_seconds(lambda: match(pattern, "a" * 500), 0.5) < 0.5
