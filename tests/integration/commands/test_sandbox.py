"""Tests of the command `sandbox`."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.clock import Clock
from autonoma_ci.errors import Cancelled
from autonoma_ci.sandbox import SCENARIO_IDS, Sandbox
from autonoma_ci.sandbox.fixtures import known_ids
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke
from tests.support.sandbox_client import CREDENTIALS as HEADERS
from tests.support.streams import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SignalClock(Clock):
    """A clock that does some work in its first sleep, and then receives a signal."""

    def __init__(self, work: Callable[[], None], signal_number: int) -> None:
        self._work, self._number = work, signal_number

    def sleep(self, seconds: float) -> None:
        """Do the work, and raise the error of a signal handler."""
        self._work()
        raise Cancelled(self._number)


def serve_until_signal(
    folder: Path,
    *flags: str,
    work: Callable[[str, list[str]], None] = lambda *_: None,
    signal_number: int = signal.SIGTERM,
) -> tuple[int, list[str]]:
    """Serve until a signal, and return exit code and lines.

    `work` gets the URL of the API and the lines before it.
    """
    out = io.StringIO()

    def run_work() -> None:
        lines = out.getvalue().splitlines()
        work(lines[0].split()[2].rstrip(","), lines)

    runtime = Runtime({}, out, out, str(folder), clock=SignalClock(run_work, signal_number))
    code = cli.run_command(["sandbox", "--port", "0", *flags], runtime)
    return code, out.getvalue().splitlines()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_signal_sets_exit_code(signal_number: signal.Signals, tmp_path: Path) -> None:
    """The exit code is 128 plus the number of the signal."""
    code, lines = serve_until_signal(tmp_path, signal_number=signal_number)
    assert (code, lines[-1]) == (128 + signal_number, "The sandbox was stopped.")


def test_sandbox_prints_instructions(tmp_path: Path) -> None:
    """The first lines have the URL, a command to try and all special ids."""
    _, lines = serve_until_signal(tmp_path)
    url = re.match(r"Sandbox at (http://127\.0\.0\.1:\d+/api), contract 2025-06, for this machine only", lines[0])
    assert url
    assert lines[2].startswith(f"  autonoma-ci run --api-url {url[1]} --client-id ")
    listed_ids = {line.split()[0] for line in lines if line.startswith("  ")}
    assert listed_ids == {"autonoma-ci", *SCENARIO_IDS, *known_ids()}


def test_sandbox_instructions_start_run(tmp_path: Path) -> None:
    """The command of the instructions starts a run without any warning."""
    result: list[CommandResult] = []

    def run_command(url: str, lines: list[str]) -> None:
        (command,) = (line for line in lines if url in line and line.startswith("  autonoma-ci "))
        result.append(invoke(tmp_path, *command.split()[1:]))

    serve_until_signal(tmp_path, work=run_command)
    assert [(command_result.code, command_result.err, "arning" in command_result.out) for command_result in result] == [
        (0, "", False)
    ]
    assert "1 of 1 run passed." in result[0].out


def test_sandbox_logs_requests(tmp_path: Path) -> None:
    """Each request has one line without its credentials."""

    def start_test(url: str, _: list[str]) -> None:
        body = {"id": "a", "source": "mine"}
        assert requests.post(f"{url}/test/a/run", json=body, headers=HEADERS, timeout=60).status_code == 200

    _, lines = serve_until_signal(tmp_path, work=start_test)
    assert [line for line in lines if "POST /api/test/a/run 200 source=mine" in line]
    assert not [line for line in lines if HEADERS["autonoma-client-secret"] in line]


def test_sandbox_port_is_free_after_signal(tmp_path: Path) -> None:
    """The argument `--port` selects the port of the URL."""
    with Sandbox() as sandbox:
        port = sandbox.url.split(":")[2].removesuffix("/api")
    code, lines = serve_until_signal(tmp_path, "--port", port)
    assert (code, f":{port}/api," in lines[0]) == (143, True)


def test_sandbox_listens_on_loopback_only(tmp_path: Path) -> None:
    """Other machines can't reach the sandbox."""
    hosts: list[str] = []
    serve_until_signal(tmp_path, work=lambda url, _: hosts.append(url.partition("//")[2].partition(":")[0]))
    assert hosts == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("flags", "contract", "status", "field"),
    [
        ((), "2025-06", 200, "run_id"),
        (("--contract", "2025-06"), "2025-06", 200, "run_id"),
        (("--contract", "2026-01"), "2026-01", 201, "runID"),
    ],
)
def test_sandbox_serves_named_contract(
    flags: tuple[str, ...], contract: str, status: int, field: str, tmp_path: Path
) -> None:
    """The flag selects the contract, and the first line of output shows URL and contract."""
    command = [sys.executable, "-u", "-m", "autonoma_ci", "sandbox", "--port", "0", *flags]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            match = re.match(r"Sandbox at (http://\S+/api), contract (\S+), for this machine", first)
            assert match, first
            body = {"id": "a", "source": "cli"}
            response = requests.post(f"{match[1]}/test/a/run", json=body, headers=HEADERS, timeout=60)
            assert (match[2], response.status_code, field in response.json()) == (contract, status, True)
        finally:
            process.kill()


def test_unknown_contract_lists_known_ones(tmp_path: Path) -> None:
    """An unknown contract is an error that lists the known contracts."""
    result = invoke(tmp_path, "sandbox", "--contract", "2024-01")
    assert result.code == 2
    assert [error for error in result.errors if error.startswith("--contract: ") and "2025-06" in error]


def test_sandbox_serves_until_signal(tmp_path: Path) -> None:
    """The sandbox answers requests of another process until SIGTERM."""
    environ = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2].rstrip(";,")
        result = invoke(tmp_path, "--test-ids", "a,sandbox-404", environ=CREDENTIALS | {"AUTONOMA_API_URL": url})
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, result.code) == (143, 4)
    assert "sandbox-404" in out
    assert "POST /api/test/a/run 200 source=cli" in out


@pytest.mark.parametrize("port", ["x", "70000", "-1"])
def test_sandbox_refuses_invalid_port(port: str, tmp_path: Path) -> None:
    """An invalid port is an input error."""
    result = invoke(tmp_path, "sandbox", f"--port={port}")
    assert result.code == 2
    assert "--port" in result.err


def test_sandbox_refuses_used_port(tmp_path: Path) -> None:
    """A port that is in use is an input error."""
    with Sandbox() as sandbox:
        result = invoke(tmp_path, "sandbox", "--port", sandbox.url.split(":")[2].removesuffix("/api"))
    assert result.code == 2
    assert "Use another --port." in result.err
