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

from autonoma_ci.ci.comments import http
from autonoma_ci.ci.comments.http import RestClient
from autonoma_ci.ci.systems.bitbucket import CodeInsightsPublisher
from autonoma_ci.clock import Clock
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import after, answer, hang
from tests.support.reports import FAILED
from tests.support.rest_stubs import TOKEN, CodeHost
from tests.unit.ci.comments.test_sticky import SERVICES, Service, of, publish, thread_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fault_server import Wire

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
# In seconds: 2 are promised, and a machine that is busy with others needs more. Without a signal it would be 30 or 60.
STOPPED = 20.0
both = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)


@pytest.fixture
def host(service: Service) -> Iterator[CodeHost]:
    with service.host() as running:
        yield running
    assert running.complaints == []


def endless(wire: Wire) -> bool:
    """Have a next page after each page."""
    if wire.request.path.endswith("/user"):
        return answer(200, json.dumps({"id": 7, "login": "x"}))(wire)
    following = f'Link: <http://{wire.request.headers["host"]}{wire.request.path}x>; rel="next"'
    return answer(200, "[]" if wire.request.method == "GET" else '{"id": 1, "body": "x"}', following)(wire)


@both
def test_comment_sends_at_most_50_requests(service: Service) -> None:
    """A host with endless pages is left after 50 requests, and the comment is written."""
    with FaultServer(endless) as host:
        assert publish(thread_of(service, f"{host.url}/api"), of()) == ""
        assert 20 < len(host.received) <= 50
        assert [request.method for request in host.received].count("POST") == 1


@pytest.mark.slow
@both
def test_comment_stops_at_total_timeout(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response is fast enough, but together they exceed the total timeout."""
    monkeypatch.setattr(http, "MAX_TOTAL_SECONDS", 1.0, raising=False)
    with FaultServer(after(0.2, endless)) as host:
        why = publish(thread_of(service, f"{host.url}/api"), of())
        assert why == "The comment could not be written: it took longer than 1 s."
        assert len(host.received) <= 6


@both
def test_comment_on_long_change_is_found(service: Service, host: CodeHost) -> None:
    """The change has as many comments as GitHub allows, or more changes than GitLab lists."""
    others = 2_450 if service.name == "github" else 3_600
    assert publish(thread_of(service, host.url), of()) == ""
    for number in range(others):
        host.add(f"comment {number}", service.somebody)
    host.requests.clear()
    assert publish(thread_of(service, host.url), of(FAILED)) == ""
    assert host.methods() == [host.update]
    assert "Failed" in host.comments[0].body
    assert len(host.requests) <= 50


@both
def test_comment_replaced_on_long_change_shows(service: Service, host: CodeHost) -> None:
    """Another build replaces the comment at once, and a list of recent changes shows it."""
    publish(thread_of(service, host.url), of())
    for number in range(500):
        host.add(f"comment {number}", service.somebody)
    [ours] = [made for made in host.comments if "autonoma-ci" in made.body]
    theirs = ours.body

    def replaced(method: str) -> None:
        if method == "GET" and ours.body != theirs and host.methods()[-1] == host.update:
            ours.body = theirs
            host.note_change(ours)

    host.before = replaced
    publish(thread_of(service, host.url), of(FAILED))
    assert ["Failed" in made.body for made in host.comments if "autonoma-ci" in made.body] == [False, True]


def test_code_insights_send_at_most_50_requests() -> None:
    """A host with endless pages is left after 50 requests, and the report is written."""

    def page(wire: Wire) -> bool:
        return answer(200, json.dumps({"values": [], "next": "https://x"}))(wire)

    with FaultServer(page) as server:
        insights = CodeInsightsPublisher(RestClient(f"{server.url}", {}, Clock()), "/commit/x", "500", "")
        assert insights.publish(of(FAILED)) == []
        assert 20 < len(server.received) <= 50
        assert [request.method for request in server.received][-2:] == ["PUT", "POST"]


# --- signals


def signalled(folder: Path, environ: dict[str, str], arrived: Path | FaultServer) -> tuple[int, float, str]:
    """Send SIGTERM once the other side was called; return exit code, seconds from then on, and the log."""
    with Sandbox(pace=0) as sandbox:
        ours = {
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
            COMMAND, cwd=folder, env=ours | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until = time.monotonic() + 60
        while not (arrived.exists() if isinstance(arrived, Path) else arrived.connections):
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=90)
        return process.returncode, time.monotonic() - began, log


@pytest.mark.slow
@both
def test_signal_during_comment_ends_step(service: Service, tmp_path: Path) -> None:
    """The verdict is already written, and the log says that the comment may be incomplete."""
    with FaultServer(hang) as host:
        url = f"{host.url}/v3"
        environ = {**service.environ, service.address: url, service.token: TOKEN, "AUTONOMA_COMMENT": "true"}
        code, seconds, log = signalled(tmp_path, environ, host)
    assert code == 1, log
    assert seconds < STOPPED
    assert "The comment may be incomplete" in log
    record = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert (record["exit_code"], [run["state"] for run in record["runs"]]) == (1, ["passed", "failed"])


@pytest.mark.slow
def test_signal_during_agent_call_ends_step(tmp_path: Path) -> None:
    """A signal ends the agent and the step, and the log says the report may be incomplete."""
    arrived, script = tmp_path / "arrived", tmp_path / "bin" / "buildkite-agent"
    script.parent.mkdir()
    to = shlex.quote(str(arrived))
    script.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {to}.pid\ntouch {to}\nexec sleep 60\n", "utf-8")
    script.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    environ = {"BUILDKITE": "true", "BUILDKITE_BUILD_ID": "b", "PATH": f"{script.parent}:{os.environ['PATH']}"}
    code, seconds, log = signalled(work, environ, arrived)
    assert code == 1, log
    assert seconds < STOPPED
    assert "The CI system's report may be incomplete" in log
    assert (work / "results" / "junit.xml").exists()
    # The agent does not outlive the step.
    command = Path("/proc", Path(f"{arrived}.pid").read_text("utf-8").strip(), "cmdline")
    until = time.monotonic() + 60
    while _read(command):
        assert time.monotonic() < until, "the agent goes on"
        time.sleep(0.05)


def _read(path: Path) -> bytes:
    """Return what a file holds, or nothing if it is not there. The command line of a process that ended is empty."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
