"""Explain a YAML syntax error: the likely cause, what to do, and the line with a caret.

The line is shown with care: what may be the value of a variable is masked.
Source: the errors of libyaml and PyYAML, and YAML 1.1 (https://yaml.org/spec/1.1/).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, combining, east_asian_width

from autonoma_ci.errors import Problem
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    import yaml

# Keys of a manifest whose values reports show anyway, and keys that only contain others.
_SHOWN_KEYS = frozenset(
    {"id", "name", "groups", "version", "run_on_latest", "application_version_id", "application_id", "version_id"}
    | {"tests", "folders", "tags", "application_versions"}
)
_CONTAINERS = frozenset({"tests", "folders", "tags", "groups", "application_versions"})
_OTHER_KEYS = frozenset({"variables", "matrix", "defaults"})
_KEY = re.compile(r"(?P<start>\s*(?:- +)*)(?:(?P<key>[A-Za-z_][\w.-]*)(?P<colon>:)(?=\s|$))?")
_NO_SPACE = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_][\w-]*):(?=[^\s/:])")
# Terminal columns of an excerpt: it fits beside the line's number into 80 columns.
_WIDTH = 70
_MASK = "·"
_QUOTE_IT = "Put the value in quotes"
# Characters that begin something else than text, and what YAML takes them for.
_INDICATORS = {"@": "is reserved", "`": "is reserved", "%": "begins a directive"}


class _Mark(NamedTuple):
    """A place in the text; both count from 0."""

    line: int
    column: int


class _Fault(NamedTuple):
    what: str
    cure: str
    mark: _Mark


def explain_error(text: str, error: yaml.MarkedYAMLError, file: str, *, is_secret: bool) -> Problem:
    """Return the problem that a syntax error means.

    Args:
        text: The whole YAML text.
        error: The parser's error.
        file: The file's name as messages show it; empty for the text of an option.
        is_secret: Mask the whole line, as for the text of an option.
    """
    lines = text.split("\n")
    fault = _find_fault(lines, error)
    line, column = fault.mark
    excerpt = _excerpt(lines, fault.mark, is_secret=is_secret) if line < len(lines) else ()
    return Problem(f"invalid YAML: {fault.what}. {fault.cure}.", file, line + 1, column + 1, excerpt)


def _find_fault(lines: list[str], error: yaml.MarkedYAMLError) -> _Fault:
    found = error.problem_mark or error.context_mark
    mark = _Mark(found.line, found.column) if found else _Mark(0, 0)
    context = _Mark(error.context_mark.line, error.context_mark.column) if error.context_mark else mark
    problem, around = error.problem or "", error.context or ""
    fault = (
        _white_space(lines, mark, context)
        or _quotes(problem, around, mark, context)
        or _first_character(lines, problem, around, mark, context)
        or _colon(lines, problem, mark)
        or _brackets(lines, around, mark, context)
        or _structure(lines, problem, mark, context)
    )
    return fault or _Fault(one_line(problem or around or "the text can't be read", 200), "Check this line", mark)


def _white_space(lines: list[str], mark: _Mark, context: _Mark) -> _Fault | None:
    for line in dict.fromkeys((mark.line, context.line)):
        text = _line(lines, line)
        indentation = text[: len(text) - len(text.lstrip())]
        if "\t" in indentation:
            return _Fault("tab in the indentation", "Indent with spaces", _Mark(line, indentation.index("\t")))
        if strange := re.search(r"[^ \t\r]", indentation):
            what = f"U+{ord(strange[0]):04X} in the indentation, which only looks like a space"
            return _Fault(what, "Replace it by a space", _Mark(line, strange.start()))
    return None


def _quotes(problem: str, around: str, mark: _Mark, context: _Mark) -> _Fault | None:
    if "quoted scalar" not in around:
        return None
    if "escape" in problem or "hexadecimal" in problem:
        return _Fault("unknown escape after a backslash", r"Use single quotes, or write \\ for a backslash", mark)
    return _Fault("quote without its closing quote", "Close the quote, or remove it", context)


def _first_character(lines: list[str], problem: str, around: str, mark: _Mark, context: _Mark) -> _Fault | None:
    character = _line(lines, mark.line)[mark.column : mark.column + 1]
    if "cannot start any token" in problem and character in _INDICATORS:
        return _Fault(f"value begins with '{character}', which {_INDICATORS[character]}", _QUOTE_IT, mark)
    if "an alias" in around or "an anchor" in around:
        begin = _line(lines, context.line)[context.column : context.column + 1] or "*"
        return _Fault(f"value begins with '{begin}', which YAML takes for an alias or anchor", _QUOTE_IT, context)
    if "a tag" in around or "directive" in around or "directive" in problem:
        begin = _line(lines, context.line)[context.column : context.column + 1] or "!"
        return _Fault(f"'{begin}' begins a tag or a directive here", _QUOTE_IT, context)
    if "block scalar" in around:
        return _Fault("text behind '|' or '>'", "Begin the text of several lines on the next line, or use quotes", mark)
    return None


def _colon(lines: list[str], problem: str, mark: _Mark) -> _Fault | None:
    if "mapping values are not allowed" not in problem:
        return None
    before = next((line for line in range(mark.line - 1, -1, -1) if _line(lines, line).strip()), mark.line)
    for line in (mark.line, before):
        text = _line(lines, line)
        if (joined := _NO_SPACE.match(text)) and (line != mark.line or joined.end() <= mark.column):
            return _Fault("no space after the colon", "Write `key: value`", _Mark(line, joined.end() - 1))
    text = _line(lines, mark.line)
    if (key := _KEY.match(text)) and key["key"] and key.end() <= mark.column:
        return _Fault("second colon in a value without quotes", _QUOTE_IT, mark)
    return _Fault("wrong indentation, or a colon in a value without quotes", "Align the keys of an entry", mark)


def _brackets(lines: list[str], around: str, mark: _Mark, context: _Mark) -> _Fault | None:
    if "flow" not in around:
        return None
    if context.line == mark.line:
        inside = _line(lines, mark.line)[context.column : mark.column + 2]
    else:
        inside = "\n".join(lines[context.line : mark.line + 1])
    if "${" in inside:
        return _Fault("${…} without quotes inside { } or [ ]", 'Write "${NAME}"', mark)
    character = _line(lines, mark.line)[mark.column : mark.column + 1]
    opening = _line(lines, context.line)[context.column : context.column + 1]
    if not character or character in "]}" or mark.line != context.line:
        return _Fault(f"bracket '{opening}' without its closing bracket", "Close the bracket", context)
    return _Fault("missing comma, or punctuation without quotes, inside { } or [ ]", "Put texts in quotes", mark)


def _structure(lines: list[str], problem: str, mark: _Mark, context: _Mark) -> _Fault | None:
    text = _line(lines, mark.line)
    if text[: mark.column].rstrip().endswith(('"', "'", "]", "}")):
        return _Fault("text behind a closing quote or bracket", "Put the whole value in quotes", mark)
    if "could not find expected ':'" in problem:
        return _Fault("line without a colon", "Write `key: value`, or `- ` before an entry of a list", context)
    if "did not find expected '-'" in problem or "did not find expected key" in problem:
        if text[mark.column : mark.column + 2] in {"- ", "-"}:
            return _Fault("entry of a list where a key is expected", "Indent all entries of a list alike", mark)
        return _Fault("wrong indentation", "Align the line with the lines that it belongs to", mark)
    return None


def _line(lines: list[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def _excerpt(lines: list[str], mark: _Mark, *, is_secret: bool) -> tuple[str, str]:
    """Return the line and a caret below it."""
    text = lines[mark.line].removesuffix("\r")
    if is_secret or not _is_shown(lines, mark.line):
        text = _mask(text, mark.column, with_key=not is_secret)
    # One column for each character that is not shown as it is, so that the caret stays right.
    text = "".join(map(_one_column, text))
    begin = 0
    while _width(text[begin : mark.column]) > _WIDTH // 2 and mark.column - begin > 1:
        begin = max(begin + 1, mark.column - _WIDTH // 2)
    end = begin
    while end < len(text) and _width(text[begin : end + 1]) <= _WIDTH:
        end += 1
    left, right = "…" if begin else "", "…" if end < len(text) else ""
    number = f"{mark.line + 1:>4} | "
    caret = " " * _width(left + text[begin : mark.column])
    return f"{number}{left}{text[begin:end]}{right}", f"{'':>4} | {caret}^"


def _one_column(character: str) -> str:
    if character == "\t":
        return "→"
    return "\ufffd" if category(character)[0] == "C" or category(character) in {"Zl", "Zp"} else character


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _is_shown(lines: list[str], number: int) -> bool:
    """Return whether a line holds nothing but what reports show anyway.

    The text is no valid YAML, so this goes by the indentation, and any doubt counts as no.
    """
    head = [line for line in lines[:number] if line.strip()]
    own = _KEY.match(lines[number])
    key = own["key"] if own else None
    if key is not None and key not in _SHOWN_KEYS:
        return False
    since = next((i for i, line in enumerate([*head, lines[number]]) if re.search("variables|matrix", line)), None)
    # A quote or a bracket there may still be open.
    if since is not None and re.search("[\"'{\\[|>]", "\n".join([*head, lines[number]][since:])):
        return False
    depth = len(own["start"]) if own else 0
    if own and "-" in own["start"]:
        depth = own["start"].index("-") + 1
    for line in reversed(head):
        start = len(line) - len(line.lstrip())
        if start < depth:
            parent = _KEY.match(line)
            name = parent["key"] if parent else None
            if name is None or name not in _CONTAINERS | _SHOWN_KEYS:
                return False
            depth = start
    return True


def _mask(text: str, column: int, *, with_key: bool) -> str:
    """Return the line with a mask for each character but white space, the caret's own and a key of the manifest."""
    found = _KEY.match(text) if with_key else None
    known = found and found["key"] in _SHOWN_KEYS | _OTHER_KEYS
    shown = found.end() if found and known else 0
    return "".join(c if i < shown or i == column or c.isspace() else _MASK for i, c in enumerate(text))
