"""Start every run of a plan exactly once.

A start request is sent again only after `StartStatus.NOT_SENT` or `StartStatus.RATE_LIMITED`. After any other failure
the run may have started, and a second request would start another one. Two runs never have the same id. If a second
start request gets an id that is in use, its response belongs to another run. Then it is not known if the request
started a run.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from autonoma_ci.api.models import HINT_MAY_HAVE_STARTED, StartResult, StartStatus
from autonoma_ci.engine.updates import StartSettled, WarningIssued
from autonoma_ci.engine.workers import StartFinished
from autonoma_ci.models import PENDING_STATES, ExitReason, RunState
from autonoma_ci.startup import DebugLogger, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.updates import Update
    from autonoma_ci.engine.workers import RequestExecutor

_log = DebugLogger()
_SAME_RUN_MESSAGE = "the API returned the id of the failed attempt, so a retry may not have started"
# The API would reject every further start request for these reasons too.
_REFUSAL_MESSAGES = {
    ExitReason.UNAUTHORIZED: "not sent: the API refused the credentials",
    ExitReason.QUOTA: "not sent: the account's quota is used up",
}
_STATUSES_WITHOUT_CONNECTION = frozenset({StartStatus.NOT_SENT, StartStatus.CANNOT_SEND})


class _InFlightRequest(NamedTuple):
    """A start request without a response."""

    # In seconds of the clock.
    sent_at: float
    # Withdraws the request if nothing of it was sent, and returns whether it did.
    withdraw: Callable[[], bool]


def _cannot_withdraw() -> bool:
    return False


class StartPolicy(NamedTuple):
    """The limits of starting, with all times in seconds."""

    # Start requests at the same time.
    concurrency: int = 8
    # Whether one failed start cancels all pending ones.
    fail_fast: bool = False
    # How many failed runs may be started again in all. None means no limit.
    retry_budget: int | None = None
    # How long all responses may be HTTP 429 or missing connections, before the pending runs are cancelled.
    give_up_after: float = 120.0
    # Attempts in a row that made no connection.
    max_connect_attempts: int = 6
    # The pause doubles from the first value to the second.
    first_retry_pause: float = 0.5
    max_retry_pause: float = 10.0
    # How long a cancelled job waits for responses in flight.
    shutdown_grace: float = 1.0
    # When a request counts as failed that the transport did not end.
    hung_after: float = 120.0


class RunStarter:
    """Starts the planned runs of a run table.

    Args:
        run_table: The runs of the plan.
        policy: The limits of starting.
        clock: Provides the time and the jitter.
        deferred: The indexes of planned runs that `enqueue` may add later.

    """

    def __init__(
        self,
        run_table: RunTable,
        policy: StartPolicy,
        clock: Clock,
        deferred: Container[int] = (),
    ) -> None:
        self._run_table, self._policy, self._clock = run_table, policy, clock
        planned = (index for index, run in enumerate(run_table.results) if run.state is RunState.PLANNED)
        self._queue = deque(index for index in planned if index not in deferred)
        # The time of the next attempt and the index of its run, as a heap.
        self._retry_queue: list[tuple[float, int]] = []
        self._in_flight: dict[int, _InFlightRequest] = {}
        self._first_sent_at: dict[int, float] = {}
        self._last_sent_at: dict[int, float] = {}
        # How many attempts in a row made no connection, by index.
        self._connect_failures: Counter[int] = Counter()
        # Whether the last dispatch ended because no thread was free.
        self._lacks_free_thread = False
        self._blocked_until = 0.0
        self._last_progress_at = clock.monotonic()
        self._stopping = False
        # The result of all runs that would still start, once no further run may start.
        self._final_result: StartResult | None = None
        self._has_connected = False
        # Whether a request failed for good before any connection was made. Then no new request is sent until all
        # responses have arrived.
        self._holds_new_starts = False
        # The last response that was handled, with the index of its run.
        self._last_handled: tuple[int, StartResult] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is pending or in flight."""
        return bool(self._queue or self._retry_queue or self._in_flight)

    @property
    def has_in_flight(self) -> bool:
        """Whether a request is in flight."""
        return bool(self._in_flight)

    @property
    def is_blocked(self) -> bool:
        """Whether a request is due but all threads are busy."""
        return self._lacks_free_thread and not self._in_flight

    def last_sent_at(self, index: int) -> float | None:
        """Return the clock's time of the last start request of a run, if any."""
        return self._last_sent_at.get(index)

    def enqueue(self, index: int) -> list[Update]:
        """Queue a run, or finish it if no further run may start."""
        if self._final_result:
            return [self._finish(index, self._final_result)]
        if not self.is_busy:
            self._last_progress_at = self._clock.monotonic()
        self._first_sent_at.pop(index, None)
        self._connect_failures.pop(index, None)
        self._queue.append(index)
        return []

    def dispatch(self, executor: RequestExecutor) -> list[Update]:
        """Send the start requests that are due.

        A request in flight may have arrived, and its time limit runs. So a request that would wait for a thread is not
        sent.
        """
        now = self._clock.monotonic()
        updates: list[Update] = []
        self._lacks_free_thread = False
        if self._holds_new_starts and not self._in_flight and not self._retry_queue:
            self._holds_new_starts = False
            updates = self.cancel_pending(ExitReason.API, "not sent: no connection to the API")
        while len(self._in_flight) < self._policy.concurrency and now >= max(self._blocked_until, self._next_send_at()):
            if not executor.can_start():
                self._lacks_free_thread = True
                break
            # Retries have priority, so that a long plan does not delay them.
            is_retry_due = self._retry_queue and self._retry_queue[0][0] <= now
            index = heappop(self._retry_queue)[1] if is_retry_due else self._queue.popleft()
            self._in_flight[index] = _InFlightRequest(now, _cannot_withdraw)
            self._first_sent_at.setdefault(index, now)
            self._last_sent_at[index] = now
            run = self._run_table.mark_starting(index, self._start_offset(index))
            self._in_flight[index] = _InFlightRequest(now, executor.start(index, run.request))
        return updates

    def next_action_at(self) -> float:
        """Return the clock's time of the next request without a response."""
        if self._lacks_free_thread or len(self._in_flight) >= self._policy.concurrency:
            return inf
        return max(self._blocked_until, self._next_send_at())

    def _next_send_at(self) -> float:
        """Return the clock's time of the next request, without the rate limit."""
        if self._queue and not self._holds_new_starts:
            return 0.0
        return self._retry_queue[0][0] if self._retry_queue else inf

    def handle_result(self, event: StartFinished) -> list[Update]:
        """Handle the response of a start request."""
        updates: list[Update] = []
        result = self._check_distinct_run(event.plan_index, event.result)
        self._last_handled = event.plan_index, result
        if result.status is StartStatus.INDETERMINATE and event.result.status is StartStatus.STARTED:
            name = self._run_table.results[event.plan_index].request.display_name
            updates.append(WarningIssued(f"{name}: {result.message}. The run may have started."))
        if result.status not in _STATUSES_WITHOUT_CONNECTION:
            self.record_connection()
        if self._in_flight.pop(event.plan_index, None) is not None:
            updates += self._apply_result(event.plan_index, result)
        elif result.status is StartStatus.STARTED:
            # The run already has another result. We replace it, because the user needs the link of a started run.
            updates.append(self._finish(event.plan_index, result))
        return updates

    def save_result(self, event: object) -> None:
        """Store a response after an internal error.

        If the last response was not stored completely, it is stored too.
        """
        if isinstance(event, StartFinished) and event.plan_index in self._in_flight:
            self._last_handled = event.plan_index, self._check_distinct_run(event.plan_index, event.result)
            del self._in_flight[event.plan_index]
        if not self._last_handled:
            return
        index, result = self._last_handled
        if self._run_table.results[index].state is RunState.STARTING and index not in self._in_flight:
            self._store_result(index, result)

    def save_unfinished(self, index: int) -> None:
        """Store the result of an unfinished run after an internal error."""
        if self._run_table.results[index].state not in PENDING_STATES:
            return
        result = StartResult(
            StartStatus.REJECTED, ExitReason.UNKNOWN, message="not sent: the step ended because of a bug"
        )
        if index in self._in_flight:
            message = "the step ended because of a bug before the response arrived"
            result = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message)
        self._store_result(index, result)

    def record_connection(self) -> None:
        """Record that a connection was made.

        From now on, a failed connection does not affect the other runs.
        """
        self._has_connected, self._holds_new_starts = True, False

    def _check_distinct_run(self, index: int, result: StartResult) -> StartResult:
        """Return the result, or a failure if another run has its id."""
        run = self._run_table.results[index]
        if result.status is not StartStatus.STARTED:
            return result
        if self._run_table.claim_start(run.request.kind, result.run_id, result.url):
            return result
        if result.run_id and result.run_id in {attempt.run_id for attempt in run.previous_attempts}:
            # The failure stays, because no later run could have passed.
            return StartResult(
                StartStatus.REJECTED, ExitReason.API, message=_SAME_RUN_MESSAGE, http_status=result.http_status
            )
        message = f"the API returned another run of this step: {result.run_id or result.url}"
        return StartResult(
            StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message, http_status=result.http_status
        )

    def expire_hung_requests(self) -> list[Update]:
        """Finish the requests without a response after `hung_after` seconds."""
        sent_before = self._clock.monotonic() - self._policy.hung_after
        hung = [index for index, request in self._in_flight.items() if request.sent_at < sent_before]
        updates = self._withdraw_unsent(hung, ExitReason.API, "not sent: no connection in time")
        result = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message="no response in time")
        for index in hung:
            if index in self._in_flight:
                # In this order: after an error in between, the request still counts as one that may have arrived.
                updates.append(self._finish(index, result))
                del self._in_flight[index]
        return updates

    def withdraw_unsent(self, reason: ExitReason, message: str) -> list[Update]:
        """Withdraw the requests in flight that have no connection yet."""
        return self._withdraw_unsent(list(self._in_flight), reason, message)

    def _withdraw_unsent(self, indexes: list[int], reason: ExitReason, message: str) -> list[Update]:
        updates: list[Update] = []
        for index in indexes:
            if self._in_flight[index].withdraw():
                # The run is not started again, because its thread may still connect. A second request would get the
                # response of the first one.
                # In this order: after an error in between, a withdrawn request counts as not sent.
                del self._in_flight[index]
                updates.append(self._finish(index, StartResult(StartStatus.REJECTED, reason, message=message)))
        return updates

    def cancel_pending(self, reason: ExitReason, message: str) -> list[Update]:
        """Finish all pending runs without a request."""
        pending = sorted([*self._queue, *(index for _, index in self._retry_queue)])
        self._queue.clear()
        self._retry_queue.clear()
        result = StartResult(StartStatus.REJECTED, reason, message=message)
        return [self._finish(index, result) for index in pending]

    def refuse_all(self, reason: ExitReason = ExitReason.UNAUTHORIZED) -> list[Update]:
        """Finish all pending and all later runs without a request.

        The API would reject their requests for the same reason.
        """
        return self._refuse_pending(reason, _REFUSAL_MESSAGES[reason])

    def _refuse_pending(self, reason: ExitReason, message: str) -> list[Update]:
        _log.debug("No further run is started: %s", message)
        self._final_result = StartResult(StartStatus.REJECTED, reason, message=message)
        return self.cancel_pending(reason, message)

    def stop_retrying(self) -> None:
        """Send no request a second time from now on."""
        self._stopping = True

    def mark_in_flight_unknown(self, message: str) -> list[Update]:
        """Finish all requests in flight as indeterminate."""
        result = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message)
        updates: list[Update] = [self._finish(index, result) for index in self._in_flight]
        self._in_flight.clear()
        return updates

    def _apply_result(self, index: int, result: StartResult) -> list[Update]:
        now, status = self._clock.monotonic(), result.status
        if status in {StartStatus.NOT_SENT, StartStatus.RATE_LIMITED} and self._schedule_retry(index, result, now):
            return []
        if status not in {StartStatus.NOT_SENT, StartStatus.RATE_LIMITED}:
            self._last_progress_at = now
        updates: list[Update] = [self._finish(index, result)]
        if self._stopping:
            return updates  # on shutdown, the engine cancels the pending runs itself
        if result.reason in _REFUSAL_MESSAGES:
            updates += self.refuse_all(result.reason)
        elif self._policy.fail_fast and status is not StartStatus.STARTED:
            message = "not sent: fail-fast is set and an earlier run could not be started"
            updates += self._refuse_pending(result.reason, message)
        elif status is StartStatus.RATE_LIMITED:
            message = "not sent: the API requested a longer pause than this step allows"
            updates += self.cancel_pending(result.reason, message)
        elif status is StartStatus.CANNOT_SEND and not self._has_connected:
            self._holds_new_starts = True
        elif now - self._last_progress_at >= self._policy.give_up_after:
            updates += self.cancel_pending(result.reason, "not sent: the API accepted no request for too long")
        return updates

    def _schedule_retry(self, index: int, result: StartResult, now: float) -> bool:
        """Schedule a retry, and return whether the limits allow it."""
        attempt_number, policy = self._run_table.results[index].start_requests, self._policy
        if result.status is StartStatus.NOT_SENT:
            self._connect_failures[index] += 1
            attempt_number = self._connect_failures[index]
        else:
            self._connect_failures.pop(index, None)
        if (
            self._stopping
            or self._final_result
            or (result.status is StartStatus.NOT_SENT and attempt_number >= policy.max_connect_attempts)
        ):
            return False
        pause = self._clock.jitter(min(policy.max_retry_pause, policy.first_retry_pause * 2 ** (attempt_number - 1)))
        if result.retry_after is not None:
            # We add jitter, because the pause must not be shorter than Retry-After.
            pause = result.retry_after + self._clock.jitter(policy.first_retry_pause)
        if now + pause > self._last_progress_at + policy.give_up_after:
            return False
        heappush(self._retry_queue, (now + pause, index))
        name, next_number = self._run_table.results[index].display_name, attempt_number + 1
        _log.debug("Retry of the start of %s in %.1f s (request %d): %s", name, pause, next_number, result.message)
        if result.status is StartStatus.RATE_LIMITED:
            self._blocked_until = max(self._blocked_until, now + pause)
        return True

    def _finish(self, index: int, result: StartResult) -> StartSettled:
        self._store_result(index, result)
        return StartSettled(index)

    def _store_result(self, index: int, result: StartResult) -> None:
        """Store the result of the last start request in the run table."""
        now = self._clock.monotonic()
        suggestion = result.suggestion
        if result.status is StartStatus.INDETERMINATE:
            suggestion = suggestion or HINT_MAY_HAVE_STARTED
        seconds = now - self._first_sent_at.get(index, now)
        self._run_table.finish_start(index, result, suggestion, seconds)

    def _start_offset(self, index: int) -> float:
        return self._first_sent_at[index] - self._run_table.origin
