"""Schedule downloads of screenshots and videos of runs that ended.

Their URLs expire after an hour. No verdict depends on these files.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import EvidenceFile
from autonoma_ci.models import RunState, TargetKind
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from autonoma_ci.api.models import RunDetails, SignedUrl
    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import FileDownloaded, RequestExecutor, UrlsRefreshed
    from autonoma_ci.models import Evidence, RunRequest, RunResult


class EvidencePolicy(NamedTuple):
    """Which evidence is downloaded, and within which limits."""

    # The value of the option evidence: `failed` or `all`.
    run_selection: str = "failed"
    # Downloads at the same time.
    max_concurrent: int = 4
    # Seconds for details and files once all runs have ended.
    finish_timeout: float = 180.0


# Files with a low priority number are downloaded first. The top priority is for failed steps and repeated downloads.
_TOP_PRIORITY, _STEP_PRIORITY, _VIDEO_PRIORITY, _PASSED_RUN_PRIORITY = 0, 1, 2, 3


class _RunFiles:
    """The state of the files of one run."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        # How many files are queued or in flight.
        self.pending = 0
        # Files whose download failed and is repeated with fresh URLs, by step number. None is the video.
        self.to_retry: dict[int | None, EvidenceFile] = {}
        # How many files failed for good, by error message.
        self.error_counts: dict[str, int] = {}
        # Whether fresh URLs were requested. This happens once per run.
        self.fresh_urls_requested = False


class EvidenceCollector:
    """Schedules the downloads of runs that ended.

    The run table gets the path of each file, or the reason why files are missing.
    """

    def __init__(self, run_table: RunTable, clock: Clock, policy: EvidencePolicy) -> None:
        self._run_table, self._clock, self._policy = run_table, clock, policy
        self._runs: dict[tuple[int, str], _RunFiles] = {}
        self._queue: list[tuple[int, int, int, EvidenceFile]] = []
        self._url_refresh_queue: deque[tuple[int, str]] = deque()
        self._in_flight_count = 0
        self._enqueued_count = 0
        self._finish_by = inf

    @property
    def is_busy(self) -> bool:
        """Whether a file is queued or in flight."""
        return bool(self._runs)

    def should_collect(self, run: RunResult) -> bool:
        """Return whether to download the evidence of a run.

        Only test runs have evidence. The run must have ended.
        """
        states = {RunState.FAILED, RunState.STOPPED} | (
            {RunState.PASSED} if self._policy.run_selection == "all" else set()
        )
        return run.request.kind is TargetKind.TEST and bool(run.run_id) and run.state in states

    def add(self, index: int, run: RunResult, details: RunDetails) -> None:
        """Queue all files of a run.

        Args:
            index: The index of the run in the plan.
            run: The run as it ended.
            details: The details with the signed URL of each file, or an error.

        """
        if details.error is not None:
            self._run_table.update_evidence(
                index, run.run_id, partial(_with_missing_reason, f"details unavailable: {details.error}")
            )
            return
        files = self._runs[index, run.run_id] = _RunFiles(run.request)
        # The video is after the steps, because it is the largest file.
        priority_by_step: dict[int | None, int] = {None: _VIDEO_PRIORITY}
        if details.step:
            priority_by_step[details.step.number] = _TOP_PRIORITY
        is_low_priority = run.state is RunState.PASSED
        number_width = max(3, len(str(max(details.screenshot_urls, default=0))))
        for number, signed_url in _list_urls(details):
            files.pending += 1
            self._enqueue(
                _PASSED_RUN_PRIORITY if is_low_priority else priority_by_step.get(number, _STEP_PRIORITY),
                index,
                EvidenceFile(run.run_id, number, signed_url, is_low_priority, number_width),
            )
        self._finish_if_done(index, run.run_id)

    def dispatch(self, executor: RequestExecutor) -> None:
        """Send the requests for URLs and files that are due."""
        while self._url_refresh_queue and self._in_flight_count < self._policy.max_concurrent:
            index, run_id = self._url_refresh_queue.popleft()
            self._in_flight_count += 1
            executor.refresh_urls(index, self._runs[index, run_id].request, run_id)
        while self._queue and self._in_flight_count < self._policy.max_concurrent:
            _, _, index, file = heappop(self._queue)
            self._in_flight_count += 1
            executor.download(index, file)

    def handle_download(self, event: FileDownloaded) -> None:
        """Handle the result of a download."""
        self._in_flight_count -= 1
        key, number = (event.plan_index, event.file.run_id), event.file.step_number
        files = self._runs.get(key)
        if not files:
            return
        files.pending -= 1
        if event.result.error is None:
            self._run_table.update_evidence(*key, partial(_with_file, number, event.result.path))
        elif event.result.retryable and not files.fresh_urls_requested:
            files.to_retry[number] = event.file
        else:
            files.error_counts[event.result.error] = files.error_counts.get(event.result.error, 0) + 1
        self._finish_if_done(*key)

    def handle_fresh_urls(self, event: UrlsRefreshed) -> None:
        """Queue the failed files once more with their fresh URLs."""
        self._in_flight_count -= 1
        files = self._runs.get((event.plan_index, event.run_id))
        if not files:
            return
        details = event.details
        files_to_retry, files.to_retry = files.to_retry, {}
        for number, file in files_to_retry.items():
            files.pending += 1
            fresh_url = details.video_url if number is None else details.screenshot_urls.get(number)
            self._enqueue(_TOP_PRIORITY, event.plan_index, file._replace(signed_url=fresh_url or file.signed_url))
        self._finish_if_done(event.plan_index, event.run_id)

    def start_finish_timer(self) -> None:
        """Start the time limit, because all runs have ended."""
        if self._finish_by == inf:
            self._finish_by = self._clock.monotonic() + self._policy.finish_timeout

    def next_action_at(self) -> float:
        """Return the clock's time at which all downloads are cancelled."""
        return self._finish_by

    def cancel(self, reason: str) -> None:
        """Cancel all downloads, and store why files are missing.

        Args:
            reason: Why the downloads are cancelled, for the report.

        """
        for (index, run_id), files in self._runs.items():
            count = files.pending + len(files.to_retry)
            files.error_counts[reason] = files.error_counts.get(reason, 0) + count
            self._store_missing_reason(index, run_id, files)
        self._runs.clear()
        self._queue.clear()
        self._url_refresh_queue.clear()

    def _enqueue(self, priority: int, index: int, file: EvidenceFile) -> None:
        self._enqueued_count += 1
        heappush(self._queue, (priority, self._enqueued_count, index, file))

    def _finish_if_done(self, index: int, run_id: str) -> None:
        files = self._runs[index, run_id]
        if files.pending:
            return
        if files.to_retry:
            files.fresh_urls_requested = True
            self._url_refresh_queue.append((index, run_id))
            return
        del self._runs[index, run_id]
        self._store_missing_reason(index, run_id, files)

    def _store_missing_reason(self, index: int, run_id: str, files: _RunFiles) -> None:
        reasons = [f"{pluralize(count, 'file')}: {reason}" for reason, count in files.error_counts.items()]
        if reasons:
            self._run_table.update_evidence(index, run_id, partial(_with_missing_reason, ", ".join(reasons)))


def _list_urls(details: RunDetails) -> list[tuple[int | None, SignedUrl]]:
    """Return the URL of each file with its step number, None for the video.

    The video is last, because the files of a run that passed are downloaded in this order.
    """
    urls: list[tuple[int | None, SignedUrl]] = [*sorted(details.screenshot_urls.items())]
    return [*urls, (None, details.video_url)] if details.video_url else urls


def _with_file(number: int | None, path: str, evidence: Evidence) -> Evidence:
    if number is None:
        return evidence._replace(video=path)
    return evidence._replace(
        steps=tuple(step._replace(screenshot=path) if step.number == number else step for step in evidence.steps)
    )


def _with_missing_reason(reason: str, evidence: Evidence) -> Evidence:
    return evidence._replace(missing_reason=reason)
