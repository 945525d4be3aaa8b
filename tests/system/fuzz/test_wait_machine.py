"""Test polling with any responses, errors and steps of the clock.

It ends in time, and only a run that passed is reported as passed.
"""

from __future__ import annotations

import json
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.engine.workers import StatusReceived
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from tests.system.fuzz.engine_driver import PendingRequest, RequestOutcome, SteppedEngine, make_response

FINAL_STATUSES = {"passed": RunState.PASSED, "failed": RunState.FAILED, "cancelled": RunState.STOPPED}
RUNNING_STATUSES = ["pending", "running", "Running"]
UNKNOWN_STATUSES = ["", "pass", "PASSED?", "success", "ok"]
UNUSABLE_OUTCOMES: list[RequestOutcome] = [
    make_response(200, b"passed"),
    make_response(200, b'["passed"]'),
    make_response(200, b'{"status": null, "result": "passed"}'),
    *(make_response(status, b'{"status": "passed"}') for status in (201, 302, 404, 429, 500, 503)),
    make_response(429, headers={"Retry-After": "30"}),
    ResponseLostError("reset"),
    RequestNotSentError("refused", retryable=True),
]
POLICIES = st.tuples(st.sampled_from([1.0, 60.0, 600.0]), st.sampled_from([None, 1.0, 30.0]), st.integers(1, 3)).map(
    lambda drawn: PollPolicy(drawn[0], drawn[1], concurrency=drawn[2])
)
# The time for details after the last final status.
DETAILS_SECONDS = 21.0

# One draw in six interrupts the job or steps the clock, so that other events happen first.
RARE_DRAW = 6
DRAWS = st.integers(1, RARE_DRAW)


class PollMachine(RuleBasedStateMachine):
    """Poll a few started runs while the API responds at random."""

    @initialize(runs=st.integers(1, 3), policy=POLICIES, run_timeout=st.sampled_from([None, 0.5, 30.0, 200.0]))
    def begin(self, runs: int, policy: PollPolicy, run_timeout: float | None) -> None:
        self.final_states: dict[int, RunState] = {}
        self.running_runs: set[int] = set()
        self.has_rejection = self.is_interrupted = False
        results = [
            RunResult(
                RunRequest(TargetKind.TEST, f"t{index}", run_timeout_seconds=run_timeout),
                RunState.STARTED,
                run_id=f"r{index}",
            )
            for index in range(runs)
        ]
        self.policy = policy
        self.job = SteppedEngine(results, StartPolicy(), policy, lambda index: None)
        self.limit = self.job.time + policy.timeout + policy.late_response_grace + DETAILS_SECONDS

    def pending_polls(self) -> list[PendingRequest]:
        return [request for request in self.job.pending_requests if request.kind is StatusReceived]

    def can_respond(self) -> bool:
        return self.job.is_running and bool(self.pending_polls())

    def respond(self, data: st.DataObject, status: str) -> int:
        request = data.draw(st.sampled_from(self.pending_polls()))
        is_started = self.job.run_table.results[request.plan_index].state is RunState.STARTED
        if status in FINAL_STATUSES and is_started:
            self.final_states[request.plan_index] = FINAL_STATUSES[status]
        elif status not in FINAL_STATUSES and is_started:
            self.running_runs.add(request.plan_index)
        self.job.complete(request, make_response(200, json.dumps({"status": status}).encode()))
        return request.plan_index

    @precondition(can_respond)
    @rule(data=st.data(), status=st.sampled_from([*FINAL_STATUSES]))
    def report_end(self, data: st.DataObject, status: str) -> None:
        self.respond(data, status)

    @precondition(can_respond)
    @rule(data=st.data(), status=st.sampled_from(RUNNING_STATUSES + UNKNOWN_STATUSES))
    def report_other(self, data: st.DataObject, status: str) -> None:
        self.respond(data, status)

    @precondition(can_respond)
    @rule(data=st.data(), outcome=st.sampled_from(UNUSABLE_OUTCOMES))
    def fail_poll(self, data: st.DataObject, outcome: RequestOutcome) -> None:
        self.job.complete(data.draw(st.sampled_from(self.pending_polls())), outcome)

    @precondition(lambda self: self.can_respond() and not self.has_rejection)
    @rule(data=st.data(), status=st.sampled_from([401, 403]))
    def reject(self, data: st.DataObject, status: int) -> None:
        self.job.complete(
            data.draw(st.sampled_from(self.pending_polls())), make_response(status, b'{"status": "passed"}')
        )
        self.has_rejection = True

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 50.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.job.pass_time(seconds)

    @precondition(lambda self: self.job.is_running)
    @rule(draw=DRAWS, seconds=st.sampled_from([60.0, 100_000.0]))
    def skip_time(self, draw: int, seconds: float) -> None:
        """Step the clock without polls, as on a suspended machine."""
        if draw != RARE_DRAW:
            return
        self.limit = max(self.limit, self.job.time + seconds + self.policy.late_response_grace + DETAILS_SECONDS)
        self.job.advance(seconds)

    @precondition(lambda self: self.job.is_running and not self.is_interrupted)
    @rule(draw=DRAWS)
    def interrupt(self, draw: int) -> None:
        if draw == RARE_DRAW:
            self.is_interrupted = True
            self.job.interrupt()

    @invariant()
    def first_final_status_is_reported(self) -> None:
        for index, run in enumerate(self.job.run_table.results):
            if index in self.final_states:
                assert run.state is self.final_states[index]
            else:
                assert run.state in {RunState.STARTED, RunState.UNKNOWN, RunState.TIMED_OUT}
                assert (run.state is RunState.TIMED_OUT) <= (index in self.running_runs)

    def teardown(self) -> None:
        if not hasattr(self, "job"):
            return
        self.job.pass_time(1000.0)
        assert self.job.time <= self.limit + 1, "it did not end in time"
        self.first_final_status_is_reported()
        runs = self.job.run_table.results
        assert self.is_interrupted or not any(run.state is RunState.STARTED for run in runs)
        verdict = compute_verdict(runs, self.job.engine.signal_number, waits_for_results=True)
        all_passed = [self.final_states.get(index) for index in range(len(runs))] == [RunState.PASSED] * len(runs)
        assert (verdict.exit_code == 0) == (all_passed and not self.is_interrupted)


TestWaiting = PollMachine.TestCase
TestWaiting.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), stateful_step_count=25, deadline=None
)
