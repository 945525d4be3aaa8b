"""Suggestions for names with typing errors."""

from __future__ import annotations

from autonoma_ci.config.suggestions import find_closest_match


def test_suggestion_needs_similar_word() -> None:
    """A suggestion appears only where it is likely."""
    assert find_closest_match("tets", ["tests", "tags"]) == "tests"
    assert find_closest_match("zebra", ["tests", "tags"]) is None
    assert find_closest_match("x", []) is None
