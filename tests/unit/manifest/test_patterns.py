"""Tests of the check of patterns for changed files."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pathspec import PathSpec

from autonoma_ci.manifest.patterns import MAX_PATTERN_CHARS, find_pattern_error, find_pattern_list_error
from tests.support.processor_time import measure_processor_seconds

_patterns = st.text(st.sampled_from("ab/*?[]!-^#\\. :$"), max_size=12) | st.text(max_size=20)


@pytest.mark.parametrize(
    "pattern",
    [
        *("docs/**", "**/*.md", "!**/*.md", "/package.json", "*.md", "src/", "**", "a/**/b/**", "[a-z]*.py", "[!a]"),
        *(r"\#notes", r"\!important", "$id.tsx", "routes/$.tsx", "app/[id]/page.tsx", "name with spaces.txt", "ü/**"),
        *(
            "a#b",
            "a!",
            r"a\ ",
            r"\*",
            r"a\\",
            ".github/**",
            "...",
            "a.b",
            "{{name}}/**",
            "a, b.txt",
            "app/(a)/*",
            "**.js",
            "a:b",
            "[a",
            "*-*.test.*",
        ),
    ],
)
def test_valid_pattern_has_no_error(pattern: str) -> None:
    """A pattern that selects files is valid."""
    assert find_pattern_error(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "empty pattern. Write a path such as docs/**, or remove the pattern."),
        (" \t", "empty pattern. Write a path such as docs/**, or remove the pattern."),
        ("\xa0", "empty pattern. Write a path such as docs/**, or remove the pattern."),
        ("!", "pattern without a path: '!'. Write a path after '!'."),
        ("! ", "pattern without a path: '! '. Write a path after '!'."),
        ("# docs", r"pattern is a comment: '# docs'. Write \# for a name that begins with '#'."),
        ("a\\", r"pattern ends with a backslash: 'a\'. Remove the backslash."),
        ("!\\", r"pattern ends with a backslash: '!\'. Remove the backslash."),
        ("a\\\\\\", r"pattern ends with a backslash: 'a\\\'. Remove the backslash."),
        (r"src\app", r"backslash in a pattern: 'src\app'. Write / between directories."),
        (r"\app", r"backslash in a pattern: '\app'. Write / between directories."),
        ("/", "pattern without a file name: '/'. Remove a slash, or write ** for all files."),
        ("!/", "pattern without a file name: '!/'. Remove a slash, or write ** for all files."),
        ("a//b", "pattern without a file name: 'a//b'. Remove a slash, or write ** for all files."),
        ("./a", "relative pattern: './a'. Write the path from the top of the repository, without . and .. in it."),
        ("!../a", "relative pattern: '!../a'. Write the path from the top of the repository, without . and .. in it."),
        ("a/..", "relative pattern: 'a/..'. Write the path from the top of the repository, without . and .. in it."),
        (" a/**", "white space before a path: ' a/**'. Remove it."),
        ("! a/**", "white space before a path: '! a/**'. Remove it."),
        ("a/*.{js,ts}", "alternatives in a pattern: 'a/*.{js,ts}'. Write one pattern for each."),
        ("a/{1..9}", "alternatives in a pattern: 'a/{1..9}'. Write one pattern for each."),
        ("a/@(b|c)/**", "alternatives in a pattern: 'a/@(b|c)/**'. Write one pattern for each."),
        ("a/**,b/**", "several patterns in one: 'a/**,b/**'. Write each one as an item of the list."),
        ("a/** b/**", "several patterns in one: 'a/** b/**'. Write each one as an item of the list."),
        ("a, *.md", "several patterns in one: 'a, *.md'. Write each one as an item of the list."),
        ("src/**.js", "** inside a name: 'src/**.js'. Write **/ before the name for any directory."),
        ("*a*b*c*", "more than 3 * in a name of a pattern: '*a*b*c*'. Use fewer."),
        ("**/a/**/b/**/c/**/d", "more than 3 **/ in a pattern: '**/a/**/b/**/c/**/d'. Use fewer."),
        ("[[:alpha:]]", "unsupported character class: '[[:alpha:]]'. Write a range such as [a-z]."),
        ("[z-a]", "invalid brackets or backslash: '[z-a]'. Write a range such as [a-z]."),
        ("[a--b]", "invalid brackets or backslash: '[a--b]'. Write a range such as [a-z]."),
        ("a\x00b", "control character in a pattern: 'a\ufffdb'. Remove it, or write ? in its place."),
        ("a\nb", "control character in a pattern: 'a b'. Remove it, or write ? in its place."),
        ("x" * (MAX_PATTERN_CHARS + 1), f"pattern longer than 1,000 characters: '{'x' * 59}…'. Shorten it."),
    ],
)
def test_broken_pattern_has_message(pattern: str, message: str) -> None:
    """A pattern that can select no file, or not what its author expects, has a message with a remedy."""
    assert find_pattern_error(pattern) == message


@given(_patterns)
@example("!#\\/")
@example("\\/")
def test_valid_pattern_always_compiles(pattern: str) -> None:
    """The library accepts each valid pattern, without a warning."""
    if find_pattern_error(pattern) is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            [compiled] = PathSpec.from_lines("gitignore", [pattern]).patterns
        assert compiled.include is not None


@pytest.mark.parametrize("pattern", ["*a*a*b", "**/a/**/a/**/b", "!*a*a*b"])
def test_slowest_valid_pattern_is_fast(pattern: str) -> None:
    """The limits of wildcards bound the time of one match, in seconds of the processor."""
    assert find_pattern_error(pattern) is None
    spec = PathSpec.from_lines("gitignore", [pattern])
    paths = ["a" * 255, "a/" * 200 + "c"]
    assert not list(spec.match_files(paths))
    assert measure_processor_seconds(lambda: list(spec.match_files(paths)), 2.0) < 2.0


@pytest.mark.parametrize(
    ("patterns", "has_error"),
    [(["!a"], True), (["!a", "!b"], True), (["a", "!b"], False), (["!b", "a"], False), ([], False)],
)
def test_list_with_only_exclusions_is_error(patterns: list[str], *, has_error: bool) -> None:
    """A list of exclusions alone selects no file."""
    expected = "every pattern begins with '!', so no file matches. Write '**' before them."
    assert find_pattern_list_error(patterns) == (expected if has_error else None)
