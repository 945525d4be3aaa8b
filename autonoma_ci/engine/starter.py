"""Starting every run of a plan exactly once, many at a time.

A request is sent again only after `Delivery.NOT_SENT` or `Delivery.BUSY`: every other failure leaves
open whether the run has started, and a run started twice costs twice. Two runs never have the same id: the
second start that gets it is told another run's response, so whether it started a run is not known.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.engine.workers import HINT_NO_RESPONSE, StartFinished
from autonoma_ci.models import ExitReason, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import RequestExecutor
    from autonoma_ci.models import RunResult

_SAME_RUN = "the API named the run that failed, so whether another one was started is not known"
# The refusals that every further start would get too.
_WHY_REFUSED = {
    ExitReason.UNAUTHORIZED: "not sent: the API refused the credentials",
    ExitReason.QUOTA: "not sent: the account's quota is used up",
}
_NO_CONNECTION = frozenset({StartStatus.NOT_SENT, StartStatus.CANNOT_SEND})


class _Sent(NamedTuple):
    """A request under way: since when by the clock, and what withdraws it if nothing of it was sent."""

    since: float
    withdraw: Callable[[], bool]


def _never() -> bool:
    return False


class StartPolicy(NamedTuple):
    """How starting goes about it; all times in seconds.

    `patience` is how long nothing but refusals to take requests may come back before the rest is given
    up; `attempts` bounds the tries in a row that made no connection; `grace` is how long a cancelled job waits for
    answers that are on their way; `overdue` when a request that the transport should have ended long ago
    is given up.
    """

    concurrency: int = 8
    fail_fast: bool = False
    give_up_after: float = 120.0
    max_connect_attempts: int = 6
    first_retry_pause: float = 0.5
    max_retry_pause: float = 10.0
    shutdown_grace: float = 1.0
    hung_after: float = 120.0


class RunStarter:
    """Starts the planned runs of a board; `settled` is told the place of each that reached its state.

    `later` are the places of planned runs that are not to be started yet, `warn` gets a text for each odd response.
    """

    def __init__(
        self,
        board: RunTable,
        policy: StartPolicy,
        clock: Clock,
        settled: Callable[[int], None],
        warn: Callable[[str], None],
        later: Container[int] = (),
    ) -> None:
        self._board, self._policy, self._clock, self._settled = board, policy, clock, settled
        self._warn = warn
        planned = (place for place, run in enumerate(board.results) if run.state is RunState.PLANNED)
        self._queue = deque(place for place in planned if place not in later)
        self._retry_queue: list[tuple[float, int]] = []
        self._in_flight: dict[int, _Sent] = {}
        self._first_sent_at: dict[int, float] = {}
        # How many tries in a row made no connection, by place.
        self._failed: Counter[int] = Counter()
        # Whether the last dispatch ended because no thread was free.
        self._lacks_thread = False
        self._blocked_until = 0.0
        self._last_progress_at = clock.monotonic()
        self._stopping = False
        # What ends all runs that would still be started, once there is such a thing.
        self._final: StartResult | None = None
        self._has_connected = False
        # A request has failed for good, and no connection was ever made: nothing new is sent until all came back.
        self._in_doubt = False
        # The last answer taken.
        self._settling: tuple[int, StartResult] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to send or to wait for."""
        return bool(self._queue or self._retry_queue or self._in_flight)

    @property
    def in_flight_count(self) -> bool:
        """Whether there is an answer to wait for."""
        return bool(self._in_flight)

    @property
    def is_blocked(self) -> bool:
        """Whether there is something to send now, and nothing under way, but all threads do something else."""
        return self._lacks_thread and not self._in_flight

    def enqueue(self, index: int) -> None:
        """Start this run of the board as well, unless nothing further may be started."""
        if self._final:
            self._finish(index, self._final)
            return
        if not self.is_busy:
            self._last_progress_at = self._clock.monotonic()
        self._first_sent_at.pop(index, None)
        self._failed.pop(index, None)
        self._queue.append(index)

    def dispatch(self, workers: RequestExecutor) -> None:
        """Send what may be sent now.

        A request that would wait for a thread is not sent: what is under way may have arrived, and has a limit of time.
        """
        now = self._clock.monotonic()
        self._lacks_thread = False
        if self._in_doubt and not self._in_flight and not self._retry_queue:
            self._in_doubt = False
            self.cancel_pending(ExitReason.API, "not sent: no connection to the API can be made")
        while len(self._in_flight) < self._policy.concurrency and now >= max(self._blocked_until, self._next()):
            if not workers.can_start():
                self._lacks_thread = True
                return
            # What was sent before goes first, so that no run starves behind a long plan.
            again = self._retry_queue and self._retry_queue[0][0] <= now
            index = heappop(self._retry_queue)[1] if again else self._queue.popleft()
            self._in_flight[index] = _Sent(now, _never)
            self._first_sent_at.setdefault(index, now)
            run = self._board.mark_starting(index, self._start_offset(index))
            self._in_flight[index] = _Sent(now, workers.start(index, run.request))

    def next_action_at(self) -> float:
        """Return the clock's time at which there will be something to send, if nothing comes back before."""
        if self._lacks_thread or len(self._in_flight) >= self._policy.concurrency:
            return inf
        return max(self._blocked_until, self._next())

    def _next(self) -> float:
        """Return the clock's time at which there is something to send, if the API takes it then."""
        if self._queue and not self._in_doubt:
            return 0.0
        return self._retry_queue[0][0] if self._retry_queue else inf

    def handle_result(self, event: StartFinished) -> None:
        """Draw the conclusions of an answer."""
        attempt = self._with_distinct_run(event.plan_index, event.result)
        self._settling = event.plan_index, attempt
        if attempt.status is StartStatus.INDETERMINATE and event.result.status is StartStatus.STARTED:
            label = self._board.results[event.plan_index].request.display_name
            self._warn(f"{label}: {attempt.message}. Whether this run was started is not known.")
        if attempt.status not in _NO_CONNECTION:
            self.note_connection()
        if self._in_flight.pop(event.plan_index, None) is not None:
            self._settle(event.plan_index, attempt)
        elif attempt.status is StartStatus.STARTED:
            # It had been given up, and comes after all: its link is worth more than consistency.
            self._finish(event.plan_index, attempt)

    def save(self, event: object) -> None:
        """Note the answer of a request on the board and nowhere else, after a bug; also the last one taken."""
        if isinstance(event, StartFinished) and event.plan_index in self._in_flight:
            self._settling = event.plan_index, self._with_distinct_run(event.plan_index, event.result)
            del self._in_flight[event.plan_index]
        if not self._settling:
            return
        index, attempt = self._settling
        if self._board.results[index].state is RunState.STARTING and index not in self._in_flight:
            self._store(index, attempt)

    def save_unanswered(self, index: int) -> None:
        """Note on the board and nowhere else, after a bug, what is known of a run that was planned."""
        if self._board.results[index].state not in {RunState.PLANNED, RunState.STARTING}:
            return
        attempt = StartResult(
            StartStatus.REJECTED, ExitReason.UNKNOWN, message="not sent: the step ended because of a bug"
        )
        if index in self._in_flight:
            what = "the step ended because of a bug while the request was under way"
            attempt = StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=what)
        run = self._store(index, attempt)
        if run.previous_attempts and run.state is RunState.NOT_STARTED:
            self._board.restore_previous_attempt(index)

    def note_connection(self) -> None:
        """Record that a connection was made: a failure to make one says nothing of the other runs any more."""
        self._has_connected, self._in_doubt = True, False

    def _with_distinct_run(self, index: int, attempt: StartResult) -> StartResult:
        """Return the attempt, as unknown if it names a run that is known as another one."""
        run = self._board.results[index]
        if attempt.status is not StartStatus.STARTED:
            return attempt
        if self._board.claim_start(run.request.kind, attempt.run_id, attempt.url):
            return attempt
        if attempt.run_id and attempt.run_id in {earlier.run_id for earlier in run.previous_attempts}:
            # The failure stands: no run came after it that could have passed.
            return StartResult(StartStatus.REJECTED, ExitReason.API, message=_SAME_RUN, http_status=attempt.http_status)
        what = f"the API named run {attempt.run_id or attempt.url}, which is another one"
        return StartResult(
            StartStatus.INDETERMINATE,
            ExitReason.UNKNOWN,
            message=what,
            suggestion=HINT_NO_RESPONSE,
            http_status=attempt.http_status,
        )

    def expire_hung_requests(self) -> None:
        """End the requests that should have come back long ago."""
        limit = self._clock.monotonic() - self._policy.hung_after
        overdue = [index for index, sent in self._in_flight.items() if sent.since < limit]
        self._withdraw_unsent(overdue, ExitReason.API, "not sent: no connection was made in time")
        for index in overdue:
            if self._in_flight.pop(index, None):
                self._finish(
                    index,
                    StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, "", "", "no answer came in time"),
                )

    def withdraw_unsent(self, reason: ExitReason, message: str) -> None:
        """End what is under way and has no connection yet: nothing of it is sent any more."""
        self._withdraw_unsent(list(self._in_flight), reason, message)

    def _withdraw_unsent(self, indexes: list[int], reason: ExitReason, message: str) -> None:
        for index in indexes:
            if self._in_flight[index].withdraw():
                # For good: while its thread still connects, a second request would get the first one's answer.
                del self._in_flight[index]
                self._finish(index, StartResult(StartStatus.REJECTED, reason, message=message))

    def cancel_pending(self, reason: ExitReason, message: str) -> None:
        """End all that is not under way without sending it."""
        waiting = sorted([*self._queue, *(index for _, index in self._retry_queue)])
        self._queue.clear()
        self._retry_queue.clear()
        for index in waiting:
            self._finish(index, StartResult(StartStatus.REJECTED, reason, message=message))

    def refuse_all(self, reason: ExitReason = ExitReason.UNAUTHORIZED) -> None:
        """End all that is not sent yet, now and later: the API would refuse it for this reason too."""
        self._drop_for_good(reason, _WHY_REFUSED[reason])

    def _drop_for_good(self, reason: ExitReason, message: str) -> None:
        self._final = StartResult(StartStatus.REJECTED, reason, message=message)
        self.cancel_pending(reason, message)

    def stop_retrying(self) -> None:
        """From now on, send nothing again."""
        self._stopping = True

    def mark_in_flight_unknown(self, message: str) -> None:
        """End what is under way without its answer."""
        for index in list(self._in_flight):
            self._finish(index, StartResult(StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message))
        self._in_flight.clear()

    def _settle(self, index: int, attempt: StartResult) -> None:
        now, delivery = self._clock.monotonic(), attempt.status
        if delivery in {StartStatus.NOT_SENT, StartStatus.RATE_LIMITED} and self._schedule_retry(index, attempt, now):
            return
        if delivery not in {StartStatus.NOT_SENT, StartStatus.RATE_LIMITED}:
            self._last_progress_at = now
        self._finish(index, attempt)
        if self._stopping:
            return  # what has not been sent is accounted for by whoever ends it all
        if attempt.reason in _WHY_REFUSED:
            self.refuse_all(attempt.reason)
        elif self._policy.fail_fast and delivery is not StartStatus.STARTED:
            self._drop_for_good(attempt.reason, "not sent: fail-fast is set and an earlier run could not be started")
        elif delivery is StartStatus.RATE_LIMITED:
            self.cancel_pending(attempt.reason, "not sent: the API asks to wait for longer than this step does")
        elif delivery is StartStatus.CANNOT_SEND and not self._has_connected:
            self._in_doubt = True
        elif now - self._last_progress_at >= self._policy.give_up_after:
            self.cancel_pending(attempt.reason, "not sent: the API took no request for too long")

    def _schedule_retry(self, index: int, attempt: StartResult, now: float) -> bool:
        """Plan another try if one is allowed and could be in time; say whether there will be one."""
        tries, policy = self._board.results[index].start_requests, self._policy
        if attempt.status is StartStatus.NOT_SENT:
            self._failed[index] += 1
            tries = self._failed[index]
        else:
            self._failed.pop(index, None)
        if (
            self._stopping
            or self._final
            or (attempt.status is StartStatus.NOT_SENT and tries >= policy.max_connect_attempts)
        ):
            return False
        pause = self._clock.jitter(min(policy.max_retry_pause, policy.first_retry_pause * 2 ** (tries - 1)))
        if attempt.retry_after is not None:
            # Jitter on top, never below what the server asked for.
            pause = attempt.retry_after + self._clock.jitter(policy.first_retry_pause)
        if now + pause > self._last_progress_at + policy.give_up_after:
            return False
        heappush(self._retry_queue, (now + pause, index))
        if attempt.status is StartStatus.RATE_LIMITED:
            self._blocked_until = max(self._blocked_until, now + pause)
        return True

    def _finish(self, index: int, attempt: StartResult) -> None:
        self._store(index, attempt)
        self._settled(index)

    def _store(self, index: int, attempt: StartResult) -> RunResult:
        """Store the result of the last start request in the run table."""
        now = self._clock.monotonic()
        suggestion = attempt.suggestion
        if attempt.status is StartStatus.INDETERMINATE:
            suggestion = suggestion or HINT_NO_RESPONSE
        seconds = now - self._first_sent_at.get(index, now)
        return self._board.finish_start(index, attempt, suggestion, seconds)

    def _start_offset(self, index: int) -> float:
        return self._first_sent_at[index] - self._board.origin
