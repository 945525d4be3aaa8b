"""A fake clock, and workers with scripted responses."""

from __future__ import annotations

import heapq
from datetime import date
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

    `jitter_factor` is the share of each pause that `jitter` returns.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.jitter_factor = 1.0
        self.spread_factor = 1.0
        self._scheduled_events: list[tuple[float, int, Event]] = []
        self._number = count()
        self._wait_count = 0

    def monotonic(self) -> float:
        return self.time

    def utc_iso(self) -> str:
        return "2025-01-07T09:30:00Z"

    def utc_date(self) -> date:
        return date(2025, 1, 7)

    def jitter(self, seconds: float) -> float:
        return seconds * self.jitter_factor

    def spread(self, seconds: float) -> float:
        return seconds * self.spread_factor

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


class SentRequest(NamedTuple):
    """The time of a request and the index of its run."""

    sent_at: float
    run_index: int


def _save_file(item: EvidenceFile, _: int) -> DownloadResult:
    name = "video" if item.step_number is None else item.step_number
    return DownloadResult(f"evidence/{item.run_id}/{name}")


class ScriptedRun(NamedTuple):
    """One run on the server."""

    # The result of a poll at an age of the run, in seconds.
    poll_result: Callable[[float], PollResult]
    # The time of each response, in seconds.
    delay_seconds: float = 0.05
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
        polls: the polls in order. `start_requests`, `details_requests`, `url_requests` and `downloaded_files` have the
            other requests.
        connecting_indexes: the indexes whose start request has no connection yet.

    """

    def __init__(
        self,
        clock: FakeClock,
        scripts: Mapping[int, Sequence[tuple[float, StartResult]]],
        runs: Mapping[int, Sequence[ScriptedRun]] | None = None,
    ) -> None:
        self._clock = clock
        self.scripts = scripts
        self._runs = runs or {}
        self.created_runs: dict[tuple[int, str], tuple[float, ScriptedRun]] = {}
        self._polling = 0
        self.start_requests: list[SentRequest] = []
        self.polls: list[SentRequest] = []
        self.details_requests: list[SentRequest] = []
        self.url_requests: list[SentRequest] = []
        self.downloaded_files: list[EvidenceFile] = []
        self.max_parallel_downloads = 0
        self.max_parallel_starts = 0
        self.connecting_indexes: set[int] = set()
        self.max_parallel_polls = 0

    def find_or_create_run(self, index: int, run_id: str) -> tuple[float, ScriptedRun]:
        """Return the start time of a run, and the run. A new id creates the next run of the index."""
        if (index, run_id) not in self.created_runs:
            runs = self._runs[index]
            number = sum(run_index == index for run_index, _ in self.created_runs)
            self.created_runs[index, run_id] = self._clock.time, runs[min(number, len(runs) - 1)]
        return self.created_runs[index, run_id]

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        """Record the poll, and schedule a response with the status half-way."""
        self.polls.append(SentRequest(self._clock.time, index))
        created_at, run = self.find_or_create_run(index, run_id)
        status = run.poll_result(self._clock.time + run.delay_seconds / 2 - created_at)
        self._clock.schedule(run.delay_seconds, StatusReceived(index, run_id, status, request_number))
        self.max_parallel_polls = max(self.max_parallel_polls, self._clock.count(StatusReceived))

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Record the request, and schedule the details."""
        self.details_requests.append(SentRequest(self._clock.time, index))
        run = self.find_or_create_run(index, run_id)[1]
        details = run.details if media else run.details._replace(screenshot_urls={}, video_url=None)
        self._clock.schedule(run.delay_seconds, DetailsReceived(index, run_id, details))

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Record the request, and schedule the URLs of the run."""
        self.url_requests.append(SentRequest(self._clock.time, index))
        run = self.find_or_create_run(index, run_id)[1]
        self._clock.schedule(run.delay_seconds, UrlsRefreshed(index, run_id, run.details))

    def download(self, index: int, file: EvidenceFile) -> None:
        """Record the download, and schedule its result."""
        self.downloaded_files.append(file)
        run = self.find_or_create_run(index, file.run_id)[1]
        times = self.downloaded_files.count(file)
        self._clock.schedule(run.delay_seconds, FileDownloaded(index, file, run.download_result(file, times)))
        self.max_parallel_downloads = max(self.max_parallel_downloads, self._clock.count(FileDownloaded))

    def can_start(self) -> bool:
        """Return True, because threads are unlimited."""
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Record the start request, and schedule its response."""
        earlier_starts = sum(sent.run_index == index for sent in self.start_requests)
        self.start_requests.append(SentRequest(self._clock.time, index))
        script = self.scripts[index]
        delay, start_result = script[min(earlier_starts, len(script) - 1)]
        if start_result.status is StartStatus.STARTED and self._runs:
            number = sum(run_index == index for run_index, _ in self.created_runs) + 1
            start_result = start_result._replace(run_id=f"run-{index}-{number}")
            self.find_or_create_run(index, start_result.run_id)
        elif start_result.status is StartStatus.STARTED and start_result.run_id == "r":
            # Two runs never have the same id.
            start_result = start_result._replace(run_id=f"r{index}" + f"-{earlier_starts}" * (earlier_starts > 0))
        self._clock.schedule(delay, StartFinished(index, start_result))
        self.max_parallel_starts = max(self.max_parallel_starts, self._clock.count(StartFinished))
        return lambda: index in self.connecting_indexes

    def list_start_times(self, index: int) -> list[float]:
        """Return the times of the start requests of a run."""
        return [sent.sent_at for sent in self.start_requests if sent.run_index == index]


class RecordingListener:
    """A listener that records the runs in the order of their results."""

    def __init__(self) -> None:
        self.changed_ids: list[str] = []
        self.changed_runs: list[RunResult] = []
        self.warnings: list[str] = []
        self.tick_count = 0

    def on_run_changed(self, run: RunResult) -> None:
        """Record which run reached its state."""
        self.changed_ids.append(run.request.id)
        self.changed_runs.append(run)

    def on_warning(self, message: str) -> None:
        """Record the warning."""
        self.warnings.append(message)

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Count the tick."""
        self.tick_count += 1
