"""Evidence files that `wait` copies into its results folder."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.models import Evidence, RunStep
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.sandbox import Sandbox
from tests.integration.commands.test_report import RUN, SCREENSHOT, VIDEO, write_results
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke
from tests.support.reports import FAILED_VERDICT, create_report, make_flaky_run

if TYPE_CHECKING:
    from pathlib import Path

REPORT = create_report([RUN], FAILED_VERDICT)._replace(waits_for_results=True, results_dir="")
NOT_FOUND = "not found beside results.json"


def run_wait(folder: Path, path: str, *more: str, api_url: str = "http://127.0.0.1:9/api") -> CommandResult:
    """Run `wait` on a results.json, which polls no failed run."""
    environ = {**CREDENTIALS, "AUTONOMA_CI": "cli", "AUTONOMA_API_URL": api_url}
    return invoke(folder, "wait", path, "--timeout", "10m", "--poll-interval", "1s", *more, environ=environ)


def get_named_files(results: Path) -> set[str]:
    """Return the files that page and results.json name, and fail if one is missing."""
    page = (results / "report.html").read_text("utf-8")
    linked_files = set(re.findall(r'(?:src|href)="(evidence/r[^"]*/[^"]+)"', page))
    results_files = set(re.findall(r'"(evidence/[^"]+)"', (results / "results.json").read_text("utf-8")))
    assert linked_files == results_files
    assert all((results / name).is_file() for name in linked_files)
    return linked_files


def read_runs(results: Path) -> Any:
    return json.loads((results / "results.json").read_text("utf-8"))["runs"]


@pytest.mark.parametrize(
    ("path", "more", "results"),
    [
        ("out/results.1.json", (), "out/results.1"),
        ("out/results.json", ("--results-dir", "other"), "other"),
        ("out/results.json", ("--results-dir", "./x/../out"), "out"),
    ],
)
def test_evidence_is_copied_to_other_folder(path: str, more: tuple[str, ...], results: str, tmp_path: Path) -> None:
    """Page and results.json name the copied files."""
    write_results(tmp_path / "out", REPORT)
    (tmp_path / "out" / "results.json").rename(tmp_path / path)
    result = run_wait(tmp_path, path, *more)
    assert result.code == 1
    assert "evidence" not in result.output
    assert get_named_files(tmp_path / results) == {SCREENSHOT, VIDEO}
    assert (tmp_path / results / SCREENSHOT).read_bytes() == b"pixels"
    assert read_runs(tmp_path / results)[0]["evidence"]["missing_reason"] == ""


def test_lost_evidence_is_reported_missing(tmp_path: Path) -> None:
    """The results, page and log agree, for example where only results.json was downloaded."""
    results = tmp_path / "out"
    results.mkdir()
    (results / "results.json").write_text(render_results_json(REPORT), "utf-8")
    result = run_wait(tmp_path, "out/results.json")
    assert result.code == 1
    assert f"1 run with incomplete evidence: Checkout: 2 files: {NOT_FOUND}." in result.output
    assert get_named_files(results) == set()
    assert read_runs(results)[0]["evidence"]["missing_reason"] == f"2 files: {NOT_FOUND}"
    assert f"Missing evidence: <bdi>2 files: {NOT_FOUND}</bdi>" in (results / "report.html").read_text("utf-8")
    assert "ATTACHMENT" not in (results / "junit.xml").read_text("utf-8")
    # A file that is missing already is not counted again.
    run_wait(tmp_path, "out/results.json")
    assert read_runs(results)[0]["evidence"]["missing_reason"] == f"2 files: {NOT_FOUND}"


def test_one_lost_file_spares_others(tmp_path: Path) -> None:
    """The other files of the run are copied."""
    (write_results(tmp_path / "out", REPORT) / VIDEO).unlink()
    result = run_wait(tmp_path, "out/results.json", "--results-dir", "other")
    assert f"Checkout: 1 file: {NOT_FOUND}." in result.output
    assert get_named_files(tmp_path / "other") == {SCREENSHOT}


def test_lost_evidence_of_attempts_is_reported(tmp_path: Path) -> None:
    """The reason joins that of the earlier attempt."""
    run = make_flaky_run("c")
    evidence = Evidence((RunStep(1, "Open", "", "", "failed", SCREENSHOT),), "", "1 file: HTTP 500")
    attempt = run.previous_attempts[0]._replace(evidence=evidence, step=RunStep(1, "Open", screenshot=SCREENSHOT))
    failed = RUN._replace(previous_attempts=(attempt,), evidence=Evidence())
    write_results(tmp_path / "out", create_report([failed], FAILED_VERDICT))
    (tmp_path / "out" / SCREENSHOT).unlink()
    result = run_wait(tmp_path, "out/results.json", "--results-dir", "other")
    reason = f"1 file: HTTP 500, 1 file: {NOT_FOUND}"
    assert reason in result.output
    assert get_named_files(tmp_path / "other") == set()
    assert read_runs(tmp_path / "other")[0]["previous_attempts"][0]["evidence"]["missing_reason"] == reason


@pytest.mark.parametrize("name", [SCREENSHOT, "evidence/r", "evidence"])
def test_evidence_link_is_not_copied(name: str, tmp_path: Path) -> None:
    """A link is not followed, whether it leads outside or stays inside."""
    results = write_results(tmp_path / "out", REPORT)
    link_target = tmp_path / "out" / "moved"
    (results / name).rename(link_target)
    (results / name).symlink_to(link_target)
    run_wait(tmp_path, "out/results.json", "--results-dir", "other")
    assert get_named_files(tmp_path / "other") == ({VIDEO} if name == SCREENSHOT else set())


def test_evidence_copy_stays_inside(tmp_path: Path) -> None:
    """No copy leaves the working directory through a link of the target folder."""
    work = tmp_path / "work"
    write_results(work / "out", REPORT)
    (tmp_path / "outside").mkdir()
    (work / "other").mkdir()
    (work / "other" / "evidence").symlink_to(tmp_path / "outside")
    result = run_wait(work, "out/results.json", "--results-dir", "other")
    assert "could not be written (symbolic link in place of a directory)" in result.output
    assert list((tmp_path / "outside").iterdir()) == []
    assert get_named_files(work / "other") == set()


@pytest.mark.parametrize(
    ("limit", "reason", "expected_files"),
    [
        ("--evidence-file-limit", "1 file: larger than evidence-file-limit", {SCREENSHOT}),
        ("--evidence-limit", "1 file: evidence-limit reached", {SCREENSHOT}),
    ],
)
def test_evidence_copies_respect_limits(limit: str, reason: str, expected_files: set[str], tmp_path: Path) -> None:
    """Screenshots are copied before videos."""
    (write_results(tmp_path / "out", REPORT) / VIDEO).write_bytes(b"frames" * 1000)
    result = run_wait(tmp_path, "out/results.json", "--results-dir", "other", limit, "5KB", "--evidence", "failed")
    assert reason in result.output
    assert get_named_files(tmp_path / "other") == expected_files


@pytest.mark.slow
@pytest.mark.parametrize("is_deleted", [True, False])
def test_evidence_of_passed_run_is_copied(is_deleted: bool, tmp_path: Path) -> None:
    """`wait` polls a passed run again, and its files are those of results.json."""
    with Sandbox(pace=0.05) as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_CI": "cli", "AUTONOMA_API_URL": sandbox.url}
        options = ["--test-ids", "a", "--wait", "--poll-interval", "1s", "--evidence", "all", "--results-dir", "out"]
        assert invoke(tmp_path, "run", *options, environ=environ).code == 0
        files = [path for path in (tmp_path / "out" / "evidence").rglob("*") if path.parent.name != "evidence"]
        for path in filter(lambda path: is_deleted and path.is_file(), files):
            path.unlink()
        result = run_wait(tmp_path, "out/results.json", "--results-dir", "other", api_url=sandbox.url)
    assert result.code == 0
    run = read_runs(tmp_path / "other")[0]
    assert (NOT_FOUND in result.output) == (NOT_FOUND in run["evidence"]["missing_reason"]) == is_deleted
    assert bool(list((tmp_path / "other" / "evidence").glob("*/*"))) != is_deleted
