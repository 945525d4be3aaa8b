"""Tests of Codefresh's build facts and file of variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.ownership import build_mark
from autonoma_ci.ci.systems.codefresh import SYSTEM
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.outputs import dotenv_variables
from tests.support.ci_environments import CODEFRESH
from tests.support.environment_names import find_secret_names
from tests.support.fake_clock import FakeClock
from tests.support.files import read_last_values
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
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.models import Report

CONTEXT = BuildContext("codefresh", build_id="6f1a", build_attempt="1")
REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(
    context=CONTEXT, part=Part(title="Autonoma tests"), step_id="a" * 16, waits_for_results=True
)
OTHER_REPORT = REPORT._replace(step_id="b" * 16, verdict=FAILED_VERDICT, results=(make_failed_run("b"),))


def find_file(folder: Path) -> Path:
    """Return the file in the folder of a build."""
    return folder / "env_vars_to_export"


def read_variables(folder: Path) -> dict[str, str]:
    """Return the variables that Codefresh exports, where the last value of a name counts."""
    return read_last_values(find_file(folder))


def publish(folder: Path | str, step_report: Report = REPORT, environ: Mapping[str, str] | None = None) -> list[str]:
    """Publish a report as a step with these variables, and return the warnings."""
    context = make_publish_context({"CF_VOLUME_PATH": str(folder), **(environ or {})})
    [publisher] = SYSTEM.create_publishers(context._replace(clock=FakeClock()))
    return list(publisher.publish(step_report))


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**CODEFRESH, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The keys of Codefresh and the tokens of its integrations are credentials."""
    secrets = {"CF_API_KEY", "CODEFRESH_API_KEY", "CF_OIDC_TOKEN", "CF_GITHUB_TOKEN"}
    assert find_secret_names(SYSTEM, {*CODEFRESH, "CF_VOLUME_PATH", *secrets}) == secrets


def test_attempt_zero_is_valid() -> None:
    """A count may begin at 0, and a step without retries has none."""
    attempts = [read_context(CF_CURRENT_ATTEMPT=text).build_attempt for text in ("0", "1", "", "x")]
    assert attempts == ["0", "1", "", ""]


@pytest.mark.parametrize(("name", "value"), [("CF_REPO_OWNER", ""), ("CF_REPO_NAME", ""), ("CF_REPO_NAME", "..")])
def test_repository_needs_owner_and_name(name: str, value: str) -> None:
    """A repository needs both an owner and a name."""
    assert read_context(**{name: value}).repository == ""


@pytest.mark.parametrize(("folder", "is_shared"), [("", True), ("/codefresh/volume", False)])
def test_publishers_need_folder_and_share(folder: str, is_shared: bool) -> None:
    """All steps of a build share the file, so a step that is merged later writes nothing."""
    context = make_publish_context({"CF_VOLUME_PATH": folder})._replace(publishes_shared_data=is_shared)
    assert SYSTEM.create_publishers(context) == ()


def test_publish_before_end_writes_nothing(tmp_path: Path) -> None:
    """A report without a verdict creates no file."""
    assert publish(tmp_path, create_report([make_started_run("a")], None)) == []
    assert list(tmp_path.iterdir()) == []


def test_file_has_variables_and_mark(tmp_path: Path) -> None:
    """The lines of other steps stay, and a new line follows them."""
    find_file(tmp_path).write_text("EARLIER=1", "utf-8")
    assert publish(tmp_path) == []
    variables = read_variables(tmp_path)
    mark = str(build_mark(REPORT, "6f1a")).replace(" ", ":")
    texts = {name: text for name, text in dotenv_variables(REPORT).items() if text}
    assert variables == {"EARLIER": "1", "AUTONOMA_WRITTEN_BY": mark, **texts}
    assert variables["AUTONOMA_CONCLUSION"] == "passed"


def test_variable_without_value_is_left_out(tmp_path: Path) -> None:
    """A value that Codefresh can't store is left out with a warning."""
    run = make_passed_run("a")._replace(url="https://autonoma.app/run a")
    [warning] = publish(tmp_path, REPORT._replace(results=(run,)))
    assert "AUTONOMA_RUN_URL left empty (" in warning
    variables = read_variables(tmp_path)
    assert variables["AUTONOMA_RUN_ID"] == "run-a"
    assert not [name for name in variables if "RUN_URL" in name]


@pytest.mark.parametrize("in_file", [True, False])
def test_variable_of_earlier_attempt_is_replaced(in_file: bool, tmp_path: Path) -> None:
    """A retry without a run must not leave the link of the earlier run, in the file or the environment."""
    publish(tmp_path)
    environ: dict[str, str] = {}
    if not in_file:
        environ = read_variables(tmp_path)
        find_file(tmp_path).unlink()
    assert publish(tmp_path, REPORT._replace(results=()), environ) == []
    variables = read_variables(tmp_path)
    assert (variables["AUTONOMA_RUN_URL"], variables["AUTONOMA_RUN_ID"]) == ("none", "none")


@pytest.mark.parametrize("in_file", [True, False])
def test_variables_of_other_step_stay(in_file: bool, tmp_path: Path) -> None:
    """A parallel step is in the file, and an earlier one is in the environment."""
    publish(tmp_path, OTHER_REPORT)
    environ: dict[str, str] = {}
    if not in_file:
        environ = read_variables(tmp_path)
        find_file(tmp_path).unlink()
    [warning] = publish(tmp_path, REPORT, environ)
    assert "The variables of this step end in _AUTONOMA_TESTS" in warning
    variables = {**environ, **read_variables(tmp_path)}
    assert variables["AUTONOMA_CONCLUSION"] == "failed"
    assert variables["AUTONOMA_CONCLUSION_AUTONOMA_TESTS"] == "passed"


def test_last_value_of_name_counts(tmp_path: Path) -> None:
    """The name belongs to the step of the last mark in the file."""
    marks = [str(build_mark(step_report, "6f1a")).replace(" ", ":") for step_report in (OTHER_REPORT, REPORT)]
    find_file(tmp_path).write_text("".join(f"AUTONOMA_WRITTEN_BY={mark}\n" for mark in marks), "utf-8")
    assert publish(tmp_path) == []
    assert "AUTONOMA_CONCLUSION" in read_variables(tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe=\x00\n", b"AUTONOMA_WRITTEN_BY=build <script>\n", b"=\n==\n\n", b"AUTONOMA_WRITTEN_BY\n"],
    ids=["not-text", "mark", "names", "name"],
)
def test_foreign_lines_are_not_marks(data: bytes, tmp_path: Path) -> None:
    """Lines of other programs stay, and none of them owns our names."""
    find_file(tmp_path).write_bytes(data)
    assert publish(tmp_path) == []
    content = find_file(tmp_path).read_bytes()
    assert content.startswith(data)
    assert b"\nAUTONOMA_CONCLUSION=passed\n" in content


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file or directory"),
        ("null", "invalid path"),
        ("folder", "Is a directory"),
        ("pipe", "not a regular file"),
    ],
)
def test_file_unwritable_warns(kind: str, reason: str, tmp_path: Path) -> None:
    """A file that cannot be written gives one warning, and a pipe without a reader does not stop the step."""
    folder = {"missing": str(tmp_path / "nowhere"), "null": "a\0b"}.get(kind, str(tmp_path))
    match kind:
        case "folder":
            find_file(tmp_path).mkdir()
        case "pipe":
            os.mkfifo(find_file(tmp_path))
    assert publish(folder) == [f"The variables for later steps could not be written ({reason}). The log has the links."]
