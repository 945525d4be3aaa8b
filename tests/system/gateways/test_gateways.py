"""Test whole jobs behind real gateways that time out.

The timeout of each gateway is shorter than the API's response time. A gateway that times out sends its own response,
although the API may have received the request. The job must report `unknown` and never send the start again.
"""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Timeouts
from tests.support.fault_server import FaultServer
from tests.support.faults import close, delay, send_response, send_started_run
from tests.support.github_job import START_POLICY, assert_runs_reported, run_job
from tests.system.gateways.gateways import GATEWAY_KINDS, Gateway, GatewayKind
from tests.system.gateways.recording_proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.fault_server import Connection
    from tests.support.github_job import JobResult

pytestmark = pytest.mark.gateways

IDS = ("one", "two", "three", "four", "five", "six")
ONE_START_EACH = dict.fromkeys(IDS, 1)
# The gateway's timeout where the gateway must give up.
SHORT_SECONDS = 0.5
# The gateway's timeout where the backend must be in time, even on a busy machine.
LONG_SECONDS = 8.0
# The gateway's timeout where the backend is first too slow and then in time.
POLL_SECONDS = 1.5
# Longer than every gateway's timeout. The server stops waiting at the end of the test.
SLOW_SECONDS = 60.0
# Longer than every gateway's timeout, so that the gateway gives up first.
LONG_TIMEOUTS = Timeouts(connect=5.0, read=20.0, total=30.0)
# Long enough to wait for Varnish's `Retry-After: 5` and send again. A job that repeats starts does so here.
PERSISTENT_POLICY = START_POLICY._replace(give_up_after=20.0, hung_after=40.0)

VARNISH = GATEWAY_KINDS[0]
each_kind = pytest.mark.parametrize("kind", GATEWAY_KINDS, ids=lambda kind: kind.name)


def run_job_behind_gateway(folder: Path, proxy: RecordingProxy, ids: Sequence[str], *argv: str) -> JobResult:
    return run_job(folder, proxy.url, ids, *argv, timeouts=LONG_TIMEOUTS, policy=PERSISTENT_POLICY)


def respond_as_passed(connection: Connection) -> bool:
    """Start a run, and report every run as passed."""
    if connection.request.method == "POST":
        return send_started_run(connection)
    url = f"https://autonoma.app/run/{connection.request.target_id}"
    return send_response(200, json.dumps({"status": "passed", "url": url}))(connection)


def assert_all_unknown(job: JobResult, ids: Sequence[str]) -> None:
    assert_runs_reported(job, ids)
    assert job.states == dict.fromkeys(ids, "unknown")
    assert job.code == 7
    assert job.log.count("\nUNKNOWN  ") == len(ids)
    assert "may have started" in job.log
    assert all(
        "may have started" in run["suggestion"] and run["start_requests"] == 1 for run in job.results_json["runs"]
    )


class ReusedConnectionCloser:
    """Close each connection on its second request, and start a run on its first.

    The number of the connection decides, because a gateway may or may not reuse the one of the last request.
    """

    def __init__(self) -> None:
        self._used_connections: set[int] = set()
        self.unanswered_ids: set[str] = set()  # the ids of the requests without a response

    def __call__(self, connection: Connection) -> bool:
        request = connection.request
        if request.connection_number in self._used_connections:
            self.unanswered_ids.add(request.target_id)
            return close(connection)
        self._used_connections.add(request.connection_number)
        return send_started_run(connection)


def send_start(gateway: Gateway, name: str, body: bytes | None) -> tuple[int, str | None]:
    """Start a test without autonoma-ci, and return the status and Retry-After."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)) as client:
        client.request("POST", f"/api/test/{name}/run", body)
        response = client.getresponse()
        response.read()
        return response.status, response.getheader("Retry-After")


def test_missing_gateway_fails_with_package(tmp_path: Path) -> None:
    """A missing program is an error that names the package to install, not a reason to skip."""
    missing_kind = replace(VARNISH, executable="varnishd-that-is-missing")
    with pytest.raises(AssertionError, match=r"^varnishd-that-is-missing is not installed\. .* package varnish\.$"):
        Gateway(missing_kind, tmp_path, 1, SHORT_SECONDS).__enter__()


def test_varnish_error_page_has_retry_after(tmp_path: Path) -> None:
    """Varnish tells the client to repeat a POST that the backend has received."""
    with FaultServer(delay(SLOW_SECONDS, send_started_run)) as backend:
        with Gateway(VARNISH, tmp_path, backend.port, SHORT_SECONDS) as gateway:
            assert send_start(gateway, "one", b"{}") == (503, "5")
        assert backend.post_counts == {"one": 1}


def test_varnish_repeats_post_without_body(tmp_path: Path) -> None:
    """Varnish itself repeats a POST without a body if a reused connection to the backend is closed."""
    handler = ReusedConnectionCloser()
    with FaultServer(handler) as backend:
        with Gateway(VARNISH, tmp_path, backend.port, LONG_SECONDS) as gateway:
            statuses = [send_start(gateway, name, None) for name in IDS]
        assert handler.unanswered_ids
        assert backend.post_counts == {name: 2 if name in handler.unanswered_ids else 1 for name in IDS}
    assert statuses == [(200, None)] * len(IDS)


def test_varnish_sends_start_of_job_once(tmp_path: Path) -> None:
    """Varnish does not repeat the job's starts on a new connection, because each has a body.

    That is Varnish's own decision. The job sends each start once, whatever Varnish does.
    """
    handler = ReusedConnectionCloser()
    with FaultServer(handler) as backend:
        with Gateway(VARNISH, tmp_path, backend.port, LONG_SECONDS) as gateway, RecordingProxy(gateway.port) as proxy:
            job = run_job_behind_gateway(tmp_path, proxy, IDS, "--concurrency", "1")
        assert handler.unanswered_ids
        assert proxy.starts == ONE_START_EACH
        assert backend.post_counts == ONE_START_EACH
    assert_runs_reported(job, IDS)
    assert job.states == {name: "unknown" if name in handler.unanswered_ids else "started" for name in IDS}
    assert job.code == 7


@each_kind
def test_start_with_slow_backend_is_unknown(kind: GatewayKind, tmp_path: Path) -> None:
    """The gateway gives up on each start. Each start is sent once and its run may have started."""
    with FaultServer(delay(SLOW_SECONDS, send_started_run)) as backend:
        with Gateway(kind, tmp_path, backend.port, SHORT_SECONDS) as gateway, RecordingProxy(gateway.port) as proxy:
            job = run_job_behind_gateway(tmp_path, proxy, IDS, "--concurrency", "3")
        assert backend.post_counts == ONE_START_EACH
    assert proxy.starts == ONE_START_EACH
    assert proxy.statuses == {str(kind.slow_status): len(IDS)}
    assert_all_unknown(job, IDS)


@each_kind
def test_start_with_quick_backend_is_started(kind: GatewayKind, tmp_path: Path) -> None:
    """Behind a gateway that does not give up, each run is started once."""
    with FaultServer(send_started_run) as backend:
        with Gateway(kind, tmp_path, backend.port, LONG_SECONDS) as gateway, RecordingProxy(gateway.port) as proxy:
            job = run_job_behind_gateway(tmp_path, proxy, IDS, "--concurrency", "3")
        assert backend.post_counts == ONE_START_EACH
    assert proxy.starts == ONE_START_EACH
    assert proxy.statuses == {"200": len(IDS)}
    assert_runs_reported(job, IDS)
    assert job.states == dict.fromkeys(IDS, "started")
    assert job.code == 0


@each_kind
def test_start_to_closed_port_is_unknown(kind: GatewayKind, tmp_path: Path) -> None:
    """The job cannot see that the gateway reached no backend, so it does not send again."""
    # A bound socket that does not listen refuses connections, and no other process can use its port.
    with socket.socket() as refusing_socket:
        refusing_socket.bind(("127.0.0.1", 0))
        with (
            Gateway(kind, tmp_path, refusing_socket.getsockname()[1], LONG_SECONDS) as gateway,
            RecordingProxy(gateway.port) as proxy,
        ):
            job = run_job_behind_gateway(tmp_path, proxy, IDS, "--concurrency", "3")
    assert proxy.starts == ONE_START_EACH
    assert proxy.statuses == {str(kind.down_status): len(IDS)}
    assert_all_unknown(job, IDS)


@each_kind
def test_start_with_early_close_is_unknown(kind: GatewayKind, tmp_path: Path) -> None:
    """The backend reads each start and closes. No gateway repeats a POST on a new connection."""
    with FaultServer(close) as backend:
        with Gateway(kind, tmp_path, backend.port, LONG_SECONDS) as gateway, RecordingProxy(gateway.port) as proxy:
            job = run_job_behind_gateway(tmp_path, proxy, IDS, "--concurrency", "3")
        assert backend.post_counts == ONE_START_EACH
    assert proxy.starts == ONE_START_EACH
    # HAProxy closes a reused connection without any response. It expects the client to send again.
    assert set(proxy.statuses) == {str(kind.broken_status)}
    assert_all_unknown(job, IDS)


@each_kind
def test_slow_poll_is_repeated(kind: GatewayKind, tmp_path: Path) -> None:
    """The gateway gives up on the first status request of each run, and the run has passed.

    Varnish's `Retry-After: 5` delays the next request by 5 s to 6 s.
    """
    ids = ("one", "two")
    scripts = {f"run-of-{name}": [delay(SLOW_SECONDS, respond_as_passed), respond_as_passed] for name in ids}
    with FaultServer(respond_as_passed, scripts) as backend:
        with Gateway(kind, tmp_path, backend.port, POLL_SECONDS) as gateway, RecordingProxy(gateway.port) as proxy:
            job = run_job_behind_gateway(tmp_path, proxy, ids, "--wait")
        assert backend.post_counts == dict.fromkeys(ids, 1)
    assert proxy.starts == dict.fromkeys(ids, 1)
    assert proxy.polls == dict.fromkeys(scripts, 2)
    assert proxy.statuses[str(kind.slow_status)] == len(ids)
    assert job.states == dict.fromkeys(ids, "passed")
    assert job.code == 0
