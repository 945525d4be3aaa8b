"""Test job steps on a full disk."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.fs.files import Directory
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import send_started_run
from tests.support.github_job import github_environ, read_outputs, run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A file size limit simulates the full disk. Only the first 100 bytes of a file can be written.
JOB_SCRIPT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
from autonoma_ci.cli import main
main()
"""


def test_full_disk_starts_all_and_fails(tmp_path: Path) -> None:
    """The log has the links of all runs, and the step fails because results.json is missing."""
    for name in ("output", "summary"):
        (tmp_path / name).write_text("before=1\n", "utf-8")
    with Sandbox() as sandbox:
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "AUTONOMA_CLIENT_ID": "some-client-id",
            "AUTONOMA_CLIENT_SECRET": "some-client-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "one, two",
            "AUTONOMA_RESULTS_DIR": "results",
        }
        # Without -B, Python would write truncated bytecode files, which break every later process.
        command = [sys.executable, "-B", "-c", JOB_SCRIPT]
        result = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (sandbox.count_starts("one"), sandbox.count_starts("two")) == (1, 1)
    # The requested results.json could not be written.
    assert result.returncode == 7, result.stderr
    assert (
        "::error title=Autonoma tests::results.json could not be written to results-dir, so the exit code is 7."
        in result.stdout
    )
    assert result.stdout.count("/run/") == 2
    assert "2 of 2 runs started." in result.stdout
    warnings = [line for line in result.stdout.splitlines() if line.startswith("::warning")]
    assert len(warnings) == 9
    assert all("File too large" in warning for warning in warnings)
    for name in ("output", "summary"):
        assert (tmp_path / name).read_text("utf-8") == "before=1\n"
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "extra_environ",
    [
        {"AUTONOMA_DRY_RUN": "true"},
        {"AUTONOMA_CLIENT_ID": "", "AUTONOMA_CLIENT_SECRET": "", "AUTONOMA_ON_MISSING_CREDENTIALS": "skip"},
        {"AUTONOMA_TEST_IDS": "", "AUTONOMA_ALLOW_EMPTY": "true"},
    ],
    ids=["dry run", "skipped", "empty"],
)
def test_step_without_runs_needs_results(extra_environ: dict[str, str], tmp_path: Path) -> None:
    """A later step needs results.json, so the step fails and its outputs state it."""
    output_path, log = tmp_path / "output", io.StringIO()
    environ = github_environ(tmp_path, "https://autonoma.test", ["one"])
    environ = {name: text for name, text in environ.items() if not name.startswith("INPUT_")}
    credentials = {"AUTONOMA_CLIENT_ID": "some-client-id", "AUTONOMA_CLIENT_SECRET": "some-client-secret"}
    environ |= credentials | {"AUTONOMA_TEST_IDS": "one", "AUTONOMA_RESULTS_DIR": "results"} | extra_environ
    (tmp_path / "results" / "results.json").mkdir(parents=True)
    assert cli.run_command([], Runtime(environ, log, log, str(tmp_path))) == 7
    outputs = read_outputs(output_path.read_text("utf-8"))
    assert (outputs["conclusion"], outputs["reason"]) == ("error", "unknown")
    assert "results.json could not be written to results-dir, so" in log.getvalue()


def test_results_write_is_retried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last write of results.json is retried once."""
    failed_names: list[str] = []
    write_atomic = Directory.write_atomic

    def fail_once(self: Directory, name: str, data: bytes) -> None:
        if name == "results.json" and b'"exit_code": 0' in data and not failed_names:
            failed_names.append(name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_atomic(self, name, data)

    monkeypatch.setattr(Directory, "write_atomic", fail_once)
    with FaultServer(send_started_run) as server:
        job = run_job(tmp_path, server.url, ["one"])
    assert failed_names
    assert (job.code, job.results_json["exit_code"], job.states) == (0, 0, {"one": "started"})
    assert "No space left" not in job.log


def _fail_other_results_writes(is_allowed: Callable[[bytes], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the writes of all other results fail."""
    write_atomic = Directory.write_atomic

    def write_if_allowed(self: Directory, name: str, data: bytes) -> None:
        if name == "results.json" and not is_allowed(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_atomic(self, name, data)

    monkeypatch.setattr(Directory, "write_atomic", write_if_allowed)


def _has_no_runs(data: bytes) -> bool:
    return not json.loads(data)["runs"]


def _run_local_step(folder: Path, url: str, *argv: str, **extra_environ: str) -> tuple[int, str]:
    """Run a step of a local job, and return its exit code and log."""
    log = io.StringIO()
    environ = {"AUTONOMA_CLIENT_ID": "some-client-id", "AUTONOMA_CLIENT_SECRET": "some-client-secret"}
    environ |= {"AUTONOMA_API_URL": url, **extra_environ}
    return cli.run_command(argv, Runtime(environ, log, log, str(folder))), log.getvalue()


@pytest.mark.parametrize("argv", [("--test-ids", "a"), ("--test-ids", "a", "--dry-run"), ("--test-ids", "")])
def test_results_without_runs_are_removed(
    argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first results.json, which has no runs, fits on the disk."""
    _fail_other_results_writes(lambda data: _has_no_runs(data) and b'"conclusion": null' in data, monkeypatch)
    with Sandbox() as sandbox:
        code, log = _run_local_step(tmp_path, sandbox.url, *argv, "--results-dir", "results")
        assert (code, sandbox.count_starts("a")) == ((7, 1) if argv[1:] == ("a",) else (code, 0))
        assert code
        assert "No space left" in log
        assert not (tmp_path / "results" / "results.json").exists()
        code, log = _run_local_step(tmp_path, sandbox.url, "wait", "results/results.json")
    assert code == 2
    assert "killed" not in log


def test_results_with_runs_are_preserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier results.json has the runs, so a later step can wait for them."""
    _fail_other_results_writes(lambda data: b'"conclusion": null' in data, monkeypatch)
    with Sandbox() as sandbox:
        assert _run_local_step(tmp_path, sandbox.url, "--test-ids", "a", "--results-dir", "results")[0] == 7
    assert not _has_no_runs((tmp_path / "results" / "results.json").read_bytes())


def test_results_of_other_step_are_preserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other step has replaced the results.json of this step."""
    path = tmp_path / "results" / "results.json"

    def is_allowed(data: bytes) -> bool:
        if not _has_no_runs(data):
            path.write_text("{}", "utf-8")
        return _has_no_runs(data)

    _fail_other_results_writes(is_allowed, monkeypatch)
    with Sandbox() as sandbox:
        assert _run_local_step(tmp_path, sandbox.url, "--test-ids", "a", "--results-dir", "results")[0] == 7
    assert path.read_text("utf-8") == "{}"
