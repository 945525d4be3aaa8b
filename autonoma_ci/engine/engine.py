"""Run a plan from the first start request to the last result.

One thread decides, and worker threads send the requests. Responses and signals are events. Each run is polled as soon
as it has started, while other runs are still starting. A retry follows the same rules as the first start.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from autonoma_ci.engine.details import DetailsFetcher
from autonoma_ci.engine.reuse import PassConfirmer
from autonoma_ci.engine.starter import RunStarter, StartPolicy
from autonoma_ci.engine.updates import (
    CredentialsRejected,
    DetailsSettled,
    PassRejected,
    RunEnded,
    StartSettled,
    WarningIssued,
)
from autonoma_ci.engine.workers import (
    DetailsReceived,
    FileDownloaded,
    SignalReceived,
    StartFinished,
    StatusReceived,
    UrlsRefreshed,
    reserve_memory,
)
from autonoma_ci.models import ExitReason, RunState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sized

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.evidence import EvidenceCollector, EvidencePolicy
    from autonoma_ci.engine.poller import Poller, PollPolicy
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.updates import Update
    from autonoma_ci.engine.workers import Event, Events, ProgressListener, RequestExecutor
    from autonoma_ci.models import RunResult

_TICK_SECONDS = 0.5
# Memory for the reports of a job step that has no memory left. Writing results.json needs about 4 KiB for each run.
_RESERVE_BYTES, _RESERVE_BYTES_PER_RUN = 16 * 1024 * 1024, 4 * 1024
NO_PASSED_RUNS: Mapping[int, str] = MappingProxyType({})
_SHARED_ID_MESSAGE = "two runs in results.json have the same id"
_CANCELLED_MESSAGE = "not sent: the job was cancelled"
_NO_RETRY_MESSAGE = "no retry: max-runs is reached"


class Engine:
    """Starts the planned runs, and polls the started runs.

    Runs in any other state do not change.

    Args:
        run_table: The runs of the plan.
        start_policy: The limits of starting.
        clock: Provides the time and the jitter.
        events: The queue of responses and signals.
        listener: Receives each change of a run.
        poll_policy: The limits of polling. Without it, no run is polled.
        evidence_policy: The runs whose screenshots and videos are downloaded. Without it, none are.
        passed_runs: The ids of runs that passed in an earlier build attempt, by index in the plan. Each is confirmed
            before its plan entry is started.

    """

    def __init__(
        self,
        run_table: RunTable,
        start_policy: StartPolicy,
        clock: Clock,
        events: Events,
        listener: ProgressListener,
        poll_policy: PollPolicy | None = None,
        evidence_policy: EvidencePolicy | None = None,
        passed_runs: Mapping[int, str] = NO_PASSED_RUNS,
    ) -> None:
        self._start_policy, self._clock, self._events, self._listener = start_policy, clock, events, listener
        self._run_table = run_table
        # How many more runs may be started again.
        self._retries_left = inf if start_policy.retry_budget is None else start_policy.retry_budget
        self._starter = RunStarter(run_table, start_policy, clock, deferred=passed_runs)
        self._pass_confirmer = PassConfirmer(run_table, clock, passed_runs)
        self._evidence: EvidenceCollector | None = None
        if evidence_policy:
            from autonoma_ci.engine.evidence import EvidenceCollector

            self._evidence = EvidenceCollector(run_table, clock, evidence_policy)
        self._details = DetailsFetcher(run_table, clock, self._evidence)
        self._poller: Poller | None = None
        if poll_policy:
            # A job step that only starts runs does not need this module.
            from autonoma_ci.engine.poller import Poller

            self._poller = Poller(run_table, poll_policy, clock)
        # The event that is handled now.
        self._last_event: Event | None = None
        # Released after an error, so that there is memory to write the reports.
        self._memory_reserve: Sized = b""
        # The signal that ended the job, or None.
        self.signal_number: int | None = None
        # How many failed runs were not started again because of the retry budget.
        self.refused_retry_count = 0

    def run(self, executor: RequestExecutor) -> None:
        """Run the plan until its end or the deadline.

        An internal error is raised only after the responses of all requests in flight arrived, or the requests are
        given up. So no started run is lost.

        Args:
            executor: Sends the requests.

        """
        self._memory_reserve = reserve_memory(_RESERVE_BYTES + _RESERVE_BYTES_PER_RUN * len(self._run_table.results))
        try:
            self._run(executor)
        except BaseException:
            self._memory_reserve = b""
            self._finish_after_internal_error()
            raise
        finally:
            self._memory_reserve = b""

    def _run(self, executor: RequestExecutor) -> None:
        # First, because the id of an earlier pass belongs to no other run.
        self._apply(self._pass_confirmer.claim_candidates())
        self._adopt_started_runs()
        # After a signal that arrived before the first request, no request is sent.
        if not self._events.empty():
            self._handle_event(self._clock.wait_for_event(self._events, 0.0))
        while self.signal_number is None and self._is_busy():
            # If there are few threads, start requests have priority, because polls repeat until the runs end.
            if not self._starter.is_blocked:
                self._apply(self._pass_confirmer.dispatch(executor))
            self._apply(self._starter.dispatch(executor))
            if self._poller:
                self._advance_polling(self._poller, executor)
            if not self._starter.is_blocked:
                self._apply(self._details.dispatch(executor))
            if self._evidence:
                self._advance_downloads(self._evidence, executor)
            self._handle_event(self._clock.wait_for_event(self._events, self._seconds_until_next_action()))
            self._apply(self._starter.expire_hung_requests())
            self._listener.on_tick(self._run_table.results)
        if self.signal_number is not None:
            self._shut_down()

    def _adopt_started_runs(self) -> None:
        for index, run in enumerate(self._run_table.results):
            kind, run_name = run.request.kind, run.run_id or run.url
            for attempt in run.previous_attempts:
                self._run_table.claim(kind, attempt.run_id, attempt.url)
            is_shared = bool(run_name) and not self._run_table.claim(kind, run.run_id, run.url)
            if is_shared and run.state in {RunState.STARTED, RunState.PASSED}:
                self._run_table.finish(index, RunState.UNKNOWN, ExitReason.UNKNOWN, _SHARED_ID_MESSAGE)
                self._listener.on_warning(
                    f"{run.request.display_name}: {_SHARED_ID_MESSAGE}: {run_name}. The result of this run is unknown."
                )
                self._listener.on_run_changed(self._run_table.results[index])
            elif self._poller and run.state is RunState.STARTED:
                self._apply(self._poller.watch(index))

    def _is_busy(self) -> bool:
        return self._is_polling() or self._details.is_busy or bool(self._evidence and self._evidence.is_busy)

    def _is_polling(self) -> bool:
        return self._pass_confirmer.is_busy or self._starter.is_busy or bool(self._poller and self._poller.is_busy)

    def _advance_downloads(self, evidence: EvidenceCollector, executor: RequestExecutor) -> None:
        if not self._starter.is_blocked:
            evidence.dispatch(executor)
        if not self._is_polling():
            evidence.start_finish_timer()
        if self._clock.monotonic() >= evidence.next_action_at():
            self._apply(self._details.cancel())
            evidence.cancel("downloads took too long")

    def _advance_polling(self, poller: Poller, executor: RequestExecutor) -> None:
        if not self._starter.is_busy and not self._pass_confirmer.is_busy:
            poller.start_deadline()
        if not self._starter.is_blocked:
            poller.dispatch(executor)
        self._apply(poller.expire_hung_requests())
        if self._clock.monotonic() >= poller.deadline:
            self._starter.stop_retrying()
            self._apply(self._starter.cancel_pending(ExitReason.TIMEOUT, "not sent: the timeout has passed"))
        if poller.is_finished:
            self._apply(self._starter.withdraw_unsent(ExitReason.TIMEOUT, "not sent: the timeout has passed"))
            self._apply(self._starter.mark_in_flight_unknown("no response before the timeout"))
            self._apply(poller.expire_all())
            self._apply(self._details.cancel())

    def _seconds_until_next_action(self) -> float:
        now = self._clock.monotonic()
        if self._starter.is_blocked:
            # A thread that becomes free sends an event.
            return _TICK_SECONDS
        stages = (self._pass_confirmer, self._starter, self._details, self._poller, self._evidence)
        return max(0.0, min(now + _TICK_SECONDS, *(stage.next_action_at() for stage in stages if stage)) - now)

    def _handle_event(self, event: Event | None) -> None:
        self._last_event = event
        if isinstance(event, StatusReceived) and event.result.http_status:
            self._starter.record_connection()
        match event:
            case SignalReceived():
                self.signal_number = event.signal
            case StartFinished():
                self._apply(self._starter.handle_result(event))
            case StatusReceived() if self._pass_confirmer.awaits(event):
                self._apply(self._pass_confirmer.handle_status(event))
            case StatusReceived() if self._poller:
                self._apply(self._poller.handle_status(event))
            case DetailsReceived():
                self._apply(self._details.handle_details(event))
            case FileDownloaded() if self._evidence:
                self._evidence.handle_download(event)
            case UrlsRefreshed() if self._evidence:
                self._evidence.handle_fresh_urls(event)

    def _apply(self, updates: Iterable[Update]) -> None:
        """Continue after each update of a stage, in their order."""
        for update in updates:
            match update:
                case StartSettled():
                    self._continue_after_start(update.plan_index)
                case RunEnded():
                    self._continue_after_run(update.plan_index)
                case PassRejected():
                    self._apply(self._starter.enqueue(update.plan_index))
                case CredentialsRejected():
                    self._apply(self._starter.refuse_all())
                case DetailsSettled():
                    self._listener.on_run_changed(update.run)
                case WarningIssued():
                    self._listener.on_warning(update.message)
                case _:
                    assert_never(update)

    def _continue_after_start(self, index: int) -> None:
        run = self._run_table.results[index]
        self._listener.on_run_changed(run)
        if run.state in {RunState.NOT_STARTED, RunState.FAILED} and not 200 <= run.http_status < 300:
            # A start or a retry that is known not to have started costs nothing. After a 2xx response, this is unknown.
            self._retries_left += 1
        if run.state is RunState.STARTED and self._poller:
            self._apply(self._poller.watch(index, self._starter.last_sent_at(index)))

    def _continue_after_run(self, index: int) -> None:
        run = self._run_table.results[index]
        if run.reason is ExitReason.UNAUTHORIZED:
            self._apply(self._starter.refuse_all())
        # A reused run was not started, so it costs nothing either.
        self._retries_left += run.reused
        should_retry = run.state is RunState.FAILED and self._may_retry(run)
        if should_retry and self._retries_left < 1:
            should_retry = False
            self.refused_retry_count += 1
            self._run_table.finish(index, run.state, run.reason, _NO_RETRY_MESSAGE)
            run = self._run_table.results[index]
        # The details can contradict a pass. They also have the title, and CI systems need it for the history of a test.
        needs_details = run.state in {RunState.PASSED, RunState.FAILED} or (
            self._evidence and self._evidence.should_collect(run)
        )
        fetches_details = run.request.kind is TargetKind.TEST and needs_details
        if should_retry:
            # We report the failure first, because the log must not start with the second attempt.
            self._listener.on_run_changed(run._replace(message=f"retrying, attempt {run.attempt_count + 1}"))
            self._run_table.begin_retry(index)
            self._retries_left -= 1
            self._apply(self._starter.enqueue(index))
        if fetches_details:
            self._details.add(index, run, already_reported=should_retry)
        elif not should_retry:
            self._listener.on_run_changed(run)

    def _may_retry(self, run: RunResult) -> bool:
        poller = self._poller
        if not poller or self.signal_number is not None or self._clock.monotonic() >= poller.deadline:
            return False
        return len(run.previous_attempts) < run.request.retries

    def _shut_down(self) -> None:
        """Stop after a signal, and set the state of every run.

        Responses in flight have `shutdown_grace` seconds to arrive.
        """
        self._starter.stop_retrying()
        self._apply(self._starter.withdraw_unsent(ExitReason.CANCELLED, _CANCELLED_MESSAGE))
        deadline = self._clock.monotonic() + self._start_policy.shutdown_grace
        while self._starter.has_in_flight and self._clock.monotonic() < deadline:
            self._handle_event(self._clock.wait_for_event(self._events, deadline - self._clock.monotonic()))
        self._apply(self._pass_confirmer.cancel())
        self._apply(self._starter.mark_in_flight_unknown("cancelled before the response arrived"))
        self._apply(self._starter.cancel_pending(ExitReason.CANCELLED, _CANCELLED_MESSAGE))
        self._apply(self._details.cancel())
        if self._evidence:
            self._evidence.cancel("the job was cancelled")

    def _finish_after_internal_error(self) -> None:
        """Stop after an internal error, and set the state of every run.

        The listener is not called, because it may be what failed.

        Responses in flight have `hung_after` seconds to arrive, after a signal `shutdown_grace` seconds.
        """
        self._starter.stop_retrying()
        max_wait_seconds = (
            self._start_policy.hung_after if self.signal_number is None else self._start_policy.shutdown_grace
        )
        deadline = self._clock.monotonic() + max_wait_seconds
        event = self._last_event
        while True:
            # An error here, because of missing memory or the same bug, must not lose another run.
            with suppress(Exception):
                self._starter.save_result(event)
            if not self._starter.has_in_flight or self._clock.monotonic() >= deadline:
                break
            event = None
            with suppress(Exception):
                event = self._clock.wait_for_event(self._events, deadline - self._clock.monotonic())
            if isinstance(event, SignalReceived):
                self.signal_number = event.signal
                deadline = min(deadline, self._clock.monotonic() + self._start_policy.shutdown_grace)
        for index in range(len(self._run_table.results)):
            with suppress(Exception):
                self._starter.save_unfinished(index)
