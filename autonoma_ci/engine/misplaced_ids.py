"""Find out whether an id that the API does not know is of another kind, such as a folder among the tests."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.engine.workers import LookupFinished, SignalReceived
from autonoma_ci.models import ExitReason, RunState, TargetKind
from autonoma_ci.net.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import Events
    from autonoma_ci.models import RunRequest

# The requests cost nothing, but the job waits for them.
MAX_IDS = 20
MAX_SECONDS = 5.0
_MAX_THREADS = 4
# The kinds that an id may be of instead. The API has no request for one tag.
_OTHER_KINDS: Mapping[TargetKind, tuple[TargetKind, ...]] = {
    TargetKind.TEST: (TargetKind.FOLDER,),
    TargetKind.FOLDER: (TargetKind.TEST,),
    TargetKind.TAG: (TargetKind.FOLDER, TargetKind.TEST),
}


class NameApi(Protocol):
    """Knows the account's names; never raises for what a server or a network does."""

    def name_of(self, kind: TargetKind, request: RunRequest) -> str | None:
        """Return the account's name for the request's id as one of this kind; None if it has no such id."""


class _Found(NamedTuple):
    """What an id is: its kind, and its name or an empty text."""

    kind: TargetKind
    name: str


def explain_misplaced_ids(
    board: RunTable,
    places: Iterable[int],
    api: NameApi,
    events: Events,
    clock: Clock,
    advice: Callable[[RunRequest, TargetKind], str],
) -> None:
    """Look up the ids that the API does not know, and put what they are into the hints of their runs.

    Without a usable response nothing changes. A signal ends it.

    Args:
        board: The runs, each of which has its end.
        places: The places of the runs that were started now.
        api: Sends the requests.
        events: Gets the signals.
        clock: Limits the time.
        advice: Returns where an id belongs that is of this kind instead.
    """
    missing: dict[tuple[TargetKind, str], list[int]] = {}
    for index in places:
        run = board.results[index]
        if run.state is RunState.NOT_STARTED and run.reason is ExitReason.NOT_FOUND:
            missing.setdefault((run.request.kind, run.request.id), []).append(index)
    if not missing:
        return
    requests = [board.results[indexes[0]].request for indexes in missing.values()]
    search = _Search(requests[:MAX_IDS], api, events)
    search.run(clock)
    for request, found in search.results():
        is_what = f"the {found.kind} {found.name}" if found.name else f"a {found.kind} of the account"
        hint = f"{request.id} is {is_what}: {advice(request, found.kind)}."
        for index in missing[request.kind, request.id]:
            board.set_suggestion(index, hint)


class _Search:
    """The requests for some ids, several at a time."""

    def __init__(self, requests: list[RunRequest], api: NameApi, events: Events) -> None:
        self._api, self._events = api, events
        self._tasks: queue.SimpleQueue[RunRequest] = queue.SimpleQueue()
        for request in requests:
            self._tasks.put(request)
        self._threads = min(_MAX_THREADS, len(requests))
        self._found: queue.SimpleQueue[tuple[RunRequest, _Found]] = queue.SimpleQueue()
        self._has_ended = False

    def run(self, clock: Clock) -> None:
        """Return when all ids were looked up, the time is over, or a signal came."""
        running = 0
        # Where no thread can be made, fewer ids or none are looked up.
        with suppress(RuntimeError, MemoryError):
            while running < self._threads:
                start_thread(self._work)
                running += 1
        limit = clock.monotonic() + MAX_SECONDS
        while running and clock.monotonic() < limit:
            event = clock.wait_for_event(self._events, limit - clock.monotonic())
            if isinstance(event, SignalReceived):
                break
            running -= isinstance(event, LookupFinished)
        self._has_ended = True

    def results(self) -> list[tuple[RunRequest, _Found]]:
        """Return what is known by now."""
        return [self._found.get() for _ in range(self._found.qsize())]

    def _work(self) -> None:
        # An empty queue ends it, and so does any error.
        with suppress(Exception):
            while not self._has_ended:
                self._identify(self._tasks.get_nowait())
        self._events.put(LookupFinished())

    def _identify(self, request: RunRequest) -> None:
        for kind in _OTHER_KINDS[request.kind]:
            name = None if self._has_ended else self._api.name_of(kind, request)
            if name is not None:
                self._found.put((request, _Found(kind, name)))
                return
