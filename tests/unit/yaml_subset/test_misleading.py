"""Characters that hide parts of a manifest from reviewers."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.id_lists import parse_ids
from autonoma_ci.config.parsers import parse_application_versions, parse_list, parse_variables
from autonoma_ci.errors import InputError
from autonoma_ci.yaml_subset.document import MAX_ERRORS
from autonoma_ci.yaml_subset.parser import parse_yaml
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.manifest_reader import collect_errors, read_manifest, read_single_test

if TYPE_CHECKING:
    from pathlib import Path

LINE_BREAKS = {"\v": r"\v", "\f": r"\f", "\r": r"\r", "\x85": r"\u0085", "\u2028": r"\u2028", "\u2029": r"\u2029"}
DIRECTION_CONTROLS = {chr(c): f"\\u{c:04x}" for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
ESCAPES = LINE_BREAKS | DIRECTION_CONTROLS
each_character = pytest.mark.parametrize("character", ESCAPES, ids=ascii)
# Every character that is not printed, or has a width of its own.
SPECIAL_CHARACTERS = [
    chr(c)
    for c in range(sys.maxunicode + 1)
    if unicodedata.category(chr(c)) in {"Cc", "Cf", "Zl", "Zp", "Zs"} and chr(c) != "\n"
]


@each_character
@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("tests:\n- a\n# a comment{0}folders: [b]\n", 3, 12),
        ("tests:\r\n- a\r\n- b # c{0}- d\r\n", 3, 8),
        ("tests: ['a{0}b']", 1, 11),
        ('tests: [{{id: a, name: "x{0}y"}}]', 1, 25),
        ("tests:\n- id: a\n  variables:\n    V: |\n      x{0}y\n", 5, 8),
        ("tests:\n- {0}a", 2, 3),
        ("tests: [a]\n{0}", 2, 1),
        ("{0}tests: [a]", 1, 1),
        ("tests: [{{id: a, 'na{0}me': b}}]", 1, 20),
    ],
)
def test_character_is_rejected_with_position(text: str, line: int, column: int, character: str) -> None:
    """The error has the position of an editor and the escape to write instead."""
    (problem,) = collect_errors(text.format(character))
    assert problem.startswith(f"{line}:{column}: ")
    assert f"(U+{ord(character):04X}): " in problem
    assert problem.endswith(f'; remove it, or write "{ESCAPES[character]}" in double quotes')
    assert len(problem) < 170


@each_character
def test_escape_gives_character(character: str) -> None:
    """The suggested escape gives the intended value."""
    test = read_single_test(f'tests: [{{id: a, variables: {{V: "x{ESCAPES[character]}y"}}}}]')
    assert test.variables == {"V": f"x{character}y"}


@each_character
def test_character_is_valid_in_environment(character: str) -> None:
    """Values are inserted after parsing, so they start no line and no comment."""
    value = f"x{character}# y{character}- z"
    assert read_single_test("tests: [{id: a, variables: {V: '${A}'}}]", {"A": value}).variables == {"V": value}


def test_all_are_reported_up_to_limit() -> None:
    """Each one has a position, and a hostile file takes bounded time."""
    errors = collect_errors("tests:\n- a\u2028\n- b\u202e\x85\r\n- c\rd")
    assert [problem.partition(": ")[0] for problem in errors] == ["2:4", "3:4", "3:5", "4:4"]
    assert len(parse_yaml("\u2028" * 2_000_000, "").errors) == MAX_ERRORS + 1


def test_crlf_and_lf_are_accepted() -> None:
    """LF and CRLF end lines, also in one file."""
    assert [test.id for test in read_manifest("tests:\r\n- a\n- b\r\n# c\r\n- d\r\n").tests] == ["a", "b", "d"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "template", ["# x{0}- b\n", "- b # x{0}- c\n", "- b{0}- c\n", "#{0}\n- b\n", "- {{id: b}} #{0}- c\n"]
)
def test_no_character_ends_line_unseen(template: str) -> None:
    """Entries are those that a reviewer counts, or there is an error."""
    for character in SPECIAL_CHARACTERS:
        try:
            ids = [test.id for test in read_manifest("tests:\n- a\n" + template.format(character)).tests]
        except InputError:
            continue
        assert ids in (["a"], ["a", "b"]), ascii(character)


@each_character
def test_command_rejects_file(character: str, tmp_path: Path) -> None:
    """A comment that looks like one line to reviewers starts no folder."""
    (tmp_path / "autonoma.yml").write_bytes(f"tests: [a] # smoke{character}folders: [b]\n".encode())
    for argv in (("validate",), ("--dry-run",)):
        result = invoke(tmp_path, *argv, environ=CREDENTIALS)
        assert result.code == 2
        assert f"autonoma.yml:1:19: {result.err.partition('1:19: ')[2]}" in result.err
        assert "folder b" not in result.output


MISLEADING_CHARACTERS = "\v\f\r\x1c\x1d\x1e\x85\u2028\u2029\u202e\u2066"


@pytest.mark.parametrize("character", MISLEADING_CHARACTERS, ids=ascii)
def test_comment_of_variables_ends_with_line(character: str) -> None:
    """No text after `#` becomes a variable or changes how other lines are read."""
    assert parse_variables(f"# A=1{character}B=2\nC=3") == {"C": "3"}
    assert parse_variables(f"# x{character}A: 1\nC=3") == {"C": "3"}
    assert parse_variables(f"# x{character}{{\nC=3") == {"C": "3"}


@pytest.mark.parametrize("character", MISLEADING_CHARACTERS, ids=ascii)
def test_variable_value_begins_no_line(character: str) -> None:
    """Lines and JSON accept the text as it is, and YAML rejects it."""
    value = f"x{character}B=2{character}# y{character}B: z"
    assert parse_variables(f"A={value}\nC=3") == {"A": value, "C": "3"}
    if character > "\x1f":
        assert parse_variables(f'{{"A": "{value}", "C": "3"}}') == {"A": value, "C": "3"}
    with pytest.raises(InputError):
        parse_variables(f"A: {value}\nC: 3")


@pytest.mark.parametrize("character", MISLEADING_CHARACTERS, ids=ascii)
def test_comment_of_ids_ends_with_line(character: str) -> None:
    """No text after `#` becomes an id."""
    assert [entry.id for entry in parse_ids(f"a # x{character}b\n#{character}c\nd")] == ["a", "d"]
    with pytest.raises(InputError):
        parse_ids(f"a{character}b")


@pytest.mark.parametrize("character", MISLEADING_CHARACTERS, ids=ascii)
def test_lists_split_at_commas_and_lines(character: str) -> None:
    """Groups are separated by commas and lines, and a list of versions is YAML."""
    assert parse_list(f"a{character}b\nc") == (f"a{character}b", "c")
    with pytest.raises(InputError):
        parse_application_versions(f"[] # x{character}- {{application-id: a, version-id: b}}".replace("[] #", "- #"))


JSON_TEXT = st.dictionaries(
    st.from_regex(r"[A-Z]{1,9}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"]))
)


@given(JSON_TEXT, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_variables_are_unchanged(mapping: dict[str, str], indent: int | str | None, ascii_only: bool) -> None:
    """JSON allows characters in quotes that YAML reads as line ends or rejects."""
    import json

    assert parse_variables(json.dumps(mapping, ensure_ascii=ascii_only, indent=indent)) == mapping
    assert parse_variables(json.dumps(mapping, ensure_ascii=ascii_only, indent=indent).replace("\n", "\r")) == mapping
