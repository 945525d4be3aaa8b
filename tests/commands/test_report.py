"""`autonoma-ci report RESULTS`: any report again, from the record and the evidence beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.models import Evidence, RunStep
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.results_json import render_results_json
from tests.commands.invoke import invoke
from tests.report.reports import FAILED, failed, flaky, passed, refused, report

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import Report

IMAGE, VIDEO = "evidence/r/step-001.png", "evidence/r/video.webm"
RUN = failed("a", "Checkout")._replace(
    evidence=Evidence((RunStep(1, "Open", "", "", "passed", IMAGE),), VIDEO, ""),
)
MADE = report([RUN, passed("b"), flaky("c"), refused("d")], FAILED)._replace(
    waits_for_results=True, duration_seconds=70.0, results_dir=""
)


def left_by_a_step(folder: Path, made: Report = MADE) -> Path:
    """Put a record with its evidence into the folder."""
    (folder / "evidence" / "r").mkdir(parents=True)
    for path in (IMAGE, VIDEO):
        (folder / path).write_bytes(b"pixels")
    (folder / "results.json").write_text(render_results_json(made), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "file"), [("html", "report.html"), ("junit", "junit.xml"), ("markdown", "summary.md")]
)
def test_each_format_goes_beside_the_record(name: str, file: str, tmp_path: Path) -> None:
    left_by_a_step(tmp_path / "results")
    ended = invoke(tmp_path, "report", "results/results.json", "--format", name)
    assert (ended.code, ended.printed) == (0, f"Wrote results/{file}\n")
    assert "Checkout" in (tmp_path / "results" / file).read_text("utf-8")


def test_html_is_what_comes_without_a_word(tmp_path: Path) -> None:
    invoke(left_by_a_step(tmp_path), "report", "results.json")
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "evidence" / "report.css").is_file()


def test_junit_and_markdown_are_those_of_the_step(tmp_path: Path) -> None:
    left_by_a_step(tmp_path)
    for name in ("junit", "markdown"):
        assert invoke(tmp_path, "report", "results.json", "--format", name).code == 0
    assert (tmp_path / "junit.xml").read_bytes() == render_junit(MADE)
    assert (tmp_path / "summary.md").read_text("utf-8") == render_summary(MADE)


def test_a_report_may_be_printed(tmp_path: Path) -> None:
    left_by_a_step(tmp_path)
    assert invoke(tmp_path, "report", "results.json", "--format", "markdown", "--output", "-").out == render_summary(
        MADE
    )
    page = invoke(tmp_path, "report", "results.json", "--output", "-").out
    assert "<style>" in page
    assert "data:image/png;base64,cGl4ZWxz" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence", "results.json"]


def test_a_page_elsewhere_finds_the_evidence(tmp_path: Path) -> None:
    left_by_a_step(tmp_path / "a b")
    invoke(tmp_path, "report", "a b/results.json", "--output", "site/x/page.html")
    assert 'src="../../a%20b/evidence/r/step-001.png"' in (tmp_path / "site/x/page.html").read_text("utf-8")
    assert (tmp_path / "site/x/evidence/report.css").is_file()


def test_a_single_file_has_all_of_it(tmp_path: Path) -> None:
    left_by_a_step(tmp_path)
    invoke(tmp_path, "report", "results.json", "--single-file", "--output", "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "data:video/webm;base64,cGl4ZWxz" in text
    assert 'href="evidence' not in text


def test_evidence_that_is_gone_is_not_named(tmp_path: Path) -> None:
    (left_by_a_step(tmp_path) / IMAGE).unlink()
    invoke(tmp_path, "report", "results.json")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<img" not in text
    assert VIDEO in text


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "/etc/passwd",
        "evidence/r/../../secret.png",
        "evidence/r/step-001.svg",
        "javascript:alert(1)",
        "evidence/r/x.png",
    ],
)
def test_a_record_names_no_other_files_of_the_machine(path: str, tmp_path: Path) -> None:
    document = json.loads(render_results_json(MADE))
    document["runs"][0]["evidence"]["steps"][0]["screenshot"] = path
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    ended = invoke(tmp_path, "report", "results.json")
    assert ended.code == 2
    assert "is not a record of autonoma-ci: runs.0.evidence.steps.0.screenshot" in ended.err


def test_a_link_among_the_evidence_is_not_followed(tmp_path: Path) -> None:
    left_by_a_step(tmp_path / "results")
    (tmp_path / "secret").write_text("mine", "utf-8")
    (tmp_path / "results" / IMAGE).unlink()
    (tmp_path / "results" / IMAGE).symlink_to(tmp_path / "secret")
    invoke(tmp_path, "report", "results/results.json", "--single-file")
    assert "<img" not in (tmp_path / "results" / "report.html").read_text("utf-8")


def test_a_link_out_of_the_checkout_is_not_written_through(tmp_path: Path) -> None:
    work = tmp_path / "work"
    left_by_a_step(work)
    (tmp_path / "outside").mkdir()
    (work / "link").symlink_to(tmp_path / "outside")
    ended = invoke(work, "report", "results.json", "--output", "link/report.html")
    assert ended.code == 2
    assert "leads elsewhere through a symbolic link" in ended.err
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_record_of_a_step_that_was_killed_says_that_it_was_running(tmp_path: Path) -> None:
    left_by_a_step(tmp_path, MADE._replace(verdict=None))
    invoke(tmp_path, "report", "results.json")
    assert "Running" in (tmp_path / "report.html").read_text("utf-8").partition("</h1>")[0]


def test_a_record_without_evidence_is_one_of_an_older_version(tmp_path: Path) -> None:
    document = json.loads(render_results_json(MADE))
    for run in document["runs"]:
        del run["evidence"]
        for step in filter(None, [run["step"]]):
            del step["screenshot"], step["status"]
        for before in run["previous_attempts"]:
            del before["evidence"]
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    assert invoke(tmp_path, "report", "results.json").code == 0


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["nowhere.json"], "nowhere.json does not exist"),
        (["results.json", "--format", "pdf"], "--format: unknown value. Use one of html, junit, markdown"),
        ([], "RESULTS is missing: give the results-dir of an earlier step, such as autonoma-results"),
        (["results.json", "--outptu", "x"], "unknown option --outptu: did you mean --output?"),
        (["results.json", "--output", "results.json/x/report.html"], "could not be written"),
    ],
)
def test_what_is_wrong_is_told(argv: list[str], told: str, tmp_path: Path) -> None:
    left_by_a_step(tmp_path)
    ended = invoke(tmp_path, "report", *argv)
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
