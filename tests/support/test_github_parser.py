"""Test the parsers of GitHub's commands, outputs and Markdown, and the search for other systems' commands."""

from __future__ import annotations

import pytest

from tests.support.github_parser import (
    Command,
    FileCommandError,
    find_commands,
    find_foreign_commands,
    find_masks,
    parse_outputs,
    split_cells,
    split_lines,
)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("::error::text", [Command("error", "text")]),
        ("  \xa0::ERROR title=a%3Ab,line=2::50%25%0Aof", [Command("error", "50%\nof", {"title": "a:b", "line": "2"})]),
        ("text ##[set-output name=a]b", [Command("set-output", "b")]),
        ("text\r::stop-commands::x", [Command("stop-commands", "x")]),
        ("a\r\n::debug::x\n::endgroup::", [Command("debug", "x"), Command("endgroup", "")]),
        ("::unknown::x", []),
        ("text ::error::x", []),
        ("::error", []),
        ("\u200b::error::x", []),
        ("##[unknown]x", []),
        ("##[error", []),
    ],
)
def test_commands_are_found_like_runner(log: str, expected: list[Command]) -> None:
    """The parser finds the commands that GitHub's runner executes."""
    assert find_commands(log) == expected


def test_lines_end_like_dot_net() -> None:
    """Only the line breaks of .NET end a line."""
    assert split_lines("a\nb\rc\r\nd\u2028e") == ["a", "b", "c", "d\u2028e"]


def test_masks_cover_each_line() -> None:
    """A mask of several lines hides each of them."""
    assert find_masks("::add-mask::first%0Asecond\n") == {"first\nsecond", "first", "second"}


def test_outputs_are_read_like_runner() -> None:
    """The parser reads values and heredocs of GITHUB_OUTPUT."""
    assert parse_outputs("a=b=<<c\n\nd<<E\nx\n\ny=z\nE\nf=\ne<<E\nE\n") == {
        "a": "b=<<c",
        "d": "x\n\ny=z",
        "f": "",
        "e": "",
    }


@pytest.mark.parametrize("file", ["word\n", "=a\n", "<<E\nE\n", "a<<\n\n", "a<<E", "a<<E\nb\n", "a<<E\nb"])
def test_invalid_outputs_are_refused(file: str) -> None:
    """A file that the runner refuses is an error."""
    with pytest.raises(FileCommandError):
        parse_outputs(file)


@pytest.mark.parametrize(
    ("log", "system"),
    [
        ("x ##VSO[task.complete]", "azure"),
        ("x ##[group]a", "azure, for looks"),
        ("##teamcity[x]", "teamcity"),
        ("section_start:1:a[collapsed=true]\r\x1b[0Kx", "gitlab"),
        ("\x1b[31m", "a terminal"),
        ("a\r--- b", "buildkite"),
        ("+++ b", "buildkite"),
        ("^^^ +++", "buildkite"),
        ("travis_fold:start:a", "travis"),
    ],
)
def test_commands_of_other_systems_are_found(log: str, system: str) -> None:
    """The check names the CI system that would execute a command."""
    assert system in find_foreign_commands(log)


def test_cells_are_counted_like_github() -> None:
    """An escaped pipe does not end a table cell."""
    assert split_cells("| a | b\\|c | d\\\\ | |") == ["a", "b\\|c", "d\\\\", ""]
    assert len(split_cells("| a | b\\\\|c |")) == 3
