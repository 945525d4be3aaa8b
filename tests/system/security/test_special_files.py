"""Pipes, devices and folders in the place of files."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.invoke_command import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]


def make_endless_file(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def make_sparse_file(path: Path) -> None:
    """Make a sparse file of 1 TiB that uses no disk space."""
    path.touch()
    os.truncate(path, 1 << 40)


SPECIAL_FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a device": make_endless_file,
    "a socket": make_socket,
    "a folder": os.mkdir,
    "a file without end": make_sparse_file,
}
# For each source of a path: the environment, a text of the log, and the exit code.
# The runs continue without files that are optional.
PATH_SOURCES = {
    "manifest": ({"AUTONOMA_MANIFEST": "thing"}, "thing", 2),
    "event": ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": "thing", "AUTONOMA_TEST_IDS": "a"}, "", 0),
    "outputs": ({"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "thing", "AUTONOMA_TEST_IDS": "a"}, "GITHUB_OUTPUT", 0),
    "variables": ({"CIRCLECI": "true", "BASH_ENV": "thing", "AUTONOMA_TEST_IDS": "a"}, "The variables for", 0),
    "parameters": (
        {"TEAMCITY_VERSION": "1", "TEAMCITY_BUILD_PROPERTIES_FILE": "thing", "AUTONOMA_TEST_IDS": "a"}, "", 0
    ),
    "results-dir": ({"AUTONOMA_RESULTS_DIR": "thing", "AUTONOMA_TEST_IDS": "a"}, "AUTONOMA_RESULTS_DIR", 2),
}  # fmt: skip


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.slow
@pytest.mark.parametrize("file_kind", SPECIAL_FILES)
@pytest.mark.parametrize("path_source", PATH_SOURCES)
def test_special_file_does_not_block_job(path_source: str, file_kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """The process has 1 GiB of memory and one minute."""
    SPECIAL_FILES[file_kind](tmp_path / "thing")
    environ, message, code = PATH_SOURCES[path_source]
    if (path_source, file_kind) == ("results-dir", "a folder"):
        message, code = "", 0
    job_environ = {"PATH": os.environ["PATH"], "AUTONOMA_API_URL": sandbox.url, **CREDENTIALS, **environ}
    result = subprocess.run(
        COMMAND, env=job_environ, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60, preexec_fn=limit_memory,
    )  # fmt: skip
    assert result.returncode == code, result.stdout + result.stderr
    assert message in result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["wait", "report", "run"])
@pytest.mark.parametrize("file_kind", SPECIAL_FILES)
def test_special_file_is_no_results(file_kind: str, command: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """A later attempt looks for a results.json and continues without it."""
    (tmp_path / "results").mkdir()
    SPECIAL_FILES[file_kind](tmp_path / "results" / "results.json")
    second_attempt = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "5", "GITHUB_RUN_ATTEMPT": "2"}
    run_environ = (
        {"AUTONOMA_TEST_IDS": "a", "AUTONOMA_RESULTS_DIR": "results", **second_attempt} if command == "run" else {}
    )
    job_environ = {"PATH": os.environ["PATH"], "AUTONOMA_API_URL": sandbox.url, **CREDENTIALS, **run_environ}
    argv = [command] if command == "run" else [command, "results/results.json"]
    result = subprocess.run(
        [*COMMAND, *argv], env=job_environ, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60, preexec_fn=limit_memory,
    )  # fmt: skip
    # A folder cannot be replaced, and a step without its results.json fails.
    run_exit_code = 7 if file_kind == "a folder" else 0
    assert result.returncode == (run_exit_code if command == "run" else 2), result.stdout + result.stderr
    assert command == "run" or "results/results.json" in result.stderr
