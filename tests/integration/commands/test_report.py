"""The command `report` and its formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.previous_results import build_sanitizers
from autonoma_ci.commands.report import report_from_results
from autonoma_ci.config.settings import Settings
from autonoma_ci.models import BuildContext, ChangeSummary, Evidence, RunState, RunStep
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.invoke_command import invoke
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_quarantined_run,
    make_rejected_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import Report

SCREENSHOT, VIDEO = "evidence/r/step-001.png", "evidence/r/video.webm"
RUN = make_failed_run("a", "Checkout")._replace(
    evidence=Evidence((RunStep(1, "Open", "", "", "passed", SCREENSHOT),), VIDEO, ""),
)
QUARANTINED_RUN = make_quarantined_run("e", "Sign up")
QUARANTINED_RUN = QUARANTINED_RUN._replace(
    request=QUARANTINED_RUN.request._replace(owner="@web", environment="staging")
)
REPORT = create_report(
    [RUN, make_passed_run("b"), make_flaky_run("c"), make_rejected_run("d"), QUARANTINED_RUN], FAILED_VERDICT
)._replace(
    waits_for_results=True,
    duration_seconds=70.0,
    results_dir="",
    plan_digest="ab" * 32,
    change=ChangeSummary("clone", "b" * 40, 12, "autonoma.yml changed"),
    quarantined_by_change=("Sign up",),
)


def write_results(folder: Path, report_to_write: Report = REPORT) -> Path:
    """Write results.json and its evidence into the folder."""
    (folder / "evidence" / "r").mkdir(parents=True)
    for path in (SCREENSHOT, VIDEO):
        (folder / path).write_bytes(b"pixels")
    (folder / "results.json").write_text(render_results_json(report_to_write), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "file"), [("html", "report.html"), ("junit", "junit.xml"), ("markdown", "summary.md")]
)
def test_report_writes_beside_results_json(name: str, file: str, tmp_path: Path) -> None:
    """Each format has its default name in the folder of results.json."""
    write_results(tmp_path / "results")
    result = invoke(tmp_path, "report", "results/results.json", "--format", name)
    assert (result.code, result.output) == (0, f"Wrote results/{file}\n")
    assert "Checkout" in (tmp_path / "results" / file).read_text("utf-8")


def test_report_default_format_is_html(tmp_path: Path) -> None:
    """Without `--format`, the command writes the HTML page with its style sheet."""
    invoke(write_results(tmp_path), "report", "results.json")
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "evidence" / "report.css").is_file()


def test_report_equals_that_of_step(tmp_path: Path) -> None:
    """All formats equal the files that the step wrote."""
    write_results(tmp_path)
    for name in ("junit", "markdown", "html"):
        assert invoke(tmp_path, "report", "results.json", "--format", name).code == 0
    assert (tmp_path / "report.html").read_bytes() == render_html(REPORT)
    assert (tmp_path / "junit.xml").read_bytes() == render_junit(REPORT)
    assert (tmp_path / "summary.md").read_text("utf-8") == render_summary(REPORT)


def test_report_has_facts_of_plan() -> None:
    """The reports show them like those of the step."""
    sanitizers = build_sanitizers(Settings(), ())
    built = report_from_results(parse_results(render_results_json(REPORT).encode()), sanitizers, Redactor([]))
    for name in ("plan_digest", "change", "quarantined_by_change"):
        assert getattr(built, name) == getattr(REPORT, name)


def test_report_prints_to_stdout(tmp_path: Path) -> None:
    """With `--output -`, the report goes to standard output and to no file."""
    write_results(tmp_path)
    assert invoke(tmp_path, "report", "results.json", "--format", "markdown", "--output", "-").out == render_summary(
        REPORT
    )
    page = invoke(tmp_path, "report", "results.json", "--output", "-").out
    assert "<style>" in page
    assert "data:image/png;base64,cGl4ZWxz" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence", "results.json"]


def test_report_elsewhere_links_evidence(tmp_path: Path) -> None:
    """A page in another folder has relative links to the evidence."""
    write_results(tmp_path / "a b")
    invoke(tmp_path, "report", "a b/results.json", "--output", "site/x/page.html")
    assert 'src="../../a%20b/evidence/r/step-001.png"' in (tmp_path / "site/x/page.html").read_text("utf-8")
    assert (tmp_path / "site/x/evidence/report.css").is_file()


def test_report_single_file_embeds_evidence(tmp_path: Path) -> None:
    """`--single-file` embeds the evidence as data URLs."""
    write_results(tmp_path)
    invoke(tmp_path, "report", "results.json", "--single-file", "--output", "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "data:video/webm;base64,cGl4ZWxz" in text
    assert 'href="evidence' not in text


def test_report_omits_missing_evidence(tmp_path: Path) -> None:
    """The page names only evidence that exists."""
    (write_results(tmp_path) / SCREENSHOT).unlink()
    invoke(tmp_path, "report", "results.json")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<img" not in text
    assert VIDEO in text


@pytest.mark.parametrize(
    ("ci", "noun"), [("github", "pull request"), ("gitlab", "merge request"), ("x", "pull request")]
)  # fmt: skip
def test_report_has_change_noun_of_system(ci: str, noun: str, tmp_path: Path) -> None:
    """The name of the CI system in results.json decides the word for a change request."""
    context = BuildContext(ci_name=ci, change_number="7")
    write_results(tmp_path, REPORT._replace(context=context))
    summary = invoke(tmp_path, "report", "results.json", "--format", "markdown", "--output", "-").out
    assert f"({noun} 7" in summary
    page = invoke(tmp_path, "report", "results.json", "--output", "-").out
    assert f"{noun.capitalize()}</dt><dd><bdi>7<" in page


@pytest.mark.parametrize(
    ("source", "expected"), [("cli", "the command line"), ("github", "GitHub Actions"), ("mine", "mine")]
)
def test_report_shows_source_in_words(source: str, expected: str, tmp_path: Path) -> None:
    """The source is the name of a CI system, or a text of the user, which stays unchanged."""
    write_results(tmp_path, REPORT._replace(source=source))
    page = invoke(tmp_path, "report", "results.json", "--output", "-").out
    assert f"Started by</dt><dd><bdi>{expected}<" in page


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
def test_report_refuses_foreign_paths(path: str, tmp_path: Path) -> None:
    """A results.json with a path outside of the evidence folder is refused."""
    document = json.loads(render_results_json(REPORT))
    document["runs"][0]["evidence"]["steps"][0]["screenshot"] = path
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    result = invoke(tmp_path, "report", "results.json")
    assert result.code == 2
    assert ": invalid file (invalid runs.0.evidence.steps.0.screenshot" in result.err


def test_report_follows_no_evidence_link(tmp_path: Path) -> None:
    """A symbolic link among the evidence is not read."""
    write_results(tmp_path / "results")
    (tmp_path / "secret").write_text("mine", "utf-8")
    (tmp_path / "results" / SCREENSHOT).unlink()
    (tmp_path / "results" / SCREENSHOT).symlink_to(tmp_path / "secret")
    invoke(tmp_path, "report", "results/results.json", "--single-file")
    assert "<img" not in (tmp_path / "results" / "report.html").read_text("utf-8")


def test_report_refuses_output_link(tmp_path: Path) -> None:
    """Nothing is written through a link that leaves the working directory."""
    work = tmp_path / "work"
    write_results(work)
    (tmp_path / "outside").mkdir()
    (work / "link").symlink_to(tmp_path / "outside")
    result = invoke(work, "report", "results.json", "--output", "link/report.html")
    assert result.code == 2
    assert "symbolic link leads outside of the working directory" in result.err
    assert list((tmp_path / "outside").iterdir()) == []


def test_report_of_killed_step_has_running_state(tmp_path: Path) -> None:
    """The page of a results.json without a verdict has the title "Running"."""
    write_results(tmp_path, REPORT._replace(verdict=None))
    invoke(tmp_path, "report", "results.json")
    assert "Running" in (tmp_path / "report.html").read_text("utf-8").partition("</h1>")[0]


def test_report_accepts_results_without_evidence(tmp_path: Path) -> None:
    """A results.json of an older version has no evidence."""
    document = json.loads(render_results_json(REPORT))
    for run in document["runs"]:
        del run["evidence"]
        for step in filter(None, [run["step"]]):
            del step["screenshot"], step["status"]
        for attempt in run["previous_attempts"]:
            del attempt["evidence"]
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    assert invoke(tmp_path, "report", "results.json").code == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere.json"], "nowhere.json does not exist"),
        (["results.json", "--format", "pdf"], "--format: invalid value. Use html, junit or markdown"),
        ([], "Missing argument: RESULTS. Use the results-dir of an earlier step, such as autonoma-results"),
        (["results.json", "--outptu", "x"], "Unknown option: '--outptu'. Did you mean '--output'?"),
        (["results.json", "--output", "results.json/x/report.html"], "could not be written"),
    ],
)
def test_report_error_exits_2(argv: list[str], message: str, tmp_path: Path) -> None:
    """Each invalid command line has its own message, without a traceback."""
    write_results(tmp_path)
    result = invoke(tmp_path, "report", *argv)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"AUTONOMA_VARIABLES": "no-value"}, "AUTONOMA_VARIABLES: "),
        ({"AUTONOMA_API_URL": "ftp://x.test"}, "AUTONOMA_API_URL: "),
    ],
)
def test_report_refuses_invalid_option(environ: dict[str, str], error: str, tmp_path: Path) -> None:
    """An invalid option is an error, and no report is written."""
    write_results(tmp_path)
    result = invoke(tmp_path, "report", "results.json", environ=environ)
    assert result.code == 2
    assert [text for text in result.errors if text.startswith(error)] == result.errors
    assert not (tmp_path / "report.html").exists()


def test_report_ignores_options_of_run(tmp_path: Path) -> None:
    """An invalid option of another command has no effect."""
    write_results(tmp_path)
    assert invoke(tmp_path, "report", "results.json", environ={"AUTONOMA_TIMEOUT": "never"}).code == 0


def test_report_on_other_drive_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page on another drive than the working directory is named by its absolute path."""

    def fail_on_other_drive(*_: object) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    write_results(tmp_path)
    monkeypatch.setattr("autonoma_ci.commands.report.os.path.relpath", fail_on_other_drive)
    result = invoke(tmp_path, "report", "results.json")
    assert (result.code, result.out) == (0, f"Wrote {tmp_path / 'report.html'}\n")
    assert f'src="file://{tmp_path}/{SCREENSHOT}"' in (tmp_path / "report.html").read_text("utf-8")


def test_report_leaves_large_files_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the limit is not embedded."""
    write_results(tmp_path)
    (tmp_path / VIDEO).write_bytes(b"x" * 7)
    monkeypatch.setattr("autonoma_ci.commands.report.MAX_INLINE_BYTES", 6)
    invoke(tmp_path, "report", "results.json", "--single-file")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "data:image/png;base64,cGl4ZWxz" in page
    assert "data:video/webm" not in page


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.UNKNOWN, RunState.NOT_STARTED])
def test_report_of_forged_pass_is_error(state: RunState, tmp_path: Path) -> None:
    """A report does not pass if results.json says so but one of its runs did not pass."""
    document = json.loads(
        render_results_json(create_report([make_passed_run("a")], PASSED_VERDICT)._replace(waits_for_results=True))
    )
    document["runs"][0]["state"] = state
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    invoke(tmp_path, "report", "results.json", "--format", "markdown")
    assert "Passed" not in (tmp_path / "summary.md").read_text("utf-8").partition("\n")[0]
