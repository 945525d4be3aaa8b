"""An id that is of another kind: what is looked up, how long that may take, and what the hint says."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.clock import Clock
from autonoma_ci.engine import misplaced_ids
from autonoma_ci.engine.misplaced_ids import MAX_IDS, name_misplaced
from autonoma_ci.engine.run_table import Board
from autonoma_ci.engine.workers import Interrupt
from autonoma_ci.models import Kind, Outcome, Reason, RunRequest, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.engine.workers import Events

HINT = "Check the id."


class Account:
    """Answers from a table; anything else is not there."""

    def __init__(self, names: Mapping[tuple[Kind, str], str], act: Callable[[], object] = lambda: None) -> None:
        self.names, self._act = names, act
        self.calls: list[tuple[Kind, str]] = []

    def name_of(self, kind: Kind, request: RunRequest) -> str | None:
        self.calls.append((kind, request.id))
        self._act()
        return self.names.get((kind, request.id))


def missing(kind: Kind, name: str) -> Outcome:
    return Outcome(RunRequest(kind, name), State.NOT_STARTED, Reason.NOT_FOUND, hint=HINT, status=404, tries=1)


def look_up(account: Account, *runs: Outcome, events: Events | None = None) -> list[str]:
    """Return the hints of the runs."""
    board = Board(runs, 0.0)
    places = range(len(runs))
    name_misplaced(board, places, account, events or queue.SimpleQueue(), Clock(), lambda _, kind: f"use {kind}-ids")
    return [run.hint for run in board.outcomes]


@pytest.mark.parametrize(
    ("given", "really"),
    [(Kind.TEST, Kind.FOLDER), (Kind.FOLDER, Kind.TEST), (Kind.TAG, Kind.FOLDER), (Kind.TAG, Kind.TEST)],
)
def test_id_of_another_kind_is_named(given: Kind, really: Kind) -> None:
    found = look_up(Account({(really, "a"): "listings"}), missing(given, "a"), missing(given, "b"))
    assert found == [f"a is the {really} listings: use {really}-ids.", HINT]


def test_nameless_entry_is_named_by_its_kind() -> None:
    found = look_up(Account({(Kind.FOLDER, "a"): ""}), missing(Kind.TEST, "a"))
    assert found == ["a is a folder of the account: use folder-ids."]


def test_only_ids_that_the_api_does_not_know_are_looked_up() -> None:
    """Each id once, however many runs it has."""
    account = Account({(Kind.FOLDER, "a"): "x"})
    others = [
        missing(Kind.TEST, "b")._replace(state=State.STARTED, reason=Reason.OK),
        missing(Kind.TEST, "c")._replace(reason=Reason.API),
        missing(Kind.TEST, "d")._replace(state=State.UNKNOWN),
    ]
    found = look_up(account, missing(Kind.TEST, "a"), missing(Kind.TEST, "a"), *others)
    assert account.calls == [(Kind.FOLDER, "a")]
    assert found[0] == found[1] == "a is the folder x: use folder-ids."
    assert set(found[2:]) == {HINT}


def test_many_ids_are_looked_up_in_part() -> None:
    account = Account({(Kind.FOLDER, f"t{number}"): "x" for number in range(50)})
    found = look_up(account, *(missing(Kind.TEST, f"t{number}") for number in range(50)))
    assert len(account.calls) == MAX_IDS
    assert [hint != HINT for hint in found] == [True] * MAX_IDS + [False] * 30


def test_error_of_a_request_changes_nothing() -> None:
    def fail() -> None:
        raise OSError("no")

    assert look_up(Account({}, fail), *(missing(Kind.TEST, f"t{number}") for number in range(9))) == [HINT] * 9


def test_threads_that_can_not_be_made_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_work: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(misplaced_ids, "start_thread", fail)
    assert look_up(Account({(Kind.FOLDER, "a"): "x"}), missing(Kind.TEST, "a")) == [HINT]


@pytest.mark.parametrize("ends", ["time", "signal"])
def test_server_that_hangs_is_left_behind(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit or a signal ends it; what is known by then is kept, and nothing more is sent."""
    released = threading.Event()
    events: Events = queue.SimpleQueue()
    account = Account({(Kind.FOLDER, f"t{number}"): "x" for number in range(20)}, released.wait)
    if ends == "time":
        monkeypatch.setattr(misplaced_ids, "MAX_SECONDS", 0.05)
    else:
        events.put(Interrupt(15))
    try:
        found = look_up(account, *(missing(Kind.TEST, f"t{number}") for number in range(20)), events=events)
        assert found == [HINT] * 20
        assert len(account.calls) <= 4
    finally:
        released.set()
