"""Tests of the parser of a strict subset of YAML."""

from __future__ import annotations

import json
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.config.id_lists import parse_ids
from autonoma_ci.config.parsers import parse_application_versions, parse_list, parse_variables
from autonoma_ci.errors import InputError
from autonoma_ci.models import MAX_VALUE_CHARS
from autonoma_ci.yaml_subset import parser
from autonoma_ci.yaml_subset.document import MAX_ERRORS
from autonoma_ci.yaml_subset.parser import MAX_YAML_DEPTH, MAX_YAML_NODES, parse_yaml
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.manifest_reader import collect_errors, read_manifest, read_single_test

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.yaml_subset.document import KeyPath, YamlValue

TAG = "a tag (`!` and a word) is not supported, because all values are strings. Put the value in quotes."
TAG_ON_KEY = "a tag on a key is not supported. Remove it."
ALIAS = "unknown alias (`*` and a word). Define its anchor in an earlier value, or put a string in quotes."
KEY = "a key must be a string. Put a value that begins with {, [ or ? in quotes."
DOCUMENT = "a second document starts here. Use one document, and remove the line ---."
MERGE = "`<<` needs a mapping. Use an alias of a mapping, or a list of such aliases."
WORD = "a word without a colon. Put a value with a comma in quotes, or write `key: value`."
NODES = "more than 100,000 entries after the expansion of aliases. Split the file."


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use libyaml, and the parser in Python that replaces it where libyaml is missing."""
    monkeypatch.setattr(parser, "_LOADER", getattr(yaml, request.param))


def parse_valid(text: str) -> YamlValue:
    document = parse_yaml(text, "m.yml")
    assert document.errors == []
    return document.tree


def read_errors(text: str) -> list[tuple[int, int, str]]:
    return [(error.line, error.column, error.message) for error in parse_yaml(text, "m.yml").errors]


@pytest.mark.usefixtures("each_loader")
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        ("# a comment\n", None),
        ("---\n...\n", None),
        ("~", None),
        ("text", "text"),
        ("''", ""),
        ("[]", []),
        ("{}", {}),
        ("- a\n- [b, c]\n- {d: e}", ["a", ["b", "c"], {"d": "e"}]),
        ("a:\n  b:\n    - c", {"a": {"b": ["c"]}}),
        ("%YAML 1.1\n---\na: b\n...\n", {"a": "b"}),
        ("\ufeffa: b", {"a": "b"}),
        ("[a, ]", ["a"]),
        ("? a\n: b", {"a": "b"}),
        ("{a: , b: c}", {"a": None, "b": "c"}),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
    ],
)
def test_text_becomes_tree(text: str, tree: YamlValue) -> None:
    """Mappings, lists and texts become the tree."""
    assert parse_valid(text) == tree


@pytest.mark.usefixtures("each_loader")
@pytest.mark.parametrize("text", ["1.10", "no", "007", "1e5", "0x1F", "2024-01-01", "12:30:45", ".inf", "=", "True"])
def test_scalar_stays_text(text: str) -> None:
    """No scalar becomes a number, a date or a boolean, and no key either."""
    assert parse_valid(f"{text}: [{text}]") == {text: [text]}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null_has_no_value(text: str) -> None:
    """The words of YAML for a missing value need quotes to be text."""
    assert parse_valid(f"a: {text}\nb: '{text}'\nc: \"{text}\"") == {"a": None, "b": text, "c": text}


@pytest.mark.parametrize("text", ["nULL", "none", "nil", "undefined"])
def test_other_words_are_text(text: str) -> None:
    """Words that only resemble null are text."""
    assert parse_valid(f"a: {text}") == {"a": text}


def test_null_key_is_text() -> None:
    """A key is always text."""
    assert parse_valid("null: a\n~: b") == {"null": "a", "~": "b"}


@pytest.mark.usefixtures("each_loader")
@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("a: !!str b", [(1, 4, TAG)]),
        ("a: !x b\nc: !!int 1", [(1, 4, TAG), (2, 4, TAG)]),
        ("- ! b", [(1, 3, TAG)]),
        ("- !!python/object/apply:os.system [x]", [(1, 3, TAG)]),
        ("!x a: b", [(1, 1, TAG_ON_KEY)]),
        ("a: *b", [(1, 4, ALIAS)]),
        ("a: &b [*b]", [(1, 8, ALIAS)]),
        ("a: *b\nb: &b c", [(1, 4, ALIAS)]),
        ("? [a]\n: b", [(1, 3, KEY)]),
        ("a: &b [c]\n*b : d", [(2, 1, KEY)]),
        ("*b : d", [(1, 1, KEY)]),
        ("a: {{ b }}", [(1, 5, KEY)]),
        ("a: b\n---\nc: d", [(2, 1, DOCUMENT)]),
        ("a: b\n...\n---\n", [(3, 1, DOCUMENT)]),
        ("<<: a", [(1, 1, MERGE)]),
        ("a: &a {b: c}\nd:\n  <<: [*a, e]", [(3, 3, MERGE)]),
        ("{a: b, c}", [(1, 8, WORD)]),
        ("? a", [(1, 3, WORD)]),
        ("a: b\na: c", [(2, 1, "duplicate key: 'a', first on line 1. Remove one.")]),
        ("{a: b, a: c,\na: d}", [
            (1, 8, "duplicate key: 'a', first on line 1. Remove one."),
            (2, 1, "duplicate key: 'a', first on line 1. Remove one."),
        ]),
    ],
)  # fmt: skip
def test_text_outside_subset_is_error(text: str, errors: list[tuple[int, int, str]]) -> None:
    """What the subset does not have is an error with its position and a remedy."""
    assert read_errors(text) == errors


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: !x b\nc: d", {"a": "b", "c": "d"}),
        ("a: b\na: c", {"a": "c"}),
        ("{a: b, c}", {"a": "b"}),
        ("a: &b c\nd: *e", None),
        ("a: [b", None),
        ("a: b\x1b", None),
        ("a: b\u2028", None),
        ("a: b\n---\n", None),
    ],
)
def test_tree_is_none_after_syntax_error(text: str, tree: YamlValue) -> None:
    """After an error of one part, the other parts are still checked."""
    document = parse_yaml(text, "m.yml")
    assert document.errors
    assert document.tree == tree


def test_word_in_message_is_short_and_safe() -> None:
    """A key in an error is text from outside."""
    [(_, _, message)] = read_errors('{"a\\e[31m\\nb": c, "a\\e[31m\\nb": d}')
    assert message.startswith("duplicate key: 'a\ufffd[31m b', first on line 1")
    [(_, _, message)] = read_errors(f"{'k' * 100}: c\n{'k' * 100}: d")
    assert message.startswith(f"duplicate key: '{'k' * 59}…', first on line 1")


def test_word_without_colon_hides_value() -> None:
    """The word can be a part of a value with a comma, so the message omits it."""
    [error] = parse_yaml("{PASSWORD: s3cret,value}", "m.yml").errors
    assert "s3cret" not in str(error)
    assert "value}" not in "".join([str(error), *error.excerpt])


@pytest.mark.usefixtures("each_loader")
def test_each_part_has_position() -> None:
    """Keys, entries and the document have a line and a column from 1."""
    document = parse_yaml("# first\na:\n  - b\n  - {c: d}\n\u00e9\u00e9: e", "m.yml")
    expected: dict[KeyPath, tuple[int, int]] = {
        (): (2, 1),
        ("a",): (2, 1),
        ("a", 0): (3, 5),
        ("a", 1): (4, 5),
        ("a", 1, "c"): (4, 6),
        ("\u00e9\u00e9",): (5, 1),
    }
    assert document.positions == expected


@pytest.mark.usefixtures("each_loader")
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: &x b\nc: *x", {"a": "b", "c": "b"}),
        ("a: &x [b]\nc: [*x, *x]", {"a": ["b"], "c": [["b"], ["b"]]}),
        ("a: &x b\n*x : c", {"a": "b", "b": "c"}),
        ("a: &x\nc: *x", {"a": None, "c": None}),
        ("a: &x b\nc: &x d\ne: *x", {"a": "b", "c": "d", "e": "d"}),
        ("a: &x {b: c}\nd: {<<: *x, e: f}", {"a": {"b": "c"}, "d": {"b": "c", "e": "f"}}),
        ("a: &x {b: c}\nd: {b: e, <<: *x}", {"a": {"b": "c"}, "d": {"b": "e"}}),
        ("<<: [{a: b}, {a: c, d: e}]", {"a": "b", "d": "e"}),
        ("<<: {a: b}", {"a": "b"}),
        ("<<: []\na: b", {"a": "b"}),
        ("'<<': a", {"<<": "a"}),
        ("- <<", ["<<"]),
    ],
)
def test_alias_and_merge_key_are_resolved(text: str, tree: YamlValue) -> None:
    """An alias repeats a value, and keys of the mapping itself win over merged ones."""
    assert parse_valid(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("{a: }", {"a": None}),
        ("a :\nb: c", {"a": None, "b": "c"}),
        ("{'a': , b: c}", {"a": None, "b": "c"}),
        ("{a: &x , b: c}", {"a": None, "b": "c"}),
        ("{a: null}", {"a": None}),
    ],
)
def test_missing_value_needs_colon(text: str, tree: YamlValue) -> None:
    """A key with a colon may have no value, unlike a word alone."""
    assert parse_valid(text) == tree


@pytest.mark.parametrize(("size", "is_valid"), [(MAX_VALUE_CHARS, True), (MAX_VALUE_CHARS + 1, False)])
def test_long_text_is_one_error(size: int, is_valid: bool) -> None:
    """A text up to the limit is valid, and a longer one is replaced by a valid one."""
    document = parse_yaml(f"a: {'b' * size}\nc: d", "m.yml")
    assert document.tree == {"a": "b" * size if is_valid else "x", "c": "d"}
    assert [error.message.partition(".")[0] for error in document.errors] == (
        [] if is_valid else ["a string is longer than 64 KiB"]
    )


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nested_text_counts_as_level(opening: str, closing: str) -> None:
    """A text within 19 lists or mappings is on the last level."""

    def build_nested_text(levels: int) -> str:
        return opening * levels + "b" + closing * levels

    assert read_errors(build_nested_text(MAX_YAML_DEPTH - 1)) == []
    position = len(opening) * MAX_YAML_DEPTH + 1
    assert read_errors(build_nested_text(MAX_YAML_DEPTH)) == [
        (1, position, "nested more than 20 levels deep. Use fewer levels.")
    ]


def test_repeated_alias_counts_each_time() -> None:
    """A small file with many aliases can't fill the memory."""
    text = "a: &a [" + "x," * 999 + "]\n" + "b: [" + "*a," * 100 + "]"
    [(line, column, message)] = read_errors(text)
    assert message == NODES
    # The mapping, both lists, the first 999 texts and then 1,000 for each alias.
    assert (line, column) == (2, 5 + 3 * ((MAX_YAML_NODES - 1002) // 1000))


def test_error_has_excerpt() -> None:
    """The line of an error is shown with a caret."""
    [error] = parse_yaml("tests:\n  - id: a\n    name: !x b\n", "m.yml").errors
    assert error.excerpt == ("   3 |     name: !x b", "     |           ^")
    assert error.file == "m.yml"


@pytest.mark.parametrize("text", ["A: !x s3cret-value", "A: s3cret-value: b", "A: s3cret-value\x1b", "A: s3\u2028c"])
def test_option_text_is_hidden(text: str) -> None:
    """The text of an option can be a secret, so no error shows a part of it."""
    errors = parse_yaml(text, "").errors
    assert errors
    for error in errors:
        assert error.file == ""
        assert "s3" not in "".join([str(error), *error.excerpt])


def test_each_misleading_character_is_reported() -> None:
    """A text with such a character is not parsed, so nothing is read in two ways."""
    errors = read_errors("a: b\u2028c: d\ne: [f\u202e")
    assert [error[:2] for error in errors] == [(1, 5), (2, 6)]
    assert all("in double quotes" in message for *_, message in errors)


def test_error_count_has_limit() -> None:
    """The list of errors ends with the number of errors."""
    document = parse_yaml("- !x a\n" * (MAX_ERRORS + 10), "m.yml")
    assert len(document.errors) == MAX_ERRORS + 1
    assert document.errors[-1].message == "too many problems: only the first 1,000 are listed."
    assert document.tree is None


@pytest.mark.usefixtures("each_loader")
@pytest.mark.parametrize("text", ["a: \0", "a: \x07b", "\ud800"], ids=ascii)
def test_forbidden_character_is_error(text: str) -> None:
    """A character that YAML does not allow has its position."""
    [(line, column, message)] = read_errors(text)
    assert message.startswith("invalid YAML: forbidden control character.")
    assert (line, column) == (1, 1 if text == "\ud800" else 4)


TREES = st.recursive(
    st.text("a1~ :,#&*!|'\"\\{}[]é\U0001f680", max_size=8),
    lambda trees: st.lists(trees, max_size=4) | st.dictionaries(st.text("abc<= ", max_size=4), trees, max_size=4),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=25)
def test_json_has_same_tree(tree: YamlValue) -> None:
    """JSON is read as it is, with any text and any key."""
    assert parse_yaml(json.dumps(tree, ensure_ascii=False), "").tree == tree


@given(st.text("-{}[]:, \nab&*'\"!|>?#<%~@`\t\\", max_size=40))
@settings(max_examples=50)
def test_any_text_has_tree_or_errors(text: str) -> None:
    """Any text gives a tree or errors whose positions are in the text."""
    document = parse_yaml(text, "m.yml")
    lines = text.split("\n")
    for error in document.errors:
        assert 1 <= error.line <= len(lines) + 1
        assert error.column >= 1
        assert error.message.isprintable()
    with suppress(yaml.YAMLError, ValueError, RecursionError):
        list(yaml.parse(text, Loader=yaml.CSafeLoader))
        assert not any(error.message.startswith("invalid YAML") for error in document.errors)


# Misleading characters


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
    assert problem.endswith(f'. Remove it, or write "{ESCAPES[character]}" in double quotes.')
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
    assert parse_variables(json.dumps(mapping, ensure_ascii=ascii_only, indent=indent)) == mapping
    assert parse_variables(json.dumps(mapping, ensure_ascii=ascii_only, indent=indent).replace("\n", "\r")) == mapping
