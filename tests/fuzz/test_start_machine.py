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
from tests.fuzz.stepping import Came, Stepping, answer

# A request that was refused, or never left, did not start a run; after anything else it may have.
REFUSED: list[Came] = [
    *(answer(status, b'{"error": "No"}') for status in (400, 401, 402, 403, 404, 405, 410, 422, 429)),
    answer(429, headers={"Retry-After": "7"}),
    answer(429, headers={"Retry-After": "9999"}),
    RequestNotSentError("refused", retryable=True),
    RequestNotSentError("no such host", retryable=False),
]
OPEN: list[Came] = [
    *(answer(status, b"oh no") for status in (200, 204, 303, 308, 408, 409, 425, 499, 500, 502, 503, 504)),
    answer(503, headers={"Retry-After": "1"}),
    HttpResponse(200, {}, b'{"run_id": "cut', is_complete=False),
    ResponseLostError("reset"),
    ResponseLostError("too late", timed_out=True),
]
POLICIES = st.tuples(st.integers(1, 3), st.booleans()).map(lambda drawn: StartPolicy(*drawn))

# What ends most of it at once is rare, so that something happens before.
SIX = 6
DICE = st.integers(1, SIX)


class Starting(RuleBasedStateMachine):
    """A plan of a few runs, and an API that says what it likes when it likes."""

    @initialize(runs=st.integers(1, 4), policy=POLICIES)
    def begin(self, runs: int, policy: StartPolicy) -> None:
        self.may_have_arrived: set[int] = set()
        self.started: dict[int, str] = {}
        self.interrupted = False
        outcomes = [RunResult(RunRequest(TargetKind.TEST, f"t{place}")) for place in range(runs)]
        self.job = Stepping(outcomes, policy, None, self.sent)
        self.policy = policy

    def sent(self, position: int) -> None:
        """Note a POST, which may have arrived until it is known that it has not."""
        assert position not in self.may_have_arrived, "a POST that may have arrived was sent again"
        self.may_have_arrived.add(position)
        assert not self.interrupted, "a POST was sent after the signal"

    def can_answer(self) -> bool:
        return self.job.running and bool(self.job.under_way)

    @precondition(can_answer)
    @rule(data=st.data(), came=st.sampled_from(REFUSED))
    def refuse(self, data: st.DataObject, came: Came) -> None:
        request = data.draw(st.sampled_from(self.job.under_way))
        self.may_have_arrived.discard(request.plan_index)
        self.job.answer(request, came)

    @precondition(can_answer)
    @rule(data=st.data(), came=st.sampled_from(OPEN))
    def say_nothing_of_use(self, data: st.DataObject, came: Came) -> None:
        self.job.answer(data.draw(st.sampled_from(self.job.under_way)), came)

    @precondition(can_answer)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.job.under_way))
        run_id = f"run-{request.plan_index}"
        self.started[request.plan_index] = run_id
        self.job.answer(request, answer(200, json.dumps({"run_id": run_id}).encode()))

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
    def every_started_run_is_known(self) -> None:
        for position, run_id in self.started.items():
            run = self.job.board.results[position]
            assert (run.state, run.run_id) == (RunState.STARTED, run_id)

    @invariant()
    def what_may_have_arrived_is_never_called_not_started(self) -> None:
        for position in self.may_have_arrived:
            assert self.job.board.results[position].state is not RunState.NOT_STARTED

    def teardown(self) -> None:
        if not hasattr(self, "job"):
            return
        begun, runs = self.job.time, self.job.board.results
        # Now nothing comes any more: each request is overdue at last, and those that had to wait for it too.
        self.job.pass_time(1000.0)
        limit = (
            self.policy.shutdown_grace
            if self.interrupted
            else len(runs) * (self.policy.hung_after + 1) + self.policy.give_up_after
        )
        assert self.job.time - begun <= limit + 1, "it did not end in time"
        self.every_started_run_is_known()
        self.what_may_have_arrived_is_never_called_not_started()
        assert {run.state for run in runs} <= {RunState.STARTED, RunState.UNKNOWN, RunState.NOT_STARTED}
        verdict = compute_verdict(runs, self.job.engine.signal_number)
        assert (verdict.exit_code == 0) == (not self.interrupted and len(self.started) == len(runs))


TestStarting = Starting.TestCase
TestStarting.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), stateful_step_count=25, deadline=None
)
