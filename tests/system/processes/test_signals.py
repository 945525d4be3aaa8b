"""Real processes that receive real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import JobResult, assert_runs_reported, github_environ, read_job_result
from tests.support.invoke_command import CREDENTIALS
from tests.support.streams import has_signal_handler, start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
# Reading the manifest takes 60 s, so that the signal of a busy machine still comes in time. It sleeps in short pieces,
# because Python handles a signal only after the current call into C.
SLOW_MANIFEST_SCRIPT = """
import time
from autonoma_ci.app import inputs
def load(*given, real=inputs.load_manifest, **named):
    loaded = real(*given, **named)
    for _ in range(600):
        time.sleep(0.1)
    return loaded
inputs.load_manifest = load
from autonoma_ci.cli import main
main()
"""
# Their starts take 3 s, or 30 s in `slow_sandbox`, so that they are pending when a signal comes.
SLOW_IDS = [f"sandbox-slow-{n}" for n in range(3)]
# In seconds. After a signal, a step gives pending requests 1 s and writes its reports. A busy machine needs longer, but
# less time than slow responses or runs would take.
MAX_STOP_SECONDS = 20.0


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def slow_sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=10) as sandbox:
        yield sandbox


class StepProcess:
    """A job step in its own process."""

    def __init__(
        self,
        folder: Path,
        url: str,
        ids: list[str],
        concurrency: int = 8,
        *argv: str,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.started_at = time.monotonic()
        environ = github_environ(folder, url, ids) | {"INPUT_CONCURRENCY": str(concurrency), "PATH": os.environ["PATH"]}
        environ |= dict(extra_environ or {})
        self.process = subprocess.Popen(
            [*COMMAND, *argv], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the process did not get that far"
            assert self.process.poll() is None, "it ended too early"
            time.sleep(0.01)

    def stop(self, *signals: signal.Signals, pause: float = 0.0) -> tuple[JobResult, float]:
        """Send the signals, and return the result and the seconds until the end."""
        started_at = time.monotonic()
        for number in signals:
            self.process.send_signal(number)
            time.sleep(pause)
        out, err = self.process.communicate(timeout=60)
        seconds = time.monotonic() - started_at
        return read_job_result(self.folder, self.process.returncode, out, err), seconds


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_writes_reports_within_2_s(
    number: signal.Signals, code: int, slow_sandbox: Sandbox, tmp_path: Path
) -> None:
    """Started runs keep their links, pending ones are unknown, and the rest is not started."""
    sandbox = slow_sandbox
    step = StepProcess(tmp_path, sandbox.url, ["quick", *SLOW_IDS, "late"], concurrency=2)
    step.wait_for(lambda: sandbox.count_starts("sandbox-slow-1") == 1)
    result, seconds = step.stop(number)
    assert seconds < MAX_STOP_SECONDS
    # One of the 2 s remains for the reports.
    assert StartPolicy().shutdown_grace <= 1
    assert result.code == code
    assert result.states == {
        "quick": "started",
        **dict(zip(SLOW_IDS, ["unknown", "unknown", "not-started"], strict=True)),
        "late": "not-started",
    }
    assert result.outputs["conclusion"] == result.outputs["reason"] == result.results_json["conclusion"] == "cancelled"
    assert result.outputs["run-url"] in result.summary
    assert result.outputs["run-url"].startswith("http://127.0.0.1")
    assert "may have started" in result.summary
    assert "Traceback" not in result.errors
    assert sandbox.count_starts("late") == 0


def test_two_signals_at_once_count_as_one(slow_sandbox: Sandbox, tmp_path: Path) -> None:
    """`timeout`, npm and terminals deliver a signal twice, which must not cut off the reports."""
    ids = ["quick", *SLOW_IDS]
    step = StepProcess(tmp_path, slow_sandbox.url, ids)
    step.wait_for(lambda: slow_sandbox.count_starts(SLOW_IDS[-1]) == 1)
    result, seconds = step.stop(signal.SIGTERM, signal.SIGTERM, pause=0.05)
    assert result.code == 143
    assert seconds < MAX_STOP_SECONDS
    assert_runs_reported(result, ids)
    assert list(result.states.values()) == ["started", "unknown", "unknown", "unknown"]


def test_signal_before_first_request_ends_job(sandbox: Sandbox, tmp_path: Path) -> None:
    """The signal arrives while the manifest is read."""
    entries = "".join(f"  - id: t{n}\n    groups: [g]\n    variables: {{A: b}}\n" for n in range(12_000))
    (tmp_path / "big.yml").write_text(f"tests:\n{entries}", "utf-8")
    environ = github_environ(tmp_path, sandbox.url, []) | {"INPUT_MANIFEST": "big.yml", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", SLOW_MANIFEST_SCRIPT]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not has_signal_handler(process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline, "the process did not get that far"
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    # The manifest would take 60 s.
    process.communicate(timeout=40)
    assert process.returncode == 143
    assert sandbox.received == []


def test_sigkill_keeps_runs_of_last_second(slow_sandbox: Sandbox, tmp_path: Path) -> None:
    """The flushed files are complete and have nearly all runs.

    Outputs are appended once all runs are started. Before that, results.json and the summary have the links.
    """
    ids = [f"t{n}" for n in range(60)] + SLOW_IDS
    step = StepProcess(tmp_path, slow_sandbox.url, ids)
    step.wait_for(lambda: slow_sandbox.count_starts(SLOW_IDS[-1]) == 1)
    # About 1 s on a usual machine. A machine that was slow before is also slow to write.
    time.sleep(min(20, max(1.2, 2 * (time.monotonic() - step.started_at))))
    step.process.kill()
    step.process.communicate(timeout=60)
    assert not (tmp_path / "output").exists()
    results_json = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert len([run["url"] for run in results_json["runs"] if run["url"]]) == 60
    assert [run["state"] for run in results_json["runs"]] == ["started"] * 60 + ["starting"] * 3
    assert (tmp_path / "summary").read_text("utf-8").count("](http://127.0.0.1") == 60


def test_sigkill_at_any_time_keeps_links(sandbox: Sandbox, tmp_path: Path) -> None:
    """The files parse at any time, and each link in them comes from the server.

    Outputs are appended once all runs are started.
    """
    step = StepProcess(tmp_path, sandbox.url, [f"t{n}" for n in range(3000)], concurrency=4)
    step.wait_for(lambda: len(sandbox.received) > 400 and _has_links(tmp_path))
    step.process.kill()
    step.process.communicate(timeout=60)
    received_count = len(sandbox.received)
    assert not (tmp_path / "output").exists()
    results_json = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert 0 < len([run["url"] for run in results_json["runs"] if run["url"]]) <= received_count
    assert 0 < (tmp_path / "summary").read_text("utf-8").count("](http://127.0.0.1") <= received_count
    assert 0 < sum(run["state"] == "started" for run in results_json["runs"]) <= received_count


def _has_links(folder: Path) -> bool:
    """Return whether results.json and summary have a link now."""
    results_json, summary = folder / "results" / "results.json", folder / "summary"
    if not results_json.exists() or not summary.exists():
        return False
    runs = json.loads(results_json.read_text("utf-8"))["runs"]
    return any(run["url"] for run in runs) and "](http://127.0.0.1" in summary.read_text("utf-8")


def test_second_signal_ends_hanging_job(tmp_path: Path) -> None:
    """A signal more than a second after the first one ends the process at once."""
    code = (
        "import time, queue, signal\nfrom autonoma_ci.engine.signals import SignalHandler\n"
        "interrupts = SignalHandler()\ninterrupts.hand_over(queue.SimpleQueue())\ninterrupts.install()\n"
        "print('ready', flush=True)\n"
        "interrupts.events.get(timeout=60)\nprint('first', flush=True)\n"
        "until = time.monotonic() + 60\nwhile time.monotonic() < until: time.sleep(0.1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "first\n"
    time.sleep(1.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


# Before the first request, a signal comes in a destructor, where Python drops the exception.
DROPPED_SIGNAL_SCRIPT = """
import os, signal, sys
from autonoma_ci.app.job_step import JobStep
class Sending:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        self.sent = True
def send_signal_before(method):
    def send_and_call(*args, **kwargs):
        Sending()
        return method(*args, **kwargs)
    return send_and_call
name = sys.argv.pop()
setattr(JobStep, name, send_signal_before(getattr(JobStep, name)))
from autonoma_ci.cli import main
main()
"""


@pytest.mark.parametrize("method", ["configure", "run_plan"])
def test_dropped_signal_prevents_starts(method: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """A signal that Python drops prevents all start requests."""
    environ = github_environ(tmp_path, sandbox.url, ["quick"]) | {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", DROPPED_SIGNAL_SCRIPT, method]
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (result.returncode, sandbox.count_starts("quick")) == (143, 0)
    assert result.stdout.splitlines()[-1].startswith("Cancelled")
    assert result.stderr == ""


# The resolver of the C library continues after a signal, and Python runs its handler only afterwards.
SLOW_DNS_SCRIPT = """
import os, signal, socket, time
def getaddrinfo(*args, **options):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.write(1, b"resolving")
    time.sleep(30)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")
socket.getaddrinfo = getaddrinfo
from autonoma_ci.cli import main
main()
"""


@pytest.mark.parametrize("argv", ["run --test-ids a --wait-for-url https://shop.test", "list", "init --all"])
def test_signal_during_name_resolution(argv: str, tmp_path: Path) -> None:
    """A signal ends a process that waits for DNS."""
    environ = CREDENTIALS | {"AUTONOMA_API_URL": "https://api.test"}
    process = start_process(tmp_path, *argv.split(), environ=environ, command=[sys.executable, "-c", SLOW_DNS_SCRIPT])
    assert process.stdout
    output = b""
    while b"resolving" not in output:
        part = os.read(process.stdout.fileno(), 1024)
        assert part, "the process did not get that far"
        output += part
    # The resolver sleeps by then.
    time.sleep(0.5)
    started_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - started_at < MAX_STOP_SECONDS
    assert process.returncode == 143
    assert "Traceback" not in err


WAIT_INPUTS = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m", "INPUT_POLL-INTERVAL": "1s"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_waiting_lists_open_runs(
    number: signal.Signals, code: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The reports list the runs that continue on the server."""
    step = StepProcess(tmp_path, sandbox.url, ["quick", "sandbox-stays"], extra_environ=WAIT_INPUTS)
    step.wait_for(lambda: "passed" in _read_states(tmp_path))
    result, seconds = step.stop(number)
    assert (seconds < MAX_STOP_SECONDS, result.code) == (True, code)
    assert result.states == {"quick": "passed", "sandbox-stays": "started"}
    assert result.outputs["conclusion"] == result.results_json["conclusion"] == "cancelled"
    for text in (result.log, result.summary):
        assert "autonoma-ci wait results/results.json" in text
    assert "the API cannot cancel runs" in result.summary
    assert (tmp_path / "results" / "junit.xml").exists()
    assert sandbox.count_starts("sandbox-stays") == 1


def _read_states(folder: Path) -> list[str]:
    """Return the run states of the current results.json, which is always complete."""
    path = folder / "results" / "results.json"
    return [run["state"] for run in json.loads(path.read_text("utf-8"))["runs"]] if path.exists() else []


def _wait_until_all_read(sandbox: Sandbox, earlier_threads: set[threading.Thread]) -> None:
    """Wait until the sandbox has read all requests of an ended process.

    Some may still be in the system's buffers. `earlier_threads` are the threads from before the start of the process.
    """
    # Connections are accepted in order, so this response shows that all earlier ones were accepted.
    assert requests.get(f"{sandbox.url}/folder", timeout=60).status_code == 401
    for thread in set(threading.enumerate()) - earlier_threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("seconds", [0.3, 0.9, 1.7, 2.6, 4.0])
def test_wait_resumes_step_killed_at_any_time(seconds: float, sandbox: Sandbox, tmp_path: Path) -> None:
    """The results.json is complete at any time, and `wait` ends its runs without a second start."""
    ids = [f"t{n}" for n in range(20)] + ["sandbox-fails", "sandbox-flaky", "sandbox-slow"]
    earlier_threads = set(threading.enumerate())
    step = StepProcess(tmp_path, sandbox.url, ids, 4, extra_environ={**WAIT_INPUTS, "INPUT_RETRIES": "1"})
    step.wait_for(lambda: bool(_read_states(tmp_path)))
    time.sleep(seconds)
    step.process.kill()
    step.process.communicate(timeout=60)
    _wait_until_all_read(sandbox, earlier_threads)
    start_counts = {name: sandbox.count_starts(name) for name in ids}
    assert len(_read_states(tmp_path)) == len(ids)
    wait_step = StepProcess(tmp_path, sandbox.url, [], 8, "wait", "results/results.json", extra_environ=WAIT_INPUTS)
    out, err = wait_step.process.communicate(timeout=120)
    result = read_job_result(tmp_path, wait_step.process.returncode, out, err)
    assert {name: sandbox.count_starts(name) for name in ids} == start_counts
    assert max(start_counts.values()) <= 2
    assert {name for name, count in start_counts.items() if count > 1} <= {"sandbox-fails", "sandbox-flaky"}
    assert set(result.states.values()) <= {"passed", "failed", "unknown"}
    assert result.code in {1, 7}
    passed_ids = {name for name, state in result.states.items() if state == "passed"}
    # The results.json may lack the starts of the last half second, and loses no earlier ones.
    assert all(start_counts[name] for name in passed_ids)
