"""Evidence of runs, from API and media host into the results folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import Connection, FaultServer
from tests.support.faults import send_response, send_started_run
from tests.support.github_job import JobResult, run_job
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.unit.reports.test_evidence_store import WEBM, list_stored_paths, serve_picture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import RequestHandler


class Service:
    """An API and a media host with another port.

    A run fails if the name of its test contains "fails".
    """

    def __init__(self, media_handler: RequestHandler) -> None:
        self.media_host = FaultServer(media_handler)
        self.api = FaultServer(self._respond)

    def __enter__(self) -> Self:
        self.media_host.__enter__()
        self.api.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.api.__exit__(*exc)
        self.media_host.__exit__(*exc)

    def _respond(self, connection: Connection) -> bool:
        path = connection.request.path
        if connection.request.method == "POST":
            return send_started_run(connection)
        status = "failed" if "fails" in path else "passed"
        if path.endswith("/status"):
            return send_response(200, json.dumps({"status": status}))(connection)
        media_url = f"http://127.0.0.1:{self.media_host.port}/{path.split('/')[-1].partition('?')[0]}"
        steps = [{"instruction": "Open", "status": status, "image": f"{media_url}/1.exe?signature=of-the-address"}]
        media_fields = {"steps": steps, "video_url": f"{media_url}/v"} if "media=true" in path else {"steps": []}
        return send_response(200, json.dumps({"name": "A title", "status": status} | media_fields))(connection)


def run_waiting_job(folder: Path, service: Service, ids: list[str], **more: str) -> JobResult:
    base_inputs = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m", "INPUT_EVIDENCE": "failed"}
    return run_job(folder, service.api.url, ids, extra_environ=base_inputs | {f"INPUT_{k}": v for k, v in more.items()})


def serve_media(connection: Connection) -> bool:
    return (serve_picture(WEBM, "video/webm") if connection.request.path.endswith("/v") else serve_picture())(
        connection
    )


def test_failed_run_has_evidence(tmp_path: Path) -> None:
    """The results folder and results.json have the screenshots and the video of a failed run."""
    with Service(serve_media) as service:
        job = run_waiting_job(tmp_path, service, ["fails", "fine"])
    assert job.code == 1
    files = list_stored_paths(tmp_path / "results" / "evidence")
    assert files == ["run-of-fails/step-001.png", "run-of-fails/video.webm"]
    assert "of-the-address" not in job.visible_text + (tmp_path / "results" / "report.html").read_text("utf-8")
    run = job.results_json["runs"][0]
    assert run["evidence"]["steps"][0]["screenshot"] == "evidence/run-of-fails/step-001.png"
    assert run["evidence"]["video"] == "evidence/run-of-fails/video.webm"


def test_evidence_all_includes_passes(tmp_path: Path) -> None:
    """With `evidence` set to all, passed runs have files too."""
    with Service(serve_media) as service:
        job = run_waiting_job(tmp_path, service, ["fine"], EVIDENCE="all")
    assert job.code == 0
    assert len(list_stored_paths(tmp_path / "results" / "evidence")) == 2


def test_media_host_gets_no_credentials(tmp_path: Path) -> None:
    """Requests to the media host have neither credentials nor other headers of the API."""
    with Service(serve_media) as service:
        run_waiting_job(tmp_path, service, ["fails"])
        received = service.media_host.received_requests
    assert len(received) == 2
    for request in received:
        everything = repr(sorted(request.headers.items())) + request.path
        assert "of-the-test" not in everything
        assert set(request.headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_expired_urls_are_refreshed_once(tmp_path: Path) -> None:
    """HTTP 403 leads to one request for new URLs."""
    requested_paths: list[str] = []

    def expire_first_request(connection: Connection) -> bool:
        is_first = connection.request.path not in requested_paths
        requested_paths.append(connection.request.path)
        return send_response(403)(connection) if is_first else serve_media(connection)

    with Service(expire_first_request) as service:
        job = run_waiting_job(tmp_path, service, ["fails"])
        assert sum("media=true" in request.path for request in service.api.received_requests) == 2
    assert len(list_stored_paths(tmp_path / "results" / "evidence")) == 2
    assert "not whole" not in job.log


@pytest.mark.parametrize("ids", [["fine"], ["fails"]])
def test_media_host_down_changes_no_verdict(ids: list[str], tmp_path: Path) -> None:
    """Missing evidence is a warning and does not change the exit code."""
    with Service(send_response(500)) as service:
        job = run_waiting_job(tmp_path, service, ids, EVIDENCE="all")
    assert job.code == (1 if ids == ["fails"] else 0)
    assert "::warning" in job.log
    assert "1 run with incomplete evidence: A title: 2 files: HTTP 500" in job.log
    assert job.results_json["runs"][0]["evidence"]["missing_reason"] == "2 files: HTTP 500"


def test_evidence_needs_results_dir(tmp_path: Path) -> None:
    """The option `evidence` without `results-dir` is an input error."""
    with Service(serve_media) as service:
        result = invoke(tmp_path, "run", "--test-ids", "a", "--wait", "--evidence", "all", environ=CREDENTIALS)
        assert service.api.received_requests == []
    assert result.code == 2
    assert result.errors == ["--evidence needs a directory for its files. Set results-dir."]


LIMITED_PROGRAM = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
from autonoma_ci.cli import main
main()
"""


@pytest.mark.slow
def test_full_disk_is_warning(tmp_path: Path) -> None:
    """After the first write error, no other file is requested. A file size limit simulates the disk."""
    with Sandbox(pace=0) as sandbox:
        environ = {
            "AUTONOMA_CLIENT_ID": "some-client-id",
            "AUTONOMA_CLIENT_SECRET": "some-client-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "sandbox-one",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_EVIDENCE": "all",
            "PATH": os.environ["PATH"],
        }
        completed = subprocess.run(
            [sys.executable, "-B", "-c", LIMITED_PROGRAM],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert completed.returncode == 7, "results.json could not be written"
    assert "could not be written (File too large)" in completed.stdout
    assert "1 of 1 run passed." in completed.stdout
    assert list_stored_paths(tmp_path / "results" / "evidence") == []


def test_wait_command_downloads_evidence(tmp_path: Path) -> None:
    """The command `wait` downloads the evidence of runs that an earlier step started."""
    with Service(serve_media) as service:
        first = run_job(tmp_path, service.api.url, ["fails"])
        assert first.code == 0
        environ = {"INPUT_EVIDENCE": "failed", "INPUT_TEST-IDS": "", "INPUT_RESULTS-DIR": ""}
        job = run_job(tmp_path, service.api.url, [], "wait", "results/results.json", extra_environ=environ)
    assert job.code == 1
    assert len(list_stored_paths(tmp_path / "results" / "evidence")) == 2
