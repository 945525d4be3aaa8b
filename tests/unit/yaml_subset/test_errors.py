"""Tests of causes and remedies of YAML errors, and of their excerpts, which hide values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.parsers import parse_variables
from autonoma_ci.errors import InputError
from autonoma_ci.yaml_subset.errors import build_excerpt, explain_error, explain_forbidden_character
from autonoma_ci.yaml_subset.inline import parse_option_yaml, parse_yaml_mapping
from autonoma_ci.yaml_subset.parser import parse_yaml
from tests.support.invoke_command import invoke
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.errors import Diagnostic

CONFLICT = "unresolved merge conflict. Resolve it, and remove its marker lines."
TAB = "tab in the indentation. Indent with spaces."
SPACE = "which only looks like a space. Replace it with a space."
QUOTE = "missing closing quote. Close the quote, or remove it."
ESCAPE = r"unknown escape after a backslash. Use single quotes, or write \\ for a backslash."
BLOCK = "text after '|' or '>'. Begin the string on the next line, or use quotes."
ALIAS = "which marks an alias or anchor. Put the value in quotes."
TAG = "begins a tag or a directive here. Put the value in quotes."
COLON = "second colon in a value without quotes. Put the value in quotes."
NO_SPACE = "no space after the colon. Write `key: value`."
INDENTED = "wrong indentation, or a colon in a value without quotes. Align the keys of an entry."
REFERENCE = '${…} without quotes inside { } or [ ]. Write "${NAME}".'
COMMA = "missing comma, or punctuation without quotes, inside { } or [ ]. Put strings in quotes."
NO_OPENING = "missing opening bracket. Remove this bracket, or put the whole value in quotes."
TEXT_BEHIND = "text after a closing quote or bracket. Put the whole value in quotes."
NO_COLON = "line without a colon. Write `key: value`, or `- ` before an entry of a list."
HYPHEN = "'- ' after a key. Put the value in quotes, or write each '- ' on a line of its own."
START = "wrong indentation. Begin all keys of the top level in column 1."
ITEM = "entry of a list where a key is expected. Indent all entries of a list equally."
ALIGN = "wrong indentation. Align this line with the other lines of its level."


def describe_open_bracket(bracket: str) -> str:
    return f"missing closing bracket for '{bracket}'. Close the bracket."


# Both parsers of PyYAML find these errors at the same place: libyaml and the one in Python.
COMMON_ERRORS = [
    ("<<<<<<< HEAD\na: b\n=======\na: c\n>>>>>>> x\n", 1, 1, CONFLICT),
    ("a: b\n=======\r\nc: d\n", 2, 1, CONFLICT),
    ("a: b\n>>>>>>> x\nc: d\n", 2, 1, CONFLICT),
    ("a: [\n<<<<<<< HEAD\n", 2, 1, CONFLICT),
    ("a: b\n<<<<<<< HEAD", 2, 1, CONFLICT),
    ("a:\n\tb: c\n", 2, 1, TAB),
    ("a:\n  - b\n \t- c\n", 3, 2, TAB),
    ("a:\n\t\tb: c\n", 2, 1, TAB),
    ("a:\n\u00a0b: c: d\n", 2, 1, f"U+00A0 in the indentation, {SPACE}"),
    ("a:\n \u3000b: c: d\n", 2, 2, f"U+3000 in the indentation, {SPACE}"),
    ("a: 'b\n", 1, 4, QUOTE),
    ('a: "b\n\n\nc: d\n', 1, 4, QUOTE),
    ("key: [a, 'b]\nx: y\n", 1, 10, QUOTE),
    ("a: @b\n", 1, 4, "value begins with '@', which is reserved. Put the value in quotes."),
    ("a: `b\n", 1, 4, "value begins with '`', which is reserved. Put the value in quotes."),
    ("a: [%b]\n", 1, 5, "value begins with '%', which begins a directive. Put the value in quotes."),
    ("a: & b\n", 1, 4, f"value begins with '&', {ALIAS}"),
    ("a: *\n", 1, 4, f"value begins with '*', {ALIAS}"),
    ("a: !<b\n", 1, 4, f"'!' {TAG}"),
    ("%\n---\n", 1, 1, f"'%' {TAG}"),
    ("%YAML 1.1\n%YAML 1.1\n---\na: b\n", 2, 1, f"'%' {TAG}"),
    ("a: | text\n  b\n", 1, 6, BLOCK),
    ("a: >-x\n", 1, 6, BLOCK),
    ("a:b\nc: d\n", 1, 2, NO_SPACE),
    ("- a:b\n  c: d\n", 1, 4, NO_SPACE),
    ("name:x\n\nid: y: z\n", 1, 5, NO_SPACE),
    ("a: b: c\n", 1, 5, COLON),
    ("a: http://b: c\n", 1, 12, COLON),
    ("a: 'x': b\n", 1, 7, COLON),
    ("a: b\n c: d\n", 2, 3, INDENTED),
    ("a:\n- b\n  c: d\n", 3, 4, INDENTED),
    ("a: [b\n", 1, 4, describe_open_bracket("[")),
    ("a: {b: c]\n", 1, 4, describe_open_bracket("{")),
    ("a: [\n  b,\n  c\nd: e\n", 1, 4, describe_open_bracket("[")),
    ("a: {b: ${C}}\n", 1, 9, REFERENCE),
    ("a: {\n b: ${C},\n c: ${D}}\n", 2, 6, REFERENCE),
    ("a: {b c: d: e}\n", 1, 11, COMMA),
    ("a: [a, , b]\n", 1, 8, COMMA),
    ('a: [b, "c" d, "${E}"]\n', 1, 12, COMMA),
    ('a: [\n "c" d,\n "${E}"]\n', 1, 4, describe_open_bracket("[")),
    ("a: [b]]\n", 1, 7, NO_OPENING),
    ("a: {b: c}}\n", 1, 10, NO_OPENING),
    ("}\n", 1, 1, NO_OPENING),
    ('a: "b" c\n', 1, 8, TEXT_BEHIND),
    ("a: 'b'c\n", 1, 7, TEXT_BEHIND),
    ("a: [b] c\n", 1, 8, TEXT_BEHIND),
    ("a: {b: c} d\n", 1, 11, TEXT_BEHIND),
    ("a: b\nc\nd: e\n", 2, 1, NO_COLON),
    ("a: b\nc:d\n", 2, 1, NO_COLON),
    (" a: b\nc: d\n", 2, 1, START),
    ("{a: b}\nc: d\n", 2, 1, START),
]
# The parser in Python describes these errors in other words.
LIBYAML_ERRORS = [
    ('a: "b\\q"\n', 1, 6, ESCAPE),
    ('a: "\\xzz"\n', 1, 7, ESCAPE),
    ('a: "\\u00e"\n', 1, 7, ESCAPE),
    ('a: "\\ud83d"\n', 1, 7, ESCAPE),
    ("a: - b\n", 1, 4, HYPHEN),
    ("- a: -\n  b\n", 1, 6, HYPHEN),
    ("a:\n  b: c\n  - d\n", 3, 3, ITEM),
    ("a:\n  b: c\n  -\n", 3, 3, ITEM),
    ("a:\n  - b\n c: d\n", 3, 2, ALIGN),
    ("- a\nb: c\n", 2, 1, ALIGN),
    ("a:\n    b: c\n  d: e\n", 3, 3, ALIGN),
    ("%YAML 9.9\n---\na: b\n", 1, 1, "found incompatible YAML document. Check this line."),
]


def catch_error(text: str, loader: Any) -> yaml.MarkedYAMLError:
    with pytest.raises(yaml.MarkedYAMLError) as error_info:
        list(yaml.parse(text, Loader=loader))
    return error_info.value


def make_mark(line: int, column: int) -> yaml.Mark:
    return yaml.Mark("m.yml", 0, line, column, None, 0)


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
@pytest.mark.parametrize(("text", "line", "column", "message"), COMMON_ERRORS)
def test_mistake_has_cause_and_remedy(text: str, line: int, column: int, message: str, loader: Any) -> None:
    """Each syntax error has its cause, its remedy and its position."""
    diagnostic = explain_error(text, catch_error(text, loader), "m.yml")
    assert (diagnostic.message, diagnostic.line, diagnostic.column) == (f"invalid YAML: {message}", line, column)


@pytest.mark.parametrize(("text", "line", "column", "message"), LIBYAML_ERRORS)
def test_error_of_libyaml_is_explained(text: str, line: int, column: int, message: str) -> None:
    """The words of libyaml lead to the cause and to the remedy."""
    diagnostic = explain_error(text, catch_error(text, yaml.CSafeLoader), "m.yml")
    assert (diagnostic.message, diagnostic.line, diagnostic.column) == (f"invalid YAML: {message}", line, column)


@pytest.mark.parametrize(("text", "line", "column", "message"), [*COMMON_ERRORS, *LIBYAML_ERRORS])
def test_error_points_to_its_excerpt(text: str, line: int, column: int, message: str) -> None:
    """The excerpt is the line of the position."""
    diagnostic = explain_error(text, catch_error(text, yaml.CSafeLoader), "m.yml")
    assert diagnostic.file == "m.yml"
    excerpt_line, caret = diagnostic.excerpt
    assert excerpt_line.startswith(f"{line:>4} | ")
    assert caret.index("^") == 7 + column - 1


def test_excerpt_of_option_is_hidden() -> None:
    """The text of an option can be a secret, so neither message nor excerpt has a part of it."""
    text = "A: x\nPASSWORD: s3cret-value: QXZ\n"
    diagnostic = explain_error(text, catch_error(text, yaml.CSafeLoader), "")
    assert (diagnostic.file, diagnostic.line) == ("", 2)
    for hidden_text in ("s3cret-value", "QXZ", "PASSWORD"):
        assert hidden_text not in diagnostic.message + "".join(diagnostic.excerpt)


@pytest.mark.parametrize("text", [text for text, *_ in COMMON_ERRORS])
def test_remedy_is_safe_for_any_file(text: str) -> None:
    """The message has at most one character of the text, so it reveals no value."""
    text_with_names = text.replace("b", "QXZ").replace("c", "XQZ")
    try:
        list(yaml.parse(text_with_names, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        diagnostic = explain_error(text_with_names, error, "m.yml")
    else:
        pytest.fail("the text is valid")
    assert not {"QXZ", "XQZ"} & set(diagnostic.message.split())


@pytest.mark.parametrize(
    ("context", "problem", "cause"),
    [
        (None, "a strange problem", "a strange problem"),
        ("a strange context", "a strange problem", "a strange problem"),
        ("a strange context", None, "a strange context"),
        (None, None, "unreadable text"),
        (None, "a\x1b[31m\nproblem\u202e", "a\ufffd[31m problem"),
        (None, "x" * 10_000, "x" * 199 + "…"),
    ],
    ids=["problem", "both", "context", "neither", "controls", "long"],
)
def test_unknown_error_has_words_of_parser(context: str | None, problem: str | None, cause: str) -> None:
    """An error that is not known is short and has no control characters."""
    error = yaml.MarkedYAMLError(context, None, problem, make_mark(1, 2))
    diagnostic = explain_error("a: b\nc: d\n", error, "m.yml")
    assert (diagnostic.message, diagnostic.line, diagnostic.column) == (
        f"invalid YAML: {cause}. Check this line.",
        2,
        3,
    )


@pytest.mark.parametrize(
    ("context_mark", "problem_mark", "position"),
    [
        (None, None, (1, 1)),
        (make_mark(1, 3), None, (2, 4)),
        (make_mark(0, 0), make_mark(1, 3), (2, 4)),
    ],
)
def test_position_is_of_problem(
    context_mark: yaml.Mark | None, problem_mark: yaml.Mark | None, position: tuple[int, int]
) -> None:
    """The position is that of the problem, or else of its context or of the beginning."""
    diagnostic = explain_error(
        "a: b\nc: d\n", yaml.MarkedYAMLError(None, context_mark, "strange", problem_mark), "m.yml"
    )
    assert (diagnostic.line, diagnostic.column) == position


def test_mark_behind_text_has_no_excerpt() -> None:
    """An error behind the last line has a position and no excerpt."""
    diagnostic = explain_error("a: b", yaml.MarkedYAMLError(None, None, "strange", make_mark(7, 9)), "m.yml")
    assert (diagnostic.line, diagnostic.column, diagnostic.excerpt) == (8, 10, ())


def explain_in_yaml_file(text: str) -> Diagnostic:
    return explain_forbidden_character(text, "m.yml")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("\0", 1, 1),
        ("a: b\nc: \x07d\x08", 2, 4),
        ("a: \x7f", 1, 4),
        ("a\r\nb\x1b", 2, 2),
        ("\ud800", 1, 1),
        ("a: \ufffe", 1, 4),
        ("\U0001f680: \uffff", 1, 4),
        ("\x85\xa0\u2028\ufeff", 1, 4),
    ],
    ids=ascii,
)
def test_forbidden_character_has_position(text: str, line: int, column: int) -> None:
    """The first character that YAML does not allow has a line and a column from 1."""
    diagnostic = explain_in_yaml_file(text)
    assert diagnostic.message == ("invalid YAML: forbidden control character. Remove it, and save the file as UTF-8.")
    assert (diagnostic.file, diagnostic.line, diagnostic.column) == ("m.yml", line, column)


@pytest.mark.parametrize("text", ["", "a: b\n", "\t\n\r ~\x85\xa0\ud7ff\ue000\ufffd\U00010000\U0010ffff"], ids=ascii)
def test_text_of_allowed_characters_is_not_marked(text: str) -> None:
    """Without such a character, the error has no position."""
    assert (explain_in_yaml_file(text).line, explain_in_yaml_file(text).column) == (0, 0)


# Excerpts


# The letters Q, X and Z are only in values of variables, or in texts that were meant as values.
HIDDEN_TEXTS = (
    "tests: [{id: abc, vars: {A: @QXZQXZ}}]",
    "tests: [{id: abc, env {A: QXZ: QXZ}]",
    "tests: [{id: abc, with: {A: ${A:-QXZQXZ}}}]",
    "tests:\n  - {id: abc, Variables: {A: & QXZQXZ}}",
    "tests:\n  - {id: abc, variables: {id: QXZ: QXZ}}",
    "tests:\n  - id: abc\n    variables:\n      name: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n      groups: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n    - name: QXZ: QXZ",
    "tests:\n  - id: abc\n    env:\n      id: QXZ: QXZ",
    'tests:\n  - id: abc\n    "\\u0076ariables":\n      id: QXZ: QXZ',
    "tests:\n  - id: abc\n    ? variables\n    : name: QXZ: QXZ",
    "tests:\n  - id: abc\n    <<:\n      name: QXZ: QXZ",
    'tests:\n  - id: abc\n    variables: {\n id: "QXZ\n QXZ",\nname: % QXZQXZ\n}',
    "tests:\n  - id: abc\n    vars: {\nname: @QXZQXZ\n}",
    "tests:\n  - id: abc\n    variables: {A: x,\ntests: @QXZQXZ }",
    "tests:\n  - id: abc\n    variables:\n      A: |\n        x\nQXZQXZ\nname: QXZ: QXZ",
    "tests:\n  - id: abc\n    name: {variables: {A: @QXZ}}",
    "tests:\n  - id: abc variables: A=QXZ: x",
    "tests:  - env: 'QXZQXZ'",
    "defaults:\n  variables:\n    id: QXZ: QXZ",
    "defaults:\n  with:\n    name: >-\n      id: QXZ\nQXZQXZ\n",
    "variables:\n- id: QXZ: QXZ",
    "name: QXZ: QXZ",
    "x-all:\n  name: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n      A: QXZQXZ\n      A: QXZQXZ",
    "tests:\n  - id: abc\n    variables:\n      A: !QXZ QXZQXZ",
    "tests:\n  - id: abc\n    variables:\n      A: *QXZ",
    'tests:\n  - id: abc\n    variables: {A: "QXZ\u202eQXZ"}',
    "tests:\n  - id: abc\n    variables:\n\tA: QXZQXZ",
    "tests:\n  - id: abc\n    matrix:\n      A:\n      - QXZ: QXZ\n     - QXZ",
    # Text that is indented less than `variables`, although it was meant as a part of it.
    "tests:\n  - abc\n  - id: abc\n    variables:\n- tests: @QXZ\n    - QXZ",
    "tests:\n  - abc\n  - id: abc\n    variables:\n   - name: QXZQXZ\n    - QXZ",
    "tests:\n  - abc\n  - id: abc\n    variables:\n      A:\n      - x\n- QXZQXZ\n    groups: [smoke]",
    "tests:\n  - abc\n  - id: abc\n    variables:\n  name: QXZQXZ\n      B: x",
    "tests:\n  - abc\n  - id: abc\n    variables:\n      A: x\n  id: QXZQXZ\n    groups: [smoke]",
    # Text that follows a comma or has no colon.
    "tests:\n  - {id: abc, variables: {A: QXZ,XQZ}}",
    "tests:\n  - {id: abc, variables: {QXZ=QXZ}}",
    "tests:\n  - id: abc\n    variables:\n      ? QXZ",
    # Text below a key that allows no such entry, or after an unknown key.
    "tests:\n  - {id: abc, zebra: [QXZ}",
    "tests: x\n  - id: QXZ: QXZ",
    "tests: a]\nversion: QXZ: QXZ",
    "defaults:\n  name: QXZ: QXZ",
    "  defaults:\n    variables:\n      A: b\n  version: QXZ: QXZ",
)
SHOWN_TEXTS = (
    ("tests:\n  - id: abc\n    name: Checkout: pay", "   3 |     name: Checkout: pay"),
    ("tests:\n- id: abc\n  name: Checkout: pay", "   3 |   name: Checkout: pay"),
    ("# 'a {\ntests:\n# [\n  - id: abc\n    name: It's 5: now", "   5 |     name: It's 5: now"),
    ("tests:\n  - id: abc\n    variables: {A: b}\n  - id: d\n    name: a: b", "   5 |     name: a: b"),
    ("tests: [a, b", "   1 | tests: [a, b"),
    ("tests:\n  - a\nfolders\ntags: []", "   3 | folders"),
    ("tests:\n  - {id: abc, groups: [smoke}", "   2 |   - {id: abc, groups: [smoke}"),
    ("defaults:\n  application_version_id: a: b", "   2 |   application_version_id: a: b"),
    ("tests:\r\n  - id: a\r\n   name: b\r\n", "   3 |    name: b"),
    ("tests:\n  - id: a\n    name: \U0001f600\u7d50: b", "   3 |     name: \U0001f600\u7d50: b"),
)


@pytest.mark.parametrize("text", HIDDEN_TEXTS)
def test_excerpt_hides_values(text: str) -> None:
    """An excerpt shows no character of a variable's value."""
    errors = parse_yaml(text, "m.yml").errors
    assert errors
    for problem in errors:
        assert problem.excerpt
        assert not set("QXZ") & set("".join(problem.excerpt))
        if "a word without a colon" in problem.message:
            assert not set("QXZ") & set(problem.message)


@pytest.mark.parametrize("text", HIDDEN_TEXTS)
def test_excerpt_of_option_hides_all_text(text: str) -> None:
    """An option such as `variables` can be a secret, so not even its length is shown."""
    for errors in (parse_yaml_mapping(text)[1], parse_option_yaml(text).errors):
        for problem in errors:
            assert not any(character.isalnum() for character in "".join(problem.excerpt).partition("|")[2])
            assert all(len(line) < 40 for line in problem.excerpt)


@pytest.mark.parametrize(("text", "line"), SHOWN_TEXTS)
def test_excerpt_shows_public_text(text: str, line: str) -> None:
    """Text that reports show is also visible in excerpts."""
    [problem] = parse_yaml(text, "m.yml").errors
    assert problem.excerpt[0] == line


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("version: a: b", ":", ("   1 | version: a: b", "     |           ^")),
        ("version:\ta: b", ":", ("   1 | version:→a: b", "     |           ^")),
        ("version: \u2705\ufe0f: b", ":", ("   1 | version: \u2705\ufe0f: b", "     |            ^")),
        ("version: \u0e01\u0e31: b", ":", ("   1 | version: \u0e01\u0e31: b", "     |           ^")),
        ("version: e\u0301\u7d50: b", ":", ("   1 | version: e\u0301\u7d50: b", "     |             ^")),
        (
            "version: \x1b31m\u202e\u200b!",
            "!",
            ("   1 | version: \ufffd31m\ufffd\ufffd!", "     |                ^"),
        ),
        ("version: '" + "x" * 100 + ": b", ":", ("   1 | …" + "x" * 35 + ": b", "     | " + " " * 36 + "^")),
    ],
)
def test_caret_points_at_its_character(text: str, character: str, expected: tuple[str, str]) -> None:
    """Wide, combining and control characters, tabs and long lines have the right column."""
    assert build_excerpt([text], 0, text.rindex(character), is_secret=False) == expected


@given(st.lists(st.text("tests:idname{}[]-'\" \t\x1b\u7d50\u0301#|", max_size=200), max_size=4), st.data())
def test_any_excerpt_fits_terminal(lines: list[str], data: st.DataObject) -> None:
    """An excerpt has two short lines without control characters."""
    line = data.draw(st.integers(-1, 4))
    column = data.draw(st.integers(-1, 220))
    excerpt = build_excerpt(lines, line, column, is_secret=data.draw(st.booleans()))
    assert bool(excerpt) == (0 <= line < len(lines))
    if excerpt:
        assert len(excerpt) == 2
        assert all(len(excerpt_line) <= 7 + 2 + 2 * 70 for excerpt_line in excerpt)
        assert not any(character in "\t\x1b\r\n" for character in "".join(excerpt))


@pytest.mark.parametrize("piece", ["x", "\u0301", "\u7d50", "[", "a: b ", "'", " ", "- ", "id: ", "\\", '"\\'])
def test_hostile_lines_take_linear_time(piece: str) -> None:
    """An excerpt of a very long line takes bounded time."""
    lines = ["tests:", f"  - id: {piece * 200_000}", f"    name: {piece * 200_000}: x"]
    seconds = measure_processor_seconds(lambda: build_excerpt(lines, 2, len(lines[2]) - 3, is_secret=False), 10.0)
    assert seconds < 10.0


@pytest.mark.parametrize("lines", ["  y\n" * 1_000_000, "  " + "y [" * 1_000_000 + "\n"], ids=["many", "long"])
def test_excerpts_below_hostile_lines_are_fast(lines: str) -> None:
    """Each excerpt reads the lines before it."""
    text = f"x-a:\n{lines}tests:\n" + "  - !a b\n" * 10
    assert measure_processor_seconds(lambda: parse_yaml(text, "m.yml"), 10.0) < 10.0


def test_excerpts_of_one_line_take_bounded_time() -> None:
    """Many errors in one very long line take bounded time."""
    text = "tests:\n" + " a\u2028" * 800_000
    assert measure_processor_seconds(lambda: parse_yaml(text, "m.yml"), 2.0) < 2.0


def test_excerpts_stop_at_ten() -> None:
    """Only the first ten errors of a file have an excerpt."""
    errors = parse_yaml("tests: [" + "!a b, " * 500 + "]", "m.yml").errors
    assert sum(bool(problem.excerpt) for problem in errors) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD\ntests: [a]\n=======\ntests: [b]\n>>>>>>> x\n", "1:1: invalid YAML: unresolved merge conflict."),
        ("tests:\n<<<<<<< HEAD\n  - a\n=======\n  - b\n>>>>>>> x\n", "2:1: invalid YAML: unresolved merge conflict."),
        ("tests: [a]]\n", "1:11: invalid YAML: missing opening bracket. Remove this bracket"),
        ("tests:\n- test: a\n  id: b\n", "2:3: unknown key: 'test'. Did you mean 'id'?"),
        ("folders:\n- Folder: a\n  id: b\n", "2:3: unknown key: 'Folder'. Did you mean 'id'?"),
        ("tests:\n- id: a\n  name: - b\n", "3:9: invalid YAML: '- ' after a key. Put the value in quotes"),
        (" tests:\n  - a\nfolders: []\n", "3:1: invalid YAML: wrong indentation. Begin all keys"),
        ("tests:\n- id: a\n  name: {{ b }}\n", "3:10: a key must be a string. Put a value that begins with {"),
        ("tests:\n- id: a\n  groups: smoke, nightly\n", "3:3: 'groups' must be a list. Write several values as [A, B]"),
        ("tests:\n- id: a\n  groups: smoke nightly\n", "3:3: 'groups' must be a list. Write several values as [A, B]"),
        ("tests:\n- id: a\n  groups:\n    -smoke\n", "3:3: 'groups' must be a list. Write a space after each '-'."),
        ("tests:\n- id: a\n  matrix: {A: 'b, c'}\n", "3:12: 'A' must be a list. Write several values as [A, B]"),
    ],
)
def test_mistake_has_its_suggestion(text: str, message: str) -> None:
    """The message of each common mistake has a remedy."""
    [error] = collect_errors(text)
    assert error.startswith(message)


@pytest.mark.parametrize(
    ("text", "expected_line"),
    [
        ("<<<<<<< HEAD\ntests: [a]\n=======\ntests: [b]\n>>>>>>> x\n", "   1 | <<<<<<< ····"),
        ("tests: [a]\n>>>>>>> s3cret\n", "   2 | >>>>>>> ······"),
        ("tests: [a]\n---\ntests: [b]\n", "   2 | ---"),
        ("tests: [a]\n--- # s3cret\ntests: [b]\n", "   2 | --- · ······"),
        ("variables:\n  A: |\n    <<<<<<< s3cret\n <<<<<<<\nx\n", ""),
    ],
)
def test_markers_are_shown(text: str, expected_line: str) -> None:
    """Merge conflict and document markers hold no value, so excerpts show them."""
    [error] = parse_yaml(text, "m.yml").errors
    assert not expected_line or error.excerpt[0] == expected_line
    assert "s3cret" not in "".join(error.excerpt)


def test_single_text_becomes_list() -> None:
    """A text in place of a list is a list with one entry."""
    [test] = read_manifest("tests:\n- {id: a, groups: smoke, matrix: {A: -1, B: '${NOPE:-b c}'}}").tests
    assert test.groups == ["smoke"]
    assert test.matrix == {"A": ["-1"], "B": ["b c"]}


def test_validate_prints_line_and_caret(tmp_path: Path) -> None:
    """The command validate prints the excerpt below the error."""
    (tmp_path / "autonoma.yml").write_text("tests:\n  - id: abc\n    name: Checkout: pay\n", encoding="utf-8")
    result = invoke(tmp_path, "validate")
    assert result.code == 2
    assert result.err.splitlines()[1:] == ["   3 |     name: Checkout: pay", "     |                   ^"]


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("system", ["GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS"])
def test_annotation_has_path_from_root(command: str, system: str, tmp_path: Path) -> None:
    """GitHub expects paths from the repository root, also with a working-directory."""
    (tmp_path / "e2e, a").mkdir()
    (tmp_path / "e2e, a/autonoma.yml").write_text("tests:\n  - nmae: a\n", encoding="utf-8")
    environ = {system: "true", "GITHUB_WORKSPACE": str(tmp_path)}
    result = invoke(tmp_path / "e2e, a", command, environ=environ)
    assert result.code == 2
    assert "::error file=e2e%2C a/autonoma.yml,line=2,col=5" in result.output
    assert "::autonoma.yml:2:5: unknown key: 'nmae'" in result.output, "the log names it as the user did"
    for root in (tmp_path / "e2e, a", tmp_path / "other", ""):
        result = invoke(tmp_path / "e2e, a", command, environ={**environ, "GITHUB_WORKSPACE": str(root)})
        assert "::error file=autonoma.yml,line=2,col=5" in result.output


@pytest.mark.parametrize(
    ("path", "shown_path"),
    [
        ("{root}/other.yml", "other.yml"),
        ("../other.yml", "other.yml"),
        ("sub/../../other.yml", "other.yml"),
        ("{root}/e2e/autonoma.yml", "e2e/autonoma.yml"),
        ("../../outside.yml", "../../outside.yml"),
        ("{root}/../outside.yml", "{root}/../outside.yml"),
    ],
)
def test_annotation_path_outside_step_folder(path: str, shown_path: str, tmp_path: Path) -> None:
    """A file outside the working directory has its path from the root if possible."""
    root = tmp_path / "root"
    (root / "e2e/sub").mkdir(parents=True)
    for file in ("other.yml", "e2e/autonoma.yml", "../outside.yml"):
        (root / file).write_text("tests:\n  - nmae: a\n", encoding="utf-8")
    given_path = path.format(root=root)
    result = invoke(
        root / "e2e", "validate", given_path, environ={"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(root)}
    )
    assert f"::error file={shown_path.format(root=root)},line=2,col=5::{given_path}:2:5: unknown key" in result.err


def test_option_error_has_caret() -> None:
    """An error in the option variables has an excerpt."""
    with pytest.raises(InputError) as error_info:
        parse_variables("A: QXZ\nB: 'QXZ")
    [problem] = error_info.value.diagnostics
    assert problem.message.startswith("line 2: invalid YAML: missing closing quote.")
    assert problem.excerpt == ("   2 | ···'···", "     |    ^")
