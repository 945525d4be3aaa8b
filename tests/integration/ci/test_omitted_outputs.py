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
from tests.integration.ci.test_native_outputs import step
from tests.support import grammars
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED, passed, report, started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from autonoma_ci.models import Report

SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
ARRAYS = ("AUTONOMA_RUN_IDS", "AUTONOMA_RUN_URLS")
NAMES = set(output_variables(report()))
# A variable has room for the links of 200 runs, and none for those of 800.
SMALL = report([passed("smoke")], PASSED)
MIDDLE = report([passed(f"id-{number}") for number in range(200)], PASSED)
LARGE = report([passed(f"id-{number}") for number in range(800)], PASSED)
# A file has no form for this link, and a variable has.
ODD = report([passed("a")._replace(url="https://autonoma.app/run/a#step-3")], PASSED)


def bash(path: Path) -> Mapping[str, str]:
    script = 'set -eu; . "$1"; for n in ${!AUTONOMA_*}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    ran = subprocess.run(["bash", "--norc", "-c", script, "bash", path], capture_output=True, env={}, check=True)
    return dict(pair.decode().split("=", 1) for pair in ran.stdout.split(b"\0") if pair)


def lines(path: Path) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in path.read_text("utf-8").splitlines())


FILES = {
    "circleci": ({"BASH_ENV": "{}/file"}, bash),
    "harness": ({"DRONE_OUTPUT": "{}/file"}, lines),
    "bitbucket": ({"BITBUCKET_PIPELINES_VARIABLES_PATH": "{}/file"}, lines),
    "cloudbuild": ({"BUILDER_OUTPUT": "{}"}, lines),
}


def publish(name: str, environ: Mapping[str, str], folder: Path, made: Report, reported: list[str]) -> list[str]:
    """Publish a report as a step of its own; return its warnings."""
    publishers = SYSTEMS[name].create_publishers(
        make_publish_context(environ, folder, summary=False, reported=reported)
    )
    return [warning for each in publishers if not isinstance(each, RemotePublisher) for warning in each.publish(made)]


def waiting(made: Report) -> Report:
    """Return the report of the same step, before its runs have ended."""
    runs = tuple(started(run.request.id) for run in made.results)
    return made._replace(results=runs, verdict=None, waits_for_results=True)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("made", [MIDDLE, LARGE, ODD], ids=["middle", "large", "odd"])
def test_file_has_no_value_of_earlier_step(name: str, made: Report, tmp_path: Path) -> None:
    """A second step empties each variable it has no room for, with one warning."""
    environ, read = FILES[name]
    environ = {key: value.format(tmp_path) for key, value in environ.items()}
    assert publish(name, environ, tmp_path, SMALL, []) == []
    [path] = tmp_path.iterdir()
    size = path.stat().st_size
    warnings = publish(name, environ, tmp_path, made, [])
    found = read(path)
    if read is bash:
        assert found == output_variables(made)
        assert set(found) == NAMES
    else:
        assert found == dict(line.split("=", 1) for line in render_dotenv(made).splitlines())
        assert set(found) == NAMES - set(ARRAYS)
        assert path.stat().st_size - size <= MAX_DOTENV_BYTES
    empty = " and ".join(each for each in ("AUTONOMA_RUN_URL", *ARRAYS) if found.get(each) == "")
    assert bool(empty) == (made is (LARGE if read is bash else ODD))
    why = "too long, or with characters that are not taken there"
    text = f"no room for {empty} ({why}), left without a value; results.json has all runs."
    assert warnings == ([f"The variables for later steps: {text}"] if empty else [])


@pytest.mark.parametrize("name", FILES)
def test_step_with_two_writes_warns_once(name: str, tmp_path: Path) -> None:
    """Variables can be written early, but a warning appears only once."""
    environ, _ = FILES[name]
    environ = {key: value.format(tmp_path) for key, value in environ.items()}
    publishers = SYSTEMS[name].create_publishers(make_publish_context(environ, tmp_path))
    [file] = [each for each in publishers if not isinstance(each, RemotePublisher)]
    made = LARGE if name == "circleci" else ODD
    early = waiting(made)
    early = early._replace(results=tuple(run._replace(url=made.results[0].url) for run in early.results))
    assert file.publish(early) == []
    assert len(file.publish(made)) == 1


def test_warning_names_results_dir(tmp_path: Path) -> None:
    """The warning recommends `results-dir` if it is not set."""
    environ = {"BASH_ENV": str(tmp_path / "file")}
    [warning] = publish("circleci", environ, tmp_path, LARGE._replace(results_dir=""), [])
    assert warning.endswith("; set results-dir: results.json in it has all runs.")


def teamcity(log: str) -> Mapping[str, str]:
    orders = [order for order in grammars.find_teamcity_messages(log) if order.name == "setParameter"]
    return {order.values["name"].removeprefix("env."): order.values["value"] for order in orders}


def azure(log: str) -> Mapping[str, str]:
    return {o.values["variable"]: o.data for o in grammars.find_azure_commands(log) if o.name == "task.setvariable"}


@pytest.mark.parametrize(
    ("name", "read", "warning"),
    [
        ("teamcity", teamcity, "The parameters for later steps: no room for AUTONOMA_RUN_URLS ("),
        ("azure", azure, "The output variables: no room for AUTONOMA_RUN_URLS ("),
    ],
)
def test_log_commands_set_every_variable(
    name: str, read: Callable[[str], Mapping[str, str]], warning: str, tmp_path: Path
) -> None:
    """Log commands set every variable, and those without room to an empty text."""
    reported: list[str] = []
    assert publish(name, {}, tmp_path, SMALL, reported) == []
    [messages] = publish(name, {}, tmp_path, LARGE, reported)
    assert messages.startswith(warning)
    found = read("\n".join(reported))
    empty = {each: "" for each in ARRAYS if each in warning}
    assert found == {**output_variables(LARGE), **empty}
    assert set(found) == NAMES
    assert all(len(text) <= MAX_VARIABLE_CHARS for text in found.values())


def test_build_data_has_no_earlier_values() -> None:
    """Semaphore rejects an empty text, so a placeholder replaces the earlier value."""
    store: dict[str, str] = {}

    def put(name: str, text: str) -> str:
        assert text
        store[name] = text
        return ""

    def get(name: str) -> str:
        return store.get(name, "")

    def attempt(made: Report, number: str) -> list[str]:
        context = BuildContext("buildkite", build_id="500", build_attempt=number)
        made = made._replace(context=context, started_in_attempt=number, step_id=number * 16, part=Part("job", "1/3"))
        return build_variables.publish_build_variables(made, "500", get, put)

    assert attempt(SMALL, "1") == []
    [warning] = attempt(LARGE, "2")
    assert warning.startswith("The variables AUTONOMA_…_1_3: no room for AUTONOMA_RUN_URLS (")
    assert store["AUTONOMA_TOTAL_1_3"] == "800"
    assert store["AUTONOMA_RUN_URLS_1_3"] == build_variables.UNSET_TEXT


def test_outputs_env_warns_only_at_end(tmp_path: Path) -> None:
    """outputs.env gives its warning only with the final report."""
    folder = ResultsDirPublisher(tmp_path)
    assert folder.publish(waiting(ODD)) == []
    [warning] = folder.publish(ODD)
    assert warning.startswith("outputs.env: no room for AUTONOMA_RUN_URL (")


@pytest.mark.slow
def test_second_step_logs_each_warning_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a second step has each warning once."""
    path = tmp_path / "variables"
    environ = {"HARNESS_BUILD_ID": "1", "DRONE_OUTPUT": str(path)}
    with Sandbox(pace=0) as sandbox:
        assert ": no room for " not in step(tmp_path, sandbox, environ)[1]
        monkeypatch.setattr("autonoma_ci.reports.outputs.MAX_DOTENV_BYTES", 250)
        code, log = step(tmp_path, sandbox, environ, ",".join(f"test-{number}" for number in range(200)))
    assert code == 0
    messages = [line for line in log.splitlines() if ": no room for " in line]
    assert [line.split(": ")[1] for line in messages] == ["outputs.env", "The variables for later steps"]
    found = lines(path)
    assert found["AUTONOMA_TOTAL"] == "200"
    names = re.findall(r"AUTONOMA_\w+", messages[1])
    assert names
    assert [found[each] for each in names] == [""] * len(names)
