"""Time limits, request limits and signals while a report is published."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.rest import http
from autonoma_ci.ci.rest.http import RestClient
from autonoma_ci.ci.systems.bitbucket import CodeInsightsPublisher
from autonoma_ci.clock import Clock
from autonoma_ci.sandbox import Sandbox
from tests.support.code_hosts import SERVICES, Service
from tests.support.fault_server import FaultServer
from tests.support.faults import delay, hang, send_response
from tests.support.reports import FAILED_VERDICT
from tests.support.rest_stubs import TOKEN, CodeHostStub
from tests.unit.ci.comments.test_sticky import build_attempt_report, open_comment_thread, publish

if TYPE_CHECKING:
    from tests.support.fault_server import Connection

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
# The documented maximum is 2 s, and a busy machine needs more. Without a signal, the step ends after 30 or 60 s.
MAX_STOP_SECONDS = 20.0
for_each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@pytest.fixture(autouse=True)
def _shorten_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)


def serve_next_page(connection: Connection) -> bool:
    """Respond with a page that links to a next page."""
    if connection.request.path.endswith("/user"):
        return send_response(200, json.dumps({"id": 7, "login": "x"}))(connection)
    link_header = f'Link: <http://{connection.request.headers["host"]}{connection.request.path}x>; rel="next"'
    return send_response(200, "[]" if connection.request.method == "GET" else '{"id": 1, "body": "x"}', link_header)(
        connection
    )


@for_each_service
def test_comment_sends_at_most_50_requests(service: Service) -> None:
    """With endless pages, the search stops within 50 requests, and the comment is written."""
    with FaultServer(serve_next_page) as host:
        assert publish(open_comment_thread(service, f"{host.url}/api"), build_attempt_report()) is None
        assert 20 < len(host.received_requests) <= 50
        assert [request.method for request in host.received_requests].count("POST") == 1


@pytest.mark.slow
@for_each_service
def test_comment_stops_at_total_timeout(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response is fast enough, but together they exceed the total timeout."""
    monkeypatch.setattr(http, "MAX_TOTAL_SECONDS", 1.0, raising=False)
    with FaultServer(delay(0.2, serve_next_page)) as host:
        warning = publish(open_comment_thread(service, f"{host.url}/api"), build_attempt_report())
        assert warning == "The comment could not be written: time limit of 1 s exceeded."
        assert len(host.received_requests) <= 6


@for_each_service
def test_comment_on_long_change_is_found(service: Service, host: CodeHostStub) -> None:
    """The change has as many comments as GitHub allows, or more changes than GitLab lists."""
    comment_count = 2_450 if service.name == "github" else 3_600
    assert publish(open_comment_thread(service, host.url), build_attempt_report()) is None
    for number in range(comment_count):
        host.add_foreign_comment(f"comment {number}", service.somebody)
    host.requests.clear()
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) is None
    assert host.list_methods() == [host.update_method]
    assert "Failed" in host.comments[0].body
    assert len(host.requests) <= 50


@for_each_service
def test_comment_replaced_on_long_change_shows(service: Service, host: CodeHostStub) -> None:
    """Another build replaces the comment immediately, and the list of recent changes shows it."""
    publish(open_comment_thread(service, host.url), build_attempt_report())
    for number in range(500):
        host.add_foreign_comment(f"comment {number}", service.somebody)
    [own_comment] = [comment for comment in host.comments if "autonoma-ci" in comment.body]
    other_body = own_comment.body

    def restore_other_body(method: str) -> None:
        if method == "GET" and own_comment.body != other_body and host.list_methods()[-1] == host.update_method:
            own_comment.body = other_body
            host.note_change(own_comment)

    host.on_request = restore_other_body
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    assert ["Failed" in comment.body for comment in host.comments if "autonoma-ci" in comment.body] == [False, True]


def test_code_insights_send_at_most_50_requests() -> None:
    """With endless pages, the search stops within 50 requests, and the report is written."""

    def serve_page(connection: Connection) -> bool:
        return send_response(200, json.dumps({"values": [], "next": "https://x"}))(connection)

    with FaultServer(serve_page) as server:
        insights = CodeInsightsPublisher(RestClient(f"{server.url}", {}, Clock()), "/commit/x", "500", "")
        assert insights.publish(build_attempt_report(FAILED_VERDICT)) == []
        assert 20 < len(server.received_requests) <= 50
        assert [request.method for request in server.received_requests][-2:] == ["PUT", "POST"]


# --- signals


def send_sigterm_during_call(
    folder: Path, environ: dict[str, str], callee: Path | FaultServer
) -> tuple[int, float, str]:
    """Send SIGTERM after the step calls the callee.

    `callee` is a server, or the path of a file that a called program creates.

    Returns:
        The exit code, the seconds since the signal, and the log.
    """
    with Sandbox(pace=0) as sandbox:
        base_environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "AUTONOMA_CLIENT_ID": "sandbox-id",
            "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "sandbox-one, sandbox-fails",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RESULTS_DIR": "results",
        }
        process = subprocess.Popen(
            COMMAND, cwd=folder, env=base_environ | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + 60
        while not (callee.exists() if isinstance(callee, Path) else callee.connection_count):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        signalled_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=90)
        return process.returncode, time.monotonic() - signalled_at, log


@pytest.mark.slow
@for_each_service
def test_signal_during_comment_ends_step(service: Service, tmp_path: Path) -> None:
    """The results.json has the verdict, and the log says that the comment may be incomplete."""
    with FaultServer(hang) as host:
        url = f"{host.url}/v3"
        environ = {**service.environ, service.address: url, service.token: TOKEN, "AUTONOMA_COMMENT": "true"}
        code, seconds, log = send_sigterm_during_call(tmp_path, environ, host)
    assert code == 1, log
    assert seconds < MAX_STOP_SECONDS
    assert "The comment may be incomplete" in log
    results_json = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert (results_json["exit_code"], [run["state"] for run in results_json["runs"]]) == (1, ["passed", "failed"])


@pytest.mark.slow
def test_signal_during_agent_call_ends_step(tmp_path: Path) -> None:
    """A signal ends the agent and the step, and the log says the report may be incomplete."""
    marker, script = tmp_path / "arrived", tmp_path / "bin" / "buildkite-agent"
    script.parent.mkdir()
    quoted_marker = shlex.quote(str(marker))
    script.write_text(
        f"#!/bin/sh\ntrap '' TERM\necho $$ > {quoted_marker}.pid\ntouch {quoted_marker}\nexec sleep 60\n", "utf-8"
    )
    script.chmod(0o755)
    workspace = tmp_path / "work"
    workspace.mkdir()
    environ = {"BUILDKITE": "true", "BUILDKITE_BUILD_ID": "b", "PATH": f"{script.parent}:{os.environ['PATH']}"}
    code, seconds, log = send_sigterm_during_call(workspace, environ, marker)
    assert code == 1, log
    assert seconds < MAX_STOP_SECONDS
    assert "The CI system's report may be incomplete" in log
    assert (workspace / "results" / "junit.xml").exists()
    # The agent does not outlive the step.
    command = Path("/proc", Path(f"{marker}.pid").read_text("utf-8").strip(), "cmdline")
    deadline = time.monotonic() + 60
    while _read_or_empty(command):
        assert time.monotonic() < deadline, "the agent goes on"
        time.sleep(0.05)


def _read_or_empty(path: Path) -> bytes:
    """Return the content of a file, or nothing if it does not exist.

    The command line of a process that ended is empty.
    """
    try:
        return path.read_bytes()
    except OSError:
        return b""
