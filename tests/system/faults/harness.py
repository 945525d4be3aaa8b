"""Run three servers for one job, one of them faulty.

The faulty server fails in one phase. The job starts three tests, waits for them, downloads the evidence of the failed
one, writes its reports and comments on its pull request. The API, its media host and GitHub are loopback servers with
one port each.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.proxy import ProxyServer
from tests.system.faults.fault_case import Phase

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority
    from tests.support.fault_server import Connection, ReceivedRequest, RequestHandler
    from tests.system.faults.fault_case import FaultCase

FIRST_ID, AFFECTED_ID, LAST_ID = IDS = ("first-7x3f", "victim-7x3f", "last-7x3f")
SIGNATURE = "sentinel-of-an-address"
BASE_SHA = "ba5eba11" * 5
_PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
_VIDEO = b"\x1a\x45\xdf\xa3" + b"frames" * 100
# The length of a short fault in seconds.
_SHORT_FAULT_SECONDS = 0.6


def make_comparison(*names: str) -> dict[str, object]:
    """Return GitHub's response to a comparison, with these changed files."""
    return {
        "status": "ahead",
        "base_commit": {"sha": BASE_SHA},
        "merge_base_commit": {"sha": BASE_SHA},
        "files": [{"filename": name, "status": "modified", "patch": "@@"} for name in names],
    }


class FaultScenario:
    """Run the servers of one job inside a `with` block."""

    def __init__(self, folder: Path, case: FaultCase, phase: Phase, certificates: CertificateAuthority) -> None:
        self.folder, self.case, self.phase, self.certificates = folder, case, phase, certificates
        self.work_dir, self.outside_dir, self.faults_dir = (folder / name for name in ("work", "outside", "faults"))
        # The job, once it is started.
        self.process: subprocess.Popen[bytes]
        # Whether the reader of the log must close it, and whether it is closed.
        self.close_log, self.log_closed = threading.Event(), threading.Event()
        # Whether the reader of the log stops reading.
        self.log_stalled = threading.Event()
        # The start of the job and of each run, in seconds of the monotonic clock.
        self.started_at = 0.0
        self.start_times: dict[str, float] = {}
        # The time of the kill, and how many seconds the files may lag behind it.
        self.killed_at = self.lag_seconds = 0.0
        # How often the fault occurred, in all and for each request.
        self.fault_count = 0
        self._request_counts: Counter[tuple[str, str]] = Counter()
        self._has_begun, self._has_ended = threading.Event(), threading.Event()
        self._reported_runs: set[str] = set()
        self._lock = threading.Lock()
        self._tls = certificates.create_valid_context() if case.uses_tls else None
        self.api, self.media, self.code_host = (
            self._make_server(handler) for handler in (self._respond_api, self._respond_media, self._respond_code_host)
        )
        self.proxy = ProxyServer(find_handler=self._choose_tunnel_fault) if case.uses_proxy else None

    def __enter__(self) -> Self:
        for path in (self.work_dir, self.outside_dir, self.faults_dir, self.folder / "home"):
            path.mkdir(parents=True)
        for server in self._servers:
            server.__enter__()
        self._begin_before_connection(Phase.START)
        return self

    def __exit__(self, *exc: object) -> None:
        # The proxy ends first, because it may still connect to the others.
        for server in reversed(self._servers):
            server.__exit__(*exc)

    @property
    def _servers(self) -> list[FaultServer]:
        return [self.api, self.media, self.code_host, *([self.proxy.server] if self.proxy else [])]

    @property
    def faulty_server(self) -> FaultServer:
        """The faulty server of this phase."""
        servers = {Phase.PLAN: self.code_host, Phase.EVIDENCE: self.media, Phase.COMMENT: self.code_host}
        return servers.get(self.phase, self.api)

    def build_url(self, server: FaultServer, name: str) -> str:
        """Return the base URL of a server for the job."""
        host = f"https://{name}.autonoma.test" if self.case.uses_tls else "http://127.0.0.1"
        return f"{host}:{server.port}"

    @property
    def startup_seconds(self) -> float:
        """The seconds from the start of the job to its first request."""
        return self.api.received_requests[0].received_at - self.started_at

    @property
    def has_begun(self) -> bool:
        """Whether the fault has begun."""
        return self._has_begun.is_set()

    @property
    def _is_faulty(self) -> bool:
        return self.has_begun and not self._has_ended.is_set()

    def begin_fault(self) -> None:
        """Begin the fault."""
        with self._lock:
            if self._has_begun.is_set():
                return
            self._has_begun.set()
        self.case.begin(self)
        if not (self.case.request_fault or self.case.connection_fault or self.case.tunnel_fault):
            self._schedule_end()

    def _count_fault(self) -> bool:
        """Count the fault, and return whether it occurs this time.

        A short fault begins with its first occurrence.
        """
        with self._lock:
            self.fault_count += 1
            is_first = self.fault_count == 1
        if is_first:
            self._schedule_end()
        return is_first or not self.case.is_single

    def _schedule_end(self) -> None:
        if self.phase is Phase.SHORT_WAIT:
            threading.Timer(_SHORT_FAULT_SECONDS, self._end_fault).start()

    def _end_fault(self) -> None:
        self._has_ended.set()
        self.case.end(self)

    def _begin_before_connection(self, *phases: Phase) -> None:
        """Begin a fault that must precede the first connection of its phase."""
        if self.phase in phases and self.case.begins_before_connection:
            self.begin_fault()

    def _respond_faulty(self, connection: Connection, correct_handler: RequestHandler, *phases: Phase) -> bool:
        """Respond with the fault in these phases, and correctly otherwise."""
        if self.phase in phases and not self._has_ended.is_set():
            self.begin_fault()
            if self.case.request_fault:
                with self._lock:
                    self._request_counts[connection.request.method, connection.request.path] += 1
                self._count_fault()
                return self.case.request_fault(self, correct_handler)(connection)
        return correct_handler(connection)

    def _make_server(self, handler: RequestHandler) -> FaultServer:
        server: FaultServer

        def handle_connection(connection: Connection) -> bool:
            if self.case.connection_fault and server is self.faulty_server and self._is_faulty and self._count_fault():
                return self.case.connection_fault(self)(connection)
            return connection.start_tls(self._tls) if self._tls else True

        server = FaultServer(handler, connection_handler=handle_connection, address=self.case.address.split()[-1])
        return server

    def _choose_tunnel_fault(self, port: int) -> RequestHandler | None:
        """Return the fault of a tunnel to this port, if any."""
        if (
            not self.case.tunnel_fault
            or port != self.faulty_server.port
            or not self._is_faulty
            or not self._count_fault()
        ):
            return None
        return self.case.tunnel_fault(self)

    def _make_response(self, status: int, body: object) -> RequestHandler:
        # Faults of connections need one connection for each request.
        return send_response(status, json.dumps(body), *(["Connection: close"] if self.case.closes_connections else []))

    def _respond_api(self, connection: Connection) -> bool:
        request = connection.request
        if request.method == "POST":
            return self._respond_start(connection, request.target_id)
        name = next((name for name in IDS if f"run-of-{name}" in request.path), "")
        if request.path.endswith("/status"):
            return self._respond_status(connection, name)
        status = "failed" if name == AFFECTED_ID else "passed"
        media_url = f"{self.build_url(self.media, 'media')}/{name}"
        steps = [{"instruction": "Open", "status": status, "image": f"{media_url}/1.png?signature={SIGNATURE}"}]
        details = {"steps": steps, "video_url": f"{media_url}/video?signature={SIGNATURE}"}
        correct_handler = self._make_response(200, {"name": f"The title of {name}", "status": status} | details)
        if name != AFFECTED_ID:
            return correct_handler(connection)
        self._begin_before_connection(Phase.EVIDENCE)
        return self._respond_faulty(connection, correct_handler, Phase.DETAILS)

    def _respond_start(self, connection: Connection, name: str) -> bool:
        run = f"run-of-{name}"
        correct_handler = self._make_response(
            200, {"message": "x", "url": f"https://autonoma.app/run/{run}", "run_id": run}
        )

        def send_start_response(connection: Connection) -> bool:
            with self._lock:
                self.start_times[name] = time.monotonic()
                all_started = set(self.start_times) == set(IDS)
            if all_started:
                self._begin_before_connection(Phase.SHORT_WAIT, Phase.WAIT)
            return correct_handler(connection)

        return (
            self._respond_faulty(connection, send_start_response, Phase.START)
            if name == AFFECTED_ID
            else send_start_response(connection)
        )

    def _respond_status(self, connection: Connection, name: str) -> bool:
        # The failed run ends last, so the next phase begins with its end.
        is_waiting_for_others = name == AFFECTED_ID and not {FIRST_ID, LAST_ID} <= self._reported_runs
        is_starting = len(set(self.start_times)) < len(IDS) and self.phase is not Phase.START
        if is_waiting_for_others or is_starting:
            return self._make_response(200, {"status": "running"})(connection)
        correct_handler = self._make_response(200, {"status": "failed" if name == AFFECTED_ID else "passed"})
        self._reported_runs.add(name)
        if name != AFFECTED_ID:
            return correct_handler(connection)
        self._begin_before_connection(Phase.DETAILS)
        return self._respond_faulty(connection, correct_handler, Phase.SHORT_WAIT, Phase.WAIT)

    def _respond_media(self, connection: Connection) -> bool:
        content, content_type = (_PNG, "image/png") if "png" in connection.request.path else (_VIDEO, "video/webm")
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )

        def send_content(connection: Connection) -> bool:
            connection.send(head.encode() + content)
            return False

        return self._respond_faulty(connection, send_content, Phase.EVIDENCE)

    def _respond_code_host(self, connection: Connection) -> bool:
        if "/compare/" in connection.request.path:
            return self._respond_faulty(connection, self._make_response(200, make_comparison("README.md")), Phase.PLAN)
        if connection.request.method != "POST":
            self._begin_before_connection(Phase.COMMENT)
            return self._make_response(200, {"login": "ours"} if connection.request.path.endswith("/user") else [])(
                connection
            )
        return self._respond_faulty(
            connection, self._make_response(201, {"id": 1, "body": "x", "user": {"login": "ours"}}), Phase.COMMENT
        )

    def count_request(self, request: ReceivedRequest) -> int:
        """Return how often this request met the fault."""
        with self._lock:
            return self._request_counts[request.method, request.path]
