"""Variables without a value after two steps in one job."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.base import RemotePublisher
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.publishers import build_variables
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.outputs import MAX_DOTENV_BYTES, MAX_VARIABLE_CHARS, output_variables, render_dotenv
from autonoma_ci.reports.results_dir import ResultsDirPublisher
from autonoma_ci.sandbox import Sandbox
from tests.integration.ci.test_native_outputs import run_waiting_step
from tests.support import grammars
from tests.support.files import read_last_values
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_results_dir, make_started_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from autonoma_ci.models import Report

SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
ARRAY_VARIABLES = ("AUTONOMA_RUN_IDS", "AUTONOMA_RUN_URLS")
VARIABLE_NAMES = set(output_variables(create_report()))
# The links of 200 runs fit into a variable, and those of 800 do not.
SMALL_REPORT = create_report([make_passed_run("smoke")], PASSED_VERDICT)
MEDIUM_REPORT = create_report([make_passed_run(f"id-{number}") for number in range(200)], PASSED_VERDICT)
LARGE_REPORT = create_report([make_passed_run(f"id-{number}") for number in range(800)], PASSED_VERDICT)
# A variable can contain this link, and a dotenv file cannot.
FRAGMENT_URL_REPORT = create_report(
    [make_passed_run("a")._replace(url="https://autonoma.app/run/a#step-3")], PASSED_VERDICT
)


def read_shell_file(path: Path) -> Mapping[str, str]:
    script = 'set -eu; . "$1"; for n in ${!AUTONOMA_*}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    completed = subprocess.run(["bash", "--norc", "-c", script, "bash", path], capture_output=True, env={}, check=True)
    return dict(pair.decode().split("=", 1) for pair in completed.stdout.split(b"\0") if pair)


FILE_SYSTEMS = {
    "circleci": ({"BASH_ENV": "{}/file"}, read_shell_file),
    "harness": ({"DRONE_OUTPUT": "{}/file"}, read_last_values),
    "bitbucket": ({"BITBUCKET_PIPELINES_VARIABLES_PATH": "{}/file"}, read_last_values),
    "cloudbuild": ({"BUILDER_OUTPUT": "{}"}, read_last_values),
}


def publish(name: str, environ: Mapping[str, str], folder: Path, job_report: Report, log_lines: list[str]) -> list[str]:
    """Publish a report as a separate step, and return its warnings."""
    publishers = SYSTEMS[name].create_publishers(
        make_publish_context(environ, folder, summary=False, log_lines=log_lines)
    )
    return [
        warning
        for publisher in publishers
        if not isinstance(publisher, RemotePublisher)
        for warning in publisher.publish(job_report)
    ]


def make_started_report(job_report: Report) -> Report:
    """Return the report of the same step before its runs ended."""
    runs = tuple(make_started_run(run.request.id) for run in job_report.results)
    return job_report._replace(results=runs, verdict=None, waits_for_results=True)


@pytest.mark.parametrize("name", FILE_SYSTEMS)
@pytest.mark.parametrize(
    "job_report", [MEDIUM_REPORT, LARGE_REPORT, FRAGMENT_URL_REPORT], ids=["middle", "large", "odd"]
)
def test_file_has_no_value_of_earlier_step(name: str, job_report: Report, tmp_path: Path) -> None:
    """A second step empties each variable whose value does not fit, with one warning."""
    environ, read = FILE_SYSTEMS[name]
    environ = {key: value.format(tmp_path) for key, value in environ.items()}
    assert publish(name, environ, tmp_path, SMALL_REPORT, []) == []
    [path] = tmp_path.iterdir()
    size = path.stat().st_size
    warnings = publish(name, environ, tmp_path, job_report, [])
    variables = read(path)
    if read is read_shell_file:
        assert variables == output_variables(job_report)
        assert set(variables) == VARIABLE_NAMES
    else:
        assert variables == dict(line.split("=", 1) for line in render_dotenv(job_report).splitlines())
        assert set(variables) == VARIABLE_NAMES - set(ARRAY_VARIABLES)
        assert path.stat().st_size - size <= MAX_DOTENV_BYTES
    empty_variables = " and ".join(
        variable for variable in ("AUTONOMA_RUN_URL", *ARRAY_VARIABLES) if variables.get(variable) == ""
    )
    assert bool(empty_variables) == (job_report is (LARGE_REPORT if read is read_shell_file else FRAGMENT_URL_REPORT))
    reason = "too long, or with unsupported characters"
    text = f"{empty_variables} left empty ({reason}). See results.json."
    assert warnings == ([f"The variables for later steps: {text}"] if empty_variables else [])


@pytest.mark.parametrize("name", FILE_SYSTEMS)
def test_step_with_two_writes_warns_once(name: str, tmp_path: Path) -> None:
    """Variables can be written early, but a warning appears only once."""
    environ, _ = FILE_SYSTEMS[name]
    environ = {key: value.format(tmp_path) for key, value in environ.items()}
    publishers = SYSTEMS[name].create_publishers(make_publish_context(environ, tmp_path))
    [file_publisher] = [publisher for publisher in publishers if not isinstance(publisher, RemotePublisher)]
    job_report = LARGE_REPORT if name == "circleci" else FRAGMENT_URL_REPORT
    early_report = make_started_report(job_report)
    early_report = early_report._replace(
        results=tuple(run._replace(url=job_report.results[0].url) for run in early_report.results)
    )
    assert file_publisher.publish(early_report) == []
    assert len(file_publisher.publish(job_report)) == 1


def test_warning_names_results_dir(tmp_path: Path) -> None:
    """The warning recommends `results-dir` if it is not set."""
    environ = {"BASH_ENV": str(tmp_path / "file")}
    [warning] = publish("circleci", environ, tmp_path, LARGE_REPORT._replace(results_dir=""), [])
    assert warning.endswith(" Set results-dir to get all values in results.json.")


def read_teamcity_parameters(log: str) -> Mapping[str, str]:
    commands = [command for command in grammars.find_teamcity_messages(log) if command.name == "setParameter"]
    return {command.values["name"].removeprefix("env."): command.values["value"] for command in commands}


def read_azure_variables(log: str) -> Mapping[str, str]:
    return {
        command.values["variable"]: command.data
        for command in grammars.find_azure_commands(log)
        if command.name == "task.setvariable"
    }


@pytest.mark.parametrize(
    ("name", "read", "warning"),
    [
        ("teamcity", read_teamcity_parameters, "The parameters for later steps: AUTONOMA_RUN_URLS left empty ("),
        ("azure", read_azure_variables, "The output variables: AUTONOMA_RUN_URLS left empty ("),
    ],
)
def test_log_commands_set_every_variable(
    name: str, read: Callable[[str], Mapping[str, str]], warning: str, tmp_path: Path
) -> None:
    """Log commands set every variable, and those that do not fit are empty."""
    log_lines: list[str] = []
    assert publish(name, {}, tmp_path, SMALL_REPORT, log_lines) == []
    [messages] = publish(name, {}, tmp_path, LARGE_REPORT, log_lines)
    assert messages.startswith(warning)
    variables = read("\n".join(log_lines))
    empty_variables = {variable: "" for variable in ARRAY_VARIABLES if variable in warning}
    assert variables == {**output_variables(LARGE_REPORT), **empty_variables}
    assert set(variables) == VARIABLE_NAMES
    assert all(len(text) <= MAX_VARIABLE_CHARS for text in variables.values())


def test_build_data_has_no_earlier_values() -> None:
    """Semaphore rejects an empty text, so a placeholder replaces the earlier value."""
    store: dict[str, str] = {}

    def put(name: str, text: str) -> None:
        assert text
        store[name] = text

    def get(name: str) -> str:
        return store.get(name, "")

    def publish_attempt(job_report: Report, number: str) -> list[str]:
        context = BuildContext("buildkite", build_id="500", build_attempt=number)
        job_report = job_report._replace(
            context=context, started_in_attempt=number, step_id=number * 16, part=Part("job", "1/3")
        )
        return build_variables.publish_build_variables(job_report, "500", get, put)

    assert publish_attempt(SMALL_REPORT, "1") == []
    [warning] = publish_attempt(LARGE_REPORT, "2")
    assert warning.startswith("The variables AUTONOMA_…_1_3: AUTONOMA_RUN_URLS left empty (")
    assert store["AUTONOMA_TOTAL_1_3"] == "800"
    assert store["AUTONOMA_RUN_URLS_1_3"] == build_variables.UNSET_TEXT


def test_outputs_env_warns_only_at_end(tmp_path: Path) -> None:
    """outputs.env gives its warning only with the final report."""
    publisher = ResultsDirPublisher(make_results_dir(tmp_path))
    assert publisher.publish(make_started_report(FRAGMENT_URL_REPORT)) == []
    [warning] = publisher.publish(FRAGMENT_URL_REPORT)
    assert warning.startswith("outputs.env: AUTONOMA_RUN_URL left empty (")


@pytest.mark.slow
def test_second_step_logs_each_warning_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a second step has each warning once."""
    path = tmp_path / "variables"
    environ = {"HARNESS_BUILD_ID": "1", "DRONE_OUTPUT": str(path)}
    with Sandbox(pace=0) as sandbox:
        assert " left empty (" not in run_waiting_step(tmp_path, sandbox, environ)[1]
        monkeypatch.setattr("autonoma_ci.reports.outputs.MAX_DOTENV_BYTES", 250)
        code, log = run_waiting_step(tmp_path, sandbox, environ, ",".join(f"test-{number}" for number in range(200)))
    assert code == 0
    messages = [line for line in log.splitlines() if " left empty (" in line]
    assert [line.split(": ")[1] for line in messages] == ["outputs.env", "The variables for later steps"]
    variables = read_last_values(path)
    assert variables["AUTONOMA_TOTAL"] == "200"
    names = re.findall(r"AUTONOMA_\w+", messages[1])
    assert names
    assert [variables[name] for name in names] == [""] * len(names)
