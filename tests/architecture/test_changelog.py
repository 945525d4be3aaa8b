"""The format of the changelog."""

from __future__ import annotations

import re

from autonoma_ci.config.options import OPTIONS
from tests.support.generate_docs import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text("utf-8")
# https://keepachangelog.com/en/1.1.0/
CATEGORIES = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_changelog_starts_with_unreleased() -> None:
    """Each other section is a version with its date, in descending order."""
    unreleased, *versions = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert unreleased == "Unreleased"
    matches = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", version) for version in versions]
    assert all(matches)
    numbers = [tuple(map(int, match.groups())) for match in matches if match]
    assert numbers == sorted(numbers, reverse=True)


def test_changelog_has_known_categories() -> None:
    """The categories of each section are in the order of Keep a Changelog."""
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        categories = re.findall(r"^### (.+)$", section, re.MULTILINE)
        assert categories == [category for category in CATEGORIES if category in categories]


def test_changelog_entries_are_short_sentences() -> None:
    """Each entry is one line with a full stop, and its sentences are short."""
    entries = re.findall(r"^- (.+)$", TEXT, re.MULTILINE)
    assert entries
    for entry in entries:
        assert entry.endswith("."), entry
        assert all(len(sentence.split()) <= 20 for sentence in entry.split(". ")), entry


def test_changelog_names_existing_options() -> None:
    """Each option of a sentence about options exists."""
    sentences = re.findall(r"^- Options? (.+?)(?: for |, )", TEXT, re.MULTILINE)
    names = [name for sentence in sentences for name in re.findall(r"`([a-z-]+)`", sentence)]
    assert names
    assert set(names) <= {option.name for option in OPTIONS}
