"""Measure delays and polls of the engine and of a fixed poll.

A delay is the time from the end of a run to its verdict. Run this module as its own process: `python -m
benchmarks.delays` prints JSON with a list for each length of run. The fixed poll sends a request every 10 s. The
sandbox, the engine and the fixed poll share a clock that runs five times as fast, over real sockets. So network time
counts five times as much as in reality. All run at once against one sandbox.
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
from benchmarks.costs import CREDENTIALS, script_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")
SPEEDUP = 5.0
# The number of runs by their length in seconds, per pass. With these numbers, chance is about 5 % of a mean. The runs
# of one pass run at once. They are few enough to be polled at the full rate without a queue in this process, which
# also runs the server. Each poll has its own connection, which needs a thread in the server.
PASSES = (*2 * ({90: 60, 300: 65},), *6 * ({5: 30, 30: 33},))
SECRETS = tuple(Secret(value) for value in CREDENTIALS.values())


class Delay(NamedTuple):
    """The delay of a run's verdict and the polls of the run."""

    # From the end of the run to the verdict.
    seconds: float
    # Number of status requests.
    polls: float


class FastClock(Clock):
    """A clock that runs five times as fast."""

    def monotonic(self) -> float:
        """Return the accelerated time in seconds."""
        return SPEEDUP * time.monotonic()

    def wait_for_event(self, events: queue.SimpleQueue[T], seconds: float) -> T | None:
        """Wait for a fifth of the time."""
        return super().wait_for_event(events, seconds / SPEEDUP)


class EndTimes:
    """Records when each run reached its end, by its name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ended_at: dict[str, float] = {}

    def on_run_changed(self, outcome: RunResult) -> None:
        """Record the time of an end."""
        if outcome.state is RunState.PASSED:
            self.ended_at[outcome.request.name] = self._clock.monotonic()

    def on_warning(self, text: str) -> None:
        """Print a warning, because none is expected."""
        print(text, file=sys.stderr)

    def on_tick(self, outcomes: Sequence[RunResult]) -> None:
        """Do nothing."""


def plan_durations(runs: Mapping[int, int]) -> dict[str, float]:
    """Return the duration of each id in seconds, the longest first.

    Durations differ by up to 10 % from the length, so no poll interval suits them all.

    Args:
        runs: The number of runs for each length in seconds.

    """
    durations = {}
    for length in sorted(runs, reverse=True):
        for number in range(runs[length]):
            tenths = round(10 * length * (0.9 + 0.2 * number / (runs[length] - 1)))
            durations[f"sandbox-takes-{tenths}-{length}-{number}"] = tenths / 10
    return durations


def measure_engine(sandbox: Sandbox, clock: Clock, durations: dict[str, float]) -> dict[str, Delay]:
    """Start and poll all runs with the engine, and return their delays."""
    run_table = RunTable(
        [RunResult(RunRequest(TargetKind.TEST, test_id, test_id)) for test_id in durations], clock.monotonic()
    )
    events: Events = queue.SimpleQueue()
    client = AutonomaClient(Transport(sandbox.url, SECRETS), "benchmark", SECRETS)
    end_times = EndTimes(clock)
    # One start at a time, so a run starts when its request is sent, not while it queues in this process.
    Engine(run_table, StartPolicy(concurrency=1), clock, events, end_times, PollPolicy()).run(
        ThreadedExecutor(client, events)
    )
    # The paths end in /run/RUN_ID/status.
    poll_counts = Counter(received.path.split("/")[-2] for received in sandbox.received if received.method == "GET")
    return {
        run.request.name: Delay(
            end_times.ended_at[run.request.name]
            - run_table.origin
            - run.start_offset_seconds
            - durations[run.request.name],
            poll_counts[run.run_id],
        )
        for run in run_table.results
    }


def parse_fixed_poll(printed: str, durations: dict[str, float]) -> dict[str, Delay]:
    """Return the delays in the output of the fixed poll.

    Raises:
        RuntimeError: A run did not pass.

    """
    delays = {}
    for line in printed.splitlines():
        test_id, seconds, polls, status = line.split()
        if status != "passed":
            raise RuntimeError(line)
        delays[test_id] = Delay(float(seconds) - durations[test_id], int(polls))
    return delays


def measure_both(runs: Mapping[int, int]) -> list[dict[str, Delay]]:
    """Return the engine's and the fixed poll's delays, by run.

    Both wait at once for the same number of runs.
    """
    clock, durations = FastClock(), plan_durations(runs)
    with Sandbox(pace=0.1, clock=clock.monotonic) as sandbox:
        environ = {
            **CREDENTIALS,
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": ",".join(durations),
            "AUTONOMA_CONCURRENCY": "8",
            "QUICK": str(SPEEDUP),
        }
        with subprocess.Popen(
            script_command("bare_wait.py"), env=environ, stdout=subprocess.PIPE, text=True
        ) as process:
            engine = measure_engine(sandbox, clock, durations)
            return [engine, parse_fixed_poll(process.communicate()[0], durations)]


def main() -> None:
    """Print the means of each length over all passes, the engine's first."""
    passes = [measure_both(runs) for runs in PASSES]
    means = {}
    for length in sorted({length for runs in PASSES for length in runs}):
        columns = [
            [delay for results in passes for name, delay in results[index].items() if name.split("-")[3] == str(length)]
            for index in (0, 1)
        ]
        means[length] = [[mean(column) for column in zip(*delays, strict=True)] for delays in columns]
    print(json.dumps(means))


if __name__ == "__main__":
    main()
