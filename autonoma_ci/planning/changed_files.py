"""Select the entries of a manifest by the changed files of a build.

Patterns are those of a gitignore file, relative to the top of the repository. The last pattern that matches a file
decides about the file.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import takewhile
from typing import TYPE_CHECKING

from autonoma_ci.models import ChangeSummary
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# The parts of a regular expression of pathspec that match texts of any length.
_ANY_PARENTS, _ANY_MIDDLE, _ANY_CHARS = "(?:.+/)?", "(?:/.+)?", "[^/]*"
_ANY_DIRECTORIES_RE = re.compile(f"({re.escape(_ANY_PARENTS)}|{re.escape(_ANY_MIDDLE)})")
_LAZY_FORMS = {_ANY_PARENTS: "(?:.+?/)??", _ANY_MIDDLE: "(?:/.+?)??"}
# An escaped character, one character of a name, or a set such as `[a-z]`. A set can begin with `]`.
_CHARACTER_OR_SET_RE = re.compile(r"\\.|\[\^/\]|(?P<set>\[\^?\]?[^\]]*\])", re.DOTALL)
# The text of a pattern before the first character with a meaning.
_LITERAL_START_RE = re.compile(r"[^*?\[\\\s]*")


class ChangedFiles(NamedTuple):
    """The changed files of a build. Paths are relative to the top of the repository."""

    summary: ChangeSummary
    # The changed files, with both names of a renamed file. None if they are unknown or not used, so that every entry
    # runs.
    paths: frozenset[str] | None = None
    # The changed submodules. Which of their files changed is unknown.
    submodules: frozenset[str] = frozenset()
    # The paths of the manifest. A link to the manifest has a path of its own.
    manifest_paths: frozenset[str] = frozenset()


def run_everything(reason: str | None = None) -> ChangedFiles:
    """Return changed files that select every entry.

    Args:
        reason: Why every entry runs, for reports. None if the option `changed-files` requires it.

    """
    return ChangedFiles(ChangeSummary(full_run_reason=reason))


class ChangeSelector:
    """Decides which entries run for the changed files.

    Args:
        changed: The changed files.
        always: The patterns of the files whose change selects every entry.
    """

    def __init__(self, changed: ChangedFiles, always: Sequence[str] = ()) -> None:
        self._paths = sorted(changed.paths or ())
        self._text = "\n".join(self._paths)
        self._submodules = sorted(changed.submodules)
        # For each pattern, one bit for each file and then one for each submodule.
        self._matches: dict[str, int] = {}
        # Many entries have equal lists.
        self._selected: dict[tuple[str, ...], bool] = {}
        self.selects_everything = (
            changed.paths is None
            or not changed.paths.isdisjoint(changed.manifest_paths)
            or self._has_manifest_in_submodule(changed.manifest_paths)
            or self._matches_any_file(tuple(always))
        )

    def selects(self, patterns: Sequence[str]) -> bool:
        """Return whether an entry with these patterns runs."""
        if self.selects_everything:
            return True
        key = tuple(patterns)
        if key not in self._selected:
            self._selected[key] = self._matches_any_file(key)
        return self._selected[key]

    def _has_manifest_in_submodule(self, paths: Iterable[str]) -> bool:
        return any(path.startswith(f"{submodule}/") for path in paths for submodule in self._submodules)

    def _matches_any_file(self, patterns: tuple[str, ...]) -> bool:
        matched = 0
        for pattern in patterns:
            if pattern not in self._matches:
                self._matches[pattern] = self._find_matches(pattern)
            bits = self._matches[pattern]
            matched = matched & ~bits if pattern.startswith("!") else matched | bits
        return bool(matched)

    def _find_matches(self, pattern: str) -> int:
        """Return the bits of the files and submodules that a pattern matches."""
        matches = compile_pattern(pattern)
        candidates = self._find_candidates(pattern)
        bits = _join_bits(map(matches, self._paths[candidates.start : candidates.stop])) << candidates.start
        # A pattern excludes a submodule only with all its files, and includes it with any of them.
        is_excluding = pattern.startswith("!")
        submodule_matches = (
            matches(f"{submodule}/") if is_excluding else _can_match_below(pattern, submodule)
            for submodule in self._submodules
        )
        return bits | _join_bits(submodule_matches) << len(self._paths)

    def _find_candidates(self, pattern: str) -> range:
        """Return the indexes of the paths that a pattern can match.

        A plan can have hundreds of patterns and thousands of paths. Most patterns match no path.
        """
        if _find_required_text(pattern) not in self._text:
            return range(0)
        start = _literal_start(pattern)
        # No character is greater than the last one, so the paths between these places begin with the text.
        end = bisect_left(self._paths, start + "\U0010ffff") if start else len(self._paths)
        return range(bisect_left(self._paths, start), end)


def _join_bits(values: Iterable[object]) -> int:
    """Return a number with one bit for each value, the lowest one first."""
    digits = ["1" if value else "0" for value in values]
    return int("".join(reversed(digits)) or "0", 2)


def compile_pattern(pattern: str) -> Callable[[str], object]:
    """Return a function that tells whether a path matches a pattern.

    The function ignores a `!` before the pattern. Its time grows at most with the length of the path times the length
    of the pattern.

    Raises:
        ValueError: The pattern is invalid.

    """
    # Loaded only here, because the import takes 15 ms.
    from pathspec.patterns.gitignore.basic import GitIgnoreBasicPattern

    regex, _ = GitIgnoreBasicPattern.pattern_to_regex(pattern)
    if regex is None:
        raise ValueError("the pattern has no meaning")
    return re.compile(_remove_backtracking(regex), re.DOTALL).search


def _remove_backtracking(regex: str) -> str:
    """Return the regular expression of a pattern with an atomic group for each wildcard.

    A wildcard can stop at the first place where the text up to the next wildcard matches. Another place can't help the
    rest of the pattern. Without the groups, Python tries all places of all wildcards, which takes years for
    `*a*a*a*a*a*a*b`.
    """
    # A set matches no slash, because a wildcard ends at one. This is also what git does.
    regex = _CHARACTER_OR_SET_RE.sub(lambda match: f"(?!/){match[0]}" if match["set"] else match[0], regex)
    first, *rest = _ANY_DIRECTORIES_RE.split(regex)
    # The text between two `**` ends at the end of a name.
    parts = [first + ("(?=/)" if rest and rest[0] == _ANY_MIDDLE else "")]
    wildcards, texts = rest[::2], rest[1::2]
    for index, text in enumerate(texts, 1):
        parts.append(text + ("(?=/)" if index < len(texts) else ""))
    groups = [_make_stars_atomic(part) for part in parts]
    return groups[0] + "".join(
        f"(?>{_LAZY_FORMS[wildcard]}{group})" for wildcard, group in zip(wildcards, groups[1:], strict=True)
    )


def _make_stars_atomic(regex: str) -> str:
    first, *rest = regex.split(_ANY_CHARS)
    return first + "".join(f"(?>[^/]*?{text})" for text in rest)


def _literal_start(pattern: str) -> str:
    """Return the text with which every matching path begins."""
    path = pattern.removeprefix("!")
    if not _is_relative_to_top(path):
        return ""
    match = _LITERAL_START_RE.match(path.removeprefix("/"))
    # The slash at the end of `docs/` is a part of each path below it.
    return match[0] if match else ""


def _find_required_text(pattern: str) -> str:
    """Return a text that every matching path contains, or an empty text."""
    path = pattern.removeprefix("!").rstrip()
    return "" if "[" in path or "\\" in path else max(re.split(r"[*?/]", path), key=len)


def _is_relative_to_top(path: str) -> bool:
    """Return whether a pattern matches only from the top of the repository."""
    return "/" in path.rstrip("/")


def _can_match_below(pattern: str, submodule: str) -> bool:
    """Return whether a pattern can match a file of a submodule."""
    if not _is_relative_to_top(pattern):
        return True
    # The names before a `**`, and at most as many as those of the submodule, must match the submodule or its parents.
    names = list(takewhile(lambda name: name != "**", pattern.strip("/").split("/")))[: submodule.count("/") + 1]
    return not names or bool(compile_pattern("/" + "/".join(names))(f"{submodule}/"))
