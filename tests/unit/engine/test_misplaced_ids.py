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

    def __init__(
        self, names: Mapping[tuple[TargetKind, str], str], on_call: Callable[[], object] = lambda: None
    ) -> None:
        self.names, self._on_call = names, on_call
        self.calls: list[tuple[TargetKind, str]] = []

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        self.calls.append((kind, request.id))
        self._on_call()
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
    indexes = range(len(runs))
    explain_misplaced_ids(
        run_table, indexes, account, events or queue.SimpleQueue(), Clock(), lambda _, kind: f"Use {kind}-ids"
    )
    return [run.suggestion for run in run_table.results]


@pytest.mark.parametrize(
    ("given_kind", "actual_kind"),
    [
        (TargetKind.TEST, TargetKind.FOLDER),
        (TargetKind.FOLDER, TargetKind.TEST),
        (TargetKind.TAG, TargetKind.FOLDER),
        (TargetKind.TAG, TargetKind.TEST),
    ],
)
def test_misplaced_id_names_its_kind(given_kind: TargetKind, actual_kind: TargetKind) -> None:
    """The hint for a misplaced id names its kind and the right option."""
    hints = get_hints(
        FakeAccount({(actual_kind, "a"): "listings"}),
        make_missing_run(given_kind, "a"),
        make_missing_run(given_kind, "b"),
    )
    assert hints == [f"a is the id of the {actual_kind} listings. Use {actual_kind}-ids.", HINT]


def test_nameless_entry_shows_its_kind() -> None:
    """The hint describes an entry without a name by its kind."""
    hints = get_hints(FakeAccount({(TargetKind.FOLDER, "a"): ""}), make_missing_run(TargetKind.TEST, "a"))
    assert hints == ["a is the id of a folder of the account. Use folder-ids."]


def test_lookup_only_for_unknown_ids() -> None:
    """Each id that the API does not know is looked up once."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x"})
    other_runs = [
        make_missing_run(TargetKind.TEST, "b")._replace(state=RunState.STARTED, reason=ExitReason.OK),
        make_missing_run(TargetKind.TEST, "c")._replace(reason=ExitReason.API),
        make_missing_run(TargetKind.TEST, "d")._replace(state=RunState.UNKNOWN),
    ]
    hints = get_hints(
        account, make_missing_run(TargetKind.TEST, "a"), make_missing_run(TargetKind.TEST, "a"), *other_runs
    )
    assert account.calls == [(TargetKind.FOLDER, "a")]
    assert hints[0] == hints[1] == "a is the id of the folder x. Use folder-ids."
    assert set(hints[2:]) == {HINT}


@pytest.mark.parametrize("reason", [reason for reason in ExitReason if reason is not ExitReason.NOT_FOUND])
def test_lookup_without_unknown_ids_is_omitted(reason: ExitReason) -> None:
    """Without an id that the API does not know, nothing is looked up."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x"})
    assert get_hints(account, make_missing_run(TargetKind.TEST, "a")._replace(reason=reason)) == [HINT]
    assert account.calls == []


def test_lookup_stops_at_max_ids() -> None:
    """At most `MAX_IDS` ids are looked up."""
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(50)})
    hints = get_hints(account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(50)))
    assert len(account.calls) == MAX_IDS
    assert [hint != HINT for hint in hints] == [True] * MAX_IDS + [False] * 30


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
    assert get_hints(account, make_missing_run(TargetKind.TAG, "a")) == ["a is the id of the folder x. Use folder-ids."]
    assert account.calls == [(TargetKind.FOLDER, "a")]
    account = FakeAccount({})
    assert get_hints(account, make_missing_run(TargetKind.TAG, "a")) == [HINT]
    assert account.calls == [(TargetKind.FOLDER, "a"), (TargetKind.TEST, "a")]


def test_id_of_two_kinds_is_looked_up_twice() -> None:
    """One id among the tests and the folders has a hint for each of them."""
    account = FakeAccount({(TargetKind.FOLDER, "a"): "x", (TargetKind.TEST, "a"): "y"})
    hints = get_hints(account, make_missing_run(TargetKind.TEST, "a"), make_missing_run(TargetKind.FOLDER, "a"))
    assert hints == ["a is the id of the folder x. Use folder-ids.", "a is the id of the test y. Use test-ids."]


def test_unselected_run_is_not_looked_up() -> None:
    """Only the runs with the given indexes are looked up."""
    account = FakeAccount({(TargetKind.FOLDER, name): "x" for name in "ab"})
    table = RunTable([make_missing_run(TargetKind.TEST, name) for name in "ab"], 0.0)
    explain_misplaced_ids(table, [1], account, queue.SimpleQueue(), Clock(), lambda *_: "Use folder-ids")
    assert [run.suggestion for run in table.results] == [HINT, "b is the id of the folder x. Use folder-ids."]
    assert account.calls == [(TargetKind.FOLDER, "b")]


def test_advice_receives_request_and_kind() -> None:
    """The caller's advice depends on the run and the kind of its id."""
    run = make_missing_run(TargetKind.TAG, "a")
    table, advice_calls = RunTable([run], 0.0), list[tuple[RunRequest, TargetKind]]()

    def build_advice(request: RunRequest, kind: TargetKind) -> str:
        advice_calls.append((request, kind))
        return "Move it"

    account = FakeAccount({(TargetKind.TEST, "a"): "y"})
    explain_misplaced_ids(table, [0], account, queue.SimpleQueue(), Clock(), build_advice)
    assert advice_calls == [(run.request, TargetKind.TEST)]
    assert table.results[0] == run._replace(suggestion="a is the id of the test y. Move it.")


def limit_to_one_thread(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[threading.Thread]:
    """Let each thread after the first one fail to start, and return the list of the started ones."""
    threads: list[threading.Thread] = []

    def start_first_thread(work: Callable[[], None]) -> None:
        if threads:
            raise error
        threads.append(threading.Thread(target=work, daemon=True))
        threads[0].start()

    monkeypatch.setattr(misplaced_ids, "start_thread", start_first_thread)
    return threads


@pytest.mark.parametrize("shortage", [RuntimeError("can't start new thread"), MemoryError()])
def test_one_thread_looks_up_all_ids(shortage: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single thread looks up all ids if no further one can be created."""
    limit_to_one_thread(monkeypatch, shortage)
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(9)})
    hints = get_hints(account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(9)))
    assert hints == [f"t{number} is the id of the folder x. Use folder-ids." for number in range(9)]


@pytest.mark.parametrize("end_reason", ["time", "signal"])
def test_matches_before_end_are_used(end_reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that are known at the end are shown, and no further request is sent."""
    threads = limit_to_one_thread(monkeypatch, MemoryError())
    is_hanging, release_event = threading.Event(), threading.Event()
    events: Events = queue.SimpleQueue()

    class HangingAccount(FakeAccount):
        def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
            if request.id == "t2":
                is_hanging.set()
                release_event.wait(60)
            return super().fetch_name(kind, request)

    class HangClock(Clock):
        """Ends the lookup when the third request hangs."""

        def __init__(self) -> None:
            self.time = 0.0
            self.wait_count = 0

        def monotonic(self) -> float:
            return self.time

        def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
            self.wait_count += 1
            assert self.wait_count == 1
            assert is_hanging.wait(60)
            if end_reason == "signal":
                return SignalReceived(15)
            self.time += seconds
            return None

    account = HangingAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(4)})
    runs = [make_missing_run(TargetKind.TEST, f"t{number}") for number in range(4)]
    table = RunTable(runs, 0.0)
    try:
        explain_misplaced_ids(table, range(4), account, events, HangClock(), lambda *_: "Use folder-ids")
        expected = [f"t{number} is the id of the folder x. Use folder-ids." for number in range(2)]
        assert [run.suggestion for run in table.results] == [*expected, HINT, HINT]
    finally:
        release_event.set()
    threads[0].join(60)
    assert [name for _, name in account.calls] == ["t0", "t1", "t2"]


@pytest.mark.parametrize("end_reason", ["time", "signal"])
def test_lookup_of_hung_server_is_abandoned(end_reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit or a signal ends the lookup without further requests."""
    release_event = threading.Event()
    events: Events = queue.SimpleQueue()
    account = FakeAccount({(TargetKind.FOLDER, f"t{number}"): "x" for number in range(20)}, release_event.wait)
    if end_reason == "time":
        monkeypatch.setattr(misplaced_ids, "MAX_SECONDS", 0.05)
    else:
        events.put(SignalReceived(15))
    try:
        hints = get_hints(
            account, *(make_missing_run(TargetKind.TEST, f"t{number}") for number in range(20)), events=events
        )
        assert hints == [HINT] * 20
        assert len(account.calls) <= 4
    finally:
        release_event.set()
