"""The path argument of `wait` and `report`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.integration.commands.test_report import write_results
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from pathlib import Path

PATH_ADVICE = "Use the results.json that an earlier step wrote to its results-dir, or this directory."
for_each_command = pytest.mark.parametrize("command", ["wait", "report"])


def get_refusal(folder: Path, command: str, path: str) -> str:
    result = invoke(folder, command, path, environ=CREDENTIALS)
    assert result.code == 2
    assert len(result.errors) == 1, result.errors
    return result.errors[0]


def start_run(folder: Path, url: str) -> CommandResult:
    environ = {**CREDENTIALS, "AUTONOMA_API_URL": url, "AUTONOMA_RESULTS_DIR": "out/e2e"}
    return invoke(folder, "run", "--test-ids", "sandbox-one", environ=environ)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["out/e2e", "out/e2e/", "./out/e2e", "out/e2e/results.json"])
def test_wait_accepts_results_folder(path: str, tmp_path: Path) -> None:
    """The path of the folder means its results.json."""
    with Sandbox() as sandbox:
        assert start_run(tmp_path, sandbox.url).code == 0
        result = invoke(tmp_path, "wait", path, environ={**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url})
    assert result.code == 0, result.output
    assert "1 of 1 run passed" in (tmp_path / "out/e2e/summary.md").read_text("utf-8")
    assert not (tmp_path / "out/e2e/results").exists()


def test_report_accepts_results_folder(tmp_path: Path) -> None:
    """The path of the folder means its results.json."""
    write_results(tmp_path / "results")
    result = invoke(tmp_path, "report", "results", "--format", "markdown")
    assert (result.code, result.output) == (0, "Wrote results/summary.md\n")


def test_report_accepts_working_directory(tmp_path: Path) -> None:
    """The path `.` means the results.json in the working directory."""
    result = invoke(write_results(tmp_path), "report", ".")
    assert (result.code, result.output) == (0, "Wrote report.html\n")


@for_each_command
def test_folder_error_names_results_below(command: str, tmp_path: Path) -> None:
    """The error names results files in subfolders and a command for one of them."""
    for part in (1, 2, 3, 4):
        write_results(tmp_path / "all" / f"part-{part}")
    assert get_refusal(tmp_path, command, "all") == (
        "The directory all has no results.json. Results files in it: all/part-1/results.json, all/part-2/results.json, "
        f"all/part-3/results.json and 1 more. Name one: autonoma-ci {command} all/part-1/results.json"
    )


@for_each_command
def test_folder_error_names_numbered_results(command: str, tmp_path: Path) -> None:
    """The error suggests a results file such as results.1.json."""
    write_results(tmp_path / "r")
    (tmp_path / "r/results.json").rename(tmp_path / "r/results.1.json")
    assert get_refusal(tmp_path, command, "r").endswith(f"Name one: autonoma-ci {command} r/results.1.json")


@for_each_command
def test_folder_error_lists_content(command: str, tmp_path: Path) -> None:
    """The error lists the files of the folder, without control characters."""
    (tmp_path / "r").mkdir()
    assert (
        get_refusal(tmp_path, command, "r")
        == f"The directory r has no results.json. The directory is empty. {PATH_ADVICE}"
    )
    for name in ("junit.xml", "b.txt", "c.txt", "d\x1b[31m.txt"):
        (tmp_path / "r" / name).touch()
    content = "Files in it: b.txt, c.txt, d\ufffd[31m.txt and 1 more"
    assert get_refusal(tmp_path, command, "r") == f"The directory r has no results.json. {content}. {PATH_ADVICE}"


@for_each_command
def test_missing_path_suggests_results(command: str, tmp_path: Path) -> None:
    """The error suggests the results.json in the working directory, if there is one."""
    assert get_refusal(tmp_path, command, "nope/results.json") == f"nope/results.json does not exist. {PATH_ADVICE}"
    write_results(tmp_path / "autonoma-results")
    suggestion = f"Did you mean: autonoma-ci {command} autonoma-results/results.json"
    assert get_refusal(tmp_path, command, "nope") == f"nope does not exist. {suggestion}"
    assert get_refusal(tmp_path, command, "autonoma-results/result.json").endswith(suggestion)


@for_each_command
@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("junit.xml", '<?xml version="1.0"?>\n<testsuites tests="0"></testsuites>', "a JUnit report, not results.json"),
        ("report.html", "\n<!doctype html>\n<html>", "a web page, not results.json"),
        ("summary.md", "### Autonoma tests: ✅ Passed", "not a results.json (no JSON object)"),
    ],
)
def test_other_result_file_names_results(command: str, name: str, text: str, kind: str, tmp_path: Path) -> None:
    """The error says what the file is, and names the results.json beside it."""
    (tmp_path / name).write_text(text, "utf-8")
    assert get_refusal(tmp_path, command, name) == f"{name} is {kind}. {PATH_ADVICE}"
    write_results(tmp_path / "r it")
    (tmp_path / "r it" / name).write_text(text, "utf-8")
    suggestion = f"Use: autonoma-ci {command} 'r it/results.json'"
    assert get_refusal(tmp_path, command, f"r it/{name}") == f"r it/{name} is {kind}. {suggestion}"


@for_each_command
def test_foreign_json_is_refused(command: str, tmp_path: Path) -> None:
    """The error names the missing field."""
    (tmp_path / "package.json").write_text('{"name": "x"}', "utf-8")
    reason = "invalid file (missing version). Use an unchanged results.json of autonoma-ci."
    assert get_refusal(tmp_path, command, "package.json") == f"package.json: {reason}"


@for_each_command
def test_other_format_version_is_refused(command: str, tmp_path: Path) -> None:
    """The error says that another version of autonoma-ci wrote results.json."""
    write_results(tmp_path / "r")
    path = tmp_path / "r/results.json"
    path.write_text(path.read_text("utf-8").replace('"version": 1', '"version": 2', 1), "utf-8")
    reason = "invalid file (format of another version of autonoma-ci). Use an unchanged results.json of autonoma-ci."
    assert get_refusal(tmp_path, command, "r") == f"r/results.json: {reason}"


@for_each_command
@pytest.mark.parametrize("text", ["[]", "[1, 2]"])
def test_json_array_is_refused(command: str, text: str, tmp_path: Path) -> None:
    """The error says that the file holds no JSON object."""
    (tmp_path / "x.json").write_text(text, "utf-8")
    reason = "invalid file (no JSON object). Use an unchanged results.json of autonoma-ci."
    assert get_refusal(tmp_path, command, "x.json") == f"x.json: {reason}"


@for_each_command
def test_empty_results_are_refused(command: str, tmp_path: Path) -> None:
    """The error says that the file is empty."""
    (tmp_path / "results.json").touch()
    error = get_refusal(tmp_path, command, "results.json")
    assert error == "results.json is empty. Use the results.json that an earlier step wrote to its results-dir."


@for_each_command
def test_link_outside_is_refused(command: str, tmp_path: Path) -> None:
    """The error names nothing outside of the working directory."""
    (tmp_path / "secret-name").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work/r").symlink_to(tmp_path, target_is_directory=True)
    error = get_refusal(tmp_path / "work", command, "r")
    assert error == "r: symbolic link leads outside of the working directory. Use the path without the link."


@for_each_command
def test_linked_subfolder_is_not_searched(command: str, tmp_path: Path) -> None:
    """Results files behind a symbolic link are not suggested."""
    write_results(tmp_path / "elsewhere")
    (tmp_path / "work/r").mkdir(parents=True)
    (tmp_path / "work/r/part-1").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert "Results files in it" not in get_refusal(tmp_path / "work", command, "r")


@for_each_command
@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_results_without_file_are_refused(command: str, kind: str, tmp_path: Path) -> None:
    """A folder or a dangling link named results.json is refused."""
    (tmp_path / "r").mkdir()
    if kind == "folder":
        (tmp_path / "r/results.json").mkdir()
    else:
        (tmp_path / "r/results.json").symlink_to("nowhere")
    assert get_refusal(tmp_path, command, "r").startswith("r/results.json is not a regular file, or is a broken link. ")


@for_each_command
def test_empty_path_is_refused(command: str, tmp_path: Path) -> None:
    """A variable that is not set gives an empty path."""
    write_results(tmp_path / "r")
    assert get_refusal(tmp_path, command, "") == f"The path of results.json is empty. {PATH_ADVICE}"


@pytest.mark.parametrize("is_results_file", [True, False])
def test_long_name_hides_partial_credential(is_results_file: bool, tmp_path: Path) -> None:
    """Redaction after the cut would miss the first characters of a credential."""
    name = "a" * (95 if is_results_file else 55) + CREDENTIALS["AUTONOMA_CLIENT_SECRET"]
    (tmp_path / "r" / name).mkdir(parents=True)
    if is_results_file:
        write_results(tmp_path / "r" / name)
    result = invoke(tmp_path, "wait", "r", environ=CREDENTIALS)
    assert result.code == 2
    assert "a***" in result.output
    assert CREDENTIALS["AUTONOMA_CLIENT_SECRET"][:8] not in result.output


@for_each_command
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipe_is_refused_at_once(command: str, tmp_path: Path) -> None:
    """A named pipe is refused without reading."""
    os.mkfifo(tmp_path / "pipe")
    assert get_refusal(tmp_path, command, "pipe").startswith(
        "pipe could not be read (no permission, not a regular file, or too large)."
    )


@for_each_command
@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", ""])
def test_invalid_path_is_refused(command: str, path: str, tmp_path: Path) -> None:
    """A path that the operating system does not accept has one error."""
    assert get_refusal(tmp_path, command, path)
