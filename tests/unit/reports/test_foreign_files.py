"""Tests of files of other programs in the results folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.gitlab import render_job_links
from autonoma_ci.fs.files import Directory
from autonoma_ci.models import BuildContext, BuildIdRules
from autonoma_ci.reports import foreign_files
from autonoma_ci.reports.foreign_files import find_foreign_files, is_results_file, rename_foreign_files
from autonoma_ci.reports.other_results import SharedResults
from autonoma_ci.reports.results_dir import ResultsDirPublisher
from autonoma_ci.sandbox import Sandbox
from tests.support.fake_clock import FakeClock
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    STARTED_VERDICT,
    TIMED_OUT_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_indeterminate_run,
    make_passed_run,
    make_planned_run,
    make_rejected_run,
    make_results_dir,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import Report

FOREIGN_FILES = {
    "results.json": '{"suites":"playwright"}',
    "outputs.env": "TOKEN_OF_DEPLOY=1\n",
    "summary.md": "### pytest: ✅ Passed\n\nall of it\n",
    "junit.xml": '<testsuite name="pytest"><testcase name="a" classname="autonoma.tests" time="1"/></testsuite>',
    "report.html": "<!DOCTYPE html>\n<html><footer><p>pytest</p></footer></body></html>\n",
    "gitlab-annotations.json": '{"Coverage": [{"external_link": {"label": "Report", "url": "https://a.test"}}]}',
}
GITLAB = {**CREDENTIALS, "GITLAB_CI": "true", "AUTONOMA_RESULTS_DIR": "reports", "CI_PIPELINE_ID": "5"}
COMMANDS = {
    "dry run": (["run", "--dry-run", "--test-ids", "a"], 0),
    "refused input": (["run", "--test-ids", "a", "--timeout", "soon"], 2),
    "refused command line": (["run", "--test-ids", "a", "--no-such-option"], 2),
    "run": (["run", "--test-ids", "a"], 0),
}
REPORTS = {
    "begun": create_report([], None),
    "starting": create_report([make_planned_run("a"), make_started_run("b")], None),
    "started": create_report([make_started_run("a", "A & B"), make_indeterminate_run("b")], STARTED_VERDICT),
    "waiting": create_report([make_started_run("a")], None)._replace(waits_for_results=True),
    "passed": create_report([make_passed_run("a"), make_flaky_run("b")], PASSED_VERDICT)._replace(
        waits_for_results=True
    ),
    "failed": create_report(
        [make_failed_run("a"), make_timed_out_run("b"), make_rejected_run("c")], FAILED_VERDICT
    )._replace(waits_for_results=True),
    "timed out": create_report([make_timed_out_run("a")], TIMED_OUT_VERDICT)._replace(waits_for_results=True),
    "error": create_report([make_rejected_run("a")], API_ERROR_VERDICT)._replace(
        title='A "title": <b>', plan_notes=("A note.",)
    ),
    "input": create_report([], INPUT_ERROR_VERDICT, ["client-id is missing"]),
    "dry run": create_report([make_planned_run("a")], DRY_RUN_VERDICT),
    "skipped": create_report([], DRY_RUN_VERDICT)._replace(skip_reason="Skipped, nothing was started: no client-id."),
    "taken up": create_report([], API_ERROR_VERDICT)._replace(
        skip_reason="The step that was to start the runs has left none: it was killed."
    ),
    "nothing": create_report([], API_ERROR_VERDICT),
    "cancelled": create_report([], CANCELLED_VERDICT),
}


def write_foreign_files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in FOREIGN_FILES.items():
        (folder / name).write_text(text, "utf-8")


def read_renamed_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.iterdir() if ".orig" in path.name}


@pytest.mark.parametrize("name", COMMANDS)
def test_foreign_files_are_renamed(name: str, tmp_path: Path) -> None:
    """Every command renames the files of another program and gives one warning."""
    write_foreign_files(tmp_path / "reports")
    argv, code = COMMANDS[name]
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, *argv, environ={**GITLAB, "AUTONOMA_API_URL": sandbox.url})
    assert result.code == code
    assert read_renamed_files(tmp_path / "reports") == {f"{name}.orig": text for name, text in FOREIGN_FILES.items()}
    assert result.output.count("results-dir has files of another program:") == 1
    assert all(f"{name} is renamed to {name}.orig" in result.output for name in FOREIGN_FILES)
    assert "Use a separate results-dir for autonoma-ci." in result.output
    assert is_results_file(tmp_path / "reports" / "results.json")


def test_wait_renames_foreign_files(tmp_path: Path) -> None:
    """`wait` writes to the folder for the first time during the step."""
    environ = {**GITLAB, "AUTONOMA_RESULTS_DIR": "", "AUTONOMA_CI": "cli"}
    (tmp_path / "out").mkdir()
    ResultsDirPublisher(make_results_dir(tmp_path / "out")).publish(
        create_report([make_failed_run("a")], FAILED_VERDICT)
    )
    write_foreign_files(tmp_path / "reports")
    result = invoke(tmp_path, "wait", "out/results.json", "--results-dir", "reports", environ=environ)
    expected = {f"{name}.orig": text for name, text in FOREIGN_FILES.items() if not name.startswith("gitlab")}
    assert read_renamed_files(tmp_path / "reports") == expected
    assert result.output.count("results-dir has files of another program:") == 1


def publish_step(folder: Path, name: str = "begun") -> list[str]:
    """Begin and end a step of a GitLab job, and return its warnings."""
    files = ResultsDirPublisher(make_results_dir(folder), render_job_links)
    return files.begin(REPORTS["begun"]) + files.publish(REPORTS[name])


def test_renamed_file_never_replaces_another(tmp_path: Path) -> None:
    """A renamed file gets a number if its name is in use."""
    for text in ("first", "second", "third"):
        (tmp_path / "results.json").unlink(missing_ok=True)
        (tmp_path / "junit.xml").write_text(text, "utf-8")
        publish_step(tmp_path)
    assert read_renamed_files(tmp_path) == {
        "junit.xml.orig": "first",
        "junit.xml.orig.1": "second",
        "junit.xml.orig.2": "third",
    }


@pytest.mark.parametrize("name", REPORTS)
def test_own_files_need_no_results(name: str, tmp_path: Path) -> None:
    """A missing results.json after a killed step does not make renamed files pile up."""
    for _ in range(2):
        assert publish_step(tmp_path, name) == []
        (tmp_path / "results.json").unlink()
    assert read_renamed_files(tmp_path) == {}


def test_files_beside_own_results_are_replaced(tmp_path: Path) -> None:
    """Files beside our own results.json are replaced without a warning."""
    publish_step(tmp_path, "passed")
    (tmp_path / "junit.xml").write_text("changed by a later step", "utf-8")
    assert publish_step(tmp_path) == []
    assert read_renamed_files(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b'{"version": 2,\n"tool": {"name": "autonoma-ci"}}'])
def test_results_of_other_version_are_own(content: bytes, tmp_path: Path) -> None:
    """A truncated results.json also counts as our own."""
    publish_step(tmp_path, "passed")
    path = tmp_path / "results.json"
    path.write_bytes(content or path.read_bytes()[:300])
    assert publish_step(tmp_path) == []
    assert read_renamed_files(tmp_path) == {}


def test_links_folders_and_empty_files_stay(tmp_path: Path) -> None:
    """Links, folders and empty files are never renamed."""
    results = tmp_path / "results"
    results.mkdir()
    (tmp_path / "theirs").write_text("theirs", "utf-8")
    (results / "junit.xml").symlink_to(tmp_path / "theirs")
    (results / "report.html").mkdir()
    (results / "summary.md").touch()
    warnings = publish_step(results, "passed")
    assert [text for text in warnings if "another program" in text] == []
    assert read_renamed_files(results) == {}
    assert (tmp_path / "theirs").read_text("utf-8") == "theirs"
    assert not (results / "junit.xml").is_symlink()


def test_unrenamable_file_is_named_in_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is its own mount can't be renamed."""
    (tmp_path / "junit.xml").write_text("theirs", "utf-8")

    def fail_to_rename(*_: object, **__: object) -> None:
        raise OSError(16, os.strerror(16))

    monkeypatch.setattr(os, "rename", fail_to_rename)
    directory = Directory(tmp_path)
    warning = rename_foreign_files(directory, find_foreign_files(directory, ["junit.xml"]))
    assert warning
    assert "junit.xml could not be renamed (Device or resource busy) and is replaced." in warning


def test_late_results_json_is_renamed(tmp_path: Path) -> None:
    """Another program writes its results.json during the step."""

    def build_shared_results(run_report: Report) -> SharedResults:
        context = BuildContext("github", build_id="17")
        return SharedResults(run_report.step_id, context, BuildIdRules(), run_report.started_at, FakeClock())

    files = ResultsDirPublisher(make_results_dir(tmp_path), shared=build_shared_results(REPORTS["begun"]))
    assert files.begin(REPORTS["begun"]) == []
    (tmp_path / "results.json").write_text(FOREIGN_FILES["results.json"], "utf-8")
    warnings = files.publish(REPORTS["passed"])
    assert [text.partition(":")[0] for text in warnings] == ["results-dir has files of another program"]
    assert read_renamed_files(tmp_path) == {"results.json.orig": FOREIGN_FILES["results.json"]}
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["conclusion"] == "passed"


@pytest.mark.parametrize(
    ("text", "is_own"),
    [
        ('{"version": 1, "tool": {"name": "autonoma-ci", "version": "1.0.0"}}', True),
        ('\n{ "version":12 ,\n\t"tool" : {"name":"autonoma-ci"', True),
        ('{"tool": {"name": "autonoma-ci"}, "version": 1}', False),
        ('{"version": "1", "tool": {"name": "autonoma-ci"}}', False),
        ('{"version": 1, "tool": {"name": "autonoma-ci-fork"}}', False),
        ('[{"version": 1, "tool": {"name": "autonoma-ci"}}]', False),
        ("", False),
    ],
)
def test_own_results_begin_with_tool(text: str, is_own: bool, tmp_path: Path) -> None:
    """The first members of results.json decide, whatever follows."""
    path = tmp_path / "results.json"
    path.write_text(text, "utf-8")
    assert is_results_file(path) is is_own


def test_own_results_are_regular_file(tmp_path: Path) -> None:
    """A missing file and a folder are no results."""
    assert not is_results_file(tmp_path / "results.json")
    assert not is_results_file(tmp_path)


def test_large_file_is_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is larger than any of autonoma-ci belongs to another program."""
    data = b'{"version": 1, "tool": {"name": "autonoma-ci"'
    (tmp_path / "results.json").write_bytes(data)
    for limit, is_own in ((len(data), True), (len(data) - 1, False)):
        monkeypatch.setattr(foreign_files, "_MAX_FILE_BYTES", limit)
        assert is_results_file(tmp_path / "results.json") is is_own
        assert find_foreign_files(Directory(tmp_path), ["results.json"]) == ([] if is_own else ["results.json"])


@pytest.mark.parametrize("error", [MemoryError, SystemError])
def test_file_beyond_memory_is_foreign(error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that does not fit into the memory is renamed and never replaced."""
    (tmp_path / "outputs.env").write_text("AUTONOMA_CONCLUSION=passed\n", "utf-8")
    assert find_foreign_files(Directory(tmp_path), ["outputs.env"]) == []

    def fail_to_read(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(Directory, "read_file", fail_to_read)
    assert find_foreign_files(Directory(tmp_path), ["outputs.env"]) == ["outputs.env"]


@pytest.mark.parametrize("name", FOREIGN_FILES)
def test_lookalike_is_foreign(name: str, tmp_path: Path) -> None:
    """A file of the same name and a similar content belongs to another program."""
    write_foreign_files(tmp_path)
    assert find_foreign_files(Directory(tmp_path), [name, "missing.json", "a\0b"]) == [name]


def test_file_of_unknown_name_is_foreign(tmp_path: Path) -> None:
    """Only files whose names are known can be recognized."""
    (tmp_path / "extra.env").write_text("AUTONOMA_CONCLUSION=passed\n", "utf-8")
    assert find_foreign_files(Directory(tmp_path), ["extra.env"]) == ["extra.env"]


def test_no_foreign_files_have_no_warning(tmp_path: Path) -> None:
    """Without files to rename, there is no warning."""
    assert rename_foreign_files(Directory(tmp_path), []) is None


def test_rename_lists_each_file(tmp_path: Path) -> None:
    """One warning names all files, with the reason for each that stays."""
    (tmp_path / "junit.xml").write_text("theirs", "utf-8")
    (tmp_path / "junit.xml.orig").symlink_to(tmp_path / "gone")
    assert rename_foreign_files(Directory(tmp_path), ["junit.xml", "missing.html"]) == (
        "results-dir has files of another program: junit.xml is renamed to junit.xml.orig.1, missing.html could not be "
        "renamed (No such file or directory) and is replaced. Use a separate results-dir for autonoma-ci."
    )
    assert (tmp_path / "junit.xml.orig.1").read_text("utf-8") == "theirs"
    assert (tmp_path / "junit.xml.orig").is_symlink()
