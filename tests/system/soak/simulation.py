"""Simulation of half an hour of load on a simulated clock.

The engine and the client are real. One exchange in ten has a fault, and the machine is suspended now and then.
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
from tests.support.fake_clock import RecordingListener
from tests.system.soak.api_faults import POLL_FAULTS, START_FAULTS, SimulatedFault, choose_fault, make_response
from tests.system.soak.check_results import CheckResult, check_runs, count_states, read_run_result
from tests.system.soak.ground_truth import GroundTruth, KnownResult

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from autonoma_ci.engine.workers import Event
    from tests.system.soak.api_faults import Response

SECRETS = (Secret("id-of-the-soak"), Secret("secret-of-the-soak"))
FAULT_RATE = 0.1
# Ten thousand starts take about 25 minutes. Five more minutes make half an hour.
START_POLICY = StartPolicy(concurrency=24)
POLL_POLICY = PollPolicy(timeout=300.0)
RETRIES = 2
# The time in which a new run can be missing, and the time for details after the deadline.
_NOT_FOUND_SECONDS = 8.0
_MAX_DETAILS_SECONDS = 21.0
# A run is given up after two minutes without a usable response. With this many faults, that is one run in a hundred.
_MISSED_END_SECONDS, _MAX_MISSED_SHARE = 180.0, 0.01


class _ScriptedTransport(Transport):
    """A transport that returns the response that was set."""

    def __init__(self, response: Response) -> None:
        super().__init__("https://api.example/api", SECRETS)
        self.response = response

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        return self.get(path)

    def get(self, path: str, limit: int = 0) -> HttpResponse:
        if isinstance(self.response, HttpResponse):
            return self.response
        raise self.response


class _Run(NamedTuple):
    """One run on the server, with times in seconds."""

    final_status: str
    created_at: float
    duration_seconds: float

    def status_at(self, now: float) -> str:
        age = now - self.created_at
        return (
            "pending"
            if age < self.duration_seconds / 3
            else "running"
            if age < self.duration_seconds
            else self.final_status
        )


class Simulation(Clock):
    """The clock, the workers and the server.

    The seed decides all random values. `suspended_seconds` is the total time in which the machine was suspended.
    """

    def __init__(self, seed: int, runs: int) -> None:
        self.random = Random(seed)
        self.time = 5000.0
        self.ground_truth = GroundTruth()
        self.suspended_seconds = 0.0
        self.planned_ids = [f"test-{number}" for number in range(runs)]
        names = self.random.choices(["", "A name"], k=runs)
        requests = [
            RunRequest(TargetKind.TEST, test, name, retries=RETRIES)
            for test, name in zip(self.planned_ids, names, strict=True)
        ]
        self.run_table = RunTable([RunResult(request) for request in requests], self.time)
        self._suspensions = sorted(self.time + self.random.uniform(0.0, 0.15 * runs) for _ in range(runs // 2000))
        self._scheduled_events: list[tuple[float, int, Callable[[], Event]]] = []
        self._number = count()
        self._runs: dict[str, _Run] = {}
        self._transport = _ScriptedTransport(make_response(200))
        self._client = AutonomaClient(self._transport, "soak", SECRETS)

    # Methods of the clock
    def monotonic(self) -> float:
        return self.time

    def jitter(self, seconds: float) -> float:
        return seconds * self.random.uniform(0.5, 1.0)

    def spread(self, seconds: float) -> float:
        return seconds * self.random.uniform(0.9, 1.1)

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        if self._suspensions and self.time >= self._suspensions[0]:
            del self._suspensions[0]
            # Shorter than `give_up_after` of the engine, because one refusal after that would end the plan.
            suspension_seconds = self.random.uniform(5.0, 90.0)
            self.time += suspension_seconds
            self.suspended_seconds += suspension_seconds
            return None
        deadline = self.time + max(0.0, seconds)
        if not self._scheduled_events or self._scheduled_events[0][0] > deadline:
            self.time = deadline
            return None
        event_at, _, create_event = heappop(self._scheduled_events)
        self.time = max(self.time, event_at)
        return create_event()

    # Methods of the workers
    def can_start(self) -> bool:
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        post = self.ground_truth.add_start(request.id)
        fault = self._choose_fault("start", START_FAULTS) or SimulatedFault(
            None, KnownResult.STARTED, reaches_server=True
        )
        response = fault.response
        if fault.reaches_server:
            post.run_id = self._create_run()
        if response is None:
            response = make_response(200, {"run_id": post.run_id, "url": f"https://autonoma.app/run/{post.run_id}"})

        def create_event() -> Event:
            # After the client has given up, only a started run counts.
            if fault.known_result is KnownResult.STARTED or self.run_table.results[index].state is RunState.STARTING:
                post.known_result = fault.known_result
            self._transport.response = response
            return StartFinished(index, self._client.start(request))

        self._schedule(self.random.uniform(0.4, 3.0) + fault.extra_seconds, create_event)
        return lambda: False

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        run, seconds = self._runs[run_id], self.random.uniform(0.05, 0.4)
        status = run.status_at(self.time + seconds / 2)
        fault = self._choose_fault("poll", POLL_FAULTS)
        if fault is POLL_FAULTS["404 at first"] and self.time - run.created_at > _NOT_FOUND_SECONDS:
            fault = POLL_FAULTS["500"]

        def create_event() -> Event:
            self._transport.response = (
                fault.response if fault and fault.response else make_response(200, {"status": status})
            )
            if fault is None or fault.known_result is KnownResult.STARTED:
                self._note_status(index, run_id, status)
            return StatusReceived(index, run_id, self._client.poll_status(request, run_id), request_number)

        self._schedule(seconds + (fault.extra_seconds if fault else 0.0), create_event)

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        fault = self._choose_fault("details", POLL_FAULTS)
        steps = [{"status": "failed", "instruction": "Click"}]

        def create_event() -> Event:
            self._transport.response = (
                fault.response if fault and fault.response else make_response(200, {"name": "Title", "steps": steps})
            )
            return DetailsReceived(index, run_id, self._client.fetch_details(request, run_id))

        self._schedule(self.random.uniform(0.05, 0.4) + (fault.extra_seconds if fault else 0.0), create_event)

    def has_missed_end(self, run: RunResult) -> bool:
        """Return whether a run that ended long ago is reported as open."""
        server = self._runs.get(run.run_id)
        is_open = run.state in {RunState.TIMED_OUT, RunState.UNKNOWN}
        return bool(
            server and is_open and server.created_at + server.duration_seconds < self.time - _MISSED_END_SECONDS
        )

    def _choose_fault(self, exchange: str, faults: Mapping[str, SimulatedFault]) -> SimulatedFault | None:
        name = choose_fault(faults, self.random) if self.random.random() < FAULT_RATE else ""
        self.ground_truth.count_exchange(exchange, f"{exchange}: {name}" if name else "")
        return faults.get(name)

    def _note_status(self, index: int, run_id: str, status: str) -> None:
        run = self.run_table.results[index]
        if (run.state, run.run_id) == (RunState.STARTED, run_id):
            self.ground_truth.add_response(run_id, status)

    def _schedule(self, seconds: float, create_event: Callable[[], Event]) -> None:
        heappush(self._scheduled_events, (self.time + seconds, next(self._number), create_event))

    def _create_run(self) -> str:
        run_id = f"run-{len(self._runs)}"
        final_status = self.random.choices(["passed", "failed", "cancelled"], [84, 14, 2])[0]
        # A few runs never end.
        duration_seconds = self.random.uniform(3.0, 180.0) if self.random.random() < 0.995 else inf
        self._runs[run_id] = _Run(final_status, self.time, duration_seconds)
        return run_id


class SimulationResult(NamedTuple):
    """The result of a simulation, with times in seconds of the simulated clock."""

    check: CheckResult
    states: Counter[str]
    seconds: float
    last_start_seconds: float  # offset of the last first start
    simulation: Simulation


def simulate(seed: int, runs: int) -> SimulationResult:
    """Simulate a step with this number of runs, and check its result."""
    simulation = Simulation(seed, runs)
    run_table = simulation.run_table
    engine = Engine(run_table, START_POLICY, simulation, queue.SimpleQueue(), RecordingListener(), POLL_POLICY)
    engine.run(simulation)  # type: ignore[arg-type]
    reported_runs = [read_run_result(run) for run in run_table.results]
    check = check_runs(simulation.ground_truth, simulation.planned_ids, reported_runs, RETRIES)
    if check.unseen_count:
        check.errors.append(f"{check.unseen_count} runs may have started, and no POST of theirs was seen")
    if (missed_count := sum(map(simulation.has_missed_end, run_table.results))) > _MAX_MISSED_SHARE * runs:
        check.errors.append(f"{missed_count} runs ended long before the deadline, and nobody noticed")
    seconds, last_start_seconds = (
        simulation.time - run_table.origin,
        max(run.start_offset_seconds for run in run_table.results if not run.previous_attempts),
    )
    assert engine._poller
    late_seconds = simulation.time - engine._poller.deadline
    if late_seconds > POLL_POLICY.late_response_grace + _MAX_DETAILS_SECONDS + simulation.suspended_seconds:
        check.errors.append(f"it was over {late_seconds:.0f} s after the deadline")
    return SimulationResult(check, count_states(reported_runs), seconds, last_start_seconds, simulation)
