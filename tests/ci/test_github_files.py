"""The runner's files and commands, judged by a port of the runner's own parsers."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.ci.systems.github import format_outputs
from autonoma_ci.errors import Diagnostic
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.redaction.redactor import Redactor, Secret
from tests.report.reports import report, started
from tests.support import runner
from tests.support.hostile import TEXTS
from tests.support.targets import target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Report

MIB = 1024 * 1024


class Files:
    """The publishers of a job with these variables."""

    def __init__(self, environ: Mapping[str, str], *, summary: bool = True) -> None:
        self._publishers = GITHUB.create_publishers(target(environ, summary=summary))

    def publish(self, made: Report) -> list[str]:
        """Publish a report; return all warnings."""
        return [warning for publisher in self._publishers for warning in publisher.publish(made)]


@given(st.dictionaries(st.from_regex(r"[a-z-]{1,10}", fullmatch=True), TEXTS.map(lambda t: t.replace("\r", ""))))
def test_any_text_comes_back_as_the_value_it_was(values: dict[str, str]) -> None:
    """No text ends its own value, sets another output or fails the step."""
    values = {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
    assert runner.outputs(format_outputs(values)) == values


def test_each_writing_has_a_delimiter_of_its_own() -> None:
    assert format_outputs({"a": "b"}) != format_outputs({"a": "b"})


def test_outputs_and_summary_are_written_anew_each_time(tmp_path: Path) -> None:
    output, step_summary = tmp_path / "output", tmp_path / "summary"
    output.write_text("earlier=1\n", "utf-8")
    files = Files({"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(step_summary)})
    assert files.publish(report([started("x")], verdict=None)) == []
    assert files.publish(report([started("x"), started("y")])) == []
    found = runner.outputs(output.read_text("utf-8"))
    assert (found["earlier"], found["total"], found["conclusion"]) == ("1", "2", "started")
    assert step_summary.read_text("utf-8").count("### ") == 1


def test_without_the_runners_files_nothing_is_written_and_nothing_said() -> None:
    assert Files({}).publish(report([started("x")])) == []


def test_a_summary_that_is_not_wanted_is_not_written(tmp_path: Path) -> None:
    Files({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}, summary=False).publish(report([started("x")]))
    assert not (tmp_path / "summary").exists()


@pytest.mark.parametrize("path", ["folder", "nowhere/file", "a\0b", "pipe", "loop", "/dev/null"])
def test_what_cant_be_written_is_a_warning(path: str, tmp_path: Path) -> None:
    """Nothing waits for a pipe's other end, and as root nothing takes the place of a device."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    warnings = Files({"GITHUB_OUTPUT": str(tmp_path / path)}).publish(report([started("x")]))
    assert len(warnings) == 1
    assert "GITHUB_OUTPUT could not be written" in warnings[0]
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_one_file_that_cant_be_written_does_not_cost_the_other(tmp_path: Path) -> None:
    paths = {"GITHUB_OUTPUT": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert len(Files(paths).publish(report([started("x")]))) == 1
    assert "1 of 1 run started" in (tmp_path / "summary").read_text("utf-8")


def test_a_link_of_the_runner_is_followed(tmp_path: Path) -> None:
    """The path comes from the runner, not from the checkout, and the runner reads where its link leads."""
    (tmp_path / "link").symlink_to("real")
    assert Files({"GITHUB_OUTPUT": str(tmp_path / "link")}).publish(report([started("x")])) == []
    assert (tmp_path / "link").is_symlink()
    assert runner.outputs((tmp_path / "real").read_text("utf-8"))["total"] == "1"


@pytest.mark.parametrize("size", [1_000_000, 1_023_900, 1_040_000, 2_000_000])
def test_a_summary_that_others_have_filled_is_left_as_it_is(size: int, tmp_path: Path) -> None:
    """GitHub drops the whole summary of a step above 1 MiB: what was there before must not go with ours."""
    step_summary = tmp_path / "summary"
    step_summary.write_text("x" * (size - 1) + "\n", "utf-8")
    made = report([started(f"t{n}") for n in range(1_000)])
    warnings = Files({"GITHUB_STEP_SUMMARY": str(step_summary)}).publish(made)
    assert ["full" in warning for warning in warnings] == ([True] if size > 1_023_000 else [])
    assert step_summary.stat().st_size <= max(MIB, size)
    assert step_summary.read_text("utf-8").startswith("x" * (size - 1) + "\n")


def test_a_path_that_is_no_text_costs_no_output(tmp_path: Path) -> None:
    """Names of folders are bytes, and need not be UTF-8."""
    made = report([started("x")])._replace(results_dir="caf\udce9", title="\ud800")
    paths = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    assert Files(paths).publish(made) == []
    assert runner.outputs((tmp_path / "GITHUB_OUTPUT").read_text("utf-8"))["results-dir"] == "caf?"


def test_ten_thousand_runs_fit_in_what_the_runner_takes(tmp_path: Path) -> None:
    """The summary stays below 1 MiB with what was there before, and the outputs are valid and say what is missing."""
    output, step_summary = tmp_path / "output", tmp_path / "summary"
    step_summary.write_text("x" * 300_000, "utf-8")
    name = "Ein sehr langer Name mit Ümläuten |" * 5
    outcomes = [
        RunResult(RunRequest(TargetKind.TEST, f"t{n}", name), RunState.STARTED, run_id=f"r{n}") for n in range(10_000)
    ]
    files = Files({"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(step_summary)})
    warnings = files.publish(report(outcomes))
    assert step_summary.stat().st_size < MIB
    assert "more runs" in step_summary.read_text("utf-8")
    assert output.stat().st_size < MIB / 2
    assert runner.outputs(output.read_text("utf-8"))["total"] == "10000"
    assert ["results" in warning for warning in warnings] == [True]


def printed(console_lines: list[tuple[str, str]]) -> str:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    for level, text in console_lines:
        console.annotate(level, Diagnostic(text), "title")
    return out.getvalue()


@given(TEXTS)
def test_an_issue_is_one_command_whatever_its_text(text: str) -> None:
    found = runner.commands(printed([("error", text)]))
    assert [command.name for command in found] == ["error"]
    assert found[0].properties == {"title": "title"}


@given(TEXTS, st.sampled_from([GITHUB.log_formatter, PLAIN_LOG_FORMATTER]))
def test_a_line_is_no_command_in_any_system(text: str, dialect: object) -> None:
    out = io.StringIO()
    JobLog(out, dialect).info(text)  # type: ignore[arg-type]
    assert runner.commands(out.getvalue()) == []
    assert runner.elsewhere(out.getvalue()) == []
    assert out.getvalue().count("\n") == 1


def test_credentials_are_masked_before_anything_else_and_never_printed() -> None:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    secrets = [Secret("a-secret-100%"), Secret("tiny")]
    console.mask(secrets)
    console.redact_with(Redactor(secrets))
    console.info("the server said a-secret-100% and tiny")
    assert runner.masks(out.getvalue()) == {"a-secret-100%"}
    assert out.getvalue().splitlines()[1:] == ["the server said *** and ***"]


def test_elsewhere_no_mask_is_asked_for_since_asking_would_show_it() -> None:
    out = io.StringIO()
    JobLog(out, PLAIN_LOG_FORMATTER).mask([Secret("a-secret")])
    assert out.getvalue() == ""


def test_groups_open_and_close() -> None:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    with console.group("Plan::x"):
        console.info("inside")
    assert out.getvalue().splitlines() == ["::group::Plan::x", "inside", "::endgroup::"]
