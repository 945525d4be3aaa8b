"""Lookup of ids that belong to another target kind."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.clock import Clock
from autonoma_ci.engine import misplaced_ids
from autonoma_ci.engine.misplaced_ids import MAX_IDS, explain_misplaced_ids
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.models import ExitReason, RunRequest, RunResult, RunState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.engine.workers import Events

HINT = "Check the id."


class FakeAccount:
    """Return names from a table, and None for other ids."""

    def __init__(self, names: Mapping[tuple[TargetKind, str], str], act: Callable[[], object] = lambda: None) -> None:
        self.names, self._act = names, act
        self.calls: list[tuple[TargetKind, str]] = []

    def name_of(self, kind: TargetKind, request: RunRequest) -> str | None:
        self.calls.append((kind, request.id))
        self._act()
        return self.names.get((kind, request.id))


def make_missing_run(kind: TargetKind, name: str) -> RunResult:
    return RunResult(
        RunRequest(kind, name),
        RunState.NOT_STARTED,
        ExitReason.NOT_FOUND,
        suggestion=HINT,
        http_status=404,
        start_requests=1,
    )


def get_hints(account: FakeAccount, *runs: RunResult, events: Events | None = None) -> list[str]:
    """Look up the ids of the runs and return their hints."""
    run_table = RunTable(runs, 0.0)
    places = range(len(runs))
    explain_misplaced_ids(
        run_table, places, account, events or queue.SimpleQueue(), Clock(), lambda _, kind: f"use {kind}-ids"
    )
    return [run.suggestion for run in run_table.results]


@pytest.mark.parametrize(
    ("given", "really"),
    [
        (TargetKind.TEST, TargetKind.FOLDER),
        (TargetKind.FOLDER, TargetKind.TEST),
        (TargetKind.TAG, TargetKind.FOLDER),
        (TargetKind.TAG, TargetKind.TEST),
    ],
)
def test_misplaced_id_names_its_kind(given: TargetKind, really: TargetKind) -> None:
    """The hint for a misplaced id names its kind and the right option."""
    found = get_hints(
        FakeAccount({(really, "a"): "listings"}), make_missing_run(given, "a"), make_missing_run(given, "b")
    )
    assert found == [f"a is the {really} listings: use {really}-ids.", HINT]


def test_nameless_entry_shows_its_kind() -> None:
    """The hint describes an entry without a name by its kind."""
    found = get_hints(FakeAccount({(TargetKind.FOLDER, "a"): ""}), make_missing_run(TargetKind.TEST, "a"))
    assert found == ["a is a folder of the account: use folder-ids."]


def test_lookup_only_for_unknown_ids() -> None:
    """Each id that the API does not know is looked up once."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x"})
    others = [
        make_missing_run(TargetKind.TEST, "b")._replace(state=RunState.STARTED, reason=ExitReason.OK),
        make_missing_run(TargetKind.TEST, "c")._replace(reason=ExitReason.API),
        make_missing_run(TargetKind.TEST, "d")._replace(state=RunState.UNKNOWN),
    ]
    found = get_hints(account, make_missing_run(TargetKind.TEST, "a"), make_missing_run(TargetKind.TEST, "a"), *others)
    assert account.calls == [(TargetKind.FOLDER, "a")]
    assert found[0] == found[1] == "a is the folder x: use folder-ids."
    assert set(found[2:]) == {HINT}


@pytest.mark.parametrize("reason", [reason for reason in ExitReason if reason is not ExitReason.NOT_FOUND])
def test_lookup_without_unknown_ids_is_omitted(reason: ExitReason) -> None:
    """Without an id that the API does not know, nothing is looked up."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x"})
    assert get_hints(account, make_missing_run(TargetKind.TEST, "a")._replace(reason=reason)) == [HINT]
    assert account.calls == []


def test_lookup_stops_at_max_ids() -> None:
    """At most `MAX_IDS` ids are looked up."""
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(50)})
    found = get_hints(account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(50)))
    assert len(account.calls) == MAX_IDS
    assert [hint != HINT for hint in found] == [True] * MAX_IDS + [False] * 30


def test_lookup_error_keeps_hint() -> None:
    """A failed lookup keeps the general hint."""

    def fail() -> None:
        raise OSError("no")

    assert (
        get_hints(FakeAccount({}, fail), *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(9)))
        == [HINT] * 9
    )


def test_lookup_without_threads_keeps_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The general hint stays if no thread can be created."""

    def fail(_work: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(misplaced_ids, "start_thread", fail)
    assert get_hints(FakeAccount({(TargetKind.FOLDER, "a"): "x"}), make_missing_run(TargetKind.TEST, "a")) == [HINT]


def test_tag_id_is_first_sought_as_folder() -> None:
    """A tag id is looked up as a folder and then as a test, until the first match."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x", (TargetKind.TEST, "a"): "y"})
    assert get_hints(account, make_missing_run(TargetKind.TAG, "a")) == ["a is the folder x: use folder-ids."]
    assert account.calls == [(TargetKind.FOLDER, "a")]
    account = FakeAccount({})
    assert get_hints(account, make_missing_run(TargetKind.TAG, "a")) == [HINT]
    assert account.calls == [(TargetKind.FOLDER, "a"), (TargetKind.TEST, "a")]


def test_id_of_two_kinds_is_looked_up_twice() -> None:
    """One id among the tests and the folders has a hint for each of them."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x", (TargetKind.TEST, "a"): "y"})
    found = get_hints(account, make_missing_run(TargetKind.TEST, "a"), make_missing_run(TargetKind.FOLDER, "a"))
    assert found == ["a is the folder x: use folder-ids.", "a is the test y: use test-ids."]


def test_unselected_run_is_not_looked_up() -> None:
    """Only the runs with the given indexes are looked up."""
    account = FakeAccount({(TargetKind.FOLDER, name): "x" for name in "ab"})
    table = RunTable([make_missing_run(TargetKind.TEST, name) for name in "ab"], 0.0)
    explain_misplaced_ids(table, [1], account, queue.SimpleQueue(), Clock(), lambda *_: "use folder-ids")
    assert [run.suggestion for run in table.results] == [HINT, "b is the folder x: use folder-ids."]
    assert account.calls == [(TargetKind.FOLDER, "b")]


def test_advice_receives_request_and_kind() -> None:
    """The caller's advice depends on the run and the kind of its id."""
    run = make_missing_run(TargetKind.TAG, "a")
    table, received = RunTable([run], 0.0), list[tuple[RunRequest, TargetKind]]()

    def advise(request: RunRequest, kind: TargetKind) -> str:
        received.append((request, kind))
        return "move it"

    account = FakeAccount({(TargetKind.TEST, "a"): "y"})
    explain_misplaced_ids(table, [0], account, queue.SimpleQueue(), Clock(), advise)
    assert received == [(run.request, TargetKind.TEST)]
    assert table.results[0] == run._replace(suggestion="a is the test y: move it.")


def allow_one_thread(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[threading.Thread]:
    """Let each thread after the first one fail to start, and return the list of the started ones."""
    threads: list[threading.Thread] = []

    def start_once(work: Callable[[], None]) -> None:
        if threads:
            raise error
        threads.append(threading.Thread(target=work, daemon=True))
        threads[0].start()

    monkeypatch.setattr(misplaced_ids, "start_thread", start_once)
    return threads


@pytest.mark.parametrize("shortage", [RuntimeError("can't start new thread"), MemoryError()])
def test_one_thread_looks_up_all_ids(shortage: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single thread looks up all ids if no further one can be created."""
    allow_one_thread(monkeypatch, shortage)
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(9)})
    found = get_hints(account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(9)))
    assert found == [f"t{number} is the folder x: use folder-ids." for number in range(9)]


@pytest.mark.parametrize("ends", ["time", "signal"])
def test_matches_before_end_are_used(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that are known at the end are shown, and no further request is sent."""
    threads = allow_one_thread(monkeypatch, MemoryError())
    hangs, released = threading.Event(), threading.Event()
    events: Events = queue.SimpleQueue()

    class HangingAccount(FakeAccount):
        def name_of(self, kind: TargetKind, request: RunRequest) -> str | None:
            if request.id == "t2":
                hangs.set()
                released.wait(60)
            return super().name_of(kind, request)

    class EndingClock(Clock):
        """Ends the lookup when the third request hangs."""

        def __init__(self) -> None:
            self.time = 0.0
            self.waits = 0

        def monotonic(self) -> float:
            return self.time

        def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
            self.waits += 1
            assert self.waits == 1
            assert hangs.wait(60)
            if ends == "signal":
                return SignalReceived(15)
            self.time += seconds
            return None

    account = HangingAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(4)})
    runs = [make_missing_run(TargetKind.TEST, f"t{number}") for number in range(4)]
    table = RunTable(runs, 0.0)
    try:
        explain_misplaced_ids(table, range(4), account, events, EndingClock(), lambda *_: "use folder-ids")
        expected = [f"t{number} is the folder x: use folder-ids." for number in range(2)]
        assert [run.suggestion for run in table.results] == [*expected, HINT, HINT]
    finally:
        released.set()
    threads[0].join(60)
    assert [name for _, name in account.calls] == ["t0", "t1", "t2"]


@pytest.mark.parametrize("ends", ["time", "signal"])
def test_lookup_of_hung_server_is_abandoned(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit or a signal ends the lookup without further requests."""
    released = threading.Event()
    events: Events = queue.SimpleQueue()
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(20)}, released.wait)
    if ends == "time":
        monkeypatch.setattr(misplaced_ids, "MAX_SECONDS", 0.05)
    else:
        events.put(SignalReceived(15))
    try:
        found = get_hints(
            account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(20)), events=events
        )
        assert found == [HINT] * 20
        assert len(account.calls) <= 4
    finally:
        released.set()
