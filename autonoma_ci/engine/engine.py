"""From a plan to the end of its runs: one thread decides, others send, and a signal is an event like any other.

Runs are waited for from the moment they have started, while others are still being started; a run that
failed is started again, if the user wants that, by the same rules as the first time.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from autonoma_ci.engine.details import DetailsFetcher
from autonoma_ci.engine.evidence import EvidenceCollector
from autonoma_ci.engine.reuse import PassConfirmer
from autonoma_ci.engine.starter import RunStarter, StartPolicy
from autonoma_ci.engine.workers import (
    DetailsReceived,
    FileDownloaded,
    SignalReceived,
    StartFinished,
    StatusReceived,
    UrlsRefreshed,
    spare_memory,
)
from autonoma_ci.models import ExitReason, RunState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.evidence import EvidencePolicy
    from autonoma_ci.engine.poller import Poller, PollPolicy
    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.workers import Event, Events, ProgressListener, RequestExecutor
    from autonoma_ci.models import RunResult

_TICK = 0.5
# For the reports of a step that has used up its memory. The record of a run takes about 4 KiB while it is made.
_SPARE_BYTES, _SPARE_BYTES_PER_RUN = 16 * 1024 * 1024, 4 * 1024
NO_PASSED_RUNS: Mapping[int, str] = MappingProxyType({})
_SHARED_ID = "the record gives two runs the same id"
_CANCELLED = "not sent: the job was cancelled"


class Engine:
    """Brings the runs of a board to their end.

    Planned runs are started; with `waiting`, those that have started are waited for. All others stay as
    they are. `keeping` says of which runs screenshots and videos are kept. `passed_before` has the places of planned
    runs that passed in an earlier attempt, each with the run's id: it is confirmed before anything is started for it.
    `interrupt` is the signal that ended it, if one did.
    """

    def __init__(
        self,
        board: RunTable,
        policy: StartPolicy,
        clock: Clock,
        events: Events,
        watcher: ProgressListener,
        waiting: PollPolicy | None = None,
        keeping: EvidencePolicy | None = None,
        passed_before: Mapping[int, str] = NO_PASSED_RUNS,
    ) -> None:
        self._policy, self._clock, self._events, self._watcher = policy, clock, events, watcher
        self._waiting = waiting
        self._board = board
        self._fire = RunStarter(board, policy, clock, self._on_start_finished, watcher.on_warning, later=passed_before)
        self._carry = PassConfirmer(
            board, clock, passed_before, self._on_run_finished, self._fire.enqueue, self._fire.refuse_all
        )
        self._keep = EvidenceCollector(board, clock, keeping) if keeping else None
        self._explain = DetailsFetcher(board, clock, watcher.on_run_changed, self._keep)
        self._wait: Poller | None = None
        if waiting:
            # A step that only starts runs does not need it.
            from autonoma_ci.engine.poller import Poller

            self._wait = Poller(board, waiting, clock, self._on_run_finished, watcher.on_warning)
        # The event that is being dealt with.
        self._event: Event | None = None
        # Given up once the memory is used up, so that there is some to write the reports with.
        self._spare: Sized = b""
        self.interrupt: int | None = None

    def run(self, workers: RequestExecutor) -> None:
        """Return when each run has its end, or as much of it as there was time for.

        A bug is raised once the requests under way came back, so that no run that was started is lost.
        """
        self._spare = spare_memory(_SPARE_BYTES + _SPARE_BYTES_PER_RUN * len(self._board.results))
        try:
            self._run(workers)
        except BaseException:
            self._spare = b""
            self._rescue()
            raise
        finally:
            self._spare = b""

    def _run(self, workers: RequestExecutor) -> None:
        self._adopt_started_runs()
        # A signal that came before the first request keeps all of them from being sent.
        if not self._events.empty():
            self._handle_event(self._clock.wait_for_event(self._events, 0.0))
        while self.interrupt is None and self._is_busy():
            # With few threads, a start goes before further questions, which come back for as long as runs go on.
            if not self._fire.is_blocked:
                self._carry.dispatch(workers)
            self._fire.dispatch(workers)
            if self._wait:
                self._advance_polling(self._wait, workers)
            if not self._fire.is_blocked:
                self._explain.dispatch(workers)
            if self._keep:
                self._advance_downloads(self._keep, workers)
            self._handle_event(self._clock.wait_for_event(self._events, self._seconds_until_next_action()))
            self._fire.expire_hung_requests()
            self._watcher.on_tick(self._board.results)
        if self.interrupt is not None:
            self._shut_down()

    def _adopt_started_runs(self) -> None:
        for index, run in enumerate(self._board.results):
            kind, named = run.request.kind, run.run_id or run.url
            for attempt in run.previous_attempts:
                self._board.claim(kind, attempt.run_id, attempt.url)
            shared = bool(named) and not self._board.claim(kind, run.run_id, run.url)
            if shared and run.state in {RunState.STARTED, RunState.PASSED}:
                self._board.finish(index, RunState.UNKNOWN, ExitReason.UNKNOWN, _SHARED_ID)
                self._watcher.on_warning(
                    f"{run.request.display_name}: {_SHARED_ID}, {named}. How this run ended is not known."
                )
                self._watcher.on_run_changed(self._board.results[index])
            elif self._wait and run.state is RunState.STARTED:
                self._wait.watch(index)

    def _is_busy(self) -> bool:
        return self._is_polling() or self._explain.is_busy or bool(self._keep and self._keep.is_busy)

    def _is_polling(self) -> bool:
        return self._carry.is_busy or self._fire.is_busy or bool(self._wait and self._wait.is_busy)

    def _advance_downloads(self, keep: EvidenceCollector, workers: RequestExecutor) -> None:
        if not self._fire.is_blocked:
            keep.dispatch(workers)
        if not self._is_polling():
            keep.start_finish_timer()
        if self._clock.monotonic() >= keep.next_action_at():
            self._explain.cancel()
            keep.cancel("they took too long")

    def _advance_polling(self, wait: Poller, workers: RequestExecutor) -> None:
        if not self._fire.is_busy and not self._carry.is_busy:
            wait.start_deadline()
        if not self._fire.is_blocked:
            wait.dispatch(workers)
        wait.expire_hung_requests()
        if self._clock.monotonic() >= wait.deadline:
            self._fire.stop_retrying()
            self._fire.cancel_pending(ExitReason.TIMEOUT, "the time to wait was over")
        if wait.is_finished:
            self._fire.withdraw_unsent(ExitReason.TIMEOUT, "the time to wait was over")
            self._fire.mark_in_flight_unknown("no answer came before the time to wait was over")
            wait.expire_all()
            self._explain.cancel()

    def _seconds_until_next_action(self) -> float:
        now = self._clock.monotonic()
        if self._fire.is_blocked:
            # A thread that ends its request says so by an event.
            return _TICK
        rooms = (self._carry, self._fire, self._explain, self._wait, self._keep)
        return max(0.0, min(now + _TICK, *(room.next_action_at() for room in rooms if room)) - now)

    def _handle_event(self, event: Event | None) -> None:
        self._event = event
        if isinstance(event, StatusReceived) and event.result.http_status:
            self._fire.note_connection()
        match event:
            case SignalReceived():
                self.interrupt = event.signal
            case StartFinished():
                self._fire.handle_result(event)
            case StatusReceived() if self._carry.awaits(event):
                self._carry.handle_status(event)
            case StatusReceived() if self._wait:
                self._wait.handle_status(event)
            case DetailsReceived():
                self._explain.handle_result(event)
            case FileDownloaded() if self._keep:
                self._keep.handle_download(event)
            case UrlsRefreshed() if self._keep:
                self._keep.retry_with_fresh_urls(event)

    def _on_start_finished(self, index: int) -> None:
        """Go on from a start that came to its end: started, or not, or nobody knows."""
        run = self._board.results[index]
        if run.previous_attempts and run.state is RunState.NOT_STARTED:
            run = self._board.restore_previous_attempt(index)
        self._watcher.on_run_changed(run)
        if run.state is RunState.STARTED and self._wait:
            self._wait.watch(index)

    def _on_run_finished(self, index: int) -> None:
        """Go on from a run that ended, or of which no more can be known."""
        run = self._board.results[index]
        if run.reason is ExitReason.UNAUTHORIZED:
            self._fire.refuse_all()
        again = run.state is RunState.FAILED and self._may_start_again(run)
        # A pass is checked against its details. They have its title too, without which a test has no history.
        wanted = run.state in {RunState.PASSED, RunState.FAILED} or (self._keep and self._keep.should_collect(run))
        explained = run.request.kind is TargetKind.TEST and wanted
        if again:
            # Told at once, so that the log does not tell of the second attempt first.
            self._watcher.on_run_changed(run._replace(message=f"it is started again (attempt {run.attempt_count + 1})"))
            self._board.begin_retry(index)
            self._fire.enqueue(index)
        if explained:
            self._explain.add(index, run, told=again)
        elif not again:
            self._watcher.on_run_changed(run)

    def _may_start_again(self, run: RunResult) -> bool:
        wait, waiting = self._wait, self._waiting
        if not wait or not waiting or self.interrupt is not None or self._clock.monotonic() >= wait.deadline:
            return False
        return len(run.previous_attempts) < waiting.retries

    def _shut_down(self) -> None:
        """After a signal: send nothing more, wait briefly for answers under way, and account for every run."""
        self._fire.stop_retrying()
        self._fire.withdraw_unsent(ExitReason.CANCELLED, _CANCELLED)
        until = self._clock.monotonic() + self._policy.shutdown_grace
        while self._fire.in_flight_count and self._clock.monotonic() < until:
            self._handle_event(self._clock.wait_for_event(self._events, until - self._clock.monotonic()))
        self._carry.cancel()
        self._fire.mark_in_flight_unknown("cancelled while the request was under way")
        self._fire.cancel_pending(ExitReason.CANCELLED, _CANCELLED)
        self._explain.cancel()
        if self._keep:
            self._keep.cancel("the job was cancelled")

    def _rescue(self) -> None:
        """After a bug: send nothing more, wait for answers under way, and account for every run."""
        self._fire.stop_retrying()
        patience = self._policy.hung_after if self.interrupt is None else self._policy.shutdown_grace
        until = self._clock.monotonic() + patience
        event = self._event
        while True:
            # Whatever goes wrong here, in memory that is used up or by the same bug, costs no other run.
            with suppress(Exception):
                self._fire.save(event)
            if not self._fire.in_flight_count or self._clock.monotonic() >= until:
                break
            event = None
            with suppress(Exception):
                event = self._clock.wait_for_event(self._events, until - self._clock.monotonic())
            if isinstance(event, SignalReceived):
                self.interrupt = event.signal
                until = min(until, self._clock.monotonic() + self._policy.shutdown_grace)
        for index in range(len(self._board.results)):
            with suppress(Exception):
                self._fire.save_unanswered(index)
