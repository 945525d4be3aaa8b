"""Tests of slow reports in a thread."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.app import publishing
from autonoma_ci.app.publishing import ReportThread
from autonoma_ci.clock import Clock
from autonoma_ci.engine.workers import SignalReceived, StartFinished
from autonoma_ci.errors import Cancelled
from tests.support.fake_clock import FakeClock
from tests.support.thread_limit import ThreadLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.engine.workers import Events


@pytest.fixture
def hanging_task() -> Iterator[Callable[[], bool]]:
    """Return a task that does not end within the test."""
    release_event = threading.Event()
    yield lambda: release_event.wait(60)
    release_event.set()


def make_thread(clock: Clock, *, signalled: bool = False) -> ReportThread:
    return ReportThread(queue.SimpleQueue(), clock, signalled=signalled)


@pytest.mark.parametrize("result", ["written", "", 0, False, None])
def test_report_returns_result_of_task(result: object) -> None:
    """The result of a task is returned, whatever its value is."""
    assert make_thread(Clock()).write(lambda: result) == result


def test_report_runs_in_its_own_thread() -> None:
    """A task does not run in the calling thread."""
    assert make_thread(Clock()).write(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), SystemExit(3), KeyboardInterrupt(), Cancelled(15)])
def test_report_raises_error_of_task(error: BaseException) -> None:
    """An error of a task is raised in the calling thread."""

    def fail() -> NoReturn:
        raise error

    with pytest.raises(type(error)) as error_info:
        make_thread(Clock()).write(fail)
    assert error_info.value is error


@pytest.mark.parametrize("shortage", [RuntimeError("can't start new thread"), MemoryError()])
def test_report_without_thread_is_inline(shortage: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread, result and error are those of the task in the calling thread."""

    def fail(_: object) -> NoReturn:
        raise shortage

    monkeypatch.setattr(publishing, "start_thread", fail)
    reports = make_thread(FakeClock())
    assert reports.write(threading.get_ident) == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        reports.write(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ({}, 65.0),
        ({10.0: StartFinished(1, StartResult(StartStatus.STARTED))}, 65.0),
        ({0.0: SignalReceived(15)}, 1.5),
        ({10.0: SignalReceived(15)}, 11.5),
        ({10.0: SignalReceived(15), 11.0: SignalReceived(2)}, 11.5),
        ({64.5: SignalReceived(15)}, 65.0),
    ],
    ids=["no event", "other event", "signal at once", "signal", "two signals", "late signal"],
)
def test_stuck_report_ends_at_limit(
    events: dict[float, StartFinished | SignalReceived], seconds: float, hanging_task: Callable[[], bool]
) -> None:
    """A report ends after 65 seconds, or 1.5 seconds after the first signal."""
    clock = FakeClock()
    started_at = clock.time
    for at, event in events.items():
        clock.schedule(at, event)
    assert make_thread(clock).write(hanging_task) is None
    assert clock.time - started_at == seconds


def test_report_after_signal_has_short_limit(hanging_task: Callable[[], bool]) -> None:
    """After an earlier signal, all reports together have 1.5 seconds."""
    clock = FakeClock()
    reports = make_thread(clock, signalled=True)
    clock.time += 1.0
    started_at = clock.time
    assert reports.write(hanging_task) is None
    assert clock.time - started_at == 0.5
    assert reports.write(hanging_task) is None
    assert clock.time - started_at == 0.5


def test_each_report_has_its_own_limit(hanging_task: Callable[[], bool]) -> None:
    """Without a signal, a stuck report does not shorten the next one."""
    clock = FakeClock()
    reports = make_thread(clock)
    started_at = clock.time
    assert [reports.write(hanging_task), reports.write(hanging_task)] == [None, None]
    assert clock.time - started_at == 130.0


def test_signal_limits_following_reports(hanging_task: Callable[[], bool]) -> None:
    """A signal within one report limits the next report too."""
    clock = FakeClock()
    reports = make_thread(clock)
    clock.schedule(10.0, SignalReceived(15))
    reports.write(hanging_task)
    ended_at = clock.time
    assert reports.write(hanging_task) is None
    assert clock.time == ended_at


def test_report_without_threads_is_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is written in the calling thread if no other can be created."""
    ThreadLimit(0, monkeypatch)
    report_thread = ReportThread(queue.SimpleQueue(), Clock(), signalled=False)
    thread_id = threading.get_ident()
    assert report_thread.write(threading.get_ident) == thread_id


def test_signal_abandons_slow_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal limits the time of all following reports."""
    monkeypatch.setattr(publishing, "MAX_SECONDS_AFTER_SIGNAL", 0.2)
    events: Events = queue.SimpleQueue()
    hang_event = threading.Event()
    report_thread = ReportThread(events, Clock(), signalled=False)
    with pytest.raises(ZeroDivisionError):
        report_thread.write(lambda: 1 / 0)
    assert report_thread.write(lambda: "written") == "written"
    events.put(StartFinished(1, StartResult(StartStatus.STARTED)))
    events.put(SignalReceived(15))
    assert report_thread.write(lambda: hang_event.wait(60)) is None
    started_at = Clock().monotonic()
    assert report_thread.write(lambda: hang_event.wait(60)) is None
    assert Clock().monotonic() - started_at < 30
    hang_event.set()
