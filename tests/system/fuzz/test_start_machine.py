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

# One draw in six interrupts the job, so that other events happen first.
RARE_DRAW = 6
DRAWS = st.integers(1, RARE_DRAW)


class StartMachine(RuleBasedStateMachine):
    """Start a few runs while the API responds at random."""

    @initialize(runs=st.integers(1, 4), policy=POLICIES)
    def begin(self, runs: int, policy: StartPolicy) -> None:
        self.possible_starts: set[int] = set()
        self.started_run_ids: dict[int, str] = {}
        self.is_interrupted = False
        results = [RunResult(RunRequest(TargetKind.TEST, f"t{index}")) for index in range(runs)]
        self.job = SteppedEngine(results, policy, None, self.record_sent)
        self.policy = policy

    def record_sent(self, index: int) -> None:
        """Record a POST that may have arrived."""
        assert index not in self.possible_starts, "a POST that may have arrived was sent again"
        self.possible_starts.add(index)
        assert not self.is_interrupted, "a POST was sent after the signal"

    def can_respond(self) -> bool:
        return self.job.is_running and bool(self.job.pending_requests)

    @precondition(can_respond)
    @rule(data=st.data(), outcome=st.sampled_from(REJECTIONS))
    def reject(self, data: st.DataObject, outcome: RequestOutcome) -> None:
        request = data.draw(st.sampled_from(self.job.pending_requests))
        self.possible_starts.discard(request.plan_index)
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
        self.started_run_ids[request.plan_index] = run_id
        self.job.complete(request, make_response(200, json.dumps({"run_id": run_id}).encode()))

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 119.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.job.pass_time(seconds)

    @precondition(lambda self: self.job.is_running and not self.is_interrupted)
    @rule(draw=DRAWS)
    def interrupt(self, draw: int) -> None:
        if draw == RARE_DRAW:
            self.is_interrupted = True
            self.job.interrupt()

    @invariant()
    def each_started_run_is_reported(self) -> None:
        for index, run_id in self.started_run_ids.items():
            run = self.job.run_table.results[index]
            assert (run.state, run.run_id) == (RunState.STARTED, run_id)

    @invariant()
    def indeterminate_start_is_never_not_started(self) -> None:
        for index in self.possible_starts:
            assert self.job.run_table.results[index].state is not RunState.NOT_STARTED

    def teardown(self) -> None:
        if not hasattr(self, "job"):
            return
        started_at, runs = self.job.time, self.job.run_table.results
        # No more responses arrive, so every request times out in turn.
        self.job.pass_time(1000.0)
        limit = (
            self.policy.shutdown_grace
            if self.is_interrupted
            else len(runs) * (self.policy.hung_after + 1) + self.policy.give_up_after
        )
        assert self.job.time - started_at <= limit + 1, "it did not end in time"
        self.each_started_run_is_reported()
        self.indeterminate_start_is_never_not_started()
        assert {run.state for run in runs} <= {RunState.STARTED, RunState.UNKNOWN, RunState.NOT_STARTED}
        verdict = compute_verdict(runs, self.job.engine.signal_number)
        assert (verdict.exit_code == 0) == (not self.is_interrupted and len(self.started_run_ids) == len(runs))


TestStarting = StartMachine.TestCase
TestStarting.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), stateful_step_count=25, deadline=None
)
