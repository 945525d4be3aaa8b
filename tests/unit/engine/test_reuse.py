"""Tests of the confirmation of earlier passes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import PollResult, PollStatus
from autonoma_ci.engine.reuse import PassConfirmer
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.updates import CredentialsRejected, PassRejected, RunEnded
from autonoma_ci.engine.workers import StatusReceived
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, ScriptedWorkers
from tests.support.updates import assert_updates

if TYPE_CHECKING:
    from collections.abc import Mapping

LINK = "https://autonoma.app/run/"
PASSED = PollResult(PollStatus.PASSED, "passed", http_status=200)


class SilentWorkers(ScriptedWorkers):
    """Workers that record each poll and send no response."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, {})
        self.requests: list[tuple[int, str, str, int]] = []

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        self.requests.append((index, request.id, run_id, request_number))

    @property
    def polled_indexes(self) -> list[int]:
        """The indexes of the polled runs."""
        return [index for index, *_ in self.requests]


class ConfirmerDriver:
    """A confirmer with its fake clock, silent workers and updates."""

    def __init__(self, candidates: Mapping[int, str], kinds: Mapping[int, TargetKind] | None = None) -> None:
        self.clock = FakeClock()
        self.workers = SilentWorkers(self.clock)
        kinds = kinds or {}
        requests = [RunRequest(kinds.get(index, TargetKind.TEST), f"t{index}") for index in range(20)]
        self.table = RunTable(map(RunResult, requests), self.clock.time)
        self.confirmer = PassConfirmer(self.table, self.clock, candidates)
        self.updates = self.confirmer.claim_candidates()

    def dispatch(self) -> None:
        self.updates += self.confirmer.dispatch(self.workers)

    def respond(self, index: int, run_id: str, result: PollResult = PASSED) -> None:
        self.updates += self.confirmer.handle_status(StatusReceived(index, run_id, result, 0))


def make_candidates(count: int) -> dict[int, str]:
    return {index: f"r{index}" for index in range(count)}


def test_each_candidate_is_polled_once() -> None:
    """Each run that passed earlier is polled once with its id."""
    driver = ConfirmerDriver({4: "r4", 1: "r1"})
    driver.dispatch()
    driver.dispatch()
    assert driver.workers.requests == [(4, "t4", "r4", 0), (1, "t1", "r1", 0)]
    assert driver.updates == []


def test_passed_candidate_is_reused() -> None:
    """A run with the status passed is stored as reused, with its link."""
    driver = ConfirmerDriver({2: "r2"})
    driver.dispatch()
    driver.respond(2, "r2", PASSED._replace(url=f"{LINK}r2"))
    assert_updates(driver.updates, [RunEnded(2)])
    run = driver.table.results[2]
    assert (run.state, run.reason, run.run_id, run.url) == (RunState.PASSED, ExitReason.OK, "r2", f"{LINK}r2")
    assert run.reused
    assert not any(other_run.reused for other_run in driver.table.results if other_run is not run)


@pytest.mark.parametrize("status", [status for status in PollStatus if status is not PollStatus.PASSED])
def test_other_status_rejects_candidate(status: PollStatus) -> None:
    """A run with any other status is started again."""
    driver = ConfirmerDriver({2: "r2"})
    driver.dispatch()
    driver.respond(2, "r2", PollResult(status))
    expected = [CredentialsRejected()] if status is PollStatus.UNAUTHORIZED else []
    assert_updates(driver.updates, [*expected, PassRejected(2)])
    assert driver.table.results[2].state is RunState.PLANNED
    assert not driver.confirmer.is_busy


def test_shared_run_id_is_polled_once() -> None:
    """A run id that two tests have confirms only the first one."""
    driver = ConfirmerDriver({0: "r", 1: "r"})
    assert_updates(driver.updates, [PassRejected(1)])
    driver.dispatch()
    assert driver.workers.polled_indexes == [0]


def test_kinds_can_share_run_id() -> None:
    """A test and a folder with one run id are two runs."""
    driver = ConfirmerDriver({0: "r", 1: "r"}, {1: TargetKind.FOLDER})
    driver.dispatch()
    assert (driver.updates, driver.workers.polled_indexes) == ([], [0, 1])


def test_candidate_id_is_claimed() -> None:
    """A start response with the id of a candidate started no new run."""
    driver = ConfirmerDriver({0: "r0"})
    assert not driver.table.claim_start(TargetKind.TEST, "r0", f"{LINK}r0")
    assert driver.table.claim_start(TargetKind.TEST, "r1", f"{LINK}r1")


@pytest.mark.parametrize("count", [1, 8, 9, 20])
def test_concurrent_polls_are_limited(count: int) -> None:
    """At most eight polls are in flight."""
    driver = ConfirmerDriver(make_candidates(count))
    driver.dispatch()
    assert driver.workers.polled_indexes == list(range(min(count, 8)))


@pytest.mark.parametrize("status", [PollStatus.PASSED, PollStatus.FAILED])
def test_next_poll_is_sent_after_response(status: PollStatus) -> None:
    """The next poll is sent after a response, whatever its status is."""
    driver = ConfirmerDriver(make_candidates(12))
    driver.dispatch()
    driver.respond(3, "r3", PollResult(status))
    driver.dispatch()
    assert driver.workers.polled_indexes == list(range(9))


@pytest.mark.parametrize(
    ("index", "run_id", "is_awaited"), [(0, "r0", True), (0, "r1", False), (1, "r0", False), (5, "r5", False)]
)
def test_confirmer_awaits_its_own_polls(index: int, run_id: str, is_awaited: bool) -> None:
    """Only a response with the index and the id of a candidate is awaited."""
    driver = ConfirmerDriver({0: "r0", 1: "r1"})
    driver.dispatch()
    assert driver.confirmer.awaits(StatusReceived(index, run_id, PASSED, 0)) is is_awaited


def test_answered_poll_is_not_awaited() -> None:
    """A second response to a poll belongs to no candidate."""
    driver = ConfirmerDriver({0: "r0", 1: "r1"})
    driver.dispatch()
    driver.respond(0, "r0")
    assert not driver.confirmer.awaits(StatusReceived(0, "r0", PASSED, 0))
    assert driver.confirmer.is_busy
    driver.respond(1, "r1")
    assert not driver.confirmer.is_busy


def test_hung_poll_rejects_candidate() -> None:
    """A poll without a response for 45 seconds rejects its run."""
    driver = ConfirmerDriver({0: "r0", 1: "r1"})
    driver.dispatch()
    driver.clock.time += 44.9
    driver.dispatch()
    assert driver.updates == []
    driver.clock.time += 0.2
    driver.dispatch()
    assert_updates(driver.updates, [PassRejected(0), PassRejected(1)])
    assert not driver.confirmer.awaits(StatusReceived(0, "r0", PASSED, 0))
    assert not driver.confirmer.is_busy


def test_other_polls_are_sent_after_hung_polls() -> None:
    """Hung polls do not block the other candidates."""
    driver = ConfirmerDriver(make_candidates(10))
    driver.dispatch()
    driver.clock.time += 45.0
    driver.dispatch()
    driver.dispatch()
    assert driver.workers.polled_indexes == list(range(10))
    assert_updates(driver.updates, [PassRejected(index) for index in range(8)])


def test_next_action_is_end_of_oldest_poll() -> None:
    """The next action is due 45 seconds after the oldest poll in flight."""
    driver = ConfirmerDriver(make_candidates(9))
    assert driver.confirmer.next_action_at() == inf
    started_at = driver.clock.time
    driver.dispatch()
    driver.clock.time += 10.0
    driver.respond(0, "r0")
    driver.dispatch()
    assert driver.confirmer.next_action_at() == started_at + 45.0
    for index in range(1, 8):
        driver.respond(index, f"r{index}")
    assert driver.confirmer.next_action_at() == started_at + 55.0


def test_cancel_rejects_all_candidates() -> None:
    """A cancelled confirmation rejects its runs and sends no further poll."""
    driver = ConfirmerDriver(make_candidates(10))
    driver.dispatch()
    driver.respond(0, "r0")
    assert_updates(driver.confirmer.cancel(), [PassRejected(index) for index in range(1, 10)])
    assert_updates(driver.updates, [RunEnded(0)])
    assert not driver.confirmer.is_busy
    driver.dispatch()
    assert len(driver.workers.requests) == 8


def test_confirmer_without_candidates_is_idle() -> None:
    """Without candidates there is nothing to poll or to await."""
    driver = ConfirmerDriver({})
    driver.dispatch()
    assert driver.confirmer.cancel() == []
    assert (driver.updates, driver.workers.requests) == ([], [])
    assert not driver.confirmer.is_busy
