"""The selection of entries by changed files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import PathSpec

from autonoma_ci.models import ChangeSummary
from autonoma_ci.planning.changed_files import ChangedFiles, ChangeSelector, compile_pattern, run_everything
from tests.support.processor_time import measure_processor_seconds

# A set with `!` or `^` is left out: in pathspec it matches a slash, which it does not in git.
PATTERN_PARTS = ["a", "b", "ab", "*", "**", "/", "?", "[ab]", "a/", "**/", "/**", "*/", ".", "\\*", " "]
PATTERNS = st.lists(st.sampled_from(PATTERN_PARTS), min_size=1, max_size=8).map("".join)
NAMES = st.text("ab*. ", min_size=1, max_size=4).filter(lambda name: name.strip(". "))
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)


def is_valid(pattern: str) -> bool:
    try:
        compile_pattern(pattern)
    except ValueError:
        return False
    return True


VALID_PATTERNS = PATTERNS.filter(is_valid)
SIGNED_PATTERNS = st.tuples(st.sampled_from(["", "!"]), VALID_PATTERNS).map("".join)


def changed(*paths: str, submodules: tuple[str, ...] = (), manifest: tuple[str, ...] = ()) -> ChangedFiles:
    """Return changed files without facts for reports."""
    return ChangedFiles(ChangeSummary(), frozenset((*paths, *submodules)), frozenset(submodules), frozenset(manifest))


@given(VALID_PATTERNS, PATHS)
def test_pattern_matches_like_pathspec(pattern: str, path: str) -> None:
    """A pattern without backtracking matches the same paths as the one of the library."""
    assert bool(compile_pattern(pattern)(path)) == PathSpec.from_lines("gitignore", [pattern]).match_file(path)


@given(st.lists(SIGNED_PATTERNS, max_size=5), st.lists(PATHS, max_size=6))
def test_selector_selects_like_pathspec(patterns: list[str], paths: list[str]) -> None:
    """An entry runs if the last matching pattern of any file includes it."""
    spec = PathSpec.from_lines("gitignore", patterns)
    assert ChangeSelector(changed(*paths)).selects(patterns) == any(map(spec.match_file, paths))


@given(st.lists(SIGNED_PATTERNS, min_size=1, max_size=4), st.lists(PATHS, min_size=1, max_size=6), st.data())
def test_fewer_files_never_select_more(patterns: list[str], paths: list[str], data: st.DataObject) -> None:
    """Removing a changed file never adds an entry."""
    fewer = data.draw(st.lists(st.sampled_from(paths)))
    assert ChangeSelector(changed(*fewer)).selects(patterns) <= ChangeSelector(changed(*paths)).selects(patterns)


@pytest.mark.parametrize(
    ("patterns", "path", "is_selected"),
    [
        (["services/checkout/**"], "services/checkout/a/b.py", True),
        (["services/checkout/**"], "services/checkout2/a.py", False),
        (["services/checkout"], "services/checkout/a/b.py", True),
        (["/README.md"], "docs/README.md", False),
        (["/README.md"], "README.md", True),
        (["/docs/*.md"], "docs/README.md", True),
        (["/docs/"], "docs/README.md", True),
        (["docs/"], "services/docs/README.md", True),
        (["/docs/"], "services/docs/README.md", False),
        (["README.md"], "docs/README.md", True),
        (["docs/*"], "docs/a/b.md", False),
        (["**", "!**/*.md"], "docs/a.md", False),
        (["**", "!**/*.md", "docs/a.md"], "docs/a.md", True),
        (["!**/*.md", "**"], "docs/a.md", True),
        (["*.txt"], "größe.txt", True),
        (["*.txt"], "lone-\udcff.txt", True),
        (["*.txt"], "line\nbreak.txt", True),
        (["a[!b]c"], "a/c", False),
        ([r"\!a"], "!a", True),
        ([r"with\ "], "with ", True),
        (["a b.txt"], "a b.txt", True),
        (["a.txt  "], "a.txt", True),
    ],
)
def test_selector_uses_last_match(patterns: list[str], path: str, is_selected: bool) -> None:
    """Patterns are relative to the top, and the last one that matches decides."""
    assert ChangeSelector(changed(path)).selects(patterns) is is_selected


@pytest.mark.parametrize(
    ("patterns", "is_selected"),
    [
        (["libs/sub"], True),
        (["libs/**"], True),
        (["libs/sub/**"], True),
        (["libs/sub/src/*.py"], True),
        (["libs/*/src/*.py"], True),
        (["**/*.py"], True),
        (["*.py"], True),
        (["libs/sub/**", "!**/*.md"], True),
        (["libs/sub/**", "!libs/sub/docs/**"], True),
        (["libs/**", "!libs/sub"], False),
        (["libs/**", "!libs/sub/**", "!libs/sub"], False),
        (["libs/other/**"], False),
        (["/sub/**"], False),
        (["libs/sub2/**"], False),
    ],
)
def test_submodule_matches_patterns_of_its_files(patterns: list[str], is_selected: bool) -> None:
    """Which files of a submodule changed is unknown, so each pattern for one of them matches."""
    assert ChangeSelector(changed(submodules=("libs/sub",))).selects(patterns) is is_selected


def test_selector_remembers_lists() -> None:
    """Many entries have the same patterns, and the result never changes."""
    selector = ChangeSelector(changed("docs/a.md"))
    assert [selector.selects(patterns) for patterns in (["docs/**"], ["src/**"]) * 2] == [True, False] * 2


def test_unknown_files_select_everything() -> None:
    """Without a list of files, every entry runs, and the summary has the reason."""
    files = run_everything("the clone is shallow.")
    selector = ChangeSelector(files)
    assert selector.selects_everything
    assert selector.selects(["nothing/**"])
    assert files.summary == ChangeSummary(full_run_reason="the clone is shallow.")


def test_no_files_select_nothing() -> None:
    """A build that changed no file selects no entry."""
    selector = ChangeSelector(changed(), ["**"])
    assert not selector.selects_everything
    assert not selector.selects(["**"])


@pytest.mark.parametrize(
    ("files", "always", "is_everything"),
    [
        (changed("package-lock.json"), ["package-lock.json"], True),
        (changed("web/package-lock.json"), ["/package-lock.json"], False),
        (changed("docs/a.md"), ["docs/**", "!*.md"], False),
        (changed("ci/autonoma.yml", manifest=("ci/autonoma.yml",)), [], True),
        (changed("ci/link.yml", manifest=("ci/autonoma.yml", "ci/link.yml")), [], True),
        (changed("other/autonoma.yml", manifest=("ci/autonoma.yml",)), [], False),
        (changed(submodules=("ci",), manifest=("ci/autonoma.yml",)), [], True),
        (changed(submodules=("c",), manifest=("ci/autonoma.yml",)), [], False),
    ],
)
def test_shared_files_select_everything(files: ChangedFiles, always: list[str], is_everything: bool) -> None:
    """A change of the manifest or of a file in `always` selects every entry."""
    selector = ChangeSelector(files, always)
    assert selector.selects_everything is is_everything
    assert selector.selects(["nothing/**"]) is is_everything


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 400 + "b",
        "**/" * 100 + "*a" * 300 + "b",
        "**/a*/" * 150 + "b",
        "a/**/" * 150 + "b",
        "?*" * 300 + "b",
        "[ab]*" * 200 + "c",
    ],
)
@pytest.mark.parametrize("path", ["a" * 4000, "a/" * 2000, "aa/" * 1300 + "a" * 255])
def test_hostile_pattern_is_fast(pattern: str, path: str) -> None:
    """Wildcards never try all combinations of places, which would take years."""
    matches = compile_pattern(pattern)
    assert not matches(path)
    assert measure_processor_seconds(lambda: matches(path), 0.5) < 0.5


def test_pattern_without_meaning_is_rejected() -> None:
    """A comment matches nothing, so it is an error and no pattern."""
    with pytest.raises(ValueError, match="no meaning"):
        compile_pattern("# comment")
