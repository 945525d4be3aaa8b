"""Poll the started runs until each has ended, under one deadline.

`PollPolicy` has the limits, `PollState` the polls of one run, and `Poller` decides. A run passes only if the API
returns the status `passed`.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollResult, PollStatus
from autonoma_ci.engine.backoff import MIN_FAILED_POLLS, PollInterval
from autonoma_ci.engine.updates import RunEnded, WarningIssued
from autonoma_ci.escaping import format_duration
from autonoma_ci.models import ExitReason, RunState
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import DebugLogger, NamedTuple

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.updates import Update
    from autonoma_ci.engine.workers import RequestExecutor, StatusReceived

_log = DebugLogger()
# The time of a poll that precedes all others, and ignores the rate limit.
_AT_ONCE = -inf


class PollPolicy(NamedTuple):
    """The limits of polling, with all times in seconds.

    Before the deadline, `give_up_after` and `not_found_grace` end a run only after MIN_FAILED_POLLS.
    """

    # The time for all runs, once all starts have finished.
    timeout: float = 1800.0
    # The pause between two polls of a run. With None, it grows with the age of the run.
    interval: float | None = None
    # Polls at the same time.
    concurrency: int = 16
    # How long the polls of a run may fail.
    give_up_after: float = 120.0
    # How long the API may respond that it does not know a run.
    not_found_grace: float = 30.0
    # How long to wait for responses after the deadline, and after the `run_timeout` of a run.
    late_response_grace: float = 10.0
    # When a poll counts as failed that the transport did not end.
    hung_after: float = 45.0


class PollState:
    """The polls of one run, with times in seconds of the clock."""

    __slots__ = (
        "ends_at",
        "failed_polls",
        "failing_since",
        "gives_up_at",
        "last_error",
        "last_result",
        "last_seen_at",
        "last_sent_at",
        "next_poll_at",
        "pending_since",
        "request_number",
        "started_at",
        "suggestion",
    )

    def __init__(self, started_at: float, now: float, ends_at: float = inf) -> None:
        # When the start of the run was requested, when the API last knew the run, and when the last poll was sent.
        self.started_at, self.last_seen_at, self.last_sent_at = started_at, now, -inf
        # The time of the entry in the queue that is in effect. Older entries of this run are void.
        self.next_poll_at = inf
        # When the `run_timeout` ends, and until when its last poll may have a response.
        self.ends_at, self.gives_up_at = ends_at, inf
        # When the poll in flight was sent.
        self.pending_since: float | None = None
        # Since when all polls failed.
        self.failing_since: float | None = None
        # The last usable response.
        self.last_result: PollResult | None = None
        # The error of the last poll, and how the user can fix it.
        self.last_error = self.suggestion = ""
        # The number of the last poll, from 1.
        self.request_number = 0
        # How many polls failed since the last usable response.
        self.failed_polls = 0

    def record_success(self, result: PollResult, now: float) -> None:
        """Record a usable response."""
        self.last_result, self.last_seen_at, self.failing_since, self.failed_polls = result, now, None, 0
        self.last_error = self.suggestion = ""

    def record_failure(self, result: PollResult, now: float) -> None:
        """Record a poll without a usable response.

        NOT_FOUND does not count as a failure of the server, because a new run can be unknown for some seconds.
        """
        self.last_error, self.suggestion = result.message, result.suggestion
        self.failed_polls += 1
        if result.status is not PollStatus.NOT_FOUND and self.failing_since is None:
            self.failing_since = now

    def describe_last_response(self) -> str:
        """Return the last error, or the status without one."""
        if self.last_error:
            return self.last_error
        return f"status {self.last_result.raw_status or self.last_result.status}" if self.last_result else "no poll yet"

    def is_missing(self, now: float, policy: PollPolicy, limit_at: float) -> bool:
        """Return whether the run is still unknown after enough polls."""
        return self._is_polled_enough(limit_at) and now - self.last_seen_at >= policy.not_found_grace

    def has_failed_too_long(self, now: float, policy: PollPolicy, limit_at: float) -> bool:
        """Return whether enough polls failed for too long."""
        is_too_long = self.failing_since is not None and now - self.failing_since >= policy.give_up_after
        return is_too_long and self._is_polled_enough(limit_at)

    def _is_polled_enough(self, limit_at: float) -> bool:
        # The poll at the deadline or at the run_timeout is the last one.
        return self.failed_polls >= MIN_FAILED_POLLS or self.last_sent_at >= limit_at


_STATE_AT_END = {
    PollStatus.PASSED: RunState.PASSED,
    PollStatus.FAILED: RunState.FAILED,
    PollStatus.STOPPED: RunState.STOPPED,
}
_STILL_RUNNING_HINT = "The run continues. Open its page, or run autonoma-ci wait later."


class Poller:
    """Polls the started runs until each has ended.

    Before the deadline, failed polls end runs only in these cases. In the last three, at least MIN_FAILED_POLLS failed.

    - The API rejects the credentials. One such poll ends all runs.
    - The polls of a run have failed for `give_up_after`.
    - The API does not know the run, and no poll of it was successful for `not_found_grace`.
    - The server limits the rate, and has rejected all polls for `give_up_after`, or for two fixed intervals if they are
      longer. This ends all runs.

    A run with a `run_timeout` is polled once more at that time. Then it ends, at the latest after
    `late_response_grace`.

    Args:
        run_table: The runs of the plan.
        policy: The limits of polling.
        clock: Provides the time and the jitter.

    """

    def __init__(self, run_table: RunTable, policy: PollPolicy, clock: Clock) -> None:
        self._run_table, self._policy, self._clock = run_table, policy, clock
        self._interval = PollInterval(policy.interval, clock)
        self._open_runs: dict[int, PollState] = {}
        # The time of the next poll and the index of its run, as a heap.
        self._queue: list[tuple[float, int]] = []
        # The time of each `run_timeout` and the index of its run, as a heap.
        self._run_timeouts: list[tuple[float, int]] = []
        # The runs whose `run_timeout` has passed, in the order of the times at which they end without a response.
        self._overdue: deque[tuple[float, int]] = deque()
        self._in_flight_count = 0
        self._reported_statuses: set[str] = set()
        self._last_hung_check = 0.0
        # When all runs were polled for the last time. On a machine that was suspended, this is long after the deadline.
        self._final_poll_at = inf
        self.deadline = inf

    @property
    def is_busy(self) -> bool:
        """Whether a run has not ended."""
        return bool(self._open_runs)

    @property
    def is_finished(self) -> bool:
        """Whether the deadline and the time for late responses have passed."""
        return self._clock.monotonic() >= self._final_poll_at + self._policy.late_response_grace

    def start_deadline(self) -> None:
        """Start the time of the policy, on the first call only."""
        if self.deadline == inf:
            self.deadline = self._clock.monotonic() + self._policy.timeout

    def watch(self, index: int, requested_at: float | None = None) -> list[Update]:
        """Start to poll a run.

        Args:
            index: The index of the run in the plan.
            requested_at: The clock's time of the request that started the attempt. Its `run_timeout` counts from it.
                None if an earlier job step started the run.

        """
        now, run = self._clock.monotonic(), self._run_table.results[index]
        started_at = min(now, self._run_table.origin + run.start_offset_seconds)
        limit = run.request.run_timeout_seconds
        ends_at = inf if limit is None else limit + (started_at if requested_at is None else requested_at)
        poll = self._open_runs[index] = PollState(started_at, now, ends_at)
        if not run.run_id:
            return [self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, "no run id in the response of the API")]
        if ends_at < inf:
            heappush(self._run_timeouts, (ends_at, index))
        self._schedule(index, poll, now - started_at)
        return []

    def dispatch(self, executor: RequestExecutor) -> None:
        """Send the polls that are due.

        At the deadline, all runs are polled once more.
        """
        now = self._clock.monotonic()
        if now >= self.deadline and self._final_poll_at == inf:
            self._poll_all_at_deadline(now)
        if self._final_poll_at == inf:
            self._poll_at_run_timeouts(now)
        while self._queue and self._in_flight_count < self._policy.concurrency:
            poll_at, index = self._queue[0]
            poll = self._open_runs.get(index)
            if not poll or poll.next_poll_at != poll_at:
                heappop(self._queue)
                continue
            blocked_until = _AT_ONCE if poll_at == _AT_ONCE else self._interval.blocked_until
            if min(max(poll_at, blocked_until), self.deadline) > now:
                break
            heappop(self._queue)
            poll.pending_since = poll.last_sent_at = now
            poll.request_number += 1
            self._in_flight_count += 1
            run = self._run_table.results[index]
            executor.poll(index, run.request, run.run_id, poll.request_number)

    def next_action_at(self) -> float:
        """Return the clock's time of the next poll without a response."""
        limit_at = inf
        if self._final_poll_at == inf:
            limit_at = min(self.deadline, self._run_timeouts[0][0] if self._run_timeouts else inf)
        if not self._queue or self._in_flight_count >= self._policy.concurrency:
            return limit_at
        return min(max(self._queue[0][0], self._interval.blocked_until), self.deadline, limit_at)

    def handle_status(self, event: StatusReceived) -> list[Update]:
        """Handle the response of a poll."""
        poll, run = self._open_runs.get(event.plan_index), self._run_table.results[event.plan_index]
        if poll is None or run.run_id != event.run_id:
            return []
        # A late response, after the poll counted as failed or was sent again, counts only with a final status.
        is_expected = poll.pending_since is not None and event.request_number == poll.request_number
        if not is_expected and event.result.status not in _STATE_AT_END:
            return []
        self._release_slot(poll)
        return self._apply_status(event.plan_index, poll, event.result)

    def expire_hung_requests(self) -> list[Update]:
        """End runs after their `run_timeout`, and count hung polls as failed.

        Polls are checked at most once a second.
        """
        now = self._clock.monotonic()
        updates: list[Update] = []
        while self._overdue and self._overdue[0][0] <= now:
            gives_up_at, index = self._overdue.popleft()
            overdue_poll = self._open_runs.get(index)
            if overdue_poll and overdue_poll.gives_up_at == gives_up_at:
                updates.append(self._end_at_limit(index, overdue_poll))
        if now < self._last_hung_check + 1.0:
            return updates
        self._last_hung_check, sent_before = now, now - self._policy.hung_after
        result = PollResult(PollStatus.UNAVAILABLE, message="no response in time")
        for index, poll in list(self._open_runs.items()):
            if poll.pending_since is not None and poll.pending_since < sent_before:
                self._release_slot(poll)
                updates += self._apply_status(index, poll, result)
        return updates

    def _release_slot(self, poll: PollState) -> None:
        self._in_flight_count -= poll.pending_since is not None
        poll.pending_since = None

    def _poll_all_at_deadline(self, now: float) -> None:
        # A poll at the deadline can return a newer status than a poll that was sent earlier.
        self._final_poll_at = now
        _log.debug("Deadline: last poll of %s", pluralize(len(self._open_runs), "run"))
        for index, poll in self._open_runs.items():
            # The last poll of a run after its run_timeout is new enough.
            if poll.pending_since is not None and poll.gives_up_at == inf:
                self._release_slot(poll)
                self._enqueue(index, poll, now)

    def _poll_at_run_timeouts(self, now: float) -> None:
        """Request the last poll of each run whose `run_timeout` has passed."""
        while self._run_timeouts and self._run_timeouts[0][0] <= now:
            ends_at, index = heappop(self._run_timeouts)
            poll = self._open_runs.get(index)
            # The entry of an earlier attempt has another time.
            if not poll or poll.ends_at != ends_at or poll.gives_up_at < inf:
                continue
            _log.debug("run_timeout of %s: last poll", self._run_table.results[index].display_name)
            # A poll in flight was sent earlier, so its status can be older.
            self._release_slot(poll)
            self._enqueue(index, poll, _AT_ONCE)
            poll.gives_up_at = now + self._policy.late_response_grace
            self._overdue.append((poll.gives_up_at, index))

    def _enqueue(self, index: int, poll: PollState, poll_at: float) -> None:
        poll.next_poll_at = poll_at
        heappush(self._queue, (poll_at, index))

    def expire_all(self) -> list[Update]:
        """End all runs with their last known status."""
        return [self._end_at_limit(index, poll) for index, poll in list(self._open_runs.items())]

    def _apply_status(self, index: int, poll: PollState, result: PollResult) -> list[Update]:
        now, status = self._clock.monotonic(), result.status
        if status in _STATE_AT_END:
            self._interval.on_success()
            message = (
                "" if status is not PollStatus.STOPPED else f"ended by the server with the status {result.raw_status}"
            )
            reason = ExitReason.OK if status is PollStatus.PASSED else ExitReason.FAILED
            return [self._end(index, _STATE_AT_END[status], reason, message, now - poll.started_at)]
        if status is PollStatus.UNAUTHORIZED:
            return self._end_all(ExitReason.UNAUTHORIZED, f"status unavailable: {result.message}")
        if status in {PollStatus.RUNNING, PollStatus.UNRECOGNIZED}:
            self._interval.on_success()
            poll.record_success(result, now)
            updates: list[Update] = []
            if status is PollStatus.UNRECOGNIZED and result.message not in self._reported_statuses:
                self._reported_statuses.add(result.message)
                name = self._run_table.results[index].display_name
                updates.append(WarningIssued(f"{name}: {result.message}. Polling continues."))
            return updates + self._reschedule(index, poll)
        rejects_all = status is PollStatus.RATE_LIMITED and self._interval.on_rate_limited(
            poll.last_sent_at, result.retry_after, self._policy.give_up_after
        )
        poll.record_failure(result, now)
        limit_at = self._limit_of(poll)
        if status is PollStatus.NOT_FOUND and poll.is_missing(now, self._policy, limit_at):
            message = f"run unknown to the API: {result.message}"
            return [self._end(index, RunState.UNKNOWN, ExitReason.NOT_FOUND, message)]
        if rejects_all and not poll.has_failed_too_long(now, self._policy, limit_at):
            return self._end_all(ExitReason.UNKNOWN, f"status unavailable: {result.message}")
        return self._reschedule(index, poll)

    def _reschedule(self, index: int, poll: PollState) -> list[Update]:
        now, limit_at = self._clock.monotonic(), self._limit_of(poll)
        if poll.failing_since is not None and poll.has_failed_too_long(now, self._policy, limit_at):
            message = (
                f"status unavailable for {format_duration(now - poll.failing_since)} (last error: {poll.last_error})"
            )
            return [self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, message, now - poll.started_at)]
        if poll.last_sent_at >= limit_at:
            return [self._end_at_limit(index, poll)]
        self._schedule(index, poll, now - poll.started_at)
        return []

    def _schedule(self, index: int, poll: PollState, age_seconds: float) -> None:
        # A run that an earlier job step started is polled immediately.
        is_old_run = poll.last_sent_at == -inf and age_seconds > self._policy.not_found_grace
        pause = 0.0 if is_old_run else self._interval.next_interval(age_seconds, len(self._open_runs))
        name, response = self._run_table.results[index].display_name, poll.describe_last_response()
        _log.debug("Next poll of %s in %.1f s (age %.0f s, %s)", name, pause, age_seconds, response)
        self._enqueue(index, poll, self._clock.monotonic() + pause)

    def _limit_of(self, poll: PollState) -> float:
        """Return the clock's time of the last poll of a run."""
        return min(self.deadline, poll.ends_at)

    def _end_at_limit(self, index: int, poll: PollState) -> RunEnded:
        """End a run at the deadline or `run_timeout` with its last known status."""
        seconds = self._clock.monotonic() - poll.started_at
        if poll.last_result is None:
            message = f"status unavailable: {poll.last_error or 'no response in time'}"
            return self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, message, seconds)
        if poll.last_result.status is PollStatus.UNRECOGNIZED:
            return self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, poll.last_result.message, seconds)
        run_timeout = self._run_table.results[index].request.run_timeout_seconds
        message = f"still running after {format_duration(seconds)}"
        if run_timeout is not None and poll.ends_at <= self.deadline:
            message = f"still running after {format_duration(run_timeout)}, its run_timeout"
        message += f" (last error: {poll.last_error})" if poll.last_error else ""
        return self._end(index, RunState.TIMED_OUT, ExitReason.TIMEOUT, message, seconds)

    def _end_all(self, reason: ExitReason, message: str) -> list[Update]:
        now = self._clock.monotonic()
        return [
            self._end(
                index,
                RunState.UNKNOWN,
                reason,
                message,
                now - poll.started_at if reason is ExitReason.UNKNOWN else None,
            )
            for index, poll in list(self._open_runs.items())
        ]

    def _end(
        self, index: int, state: RunState, reason: ExitReason, message: str, seconds: float | None = None
    ) -> RunEnded:
        poll = self._open_runs.pop(index)
        self._release_slot(poll)
        name = self._run_table.results[index].display_name
        _log.debug("No further poll of %s after poll %d: %s", name, poll.request_number, message or state)
        suggestion = (
            f"{poll.suggestion} {_STILL_RUNNING_HINT}".lstrip()
            if state in {RunState.TIMED_OUT, RunState.UNKNOWN}
            else ""
        )
        self._run_table.finish(index, state, reason, message, suggestion=suggestion, seconds=seconds)
        return RunEnded(index)
