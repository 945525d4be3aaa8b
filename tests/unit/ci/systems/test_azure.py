"""Tests of the facts, log commands and summary of Azure Pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.ci.systems.azure import SYSTEM
from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.identity import Part
from autonoma_ci.reports.outputs import output_variables
from tests.support import grammars
from tests.support.ci_environments import AZURE
from tests.support.environment_names import find_secret_names
from tests.support.grammars import LogCommand
from tests.support.hostile import TEXTS
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext, Report

FORMATTER = SYSTEM.log_formatter
ARRAYS = ("AUTONOMA_RUN_IDS", "AUTONOMA_RUN_URLS")


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**AZURE, **changes})


def publish(
    step_report: Report, folder: Path | str = "", *, summary: bool = True
) -> tuple[list[LogCommand], list[str]]:
    """Publish a report, and return the log commands and the warnings."""
    lines: list[str] = []
    context = make_publish_context({"AGENT_TEMPDIRECTORY": str(folder)}, summary=summary, log_lines=lines)
    [publisher] = SYSTEM.create_publishers(context)
    warnings = list(publisher.publish(step_report))
    commands = grammars.find_azure_commands("\n".join(lines))
    assert len(commands) == len(lines)
    return commands, warnings


def read_variables(commands: list[LogCommand]) -> dict[str, str]:
    """Return the values of the output variables."""
    assert all(c.values["isOutput"] == "true" for c in commands if c.name == "task.setvariable")
    return {c.values["variable"]: c.data for c in commands if c.name == "task.setvariable"}


def find_summary(commands: list[LogCommand]) -> Path:
    """Return the path of the only summary."""
    [command] = [command for command in commands if command.name == "task.uploadsummary"]
    return Path(command.data)


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of the job and of its service connections are credentials."""
    secrets = {
        "SYSTEM_ACCESSTOKEN",
        "AZURE_DEVOPS_EXT_PAT",
        "ENDPOINT_AUTH_PARAMETER_GITHUB_ACCESSTOKEN",
        "SECUREFILE_TICKET_12",
        "VSS_NUGET_ACCESSTOKEN",
    }
    assert find_secret_names(SYSTEM, {*AZURE, *secrets}) == secrets


def test_attempt_of_stage_outranks_job() -> None:
    """A stage that runs again has a higher attempt, although its job attempts restart at 1."""
    order = [("1", "1"), ("1", "2"), ("2", "1"), ("2", "3"), ("10", "1")]
    attempts = [read_context(SYSTEM_STAGEATTEMPT=s, SYSTEM_JOBATTEMPT=j).build_attempt for s, j in order]
    assert attempts == ["1001", "1002", "2001", "2003", "10001"]
    assert read_context(SYSTEM_STAGEATTEMPT="").build_attempt == "1"
    assert read_context(SYSTEM_JOBATTEMPT="").build_attempt == ""


def test_build_id_of_release_is_unknown() -> None:
    """All stages of a classic release have the id of the deployed build, so it identifies no release."""
    for kind in ("release", "deployment", "gates"):
        assert read_context(SYSTEM_HOSTTYPE=kind).build_id == ""
    assert read_context(SYSTEM_HOSTTYPE="").build_id == "4711"
    assert read_context(SYSTEM_HOSTTYPE="Build").build_id == "4711"


def test_job_name_escapes_stage_with_slash() -> None:
    """A slash in the name of a stage does not look like the path of another job."""
    assert read_context(SYSTEM_STAGENAME="a/b").job_name == "a%2Fb/E2E/linux"
    assert read_context(SYSTEM_STAGENAME="").job_name == "E2E/linux"
    assert read_context(SYSTEM_JOBNAME="").job_name == ""


@pytest.mark.parametrize("name", ["SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"])
def test_context_without_url_part_has_no_link(name: str) -> None:
    """Each part of the link is necessary."""
    assert read_context(**{name: ""}).build_url == ""


def test_link_escapes_project_name() -> None:
    """The name of a project cannot add a path or a query to the link."""
    url = read_context(SYSTEM_TEAMPROJECT="a/b?c#d").build_url
    assert url == "https://dev.azure.com/acme/a%2Fb%3Fc%23d/_build/results?buildId=4711"


def test_repository_without_name_is_unknown() -> None:
    """The name of the project alone is no repository."""
    assert read_context(BUILD_REPOSITORY_NAME="").repository == ""
    assert read_context(SYSTEM_TEAMPROJECT="").repository == ""


@pytest.mark.parametrize("value", ["s3cret-value", "100%;x]y", "%3B%5D", "~!@#$^&*()"])
def test_mask_is_read_unchanged(value: str) -> None:
    """The agent reads exactly the value, also with characters that end a command."""
    [line] = FORMATTER.mask(value)
    assert grammars.find_azure_commands(line) == [LogCommand("task.setsecret", data=value)]


@pytest.mark.parametrize(("value", "count"), [("", 0), ("abcde", 0), ("abcdef", 1)])
def test_mask_of_short_value_is_empty(value: str, count: int) -> None:
    """A mask of fewer than six characters would hide ordinary text."""
    assert len(FORMATTER.mask(value)) == count


def test_group_has_escaped_title() -> None:
    """The title of a group is one line without commands."""
    group = LogGroup("Plan\n##vso[task.complete]x", "autonoma_1", 1)
    assert FORMATTER.group(group) == ("##[group]Plan #\u200b#vso[task.complete]x",)
    assert FORMATTER.end_group(group) == ("##[endgroup]",)


@given(TEXTS)
def test_annotation_text_is_read_unchanged(text: str) -> None:
    """Azure reads the annotation text unchanged."""
    [order] = grammars.find_azure_commands(FORMATTER.annotation("error", Diagnostic(text)))
    assert order.data == "\n".join(escape_log_line(line) for line in text.splitlines())[:4000]


def test_annotation_has_file_position() -> None:
    """An annotation has the file, line and column of its diagnostic."""
    line = FORMATTER.annotation("warning", Diagnostic("unknown key", "a;b].yml", 3, 5), "Autonoma")
    assert grammars.find_azure_commands(line) == [
        LogCommand(
            "task.logissue",
            {"type": "warning", "sourcepath": "a;b].yml", "linenumber": "3", "columnnumber": "5"},
            "Autonoma: a;b].yml:3:5: unknown key",
        )
    ]


def test_annotation_of_notice_is_plain_line() -> None:
    """A notice is a plain log line, because Azure has only errors and warnings."""
    assert FORMATTER.annotation("notice", Diagnostic("all is well")) == "Notice: all is well"
    assert FORMATTER.annotation("notice", Diagnostic("x"), "Plan") == "Notice: Plan: x"


def test_publish_before_end_prints_nothing(tmp_path: Path) -> None:
    """A report without a verdict sets no variable and writes no file."""
    assert publish(create_report([make_started_run("a")], None), tmp_path) == ([], [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 200, 500, 792, 793, 1500])
def test_arrays_are_complete_or_empty(count: int) -> None:
    """Azure cuts long log lines, and half an array is invalid."""
    step_report = create_report([make_passed_run(f"id-{number}") for number in range(count)], PASSED_VERDICT)
    commands, _ = publish(step_report)
    variables = read_variables(commands)
    assert all(variables[name] in {"", output_variables(step_report)[name]} for name in ARRAYS)
    assert variables["AUTONOMA_RUN_IDS"]
    assert bool(variables["AUTONOMA_RUN_URLS"]) is (count <= 792)


def test_variable_with_macro_is_empty() -> None:
    """The agent would replace the macro by the value of a variable, such as a secret one."""
    commands, warnings = publish(
        create_report([make_passed_run("a")._replace(run_id="$(SYSTEM_ACCESSTOKEN)")], PASSED_VERDICT)
    )
    variables = read_variables(commands)
    assert (variables["AUTONOMA_RUN_ID"], variables["AUTONOMA_RUN_IDS"]) == ("", "")
    assert "SYSTEM_ACCESSTOKEN" not in str(commands)
    [warning] = warnings
    assert warning.startswith("The output variables: AUTONOMA_RUN_ID and AUTONOMA_RUN_IDS left empty (")


def test_variable_with_dollar_is_unchanged() -> None:
    """A dollar sign alone is no macro."""
    commands, warnings = publish(create_report([make_passed_run("a")._replace(run_id="a$b")], PASSED_VERDICT))
    assert read_variables(commands)["AUTONOMA_RUN_ID"] == "a$b"
    assert warnings == []


def test_summary_is_page_without_chart(tmp_path: Path) -> None:
    """The uploaded page has the result as Markdown."""
    commands, warnings = publish(create_report([make_passed_run("a"), make_failed_run("b")], FAILED_VERDICT), tmp_path)
    path = find_summary(commands)
    assert warnings == []
    assert re.fullmatch(r"Autonoma-tests-[0-9a-f]{6}\.md", path.name)
    assert [path] == list(tmp_path.iterdir())
    text = path.read_text("utf-8")
    assert text.startswith("### Autonoma tests: ❌ Failed")
    assert "mermaid" not in text


def test_summary_name_is_new_each_time(tmp_path: Path) -> None:
    """A second summary of the same name would replace the first one on the page."""
    step_report = create_report([make_passed_run("a")], PASSED_VERDICT)
    paths = {find_summary(publish(step_report, tmp_path)[0]) for _ in range(2)}
    assert len(paths) == 2
    assert set(tmp_path.iterdir()) == paths


@pytest.mark.parametrize(
    ("title", "part", "start"),
    [
        ("../../etc/passwd", "", "etc-passwd-"),
        ("Shop; smoke]", "", "Shop-smoke-"),
        ("Shop", "linux / 3.13", "Shop-linux-3-13-"),
        ("a" * 59 + ".b", "", "a" * 59 + "--"),
        ("a" * 100, "", "a" * 60 + "-"),
        ("\u4f60\u597d", "", "-"),
    ],
    ids=["path", "marks", "part", "limit", "long", "other-script"],
)
def test_summary_name_has_safe_characters(title: str, part: str, start: str, tmp_path: Path) -> None:
    """The heading becomes a short file name, which is the heading on Azure's page."""
    commands, _ = publish(
        create_report([make_passed_run("a")], PASSED_VERDICT)._replace(title=title, part=Part(part=part)), tmp_path
    )
    path = find_summary(commands)
    assert path.parent == tmp_path
    assert path.name.startswith(start)
    assert len(path.name) == len(start) + len("012345.md")


def test_summary_off_uploads_nothing(tmp_path: Path) -> None:
    """The option summary turns off the page, but not the variables."""
    commands, warnings = publish(create_report([make_passed_run("a")], PASSED_VERDICT), tmp_path, summary=False)
    assert {command.name for command in commands} == {"task.setvariable"}
    assert (warnings, list(tmp_path.iterdir())) == ([], [])


def test_summary_without_folder_is_absent() -> None:
    """A job without the agent's folder has no page and no warning."""
    commands, warnings = publish(create_report([make_passed_run("a")], PASSED_VERDICT))
    assert {command.name for command in commands} == {"task.setvariable"}
    assert warnings == []


@pytest.mark.parametrize(
    ("folder", "reason"), [("/proc/nowhere", "No such file or directory"), ("a\0b", "invalid path")]
)
def test_summary_unwritable_warns(folder: str, reason: str) -> None:
    """A page that cannot be written gives a warning, and the variables are still set."""
    commands, [warning] = publish(create_report([make_passed_run("a")], PASSED_VERDICT), folder)
    assert warning.startswith("The summary could not be written (")
    assert warning.endswith("). The log has the links.")
    assert reason in warning
    assert read_variables(commands)["AUTONOMA_CONCLUSION"] == "passed"
    assert "task.uploadsummary" not in {command.name for command in commands}


@pytest.mark.parametrize(("value", "is_debugging"), [("True", True), ("true", True), ("False", False), ("", False)])
def test_system_diagnostics_are_read(value: str, is_debugging: bool) -> None:
    """A run with system diagnostics has this variable."""
    assert SYSTEM.is_debugging({"SYSTEM_DEBUG": value}) == is_debugging


@given(TEXTS)
def test_debug_line_is_one_formatting_command(text: str) -> None:
    """The log shows the line in the color of debug lines."""
    line = SYSTEM.log_formatter.debug(text)
    assert line.startswith("##[debug]")
    assert len(grammars.find_azure_commands(line)) == 1
    assert len(line.splitlines()) == 1
