"""Explain a YAML syntax error: the likely cause, what to do, and the line with a caret.

Source: the errors of libyaml and PyYAML, and YAML 1.1 (https://yaml.org/spec/1.1/).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.yaml_subset.excerpt import build_excerpt

if TYPE_CHECKING:
    import yaml

_KEY = re.compile(r"\s*(?:- +)*[A-Za-z_][\w.-]*:(?=\s|$)")
_NO_SPACE = re.compile(r"\s*(?:- +)*[A-Za-z_][\w-]*:(?=[^\s/:])")
# Source: git-merge(1), "How conflicts are presented".
_CONFLICT = re.compile("(?:<<<<<<<|=======|>>>>>>>)(?: |\r?$)")
# Source: YAML 1.1, section 4.1.1.
_NOT_YAML = lazy_pattern("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
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


def explain_character(text: str, file: str) -> Diagnostic:
    """Return the problem of a text with a character that YAML does not allow, at the first such character.

    Args:
        text: The whole YAML text.
        file: As in `explain_error`.
    """
    found = _NOT_YAML.search(text)
    at = found.start() if found else 0
    place = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)) if found else (0, 0)
    what = "a control character that YAML does not allow. Remove it, and save the file as UTF-8"
    return Diagnostic(f"invalid YAML: {what}.", file, *place)


def explain_error(text: str, error: yaml.MarkedYAMLError, file: str) -> Diagnostic:
    """Return the problem that a syntax error means.

    Args:
        text: The whole YAML text.
        error: The parser's error.
        file: The file's name as messages show it; empty for the text of an option, of which nothing is shown.
    """
    lines = text.split("\n")
    fault = _find_fault(lines, error)
    line, column = fault.mark
    excerpt = build_excerpt(lines, line, column, is_secret=not file)
    return Diagnostic(f"invalid YAML: {fault.what}. {fault.cure}.", file, line + 1, column + 1, excerpt)


def _find_fault(lines: list[str], error: yaml.MarkedYAMLError) -> _Fault:
    found = error.problem_mark or error.context_mark
    mark = _Mark(found.line, found.column) if found else _Mark(0, 0)
    context = _Mark(error.context_mark.line, error.context_mark.column) if error.context_mark else mark
    problem, around = error.problem or "", error.context or ""
    fault = (
        _conflict(lines, mark)
        or _white_space(lines, mark, context)
        or _quotes(problem, around, mark, context)
        or _first_character(lines, problem, around, mark, context)
        or _colon(lines, problem, mark)
        or _brackets(lines, around, mark, context)
        or _structure(lines, problem, mark, context)
    )
    return fault or _Fault(sanitize_line(problem or around or "the text can't be read", 200), "Check this line", mark)


def _conflict(lines: list[str], mark: _Mark) -> _Fault | None:
    # The parser fails on the first marker, or on a line soon after it.
    for line in range(min(mark.line, len(lines) - 1) + 1):
        if _CONFLICT.match(lines[line]):
            return _Fault("unresolved merge conflict", "Resolve it, and remove its marker lines", _Mark(line, 0))
    return None


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
    if (key := _KEY.match(text)) and key.end() <= mark.column:
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
    if text[mark.column : mark.column + 1] in {"]", "}"}:
        return _Fault("bracket without its opening bracket", "Remove it, or put the whole value in quotes", mark)
    if text[: mark.column].rstrip().endswith(('"', "'", "]", "}")):
        return _Fault("text behind a closing quote or bracket", "Put the whole value in quotes", mark)
    if "could not find expected ':'" in problem:
        return _Fault("line without a colon", "Write `key: value`, or `- ` before an entry of a list", context)
    if "block sequence entries are not allowed" in problem:
        return _Fault("'- ' behind a key", f"{_QUOTE_IT}, or write each '- ' on a line of its own", mark)
    if "<document start>" in problem:
        return _Fault("wrong indentation", "Begin the first key, and all others at the top, in column 1", mark)
    if "did not find expected '-'" in problem or "did not find expected key" in problem:
        if text[mark.column : mark.column + 2] in {"- ", "-"}:
            return _Fault("entry of a list where a key is expected", "Indent all entries of a list alike", mark)
        return _Fault("wrong indentation", "Align the line with the lines that it belongs to", mark)
    return None


def _line(lines: list[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""
