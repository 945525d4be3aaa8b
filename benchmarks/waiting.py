"""What waiting costs: how late verdicts are, how many requests they take, and a thousand runs at once.

Time is quickened for the verdicts: the sandbox and the engine share a clock that runs five times as fast, over
real sockets, so that the network counts five times as much as it would.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from autonoma_ci.api.client import Client
from autonoma_ci.api.transport import Transport
from autonoma_ci.engine.board import Board
from autonoma_ci.engine.clock import Clock
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.fire import Policy
from autonoma_ci.engine.watch import Waiting
from autonoma_ci.engine.workers import Events, Threads
from autonoma_ci.model import Kind, Outcome, RunRequest, State
from autonoma_ci.sandbox import Sandbox
from autonoma_ci.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
QUICK = 5.0
LENGTHS = (5, 30, 90, 300)
# Of each length, so many runs that are a tenth shorter to a tenth longer, so that no pause suits them all.
RUNS = 16
FIXED = 10.0
SECRETS = (Secret("benchmark-id"), Secret("benchmark-secret"))
SERVER = """
import threading
from autonoma_ci.sandbox import Sandbox
with Sandbox() as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""


class QuickClock(Clock):
    """A clock that runs five times as fast."""

    def monotonic(self) -> float:
        """Return the quickened time."""
        return QUICK * time.monotonic()

    def receive(self, events: queue.SimpleQueue[T], seconds: float) -> T | None:
        """Wait for a fifth of the time."""
        return super().receive(events, seconds / QUICK)


class Ended:
    """Notes when each run reached its end, by its name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: dict[str, float] = {}

    def changed(self, outcome: Outcome) -> None:
        """Note the time of an end."""
        if outcome.state is State.PASSED:
            self.at[outcome.request.name] = self._clock.monotonic()

    def warn(self, text: str) -> None:
        """Say what is odd: nothing should be."""
        print(text)

    def tick(self, outcomes: Sequence[Outcome]) -> None:
        """Do nothing."""


class Delay(NamedTuple):
    """How late verdicts were on the mean for runs of about one length, and how many questions each took."""

    length: int
    seconds: float
    requests: float

    @property
    def bound(self) -> float:
        """A second, and a fiftieth of the length."""
        return 1.0 + 0.02 * self.length


def delays() -> list[Delay]:
    """Measure all lengths at once, against the sandbox."""
    clock = QuickClock()
    lengths = {
        f"{length}-{n}": length * (0.9 + 0.2 * n / (RUNS - 1)) for length in reversed(LENGTHS) for n in range(RUNS)
    }
    tenths = {name: f"sandbox-takes-{round(10 * length)}-{name}" for name, length in lengths.items()}
    with Sandbox(pace=0.1, clock=clock.monotonic) as sandbox:
        board = Board([Outcome(RunRequest(Kind.TEST, tenths[name], name)) for name in lengths], clock.monotonic())
        events: Events = queue.SimpleQueue()
        client = Client(Transport(sandbox.url, SECRETS, time.monotonic), "benchmark", SECRETS)
        ended = Ended(clock)
        # One start at a time: a run is born when its turn has come, and not while it queues in this very process.
        Engine(board, Policy(concurrency=1), clock, events, ended, Waiting()).run(Threads(client, events))
        asked = [received.path for received in sandbox.received if received.method == "GET"]
    found = []
    for length in LENGTHS:
        runs = [run for run in board.outcomes if run.request.name.startswith(f"{length}-")]
        assert all(run.state is State.PASSED for run in runs)
        late = [
            ended.at[run.request.name] - board.origin - run.began - round(10 * lengths[run.request.name]) / 10
            for run in runs
        ]
        requests = [sum(run.run_id in path for path in asked) for run in runs]
        found.append(Delay(length, mean(late), mean(requests)))
    return found


class Thousand(NamedTuple):
    """What a thousand runs at once cost one process."""

    lost: int
    megabytes: float
    processor: float
    seconds: float


def thousand(runs: int = 1000) -> Thousand:
    """Wait for runs of half a minute, all at once, in a process of its own."""
    server = [sys.executable, "-c", SERVER]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        environ = {
            "PATH": os.environ["PATH"],
            "AUTONOMA_API_URL": process.stdout.readline().strip(),
            "AUTONOMA_CLIENT_ID": "benchmark-id",
            "AUTONOMA_CLIENT_SECRET": "benchmark-secret",
            "AUTONOMA_TEST_IDS": ",".join(f"run {n}=sandbox-takes-30-{n}" for n in range(runs)),
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_CONCURRENCY": "32",
        }
        began = time.monotonic()
        command = [str(Path(sys.executable).with_name("autonoma-ci"))]
        pid = subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.DEVNULL).pid
        _, code, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - began
        process.kill()
        log = Path(folder, "results", "outputs.env").read_text(encoding="utf-8")
    passed = int(next(line for line in log.splitlines() if line.startswith("AUTONOMA_PASSED=")).partition("=")[2])
    lost = runs - passed if os.waitstatus_to_exitcode(code) == 0 else runs
    return Thousand(lost, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, seconds)
