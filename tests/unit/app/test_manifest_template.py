"""Tests of the manifest that `init` writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given

from autonoma_ci.api.account import ListedFolder, ListedTest
from autonoma_ci.app.inputs import load_manifest
from autonoma_ci.app.manifest_template import render_manifest
from autonoma_ci.app.test_picker import Selection
from autonoma_ci.config.settings import Settings
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import BuildContext
from tests.support.hostile import TEXTS
from tests.support.manifest_reader import TODAY

TESTS = (ListedTest("t1", "Pays by card"), ListedTest("t2", "Pays later"))
FOLDER = ListedFolder("f1", "Checkout", TESTS)
AMBIGUOUS_WORDS = ["null", "Null", "true", "no", "y", "123", "1e5", "0x1F", "-", "---", "_"]


def get_name_line(name: str) -> str:
    """Return the line of the manifest with the name of a folder."""
    text = render_manifest(Selection((ListedFolder("f1", name, ()),)))
    (line,) = (line for line in text.split("\n") if line.startswith("    name: "))
    return line.removeprefix("    name: ")


def test_manifest_lists_folders_and_tests() -> None:
    """Each entry has its id and its name."""
    lines = render_manifest(Selection((FOLDER,), (TESTS[1],))).split("\n")
    start = lines.index("folders: # one run for each folder, with all tests in it and below it")
    assert lines[start + 1 : start + 6] == [
        "  - id: f1 # 2 tests", "    name: Checkout", "tests:", "  - id: t2", "    name: Pays later"
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "noun"), [(0, "0 tests"), (1, "1 test"), (1200, "1,200 tests")])
def test_manifest_counts_tests_of_folder(count: int, noun: str) -> None:
    """The comment has the number of tests in the right form."""
    folder = ListedFolder("f1", "x", tuple(ListedTest(f"t{n}", "x") for n in range(count)))
    assert f"  - id: f1 # {noun}\n" in render_manifest(Selection((folder,)))


def test_manifest_suggests_groups_once() -> None:
    """Only the first test has the comment about groups."""
    text = render_manifest(Selection((), TESTS))
    assert text.count("# groups: [smoke]") == 1
    assert text.index("id: t1") < text.index("# groups: [smoke]") < text.index("id: t2")


def test_manifest_omits_empty_sections() -> None:
    """A manifest of tests has no folders and no application versions."""
    text = render_manifest(Selection((), TESTS))
    assert "folders" not in text
    assert "application_versions" not in text
    text = render_manifest(Selection((FOLDER,)))
    assert "tests:" not in text
    assert "# application_versions:\n#   - { application_id: ID, version_id: ID }\n" in text


def test_manifest_comments_are_valid_yaml() -> None:
    """Without the comment signs, the suggested keys are valid too."""
    text = render_manifest(Selection((FOLDER,), TESTS))
    lines = [line.removeprefix("# ") if line.startswith("# default") else line for line in text.split("\n")]
    document = yaml.safe_load("\n".join(lines).replace("\n#   ", "\n  ").replace("# application_v", "application_v"))
    assert set(document) == {"version", "defaults", "folders", "tests", "application_versions"}
    assert document["defaults"]["variables"] == {"BASE_URL": "https://pr-${ci.change:-main}.preview.example.com"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Pays by card", "Pays by card"),
        ("a/b (c) d-e_f 1", "a/b (c) d-e_f 1"),
        ("Costs $5 ${NAME}", '"Costs $$5 $${NAME}"'),
        ("yes", '"yes"'),
        ("OFF", '"OFF"'),
        ("a: b", '"a: b"'),
        ("a # b", '"a # b"'),
        ("ends-", '"ends-"'),
        ("1a", '"1a"'),
        ('type "x" \\', '"type \\"x\\" \\\\"'),
        ("é", '"é"'),
        ("", '""'),
    ],
)
def test_manifest_quotes_where_needed(name: str, line: str) -> None:
    """A plain name has no quotes, and any other name is a JSON text."""
    assert get_name_line(name) == line


@pytest.mark.parametrize(
    "name", ["a\nb: c", "\x1b[31mred", "::error::x", "##[group]x", "travis_fold:start:x", "\u202ereversed", "a\x00b"]
)
def test_manifest_has_no_commands_of_names(name: str) -> None:
    """A name stays on one line, without control characters and commands of CI systems."""
    text = render_manifest(Selection((ListedFolder("f1", name, ()),)))
    assert not set("\x1b\x00\u202e\r") & set(text)
    assert "##[" not in text
    assert "fold:start" not in text
    assert not [line for line in text.split("\n") if line.startswith(("::", "b: c"))]


def test_manifest_shortens_long_names() -> None:
    """A name has at most 500 characters in the manifest."""
    assert get_name_line("x" * 500) == "x" * 500
    assert get_name_line("x" * 501) == f'"{"x" * 499}…"'


@given(TEXTS, TEXTS)
def test_manifest_name_round_trips(name: str, title: str) -> None:
    """The reader returns each name as it is in the account."""
    names = [sanitize_line(text, 500).strip() for text in (name, title)]
    selection = Selection(
        (ListedFolder("f1", names[0], ()),), (ListedTest("t1", names[1]), ListedTest("t2", names[1]))
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "autonoma.yml").write_text(render_manifest(selection), "utf-8")
        read = load_manifest("autonoma.yml", folder, {}, BuildContext("cli"), Settings(), TODAY)
    assert [entry.name for entry in (*read.folders, *read.tests)] == [names[0], names[1], names[1]]


@pytest.mark.parametrize("word", AMBIGUOUS_WORDS)
def test_manifest_quotes_ambiguous_words(word: str, tmp_path: Path) -> None:
    """Words that YAML reads as other types stay text."""
    selection = Selection((ListedFolder(word, word, ()),), (ListedTest(word, word),))
    (tmp_path / "a.yml").write_text(render_manifest(selection), "utf-8")
    read = load_manifest("a.yml", str(tmp_path), {}, BuildContext("cli"), Settings(), TODAY)
    assert {text for entry in read.entries for text in (entry.id, entry.name)} == {word}
