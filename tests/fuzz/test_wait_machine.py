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
from tests.fuzz.stepping import Came, Request, Stepping, answer

ENDS = {"passed": RunState.PASSED, "failed": RunState.FAILED, "cancelled": RunState.STOPPED}
GOING_ON = ["pending", "running", "Running"]
STRANGE = ["", "pass", "PASSED?", "success", "ok"]
TROUBLE: list[Came] = [
    answer(200, b"passed"),
    answer(200, b'["passed"]'),
    answer(200, b'{"status": null, "result": "passed"}'),
    *(answer(status, b'{"status": "passed"}') for status in (201, 302, 404, 429, 500, 503)),
    answer(429, headers={"Retry-After": "30"}),
    ResponseLostError("reset"),
    RequestNotSentError("refused", retryable=True),
]
TIMES = st.tuples(st.sampled_from([1.0, 60.0, 600.0]), st.sampled_from([None, 1.0, 30.0]), st.integers(1, 3)).map(
    lambda drawn: PollPolicy(drawn[0], drawn[1], concurrency=drawn[2])
)
# What comes after the last verdict: asking what the runs did.
EXPLAINED = 21.0

# What ends most of it at once is rare, so that something happens before.
SIX = 6
DICE = st.integers(1, SIX)


class ToBeWaitedFor(RuleBasedStateMachine):
    """A few runs that have started, and an API that says of them what it likes when it likes."""

    @initialize(runs=st.integers(1, 3), waiting=TIMES)
    def begin(self, runs: int, waiting: PollPolicy) -> None:
        self.told: dict[int, RunState] = {}
        self.going_on: set[int] = set()
        self.refused = self.interrupted = False
        outcomes = [
            RunResult(RunRequest(TargetKind.TEST, f"t{place}"), RunState.STARTED, run_id=f"r{place}")
            for place in range(runs)
        ]
        self.waiting = waiting
        self.job = Stepping(outcomes, StartPolicy(), waiting, lambda place: None)
        self.limit = self.job.time + waiting.timeout + waiting.late_response_grace + EXPLAINED

    def questions(self) -> list[Request]:
        return [request for request in self.job.under_way if request.kind is StatusReceived]

    def can_answer(self) -> bool:
        return self.job.running and bool(self.questions())

    def say(self, data: st.DataObject, word: str) -> int:
        request = data.draw(st.sampled_from(self.questions()))
        still = self.job.board.results[request.plan_index].state is RunState.STARTED
        if word in ENDS and still:
            self.told[request.plan_index] = ENDS[word]
        elif word not in ENDS and still:
            self.going_on.add(request.plan_index)
        self.job.answer(request, answer(200, json.dumps({"status": word}).encode()))
        return request.plan_index

    @precondition(can_answer)
    @rule(data=st.data(), word=st.sampled_from([*ENDS]))
    def end(self, data: st.DataObject, word: str) -> None:
        self.say(data, word)

    @precondition(can_answer)
    @rule(data=st.data(), word=st.sampled_from(GOING_ON + STRANGE))
    def go_on(self, data: st.DataObject, word: str) -> None:
        self.say(data, word)

    @precondition(can_answer)
    @rule(data=st.data(), came=st.sampled_from(TROUBLE))
    def be_of_no_use(self, data: st.DataObject, came: Came) -> None:
        self.job.answer(data.draw(st.sampled_from(self.questions())), came)

    @precondition(lambda self: self.can_answer() and not self.refused)
    @rule(data=st.data(), status=st.sampled_from([401, 403]))
    def refuse(self, data: st.DataObject, status: int) -> None:
        self.job.answer(data.draw(st.sampled_from(self.questions())), answer(status, b'{"status": "passed"}'))
        self.refused = True

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 50.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.job.pass_time(seconds)

    @precondition(lambda self: self.job.running)
    @rule(dice=DICE, seconds=st.sampled_from([60.0, 100_000.0]))
    def sleep(self, dice: int, seconds: float) -> None:
        """Let the clock step, as on a machine that was suspended: nothing was asked meanwhile."""
        if dice != SIX:
            return
        self.limit = max(self.limit, self.job.time + seconds + self.waiting.late_response_grace + EXPLAINED)
        self.job.go_on(seconds)

    @precondition(lambda self: self.job.running and not self.interrupted)
    @rule(dice=DICE)
    def interrupt(self, dice: int) -> None:
        if dice == SIX:
            self.interrupted = True
            self.job.interrupt()

    @invariant()
    def what_was_told_first_of_an_end_is_what_is_known(self) -> None:
        for position, run in enumerate(self.job.board.results):
            if position in self.told:
                assert run.state is self.told[position]
            else:
                assert run.state in {RunState.STARTED, RunState.UNKNOWN, RunState.TIMED_OUT}
                assert (run.state is RunState.TIMED_OUT) <= (position in self.going_on)

    def teardown(self) -> None:
        if not hasattr(self, "job"):
            return
        self.job.pass_time(1000.0)
        assert self.job.time <= self.limit + 1, "it did not end in time"
        self.what_was_told_first_of_an_end_is_what_is_known()
        runs = self.job.board.results
        assert self.interrupted or not any(run.state is RunState.STARTED for run in runs)
        verdict = compute_verdict(runs, self.job.engine.signal_number, waits_for_results=True)
        all_passed = [self.told.get(place) for place in range(len(runs))] == [RunState.PASSED] * len(runs)
        assert (verdict.exit_code == 0) == (all_passed and not self.interrupted)


TestWaiting = ToBeWaitedFor.TestCase
TestWaiting.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), stateful_step_count=25, deadline=None
)
