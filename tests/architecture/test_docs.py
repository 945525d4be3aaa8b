"""Links, commands and pictures of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autonoma_ci.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Return where links into a page may lead, as GitHub makes them of its headings."""
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
        assert not anchor or anchor in anchors(target), link


def test_readme_lists_every_command() -> None:
    """The table of commands has one row for each command."""
    reported = re.findall(r"^\| `autonoma-ci (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(reported) == set(COMMANDS)
    assert len(reported) == len(COMMANDS)


def test_pictures_have_alt_text() -> None:
    """Each picture of the README has a text of more than 30 characters."""
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(pictures) == 2
    assert all(len(words) > 30 for words, _ in pictures)


def test_threat_model_has_four_sections() -> None:
    """The threat model names assets, attackers, promises and limits."""
    model = (ROOT / "SECURITY.md").read_text("utf-8").partition("## Threat model")[2]
    parts = re.findall(r"^### (.*)$", model, re.MULTILINE)
    assert parts == ["What is worth protecting", "Who may want it", "What is promised", "What is not promised"]


def test_threat_model_promises_name_tests() -> None:
    """Each promise names the existing files that prove it."""
    promised = (ROOT / "SECURITY.md").read_text("utf-8").partition("### What is promised")[2].partition("###")[0]
    rows = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", promised, re.MULTILINE)
    assert len(rows) == 12
    assert all((ROOT / path).exists() for _, shown in rows for path in re.findall(r"`(.+?)`", shown))
    assert all("`" in shown for _, shown in rows)
