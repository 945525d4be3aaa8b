"""Show a line of a YAML text with a caret below it, and no value of a variable.

The text can be invalid YAML, so what a line holds is decided by its words and its indentation. What could be a part of
a value is masked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Sequence

# Keys with a list of entries, and keys with one text each. Reports show all of these texts.
_LISTS = frozenset({"tests", "folders", "tags", "application_versions", "groups"})
_TEXTS = frozenset({"id", "name", "version", "run_on_latest", "application_version_id", "application_id", "version_id"})
_SHOWN = _LISTS | _TEXTS
_TOP = frozenset({"tests", "folders", "tags", "application_versions", "version", "run_on_latest"})
# Keys that are shown themselves, but not what follows.
_KEYS_ALONE = frozenset({"variables", "matrix", "defaults"})
_KEY = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[A-Za-z_][\w.-]*):(?P<rest>\s.*|)")
# What git writes around a merge conflict, and the beginning and the end of a document, all at the beginning of a line.
_MARK_OF_LINE = re.compile(r"(?:<{7}|\|{7}|={7}|>{7}|-{3}|\.{3})(?!\S)")
_NO_SPACE = re.compile(r"(?P<dashes>\s*(?:- +)*)(?P<key>[a-z_]+):[\w-]+\s*")
_ITEM = re.compile(r"(?P<dashes>\s*(?:- +)+)[^:={}\[\]&?|>$]*")
_COLON = re.compile(r":(?:\s|$)")
_PARENT = re.compile(r"\s*(?:#.*)?")
# Words that variables are known by, as a key that is misplaced or misspelled.
_OF_VARIABLES = re.compile(r"(?:vari|matrix|env|vars|param|secret|passw|token)\w*[\"']?\s*[:={]", re.IGNORECASE)
# A quote that begins a value, up to its end or that of the line. Never goes back, so that it takes linear time.
_QUOTED = re.compile(r"""(?<![^\s\[{,:])(?:"(?:[^"\\]|\\.)*+(?P<double>"|)|'(?:[^']|'')*+(?P<single>'|))""")
_BLOCK = re.compile(r"\s[|>][-+\d]*\s*(?:#.*)?$")
_BRACKETS = re.compile(r"([\[\]{},])")
# A caret can stand below these without showing a part of a value.
_PUNCTUATION = frozenset("-:,[]{}\"'@`%&*!|>#?\\\t")
# Characters of a line that is shown. No manifest has more, and a hostile line takes long to understand.
_MAX_SHOWN = 2000
# Lines and characters up to a line that is shown: they are read again for each excerpt, which takes about 0.1 s.
_MAX_LINES = 10_000
_MAX_LENGTH = 500_000
# Terminal columns of an excerpt: it fits beside the line's number into 80 columns.
_WIDTH = 70
_MASK = "·"


def build_excerpt(lines: Sequence[str], line: int, column: int, *, is_secret: bool) -> tuple[str, ...]:
    """Return the line and a caret below it, or nothing for a place outside.

    Args:
        lines: The lines of the text.
        line: The number of the line, from 0.
        column: The column in it, from 0.
        is_secret: Mask the whole line, and also how long its texts are, as for the text of an option.
    """
    if not 0 <= line < len(lines):
        return ()
    text = lines[line].removesuffix("\r")
    column = max(0, min(column, len(text)))
    if is_secret:
        text, column = _mask_all(text, column)
    elif not _is_shown(lines, line):
        text = _mask(text, column)
    begin = max(0, column - _WIDTH)
    while _width(text[begin:column]) > _WIDTH // 2 and column - begin > 1:
        begin = max(begin + 1, column - _WIDTH // 2)
    # One column for each character that is not shown as it is, so that the caret stays right.
    text, column = "".join(map(_one_column, text[begin : begin + 2 * _WIDTH])), column - begin
    end = 0
    while end < len(text) and _width(text[: end + 1]) <= _WIDTH:
        end += 1
    left, right = "…" if begin else "", "…" if end < len(text) else ""
    caret = " " * _width(left + text[:column])
    return f"{line + 1:>4} | {left}{text[:end]}{right}", f"{'':>4} | {caret}^"


def _one_column(character: str) -> str:
    if character == "\t":
        return "→"
    return "\ufffd" if category(character)[0] == "C" or category(character) in {"Zl", "Zp"} else character


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    # Not `combining`: it is 0 for marks such as variation selectors and Thai vowels.
    return sum(0 if category(c) in {"Mn", "Me"} else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _mask_all(text: str, column: int) -> tuple[str, int]:
    """Return the line without its texts, and the column that the caret has then."""
    begin = min(len(text) - len(text.lstrip()), column)
    before = text[:begin] + (_MASK * 3 if column > begin else "")
    at = text[column : column + 1]
    return before + _shown_at_caret(at) + (_MASK * 3 if text[column + 1 :].strip() else ""), len(before)


def _mask(text: str, column: int) -> str:
    """Return the line with a mask for each character but white space, a key of the manifest and punctuation."""
    # No excerpt reaches further, and a line can have megabytes.
    text = text[: column + 2 * _WIDTH]
    found, mark = _KEY.match(text), _MARK_OF_LINE.match(text)
    shown = found.end("key") + 1 if found and found["key"] in _SHOWN | _KEYS_ALONE else mark.end() if mark else 0
    masked = re.sub(r"\S", _MASK, text[shown:])
    text = text[:shown] + masked[: max(0, column - shown)] + text[max(column, shown) :]
    at = max(column, shown)
    return text[:at] + _shown_at_caret(text[at : at + 1]) + re.sub(r"\S", _MASK, text[at + 1 :])


def _shown_at_caret(character: str) -> str:
    return character if character in _PUNCTUATION or not character.strip() else _MASK


def _is_shown(lines: Sequence[str], number: int) -> bool:
    """Return whether a line holds nothing but what reports show anyway; any doubt counts as no."""
    text = lines[number]
    if len(text) > _MAX_SHOWN or number > _MAX_LINES or sum(map(len, lines[:number])) > _MAX_LENGTH:
        return False
    head = [line for line in lines[:number] if line.strip() and not line.lstrip().startswith("#")]
    if _OF_VARIABLES.search(text) or ("${" in text and ":-" in text) or _is_open(head):
        return False
    if text.strip() in _SHOWN:
        return True
    found = _KEY.fullmatch(text) or _NO_SPACE.fullmatch(text) or _ITEM.fullmatch(text)
    if not found:
        begins_well = text.lstrip(" -")[:1] in {"{", "["}
        return bool(
            begins_well
            and _is_shown_flow(text)
            and _belongs(head, len(text) - len(text.lstrip()), "", is_item="-" in text)
            and _fits(head, len(text) - len(text.lstrip()), is_item=text.lstrip()[:1] == "-")
        )
    dashes, key = found["dashes"], found.groupdict().get("key") or ""
    if key and (key not in _SHOWN or (re.search(r"[\[{]", text) and not _is_shown_flow(text))):
        return False
    if key in _LISTS and _COLON.search(text, found.end("key") + 1) and not re.search(r"[\[{]", text):
        return False
    is_item = "-" in dashes
    indentation = dashes.index("-") if is_item else len(dashes)
    return _belongs(head, indentation, key, is_item=is_item) and _fits(head, indentation, is_item=is_item)


def _is_open(head: Sequence[str]) -> bool:
    """Return whether a quote, a bracket or a text of several lines may go on after these lines."""
    depth = 0
    for line in head:
        if _BLOCK.search(line):
            return True
        if any(not found["double"] and not found["single"] for found in _QUOTED.finditer(line)):
            return True
        text = re.sub(r"(?:^|\s)#.*", "", _QUOTED.sub("", line))
        for bracket in re.findall(r"[\[\]{}]", text):
            depth += 1 if bracket in "[{" else -1
            if depth < 0:
                return True
    return depth > 0


def _is_shown_flow(text: str) -> bool:
    """Return whether a line with brackets has only keys of the manifest, and words in their lists."""
    last = before = ""
    for piece in _BRACKETS.split(text):
        word = piece.strip()
        if _BRACKETS.fullmatch(piece):
            before = piece
            last = "" if piece in "]}" else last
        elif found := re.match(r"(?:- +)*([A-Za-z_]+):(?:\s+|$)(.*)", word):
            if found[1] not in _SHOWN:
                return False
            last = found[1] if found[1] in _LISTS and not found[2] else ""
        elif word.strip("- ") and not (before in {"[", ","} and last and re.fullmatch(r"[\w-]+", word)):
            return False
    return True


def _fits(head: Sequence[str], indentation: int, *, is_item: bool) -> bool:
    """Return whether a line stands where it belongs, so that it is no part of `variables` with a wrong indentation.

    Args:
        head: The lines before it, without blank lines and comments.
        indentation: The column of its key or of its hyphen.
        is_item: It begins with a hyphen.
    """
    opened = _KEY.fullmatch(head[-1]) if head else None
    if opened and opened["key"] not in _LISTS | {"defaults"} and _PARENT.fullmatch(opened["rest"]):
        return False
    if not indentation and not is_item:
        return True
    if not any(map(_OF_VARIABLES.search, head)):
        return True
    for line in reversed(head):
        start = len(line) - len(line.lstrip())
        found = _KEY.match(line)
        if is_item and start <= indentation:
            return line is head[-1] or (start == indentation and line[start] == "-")
        if start < indentation and not is_item:
            return bool(found and (found["key"] == "defaults" or len(found["dashes"]) == indentation))
    return False


def _belongs(head: Sequence[str], indentation: int, key: str, *, is_item: bool) -> bool:
    """Return whether a line is at the top, or in an entry of one of the lists.

    Args:
        head: The lines before it, without blank lines and comments.
        indentation: The column of its key or of its hyphen.
        key: Its key, or an empty text.
        is_item: It begins with a hyphen.
    """
    for line in reversed(head):
        start = len(line) - len(line.lstrip())
        is_entry = line[start : start + 1] == "-"
        if start > indentation or (start == indentation and (is_entry or not is_item)):
            continue
        parent = _KEY.fullmatch(line)
        if not parent or parent["key"] not in (_SHOWN - _LISTS | {"groups"} if is_entry else _LISTS | {"defaults"}):
            return False
        if not is_entry and not _PARENT.fullmatch(parent["rest"]):
            return False
        if parent["key"] == "defaults" and key != "application_version_id":
            return False
        indentation, key, is_item = start, parent["key"], is_entry
        if key == "defaults":
            return start == 0
    return not is_item and key in _TOP
