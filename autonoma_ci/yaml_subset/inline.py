"""What options give as YAML or JSON: a mapping of variables, a list of application versions."""

from __future__ import annotations

import json
import re

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.yaml_subset.document import Document, type_error_message
from autonoma_ci.yaml_subset.parser import parse_yaml

# What JSON takes in quotes as it is, and YAML takes escaped only, or as the end of a line.
_ESCAPED_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
# An escaped backslash is read first, so that what follows it is not taken for an escape.
_SURROGATE_ESCAPE_RE = re.compile(r"(\\\\)|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


def parse_yaml_mapping(text: str) -> tuple[dict[str, str], list[Diagnostic]]:
    """Return the variables that an option gives as a YAML or JSON mapping, and what is wrong with it."""
    document = parse_option_yaml(text)
    problems = document.errors
    found: dict[str, str] = {}
    if not isinstance(document.tree, dict):
        return {}, problems or [Diagnostic("not a mapping: write NAME=value lines, or `NAME: value` lines")]
    for key, value in document.tree.items():
        if isinstance(value, str):
            found[key] = value
        else:
            line, _ = document.position((key,))
            problems.append(Diagnostic(f"line {line}: '{sanitize_line(key, 60)}' {type_error_message(value)}"))
    return found, problems


def parse_option_yaml(text: str) -> Document:
    """Return the document of an option's text. The problems name lines of the text, as no file is involved."""
    document = parse_yaml(_join_surrogate_escapes(text), "")
    document.errors = [_move_line_into_message(problem) for problem in document.errors]
    return document


def _move_line_into_message(problem: Diagnostic) -> Diagnostic:
    """Return a problem of an option's text: its line is not that of a file."""
    text = f"line {problem.line}: {problem.message}" if problem.line else problem.message
    return problem._replace(message=text, line=0, column=0)


def _join_surrogate_escapes(text: str) -> str:
    """Return JSON as YAML reads it: without escapes of half a character, and with all escapes that YAML needs.

    Any other text is returned as it is.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # White space between two values.
    text = re.sub("\r(?!\n)", "\n", text)
    text = _SURROGATE_ESCAPE_RE.sub(lambda found: found[1] or f"\\U{_code_point(found[2], found[3]):08X}", text)
    return _ESCAPED_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04X}", text)


def _code_point(high: str, low: str) -> int:
    return 0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00
