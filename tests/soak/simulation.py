"""Half an hour of load without waiting: the engine and the client as they are, on a clock and a server of ours.

One exchange in ten goes wrong, each in one of the ways that the client tells apart, and the machine is
suspended now and then.
"""

from __future__ import annotations

import queue
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.transport import HttpResponse, Transport
from autonoma_ci.clock import Clock
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.workers import DetailsReceived, StartFinished, StatusReceived
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.redaction.redactor import Secret
from tests.soak.harms import QUESTIONS, STARTS, Harm, answer, one_of
from tests.soak.judge import Judged, judge, of_outcome, states
from tests.soak.ledger import Ledger, Told
from tests.support.fake_clock import Watched

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from autonoma_ci.engine.workers import Event
    from tests.soak.harms import Came

SECRETS = (Secret("id-of-the-soak"), Secret("secret-of-the-soak"))
HARMED = 0.1
# Ten thousand runs take about 25 minutes to be started; five more, and the half hour is over.
POLICY = StartPolicy(concurrency=24)
WAITING = PollPolicy(timeout=300.0, retries=2)
# In seconds: how long a run may not be there yet, and what may come after the last verdict, asking what runs did.
_NOT_YET = 8.0
_EXPLAINED = 21.0
# A run may be given up after two minutes without a usable answer, which so much harm makes happen to one in a hundred.
_LONG_AGO, _MISSED = 180.0, 0.01


class _Given(Transport):
    """Gives what is put into it."""

    def __init__(self, came: Came) -> None:
        super().__init__("https://api.example/api", SECRETS)
        self.came = came

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        return self.get(path)

    def get(self, path: str, limit: int = 0) -> HttpResponse:
        if isinstance(self.came, HttpResponse):
            return self.came
        raise self.came


class _Run(NamedTuple):
    """One run on the server; times in seconds."""

    ends: str
    born: float
    lasts: float

    def word(self, now: float) -> str:
        age = now - self.born
        return "pending" if age < self.lasts / 3 else "running" if age < self.lasts else self.ends


class Simulation(Clock):
    """The clock, the workers and the server; all chance comes from `seed`.

    `suspended` is for how many seconds the machine was.
    """

    def __init__(self, seed: int, runs: int) -> None:
        self.random = Random(seed)
        self.time = 5000.0
        self.ledger = Ledger()
        self.suspended = 0.0
        self.planned = [f"test-{number}" for number in range(runs)]
        names = self.random.choices(["", "A name"], k=runs)
        requests = [RunRequest(TargetKind.TEST, test, name) for test, name in zip(self.planned, names, strict=True)]
        self.board = RunTable([RunResult(request) for request in requests], self.time)
        self._naps = sorted(self.time + self.random.uniform(0.0, 0.15 * runs) for _ in range(runs // 2000))
        self._agenda: list[tuple[float, int, Callable[[], Event]]] = []
        self._number = count()
        self._runs: dict[str, _Run] = {}
        self._transport = _Given(answer(200))
        self._client = AutonomaClient(self._transport, "soak", SECRETS)

    # What follows is the clock's side.
    def monotonic(self) -> float:
        return self.time

    def jitter(self, seconds: float) -> float:
        return seconds * self.random.uniform(0.5, 1.0)

    def spread(self, seconds: float) -> float:
        return seconds * self.random.uniform(0.9, 1.1)

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        if self._naps and self.time >= self._naps[0]:
            del self._naps[0]
            # Shorter than the engine's patience: longer, and the first refusal after it would end the plan.
            nap = self.random.uniform(5.0, 90.0)
            self.time += nap
            self.suspended += nap
            return None
        until = self.time + max(0.0, seconds)
        if not self._agenda or self._agenda[0][0] > until:
            self.time = until
            return None
        at, _, happen = heappop(self._agenda)
        self.time = max(self.time, at)
        return happen()

    # What follows is the workers' side.
    def can_start(self) -> bool:
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        post = self.ledger.sent(request.id)
        harm = self._harm("start", STARTS) or Harm(None, Told.STARTED, arrives=True)
        came = harm.came
        if harm.arrives:
            post.run_id = self._born()
        if came is None:
            came = answer(200, {"run_id": post.run_id, "url": f"https://autonoma.app/run/{post.run_id}"})

        def happen() -> Event:
            # Once it was given up, only that it has started counts.
            if harm.told is Told.STARTED or self.board.results[index].state is RunState.STARTING:
                post.told = harm.told
            self._transport.came = came
            return StartFinished(index, self._client.start(request))

        self._later(self.random.uniform(0.4, 3.0) + harm.longer, happen)
        return lambda: False

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        run, seconds = self._runs[run_id], self.random.uniform(0.05, 0.4)
        word = run.word(self.time + seconds / 2)
        harm = self._harm("question", QUESTIONS)
        if harm is QUESTIONS["404 at first"] and self.time - run.born > _NOT_YET:
            harm = QUESTIONS["500"]

        def happen() -> Event:
            self._transport.came = harm.came if harm and harm.came else answer(200, {"status": word})
            if harm is None or harm.told is Told.STARTED:
                self._told(index, run_id, word)
            return StatusReceived(index, run_id, self._client.status(request, run_id), request_number)

        self._later(seconds + (harm.longer if harm else 0.0), happen)

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        harm = self._harm("details", QUESTIONS)
        steps = [{"status": "failed", "instruction": "Click"}]

        def happen() -> Event:
            self._transport.came = harm.came if harm and harm.came else answer(200, {"name": "Title", "steps": steps})
            return DetailsReceived(index, run_id, self._client.details(request, run_id))

        self._later(self.random.uniform(0.05, 0.4) + (harm.longer if harm else 0.0), happen)

    def missed(self, run: RunResult) -> bool:
        """Say whether a run is called open that had ended long ago."""
        server = self._runs.get(run.run_id)
        is_open = run.state in {RunState.TIMED_OUT, RunState.UNKNOWN}
        return bool(server and is_open and server.born + server.lasts < self.time - _LONG_AGO)

    def _harm(self, exchange: str, harms: Mapping[str, Harm]) -> Harm | None:
        name = one_of(harms, self.random) if self.random.random() < HARMED else ""
        self.ledger.count(exchange, f"{exchange}: {name}" if name else "")
        return harms.get(name)

    def _told(self, index: int, run_id: str, word: str) -> None:
        run = self.board.results[index]
        if (run.state, run.run_id) == (RunState.STARTED, run_id):
            self.ledger.answered(run_id, word)

    def _later(self, seconds: float, happen: Callable[[], Event]) -> None:
        heappush(self._agenda, (self.time + seconds, next(self._number), happen))

    def _born(self) -> str:
        run_id = f"run-{len(self._runs)}"
        ends = self.random.choices(["passed", "failed", "cancelled"], [84, 14, 2])[0]
        # A few never end.
        lasts = self.random.uniform(3.0, 180.0) if self.random.random() < 0.995 else inf
        self._runs[run_id] = _Run(ends, self.time, lasts)
        return run_id


class Simulated(NamedTuple):
    """What a simulation came to, in seconds of its own clock; `begun` is when the last run was started first."""

    judged: Judged
    states: Counter[str]
    seconds: float
    begun: float
    simulation: Simulation


def simulate(seed: int, runs: int) -> Simulated:
    """Bring so many runs to their end, and judge what is said of them."""
    simulation = Simulation(seed, runs)
    board = simulation.board
    engine = Engine(board, POLICY, simulation, queue.SimpleQueue(), Watched(), WAITING)
    engine.run(simulation)  # type: ignore[arg-type]
    found = [of_outcome(run) for run in board.results]
    judged = judge(simulation.ledger, simulation.planned, found, WAITING.retries)
    if judged.unseen:
        judged.complaints.append(f"{judged.unseen} runs may have started, and no POST of theirs was seen")
    if (missed := sum(map(simulation.missed, board.results))) > _MISSED * runs:
        judged.complaints.append(f"{missed} runs ended long before the deadline, and nobody noticed")
    seconds, begun = (
        simulation.time - board.origin,
        max(run.start_offset_seconds for run in board.results if not run.previous_attempts),
    )
    assert engine._poller
    after = simulation.time - engine._poller.deadline
    if after > WAITING.late_response_grace + _EXPLAINED + simulation.suspended:
        judged.complaints.append(f"it was over {after:.0f} s after the deadline")
    return Simulated(judged, states(found), seconds, begun, simulation)
