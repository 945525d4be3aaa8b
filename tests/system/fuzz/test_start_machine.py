"""Test starts with responses, errors and signals in any order.

Nothing is sent twice, and no started run is lost.
"""

from __future__ import annotations

import json
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.models import RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from tests.system.fuzz.engine_driver import RequestOutcome, SteppedEngine, make_response

# A start that was rejected or not sent started nothing. After any other outcome it may have started a run.
REJECTIONS: list[RequestOutcome] = [
    *(make_response(status, b'{"error": "No"}') for status in (400, 401, 402, 403, 404, 405, 410, 422, 429)),
    make_response(429, headers={"Retry-After": "7"}),
    make_response(429, headers={"Retry-After": "9999"}),
    RequestNotSentError("refused", retryable=True),
    RequestNotSentError("no such host", retryable=False),
]
INDETERMINATE_OUTCOMES: list[RequestOutcome] = [
    *(make_response(status, b"oh no") for status in (200, 204, 303, 308, 408, 409, 425, 499, 500, 502, 503, 504)),
    make_response(503, headers={"Retry-After": "1"}),
    HttpResponse(200, {}, b'{"run_id": "cut', is_complete=False),
    ResponseLostError("reset"),
    ResponseLostError("too late", timed_out=True),
]
POLICIES = st.tuples(st.integers(1, 3), st.booleans()).map(lambda drawn: StartPolicy(*drawn))

# Interrupts are rare, so that other events happen before.
SIX = 6
DICE = st.integers(1, SIX)


class StartMachine(RuleBasedStateMachine):
    """Start a few runs while the API responds at random."""

    @initialize(runs=st.integers(1, 4), policy=POLICIES)
    def begin(self, runs: int, policy: StartPolicy) -> None:
        self.may_have_arrived: set[int] = set()
        self.started: dict[int, str] = {}
        self.interrupted = False
        outcomes = [RunResult(RunRequest(TargetKind.TEST, f"t{place}")) for place in range(runs)]
        self.job = SteppedEngine(outcomes, policy, None, self.record_sent)
        self.policy = policy

    def record_sent(self, position: int) -> None:
        """Record a POST that may have arrived."""
        assert position not in self.may_have_arrived, "a POST that may have arrived was sent again"
        self.may_have_arrived.add(position)
        assert not self.interrupted, "a POST was sent after the signal"

    def can_respond(self) -> bool:
        return self.job.running and bool(self.job.pending_requests)

    @precondition(can_respond)
    @rule(data=st.data(), outcome=st.sampled_from(REJECTIONS))
    def reject(self, data: st.DataObject, outcome: RequestOutcome) -> None:
        request = data.draw(st.sampled_from(self.job.pending_requests))
        self.may_have_arrived.discard(request.plan_index)
        self.job.complete(request, outcome)

    @precondition(can_respond)
    @rule(data=st.data(), outcome=st.sampled_from(INDETERMINATE_OUTCOMES))
    def lose_outcome(self, data: st.DataObject, outcome: RequestOutcome) -> None:
        self.job.complete(data.draw(st.sampled_from(self.job.pending_requests)), outcome)

    @precondition(can_respond)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.job.pending_requests))
        run_id = f"run-{request.plan_index}"
        self.started[request.plan_index] = run_id
        self.job.complete(request, make_response(200, json.dumps({"run_id": run_id}).encode()))

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 119.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.job.pass_time(seconds)

    @precondition(lambda self: self.job.running and not self.interrupted)
    @rule(dice=DICE)
    def interrupt(self, dice: int) -> None:
        if dice == SIX:
            self.interrupted = True
            self.job.interrupt()

    @invariant()
    def each_started_run_is_reported(self) -> None:
        for position, run_id in self.started.items():
            run = self.job.run_table.results[position]
            assert (run.state, run.run_id) == (RunState.STARTED, run_id)

    @invariant()
    def indeterminate_start_is_never_not_started(self) -> None:
        for position in self.may_have_arrived:
            assert self.job.run_table.results[position].state is not RunState.NOT_STARTED

    def teardown(self) -> None:
        if not hasattr(self, "job"):
            return
        began, runs = self.job.time, self.job.run_table.results
        # No more responses arrive, so every request times out in turn.
        self.job.pass_time(1000.0)
        limit = (
            self.policy.shutdown_grace
            if self.interrupted
            else len(runs) * (self.policy.hung_after + 1) + self.policy.give_up_after
        )
        assert self.job.time - began <= limit + 1, "it did not end in time"
        self.each_started_run_is_reported()
        self.indeterminate_start_is_never_not_started()
        assert {run.state for run in runs} <= {RunState.STARTED, RunState.UNKNOWN, RunState.NOT_STARTED}
        verdict = compute_verdict(runs, self.job.engine.signal_number)
        assert (verdict.exit_code == 0) == (not self.interrupted and len(self.started) == len(runs))


TestStarting = StartMachine.TestCase
TestStarting.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), stateful_step_count=25, deadline=None
)
