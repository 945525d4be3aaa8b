"""How late verdicts are, and how many questions they take: the engine, and beside it a fixed poll of ten seconds.

Run as a process of its own: `python -m benchmarks.delays` prints JSON, a list for each length of run. Time is
quickened: the sandbox, the engine and the fixed poll share a clock that runs five times as fast, over real sockets,
so that the network counts five times as much as it would. All of them run at once, against one sandbox.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.transport import Transport
from autonoma_ci.clock import Clock
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.workers import Events, ThreadedExecutor
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from benchmarks.costs import CREDENTIALS, bare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")
QUICK = 5.0
# So many runs of about each length in seconds: enough that the share of chance in a mean is a twentieth. Those of one
# pass go on at once, and are few enough to be asked for at the full pace without a queue in this very process, where
# the server is too. Each question has a connection of its own, which costs the server a thread.
PASSES = (*2 * ({90: 60, 300: 65},), *6 * ({5: 30, 30: 33},))
SECRETS = tuple(Secret(value) for value in CREDENTIALS.values())


class Late(NamedTuple):
    """How late the verdicts were, in seconds, and how many questions a run took, both on the mean."""

    seconds: float
    questions: float


class QuickClock(Clock):
    """A clock that runs five times as fast."""

    def monotonic(self) -> float:
        """Return the quickened time."""
        return QUICK * time.monotonic()

    def wait_for_event(self, events: queue.SimpleQueue[T], seconds: float) -> T | None:
        """Wait for a fifth of the time."""
        return super().wait_for_event(events, seconds / QUICK)


class Ended:
    """Notes when each run reached its end, by its name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: dict[str, float] = {}

    def on_run_changed(self, outcome: RunResult) -> None:
        """Note the time of an end."""
        if outcome.state is RunState.PASSED:
            self.at[outcome.request.name] = self._clock.monotonic()

    def on_warning(self, text: str) -> None:
        """Say what is odd: nothing should be."""
        print(text, file=sys.stderr)

    def on_tick(self, outcomes: Sequence[RunResult]) -> None:
        """Do nothing."""


def subjects(runs: Mapping[int, int]) -> dict[str, float]:
    """Return the ids to start, the longest runs first, and how long each run takes; `runs` says how many of a length.

    Their lengths are a tenth shorter to a tenth longer, so that no pause suits them all.
    """
    found = {}
    for length in sorted(runs, reverse=True):
        for n in range(runs[length]):
            tenths = round(10 * length * (0.9 + 0.2 * n / (runs[length] - 1)))
            found[f"sandbox-takes-{tenths}-{length}-{n}"] = tenths / 10
    return found


def ours(sandbox: Sandbox, clock: Clock, lengths: dict[str, float]) -> dict[str, Late]:
    """Let the engine start and wait for all runs, and return what each took."""
    board = RunTable(
        [RunResult(RunRequest(TargetKind.TEST, subject, subject)) for subject in lengths], clock.monotonic()
    )
    events: Events = queue.SimpleQueue()
    client = AutonomaClient(Transport(sandbox.url, SECRETS), "benchmark", SECRETS)
    ended = Ended(clock)
    # One start at a time: a run is born when its turn has come, and not while it queues in this very process.
    Engine(board, StartPolicy(concurrency=1), clock, events, ended, PollPolicy()).run(ThreadedExecutor(client, events))
    # .../run/RUN_ID/status
    asked = Counter(received.path.split("/")[-2] for received in sandbox.received if received.method == "GET")
    return {
        run.request.name: Late(
            ended.at[run.request.name] - board.origin - run.start_offset_seconds - lengths[run.request.name],
            asked[run.run_id],
        )
        for run in board.results
    }


def theirs(printed: str, lengths: dict[str, float]) -> dict[str, Late]:
    """Return what each run took by what the fixed poll printed; raise RuntimeError if one did not pass."""
    found = {}
    for line in printed.splitlines():
        subject, seconds, questions, status = line.split()
        if status != "passed":
            raise RuntimeError(line)
        found[subject] = Late(float(seconds) - lengths[subject], int(questions))
    return found


def side_by_side(runs: Mapping[int, int]) -> list[dict[str, Late]]:
    """Let both wait for as many runs of each length, and return what ours and theirs came to, run by run."""
    clock, lengths = QuickClock(), subjects(runs)
    with Sandbox(pace=0.1, clock=clock.monotonic) as sandbox:
        environ = {
            **CREDENTIALS,
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": ",".join(lengths),
            "AUTONOMA_CONCURRENCY": "8",
            "QUICK": str(QUICK),
        }
        with subprocess.Popen(bare("bare_wait.py"), env=environ, stdout=subprocess.PIPE, text=True) as fixed:
            engine = ours(sandbox, clock, lengths)
            return [engine, theirs(fixed.communicate()[0], lengths)]


def main() -> None:
    """Print the means of each length over all passes, ours first."""
    passes = [side_by_side(runs) for runs in PASSES]
    found = {}
    for length in sorted({length for runs in PASSES for length in runs}):
        both = [
            [late for one in passes for name, late in one[place].items() if name.split("-")[3] == str(length)]
            for place in (0, 1)
        ]
        found[length] = [[mean(column) for column in zip(*late, strict=True)] for late in both]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
