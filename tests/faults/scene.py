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

from tests.faults.kind import Phase
from tests.support.fault_server import FaultServer
from tests.support.faults import answer
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.faults.kind import Kind
    from tests.support.certificates import Certificates
    from tests.support.fault_server import Act, Received, Wire

FIRST, VICTIM, LAST = IDS = ("first-7x3f", "victim-7x3f", "last-7x3f")
SIGNATURE = "sentinel-of-an-address"
_PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
_VIDEO = b"\x1a\x45\xdf\xa3" + b"frames" * 100
# How long a fault lasts that is over after a moment.
_MOMENT = 0.6


class Scene:
    """The servers of one job and its folder; used in a `with` block."""

    def __init__(self, folder: Path, kind: Kind, phase: Phase, certificates: Certificates) -> None:
        self.folder, self.kind, self.phase, self.certificates = folder, kind, phase, certificates
        self.work, self.outside, self.faults = (folder / name for name in ("work", "outside", "faults"))
        # The job, once it runs; and whether the reader of its log is to leave, and has left.
        self.process: subprocess.Popen[bytes]
        self.deaf, self.left = threading.Event(), threading.Event()
        # Whether the reader of its log reads no more.
        self.stalled = threading.Event()
        # When the job was started, and when each run was handed out to it.
        self.began = 0.0
        self.handed_out: dict[str, float] = {}
        # When it was killed, and how many seconds its files may be behind by then.
        self.killed = self.behind = 0.0
        # How often the job met what goes wrong, and with which request.
        self.met = 0
        self._dealt: Counter[tuple[str, str]] = Counter()
        self._armed, self._over = threading.Event(), threading.Event()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._tls = certificates.good() if kind.named else None
        self.api, self.media, self.forge = (self._server(act) for act in (self._api, self._media, self._forge))
        self.proxy = Proxy(meddle=self._tunnel) if kind.proxied else None

    def __enter__(self) -> Self:
        for path in (self.work, self.outside, self.faults, self.folder / "home"):
            path.mkdir(parents=True)
        for server in self._servers:
            server.__enter__()
        self._eve_of(Phase.START)
        return self

    def __exit__(self, *exc: object) -> None:
        # The proxy first: it may be about to connect to one of the others.
        for server in reversed(self._servers):
            server.__exit__(*exc)

    @property
    def _servers(self) -> list[FaultServer]:
        return [self.api, self.media, self.forge, *([self.proxy.server] if self.proxy else [])]

    @property
    def victim(self) -> FaultServer:
        """The server that goes wrong in this phase."""
        return {Phase.EVIDENCE: self.media, Phase.COMMENT: self.forge}.get(self.phase, self.api)

    def url_of(self, server: FaultServer, name: str) -> str:
        """Return the base URL under which the job knows a server."""
        host = f"https://{name}.autonoma.test" if self.kind.named else "http://127.0.0.1"
        return f"{host}:{server.port}"

    @property
    def loading(self) -> float:
        """How many seconds the job took from its start to its first request."""
        return self.api.received[0].at - self.began

    @property
    def armed(self) -> bool:
        """Whether it has come to what goes wrong."""
        return self._armed.is_set()

    @property
    def _wrong(self) -> bool:
        return self.armed and not self._over.is_set()

    def arm(self) -> None:
        """Let everything go wrong from now on, or for a moment."""
        with self._lock:
            if self._armed.is_set():
                return
            self._armed.set()
        self.kind.arm(self)
        if not (self.kind.exchange or self.kind.greeting or self.kind.tunnel):
            self._begin_moment()

    def _meet(self) -> bool:
        """Count that the job met what goes wrong; a moment begins when it first does.

        Returns whether it goes wrong this time too.
        """
        with self._lock:
            self.met += 1
            first = self.met == 1
        if first:
            self._begin_moment()
        return first or not self.kind.once

    def _begin_moment(self) -> None:
        if self.phase is Phase.BRIEFLY:
            threading.Timer(_MOMENT, self._relent).start()

    def _relent(self) -> None:
        self._over.set()
        self.kind.relent(self)

    def _eve_of(self, *phases: Phase) -> None:
        """Arm what must be there before the phase's first connection."""
        if self.phase in phases and self.kind.before:
            self.arm()

    def _faulty(self, wire: Wire, right: Act, *phases: Phase) -> bool:
        """Do what goes wrong in these phases, or else what is right."""
        if self.phase in phases and not self._over.is_set():
            self.arm()
            if self.kind.exchange:
                with self._lock:
                    self._dealt[wire.request.method, wire.request.path] += 1
                self._meet()
                return self.kind.exchange(self, right)(wire)
        return right(wire)

    def _server(self, act: Act) -> FaultServer:
        server: FaultServer

        def greet(wire: Wire) -> bool:
            if self.kind.greeting and server is self.victim and self._wrong and self._meet():
                return self.kind.greeting(self)(wire)
            return wire.secure(self._tls) if self._tls else True

        server = FaultServer(act, greeting=greet, address=self.kind.address.split()[-1])
        return server

    def _tunnel(self, port: int) -> Act | None:
        """Return what goes wrong in a tunnel to this port."""
        if not self.kind.tunnel or port != self.victim.port or not self._wrong or not self._meet():
            return None
        return self.kind.tunnel(self)

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
                self.handed_out[name] = time.monotonic()
                all_started = set(self.handed_out) == set(IDS)
            if all_started:
                self._eve_of(Phase.BRIEFLY, Phase.WAIT)
            return right(of)

        return self._faulty(wire, started, Phase.START) if name == VICTIM else started(wire)

    def _status(self, wire: Wire, name: str) -> bool:
        # The failed run is the last to end: whatever comes after its end is the phase after waiting.
        others_first = name == VICTIM and not {FIRST, LAST} <= self._told
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
        content, kind = (_PNG, "image/png") if "png" in wire.request.path else (_VIDEO, "video/webm")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"

        def right(of: Wire) -> bool:
            of.send(head.encode() + content)
            return False

        return self._faulty(wire, right, Phase.EVIDENCE)

    def _forge(self, wire: Wire) -> bool:
        if wire.request.method != "POST":
            self._eve_of(Phase.COMMENT)
            return self._answer(200, {"login": "ours"} if wire.request.path.endswith("/user") else [])(wire)
        return self._faulty(wire, self._answer(201, {"id": 1, "body": "x", "user": {"login": "ours"}}), Phase.COMMENT)

    def dealt(self, request: Received) -> int:
        """Return how often this very request has met what goes wrong; an earlier one may have been answered well."""
        with self._lock:
            return self._dealt[request.method, request.path]
