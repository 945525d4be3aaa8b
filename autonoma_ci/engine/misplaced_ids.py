"""Detect ids of another kind, such as folder ids among the tests.

The API responds with HTTP 404 to such an id. The suggestion for the user then names the right option.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from autonoma_ci.engine.workers import LookupFinished, SignalReceived
from autonoma_ci.models import ExitReason, RunState, TargetKind
from autonoma_ci.net.threads import start_thread
from autonoma_ci.startup import NamedTuple

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
# The other kinds to look up for an id. The API has no request for one tag.
_OTHER_KINDS: Mapping[TargetKind, tuple[TargetKind, ...]] = {
    TargetKind.TEST: (TargetKind.FOLDER,),
    TargetKind.FOLDER: (TargetKind.TEST,),
    TargetKind.TAG: (TargetKind.FOLDER, TargetKind.TEST),
}


class NameApi(Protocol):
    """Looks up names in the account.

    Its methods never raise an error of a server or a network.
    """

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        """Return the name of an id of this kind, or None."""


class _IdMatch(NamedTuple):
    """The kind and the name that the account has for an id."""

    kind: TargetKind
    # Empty if the target has no name.
    name: str


def explain_misplaced_ids(
    run_table: RunTable,
    indexes: Iterable[int],
    api: NameApi,
    events: Events,
    clock: Clock,
    suggest_place: Callable[[RunRequest, TargetKind], str],
) -> None:
    """Suggest the right option for ids of another kind.

    Without a usable response nothing changes. A signal ends the lookup.

    Args:
        run_table: The runs, all of which have ended.
        indexes: The indexes of the runs that this job step started.
        api: Sends the requests.
        events: The queue that receives the signals.
        clock: Limits the time to MAX_SECONDS.
        suggest_place: Returns the option or key where an id of this kind belongs.

    """
    indexes_by_id: dict[tuple[TargetKind, str], list[int]] = {}
    for index in indexes:
        run = run_table.results[index]
        if run.state is RunState.NOT_STARTED and run.reason is ExitReason.NOT_FOUND:
            indexes_by_id.setdefault((run.request.kind, run.request.id), []).append(index)
    if not indexes_by_id:
        return
    requests = [run_table.results[same_id[0]].request for same_id in indexes_by_id.values()]
    lookup = _IdLookup(requests[:MAX_IDS], api, events)
    lookup.run(clock)
    for request, match in lookup.results():
        description = f"the {match.kind} {match.name}" if match.name else f"a {match.kind} of the account"
        suggestion = f"{request.id} is the id of {description}. {suggest_place(request, match.kind)}."
        for index in indexes_by_id[request.kind, request.id]:
            run_table.set_suggestion(index, suggestion)


class _IdLookup:
    """Looks up ids in a few threads."""

    def __init__(self, requests: list[RunRequest], api: NameApi, events: Events) -> None:
        self._api, self._events = api, events
        self._tasks: queue.SimpleQueue[RunRequest] = queue.SimpleQueue()
        for request in requests:
            self._tasks.put(request)
        self._thread_count = min(_MAX_THREADS, len(requests))
        self._matches: queue.SimpleQueue[tuple[RunRequest, _IdMatch]] = queue.SimpleQueue()
        self._has_ended = False

    def run(self, clock: Clock) -> None:
        """Wait for the lookups, a signal, or the end of the time."""
        running_count = 0
        # If no thread can start, we look up fewer ids or none.
        with suppress(RuntimeError, MemoryError):
            while running_count < self._thread_count:
                start_thread(self._run_tasks)
                running_count += 1
        deadline = clock.monotonic() + MAX_SECONDS
        while running_count and clock.monotonic() < deadline:
            event = clock.wait_for_event(self._events, deadline - clock.monotonic())
            if isinstance(event, SignalReceived):
                break
            running_count -= isinstance(event, LookupFinished)
        self._has_ended = True

    def results(self) -> list[tuple[RunRequest, _IdMatch]]:
        """Return the matches that are known by now."""
        return [self._matches.get() for _ in range(self._matches.qsize())]

    def _run_tasks(self) -> None:
        # An empty queue ends the thread, and so does any error.
        with suppress(Exception):
            while not self._has_ended:
                self._identify(self._tasks.get_nowait())
        self._events.put(LookupFinished())

    def _identify(self, request: RunRequest) -> None:
        for kind in _OTHER_KINDS[request.kind]:
            name = None if self._has_ended else self._api.fetch_name(kind, request)
            if name is not None:
                self._matches.put((request, _IdMatch(kind, name)))
                return
