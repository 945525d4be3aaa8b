"""Check the patterns of `when.changed` and `always`.

The patterns are those of a gitignore file. The library pathspec accepts more texts than that, and some of them have
another meaning than their authors expect. Source: https://git-scm.com/docs/gitignore#_pattern_format.
"""

from __future__ import annotations

import re
import warnings

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.startup import lazy_pattern

MAX_PATTERN_CHARS = 1000
# A regular expression tries all positions of each wildcard, so the time grows with every one. Measured with pathspec
# 1.1: a name of 255 characters needs 3 ms with three `*`, 0.2 s with four and 10 s with five. A path of 400 directories
# needs 0.2 s with three `**/` and 25 s with four.
MAX_WILDCARDS_PER_NAME = 3
MAX_DIRECTORY_WILDCARDS = 3
_CONTROL_CHARACTER_RE = lazy_pattern("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# A backslash makes the next character literal. Letters and digits are literal anyway, so it is a separator of Windows.
_SEPARATOR_OF_WINDOWS_RE = lazy_pattern(r"(?:^|[^\\])(?:\\\\)*\\[A-Za-z0-9_]")
# Forms of other tools, which are literal in a gitignore file: alternatives, and several patterns in one text.
_ALTERNATIVES_RE = lazy_pattern(r"(?<!\\)\{[^{}]*(?:,|\.\.)[^{}]*\}|(?<!\\)[@!+*?]\([^()]*\|[^()]*\)")
_SEVERAL_PATTERNS_RE = lazy_pattern(r"\*[,;\s]+[^,;\s]|[,;]\s*[*!]")
_POSIX_CLASS_RE = lazy_pattern(r"\[!?\[[:.=]")


def find_pattern_error(pattern: str) -> str | None:
    """Return the problem of a pattern for changed files, or None.

    The problem is a complete message, and it quotes the pattern.
    """
    quoted = f"'{sanitize_line(pattern, 60)}'"
    if not pattern.strip():
        return "empty pattern. Write a path such as docs/**, or remove the pattern."
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"pattern longer than {MAX_PATTERN_CHARS:,} characters: {quoted}. Shorten it."
    if _CONTROL_CHARACTER_RE.search(pattern):
        return f"control character in a pattern: {quoted}. Remove it, or write ? in its place."
    if pattern.startswith("#"):
        return rf"pattern is a comment: {quoted}. Write \# for a name that begins with '#'."
    return _find_path_error(pattern.removeprefix("!"), quoted)


def find_pattern_list_error(patterns: list[str]) -> str | None:
    """Return the problem of a list of valid patterns, or None."""
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        return "every pattern begins with '!', so no file matches. Write '**' before them."
    return None


def _find_path_error(path: str, quoted: str) -> str | None:
    """Return the problem of a pattern without its `!`, or None."""
    if not path.strip():
        return f"pattern without a path: {quoted}. Write a path after '!'."
    if len(path) - len(path.rstrip("\\")) & 1:
        return f"pattern ends with a backslash: {quoted}. Remove the backslash."
    if _SEPARATOR_OF_WINDOWS_RE.search(path):
        return f"backslash in a pattern: {quoted}. Write / between directories."
    if "//" in path or path == "/":
        return f"pattern without a file name: {quoted}. Remove a slash, or write ** for all files."
    names = path.split("/")
    if not {".", ".."}.isdisjoint(names):
        return f"relative pattern: {quoted}. Write the path from the top of the repository, without . and .. in it."
    return _find_foreign_form(path, quoted) or _find_wildcard_error(names, quoted) or _find_bracket_error(path, quoted)


def _find_foreign_form(path: str, quoted: str) -> str | None:
    """Return the problem of a form that other tools read differently, or None."""
    if path[0].isspace():
        return f"white space before a path: {quoted}. Remove it."
    if _ALTERNATIVES_RE.search(path):
        return f"alternatives in a pattern: {quoted}. Write one pattern for each."
    if _SEVERAL_PATTERNS_RE.search(path):
        return f"several patterns in one: {quoted}. Write each one as an item of the list."
    return None


def _find_wildcard_error(names: list[str], quoted: str) -> str | None:
    if names[:-1].count("**") > MAX_DIRECTORY_WILDCARDS:
        return f"more than {MAX_DIRECTORY_WILDCARDS} **/ in a pattern: {quoted}. Use fewer."
    # Without another slash, the pattern matches a name in any directory.
    if names[1:] and any("**" in name and name != "**" for name in names):
        return f"** inside a name: {quoted}. Write **/ before the name for any directory."
    if any(name.count("*") > MAX_WILDCARDS_PER_NAME for name in names):
        return f"more than {MAX_WILDCARDS_PER_NAME} * in a name of a pattern: {quoted}. Use fewer."
    return None


def _find_bracket_error(path: str, quoted: str) -> str | None:
    if _POSIX_CLASS_RE.search(path):
        return f"unsupported character class: {quoted}. Write a range such as [a-z]."
    return None if _can_compile(path) else f"invalid brackets or backslash: {quoted}. Write a range such as [a-z]."


def _can_compile(path: str) -> bool:
    """Return whether the library can use a pattern."""
    if "[" not in path and "\\" not in path:
        return True
    # Loaded only for these patterns, because the import takes milliseconds.
    from pathspec import PathSpec

    try:
        # Python warns about sets that can change their meaning.
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            # With `!`, because a path that begins with `#` would be a comment.
            PathSpec.from_lines("gitignore", [f"!{path}"])
    except (ValueError, re.error, FutureWarning):
        return False
    return True
