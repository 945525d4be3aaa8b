"""Explain an error in a YAML text by its cause, its fix and an excerpt with a caret below it.

The excerpt shows no value of a variable. The text can be invalid YAML, so the words and the indentation of a line
decide its content. Every character that can be a part of a value is masked.

Source: the errors of libyaml and PyYAML, and YAML 1.1 (https://yaml.org/spec/1.1/).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, east_asian_width

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.startup import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

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

# Keys with a list of entries, and keys with one text each. Their texts are safe, because reports show them too.
_LIST_KEYS = frozenset({"tests", "folders", "tags", "application_versions", "groups"})
_TEXT_KEYS = frozenset(
    {"id", "name", "version", "run_on_latest", "application_version_id", "application_id", "version_id"}
)
_SHOWN_KEYS = _LIST_KEYS | _TEXT_KEYS
_TOP_LEVEL_KEYS = frozenset({"tests", "folders", "tags", "application_versions", "version", "run_on_latest"})
# Keys that are shown without their values.
_KEYS_WITH_HIDDEN_VALUES = frozenset({"variables", "matrix", "defaults"})
_KEY_LINE_RE = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[A-Za-z_][\w.-]*):(?P<rest>\s.*|)")
# Merge conflict markers of git, and the begin and end markers of a document. All stand at the beginning of a line.
_LINE_MARKER_RE = re.compile(r"(?:<{7}|\|{7}|={7}|>{7}|-{3}|\.{3})(?!\S)")
_MISSING_SPACE_LINE_RE = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[a-z_]+):[\w-]+\s*")
_ITEM_RE = re.compile(r"(?P<dashes>\s*(?:- +)+)[^:={}\[\]&?|>$]*")
_COLON_RE = re.compile(r":(?:\s|$)")
_EMPTY_REST_RE = re.compile(r"\s*(?:#.*)?")
# Words of keys for variables, which can be misplaced or misspelled.
_VARIABLE_WORD_RE = re.compile(r"(?:vari|matrix|env|vars|param|secret|passw|token)\w*[\"']?\s*[:={]", re.IGNORECASE)
# A quote that begins a value, up to its end or the end of the line. It never backtracks, so it takes linear time.
_QUOTED_RE = re.compile(r"""(?<![^\s\[{,:])(?:"(?:[^"\\]|\\.)*+(?P<double>"|)|'(?:[^']|'')*+(?P<single>'|))""")
_BLOCK_SCALAR_RE = re.compile(r"\s[|>][-+\d]*\s*(?:#.*)?$")
_BRACKET_RE = re.compile(r"([\[\]{},])")
# These characters are shown at the caret, because they reveal no part of a value.
_PUNCTUATION = frozenset("-:,[]{}\"'@`%&*!|>#?\\\t")
# In characters. No real manifest has a longer line, and a hostile line takes long to check.
_MAX_SHOWN_LINE_CHARS = 2000
# Limits of the text before a line that is shown. Each excerpt reads that text again, which takes about 0.1 s.
_MAX_PRECEDING_LINES = 10_000
_MAX_PRECEDING_CHARS = 500_000
# In terminal columns. The excerpt and its line number fit into 80 columns.
_MAX_EXCERPT_COLUMNS = 70
_MASK = "·"


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
    cause = "forbidden control character. Remove it, and save the file as UTF-8"
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
        sanitize_line(message or context_text or "unreadable text", 200), "Check this line", position
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
            return _Fault(cause, "Replace it with a space", _Position(line, match.start()))
    return None


def _find_quote_fault(
    message: str, context_text: str, position: _Position, context_position: _Position
) -> _Fault | None:
    if "quoted scalar" not in context_text:
        return None
    # libyaml writes `hexdecimal`. Source: yaml/libyaml, src/scanner.c.
    if re.search("escape|hexa?decimal", message):
        return _Fault("unknown escape after a backslash", r"Use single quotes, or write \\ for a backslash", position)
    return _Fault("missing closing quote", "Close the quote, or remove it", context_position)


def _find_reserved_character(
    lines: list[str], message: str, context_text: str, position: _Position, context_position: _Position
) -> _Fault | None:
    character = _get_character(lines, position)
    if "cannot start any token" in message and character in _INDICATORS:
        return _Fault(f"value begins with '{character}', which {_INDICATORS[character]}", _QUOTE_VALUE, position)
    if "an alias" in context_text or "an anchor" in context_text:
        first_character = _get_character(lines, context_position) or "*"
        return _Fault(
            f"value begins with '{first_character}', which marks an alias or anchor",
            _QUOTE_VALUE,
            context_position,
        )
    if "a tag" in context_text or "directive" in context_text or "directive" in message:
        first_character = _get_character(lines, context_position) or "!"
        return _Fault(f"'{first_character}' begins a tag or a directive here", _QUOTE_VALUE, context_position)
    if "block scalar" in context_text:
        return _Fault("text after '|' or '>'", "Begin the string on the next line, or use quotes", position)
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
        return _Fault(f"missing closing bracket for '{opening}'", "Close the bracket", context_position)
    return _Fault("missing comma, or punctuation without quotes, inside { } or [ ]", "Put strings in quotes", position)


def _find_structure_fault(
    lines: list[str], message: str, position: _Position, context_position: _Position
) -> _Fault | None:
    text = _get_line(lines, position.line)
    if _get_character(lines, position) in {"]", "}"}:
        return _Fault("missing opening bracket", "Remove this bracket, or put the whole value in quotes", position)
    if text[: position.column].rstrip().endswith(('"', "'", "]", "}")):
        return _Fault("text after a closing quote or bracket", "Put the whole value in quotes", position)
    if "could not find expected ':'" in message:
        return _Fault("line without a colon", "Write `key: value`, or `- ` before an entry of a list", context_position)
    if "block sequence entries are not allowed" in message:
        return _Fault("'- ' after a key", f"{_QUOTE_VALUE}, or write each '- ' on a line of its own", position)
    if "<document start>" in message:
        return _Fault("wrong indentation", "Begin all keys of the top level in column 1", position)
    if "did not find expected '-'" in message or "did not find expected key" in message:
        if text[position.column : position.column + 2] in {"- ", "-"}:
            return _Fault("entry of a list where a key is expected", "Indent all entries of a list equally", position)
        return _Fault("wrong indentation", "Align this line with the other lines of its level", position)
    return None


def _get_line(lines: list[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def _get_character(lines: list[str], position: _Position) -> str:
    """Return the character at a position, or an empty text at the end of a line."""
    return _get_line(lines, position.line)[position.column : position.column + 1]


def build_excerpt(lines: Sequence[str], line: int, column: int, *, is_secret: bool) -> tuple[str, ...]:
    """Return the line and a caret below it.

    Args:
        lines: The lines of the text.
        line: The number of the line, from 0.
        column: The column in it, from 0.
        is_secret: Mask the complete line and the lengths of its texts, as for the text of an option.

    Returns:
        Two lines, or nothing if the text has no such line.
    """
    if not 0 <= line < len(lines):
        return ()
    text = lines[line].removesuffix("\r")
    column = max(0, min(column, len(text)))
    if is_secret:
        text, column = _mask_line(text, column)
    elif not _is_shown_line(lines, line):
        text = _mask_values(text, column)
    begin = max(0, column - _MAX_EXCERPT_COLUMNS)
    while _count_columns(text[begin:column]) > _MAX_EXCERPT_COLUMNS // 2 and column - begin > 1:
        begin = max(begin + 1, column - _MAX_EXCERPT_COLUMNS // 2)
    # Each replaced character has one column, so the caret stays in the right place.
    text, column = (
        "".join(map(_replace_with_one_column, text[begin : begin + 2 * _MAX_EXCERPT_COLUMNS])),
        column - begin,
    )
    end = 0
    while end < len(text) and _count_columns(text[: end + 1]) <= _MAX_EXCERPT_COLUMNS:
        end += 1
    left, right = "…" if begin else "", "…" if end < len(text) else ""
    caret = " " * _count_columns(left + text[:column])
    return f"{line + 1:>4} | {left}{text[:end]}{right}", f"{'':>4} | {caret}^"


def _replace_with_one_column(character: str) -> str:
    if character == "\t":
        return "→"
    return "\ufffd" if category(character)[0] == "C" or category(character) in {"Zl", "Zp"} else character


def _count_columns(text: str) -> int:
    """Return the width of a text in terminal columns."""
    # `unicodedata.combining` is not used, because it is 0 for marks such as variation selectors and Thai vowels.
    return sum(0 if category(c) in {"Mn", "Me"} else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _mask_line(text: str, column: int) -> tuple[str, int]:
    """Mask all texts of a line and adjust the caret column."""
    begin = min(len(text) - len(text.lstrip()), column)
    before = text[:begin] + (_MASK * 3 if column > begin else "")
    character = text[column : column + 1]
    return before + _show_punctuation(character) + (_MASK * 3 if text[column + 1 :].strip() else ""), len(before)


def _mask_values(text: str, column: int) -> str:
    """Mask each character of a line that can belong to a value.

    White space, a key of the manifest and punctuation at the caret are shown.
    """
    # An excerpt is shorter than this, and a line can have megabytes.
    text = text[: column + 2 * _MAX_EXCERPT_COLUMNS]
    match, marker = _KEY_LINE_RE.match(text), _LINE_MARKER_RE.match(text)
    shown_length = (
        match.end("key") + 1
        if match and match["key"] in _SHOWN_KEYS | _KEYS_WITH_HIDDEN_VALUES
        else marker.end()
        if marker
        else 0
    )
    masked = re.sub(r"\S", _MASK, text[shown_length:])
    text = text[:shown_length] + masked[: max(0, column - shown_length)] + text[max(column, shown_length) :]
    caret = max(column, shown_length)
    return text[:caret] + _show_punctuation(text[caret : caret + 1]) + re.sub(r"\S", _MASK, text[caret + 1 :])


def _show_punctuation(character: str) -> str:
    return character if character in _PUNCTUATION or not character.strip() else _MASK


def _is_shown_line(lines: Sequence[str], number: int) -> bool:
    """Return whether a line contains only texts that reports show.

    The result is False in case of doubt.
    """
    text = lines[number]
    if (
        len(text) > _MAX_SHOWN_LINE_CHARS
        or number > _MAX_PRECEDING_LINES
        or sum(map(len, lines[:number])) > _MAX_PRECEDING_CHARS
    ):
        return False
    preceding = [line for line in lines[:number] if line.strip() and not line.lstrip().startswith("#")]
    if _VARIABLE_WORD_RE.search(text) or ("${" in text and ":-" in text) or _has_open_value(preceding):
        return False
    if text.strip() in _SHOWN_KEYS:
        return True
    match = _KEY_LINE_RE.fullmatch(text) or _MISSING_SPACE_LINE_RE.fullmatch(text) or _ITEM_RE.fullmatch(text)
    if not match:
        starts_with_bracket = text.lstrip(" -")[:1] in {"{", "["}
        return bool(
            starts_with_bracket
            and _has_only_shown_keys(text)
            and _is_in_known_section(preceding, len(text) - len(text.lstrip()), "", is_item="-" in text)
            and _is_indentation_valid(preceding, len(text) - len(text.lstrip()), is_item=text.lstrip()[:1] == "-")
        )
    dashes, key = match["dashes"], match.groupdict().get("key") or ""
    if key and (key not in _SHOWN_KEYS or (re.search(r"[\[{]", text) and not _has_only_shown_keys(text))):
        return False
    if key in _LIST_KEYS and _COLON_RE.search(text, match.end("key") + 1) and not re.search(r"[\[{]", text):
        return False
    is_item = "-" in dashes
    indentation = dashes.index("-") if is_item else len(dashes)
    return _is_in_known_section(preceding, indentation, key, is_item=is_item) and _is_indentation_valid(
        preceding, indentation, is_item=is_item
    )


def _has_open_value(preceding: Sequence[str]) -> bool:
    """Return whether these lines may leave a quote, bracket or block open."""
    depth = 0
    for line in preceding:
        if _BLOCK_SCALAR_RE.search(line):
            return True
        if any(not match["double"] and not match["single"] for match in _QUOTED_RE.finditer(line)):
            return True
        text = re.sub(r"(?:^|\s)#.*", "", _QUOTED_RE.sub("", line))
        for bracket in re.findall(r"[\[\]{}]", text):
            depth += 1 if bracket in "[{" else -1
            if depth < 0:
                return True
    return depth > 0


def _has_only_shown_keys(text: str) -> bool:
    """Return whether a bracketed line has only known keys and list words."""
    list_key = bracket = ""
    for piece in _BRACKET_RE.split(text):
        word = piece.strip()
        if _BRACKET_RE.fullmatch(piece):
            bracket = piece
            list_key = "" if piece in "]}" else list_key
        elif match := re.match(r"(?:- +)*([A-Za-z_]+):(?:\s+|$)(.*)", word):
            if match[1] not in _SHOWN_KEYS:
                return False
            list_key = match[1] if match[1] in _LIST_KEYS and not match[2] else ""
        elif word.strip("- ") and not (bracket in {"[", ","} and list_key and re.fullmatch(r"[\w-]+", word)):
            return False
    return True


def _is_indentation_valid(preceding: Sequence[str], indentation: int, *, is_item: bool) -> bool:
    """Return whether the indentation of a line fits the lines before it.

    Otherwise the line may belong to `variables` and be indented wrongly.

    Args:
        preceding: The lines before it, without blank lines and comments.
        indentation: The column of its key or of its hyphen.
        is_item: Whether it begins with a hyphen.
    """
    parent = _KEY_LINE_RE.fullmatch(preceding[-1]) if preceding else None
    if parent and parent["key"] not in _LIST_KEYS | {"defaults"} and _EMPTY_REST_RE.fullmatch(parent["rest"]):
        return False
    if not indentation and not is_item:
        return True
    if not any(map(_VARIABLE_WORD_RE.search, preceding)):
        return True
    for line in reversed(preceding):
        start = len(line) - len(line.lstrip())
        match = _KEY_LINE_RE.match(line)
        if is_item and start <= indentation:
            return line is preceding[-1] or (start == indentation and line[start] == "-")
        if start < indentation and not is_item:
            return bool(match and (match["key"] == "defaults" or len(match["dashes"]) == indentation))
    return False


def _is_in_known_section(preceding: Sequence[str], indentation: int, key: str, *, is_item: bool) -> bool:
    """Return whether a line is top-level or in a list entry.

    Args:
        preceding: The lines before it, without blank lines and comments.
        indentation: The column of its key or of its hyphen.
        key: Its key, or an empty text.
        is_item: Whether it begins with a hyphen.
    """
    for line in reversed(preceding):
        start = len(line) - len(line.lstrip())
        is_entry = line[start : start + 1] == "-"
        if start > indentation or (start == indentation and (is_entry or not is_item)):
            continue
        parent = _KEY_LINE_RE.fullmatch(line)
        if not parent or parent["key"] not in (
            _SHOWN_KEYS - _LIST_KEYS | {"groups"} if is_entry else _LIST_KEYS | {"defaults"}
        ):
            return False
        if not is_entry and not _EMPTY_REST_RE.fullmatch(parent["rest"]):
            return False
        if parent["key"] == "defaults" and key != "application_version_id":
            return False
        indentation, key, is_item = start, parent["key"], is_entry
        if key == "defaults":
            return start == 0
    return not is_item and key in _TOP_LEVEL_KEYS
