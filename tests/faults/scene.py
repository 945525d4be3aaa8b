"""One whole job against three servers of its own, of which one goes wrong in one phase.

The job starts three tests, waits for them, fetches what the failed one shows, comments on its pull request and
writes its reports. The API, the host of its media and GitHub are servers on loopback with a port each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.faults.kind import Phase
from tests.support.fault_server import FaultServer
from tests.support.faults import answer
from tests.support.proxy import PASSWORD, Proxy

if TYPE_CHECKING:
    from tests.faults.kind import Kind
    from tests.support.certificates import Certificates
    from tests.support.fault_server import Act, Received, Wire

PROCESS = Path(__file__).with_name("job_process.py")
BEFORE, VICTIM, BEHIND = IDS = ("before", "victim", "behind")
SECRETS = {
    "INPUT_CLIENT-ID": "sentinel-of-the-client-id",
    "INPUT_CLIENT-SECRET": "sentinel-of-the-client-secret",
    "INPUT_GITHUB-TOKEN": "sentinel-of-the-github-token",
}
VALUE = "sentinel-of-a-variable"
SIGNATURE = "sentinel-of-an-address"
# Everything that no output may have.
SENTINELS = (*SECRETS.values(), VALUE, SIGNATURE, PASSWORD)
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
VIDEO = b"\x1a\x45\xdf\xa3" + b"frames" * 100
# How long a fault lasts that is over after a moment.
MOMENT = 0.6
# What all patience of such a job adds up to, on a machine that is busy with others.
LONGEST = 40.0


class Scene:
    """The servers of one job, its folder, and what it left behind; used in a `with` block."""

    def __init__(self, folder: Path, kind: Kind, phase: Phase, certificates: Certificates) -> None:
        self.folder, self.kind, self.phase, self.certificates = folder, kind, phase, certificates
        self.process: subprocess.Popen[bytes] | None = None
        # Set when the reader of the log is to leave.
        self.deaf = threading.Event()
        self.handed_out: list[str] = []
        self._armed, self._over = threading.Event(), threading.Event()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._tls = certificates.good() if kind.named else None
        self.api, self.media, self.forge = (self._server(act) for act in (self._api, self._media, self._forge))
        self.proxy = Proxy(meddle=self._tunnel) if kind.proxied else None

    def __enter__(self) -> Self:
        for name in ("work", "faults", "home", "outside"):
            (self.folder / name).mkdir(parents=True)
        for server in self._servers:
            server.__enter__()
        self._eve_of(Phase.START)
        return self

    def __exit__(self, *exc: object) -> None:
        for server in self._servers:
            server.__exit__(*exc)

    @property
    def _servers(self) -> list[FaultServer]:
        return [self.api, self.media, self.forge, *([self.proxy.server] if self.proxy else [])]

    @property
    def work(self) -> Path:
        """The job's working directory."""
        return self.folder / "work"

    @property
    def outside(self) -> Path:
        """A folder in which the job has no business."""
        return self.folder / "outside"

    @property
    def victim(self) -> FaultServer:
        """The server that goes wrong in this phase."""
        return {Phase.EVIDENCE: self.media, Phase.COMMENT: self.forge}.get(self.phase, self.api)

    @property
    def received(self) -> list[Received]:
        """Every request that reached any of the servers."""
        return [*self.api.received, *self.media.received, *self.forge.received]

    def run(self) -> tuple[int, str, float]:
        """Run the job; return its exit code, all that it printed, and its seconds."""
        environ = self._environment()
        began = time.monotonic()
        self.process = process = subprocess.Popen(
            [sys.executable, "-B", str(PROCESS)],
            cwd=self.work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout
        log = bytearray()
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None and time.monotonic() < began + LONGEST:
            log += process.stdout.read() or b""
            if self.deaf.wait(0.02):
                process.stdout.close()
                break
        try:
            process.wait(max(began + LONGEST - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        seconds = time.monotonic() - began
        if not process.stdout.closed:
            log += process.stdout.read() or b""
            process.stdout.close()
        return process.returncode, log.decode("utf-8", "backslashreplace"), seconds

    def url_of(self, server: FaultServer, name: str) -> str:
        """Return the base URL under which the job knows a server."""
        host = f"https://{name}.autonoma.test" if self.kind.named else "http://127.0.0.1"
        return f"{host}:{server.port}"

    def _environment(self) -> dict[str, str]:
        event = self.folder / "event.json"
        head = {"sha": "c0ffee" * 6 + "abcd", "repo": {"full_name": "acme/shop"}}
        event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "JOB_FAULTS": str(self.folder / "faults"),
            "JOB_ADDRESSES": self.kind.address,
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_API_URL": self.url_of(self.forge, "github"),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "500",
            "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "INPUT_API-URL": f"{self.url_of(self.api, 'api')}/api",
            "INPUT_TEST-IDS": "\n".join(IDS),
            "INPUT_VARIABLES": f"PASSWORD={VALUE}",
            "INPUT_RESULTS-DIR": "results",
            "INPUT_WAIT": "true",
            "INPUT_TIMEOUT": "20s",
            "INPUT_EVIDENCE": "failed",
            "INPUT_COMMENT": "true",
            **SECRETS,
        }
        if self.kind.named and not self.kind.stranger:
            given["REQUESTS_CA_BUNDLE"] = str(self.certificates.authority)
        if self.proxy:
            given["HTTPS_PROXY"] = self.proxy.url
        changed = {**given, **self.kind.prepare(self)}
        # What is made empty is taken away.
        return {name: text for name, text in changed.items() if text}

    def _arm(self) -> None:
        """Let everything go wrong from now on, or for a moment."""
        with self._lock:
            if self._armed.is_set():
                return
            self._armed.set()
        self.kind.arm(self)
        if self.phase is Phase.BRIEFLY:
            threading.Timer(MOMENT, self._relent).start()

    def _relent(self) -> None:
        self._over.set()
        self.kind.relent(self)

    def _wrong(self) -> bool:
        return self._armed.is_set() and not self._over.is_set()

    def _eve_of(self, *phases: Phase) -> None:
        """Arm what must be there before the phase's first connection."""
        if self.phase in phases and self.kind.before:
            self._arm()

    def _faulty(self, wire: Wire, right: Act, *phases: Phase) -> bool:
        """Do what goes wrong in these phases, or else what is right."""
        if self.phase in phases and not self._over.is_set():
            self._arm()
            if self.kind.exchange:
                return self.kind.exchange(self, right)(wire)
        return right(wire)

    def _server(self, act: Act) -> FaultServer:
        server: FaultServer

        def greet(wire: Wire) -> bool:
            if self.kind.greeting and server is self.victim and self._wrong():
                return self.kind.greeting(self)(wire)
            return wire.secure(self._tls) if self._tls else True

        server = FaultServer(act, greeting=greet, address=self.kind.address.split()[-1])
        return server

    def _tunnel(self, port: int) -> Act | None:
        """Return what goes wrong in a tunnel to this port."""
        wrong = self.kind.tunnel and port == self.victim.port and self._wrong()
        return self.kind.tunnel(self) if self.kind.tunnel and wrong else None

    def _answer(self, status: int, body: object) -> Act:
        # Where connections go wrong, each request has one of its own.
        return answer(status, json.dumps(body), *(["Connection: close"] if self.kind.closing else []))

    def _api(self, wire: Wire) -> bool:
        request = wire.request
        if request.method == "POST":
            return self._start(wire, request.subject)
        name = next((name for name in IDS if f"run-of-{name}" in request.path), "")
        if request.path.endswith("/status"):
            return self._status(wire, name)
        word = "failed" if name == VICTIM else "passed"
        address = f"{self.url_of(self.media, 'media')}/{name}"
        steps = [{"instruction": "Open", "status": word, "image": f"{address}/1.png?signature={SIGNATURE}"}]
        shown = {"steps": steps, "video_url": f"{address}/video?signature={SIGNATURE}"}
        right = self._answer(200, {"name": f"The title of {name}", "status": word} | shown)
        if name != VICTIM:
            return right(wire)
        self._eve_of(Phase.EVIDENCE)
        return self._faulty(wire, right, Phase.DETAILS)

    def _start(self, wire: Wire, name: str) -> bool:
        run = f"run-of-{name}"
        right = self._answer(200, {"message": "x", "url": f"https://autonoma.app/run/{run}", "run_id": run})

        def started(of: Wire) -> bool:
            with self._lock:
                self.handed_out.append(name)
                all_started = set(self.handed_out) == set(IDS)
            if all_started:
                self._eve_of(Phase.BRIEFLY, Phase.WAIT)
            return right(of)

        return self._faulty(wire, started, Phase.START) if name == VICTIM else started(wire)

    def _status(self, wire: Wire, name: str) -> bool:
        # The failed run is the last to end: whatever comes after its end is the phase after waiting.
        others_first = name == VICTIM and not {BEFORE, BEHIND} <= self._told
        starting = len(set(self.handed_out)) < len(IDS) and self.phase is not Phase.START
        if others_first or starting:
            return self._answer(200, {"status": "running"})(wire)
        right = self._answer(200, {"status": "failed" if name == VICTIM else "passed"})
        self._told.add(name)
        if name != VICTIM:
            return right(wire)
        self._eve_of(Phase.DETAILS)
        return self._faulty(wire, right, Phase.BRIEFLY, Phase.WAIT)

    def _media(self, wire: Wire) -> bool:
        content, kind = (PNG, "image/png") if "png" in wire.request.path else (VIDEO, "video/webm")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"

        def right(of: Wire) -> bool:
            of.send(head.encode() + content)
            return False

        return self._faulty(wire, right, Phase.EVIDENCE, Phase.REPORT)

    def _forge(self, wire: Wire) -> bool:
        if wire.request.method != "POST":
            self._eve_of(Phase.COMMENT)
            return self._answer(200, {"login": "ours"} if wire.request.path.endswith("/user") else [])(wire)
        return self._faulty(wire, self._answer(201, {"id": 1, "body": "x", "user": {"login": "ours"}}), Phase.COMMENT)
