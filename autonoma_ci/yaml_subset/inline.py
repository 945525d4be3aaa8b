"""Parse option values that are written in YAML or JSON."""

from __future__ import annotations

import json
import re

from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.yaml_subset.document import Document, explain_non_string
from autonoma_ci.yaml_subset.parser import parse_yaml

# Characters that JSON allows unescaped in quotes. YAML needs an escape for them, or treats them as the end of a line.
_NEEDS_ESCAPE_IN_YAML_RE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
# An escaped backslash matches first, so that the text behind it does not count as an escape.
_SURROGATE_ESCAPE_RE = re.compile(r"(\\\\)|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


def parse_yaml_mapping(text: str) -> tuple[dict[str, str], list[Diagnostic]]:
    """Return the variables of a YAML or JSON mapping, and its errors."""
    document = parse_option_yaml(text)
    errors = document.errors
    variables: dict[str, str] = {}
    if not isinstance(document.tree, dict):
        return {}, errors or [Diagnostic("not a mapping. Write NAME=value lines, or `NAME: value` lines.")]
    for key, value in document.tree.items():
        if isinstance(value, str):
            variables[key] = value
        else:
            line, _ = document.find_position((key,))
            errors.append(Diagnostic(f"line {line}: '{sanitize_line(key, 60)}' {explain_non_string(value)}"))
    return variables, errors


def parse_option_yaml(text: str) -> Document:
    """Parse the text of an option.

    Error messages contain the line number, because the text is not in a file.
    """
    document = parse_yaml(_rewrite_json_for_yaml(text), "")
    document.errors = [_move_line_into_message(error) for error in document.errors]
    return document


def _move_line_into_message(error: Diagnostic) -> Diagnostic:
    """Move the line of an error into its message.

    The line of an option's text is not a line of a file.
    """
    message = f"line {error.line}: {error.message}" if error.line else error.message
    return error._replace(message=message, line=0, column=0)


def _rewrite_json_for_yaml(text: str) -> str:
    """Rewrite the escapes of JSON so that YAML can parse it.

    Each pair of surrogate escapes becomes one escape, and characters that YAML does not allow are escaped. Text that is
    not JSON stays unchanged.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # In JSON, a carriage return can only be white space between two values.
    text = re.sub("\r(?!\n)", "\n", text)
    text = _SURROGATE_ESCAPE_RE.sub(lambda found: found[1] or f"\\U{_combine_surrogates(found[2], found[3]):08X}", text)
    return _NEEDS_ESCAPE_IN_YAML_RE.sub(lambda found: f"\\u{ord(found[0]):04X}", text)


def _combine_surrogates(high: str, low: str) -> int:
    return 0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00
