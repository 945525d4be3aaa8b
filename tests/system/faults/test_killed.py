"""Test that SIGKILL at any moment loses no started run."""

from __future__ import annotations

import io
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

import autonoma_ci
from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.engine.poller import PollPolicy
from tests.support import faults
from tests.support.fault_server import FaultServer, Wire
from tests.support.run_step import github_environ, read_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRIALS = 200
WORKERS = 2
# In seconds. A third of the trials ends this soon: the process loads, reads its input and writes its first record.
STARTING = 0.5
# The command as it is installed, with short pauses between polls so that a job has the length of a test.
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
# The process has the same code as this one, whichever is installed.
PACKAGE = str(Path(autonoma_ci.__file__).parents[1])
OLD_BUILD = {"GITHUB_RUN_ID": "41", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "e2e", "GITHUB_SHA": "a" * 40}
BUILD = {**OLD_BUILD, "GITHUB_RUN_ID": "42"}
WAIT = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m"}
# The states in which a record may have a run that the server started. `unknown` is "may have started".
ACCOUNTED_FOR = {"starting", "started", "unknown", "passed", "failed"}
# How far a job had come: a request to start a run was sent, and the record does not know what came of it.
RUNS_SENT = "runs were sent"
# Longer than anything takes, in seconds: a limit for a test that hangs.
HANGS = 120.0


def _nothing(_: str) -> None:
    return


class Account:
    """The API's side: it starts each run that is asked for, and knows how each run ends.

    `slowness` is the time until a start is answered, in seconds. A run has ended at its third poll. `on_request` is
    called with the method of each request before it is answered.
    """

    def __init__(self, slowness: float) -> None:
        self._slowness = slowness
        self._lock = threading.Lock()
        self._tests: dict[str, str] = {}
        self._polls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.on_request: Callable[[str], object] = _nothing

    def __call__(self, wire: Wire) -> bool:
        """Answer one request."""
        request = wire.request
        self.on_request(request.method)
        if request.method == "POST":
            run = f"run-{secrets.token_hex(8)}"
            with self._lock:
                self._tests[run] = request.target_id
            body = {"message": "started", "url": f"https://autonoma.app/run/{run}", "run_id": run}
            return faults.after(self._slowness, faults.answer(200, json.dumps(body)))(wire)
        if "steps=" in request.path:
            return faults.answer(200, '{"name": "A title"}')(wire)
        return faults.answer(200, json.dumps({"status": self._status(request.target_id)}))(wire)

    def _status(self, run: str) -> str:
        with self._lock:
            self._polls[run] += 1
            if self._polls[run] < 3:
                return "running"
            return "failed" if self._tests.get(run, "") in self.failing else "passed"


class Shape(NamedTuple):
    """One job: `fails` is whether its last test fails, `slowness` as in `Account`."""

    tests: int
    waits: bool
    fails: bool
    concurrency: int
    slowness: float

    @property
    def ids(self) -> list[str]:
        """The ids of its tests, in the order of the plan."""
        return [f"test-{number}" for number in range(self.tests)]


LONGEST = Shape(6, waits=True, fails=False, concurrency=1, slowness=0.02)


def any_shape(chance: random.Random) -> Shape:
    """Return a job as chance has it."""
    return Shape(
        chance.randint(3, 6),
        waits=chance.random() < 0.6,
        fails=chance.random() < 0.3,
        concurrency=chance.choice([1, 2, 8]),
        slowness=chance.uniform(0.002, 0.02),
    )


class Scene:
    """A job of one build, in a folder with the files that the job of an older build left in results-dir."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        folder.mkdir()
        self.folder, self.shape = folder, shape
        self.account = Account(shape.slowness)
        self._server = FaultServer(self.account)
        self._old: dict[str, bytes] = {}
        self._old_posts: Counter[str] = Counter()
        self._old_threads = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._server.__enter__()
        self._run_old_build()
        if self.shape.fails:
            self.account.failing = {self.shape.ids[-1]}
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self._server.__exit__(*exc)

    @property
    def posts(self) -> Counter[str]:
        """How many POSTs of this build arrived for each test."""
        return self._server.posts - self._old_posts

    def _run_old_build(self) -> None:
        """Let all tests pass in a job of an older build."""
        environ = github_environ(self.folder, self._server.url, self.shape.ids) | OLD_BUILD | WAIT
        job_runtime = Runtime(
            environ, io.StringIO(), io.StringIO(), str(self.folder), poll_policy=PollPolicy(interval=0.01)
        )
        assert cli.run_command([], job_runtime) == 0
        results = self.folder / "results"
        names = ("results.json", "junit.xml", "report.html", "summary.md", "outputs.env")
        self._old = {name: (results / name).read_bytes() for name in names}
        assert [run["state"] for run in self.record()["runs"]] == ["passed"] * self.shape.tests
        self._old_posts = self._server.posts
        self._old_threads = len(self._server._threads)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start the command as a step of this build's job, with new files for outputs, summary and log."""
        for name in ("output", "summary"):
            (self.folder / name).unlink(missing_ok=True)
        environ = github_environ(self.folder, self._server.url, self.shape.ids) | BUILD
        environ |= {"INPUT_CONCURRENCY": str(self.shape.concurrency), "PATH": os.environ["PATH"], "PYTHONPATH": PACKAGE}
        if self.shape.waits or argv:
            environ |= WAIT
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *argv],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def end(self) -> int:
        """Wait for the end of the process, and until the server has read all that it sent; return the exit code."""
        assert self.process
        code = self.process.wait(HANGS)
        # Connections are accepted in order, so once this one is answered, there are none that were not accepted.
        with socket.create_connection(("127.0.0.1", self._server.port), HANGS) as probe:
            probe.sendall(b"GET /api/run/none/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert probe.recv(1)
        for thread in self._server._threads[self._old_threads :]:
            thread.join(HANGS)
            assert not thread.is_alive()
        return code

    def record(self) -> Any:
        """Return the record in results-dir, which is whole at any moment."""
        return json.loads((self.folder / "results" / "results.json").read_text("utf-8"))

    def old_files(self) -> set[str]:
        """Return the names of the files in results-dir that are still those of the older build."""
        results = self.folder / "results"
        present = {name: (results / name).read_bytes() for name in self._old if (results / name).exists()}
        return {name for name, data in present.items() if data == self._old[name]}

    def check(self) -> str:
        """Check what the killed job left, run `wait` on it, and return how far the job had come."""
        posts, before = self.posts, self.record()
        assert max(posts.values(), default=1) == 1, "a run was started twice"
        is_new = before["ci"]["build"] == BUILD["GITHUB_RUN_ID"]
        if posts:
            assert is_new, "the server started a run, and the record is still the old one"
        if is_new:
            assert self.old_files() == set(), "files of the old build lie beside the new record"
            self._check_conclusion(before, posts)
        if posts or (is_new and before["runs"]):
            self._check_runs(before, posts)
        self.start("wait", "results/results.json")
        code = self.end()
        log = (self.folder / "log").read_text("utf-8")
        assert "Traceback" not in log
        assert "this is a bug" not in log
        assert self.posts == posts, "wait started a run"
        self._check_wait(code, before, posts)
        return _stage(before, posts, is_new=is_new)

    def _check_runs(self, record: Any, posts: Mapping[str, int]) -> None:
        states = {run["id"]: run["state"] for run in record["runs"]}
        assert list(states) == self.shape.ids, "the record does not name every planned run"
        lost = {test: states[test] for test in posts if states[test] not in ACCOUNTED_FOR}
        assert not lost, f"the server started these: {lost}"

    def _check_conclusion(self, record: Any, posts: Mapping[str, int]) -> None:
        output = self.folder / "output"
        reported = read_outputs(output.read_text("utf-8")) if output.exists() else {}
        conclusions = {record["conclusion"], reported.get("conclusion")}
        assert "passed" not in conclusions or self._passed(posts), f"not all runs passed: {conclusions}"

    def _passed(self, posts: Mapping[str, int]) -> bool:
        """Say whether all planned runs were started, and passed at the server."""
        return set(posts) == set(self.shape.ids) and not self.shape.fails

    def _check_wait(self, code: int, before: Any, posts: Mapping[str, int]) -> None:
        reported = read_outputs((self.folder / "output").read_text("utf-8"))
        summary = (self.folder / "summary").read_text("utf-8")
        passed = self._passed(posts)
        green = {
            "exit code": code == 0,
            "outputs": reported["conclusion"] == "passed",
            "summary": "✅ Passed" in summary,
        }
        assert passed or not any(green.values()), f"green, but not all runs passed: {green}"
        if before["ci"]["build"] != BUILD["GITHUB_RUN_ID"]:
            assert code == 2, "the record of the old build was taken"
            assert self.old_files() >= {"results.json"}
            return
        after = self.record()
        self._check_conclusion(after, posts)
        assert {run["state"] for run in after["runs"]} <= {"passed", "failed", "unknown"}
        assert self.old_files() == set()
        named = [run["run_id"] for run in before["runs"]]
        if named and all(named):
            # Nothing was lost in the record, so nothing is unknown either.
            assert (code, all(green.values())) == ((0, True) if passed else (1, False))
        else:
            assert code == 7, "a run that may have started is unknown"


def _stage(record: Any, posts: Mapping[str, int], *, is_new: bool) -> str:
    if not is_new:
        return "the old record is there"
    if not record["runs"]:
        return "the new record has no runs"
    if not posts:
        return "no request was sent"
    if record["conclusion"]:
        return "the job had ended"
    return RUNS_SENT if any(run["state"] == "starting" for run in record["runs"]) else "runs were known"


def _length(folder: Path) -> float:
    """Return how long the longest job takes from its start to its end, in seconds, beside others like it."""
    with Scene(folder, LONGEST) as scene:
        began = time.monotonic()
        process = scene.start()
        assert process.wait(HANGS) == 0
        return time.monotonic() - began


def _moments(chance: random.Random, length: float) -> list[float]:
    """Return when to kill each trial's job, in seconds: some while it starts, the others at any time, all over it."""
    count = TRIALS // 3
    early = [min(STARTING, length) * (place + chance.random()) / count for place in range(count)]
    others = [length * (place + chance.random()) / (TRIALS - count) for place in range(TRIALS - count)]
    moments = early + others
    chance.shuffle(moments)
    return moments


@pytest.mark.slow
def test_kill_at_any_moment_loses_no_run(tmp_path: Path) -> None:
    """A killed job loses no started run, repeats no start and never passes by mistake."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown if the test fails
    chance = random.Random(seed)
    with ThreadPoolExecutor(WORKERS) as pool:
        length = max(pool.map(_length, [tmp_path / f"length-{number}" for number in range(WORKERS)]))
    trials = [(moment, any_shape(chance)) for moment in _moments(chance, length)]

    def play(number: int) -> str:
        moment, shape = trials[number]
        with Scene(tmp_path / f"trial-{number}", shape) as scene:
            process = scene.start()
            time.sleep(moment)
            process.kill()
            scene.end()
            try:
                return scene.check()
            except AssertionError as error:
                log = (scene.folder / "log").read_text("utf-8")
                pytest.fail(f"trial {number}, killed after {moment:.3f} s, {shape}: {error}\n{log}")

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(play, number) for number in range(TRIALS)]
    flaws = [str(error) for future in futures if (error := future.exception())]
    stages = Counter(future.result() for future in futures if not future.exception())
    reported = ", ".join(f"{stage}: {count}" for stage, count in sorted(stages.items()))
    print(f"a whole job takes {length:.2f} s; {reported}")  # noqa: T201 - shown if the test fails
    assert not flaws, f"{len(flaws)} of {TRIALS} trials, seed {seed}:\n\n" + "\n\n".join(flaws[:5])
    assert stages.total() == TRIALS


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize(("method", "waits"), [("POST", False), ("POST", True), ("GET", True)])
def test_kill_at_request_loses_no_run(method: str, waits: bool, number: int, tmp_path: Path) -> None:
    """The process is killed when the server has read its first or fourth request of a kind."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def kill_in_time(received: str) -> None:
        with lock:
            seen[received] += 1
            if scene.process and seen[method] == number:
                scene.process.kill()
                scene.process.wait()

    with Scene(tmp_path / "job", Shape(5, waits, fails=False, concurrency=2, slowness=0.002)) as scene:
        scene.account.on_request = kill_in_time
        scene.start()
        scene.end()
        scene.account.on_request = _nothing
        stage = scene.check()
    # A start that was not answered is in the record as such; how much it knows of the others depends on the time.
    assert stage == RUNS_SENT or method == "GET"
