"""What lies between the command and the sandbox: it passes on what comes, harms some of it, and keeps the ledger.

What happens to an exchange depends on the seed, on what was to be run and on how often that was asked for, but not on
which thread is faster.
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

from tests.soak.ledger import ENDS, Ledger, Told
from tests.soak.trouble import GETS, POSTS, one_of
from tests.support.fault_server import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.soak.trouble import Trouble
    from tests.support.fault_server import Received

# Says what goes wrong with a start, a question or a request for details: one of the names, or an empty text.
Choose: TypeAlias = "Callable[[str, Mapping[str, Trouble], Random], str]"
HARMED = 0.1
# In seconds: how long a connection may be idle, and how long a run may not be there yet.
_IDLE, _NOT_YET = 15.0, 5.0
# Every so many seconds on the mean, nobody listens for up to so many.
_BETWEEN_OUTAGES, _OUTAGE = 8.0, 0.8
_HEAD = "HTTP/1.1 {0.status} {0.reason}\r\nContent-Type: application/json\r\nContent-Length: {1}\r\n\r\n"


def one_in_ten(what: str, troubles: Mapping[str, Trouble], random: Random) -> str:
    """Let one exchange in ten go wrong."""
    return one_of(troubles, random) if random.random() < HARMED else ""


class _Passed(NamedTuple):
    """What the sandbox said: the whole answer, and the object that is its body."""

    data: bytes = b""
    body: Mapping[str, object] = {}


class Layer:
    """Listens inside a `with` block, for a sandbox on port `target`.

    At most `rate` starts a second go through, as with an API that is busy; `longest` is for how many seconds
    anything hangs. `outages` counts how often, and `refused` for how many seconds, nobody listened.
    """

    def __init__(
        self, target: int, seed: int, rate: float, longest: float, choose: Choose = one_in_ten, *, outages: bool = True
    ) -> None:
        self.ledger = Ledger()
        self.outages, self.refused = 0, 0.0
        self._target, self._seed, self._rate, self._longest, self._choose = target, seed, rate, longest, choose
        self._with_outages = outages
        self._visits: Counter[tuple[str, str]] = Counter()
        self._born: dict[str, tuple[str, float]] = {}
        self._turn = time.monotonic()
        self._stopping = threading.Event()
        # It never listens, and so keeps the port while nobody does.
        self._place = _bound(0)
        self.port = int(self._place.getsockname()[1])
        self._listener = self._place

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def __enter__(self) -> Self:
        self.listen()
        if self._with_outages:
            threading.Thread(target=self._refuse, args=(Random(self._seed),), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.deafen()
        self._place.close()

    def listen(self) -> None:
        """Take connections."""
        self._listener = _bound(self.port)
        self._listener.listen(256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def deafen(self) -> None:
        """Refuse connections; those that there are go on."""
        # Closing alone would not wake the thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _refuse(self, random: Random) -> None:
        while not self._stopping.wait(random.uniform(0.5, 1.5) * _BETWEEN_OUTAGES):
            seconds = random.uniform(0.1, _OUTAGE)
            self.deafen()
            if self._stopping.wait(seconds):
                return
            self.listen()
            self.outages += 1
            self.refused += seconds

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        with sock:
            conversation = _Conversation(Wire(sock, self._stopping), upstream)
            while self._converse(conversation):
                pass
        upstream.close()

    def _converse(self, conversation: _Conversation) -> bool:
        """Deal with one exchange; say whether the connection is kept."""
        line = _peek(conversation.wire.socket)
        if not line:
            return False
        method, path, _ = line.split(" ")
        return self._start(conversation, path) if method == "POST" else self._ask(conversation, path)

    def _start(self, conversation: _Conversation, path: str) -> bool:
        subject = path.split("/")[-2]
        random, trouble = self._chance("start", subject, POSTS)
        post = self.ledger.sent(subject)
        if trouble and trouble.unread:
            return trouble.act(conversation.wire, b"", random, self._longest)
        if not conversation.wire.read(1):
            return False
        passed = _Passed()
        if trouble is None or trouble.passes:
            self._take_turn()
            passed = conversation.ask()
            post.run_id = str(passed.body["run_id"])
            self._born[post.run_id] = subject, time.monotonic()
        kept = self._answer(conversation.wire, passed, random, trouble)
        post.told = trouble.told if trouble else Told.STARTED if kept else Told.NOTHING
        return kept

    def _ask(self, conversation: _Conversation, path: str) -> bool:
        run_id = path.partition("?")[0].removesuffix("/status").rpartition("/")[2]
        what = "question" if path.endswith("/status") else "details"
        subject, born = self._born.get(run_id, ("", 0.0))
        random, trouble = self._chance(what, subject, GETS)
        if trouble is GETS["404 at first"] and time.monotonic() - born > _NOT_YET:
            trouble = GETS["500"]
        if trouble and trouble.unread:
            return trouble.act(conversation.wire, b"", random, self._longest)
        if not conversation.wire.read(1):
            return False
        passed = conversation.ask() if trouble is None or trouble.passes else _Passed()
        word = str(passed.body.get("status", ""))
        if what == "question" and word in ENDS and (trouble is None or trouble.told is Told.STARTED):
            # Before it is sent: what comes of it may be here before we are back.
            self.ledger.answered(run_id, word)
        return self._answer(conversation.wire, passed, random, trouble)

    def _answer(self, wire: Wire, passed: _Passed, random: Random, trouble: Trouble | None) -> bool:
        return trouble.act(wire, passed.data, random, self._longest) if trouble else wire.send(passed.data)

    def _chance(self, what: str, subject: str, troubles: Mapping[str, Trouble]) -> tuple[Random, Trouble | None]:
        with self.ledger.lock:
            self._visits[what, subject] += 1
            visit = self._visits[what, subject]
        random = Random(f"{self._seed} {what} {subject} {visit}")
        name = self._choose(what, troubles, random)
        self.ledger.count(what, f"{what}: {name}" if name else "")
        return random, troubles.get(name)

    def _take_turn(self) -> None:
        with self.ledger.lock:
            now = time.monotonic()
            # What could not be started in its turn may be made up for, within limits.
            self._turn = max(self._turn + 1 / self._rate, now - 5.0)
            pause = self._turn - now
        self._stopping.wait(max(0.0, pause))


class _Conversation(NamedTuple):
    """A connection from the command, and the one to the sandbox that belongs to it."""

    wire: Wire
    upstream: http.client.HTTPConnection

    def ask(self) -> _Passed:
        """Let the sandbox have the request that was read."""
        request: Received = self.wire.request
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "connection"}}
        self.upstream.request(request.method, request.path, request.body or None, headers)
        answer = self.upstream.getresponse()
        body = answer.read()
        return _Passed(_HEAD.format(answer, len(body)).encode() + body, json.loads(body))


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _peek(sock: socket.socket) -> str:
    """Return the first line of the next request, which stays unread; an empty text if none comes."""
    seen = b""
    while b"\r\n" not in seen:
        try:
            data = sock.recv(65536, socket.MSG_PEEK)
        except OSError:
            return ""
        if not data:
            return ""
        if data == seen:
            time.sleep(0.001)
        seen = data
    return seen.partition(b"\r\n")[0].decode("latin-1")
