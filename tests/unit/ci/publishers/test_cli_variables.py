"""Tests of variables that a program of the CI system sets."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.publishers.cli_variables import (
    MAX_VALUE_BYTES,
    create_cli_variable_publishers,
    create_shared_cli_variable_publishers,
)
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.ci.publishers.cli_variables import CliVariablePublisher, SharedCliVariablePublisher

REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(step_id="a" * 16)
RUNNING_REPORT = create_report([make_passed_run("a")], None)
# A store of one file for each name, with the arguments of sem-context.
STORE = """
cd {folder}
case "$1" in
get) if [ -f "$2" ]; then cat "$2"; else echo "$4"; fi ;;
put) printf %s "${{2#*=}}" > "${{2%%=*}}" ;;
esac
"""


def write_program(folder: Path, text: str) -> PublishContext:
    """Write a program, and return the context of a job that finds it."""
    for name in ("bin", "checkout", "data"):
        (folder / name).mkdir()
    script = folder / "bin" / "agent"
    script.write_text(f"#!/bin/sh\n{text}", "utf-8")
    script.chmod(0o755)
    return make_publish_context({"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "BUILD": "500"}, folder / "checkout")


def build_arguments(name: str, text: str) -> Sequence[str]:
    return ["set", name, text]


def make_publisher(folder: Path, text: str) -> CliVariablePublisher:
    [publisher] = create_cli_variable_publishers(write_program(folder, text), "agent", build_arguments)
    return publisher


def make_shared_publisher(folder: Path, text: str = "") -> SharedCliVariablePublisher:
    """Make a publisher whose program stores each name in the folder `data`."""
    text = text or STORE.format(folder=shlex.quote(str(folder / "data")))
    [publisher] = create_shared_cli_variable_publishers(write_program(folder, text), "agent", "BUILD")
    return publisher


def read_data(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (folder / "data").iterdir()}


# One program call for each variable


def test_program_sets_four_variables(tmp_path: Path) -> None:
    """Each call can be a request, so only the most useful variables are set."""
    publisher = make_publisher(tmp_path, f'echo "$*" >> {shlex.quote(str(tmp_path))}/calls\n')
    assert publisher.publish(REPORT) == []
    assert (tmp_path / "calls").read_text("utf-8").splitlines() == [
        "set AUTONOMA_CONCLUSION passed",
        "set AUTONOMA_REASON ok",
        "set AUTONOMA_RUN_URL https://autonoma.app/run/run-a",
        "set AUTONOMA_RUN_ID run-a",
    ]


def test_running_step_sets_no_variable(tmp_path: Path) -> None:
    """The variables are set when the job step ends."""
    publisher = make_publisher(tmp_path, f"touch {shlex.quote(str(tmp_path))}/called\n")
    assert publisher.publish(RUNNING_REPORT) == []
    assert not (tmp_path / "called").exists()


def test_failed_program_warns_once(tmp_path: Path) -> None:
    """After the first failure, no further variable is set."""
    publisher = make_publisher(tmp_path, f'echo "$2" >> {shlex.quote(str(tmp_path))}/calls\nexit 3\n')
    assert publisher.publish(REPORT) == [
        "The variables for later steps could not be set: agent failed with exit code 3."
    ]
    assert (tmp_path / "calls").read_text("utf-8") == "AUTONOMA_CONCLUSION\n"


def test_omitted_value_warns(tmp_path: Path) -> None:
    """A value that is too long is set to an empty text and reported."""
    publisher = make_publisher(tmp_path, f'echo "$2=$3" >> {shlex.quote(str(tmp_path))}/calls\n')
    run = make_passed_run("a")._replace(url=f"https://autonoma.app/{'x' * 30_000}")
    [warning] = publisher.publish(REPORT._replace(results=(run,)))
    assert warning.startswith("The variables for later steps: AUTONOMA_RUN_URL")
    assert "AUTONOMA_RUN_URL=\n" in (tmp_path / "calls").read_text("utf-8")


def test_missing_program_has_no_publisher(tmp_path: Path) -> None:
    """Without a trusted program there is no publisher."""
    context = make_publish_context({"PATH": str(tmp_path)}, tmp_path)
    assert create_cli_variable_publishers(context, "agent", build_arguments) == ()
    assert create_shared_cli_variable_publishers(context, "agent", "BUILD") == ()


# Variables that all jobs of the build share


def test_shared_program_sets_variables(tmp_path: Path) -> None:
    """The shared variables have the mark of the job step."""
    assert make_shared_publisher(tmp_path).publish(REPORT) == []
    data = read_data(tmp_path)
    mark = data.pop("AUTONOMA_WRITTEN_BY")
    assert mark == f"build:500:attempt::part:{REPORT.part.digest}:step:aaaaaaaa"
    assert data == {
        "AUTONOMA_CONCLUSION": "passed",
        "AUTONOMA_REASON": "ok",
        "AUTONOMA_RUN_URL": "https://autonoma.app/run/run-a",
        "AUTONOMA_RUN_ID": "run-a",
    }


def test_shared_program_preserves_other_step(tmp_path: Path) -> None:
    """A second step of the same name sets variables of its own."""
    publisher = make_shared_publisher(tmp_path)
    publisher.publish(REPORT)
    [warning] = publisher.publish(REPORT._replace(step_id="b" * 16))
    assert "Another step of this build has set the variables" in warning
    assert read_data(tmp_path)["AUTONOMA_WRITTEN_BY"].endswith(":step:aaaaaaaa")
    assert read_data(tmp_path)["AUTONOMA_CONCLUSION_BBBBBBBB"] == "passed"


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        ("https://autonoma.app/" + "x" * (MAX_VALUE_BYTES - 21), True),
        ("https://autonoma.app/" + "x" * (MAX_VALUE_BYTES - 20), False),
        ("https://autonoma.app/" + "é" * (MAX_VALUE_BYTES // 2 - 10), False),
        ("https://autonoma.app/?run=a", False),
    ],
    ids=["limit", "above", "bytes", "sign"],
)
def test_shared_program_gets_accepted_values(url: str, is_accepted: bool, tmp_path: Path) -> None:
    """sem-context refuses a long value and a value with an equals sign."""
    step_report = REPORT._replace(results=(make_passed_run("a")._replace(url=url),))
    warnings = make_shared_publisher(tmp_path).publish(step_report)
    assert read_data(tmp_path).get("AUTONOMA_RUN_URL") == (url if is_accepted else None)
    assert ["AUTONOMA_RUN_URL" in warning for warning in warnings] == ([] if is_accepted else [True])


def test_shared_program_unreachable_warns(tmp_path: Path) -> None:
    """A server that is unreachable gives one warning and sets no variable."""
    [warning] = [
        text for text in make_shared_publisher(tmp_path, "exit 2\n").publish(REPORT) if "could not be set" in text
    ]
    assert warning == "The variables for later steps could not be set: agent failed with exit code 2."
    assert read_data(tmp_path) == {}


def test_shared_running_step_sets_no_variable(tmp_path: Path) -> None:
    """The shared variables are set when the job step ends."""
    assert make_shared_publisher(tmp_path).publish(RUNNING_REPORT) == []
    assert read_data(tmp_path) == {}


def test_private_step_has_no_shared_publisher(tmp_path: Path) -> None:
    """A job step that publishes no shared data sets no shared variables."""
    context = write_program(tmp_path, "")._replace(publishes_shared_data=False)
    assert create_shared_cli_variable_publishers(context, "agent", "BUILD") == ()
    assert len(create_cli_variable_publishers(context, "agent", build_arguments)) == 1


@pytest.mark.parametrize("build_id", ["", "5 0", "5\n0", "x" * 61])
def test_hostile_build_id_is_no_part_of_mark(build_id: str, tmp_path: Path) -> None:
    """An invalid id of the build counts as unknown."""
    context = write_program(tmp_path, STORE.format(folder=shlex.quote(str(tmp_path / "data"))))
    [publisher] = create_shared_cli_variable_publishers(
        context._replace(environ={**context.environ, "BUILD": build_id}), "agent", "BUILD"
    )
    assert publisher.publish(REPORT) == []
    assert read_data(tmp_path)["AUTONOMA_WRITTEN_BY"].startswith("build::attempt:")
