"""Render a line of a YAML text with a caret below it.

The excerpt shows no value of a variable. The text can be invalid YAML, so the words and the indentation of a line
decide its content. Every character that can be a part of a value is masked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Sequence

# Keys with a list of entries, and keys with one text each. Their texts are safe, because reports show them too.
_LIST_KEYS = frozenset({"tests", "folders", "tags", "application_versions", "groups"})
_TEXT_KEYS = frozenset(
    {"id", "name", "version", "run_on_latest", "application_version_id", "application_id", "version_id"}
)
_SHOWN_KEYS = _LIST_KEYS | _TEXT_KEYS
_TOP_LEVEL_KEYS = frozenset({"tests", "folders", "tags", "application_versions", "version", "run_on_latest"})
# Keys that are shown without their values.
_KEYS_WITH_HIDDEN_VALUES = frozenset({"variables", "matrix", "defaults"})
_KEY_RE = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[A-Za-z_][\w.-]*):(?P<rest>\s.*|)")
# Merge conflict markers of git, and the begin and end markers of a document. All stand at the beginning of a line.
_LINE_MARKER_RE = re.compile(r"(?:<{7}|\|{7}|={7}|>{7}|-{3}|\.{3})(?!\S)")
_MISSING_SPACE_RE = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[a-z_]+):[\w-]+\s*")
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
    match, marker = _KEY_RE.match(text), _LINE_MARKER_RE.match(text)
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
    match = _KEY_RE.fullmatch(text) or _MISSING_SPACE_RE.fullmatch(text) or _ITEM_RE.fullmatch(text)
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
    parent = _KEY_RE.fullmatch(preceding[-1]) if preceding else None
    if parent and parent["key"] not in _LIST_KEYS | {"defaults"} and _EMPTY_REST_RE.fullmatch(parent["rest"]):
        return False
    if not indentation and not is_item:
        return True
    if not any(map(_VARIABLE_WORD_RE.search, preceding)):
        return True
    for line in reversed(preceding):
        start = len(line) - len(line.lstrip())
        match = _KEY_RE.match(line)
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
        parent = _KEY_RE.fullmatch(line)
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
