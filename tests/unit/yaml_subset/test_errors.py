"""Tests of causes and remedies of YAML syntax errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from autonoma_ci.yaml_subset.errors import explain_error, explain_forbidden_character

if TYPE_CHECKING:
    from autonoma_ci.errors import Diagnostic

CONFLICT = "unresolved merge conflict. Resolve it, and remove its marker lines."
TAB = "tab in the indentation. Indent with spaces."
SPACE = "which only looks like a space. Replace it by a space."
QUOTE = "quote without its closing quote. Close the quote, or remove it."
ESCAPE = r"unknown escape after a backslash. Use single quotes, or write \\ for a backslash."
BLOCK = "text behind '|' or '>'. Begin the text of several lines on the next line, or use quotes."
ALIAS = "which YAML takes for an alias or anchor. Put the value in quotes."
TAG = "begins a tag or a directive here. Put the value in quotes."
COLON = "second colon in a value without quotes. Put the value in quotes."
NO_SPACE = "no space after the colon. Write `key: value`."
INDENTED = "wrong indentation, or a colon in a value without quotes. Align the keys of an entry."
REFERENCE = '${…} without quotes inside { } or [ ]. Write "${NAME}".'
COMMA = "missing comma, or punctuation without quotes, inside { } or [ ]. Put texts in quotes."
NO_OPENING = "bracket without its opening bracket. Remove it, or put the whole value in quotes."
TEXT_BEHIND = "text behind a closing quote or bracket. Put the whole value in quotes."
NO_COLON = "line without a colon. Write `key: value`, or `- ` before an entry of a list."
HYPHEN = "'- ' behind a key. Put the value in quotes, or write each '- ' on a line of its own."
START = "wrong indentation. Begin the first key, and all others at the top, in column 1."
ITEM = "entry of a list where a key is expected. Indent all entries of a list alike."
ALIGN = "wrong indentation. Align the line with the lines that it belongs to."


def describe_open_bracket(bracket: str) -> str:
    return f"bracket '{bracket}' without its closing bracket. Close the bracket."


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
        (None, None, "the text can't be read"),
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
    assert diagnostic.message == (
        "invalid YAML: a control character that YAML does not allow. Remove it, and save the file as UTF-8."
    )
    assert (diagnostic.file, diagnostic.line, diagnostic.column) == ("m.yml", line, column)


@pytest.mark.parametrize("text", ["", "a: b\n", "\t\n\r ~\x85\xa0\ud7ff\ue000\ufffd\U00010000\U0010ffff"], ids=ascii)
def test_text_of_allowed_characters_is_not_marked(text: str) -> None:
    """Without such a character, the error has no position."""
    assert (explain_in_yaml_file(text).line, explain_in_yaml_file(text).column) == (0, 0)
