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
from tests.support.reports import PASSED, passed, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.fault_server import Wire

# Longer than anything takes, in seconds: a limit for a test that hangs.
HANGS = 120.0
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
# What copies its input to a file that it opens once, and says of each line that it has been written.
WRITERS = {
    "bash": 'while read -r line; do { echo "$line"; } >&3; echo "$line"; done 3>> "$1"',
    "tee": 'exec tee -a "$1"',
    "bash that opens the file each time": 'while read -r line; do echo "$line" >> "$1"; echo "$line"; done',
}


class Api:
    """Runs that go on until they are let go, and then pass."""

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

    def __call__(self, wire: Wire) -> bool:
        """Answer one request."""
        request = wire.request
        if request.method == "POST":
            return faults.started(wire)
        if "steps=" in request.path:
            return faults.answer(200, '{"name": "A title"}')(wire)
        name = request.target_id.removeprefix("run-of-")
        self._event(name).set()
        return faults.answer(200, json.dumps({"status": "passed" if name in self._released else "running"}))(wire)

    def _event(self, name: str) -> threading.Event:
        with self._lock:
            return self._polled.setdefault(name, threading.Event())

    def wait_for(self, name: str) -> None:
        """Return once the job has polled the run of this test."""
        assert self._event(name).wait(HANGS)

    def release(self, name: str) -> None:
        """Let the run of this test pass."""
        self._released.add(name)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as running:
        yield running


class Job:
    """A job in a process of its own, which waits for the run of one test."""

    def __init__(self, folder: Path, api: Api, name: str, environ: Mapping[str, str], *argv: str) -> None:
        given = {
            "PATH": os.environ["PATH"], "PYTHONPATH": PACKAGE, "AUTONOMA_API_URL": api.server.url,
            "AUTONOMA_CLIENT_ID": "client-id-of-the-test", "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
            "AUTONOMA_TEST_IDS": name, "AUTONOMA_WAIT": "true", "AUTONOMA_RESULTS_DIR": f"results-{name}",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [*COMMAND, *argv], cwd=folder, env={**given, **environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for its end and return the exit code."""
        log, _ = self._process.communicate(timeout=HANGS)
        assert "Traceback" not in log
        assert "could not be written" not in log
        return self._process.returncode


class Writer:
    """A process that appends lines to a file, which it may have open from beginning to end."""

    def __init__(self, kind: str, path: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", WRITERS[kind], "bash", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        """Append a line, and return when that has been done."""
        assert self._process.stdin
        assert self._process.stdout
        self.lines.append(line)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{line}\n"

    def end(self) -> None:
        """Wait until all is written."""
        self._process.communicate(timeout=HANGS)
        assert self._process.returncode == 0


def github(folder: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }


def pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def sourced(text: str) -> dict[str, str]:
    script = "set -eu\n" + text + "\nexport -p"
    ran = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, env={}, text=True, check=True)
    return dict(re.findall(r'declare -x (\w+)="(.*)"', ran.stdout))


# The environment of a job, the name of the file in it, a line of others, and how the file is read.
FILES: dict[str, tuple[dict[str, str], str, str, Callable[[str], Mapping[str, str]]]] = {
    "github": ({"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "{}/file"}, "file", "{}={}", runner.parse_outputs),
    "gitea": ({"GITEA_ACTIONS": "true", "GITHUB_OUTPUT": "{}/file"}, "file", "{}={}", runner.parse_outputs),
    "circleci": ({"CIRCLECI": "true", "BASH_ENV": "{}/file"}, "file", "export {}={}", sourced),
    "harness": ({"HARNESS_BUILD_ID": "1", "DRONE_OUTPUT": "{}/file"}, "file", "{}={}", pairs),
    "bitbucket": (
        {"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_PIPELINES_VARIABLES_PATH": "{}/file"}, "file", "{}={}", pairs
    ),
    "cloudbuild": ({"BUILDER_OUTPUT": "{}"}, "output", "{}={}", pairs),
    "codefresh": ({"CF_BUILD_ID": "1", "CF_VOLUME_PATH": "{}"}, "env_vars_to_export", "{}={}", pairs),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_summary_keeps_appended_lines(kind: str, api: Api, tmp_path: Path) -> None:
    """The summary has the lines of another process and one final report."""
    writer = Writer(kind, tmp_path / "summary")
    writer.write("- before the job")
    job = Job(tmp_path, api, "one", github(tmp_path))
    api.wait_for("one")
    writer.write("- while the run goes on")
    api.release("one")
    assert job.end() == 0
    writer.write("- behind the job")
    writer.end()
    text = (tmp_path / "summary").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("- ")] == writer.lines
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("system", FILES)
def test_variables_keep_appended_lines(system: str, kind: str, api: Api, tmp_path: Path) -> None:
    """The file has the variables of another process and the final conclusion."""
    environ, name, line, read = FILES[system]
    writer = Writer(kind, tmp_path / name)
    writer.write(line.format("FIRST", 1))
    job = Job(tmp_path, api, "one", {key: value.format(tmp_path) for key, value in environ.items()})
    api.wait_for("one")
    writer.write(line.format("SECOND", 2))
    api.release("one")
    assert job.end() == 0
    writer.write(line.format("THIRD", 3))
    writer.end()
    found = read((tmp_path / name).read_text("utf-8"))
    assert {key: found.get(key) for key in ("FIRST", "SECOND", "THIRD")} == {"FIRST": "1", "SECOND": "2", "THIRD": "3"}
    assert found["conclusion" if read is runner.parse_outputs else "AUTONOMA_CONCLUSION"] == "passed"


def test_two_jobs_share_summary(api: Api, tmp_path: Path) -> None:
    """The first job ends first, after the second job has read the file."""
    one = Job(tmp_path, api, "one", github(tmp_path))
    api.wait_for("one")
    two = Job(tmp_path, api, "two", github(tmp_path))
    api.wait_for("two")
    api.release("one")
    assert one.end() == 0
    api.release("two")
    assert two.end() == 0
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (2, 2, 0)
    assert all(text.count(f"[run-of-{name}]") == 1 for name in ("one", "two"))
    found = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (found["conclusion"], found["run-ids"]) == ("passed", '["run-of-two"]')


def test_cancelled_job_keeps_other_lines(api: Api, tmp_path: Path) -> None:
    """A cancelled job adds its report to the lines of other processes."""
    writer = {name: Writer("tee", tmp_path / name) for name in ("output", "summary")}
    job = Job(tmp_path, api, "one", github(tmp_path))
    api.wait_for("one")
    for other in writer.values():
        other.write("theirs=1")
    job.send(signal.SIGTERM)
    assert job.end() == 143
    for other in writer.values():
        other.end()
    found = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (found["theirs"], found["conclusion"], found["run-id"]) == ("1", "cancelled", "run-of-one")
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("theirs=1"), text.count("### "), text.count("🛑 Cancelled")) == (1, 1, 1)


def test_killed_job_has_outputs_of_runs(api: Api, tmp_path: Path) -> None:
    """The outputs of a killed job have the ids of its started runs."""
    job = Job(tmp_path, api, "one", github(tmp_path))
    api.wait_for("one")
    until = time.monotonic() + HANGS
    while not (tmp_path / "output").exists() or not (tmp_path / "output").stat().st_size:
        assert time.monotonic() < until
        time.sleep(0.01)
    job.send(signal.SIGKILL)
    assert job.end() == -9
    found = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (found["conclusion"], found["run-ids"]) == ("", '["run-of-one"]')


def test_wait_replaces_own_summary(api: Api, tmp_path: Path) -> None:
    """The command `wait` replaces the summary of its step and keeps other lines."""
    first = Job(tmp_path, api, "one", {**github(tmp_path), "AUTONOMA_WAIT": "false"})
    assert first.end() == 0
    writer = Writer("bash", tmp_path / "summary")
    writer.write("- theirs")
    api.release("one")
    environ = {**github(tmp_path), "AUTONOMA_TEST_IDS": ""}
    assert Job(tmp_path, api, "one", environ, "wait", "results-one/results.json").end() == 0
    writer.end()
    text = (tmp_path / "summary").read_text("utf-8")
    assert (text.count("- theirs\n"), text.count("### "), text.count("✅ Passed")) == (1, 1, 1)
    assert runner.parse_outputs((tmp_path / "output").read_text("utf-8"))["conclusion"] == "passed"


def test_hundreds_of_writes_lose_no_line(tmp_path: Path) -> None:
    """Two shells append without a pause."""
    stop = tmp_path / "stop"
    script = 'n=0; while [ ! -e "$2" ]; do echo "line $3 $((n += 1))" >> "$1"; done; echo "$n"'
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    [file] = GITHUB.create_publishers(make_publish_context(environ))
    many = [passed(f"s{number}") for number in range(20)]
    shells = [
        subprocess.Popen(["bash", "-c", script, "bash", tmp_path / "summary", stop, name], stdout=subprocess.PIPE)
        for name in "ab"
    ]
    try:
        for turn in range(300):
            runs = [passed(f"t{number}") for number in range(turn % 20 + turn // 10)]
            assert file.publish(report([*runs, *many], None)._replace(waits_for_results=True)) == []
        # What the shells have written may be more than GitHub shows.
        warnings = file.publish(report(many, PASSED)._replace(waits_for_results=True))
        assert set(warnings) <= {"GITHUB_STEP_SUMMARY is full; the log has the links."}
    finally:
        stop.touch()
        written = [int(shell.communicate(timeout=HANGS)[0]) for shell in shells]
    text = (tmp_path / "summary").read_text("utf-8")
    for name, count in zip("ab", written, strict=True):
        found = re.findall(rf"^line {name} (\d+)$", text, re.MULTILINE)
        assert found == [str(number) for number in range(1, count + 1)]
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)


def test_outputs_of_concurrent_jobs_are_whole(tmp_path: Path) -> None:
    """Four processes append to one file, and the runner can read it."""
    code = """
import sys
from autonoma_ci.ci.systems.github import SYSTEM
from tests.support.reports import report, started
from tests.support.publish_contexts import make_publish_context
for turn in range(40):
    [file] = SYSTEM.create_publishers(make_publish_context({"GITHUB_OUTPUT": sys.argv[1]}))
    assert file.publish(report([started(f"t{number}") for number in range(turn * 5)])) == []
    with open(sys.argv[1], "a") as stream:
        stream.write(f"theirs-{sys.argv[2]}-{turn}=1\\n")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "output")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    jobs = [
        subprocess.Popen([*command, str(number)], env=env, stderr=subprocess.PIPE, text=True) for number in range(4)
    ]
    for job in jobs:
        assert job.communicate(timeout=HANGS)[1] == ""
    found = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert len([name for name in found if name.startswith("theirs-")]) == 160
    text = (tmp_path / "output").read_text("utf-8")
    assert len(re.findall(r"^conclusion<<", text, re.MULTILINE)) == 160
    outside = re.sub(r"^[\w-]+<<(\w+)\n(?:.*\n)*?\1\n", "", text, flags=re.MULTILINE)
    assert sorted(set(outside.split("\n"))) == [
        "",
        *sorted(name + "=1" for name in found if name.startswith("theirs-")),
    ]
    assert "\n\n" not in outside, "act's runner takes no empty line"
