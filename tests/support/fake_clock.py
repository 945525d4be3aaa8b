"""A fake clock, and workers with scripted responses."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.api.models import DownloadResult, RunDetails, StartStatus
from autonoma_ci.clock import Clock
from autonoma_ci.engine.workers import DetailsReceived, FileDownloaded, StartFinished, StatusReceived, UrlsRefreshed

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.api.models import EvidenceFile, PollResult, StartResult
    from autonoma_ci.engine.workers import Event
    from autonoma_ci.models import RunRequest, RunResult

# A loop that requests more events than this never ends.
_MAX_EVENTS = 200_000


class FakeClock(Clock):
    """A clock that advances only during a wait.

    `jitter` returns the same share of every pause.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.time = 1000.0
        self.share = share
        self.swing = 1.0
        self.jittered: list[float] = []
        self._scheduled_events: list[tuple[float, int, Event]] = []
        self._number = count()
        self._wait_count = 0

    def monotonic(self) -> float:
        return self.time

    def utc_iso(self) -> str:
        return "2025-01-07T09:30:00Z"

    def jitter(self, seconds: float) -> float:
        self.jittered.append(seconds)
        return seconds * self.share

    def spread(self, seconds: float) -> float:
        return seconds * self.swing

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def schedule(self, seconds: float, event: Event) -> None:
        """Schedule an event."""
        heapq.heappush(self._scheduled_events, (self.time + seconds, next(self._number), event))

    def count(self, kind: type) -> int:
        """Return the number of pending requests of one kind."""
        return sum(isinstance(event, kind) for _, _, event in self._scheduled_events)

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        self._wait_count += 1
        assert self._wait_count < _MAX_EVENTS, "this never ends"
        deadline = self.time + max(0.0, seconds)
        if not self._scheduled_events or self._scheduled_events[0][0] > deadline:
            self.time = deadline
            return None
        event_time, _, event = heapq.heappop(self._scheduled_events)
        self.time = max(self.time, event_time)
        return event


class Sent(NamedTuple):
    """The time of a request and the index of its run."""

    at: float
    run: int


def _save_file(item: EvidenceFile, _: int) -> DownloadResult:
    return DownloadResult(f"evidence/{item.run_id}/{item.step_number}")


class Run(NamedTuple):
    """One run on the server."""

    # The result of a poll at an age of the run, in seconds.
    poll_result: Callable[[float], PollResult]
    # The time of each response, in seconds.
    delay: float = 0.05
    details: RunDetails = RunDetails(error="HTTP 500")
    # The result of a download, by the file and the number of the attempt.
    download_result: Callable[[EvidenceFile, int], DownloadResult] = _save_file


class ScriptedWorkers:
    """Workers whose responses come from scripts.

    Args:
        clock: the clock that delivers the responses.
        scripts: the start results by index, each with its delay in seconds. The last one repeats.
        runs: the runs that the start requests of an index create, in order. The last one repeats.

    Attributes:
        polls: the polls in order. `sent`, `explained`, `refreshed` and `fetched` have the other requests.
        connecting: the indexes whose start request has no connection yet.

    """

    def __init__(
        self,
        clock: FakeClock,
        scripts: Mapping[int, Sequence[tuple[float, StartResult]]],
        runs: Mapping[int, Sequence[Run]] | None = None,
    ) -> None:
        self._clock = clock
        self._scripts = scripts
        self._runs = runs or {}
        self._created: dict[tuple[int, str], tuple[float, Run]] = {}
        self._polling = 0
        self.sent: list[Sent] = []
        self.polls: list[Sent] = []
        self.explained: list[Sent] = []
        self.refreshed: list[Sent] = []
        self.fetched: list[EvidenceFile] = []
        self.fetches_at_once = 0
        self.at_once = 0
        self.connecting: set[int] = set()
        self.polls_at_once = 0

    def _run(self, index: int, run_id: str) -> tuple[float, Run]:
        """Return the start time of a run, and the run. A new id creates the next run of the index."""
        if (index, run_id) not in self._created:
            runs = self._runs[index]
            number = sum(run_index == index for run_index, _ in self._created)
            self._created[index, run_id] = self._clock.time, runs[min(number, len(runs) - 1)]
        return self._created[index, run_id]

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        """Record the poll, and schedule a response with the status half-way."""
        self.polls.append(Sent(self._clock.time, index))
        created_at, run = self._run(index, run_id)
        status = run.poll_result(self._clock.time + run.delay / 2 - created_at)
        self._clock.schedule(run.delay, StatusReceived(index, run_id, status, request_number))
        self.polls_at_once = max(self.polls_at_once, self._clock.count(StatusReceived))

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Record the request, and schedule the details."""
        self.explained.append(Sent(self._clock.time, index))
        run = self._run(index, run_id)[1]
        details = run.details if media else run.details._replace(media_urls={})
        self._clock.schedule(run.delay, DetailsReceived(index, run_id, details))

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Record the request, and schedule the URLs of the run."""
        self.refreshed.append(Sent(self._clock.time, index))
        run = self._run(index, run_id)[1]
        self._clock.schedule(run.delay, UrlsRefreshed(index, run_id, run.details))

    def download(self, index: int, file: EvidenceFile) -> None:
        """Record the download, and schedule its result."""
        self.fetched.append(file)
        run = self._run(index, file.run_id)[1]
        times = self.fetched.count(file)
        self._clock.schedule(run.delay, FileDownloaded(index, file, run.download_result(file, times)))
        self.fetches_at_once = max(self.fetches_at_once, self._clock.count(FileDownloaded))

    def can_start(self) -> bool:
        """Return True, because threads are unlimited."""
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Record the start request, and schedule its response."""
        earlier_starts = sum(sent.run == index for sent in self.sent)
        self.sent.append(Sent(self._clock.time, index))
        script = self._scripts[index]
        delay, start_result = script[min(earlier_starts, len(script) - 1)]
        if start_result.status is StartStatus.STARTED and self._runs:
            number = sum(run_index == index for run_index, _ in self._created) + 1
            start_result = start_result._replace(run_id=f"run-{index}-{number}")
            self._run(index, start_result.run_id)
        elif start_result.status is StartStatus.STARTED and start_result.run_id == "r":
            # Two runs never have the same id.
            start_result = start_result._replace(run_id=f"r{index}" + f"-{earlier_starts}" * (earlier_starts > 0))
        self._clock.schedule(delay, StartFinished(index, start_result))
        self.at_once = max(self.at_once, self._clock.count(StartFinished))
        return lambda: index in self.connecting

    def times(self, index: int) -> list[float]:
        """Return the times of the start requests of a run."""
        return [sent.at for sent in self.sent if sent.run == index]


class RecordingListener:
    """A listener that records the runs in the order of their results."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.seen: list[RunResult] = []
        self.warnings: list[str] = []
        self.ticks = 0

    def on_run_changed(self, run: RunResult) -> None:
        """Record which run reached its state."""
        self.ended.append(run.request.id)
        self.seen.append(run)

    def on_warning(self, message: str) -> None:
        """Record the warning."""
        self.warnings.append(message)

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Count the tick."""
        self.ticks += 1
