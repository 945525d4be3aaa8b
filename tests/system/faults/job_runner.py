"""Run the job of a scene as a process."""

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
    from tests.system.faults.harness import Scene

_PROCESS = Path(__file__).with_name("job_main.py")


class JobResult(NamedTuple):
    """Result of the job's process."""

    code: int
    log: str  # the part that was read
    seconds: float
    megabytes: float  # peak memory in MiB


def run_scene(scene: Scene) -> JobResult:
    """Run the job, and kill it after its time limit."""
    if scene.phase is Phase.REPORT:
        (scene.faults / "report-waits").touch()
    environ = _build_environment(scene)
    command = [sys.executable, "-B", str(_PROCESS)]
    if closed := environ.get("JOB_CLOSED"):
        command = close_descriptors(command, *map(int, closed.split()))
    scene.started_at = began = time.monotonic()
    scene.process = process = subprocess.Popen(
        command,
        cwd=scene.work,
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
        log += b"" if scene.log_stalled.is_set() else _read_available(process.stdout)
        megabytes = _read_peak_megabytes(process.pid) or megabytes
        about_to_report = (scene.faults / "report").exists() and (scene.faults / "report-waits").exists()
        if about_to_report:
            scene.begin_fault()
        if scene.close_log.is_set():
            process.stdout.close()
            scene.log_closed.set()
        if about_to_report:
            (scene.faults / "report-waits").unlink()
        time.sleep(0.02)
        if time.monotonic() > began + scene.kind.max_seconds:
            process.kill()
    seconds = time.monotonic() - began
    log += _read_available(process.stdout)
    process.stdout.close()
    return JobResult(process.returncode, log.decode("utf-8", "backslashreplace"), seconds, megabytes)


def _read_peak_megabytes(pid: int) -> float:
    """Return the peak memory of a process in MiB.

    The value of wait() is unusable, because it includes memory of the parent.
    """
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def _read_available(stream: IO[bytes]) -> bytes:
    with suppress(ValueError):  # the stream is closed if its reader has left
        return stream.read() or b""
    return b""


def _build_environment(scene: Scene) -> dict[str, str]:
    """Build the environment of a pull request job with this failure."""
    event = scene.folder / "event.json"
    head = {"sha": "c0ffee" * 6 + "abcd", "repo": {"full_name": "acme/shop"}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    given = {
        "PATH": os.environ["PATH"],
        "HOME": str(scene.folder / "home"),
        "JOB_FAULTS": str(scene.faults),
        "JOB_ADDRESSES": scene.kind.address,
        **scene.kind.build_limits(scene.phase),
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_API_URL": scene.build_url(scene.forge, "github"),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "500",
        "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
        "GITHUB_OUTPUT": str(scene.folder / "output"),
        "GITHUB_STEP_SUMMARY": str(scene.folder / "summary"),
        "INPUT_API-URL": f"{scene.build_url(scene.api, 'api')}/api",
        "INPUT_CLIENT-ID": secret_markers.CLIENT_ID,
        "INPUT_CLIENT-SECRET": secret_markers.CLIENT_SECRET,
        "INPUT_GITHUB-TOKEN": secret_markers.TOKEN,
        "INPUT_TEST-IDS": "\n".join(IDS),
        "INPUT_VARIABLES": json.dumps(secret_markers.VALUES),
        "INPUT_RESULTS-DIR": "results",
        "INPUT_WAIT": "true",
        "INPUT_TIMEOUT": "30s",
        "INPUT_EVIDENCE": "failed",
        "INPUT_COMMENT": "true",
    }
    if scene.kind.uses_tls and not scene.kind.is_untrusted:
        given["REQUESTS_CA_BUNDLE"] = str(scene.certificates.authority)
    if scene.proxy:
        given["HTTPS_PROXY"] = scene.proxy.url
    changed = {**given, **scene.kind.prepare(scene)}
    # Empty variables are removed.
    return {name: text for name, text in changed.items() if text}
