"""Links, commands, images and quoted messages of the documentation."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from autonoma_ci.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


# Links to files outside of docs/ have this form there, so that they work on GitHub and on the site.
REPOSITORY_URL = "https://github.com/OWNER/autonoma-ci/blob/main/"
MESSAGE_CELL_RE = re.compile(r"^\| (`.+?`) \| ", re.MULTILINE)


def find_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_links(page: Path) -> list[str]:
    """Return the targets of the links of a page, without those in code."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    """Each relative link has a file, and each anchor has a heading."""
    for link in find_links(page):
        if link.startswith(REPOSITORY_URL):
            name, anchor = f"{ROOT}/{link.removeprefix(REPOSITORY_URL)}", ""
        elif link.startswith("https://"):
            continue
        else:
            name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in find_anchors(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT], ids=lambda page: page.name)
def test_relative_links_stay_in_site(page: Path) -> None:
    """A relative link out of docs/ works on GitHub but not on the site."""
    links = [link for link in find_links(page) if not link.startswith(("https://", "#"))]
    assert [link for link in links if not (page.parent / link).resolve().is_relative_to(ROOT / "docs")] == []


def test_navigation_lists_every_page() -> None:
    """The navigation of the site has each page once."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    listed_pages = re.findall(r"(?:: |- )(\S+\.md)$", text, re.MULTILINE)
    assert sorted(listed_pages) == sorted(
        page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")
    )


def test_site_needs_no_other_host() -> None:
    """The site loads no fonts from Google and no counts from GitHub."""
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "\n  font: false\n" in settings
    assert "\n  custom_dir: docs/.theme\n" in settings
    # The script of the theme sends requests for each such component.
    source = (ROOT / "docs" / ".theme" / "partials" / "source.html").read_text("utf-8")
    assert "data-md-component" not in source


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain_markdown(page: Path) -> None:
    """No page uses syntax that GitHub does not render."""
    assert not re.search(r"^\s*(?:!!!|\?\?\?|===) ", page.read_text("utf-8"), re.MULTILINE)


def test_commands_page_lists_every_command() -> None:
    """The table of commands has one row for each command."""
    page = ROOT / "docs" / "reference" / "commands.md"
    listed_commands = re.findall(r"^\| \[`autonoma-ci (\w+)`\]\(#\1\)", page.read_text("utf-8"), re.MULTILINE)
    assert set(listed_commands) == set(COMMANDS)
    assert len(listed_commands) == len(COMMANDS)


def test_readme_is_short() -> None:
    """The README has at most 250 lines."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_images_have_alt_text(page: Path) -> None:
    """Each image has a text of more than 30 characters."""
    images = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8"))
    assert images or page.name != "README.md"
    assert all(len(alt_text) > 30 for alt_text, _ in images)


def test_threat_model_promises_name_tests() -> None:
    """Each promise names the existing files that prove it."""
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    promises = page.partition("### What is promised")[2].partition("###")[0]
    rows = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", promises, re.MULTILINE)
    assert rows
    assert all((ROOT / path).exists() for _, proofs in rows for path in re.findall(r"`(.+?)`", proofs))
    assert all("`" in proofs for _, proofs in rows)


def read_string_literals() -> list[str]:
    """Return all strings of the package, with NUL for each value in them."""
    literals = []
    for path in (ROOT / "autonoma_ci").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                literals.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.append(node.value)
    return literals


def find_unknown_messages(page: str, literals: list[str]) -> list[str]:
    """Return the quoted messages of a page whose words are in no literal."""
    messages = [message for cell in MESSAGE_CELL_RE.findall(page) for message in re.findall("`(.+?)`", cell)]
    assert messages
    # The code adds the status to the text.
    parts = {message: re.split("…|(?<=^HTTP )\\d+$", message) for message in messages}
    return [
        message
        for message in messages
        if not all(any(part.strip() in literal for literal in literals) for part in parts[message])
    ]


def test_troubleshooting_quotes_messages() -> None:
    """The product has each message that the page quotes."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    assert find_unknown_messages(page, read_string_literals()) == []


def test_check_finds_changed_message() -> None:
    """The check detects a message that the product does not have."""
    page = "| message | cause |\n| --- | --- |\n| `still running after …`, `still walking after …` | Wait. |\n"
    assert find_unknown_messages(page, read_string_literals()) == ["still walking after …"]
