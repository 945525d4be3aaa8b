"""A clock without waiting, and workers that answer from a script at the times it says."""

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

# A loop that asks for events this often without an end in sight has none.
_TOO_OFTEN = 200_000


class FakeClock(Clock):
    """Time passes only while somebody waits; `jitter` takes the same share of every pause."""

    def __init__(self, share: float = 1.0) -> None:
        self.time = 1000.0
        self.share = share
        self.swing = 1.0
        self.jittered: list[float] = []
        self._agenda: list[tuple[float, int, Event]] = []
        self._number = count()
        self._asked = 0

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

    def later(self, seconds: float, event: Event) -> None:
        """Let an event happen in so many seconds."""
        heapq.heappush(self._agenda, (self.time + seconds, next(self._number), event))

    def count(self, kind: type) -> int:
        """Return how many requests of one kind are under way."""
        return sum(isinstance(event, kind) for _, _, event in self._agenda)

    def wait_for_event(self, events: queue.SimpleQueue[Any], seconds: float) -> Any:
        self._asked += 1
        assert self._asked < _TOO_OFTEN, "this never ends"
        until = self.time + max(0.0, seconds)
        if not self._agenda or self._agenda[0][0] > until:
            self.time = until
            return None
        at, _, event = heapq.heappop(self._agenda)
        self.time = max(self.time, at)
        return event


class Sent(NamedTuple):
    """One request on its way: when, and which run."""

    at: float
    run: int


def _kept(item: EvidenceFile, _: int) -> DownloadResult:
    return DownloadResult(f"evidence/{item.run_id}/{item.step_number}")


class Run(NamedTuple):
    """One run on the server: what it says at an age in seconds, after how long, and why it failed.

    `keeps` is what comes of fetching one of its files, the first time, the second time and so on.
    """

    says: Callable[[float], PollResult]
    delay: float = 0.05
    details: RunDetails = RunDetails(error="HTTP 500")
    keeps: Callable[[EvidenceFile, int], DownloadResult] = _kept


class ScriptedWorkers:
    """Answers each run's requests from its script, each after so many seconds; the last one stays.

    `runs` are what the started runs of each place are, in turn; `polls` and `explained` note what was asked. Of the
    places in `connecting`, nothing is sent yet.
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
        self._born: dict[tuple[int, str], tuple[float, Run]] = {}
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
        """Return when the run was born and what it is; each start of a place makes its next run."""
        if (index, run_id) not in self._born:
            runs = self._runs[index]
            number = sum(place == index for place, _ in self._born)
            self._born[index, run_id] = self._clock.time, runs[min(number, len(runs) - 1)]
        return self._born[index, run_id]

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        """Take note, and let the answer come in its time: it says how things were half-way."""
        self.polls.append(Sent(self._clock.time, index))
        born, run = self._run(index, run_id)
        status = run.says(self._clock.time + run.delay / 2 - born)
        self._clock.later(run.delay, StatusReceived(index, run_id, status, request_number))
        self.polls_at_once = max(self.polls_at_once, self._clock.count(StatusReceived))

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Take note, and tell what the run has to tell."""
        self.explained.append(Sent(self._clock.time, index))
        run = self._run(index, run_id)[1]
        details = run.details if media else run.details._replace(media_urls={})
        self._clock.later(run.delay, DetailsReceived(index, run_id, details))

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Take note, and give the run's addresses once more."""
        self.refreshed.append(Sent(self._clock.time, index))
        run = self._run(index, run_id)[1]
        self._clock.later(run.delay, UrlsRefreshed(index, run_id, run.details))

    def download(self, index: int, file: EvidenceFile) -> None:
        """Take note, and let the file come in its time, as the run says."""
        self.fetched.append(file)
        run = self._run(index, file.run_id)[1]
        times = self.fetched.count(file)
        self._clock.later(run.delay, FileDownloaded(index, file, run.keeps(file, times)))
        self.fetches_at_once = max(self.fetches_at_once, self._clock.count(FileDownloaded))

    def can_start(self) -> bool:
        """Return True: there are as many threads as it takes."""
        return True

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Take note, and let the answer come in its time."""
        attempts = sum(sent.run == index for sent in self.sent)
        self.sent.append(Sent(self._clock.time, index))
        script = self._scripts[index]
        seconds, attempt = script[min(attempts, len(script) - 1)]
        if attempt.status is StartStatus.STARTED and self._runs:
            number = sum(place == index for place, _ in self._born) + 1
            attempt = attempt._replace(run_id=f"run-{index}-{number}")
            self._run(index, attempt.run_id)
        elif attempt.status is StartStatus.STARTED and attempt.run_id == "r":
            # The ids of two runs are never the same.
            attempt = attempt._replace(run_id=f"r{index}" + f"-{attempts}" * (attempts > 0))
        self._clock.later(seconds, StartFinished(index, attempt))
        self.at_once = max(self.at_once, self._clock.count(StartFinished))
        return lambda: index in self.connecting

    def times(self, index: int) -> list[float]:
        """Return when the run's requests were sent."""
        return [sent.at for sent in self.sent if sent.run == index]


class Watched:
    """A watcher that keeps which runs reached their state, in that order."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.seen: list[RunResult] = []
        self.warnings: list[str] = []
        self.ticks = 0

    def on_run_changed(self, run: RunResult) -> None:
        """Note which run reached its state."""
        self.ended.append(run.request.id)
        self.seen.append(run)

    def on_warning(self, message: str) -> None:
        """Keep the warning."""
        self.warnings.append(message)

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Count."""
        self.ticks += 1
