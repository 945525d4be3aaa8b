"""Turn an error of the YAML parser into a message with cause and fix.

Source: the errors of libyaml and PyYAML, and YAML 1.1 (https://yaml.org/spec/1.1/).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.startup import lazy_pattern
from autonoma_ci.yaml_subset.excerpt import build_excerpt

if TYPE_CHECKING:
    import yaml

_KEY_RE = re.compile(r"\s*(?:- +)*[A-Za-z_][\w.-]*:(?=\s|$)")
_MISSING_SPACE_RE = re.compile(r"\s*(?:- +)*[A-Za-z_][\w-]*:(?=[^\s/:])")
# Source: git-merge(1), "How conflicts are presented".
_CONFLICT_MARKER_RE = re.compile("(?:<<<<<<<|=======|>>>>>>>)(?: |\r?$)")
# Source: YAML 1.1, section 4.1.1.
_FORBIDDEN_CHARACTER_RE = lazy_pattern(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_QUOTE_VALUE = "Put the value in quotes"
# Characters that can not begin a text without quotes, with the reason.
_INDICATORS = {"@": "is reserved", "`": "is reserved", "%": "begins a directive"}


class _Position(NamedTuple):
    """A position in the text."""

    line: int  # from 0
    column: int  # from 0


class _Fault(NamedTuple):
    """The explanation of a syntax error."""

    cause: str
    remedy: str
    position: _Position


def explain_forbidden_character(text: str, file: str) -> Diagnostic:
    """Return the error for the first character that YAML does not allow.

    Args:
        text: The whole YAML text.
        file: As in `explain_error`.
    """
    match = _FORBIDDEN_CHARACTER_RE.search(text)
    index = match.start() if match else 0
    position = (text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)) if match else (0, 0)
    cause = "a control character that YAML does not allow. Remove it, and save the file as UTF-8"
    return Diagnostic(f"invalid YAML: {cause}.", file, *position)


def explain_error(text: str, error: yaml.MarkedYAMLError, file: str) -> Diagnostic:
    """Return the explanation of a syntax error.

    Args:
        text: The whole YAML text.
        error: The parser's error.
        file: The file's name as messages show it. It is empty for the text of an option, which is never shown.
    """
    lines = text.split("\n")
    fault = _find_fault(lines, error)
    line, column = fault.position
    excerpt = build_excerpt(lines, line, column, is_secret=not file)
    return Diagnostic(f"invalid YAML: {fault.cause}. {fault.remedy}.", file, line + 1, column + 1, excerpt)


def _find_fault(lines: list[str], error: yaml.MarkedYAMLError) -> _Fault:
    """Return the most probable cause of an error.

    The parser reports the position of a problem. It also reports the context, such as "while parsing a flow mapping",
    and the position at which the context begins.
    """
    parser_mark = error.problem_mark or error.context_mark
    position = _Position(parser_mark.line, parser_mark.column) if parser_mark else _Position(0, 0)
    context_position = _Position(error.context_mark.line, error.context_mark.column) if error.context_mark else position
    message, context_text = error.problem or "", error.context or ""
    fault = (
        _find_merge_conflict(lines, position)
        or _find_bad_indentation(lines, position, context_position)
        or _find_quote_fault(message, context_text, position, context_position)
        or _find_reserved_character(lines, message, context_text, position, context_position)
        or _find_colon_fault(lines, message, position)
        or _find_bracket_fault(lines, context_text, position, context_position)
        or _find_structure_fault(lines, message, position, context_position)
    )
    return fault or _Fault(
        sanitize_line(message or context_text or "the text can't be read", 200), "Check this line", position
    )


def _find_merge_conflict(lines: list[str], position: _Position) -> _Fault | None:
    # The parser fails on the first marker, or on a line soon after it.
    for line in range(min(position.line, len(lines) - 1) + 1):
        if _CONFLICT_MARKER_RE.match(lines[line]):
            return _Fault("unresolved merge conflict", "Resolve it, and remove its marker lines", _Position(line, 0))
    return None


def _find_bad_indentation(lines: list[str], position: _Position, context_position: _Position) -> _Fault | None:
    for line in dict.fromkeys((position.line, context_position.line)):
        text = _get_line(lines, line)
        indentation = text[: len(text) - len(text.lstrip())]
        if "\t" in indentation:
            return _Fault("tab in the indentation", "Indent with spaces", _Position(line, indentation.index("\t")))
        if match := re.search(r"[^ \t\r]", indentation):
            cause = f"U+{ord(match[0]):04X} in the indentation, which only looks like a space"
            return _Fault(cause, "Replace it by a space", _Position(line, match.start()))
    return None


def _find_quote_fault(
    message: str, context_text: str, position: _Position, context_position: _Position
) -> _Fault | None:
    if "quoted scalar" not in context_text:
        return None
    # libyaml writes `hexdecimal`. Source: yaml/libyaml, src/scanner.c.
    if re.search("escape|hexa?decimal", message):
        return _Fault("unknown escape after a backslash", r"Use single quotes, or write \\ for a backslash", position)
    return _Fault("quote without its closing quote", "Close the quote, or remove it", context_position)


def _find_reserved_character(
    lines: list[str], message: str, context_text: str, position: _Position, context_position: _Position
) -> _Fault | None:
    character = _get_character(lines, position)
    if "cannot start any token" in message and character in _INDICATORS:
        return _Fault(f"value begins with '{character}', which {_INDICATORS[character]}", _QUOTE_VALUE, position)
    if "an alias" in context_text or "an anchor" in context_text:
        first_character = _get_character(lines, context_position) or "*"
        return _Fault(
            f"value begins with '{first_character}', which YAML takes for an alias or anchor",
            _QUOTE_VALUE,
            context_position,
        )
    if "a tag" in context_text or "directive" in context_text or "directive" in message:
        first_character = _get_character(lines, context_position) or "!"
        return _Fault(f"'{first_character}' begins a tag or a directive here", _QUOTE_VALUE, context_position)
    if "block scalar" in context_text:
        return _Fault(
            "text behind '|' or '>'", "Begin the text of several lines on the next line, or use quotes", position
        )
    return None


def _find_colon_fault(lines: list[str], message: str, position: _Position) -> _Fault | None:
    if "mapping values are not allowed" not in message:
        return None
    previous = next(
        (line for line in range(position.line - 1, -1, -1) if _get_line(lines, line).strip()),
        position.line,
    )
    for line in (position.line, previous):
        text = _get_line(lines, line)
        if (match := _MISSING_SPACE_RE.match(text)) and (line != position.line or match.end() <= position.column):
            return _Fault("no space after the colon", "Write `key: value`", _Position(line, match.end() - 1))
    text = _get_line(lines, position.line)
    if (key := _KEY_RE.match(text)) and key.end() <= position.column:
        return _Fault("second colon in a value without quotes", _QUOTE_VALUE, position)
    return _Fault("wrong indentation, or a colon in a value without quotes", "Align the keys of an entry", position)


def _find_bracket_fault(
    lines: list[str], context_text: str, position: _Position, context_position: _Position
) -> _Fault | None:
    if "flow" not in context_text:
        return None
    if context_position.line == position.line:
        inside = _get_line(lines, position.line)[context_position.column : position.column + 2]
    else:
        inside = "\n".join(lines[context_position.line : position.line + 1])
    if "${" in inside:
        return _Fault("${…} without quotes inside { } or [ ]", 'Write "${NAME}"', position)
    character = _get_character(lines, position)
    opening = _get_character(lines, context_position)
    if not character or character in "]}" or position.line != context_position.line:
        return _Fault(f"bracket '{opening}' without its closing bracket", "Close the bracket", context_position)
    return _Fault("missing comma, or punctuation without quotes, inside { } or [ ]", "Put texts in quotes", position)


def _find_structure_fault(
    lines: list[str], message: str, position: _Position, context_position: _Position
) -> _Fault | None:
    text = _get_line(lines, position.line)
    if _get_character(lines, position) in {"]", "}"}:
        return _Fault("bracket without its opening bracket", "Remove it, or put the whole value in quotes", position)
    if text[: position.column].rstrip().endswith(('"', "'", "]", "}")):
        return _Fault("text behind a closing quote or bracket", "Put the whole value in quotes", position)
    if "could not find expected ':'" in message:
        return _Fault("line without a colon", "Write `key: value`, or `- ` before an entry of a list", context_position)
    if "block sequence entries are not allowed" in message:
        return _Fault("'- ' behind a key", f"{_QUOTE_VALUE}, or write each '- ' on a line of its own", position)
    if "<document start>" in message:
        return _Fault("wrong indentation", "Begin the first key, and all others at the top, in column 1", position)
    if "did not find expected '-'" in message or "did not find expected key" in message:
        if text[position.column : position.column + 2] in {"- ", "-"}:
            return _Fault("entry of a list where a key is expected", "Indent all entries of a list alike", position)
        return _Fault("wrong indentation", "Align the line with the lines that it belongs to", position)
    return None


def _get_line(lines: list[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def _get_character(lines: list[str], position: _Position) -> str:
    """Return the character at a position, or an empty text at the end of a line."""
    return _get_line(lines, position.line)[position.column : position.column + 1]
