"""What the engine does after each kind of update."""

from __future__ import annotations

import queue

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.engine.updates import (
    CredentialsRejected,
    DetailsSettled,
    PassRejected,
    RunEnded,
    StartSettled,
    WarningIssued,
)
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind
from tests.support.fake_clock import FakeClock, RecordingListener

PLANNED, STARTED, FAILED, EARLIER_PASS = (
    RunResult(RunRequest(TargetKind.TEST, "planned", retries=1)),
    RunResult(RunRequest(TargetKind.TEST, "started", retries=1), RunState.STARTED, run_id="r1"),
    RunResult(RunRequest(TargetKind.TEST, "failed", retries=1), RunState.FAILED, run_id="r2"),
    RunResult(RunRequest(TargetKind.TEST, "earlier-pass", retries=1)),
)


class EngineDriver:
    """An engine with four runs and a retry for each."""

    def __init__(self) -> None:
        clock, self.listener = FakeClock(), RecordingListener()
        self.table = RunTable([PLANNED, STARTED, FAILED, EARLIER_PASS], clock.time)
        self.engine = Engine(
            self.table,
            StartPolicy(),
            clock,
            queue.SimpleQueue(),
            self.listener,
            poll_policy=PollPolicy(),
            passed_runs={3: "r3"},
        )
        self.engine._apply(self.engine._pass_confirmer.claim_candidates())

    @property
    def queued_indexes(self) -> list[int]:
        """The runs whose start requests wait to be sent."""
        return list(self.engine._starter._queue)


def test_started_run_is_reported_and_polled() -> None:
    """A run that has started is polled from then on."""
    driver = EngineDriver()
    driver.engine._apply([StartSettled(1)])
    assert driver.listener.changed_runs == [STARTED]
    assert driver.engine._poller
    assert list(driver.engine._poller._open_runs) == [1]


def test_run_without_id_ends_after_start() -> None:
    """The updates of the next stage follow the update that caused them."""
    driver = EngineDriver()
    driver.table.finish_start(1, StartResult(StartStatus.STARTED, url="https://autonoma.app/page"), "", 1.0)
    driver.engine._apply([StartSettled(1), WarningIssued("later")])
    assert [run.state for run in driver.listener.changed_runs] == [RunState.STARTED, RunState.UNKNOWN]
    assert driver.listener.warnings == ["later"]


def test_failed_run_is_reported_and_queued() -> None:
    """The failure is reported before the retry is queued."""
    driver = EngineDriver()
    driver.engine._apply([RunEnded(2)])
    assert driver.listener.changed_runs == [FAILED._replace(message="retrying, attempt 2")]
    assert driver.queued_indexes == [0, 2]


def test_rejected_pass_is_queued() -> None:
    """An earlier pass that is not confirmed is started."""
    driver = EngineDriver()
    assert driver.queued_indexes == [0]
    driver.engine._apply([PassRejected(3)])
    assert driver.queued_indexes == [0, 3]
    assert driver.listener.changed_runs == []


def test_rejected_credentials_stop_all_starts() -> None:
    """Pending runs and runs that are added later are not started."""
    driver = EngineDriver()
    driver.engine._apply([CredentialsRejected(), PassRejected(3)])
    assert driver.listener.changed_ids == ["planned", "earlier-pass"]
    assert {(run.state, run.reason) for run in driver.listener.changed_runs} == {
        (RunState.NOT_STARTED, ExitReason.UNAUTHORIZED)
    }


def test_settled_details_are_reported() -> None:
    """A run is reported as it is with its details, also if a retry replaced it in the table."""
    driver = EngineDriver()
    driver.engine._apply([DetailsSettled(FAILED._replace(title="Checkout"))])
    assert driver.listener.changed_runs == [FAILED._replace(title="Checkout")]


def test_warning_is_passed_on() -> None:
    """The listener receives the text of a warning."""
    driver = EngineDriver()
    driver.engine._apply([WarningIssued("the API says 'zzz'")])
    assert driver.listener.warnings == ["the API says 'zzz'"]
