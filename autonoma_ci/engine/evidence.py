"""Keeping screenshots and videos: their addresses die after an hour, and no verdict hangs on them."""

from __future__ import annotations

from collections import deque
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import EvidenceFile
from autonoma_ci.models import RunState, TargetKind

if TYPE_CHECKING:
    from autonoma_ci.api.models import RunDetails, SignedUrl
    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import FileDownloaded, RequestExecutor, UrlsRefreshed
    from autonoma_ci.models import Evidence, RunRequest, RunResult


class EvidencePolicy(NamedTuple):
    """What is kept, of `failed` runs or of `all`; `at_once` files are fetched at a time.

    `closing` is for how many seconds details and files are waited for once all runs have ended.
    """

    which: str = "failed"
    max_concurrent: int = 4
    finish_timeout: float = 180.0


class _Run:
    """The files of one run: `lost` are those that went wrong, and `fresh` says that addresses were asked for anew."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.pending = 0
        self.failed: dict[int, EvidenceFile] = {}
        self.problems: dict[str, int] = {}
        self.urls_refreshed = False


class EvidenceCollector:
    """Fetches the files of runs that ended, and notes on the board where they are and what is missing."""

    def __init__(self, board: RunTable, clock: Clock, keeping: EvidencePolicy) -> None:
        self._board, self._clock, self._keeping = board, clock, keeping
        self._runs: dict[tuple[int, str], _Run] = {}
        self._queue: list[tuple[int, int, int, EvidenceFile]] = []
        self._url_refresh_queue: deque[tuple[int, str]] = deque()
        self._under_way = 0
        self._added = 0
        self._finish_by = inf

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to fetch or to wait for."""
        return bool(self._runs)

    def should_collect(self, run: RunResult) -> bool:
        """Say whether the evidence of this run, which ended, is to be kept; only runs of tests have any."""
        states = {RunState.FAILED, RunState.STOPPED} | ({RunState.PASSED} if self._keeping.which == "all" else set())
        return run.request.kind is TargetKind.TEST and bool(run.run_id) and run.state in states

    def add(self, index: int, ended: RunResult, details: RunDetails) -> None:
        """Fetch what the details of a run name."""
        if details.error:
            self._board.update_evidence(
                index, ended.run_id, partial(_missing, f"its details could not be had: {details.error}")
            )
            return
        run = self._runs[index, ended.run_id] = _Run(ended.request)
        # What shows the failure comes first, then the other steps, then the video, which is the largest.
        failing = details.step.number if details.step else -1
        first = {failing: 0, 0: 2}
        spare = ended.state is RunState.PASSED
        digits = max(3, len(str(max(details.media_urls, default=0))))
        for number, media in sorted(details.media_urls.items()):
            run.pending += 1
            self._plan(
                3 if spare else first.get(number, 1), index, EvidenceFile(ended.run_id, number, media, spare, digits)
            )
        self._settle(index, ended.run_id)

    def dispatch(self, workers: RequestExecutor) -> None:
        """Ask for what may be asked for now."""
        while self._url_refresh_queue and self._under_way < self._keeping.max_concurrent:
            index, run_id = self._url_refresh_queue.popleft()
            self._under_way += 1
            workers.refresh_urls(index, self._runs[index, run_id].request, run_id)
        while self._queue and self._under_way < self._keeping.max_concurrent:
            _, _, index, item = heappop(self._queue)
            self._under_way += 1
            workers.download(index, item)

    def handle_download(self, event: FileDownloaded) -> None:
        """Note what came of fetching a file."""
        self._under_way -= 1
        key, number = (event.plan_index, event.file.run_id), event.file.step_number
        run = self._runs.get(key)
        if not run:
            return
        run.pending -= 1
        if event.result.path:
            self._board.update_evidence(*key, partial(_kept, number, event.result.path))
        elif event.result.retryable and not run.urls_refreshed:
            run.failed[number] = event.file
        else:
            run.problems[event.result.error] = run.problems.get(event.result.error, 0) + 1
        self._settle(*key)

    def retry_with_fresh_urls(self, event: UrlsRefreshed) -> None:
        """Fetch what had gone wrong once more, from the new addresses."""
        self._under_way -= 1
        run = self._runs.get((event.plan_index, event.run_id))
        if not run:
            return
        lost, run.failed = run.failed, {}
        for number, item in lost.items():
            run.pending += 1
            media: SignedUrl = event.details.media_urls.get(number, item.signed_url)
            self._plan(0, event.plan_index, item._replace(signed_url=media))
        self._settle(event.plan_index, event.run_id)

    def start_finish_timer(self) -> None:
        """Take note that all runs have ended: from now on, time is limited."""
        if self._finish_by == inf:
            self._finish_by = self._clock.monotonic() + self._keeping.finish_timeout

    def next_action_at(self) -> float:
        """Return the clock's time at which what is still under way is given up."""
        return self._finish_by

    def cancel(self, why: str) -> None:
        """Fetch nothing more, and note what is missing therefore."""
        for (index, run_id), run in self._runs.items():
            count = run.pending + len(run.failed)
            run.problems[why] = run.problems.get(why, 0) + count
            self._note(index, run_id, run)
        self._runs.clear()
        self._queue.clear()
        self._url_refresh_queue.clear()

    def _plan(self, rank: int, index: int, item: EvidenceFile) -> None:
        self._added += 1
        heappush(self._queue, (rank, self._added, index, item))

    def _settle(self, index: int, run_id: str) -> None:
        run = self._runs[index, run_id]
        if run.pending:
            return
        if run.failed:
            run.urls_refreshed = True
            self._url_refresh_queue.append((index, run_id))
            return
        del self._runs[index, run_id]
        self._note(index, run_id, run)

    def _note(self, index: int, run_id: str, run: _Run) -> None:
        told = [f"{count} of its files: {why}" for why, count in run.problems.items()]
        if told:
            self._board.update_evidence(index, run_id, partial(_missing, "; ".join(told)))


def _kept(number: int, path: str, was: Evidence) -> Evidence:
    if number == 0:
        return was._replace(video=path)
    return was._replace(steps=tuple(s._replace(screenshot=path) if s.number == number else s for s in was.steps))


def _missing(why: str, was: Evidence) -> Evidence:
    return was._replace(missing_reason=why)
