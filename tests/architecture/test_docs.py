"""Links, commands and pictures of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autonoma_ci.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def find_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    """Each relative link has a file, and each anchor has a heading."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", prose)
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in find_anchors(target), link


def test_readme_lists_every_command() -> None:
    """The table of commands has one row for each command."""
    listed_commands = re.findall(r"^\| `autonoma-ci (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(listed_commands) == set(COMMANDS)
    assert len(listed_commands) == len(COMMANDS)


def test_pictures_have_alt_text() -> None:
    """Each picture of the README has a text of more than 30 characters."""
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert pictures
    assert all(len(alt_text) > 30 for alt_text, _ in pictures)


def test_threat_model_promises_name_tests() -> None:
    """Each promise names the existing files that prove it."""
    promises = (ROOT / "SECURITY.md").read_text("utf-8").partition("### What is promised")[2].partition("###")[0]
    rows = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", promises, re.MULTILINE)
    assert rows
    assert all((ROOT / path).exists() for _, proofs in rows for path in re.findall(r"`(.+?)`", proofs))
    assert all("`" in proofs for _, proofs in rows)
