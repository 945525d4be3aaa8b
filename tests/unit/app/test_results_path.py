"""Tests of the path of results.json on the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.errors import InputError
from autonoma_ci.reports.results_json import render_results_json
from tests.support.reports import create_report, make_passed_run

if TYPE_CHECKING:
    from pathlib import Path

ADVICE = "Use the results.json that an earlier step wrote to its results-dir, or this directory."
RESULTS_JSON = render_results_json(create_report([make_passed_run("a")]))


def write_results(path: Path) -> None:
    """Write a results.json and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RESULTS_JSON, "utf-8")


def get_error(folder: Path, path: str, command: str = "wait") -> str:
    """Return the only error of a path."""
    with pytest.raises(InputError) as caught:
        find_results_file(path, str(folder), command)
    (diagnostic,) = caught.value.diagnostics
    return str(diagnostic)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("r/results.json", "r/results.json"),
        ("r", "r/results.json"),
        ("r/", "r/results.json"),
        ("./r", "r/results.json"),
        ("r/results.1.json", "r/results.1.json"),
        ("r/../r/results.json", "r/../r/results.json"),
    ],
)
def test_path_of_file_or_folder_is_found(path: str, expected: str, tmp_path: Path) -> None:
    """A folder means the results.json in it."""
    write_results(tmp_path / "r" / "results.json")
    write_results(tmp_path / "r" / "results.1.json")
    assert find_results_file(path, str(tmp_path), "wait") == expected


def test_absolute_path_is_found(tmp_path: Path) -> None:
    """An absolute path does not depend on the working directory."""
    write_results(tmp_path / "r" / "results.json")
    (tmp_path / "work").mkdir()
    path = find_results_file(str(tmp_path / "r"), str(tmp_path / "work"), "wait")
    assert path == str(tmp_path / "r" / "results.json")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b" \n\t{", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf\n", b"{<testsuite"]
)
def test_json_is_left_to_parser(content: bytes, tmp_path: Path) -> None:
    """A file that begins like JSON, or is empty, passes this check."""
    (tmp_path / "x.json").write_bytes(content)
    assert find_results_file("x.json", str(tmp_path), "wait") == "x.json"


def test_empty_path_is_error(tmp_path: Path) -> None:
    """A variable that is not set gives an empty path."""
    write_results(tmp_path / "results.json")
    assert get_error(tmp_path, "") == f"The path of results.json is empty. {ADVICE}"


# Missing files


def test_missing_path_without_results_has_advice(tmp_path: Path) -> None:
    """Without any results.json, the error suggests where it comes from."""
    assert get_error(tmp_path, "nope/x.json") == f"nope/x.json does not exist. {ADVICE}"


@pytest.mark.parametrize(
    ("existing_path", "path"),
    [
        ("r/results.json", "r/result.json"),
        ("results.json", "nope/results.json"),
        ("autonoma-results/results.json", "nope"),
        ("results/results.json", "nope/deep/x.json"),
    ],
)
def test_missing_path_suggests_usual_results(existing_path: str, path: str, tmp_path: Path) -> None:
    """The command of the suggestion can be copied."""
    write_results(tmp_path / existing_path)
    for command in ("wait", "report"):
        suggestion = f"Did you mean: autonoma-ci {command} {existing_path}"
        assert get_error(tmp_path, path, command) == f"{path} does not exist. {suggestion}"


def test_neighbor_precedes_usual_results(tmp_path: Path) -> None:
    """The results.json in the folder of the path is suggested first."""
    write_results(tmp_path / "results.json")
    write_results(tmp_path / "r" / "results.json")
    assert get_error(tmp_path, "r/x.json").endswith("autonoma-ci wait r/results.json")


def test_suggested_path_is_quoted_for_shell(tmp_path: Path) -> None:
    """A path with spaces or shell characters is one argument."""
    write_results(tmp_path / "a b;c" / "results.json")
    assert get_error(tmp_path, "a b;c/x.json").endswith("autonoma-ci wait 'a b;c/results.json'")


def test_results_behind_link_are_not_suggested(tmp_path: Path) -> None:
    """A results.json outside of the working directory is not suggested."""
    write_results(tmp_path / "other" / "results.json")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "results").symlink_to(tmp_path / "other", target_is_directory=True)
    assert get_error(tmp_path / "work", "nope") == f"nope does not exist. {ADVICE}"


def test_dangling_link_counts_as_file(tmp_path: Path) -> None:
    """The parser reports a dangling link, because it exists."""
    (tmp_path / "x.json").symlink_to("nowhere")
    assert find_results_file("x.json", str(tmp_path), "wait") == "x.json"


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
def test_invalid_path_is_error(path: str, tmp_path: Path) -> None:
    """A path that the system refuses is an error of the input."""
    error = get_error(tmp_path, path)
    assert error.endswith(f". {ADVICE}")
    assert len(error) < 500
    assert "\0" not in error


def test_path_with_controls_is_escaped(tmp_path: Path) -> None:
    """The error has no control characters of the path."""
    error = get_error(tmp_path, "a\x1b[31m\nb")
    assert error == f"a\ufffd[31m b does not exist. {ADVICE}"


def test_link_outside_is_refused(tmp_path: Path) -> None:
    """The error has no content of the folder outside."""
    write_results(tmp_path / "other" / "results.json")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "r").symlink_to(tmp_path / "other", target_is_directory=True)
    reason = "symbolic link leads outside of the working directory. Use the path without the link."
    assert get_error(tmp_path / "work", "r") == f"r: {reason}"
    assert get_error(tmp_path / "work", "r/results.json") == f"r/results.json: {reason}"


# Folders


def test_empty_folder_is_error(tmp_path: Path) -> None:
    """The error states that the folder is empty."""
    (tmp_path / "r").mkdir()
    assert get_error(tmp_path, "r") == f"The directory r has no results.json. The directory is empty. {ADVICE}"


@pytest.mark.parametrize("count", [1, 3, 4])
def test_folder_without_results_lists_entries(count: int, tmp_path: Path) -> None:
    """Three names are shown, and the others are counted."""
    (tmp_path / "r").mkdir()
    for name in ("c.txt", "a\x1b.txt", "b.txt", "d.txt")[:count]:
        (tmp_path / "r" / name).touch()
    listed_names = {1: "c.txt", 3: "a\ufffd.txt, b.txt, c.txt", 4: "a\ufffd.txt, b.txt, c.txt and 1 more"}[count]
    assert get_error(tmp_path, "r") == f"The directory r has no results.json. Files in it: {listed_names}. {ADVICE}"


def test_folder_error_counts_200_entries(tmp_path: Path) -> None:
    """A large folder is read only in part."""
    (tmp_path / "r").mkdir()
    for number in range(210):
        (tmp_path / "r" / f"{number}.txt").touch()
    assert " and 197 more. " in get_error(tmp_path, "r")


@pytest.mark.parametrize("parts", [1, 3, 5])
def test_folder_error_names_results_below(parts: int, tmp_path: Path) -> None:
    """Three results files in subfolders are shown, and the first one is suggested."""
    for part in range(1, parts + 1):
        write_results(tmp_path / "all" / f"p{part}" / "results.json")
    listed_paths = ", ".join(f"all/p{part}/results.json" for part in range(1, min(parts, 3) + 1))
    rest_count = " and 2 more" if parts == 5 else ""
    assert get_error(tmp_path, "all", "report") == (
        f"The directory all has no results.json. Results files in it: {listed_paths}{rest_count}. "
        "Name one: autonoma-ci report all/p1/results.json"
    )


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        ("results.1.json", True),
        ("a/results.json", True),
        ("a/b/results.json", True),
        ("a/b/c/results.json", False),
        ("other.json", False),
        ("results.txt", False),
    ],
)
def test_results_are_searched_two_folders_deep(name: str, is_found: bool, tmp_path: Path) -> None:
    """Only files with the name of a results file count, at most two folders below."""
    write_results(tmp_path / "r" / name)
    error = get_error(tmp_path, "r")
    assert (f"Results files in it: r/{name}. " in error) == is_found


def test_other_json_is_no_results(tmp_path: Path) -> None:
    """A file of another program with such a name is not suggested."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "results-of-others.json").write_text('{"version": 1}', "utf-8")
    assert get_error(tmp_path, "r").startswith(
        "The directory r has no results.json. Files in it: results-of-others.json. "
    )


def test_linked_folder_is_not_searched(tmp_path: Path) -> None:
    """Results files behind a symbolic link are not suggested."""
    write_results(tmp_path / "other" / "results.json")
    (tmp_path / "work" / "r").mkdir(parents=True)
    (tmp_path / "work" / "r" / "link").symlink_to(tmp_path / "other", target_is_directory=True)
    assert "Files in it: link." in get_error(tmp_path / "work", "r")


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_results_that_are_no_file_are_error(kind: str, tmp_path: Path) -> None:
    """A folder or a dangling link named results.json is refused."""
    (tmp_path / "r").mkdir()
    results_json = tmp_path / "r" / "results.json"
    results_json.mkdir() if kind == "folder" else results_json.symlink_to("nowhere")
    assert get_error(tmp_path, "r") == f"r/results.json is not a regular file, or is a broken link. {ADVICE}"


def test_unreadable_folder_counts_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose entries can't be listed is an error of the input."""

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "r").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    assert get_error(tmp_path, "r") == f"The directory r has no results.json. The directory is empty. {ADVICE}"


# Files of other kinds


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'<?xml version="1.0"?>\n<testsuites tests="0"/>', "a JUnit report, not results.json"),
        (b"<TESTSUITE>", "a JUnit report, not results.json"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page, not results.json"),
        (b"<html>", "a web page, not results.json"),
        (b"### Passed", "not a results.json (no JSON object)"),
        (b"\x00\xff\xfe", "not a results.json (no JSON object)"),
        (b"<?xml" + b" " * 1000 + b"<testsuite>", "not a results.json (no JSON object)"),
    ],
)
def test_file_of_other_kind_is_error(content: bytes, kind: str, tmp_path: Path) -> None:
    """The error names the kind, and a results.json beside the file."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "x").write_bytes(content)
    assert get_error(tmp_path, "r/x") == f"r/x is {kind}. {ADVICE}"
    write_results(tmp_path / "r" / "results.json")
    assert get_error(tmp_path, "r/x", "report") == f"r/x is {kind}. Use: autonoma-ci report r/results.json"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_named_pipe_is_not_read(tmp_path: Path) -> None:
    """A pipe without a writer does not stop this check."""
    os.mkfifo(tmp_path / "pipe")
    assert find_results_file("pipe", str(tmp_path), "wait") == "pipe"
