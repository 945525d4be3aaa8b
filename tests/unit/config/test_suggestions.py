"""Suggestions for names with typing errors."""

from __future__ import annotations

from autonoma_ci.config.suggestions import find_closest_match, find_similar_names


def test_suggestion_needs_similar_word() -> None:
    """A suggestion appears only where it is likely."""
    assert find_closest_match("tets", ["tests", "tags"]) == "tests"
    assert find_closest_match("zebra", ["tests", "tags"]) is None
    assert find_closest_match("x", []) is None


def test_similar_names_ignore_case() -> None:
    """Similar names come before those that contain the name."""
    names = ["Checkout pays by card", "Chekcout", "Search", "checkout"]
    assert find_similar_names("CHECKOUT", names) == ["checkout", "Chekcout", "Checkout pays by card"]


def test_similar_names_include_part_of_name() -> None:
    """A label of a matrix follows the name of the entry."""
    assert find_similar_names("Checkout pays [LOCALE=en, OS=linux]", ["Checkout pays", "Search"]) == ["Checkout pays"]


def test_similar_names_need_more_than_one_character() -> None:
    """A single letter, a long text and no names have no similar names."""
    assert find_similar_names("a", ["aa", "ab"]) == []
    assert find_similar_names("a" * 101, ["a" * 100]) == []
    assert find_similar_names("zebra", ["tests"]) == []
