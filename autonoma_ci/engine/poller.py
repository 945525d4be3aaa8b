"""Waiting for runs to end, all under one deadline; passed is only what the server calls so.

What waiting keeps of one run, and how waiting goes about it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import PollResult, PollStatus
from autonoma_ci.engine.backoff import MIN_FAILED_POLLS, PollInterval
from autonoma_ci.escaping import format_duration
from autonoma_ci.models import ExitReason, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import RequestExecutor, StatusReceived


class PollPolicy(NamedTuple):
    """How waiting goes about it; all times in seconds.

    `interval` is the pause between two questions for a run, or None for one that follows its age;
    `patience` how long the questions for a run may go wrong; `missing` how long a run may be unknown to
    the server; `closing` how long answers are waited for after the deadline; `overdue` when a question
    that the transport should have ended long ago is given up. Neither `patience` nor `missing` ends a run
    before MIN_FAILED_POLLS, except at the deadline.
    """

    timeout: float = 1800.0
    interval: float | None = None
    retries: int = 0
    concurrency: int = 16
    give_up_after: float = 120.0
    not_found_grace: float = 30.0
    late_response_grace: float = 10.0
    hung_after: float = 45.0


class PollState:
    """One run that is waited for; the times are the clock's, in seconds.

    `born` is when it was asked for, `known` when it was last known to exist, `asked` when the question
    under way was asked, `sent` when the last one was; `failing` is since when every question went wrong,
    `trouble` how, `hint` what to do about it, and `failed_polls` the number of polls since the last usable answer.
    `last` is the last usable answer, and `number` that of the last question.
    """

    __slots__ = (
        "failed_polls",
        "failing_since",
        "hint",
        "last",
        "last_error",
        "last_seen_at",
        "last_sent_at",
        "pending_since",
        "request_number",
        "started_at",
    )

    def __init__(self, born: float, now: float) -> None:
        self.started_at, self.last_seen_at, self.last_sent_at = born, now, -inf
        self.pending_since: float | None = None
        self.failing_since: float | None = None
        self.last: PollResult | None = None
        self.last_error = self.hint = ""
        self.request_number = 0
        self.failed_polls = 0

    def record_success(self, status: PollResult, now: float) -> None:
        """Note a usable answer."""
        self.last, self.last_seen_at, self.failing_since, self.failed_polls = status, now, None, 0
        self.last_error = self.hint = ""

    def record_failure(self, status: PollResult, now: float) -> None:
        """Note a question without a usable answer; that the run is not there yet is no failure of the server."""
        self.last_error, self.hint = status.message, status.suggestion
        self.failed_polls += 1
        if status.status is not PollStatus.NOT_FOUND and self.failing_since is None:
            self.failing_since = now

    def is_missing(self, now: float, waiting: PollPolicy, deadline: float) -> bool:
        """Return whether the server has had the time and the polls to know the run."""
        return self._is_polled_enough(deadline) and now - self.last_seen_at >= waiting.not_found_grace

    def is_lost(self, now: float, waiting: PollPolicy, deadline: float) -> bool:
        """Return whether the status was unavailable for too long, and for enough polls."""
        too_long = self.failing_since is not None and now - self.failing_since >= waiting.give_up_after
        return too_long and self._is_polled_enough(deadline)

    def _is_polled_enough(self, deadline: float) -> bool:
        # The poll at the deadline is the last one.
        return self.failed_polls >= MIN_FAILED_POLLS or self.last_sent_at >= deadline


_ENDS = {PollStatus.PASSED: RunState.PASSED, PollStatus.FAILED: RunState.FAILED, PollStatus.STOPPED: RunState.STOPPED}
_HINT = "The run goes on: look at its page, or ask again later with autonoma-ci wait."


class Poller:
    """Asks for the started runs of a board until each has ended; `ended` is told the place of each.

    One failed poll ends nothing. Three of them in at least 2 minutes do, and refused credentials, and a run
    that the server does not know. `warn` gets a text for each word that is not known.
    """

    def __init__(
        self,
        board: RunTable,
        waiting: PollPolicy,
        clock: Clock,
        ended: Callable[[int], None],
        warn: Callable[[str], None],
    ) -> None:
        self._board, self._waiting, self._clock = board, waiting, clock
        self._ended, self._warn = ended, warn
        self._pace = PollInterval(waiting.interval, clock)
        self._open: dict[int, PollState] = {}
        self._agenda: list[tuple[float, int]] = []
        self._under_way = 0
        self._reported_statuses: set[str] = set()
        self._last_hung_check = 0.0
        # When all were asked for the last time: on a machine that was suspended, long after the deadline.
        self._final_poll_at = inf
        self.deadline = inf

    @property
    def is_busy(self) -> bool:
        """Whether a run is still waited for."""
        return bool(self._open)

    @property
    def is_finished(self) -> bool:
        """Whether the deadline has passed, and the time for late answers too."""
        return self._clock.monotonic() >= self._final_poll_at + self._waiting.late_response_grace

    def start_deadline(self) -> None:
        """Let the time to wait begin; does nothing the second time."""
        if self.deadline == inf:
            self.deadline = self._clock.monotonic() + self._waiting.timeout

    def watch(self, index: int) -> None:
        """Wait for this run of the board too; it may have been started long ago."""
        now, run = self._clock.monotonic(), self._board.results[index]
        born = min(now, self._board.origin + run.start_offset_seconds)
        watch = self._open[index] = PollState(born, now)
        if not run.run_id:
            self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, "the API named no id to ask for")
            return
        self._schedule(index, watch, now - born)

    def dispatch(self, workers: RequestExecutor) -> None:
        """Ask what may be asked now; at the deadline, ask for all that is left once more."""
        now = self._clock.monotonic()
        if now >= self.deadline and self._final_poll_at == inf:
            self._poll_all_at_deadline(now)
        while self._agenda and self._under_way < self._waiting.concurrency:
            at, index = self._agenda[0]
            if min(at, self.deadline) > now or min(self._pace.blocked_until, self.deadline) > now:
                break
            heappop(self._agenda)
            watch = self._open.get(index)
            if watch and watch.pending_since is None:
                watch.pending_since = watch.last_sent_at = now
                watch.request_number += 1
                self._under_way += 1
                run = self._board.results[index]
                workers.poll(index, run.request, run.run_id, watch.request_number)

    def next_action_at(self) -> float:
        """Return the clock's time at which there will be something to ask, if nothing comes back before."""
        if not self._agenda or self._under_way >= self._waiting.concurrency:
            return self.deadline if self._final_poll_at == inf else inf
        return min(max(self._agenda[0][0], self._pace.blocked_until), self.deadline)

    def handle_status(self, event: StatusReceived) -> None:
        """Draw the conclusions of an answer."""
        watch, run = self._open.get(event.plan_index), self._board.results[event.plan_index]
        if watch is None or run.run_id != event.run_id:
            return
        # What comes after it was given up, or asked again, counts only if it says how the run ended.
        awaited = watch.pending_since is not None and event.request_number == watch.request_number
        if awaited or event.result.status in _ENDS:
            self._release_slot(watch)
            self._apply_status(event.plan_index, watch, event.result)

    def expire_hung_requests(self) -> None:
        """Count the questions that should have come back long ago as gone wrong; looks once a second."""
        now = self._clock.monotonic()
        if now < self._last_hung_check + 1.0:
            return
        self._last_hung_check, limit = now, now - self._waiting.hung_after
        for index, watch in list(self._open.items()):
            if watch.pending_since is not None and watch.pending_since < limit:
                self._release_slot(watch)
                self._apply_status(index, watch, PollResult(PollStatus.UNAVAILABLE, message="no answer came in time"))

    def _release_slot(self, watch: PollState) -> None:
        self._under_way -= watch.pending_since is not None
        watch.pending_since = None

    def _poll_all_at_deadline(self, now: float) -> None:
        # An answer to a question before the deadline may say less than one to a question at it.
        self._final_poll_at = now
        for index, watch in self._open.items():
            if watch.pending_since is not None:
                self._release_slot(watch)
                heappush(self._agenda, (now, index))

    def expire_all(self) -> None:
        """End all that is still waited for with what is known of it."""
        for index, watch in list(self._open.items()):
            self._end_at_deadline(index, watch)

    def _apply_status(self, index: int, watch: PollState, status: PollResult) -> None:
        now, said = self._clock.monotonic(), status.status
        if said in _ENDS:
            self._pace.on_success()
            why = "" if said is not PollStatus.STOPPED else f"it was ended on the server: {status.raw_status}"
            reason = ExitReason.OK if said is PollStatus.PASSED else ExitReason.FAILED
            self._end(index, _ENDS[said], reason, why, now - watch.started_at)
        elif said is PollStatus.UNAUTHORIZED:
            self._end_all(ExitReason.UNAUTHORIZED, f"how it stands may not be asked: {status.message}")
        elif said in {PollStatus.RUNNING, PollStatus.UNRECOGNIZED}:
            self._pace.on_success()
            watch.record_success(status, now)
            if said is PollStatus.UNRECOGNIZED and status.message not in self._reported_statuses:
                self._reported_statuses.add(status.message)
                self._warn(f"{self._board.results[index].display_name}: {status.message}; it is asked for again.")
            self._reschedule(index, watch)
        else:
            refuses_all = said is PollStatus.RATE_LIMITED and self._pace.on_rate_limited(
                watch.last_sent_at, status.retry_after, self._waiting.give_up_after
            )
            watch.record_failure(status, now)
            if said is PollStatus.NOT_FOUND and watch.is_missing(now, self._waiting, self.deadline):
                why = f"the API does not know the run: {status.message}"
                self._end(index, RunState.UNKNOWN, ExitReason.NOT_FOUND, why)
            elif refuses_all and not watch.is_lost(now, self._waiting, self.deadline):
                self._end_all(ExitReason.UNKNOWN, f"how it stands could not be had: {status.message}")
            else:
                self._reschedule(index, watch)

    def _reschedule(self, index: int, watch: PollState) -> None:
        now = self._clock.monotonic()
        if watch.failing_since is not None and watch.is_lost(now, self._waiting, self.deadline):
            why = f"how it stands could not be had for {format_duration(now - watch.failing_since)}: {watch.last_error}"
            self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, why, now - watch.started_at)
        elif watch.last_sent_at >= self.deadline:
            self._end_at_deadline(index, watch)
        else:
            self._schedule(index, watch, now - watch.started_at)

    def _schedule(self, index: int, watch: PollState, age: float) -> None:
        # A run that was started long ago, by another step, is asked for at once.
        first = watch.last_sent_at == -inf and age > self._waiting.not_found_grace
        pause = 0.0 if first else self._pace.next_interval(age, len(self._open))
        heappush(self._agenda, (self._clock.monotonic() + pause, index))

    def _end_at_deadline(self, index: int, watch: PollState) -> None:
        """End a run whose time is over."""
        seconds = self._clock.monotonic() - watch.started_at
        if watch.last is None:
            why = f"how it stands could not be had: {watch.last_error or 'no answer came in time'}"
            self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, why, seconds)
        elif watch.last.status is PollStatus.UNRECOGNIZED:
            self._end(index, RunState.UNKNOWN, ExitReason.UNKNOWN, watch.last.message, seconds)
        else:
            why = f"still running after {format_duration(seconds)}"
            why += f"; the last question went wrong: {watch.last_error}" if watch.last_error else ""
            self._end(index, RunState.TIMED_OUT, ExitReason.TIMEOUT, why, seconds)

    def _end_all(self, reason: ExitReason, why: str) -> None:
        now = self._clock.monotonic()
        for index, watch in list(self._open.items()):
            self._end(
                index,
                RunState.UNKNOWN,
                reason,
                why,
                now - watch.started_at if reason is ExitReason.UNKNOWN else None,
            )

    def _end(self, index: int, state: RunState, reason: ExitReason, message: str, seconds: float | None = None) -> None:
        watch = self._open.pop(index)
        self._release_slot(watch)
        hint = f"{watch.hint} {_HINT}".lstrip() if state in {RunState.TIMED_OUT, RunState.UNKNOWN} else ""
        self._board.finish(index, state, reason, message, suggestion=hint, seconds=seconds)
        self._ended(index)
