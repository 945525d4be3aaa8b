"""Run the job of a scenario as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tests.support.streams import close_descriptors
from tests.system.faults.fault_case import Phase
from tests.system.faults.harness import IDS
from tests.system.security.redaction import secret_markers

if TYPE_CHECKING:
    from tests.system.faults.harness import FaultScenario

_PROCESS = Path(__file__).with_name("job_main.py")


class ProcessResult(NamedTuple):
    """Result of the job's process."""

    code: int
    log: str  # the part that was read
    seconds: float
    megabytes: float  # peak memory in MiB


def run_scenario(scenario: FaultScenario) -> ProcessResult:
    """Run the job, and kill it after its time limit."""
    if scenario.phase is Phase.REPORT:
        (scenario.faults_dir / "report-waits").touch()
    environ = _build_environment(scenario)
    command = [sys.executable, "-B", str(_PROCESS)]
    if closed_descriptors := environ.get("JOB_CLOSED"):
        command = close_descriptors(command, *map(int, closed_descriptors.split()))
    scenario.started_at = started_at = time.monotonic()
    scenario.process = process = subprocess.Popen(
        command,
        cwd=scenario.work_dir,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    log = bytearray()
    megabytes = 0.0
    while process.poll() is None:
        log += b"" if scenario.log_stalled.is_set() else _read_available(process.stdout)
        megabytes = _read_peak_megabytes(process.pid) or megabytes
        is_report_pending = (scenario.faults_dir / "report").exists() and (
            scenario.faults_dir / "report-waits"
        ).exists()
        if is_report_pending:
            scenario.begin_fault()
        if scenario.close_log.is_set():
            process.stdout.close()
            scenario.log_closed.set()
        if is_report_pending:
            (scenario.faults_dir / "report-waits").unlink()
        time.sleep(0.02)
        if time.monotonic() > started_at + scenario.case.max_seconds:
            process.kill()
    seconds = time.monotonic() - started_at
    log += _read_available(process.stdout)
    process.stdout.close()
    return ProcessResult(process.returncode, log.decode("utf-8", "backslashreplace"), seconds, megabytes)


def _read_peak_megabytes(pid: int) -> float:
    """Return the peak memory of a process in MiB.

    The value of wait() is unusable, because it includes memory of the parent.
    """
    with suppress(OSError):
        match = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
        return int(match[1]) / 1024 if match else 0.0
    return 0.0


def _read_available(stream: IO[bytes]) -> bytes:
    with suppress(ValueError):  # the stream is closed in the fault `the reader of the log exits`
        return stream.read() or b""
    return b""


def _build_environment(scenario: FaultScenario) -> dict[str, str]:
    """Build the environment of a pull request job with this fault."""
    event = scenario.folder / "event.json"
    head = {"sha": "c0ffee" * 6 + "abcd", "repo": {"full_name": "acme/shop"}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(scenario.folder / "home"),
        "JOB_FAULTS": str(scenario.faults_dir),
        "JOB_ADDRESSES": scenario.case.address,
        **scenario.case.build_limits(scenario.phase),
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_API_URL": scenario.build_url(scenario.code_host, "github"),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "500",
        "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
        "GITHUB_OUTPUT": str(scenario.folder / "output"),
        "GITHUB_STEP_SUMMARY": str(scenario.folder / "summary"),
        "INPUT_API-URL": f"{scenario.build_url(scenario.api, 'api')}/api",
        "INPUT_CLIENT-ID": secret_markers.CLIENT_ID,
        "INPUT_CLIENT-SECRET": secret_markers.CLIENT_SECRET,
        "INPUT_GITHUB-TOKEN": secret_markers.TOKEN,
        "INPUT_TEST-IDS": "\n".join(IDS),
        "INPUT_VARIABLES": json.dumps(secret_markers.VARIABLE_VALUES),
        "INPUT_RESULTS-DIR": "results",
        "INPUT_WAIT": "true",
        "INPUT_TIMEOUT": "30s",
        "INPUT_EVIDENCE": "failed",
        "INPUT_COMMENT": "true",
    }
    if scenario.case.uses_tls and not scenario.case.is_untrusted:
        variables["REQUESTS_CA_BUNDLE"] = str(scenario.certificates.authority_file)
    if scenario.proxy:
        variables["HTTPS_PROXY"] = scenario.proxy.url
    environ = {**variables, **scenario.case.prepare(scenario)}
    # Empty variables are removed.
    return {name: text for name, text in environ.items() if text}
