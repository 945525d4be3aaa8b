"""Real jobs beside other processes that append to the same files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

import autonoma_ci
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from tests.architecture.package import ROOT
from tests.support import faults
from tests.support import github_parser as runner
from tests.support.fault_server import FaultServer
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.fault_server import Connection

# In seconds. Only a test that hangs reaches this limit.
MAX_WAIT_SECONDS = 120.0
# The command as it is installed, with short pauses between polls.
COMMAND = [
    sys.executable,
    "-c",
    """
from functools import partial
from autonoma_ci.app import runtime
from autonoma_ci.engine.poller import PollPolicy
runtime.Runtime = partial(runtime.Runtime, poll_policy=PollPolicy(interval=0.05))
from autonoma_ci.cli import main
main()
""",
]
PACKAGE = str(Path(autonoma_ci.__file__).parents[1])
# Shell scripts that append each line of their input to a file, and then print the line.
WRITER_SCRIPTS = {
    "bash": 'while read -r line; do { echo "$line"; } >&3; echo "$line"; done 3>> "$1"',
    "tee": 'exec tee -a "$1"',
    "bash that opens the file each time": 'while read -r line; do echo "$line" >> "$1"; echo "$line"; done',
}


class Api:
    """An API whose runs continue until `release` lets them pass."""

    def __init__(self) -> None:
        self._released: set[str] = set()
        self._polled: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self.server = FaultServer(self)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.__exit__(*exc)

    def __call__(self, connection: Connection) -> bool:
        """Respond to one request."""
        request = connection.request
        if request.method == "POST":
            return faults.send_started_run(connection)
        if "steps=" in request.path:
            return faults.send_response(200, '{"name": "A title"}')(connection)
        name = request.target_id.removeprefix("run-of-")
        self._event(name).set()
        return faults.send_response(200, json.dumps({"status": "passed" if name in self._released else "running"}))(
            connection
        )

    def _event(self, name: str) -> threading.Event:
        with self._lock:
            return self._polled.setdefault(name, threading.Event())

    def wait_for(self, name: str) -> None:
        """Wait until the job has polled the run of this test."""
        assert self._event(name).wait(MAX_WAIT_SECONDS)

    def release(self, name: str) -> None:
        """Let the run of this test pass."""
        self._released.add(name)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as api:
        yield api


class Job:
    """A job in its own process that waits for the run of one test."""

    def __init__(self, folder: Path, api: Api, name: str, environ: Mapping[str, str], *argv: str) -> None:
        base_environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": PACKAGE, "AUTONOMA_API_URL": api.server.url,
            "AUTONOMA_CLIENT_ID": "client-id-of-the-test", "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
            "AUTONOMA_TEST_IDS": name, "AUTONOMA_WAIT": "true", "AUTONOMA_RESULTS_DIR": f"results-{name}",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [*COMMAND, *argv], cwd=folder, env={**base_environ, **environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait_for_end(self) -> int:
        """Wait for the end of the job, and return its exit code."""
        log, _ = self._process.communicate(timeout=MAX_WAIT_SECONDS)
        assert "Traceback" not in log
        assert "could not be written" not in log
        return self._process.returncode


class Writer:
    """A process that appends lines to a file."""

    def __init__(self, kind: str, path: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", WRITER_SCRIPTS[kind], "bash", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        """Append a line, and wait until it is written."""
        assert self._process.stdin
        assert self._process.stdout
        self.lines.append(line)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{line}\n"

    def wait_for_end(self) -> None:
        """Wait until all lines are written."""
        self._process.communicate(timeout=MAX_WAIT_SECONDS)
        assert self._process.returncode == 0


def build_github_environ(folder: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }


def parse_pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def read_sourced_variables(text: str) -> dict[str, str]:
    script = "set -eu\n" + text + "\nexport -p"
    result = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, env={}, text=True, check=True)
    return dict(re.findall(r'declare -x (\w+)="(.*)"', result.stdout))


# For each system: the environment of a job, the name of its file, the format of a line and the parser of the file.
VARIABLE_FILES: dict[str, tuple[dict[str, str], str, str, Callable[[str], Mapping[str, str]]]] = {
    "github": ({"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "{}/file"}, "file", "{}={}", runner.parse_outputs),
    "gitea": ({"GITEA_ACTIONS": "true", "GITHUB_OUTPUT": "{}/file"}, "file", "{}={}", runner.parse_outputs),
    "circleci": ({"CIRCLECI": "true", "BASH_ENV": "{}/file"}, "file", "export {}={}", read_sourced_variables),
    "harness": ({"HARNESS_BUILD_ID": "1", "DRONE_OUTPUT": "{}/file"}, "file", "{}={}", parse_pairs),
    "bitbucket": (
        {"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_PIPELINES_VARIABLES_PATH": "{}/file"}, "file", "{}={}", parse_pairs
    ),
    "cloudbuild": ({"BUILDER_OUTPUT": "{}"}, "output", "{}={}", parse_pairs),
    "codefresh": ({"CF_BUILD_ID": "1", "CF_VOLUME_PATH": "{}"}, "env_vars_to_export", "{}={}", parse_pairs),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITER_SCRIPTS)
def test_summary_keeps_appended_lines(kind: str, api: Api, tmp_path: Path) -> None:
    """The summary has the lines of another process and one final report."""
    writer = Writer(kind, tmp_path / "summary")
    writer.write("- before the job")
    job = Job(tmp_path, api, "one", build_github_environ(tmp_path))
    api.wait_for("one")
    writer.write("- while the run goes on")
    api.release("one")
    assert job.wait_for_end() == 0
    writer.write("- behind the job")
    writer.wait_for_end()
    text = (tmp_path / "summary").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("- ")] == writer.lines
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)


@pytest.mark.parametrize("kind", WRITER_SCRIPTS)
@pytest.mark.parametrize("system", VARIABLE_FILES)
def test_variables_keep_appended_lines(system: str, kind: str, api: Api, tmp_path: Path) -> None:
    """The file has the variables of another process and the final conclusion."""
    environ, filename, line_format, read_variables = VARIABLE_FILES[system]
    writer = Writer(kind, tmp_path / filename)
    writer.write(line_format.format("FIRST", 1))
    job = Job(tmp_path, api, "one", {key: value.format(tmp_path) for key, value in environ.items()})
    api.wait_for("one")
    writer.write(line_format.format("SECOND", 2))
    api.release("one")
    assert job.wait_for_end() == 0
    writer.write(line_format.format("THIRD", 3))
    writer.wait_for_end()
    variables = read_variables((tmp_path / filename).read_text("utf-8"))
    assert {key: variables.get(key) for key in ("FIRST", "SECOND", "THIRD")} == {
        "FIRST": "1",
        "SECOND": "2",
        "THIRD": "3",
    }
    assert variables["conclusion" if read_variables is runner.parse_outputs else "AUTONOMA_CONCLUSION"] == "passed"


def test_two_jobs_share_summary(api: Api, tmp_path: Path) -> None:
    """The first job ends first, after the second job has read the file."""
    first_job = Job(tmp_path, api, "one", build_github_environ(tmp_path))
    api.wait_for("one")
    second_job = Job(tmp_path, api, "two", build_github_environ(tmp_path))
    api.wait_for("two")
    api.release("one")
    assert first_job.wait_for_end() == 0
    api.release("two")
    assert second_job.wait_for_end() == 0
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (2, 2, 0)
    assert all(text.count(f"[run-of-{name}]") == 1 for name in ("one", "two"))
    outputs = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (outputs["conclusion"], outputs["run-ids"]) == ("passed", '["run-of-two"]')


def test_cancelled_job_keeps_other_lines(api: Api, tmp_path: Path) -> None:
    """A cancelled job adds its report to the lines of other processes."""
    writers = {name: Writer("tee", tmp_path / name) for name in ("output", "summary")}
    job = Job(tmp_path, api, "one", build_github_environ(tmp_path))
    api.wait_for("one")
    for writer in writers.values():
        writer.write("theirs=1")
    job.send_signal(signal.SIGTERM)
    assert job.wait_for_end() == 143
    for writer in writers.values():
        writer.wait_for_end()
    outputs = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (outputs["theirs"], outputs["conclusion"], outputs["run-id"]) == ("1", "cancelled", "run-of-one")
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("theirs=1"), text.count("### "), text.count("🛑 Cancelled")) == (1, 1, 1)


def test_killed_job_has_outputs_of_runs(api: Api, tmp_path: Path) -> None:
    """The outputs of a killed job have the ids of its started runs."""
    job = Job(tmp_path, api, "one", build_github_environ(tmp_path))
    api.wait_for("one")
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not (tmp_path / "output").exists() or not (tmp_path / "output").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    assert job.wait_for_end() == -9
    outputs = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (outputs["conclusion"], outputs["run-ids"]) == ("", '["run-of-one"]')


def test_wait_replaces_own_summary(api: Api, tmp_path: Path) -> None:
    """The command `wait` replaces the summary of its step and keeps other lines."""
    job = Job(tmp_path, api, "one", {**build_github_environ(tmp_path), "AUTONOMA_WAIT": "false"})
    assert job.wait_for_end() == 0
    writer = Writer("bash", tmp_path / "summary")
    writer.write("- theirs")
    api.release("one")
    environ = {**build_github_environ(tmp_path), "AUTONOMA_TEST_IDS": ""}
    assert Job(tmp_path, api, "one", environ, "wait", "results-one/results.json").wait_for_end() == 0
    writer.wait_for_end()
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("- theirs\n"), text.count("### "), text.count("✅ Passed")) == (1, 1, 1)
    assert runner.parse_outputs((tmp_path / "output").read_text("utf-8"))["conclusion"] == "passed"


def test_hundreds_of_writes_lose_no_line(tmp_path: Path) -> None:
    """Two shells append without a pause."""
    stop_file = tmp_path / "stop"
    script = 'n=0; while [ ! -e "$2" ]; do echo "line $3 $((n += 1))" >> "$1"; done; echo "$n"'
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    [publisher] = GITHUB.create_publishers(make_publish_context(environ))
    final_runs = [make_passed_run(f"s{number}") for number in range(20)]
    shells = [
        subprocess.Popen(["bash", "-c", script, "bash", tmp_path / "summary", stop_file, name], stdout=subprocess.PIPE)
        for name in "ab"
    ]
    try:
        for turn in range(300):
            runs = [make_passed_run(f"t{number}") for number in range(turn % 20 + turn // 10)]
            assert publisher.publish(create_report([*runs, *final_runs], None)._replace(waits_for_results=True)) == []
        # The shells may have written more than GitHub shows.
        warnings = publisher.publish(create_report(final_runs, PASSED_VERDICT)._replace(waits_for_results=True))
        assert set(warnings) <= {"GITHUB_STEP_SUMMARY is full. The log has the links."}
    finally:
        stop_file.touch()
        line_counts = [int(shell.communicate(timeout=MAX_WAIT_SECONDS)[0]) for shell in shells]
    text = (tmp_path / "summary").read_text("utf-8")
    for name, count in zip("ab", line_counts, strict=True):
        numbers = re.findall(rf"^line {name} (\d+)$", text, re.MULTILINE)
        assert numbers == [str(number) for number in range(1, count + 1)]
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)


def test_outputs_of_concurrent_jobs_are_whole(tmp_path: Path) -> None:
    """Four processes append to one file, and the runner can read it."""
    code = """
import sys
from autonoma_ci.ci.systems.github import SYSTEM
from tests.support.reports import create_report, make_started_run
from tests.support.publish_contexts import make_publish_context
for turn in range(40):
    [file] = SYSTEM.create_publishers(make_publish_context({"GITHUB_OUTPUT": sys.argv[1]}))
    assert file.publish(create_report([make_started_run(f"t{number}") for number in range(turn * 5)])) == []
    with open(sys.argv[1], "a") as stream:
        stream.write(f"theirs-{sys.argv[2]}-{turn}=1\\n")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "output")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    jobs = [
        subprocess.Popen([*command, str(number)], env=env, stderr=subprocess.PIPE, text=True) for number in range(4)
    ]
    for job in jobs:
        assert job.communicate(timeout=MAX_WAIT_SECONDS)[1] == ""
    outputs = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert len([name for name in outputs if name.startswith("theirs-")]) == 160
    text = (tmp_path / "output").read_text("utf-8")
    assert len(re.findall(r"^conclusion<<", text, re.MULTILINE)) == 160
    remaining_text = re.sub(r"^[\w-]+<<(\w+)\n(?:.*\n)*?\1\n", "", text, flags=re.MULTILINE)
    assert sorted(set(remaining_text.split("\n"))) == [
        "",
        *sorted(name + "=1" for name in outputs if name.startswith("theirs-")),
    ]
    assert "\n\n" not in remaining_text, "act's runner takes no empty line"
