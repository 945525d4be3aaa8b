"""What the documents point at is there, and every command is told of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autonoma_ci.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Return where links into a page may lead, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(target), link


def test_the_readme_tells_of_every_command() -> None:
    told = re.findall(r"^\| `autonoma-ci (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(told) == set(COMMANDS)
    assert len(told) == len(COMMANDS)


def test_the_pictures_have_words_for_those_who_do_not_see_them() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(pictures) == 2
    assert all(len(words) > 30 for words, _ in pictures)
