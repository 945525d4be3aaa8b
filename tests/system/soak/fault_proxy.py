"""Proxy between the command and the sandbox that injects faults.

The fault of an exchange depends on the seed, the target and the number of earlier exchanges. It does not depend on
the speed of threads.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from tests.support.fault_server import Connection
from tests.system.soak.ground_truth import FINAL_STATES, GroundTruth, KnownResult
from tests.system.soak.network_faults import POLL_FAULTS, START_FAULTS, choose_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.fault_server import ReceivedRequest
    from tests.system.soak.network_faults import NetworkFault

# Returns the name of the fault of a start, poll or details request, or an empty text.
FaultChooser: TypeAlias = "Callable[[str, Mapping[str, NetworkFault], Random], str]"
FAULT_RATE = 0.1
# The maximum idle time of a connection, and the time in which a new run can be missing.
_IDLE_SECONDS, _NOT_FOUND_SECONDS = 15.0, 5.0
# The mean time between outages, and the maximum length of one.
_OUTAGE_INTERVAL_SECONDS, _MAX_OUTAGE_SECONDS = 8.0, 0.8
_HEAD = "HTTP/1.1 {0.status} {0.reason}\r\nContent-Type: application/json\r\nContent-Length: {1}\r\n\r\n"


def choose_one_in_ten(exchange: str, faults: Mapping[str, NetworkFault], random: Random) -> str:
    """Return a random fault for one exchange in ten."""
    return choose_fault(faults, random) if random.random() < FAULT_RATE else ""


class _SandboxResponse(NamedTuple):
    """A response of the sandbox as bytes, and its parsed body."""

    data: bytes = b""
    body: Mapping[str, object] = {}


class FaultProxy:
    """A server that listens inside a `with` block and forwards to the sandbox.

    Attributes:
        ground_truth: the record of all exchanges.
        outages: the number of outages, in which connections are refused.
        outage_seconds: the total length of the outages.
    """

    def __init__(
        self,
        target: int,
        seed: int,
        starts_per_second: float,
        max_delay: float,
        choose: FaultChooser = choose_one_in_ten,
        *,
        outages: bool = True,
    ) -> None:
        self.ground_truth = GroundTruth()
        self.outages, self.outage_seconds = 0, 0.0
        self._target, self._seed, self._choose = target, seed, choose
        self._starts_per_second, self._max_delay = starts_per_second, max_delay
        self._with_outages = outages
        self._exchange_counts: Counter[tuple[str, str]] = Counter()
        self._created_runs: dict[str, tuple[str, float]] = {}
        self._next_start_at = time.monotonic()
        self._stopping = threading.Event()
        # This socket never listens, but it reserves the port during outages.
        self._reserved = _bind_socket(0)
        self.port = int(self._reserved.getsockname()[1])
        self._listener = self._reserved

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def __enter__(self) -> Self:
        self.listen()
        if self._with_outages:
            threading.Thread(target=self._simulate_outages, args=(Random(self._seed),), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.stop_listening()
        self._reserved.close()

    def listen(self) -> None:
        """Accept connections."""
        self._listener = _bind_socket(self.port)
        self._listener.listen(256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop_listening(self) -> None:
        """Refuse new connections."""
        # Closing alone would not wake the thread in `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _simulate_outages(self, random: Random) -> None:
        while not self._stopping.wait(random.uniform(0.5, 1.5) * _OUTAGE_INTERVAL_SECONDS):
            seconds = random.uniform(0.1, _MAX_OUTAGE_SECONDS)
            self.stop_listening()
            if self._stopping.wait(seconds):
                return
            self.listen()
            self.outages += 1
            self.outage_seconds += seconds

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_IDLE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        with sock:
            connection = _Connection(Connection(sock, self._stopping), upstream)
            while self._handle_exchange(connection):
                pass
        upstream.close()

    def _handle_exchange(self, connection: _Connection) -> bool:
        """Handle one exchange, and return whether the connection stays open."""
        line = _peek_request_line(connection.client.socket)
        if not line:
            return False
        method, path, _ = line.split(" ")
        return self._handle_start(connection, path) if method == "POST" else self._handle_get(connection, path)

    def _handle_start(self, connection: _Connection, path: str) -> bool:
        target_id = path.split("/")[-2]
        random, fault = self._choose_fault("start", target_id, START_FAULTS)
        post = self.ground_truth.add_start(target_id)
        if fault and fault.before_read:
            return fault.handler(connection.client, b"", random, self._max_delay)
        if not connection.client.read(1):
            return False
        response = _SandboxResponse()
        if fault is None or fault.reaches_server:
            self._limit_start_rate()
            response = connection.forward_request()
            post.run_id = str(response.body["run_id"])
            self._created_runs[post.run_id] = target_id, time.monotonic()
        is_open = self._send_response(connection.client, response, random, fault)
        post.known_result = (
            fault.known_result if fault else KnownResult.STARTED if is_open else KnownResult.INDETERMINATE
        )
        return is_open

    def _handle_get(self, connection: _Connection, path: str) -> bool:
        run_id = path.partition("?")[0].removesuffix("/status").rpartition("/")[2]
        exchange = "poll" if path.endswith("/status") else "details"
        target_id, created_at = self._created_runs.get(run_id, ("", 0.0))
        random, fault = self._choose_fault(exchange, target_id, POLL_FAULTS)
        if fault is POLL_FAULTS["404 at first"] and time.monotonic() - created_at > _NOT_FOUND_SECONDS:
            fault = POLL_FAULTS["500"]
        if fault and fault.before_read:
            return fault.handler(connection.client, b"", random, self._max_delay)
        if not connection.client.read(1):
            return False
        response = connection.forward_request() if fault is None or fault.reaches_server else _SandboxResponse()
        status = str(response.body.get("status", ""))
        if (
            exchange == "poll"
            and status in FINAL_STATES
            and (fault is None or fault.known_result is KnownResult.STARTED)
        ):
            # Added before the response is sent, because the next request can arrive at once.
            self.ground_truth.add_response(run_id, status)
        return self._send_response(connection.client, response, random, fault)

    def _send_response(
        self, client: Connection, response: _SandboxResponse, random: Random, fault: NetworkFault | None
    ) -> bool:
        return fault.handler(client, response.data, random, self._max_delay) if fault else client.send(response.data)

    def _choose_fault(
        self, exchange: str, target_id: str, faults: Mapping[str, NetworkFault]
    ) -> tuple[Random, NetworkFault | None]:
        with self.ground_truth.lock:
            self._exchange_counts[exchange, target_id] += 1
            exchange_number = self._exchange_counts[exchange, target_id]
        random = Random(f"{self._seed} {exchange} {target_id} {exchange_number}")
        name = self._choose(exchange, faults, random)
        self.ground_truth.count_exchange(exchange, f"{exchange}: {name}" if name else "")
        return random, faults.get(name)

    def _limit_start_rate(self) -> None:
        with self.ground_truth.lock:
            now = time.monotonic()
            # A delay can be made up for, but only for five seconds.
            self._next_start_at = max(self._next_start_at + 1 / self._starts_per_second, now - 5.0)
            pause = self._next_start_at - now
        self._stopping.wait(max(0.0, pause))


class _Connection(NamedTuple):
    """A connection from the command with its connection to the sandbox."""

    client: Connection
    upstream: http.client.HTTPConnection

    def forward_request(self) -> _SandboxResponse:
        """Forward the request to the sandbox, and return its response."""
        request: ReceivedRequest = self.client.request
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "connection"}}
        self.upstream.request(request.method, request.path, request.body or None, headers)
        response = self.upstream.getresponse()
        body = response.read()
        return _SandboxResponse(_HEAD.format(response, len(body)).encode() + body, json.loads(body))


def _bind_socket(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _peek_request_line(sock: socket.socket) -> str:
    """Return the first line of the next request without reading it, or an empty text."""
    peeked = b""
    while b"\r\n" not in peeked:
        try:
            peeked_data = sock.recv(65536, socket.MSG_PEEK)
        except OSError:
            return ""
        if not peeked_data:
            return ""
        if peeked_data == peeked:
            time.sleep(0.001)
        peeked = peeked_data
    return peeked.partition(b"\r\n")[0].decode("latin-1")
