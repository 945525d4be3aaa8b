"""Tests of the files of the results folder."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import InputError
from autonoma_ci.fs.files import LinkError
from autonoma_ci.models import BuildContext, BuildIdRules
from autonoma_ci.reports.other_results import SharedResults
from autonoma_ci.reports.results_dir import (
    ResultsDir,
    ResultsDirPublisher,
    open_results_dir,
    resolve_results_dir,
    results_folder,
)
from tests.support.fake_clock import FakeClock
from tests.support.files import list_names
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_results_dir,
    make_started_run,
)
from tests.unit.reports.test_evidence_store import limit_file_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Report, RunResult

ALL_FILES = ["evidence", "junit.xml", "outputs.env", "report.html", "results.json", "summary.md"]
BEGUN_REPORT = create_report([], None)._replace(step_id="this")
ENDED_REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(step_id="this", waits_for_results=True)
LINK_REASON = "could not be written to results-dir (symbolic link leads outside of the directory)."


class Signer:
    """A signer with a visible signature."""

    def sign_run(self, run: RunResult) -> str:
        return f"signature of {run.run_id}"

    def sign_results(self, text: str) -> str:
        return text.replace('"mac": ""\n}', '"mac": "signature of results"\n}')


def read_results(folder: Path) -> dict[str, object]:
    results: dict[str, object] = json.loads((folder / "results.json").read_text("utf-8"))
    return results


def make_extra_files(run_report: Report) -> Mapping[str, str]:
    return {"extra.txt": f"{len(run_report.results)} runs", "evidence/extra.txt": "in a folder"}


def build_shared_results(step_id: str = "this") -> SharedResults:
    context = BuildContext("github", build_id="17")
    return SharedResults(step_id, context, BuildIdRules(), "2025-01-02T03:04:05Z", FakeClock())


def make_publishers(folder: Path) -> tuple[ResultsDirPublisher, ResultsDirPublisher]:
    """Return the publishers of two job steps that share the folder."""
    first, second = (
        ResultsDirPublisher(make_results_dir(folder), shared=build_shared_results(step)) for step in ("this", "other")
    )
    return first, second


@pytest.mark.parametrize(
    ("path", "results_file"),
    [("results", "results/results.json"), ("./a/", "./a/results.json"), ("/tmp/a//", "/tmp/a/results.json")],
)
def test_results_file_has_path_of_user(path: str, results_file: str) -> None:
    """The path of results.json begins as the user wrote it."""
    assert ResultsDir(path, Path("unused"), Path("unused")).results_file == results_file


def test_path_is_relative_to_working_directory(tmp_path: Path) -> None:
    """A relative path begins at the working directory, and an absolute one is unchanged."""
    results_dir = resolve_results_dir("a/b", str(tmp_path))
    assert (results_dir.path, results_dir.folder, results_dir.root) == ("a/b", tmp_path / "a/b", tmp_path)
    assert resolve_results_dir("/else", str(tmp_path)).folder == Path("/else")


def test_link_in_results_dir_leads_outside(tmp_path: Path) -> None:
    """A link may lead neither out of the results folder nor out of the working directory."""
    working_directory, outside = tmp_path / "work", tmp_path / "outside"
    (working_directory / "results" / "own").mkdir(parents=True)
    outside.mkdir()
    results_dir = make_results_dir(working_directory / "results", working_directory)
    (results_dir.folder / "link").symlink_to(working_directory)
    (working_directory / "outside").symlink_to(outside)
    for name in ("own", "missing"):
        results_dir.open_directory(name).close()
    for tree, name in ((results_dir, "link"), (make_results_dir(working_directory / "outside", working_directory), "")):
        with pytest.raises(LinkError):
            tree.open_directory(name)
    assert list_names(outside) == []


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("results/results.json", "results"),
        ("results.json", "."),
        ("results/results.1.json", "results/results.1"),
        ("out/record.json", "out/record"),
        ("out/record", "out/record-results"),
    ],
)
def test_other_results_have_own_folder(path: str, folder: str) -> None:
    """Files of results with another name than results.json are in a separate folder."""
    assert results_folder(Path(path)) == Path(folder)


def test_results_dir_is_created_with_files(tmp_path: Path) -> None:
    """The folder is created with its parents and has all documented files."""
    publisher = open_results_dir(resolve_results_dir("a/b", str(tmp_path)))
    assert publisher.publish(create_report([make_started_run("x")])) == []
    assert list_names(tmp_path / "a" / "b") == ALL_FILES
    assert list_names(tmp_path / "a" / "b" / "evidence") == ["report.css", "report.svg"]


def test_symlinked_subfolder_is_not_followed(tmp_path: Path) -> None:
    """A link in place of the evidence folder is a warning."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "evidence").symlink_to(tmp_path / "outside")
    warnings = open_results_dir(resolve_results_dir("results", str(tmp_path))).publish(
        create_report([make_started_run("x")])
    )
    reason = "could not be written to results-dir (symbolic link in place of a directory)."
    assert warnings == [f"evidence/report.css {reason}", f"evidence/report.svg {reason}"]
    assert list_names(tmp_path / "outside") == []


def test_results_dir_can_be_outside(tmp_path: Path) -> None:
    """An absolute path outside of the working directory is valid."""
    (tmp_path / "work").mkdir()
    open_results_dir(resolve_results_dir(str(tmp_path / "elsewhere"), str(tmp_path / "work")))
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("path", ["link", "link/deeper", "./x/../link"])
def test_symlink_out_of_checkout_is_refused(path: str, tmp_path: Path) -> None:
    """A pull request can add a link, so a write must not follow it."""
    (tmp_path / "work" / "x").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="leads outside of the working directory"):
        open_results_dir(resolve_results_dir(path, str(tmp_path / "work")))
    assert list_names(tmp_path / "outside") == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file", os.strerror(errno.EEXIST)),
        ("file/deeper", os.strerror(errno.EEXIST)),
        ("loop", "symbolic link in place of a directory"),
        ("a\0b", "invalid path"),
    ],
)
def test_invalid_results_dir_is_refused(path: str, reason: str, tmp_path: Path) -> None:
    """A file or a loop of links is an input error with its reason and a remedy."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError) as error_info:
        open_results_dir(resolve_results_dir(path, str(tmp_path)), option_name="--results-dir")
    message = f"--results-dir: directory could not be created ({reason}). Use a writable directory."
    assert str(error_info.value) == message


def test_refused_symlink_names_option(tmp_path: Path) -> None:
    """The error has the name of the option as the user wrote it."""
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(InputError, match=r"^--results-dir: symbolic link leads outside .*Use a directory .*\.$"):
        open_results_dir(resolve_results_dir("link", str(tmp_path)), option_name="--results-dir")


def test_unwritable_file_is_warning(tmp_path: Path) -> None:
    """The other files are written."""
    (tmp_path / "results.json").mkdir()
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    warnings = publisher.publish(create_report([make_started_run("x")]))
    assert len(warnings) == 1
    assert "results.json could not be written" in warnings[0]
    assert (tmp_path / "summary.md").exists()
    assert not publisher.has_latest_results


def test_begin_replaces_files_of_earlier_step(tmp_path: Path) -> None:
    """After a kill, no file of an earlier step looks like one of this step."""
    ResultsDirPublisher(make_results_dir(tmp_path), make_extra_files).publish(ENDED_REPORT)
    (tmp_path / "notes.txt").write_text("of the user", "utf-8")
    publisher = ResultsDirPublisher(make_results_dir(tmp_path), make_extra_files)
    assert publisher.begin(BEGUN_REPORT) == []
    assert list_names(tmp_path) == ["evidence", "notes.txt", "results.json"]
    assert list_names(tmp_path / "evidence") == ["report.css", "report.svg"]
    assert (read_results(tmp_path)["runs"], read_results(tmp_path)["conclusion"]) == ([], None)


def test_begin_creates_missing_folder(tmp_path: Path) -> None:
    """A folder that was removed is created again."""
    assert ResultsDirPublisher(make_results_dir(tmp_path / "a" / "b")).begin(BEGUN_REPORT) == []
    assert list_names(tmp_path / "a" / "b") == ["results.json"]


def test_begin_removes_nothing_behind_link(tmp_path: Path) -> None:
    """Files behind a link that leads outside of the working directory stay."""
    working_directory, outside = tmp_path / "work", tmp_path / "outside"
    for folder in (working_directory, outside):
        folder.mkdir()
    ResultsDirPublisher(make_results_dir(outside), make_extra_files).publish(ENDED_REPORT)
    (outside / "summary.md").write_text("of another program", "utf-8")
    (working_directory / "results").symlink_to(outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    publisher = ResultsDirPublisher(
        make_results_dir(working_directory / "results", working_directory), make_extra_files
    )
    assert publisher.begin(BEGUN_REPORT) == [f"results.json {LINK_REASON}"]
    assert len(publisher.publish(ENDED_REPORT)) == 9
    publisher.remove_empty()
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_running_step_has_no_final_reports(tmp_path: Path) -> None:
    """Only the end of the job step writes junit.xml and report.html."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path), make_extra_files)
    assert publisher.publish(create_report([make_started_run("a")], None)) == []
    assert list_names(tmp_path) == ["evidence", "extra.txt", "outputs.env", "results.json", "summary.md"]
    assert list_names(tmp_path / "evidence") == ["extra.txt"]
    assert publisher.publish(ENDED_REPORT) == []
    assert list_names(tmp_path) == sorted([*ALL_FILES, "extra.txt"])


def test_extra_files_follow_report(tmp_path: Path) -> None:
    """The files of the CI system have the content for the latest report."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path), make_extra_files)
    for count in (1, 2):
        publisher.publish(create_report([make_started_run(f"t{number}") for number in range(count)], None))
        assert (tmp_path / "extra.txt").read_text("utf-8") == f"{count} runs"


def test_results_are_signed(tmp_path: Path) -> None:
    """The initial results.json and all later ones have signatures."""
    publisher = open_results_dir(resolve_results_dir("r", str(tmp_path)), signer=Signer())
    publisher.begin(BEGUN_REPORT)
    assert read_results(tmp_path / "r")["mac"] == "signature of results"
    publisher.publish(ENDED_REPORT)
    results = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))
    assert (results["mac"], results["runs"][0]["mac"]) == ("signature of results", "signature of run-a")


def test_half_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    """A name that is not UTF-8 causes no error."""
    run_report = create_report([make_passed_run("a", "caf\udce9")], PASSED_VERDICT)._replace(title="na\udcefve")
    assert ResultsDirPublisher(make_results_dir(tmp_path)).publish(run_report) == []
    for name in ("results.json", "outputs.env", "summary.md", "junit.xml", "report.html"):
        assert "\udcef" not in (tmp_path / name).read_text("utf-8")
    assert read_results(tmp_path)["title"] == "na?ve"


def test_omitted_variable_is_warning_at_end(tmp_path: Path) -> None:
    """An output that does not fit into outputs.env is a warning of the ended step alone."""
    run_report = create_report([make_passed_run("a")._replace(url="https://autonoma.app/run?a=1&b=2")], PASSED_VERDICT)
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    assert publisher.publish(run_report._replace(verdict=None)) == []
    [warning] = publisher.publish(run_report)
    assert warning.startswith("outputs.env: AUTONOMA_RUN_URL left empty (")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory"),
        (SystemError(), "out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_failed_rendering_leaves_other_files(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory for the page, the other files and the results are written."""

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr("autonoma_ci.reports.html.render_html", fail)
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    assert publisher.publish(ENDED_REPORT) == [f"junit.xml and report.html could not be written ({reason})."]
    assert list_names(tmp_path) == ["outputs.env", "results.json", "summary.md"]
    assert publisher.has_latest_results
    assert publisher.report_path == ""


def test_full_disk_is_warning_for_each_file(tmp_path: Path) -> None:
    """Each file that is not written has a warning with the reason."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    publisher.begin(BEGUN_REPORT)
    with limit_file_size(10):
        warnings = publisher.publish(ENDED_REPORT)
    assert len(warnings) == 7
    assert warnings[0] == "results.json could not be written to results-dir (File too large)."
    assert not publisher.has_latest_results
    assert list_names(tmp_path) == ["evidence", "results.json"]


def test_report_path_is_known_when_written(tmp_path: Path) -> None:
    """The path is empty before the end of the step, and after a failed write."""
    publisher = ResultsDirPublisher(ResultsDir("out/", tmp_path / "out", tmp_path))
    publisher.publish(BEGUN_REPORT)
    assert publisher.report_path == ""
    publisher.publish(ENDED_REPORT)
    assert publisher.report_path == "out/report.html"
    (tmp_path / "out" / "report.html").unlink()
    (tmp_path / "out" / "report.html").mkdir()
    publisher.publish(ENDED_REPORT)
    assert publisher.report_path == ""


def test_only_results_json_counts_as_latest(tmp_path: Path) -> None:
    """The failure of another file does not change that the results are stored."""
    (tmp_path / "summary.md").mkdir()
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    assert not publisher.has_latest_results
    [warning] = publisher.publish(ENDED_REPORT)
    assert warning.startswith("summary.md could not be written")
    assert publisher.has_latest_results


@pytest.mark.parametrize("is_shared", [True, False])
def test_initial_results_are_removed(is_shared: bool, tmp_path: Path) -> None:
    """If no results.json with runs was written, the initial one is removed."""
    shared = build_shared_results() if is_shared else None
    publisher = ResultsDirPublisher(make_results_dir(tmp_path), shared=shared)
    publisher.begin(BEGUN_REPORT)
    with limit_file_size(10):
        publisher.publish(ENDED_REPORT)
    publisher.remove_empty()
    assert not (tmp_path / "results.json").exists()
    publisher.remove_empty()
    assert not (tmp_path / "results.json").exists()


def test_written_results_are_not_removed(tmp_path: Path) -> None:
    """A results.json with runs stays at the end of the step."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    publisher.begin(BEGUN_REPORT)
    publisher.publish(ENDED_REPORT)
    publisher.remove_empty()
    assert read_results(tmp_path)["conclusion"] == "passed"


def test_results_of_other_step_are_not_removed(tmp_path: Path) -> None:
    """A results.json that another step wrote meanwhile stays."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    publisher.begin(BEGUN_REPORT)
    ResultsDirPublisher(make_results_dir(tmp_path)).begin(BEGUN_REPORT._replace(step_id="other"))
    publisher.remove_empty()
    assert read_results(tmp_path)["step_id"] == "other"


def test_step_without_begin_removes_nothing(tmp_path: Path) -> None:
    """A step that wrote no initial results.json leaves the file of an earlier step."""
    ResultsDirPublisher(make_results_dir(tmp_path)).publish(ENDED_REPORT)
    ResultsDirPublisher(make_results_dir(tmp_path)).remove_empty()
    assert read_results(tmp_path)["conclusion"] == "passed"


def test_foreign_files_behind_link_stay(tmp_path: Path) -> None:
    """No file is renamed in a folder outside of the results folder."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "extra.txt").write_text("of another program", "utf-8")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "evidence").symlink_to(tmp_path / "outside")
    assert ResultsDirPublisher(make_results_dir(tmp_path / "results"), make_extra_files).begin(BEGUN_REPORT) == []
    assert list_names(tmp_path / "outside") == ["extra.txt"]


@pytest.mark.parametrize("is_shared", [True, False])
def test_foreign_file_is_warning_at_end(is_shared: bool, tmp_path: Path) -> None:
    """A renamed file is a warning of the ended step, because earlier ones may not be shown."""
    (tmp_path / "junit.xml").write_text("<testsuite/>", "utf-8")
    publisher = ResultsDirPublisher(make_results_dir(tmp_path), shared=build_shared_results() if is_shared else None)
    assert publisher.publish(ENDED_REPORT._replace(verdict=None)) == []
    (tmp_path / "report.html").write_text("written during the step", "utf-8")
    [warning] = publisher.publish(ENDED_REPORT)
    assert "junit.xml is renamed to junit.xml.orig. " in warning
    assert (tmp_path / "junit.xml.orig").read_text("utf-8") == "<testsuite/>"


def test_open_runs_of_other_step_are_saved(tmp_path: Path) -> None:
    """The results of the other step are saved, and the warning follows at the end."""
    own_publisher, other_publisher = make_publishers(tmp_path)
    context = BuildContext("github", build_id="17")
    begun_report, ended_report = BEGUN_REPORT._replace(context=context), ENDED_REPORT._replace(context=context)
    assert own_publisher.begin(begun_report) == []
    assert (
        other_publisher.publish(create_report([make_started_run("b")], None)._replace(step_id="other", context=context))
        == []
    )
    assert own_publisher.publish(ended_report._replace(verdict=None)) == []
    [warning] = own_publisher.publish(ended_report)
    assert warning.startswith("results-dir: results.json of another step has open runs and is saved as results.1.json.")
    assert json.loads((tmp_path / "results.1.json").read_text("utf-8"))["step_id"] == "other"
    assert read_results(tmp_path)["step_id"] == "this"


def test_begin_warns_of_replaced_files(tmp_path: Path) -> None:
    """The files of an ended step of the same build are replaced with a warning."""
    own_publisher, other_publisher = make_publishers(tmp_path)
    context = BuildContext("github", build_id="17")
    other_publisher.publish(
        create_report([make_failed_run("b")], FAILED_VERDICT)._replace(step_id="other", context=context)
    )
    [warning] = own_publisher.begin(BEGUN_REPORT._replace(context=context))
    assert warning.startswith("results-dir: files of another step of this build are replaced.")


def test_open_results_dir_preserves_other_results(tmp_path: Path) -> None:
    """The results of other steps are saved beside results.json."""
    context = BuildContext("github", build_id="17")
    other_report = create_report([make_started_run("b")], None)._replace(step_id="other", context=context)
    results_dir = resolve_results_dir("r", str(tmp_path))
    open_results_dir(results_dir).publish(other_report)
    open_results_dir(results_dir, shared=build_shared_results()).begin(BEGUN_REPORT._replace(context=context))
    assert (tmp_path / "r" / "results.1.json").exists()
