"""GitHub's output files and log commands, read by ported runner parsers."""

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
from tests.support import github_parser as runner
from tests.support.hostile import TEXTS
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import create_report, make_started_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Report

MIB = 1024 * 1024


class JobPublishers:
    """The publishers of a job with these variables."""

    def __init__(self, environ: Mapping[str, str], *, summary: bool = True) -> None:
        self._publishers = GITHUB.create_publishers(make_publish_context(environ, summary=summary))

    def publish(self, step_report: Report) -> list[str]:
        """Publish a report; return all warnings."""
        return [warning for publisher in self._publishers for warning in publisher.publish(step_report)]


@pytest.mark.slow
@given(st.dictionaries(st.from_regex(r"[a-z-]{1,10}", fullmatch=True), TEXTS.map(lambda t: t.replace("\r", ""))))
def test_outputs_round_trip_any_text(values: dict[str, str]) -> None:
    """No value ends itself early, sets another output or fails the step."""
    values = {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
    assert runner.parse_outputs(format_outputs(values)) == values


def test_outputs_use_new_delimiter_each_time() -> None:
    """Each block of outputs has a new random delimiter."""
    assert format_outputs({"a": "b"}) != format_outputs({"a": "b"})


def test_publish_twice_replaces_values(tmp_path: Path) -> None:
    """A second report replaces the outputs and the summary of the first one."""
    output, step_summary = tmp_path / "output", tmp_path / "summary"
    output.write_text("earlier=1\n", "utf-8")
    files = JobPublishers({"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(step_summary)})
    assert files.publish(create_report([make_started_run("x")], verdict=None)) == []
    assert files.publish(create_report([make_started_run("x"), make_started_run("y")])) == []
    outputs = runner.parse_outputs(output.read_text("utf-8"))
    assert (outputs["earlier"], outputs["total"], outputs["conclusion"]) == ("1", "2", "started")
    assert step_summary.read_text("utf-8").count("### ") == 1


def test_publish_without_files_is_silent() -> None:
    """Nothing is written and nothing is warned about without the runner's files."""
    assert JobPublishers({}).publish(create_report([make_started_run("x")])) == []


def test_summary_off_writes_no_file(tmp_path: Path) -> None:
    """The option `summary` turns the file off."""
    JobPublishers({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}, summary=False).publish(
        create_report([make_started_run("x")])
    )
    assert not (tmp_path / "summary").exists()


@pytest.mark.parametrize("path", ["folder", "nowhere/file", "a\0b", "pipe", "loop", "/dev/null"])
def test_output_unwritable_warns(path: str, tmp_path: Path) -> None:
    """An unwritable path gives one warning, without a wait and without replacing a device."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    warnings = JobPublishers({"GITHUB_OUTPUT": str(tmp_path / path)}).publish(create_report([make_started_run("x")]))
    assert len(warnings) == 1
    assert "GITHUB_OUTPUT could not be written" in warnings[0]
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_output_failure_leaves_summary(tmp_path: Path) -> None:
    """The summary is written even if the output file can't be."""
    paths = {"GITHUB_OUTPUT": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert len(JobPublishers(paths).publish(create_report([make_started_run("x")]))) == 1
    assert "1 of 1 run started" in (tmp_path / "summary").read_text("utf-8")


def test_output_symlink_is_followed(tmp_path: Path) -> None:
    """The runner chooses the path and reads the target of the link."""
    (tmp_path / "link").symlink_to("real")
    assert (
        JobPublishers({"GITHUB_OUTPUT": str(tmp_path / "link")}).publish(create_report([make_started_run("x")])) == []
    )
    assert (tmp_path / "link").is_symlink()
    assert runner.parse_outputs((tmp_path / "real").read_text("utf-8"))["total"] == "1"


@pytest.mark.parametrize("size", [1_000_000, 1_023_900, 1_040_000, 2_000_000])
def test_summary_full_is_left_unchanged(size: int, tmp_path: Path) -> None:
    """GitHub drops a whole summary above 1 MiB, including the text of other programs."""
    step_summary = tmp_path / "summary"
    step_summary.write_text("x" * (size - 1) + "\n", "utf-8")
    step_report = create_report([make_started_run(f"t{n}") for n in range(1_000)])
    warnings = JobPublishers({"GITHUB_STEP_SUMMARY": str(step_summary)}).publish(step_report)
    assert ["full" in warning for warning in warnings] == ([True] if size > 1_023_000 else [])
    assert step_summary.stat().st_size <= max(MIB, size)
    assert step_summary.read_text("utf-8").startswith("x" * (size - 1) + "\n")


def test_outputs_survive_invalid_utf8_paths(tmp_path: Path) -> None:
    """Folder names are bytes and need not be UTF-8."""
    step_report = create_report([make_started_run("x")])._replace(results_dir="caf\udce9", title="\ud800")
    paths = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    assert JobPublishers(paths).publish(step_report) == []
    assert runner.parse_outputs((tmp_path / "GITHUB_OUTPUT").read_text("utf-8"))["results-dir"] == "caf?"


def test_outputs_of_10000_runs_fit_limits(tmp_path: Path) -> None:
    """Summary and outputs stay within GitHub's limits and state the omissions."""
    output, step_summary = tmp_path / "output", tmp_path / "summary"
    step_summary.write_text("x" * 300_000, "utf-8")
    name = "Ein sehr langer Name mit Ümläuten |" * 5
    outcomes = [
        RunResult(RunRequest(TargetKind.TEST, f"t{n}", name), RunState.STARTED, run_id=f"r{n}") for n in range(10_000)
    ]
    files = JobPublishers({"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(step_summary)})
    warnings = files.publish(create_report(outcomes))
    assert step_summary.stat().st_size < MIB
    assert "more runs" in step_summary.read_text("utf-8")
    assert output.stat().st_size < MIB / 2
    assert runner.parse_outputs(output.read_text("utf-8"))["total"] == "10000"
    assert ["results" in warning for warning in warnings] == [True]


def print_annotations(console_lines: list[tuple[str, str]]) -> str:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    for level, text in console_lines:
        console.annotate(level, Diagnostic(text), "title")
    return out.getvalue()


@given(TEXTS)
def test_annotation_is_one_command(text: str) -> None:
    """An annotation with any text is exactly one command."""
    commands = runner.find_commands(print_annotations([("error", text)]))
    assert [command.name for command in commands] == ["error"]
    assert commands[0].properties == {"title": "title"}


@given(TEXTS, st.sampled_from([GITHUB.log_formatter, PLAIN_LOG_FORMATTER]))
def test_log_line_is_never_a_command(text: str, dialect: object) -> None:
    """A log line with any text is no command in any CI system."""
    out = io.StringIO()
    JobLog(out, dialect).info(text)  # type: ignore[arg-type]
    assert runner.find_commands(out.getvalue()) == []
    assert runner.find_foreign_commands(out.getvalue()) == []
    assert out.getvalue().count("\n") == 1


def test_log_masks_credentials_first() -> None:
    """Credentials are masked first and redacted in every later line."""
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    secrets = [Secret("a-secret-100%"), Secret("tiny")]
    console.mask(secrets)
    console.redact_with(Redactor(secrets))
    console.info("the server said a-secret-100% and tiny")
    assert runner.find_masks(out.getvalue()) == {"a-secret-100%"}
    assert out.getvalue().splitlines()[1:] == ["the server said *** and ***"]


def test_mask_on_plain_log_prints_nothing() -> None:
    """A log without mask commands prints nothing, because a mask would show the value."""
    out = io.StringIO()
    JobLog(out, PLAIN_LOG_FORMATTER).mask([Secret("a-secret")])
    assert out.getvalue() == ""


def test_groups_open_and_close() -> None:
    """A group command opens and closes around its content."""
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    with console.group("Plan::x"):
        console.info("inside")
    assert out.getvalue().splitlines() == ["::group::Plan::x", "inside", "::endgroup::"]


@pytest.mark.parametrize(("environ", "is_debugging"), [({"RUNNER_DEBUG": "1"}, True), ({}, False)])
def test_runner_debug_is_read(environ: dict[str, str], is_debugging: bool) -> None:
    """A re-run with debug logging has this variable."""
    assert GITHUB.is_debugging(environ) == is_debugging


@given(TEXTS)
def test_debug_line_is_no_command(text: str) -> None:
    """The runner hides `::debug::` lines unless debug logging is on."""
    assert runner.find_commands(GITHUB.log_formatter.debug(text)) == []
