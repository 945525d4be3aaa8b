"""From a plan to the end of its runs: one thread decides, others send, and a signal is an event like any other.

Runs are waited for from the moment they have started, while others are still being started; a run that
failed is started again, if the user wants that, by the same rules as the first time.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from autonoma_ci.engine.details import Explain
from autonoma_ci.engine.evidence import Keep
from autonoma_ci.engine.reuse import Carry
from autonoma_ci.engine.starter import Fire, Policy
from autonoma_ci.engine.workers import Done, Explained, Fetched, Interrupt, Polled, Refreshed, spare_memory
from autonoma_ci.models import Kind, Reason, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    from autonoma_ci.clock import Clock
    from autonoma_ci.engine.evidence import Keeping
    from autonoma_ci.engine.poller import Wait, Waiting
    from autonoma_ci.engine.run_table import Board
    from autonoma_ci.engine.workers import Event, Events, Watcher, Workers
    from autonoma_ci.models import Outcome

_TICK = 0.5
# For the reports of a step that has used up its memory. The record of a run takes about 4 KiB while it is made.
_SPARE_BYTES, _SPARE_BYTES_PER_RUN = 16 * 1024 * 1024, 4 * 1024
NOTHING_PASSED: Mapping[int, str] = MappingProxyType({})
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
        board: Board,
        policy: Policy,
        clock: Clock,
        events: Events,
        watcher: Watcher,
        waiting: Waiting | None = None,
        keeping: Keeping | None = None,
        passed_before: Mapping[int, str] = NOTHING_PASSED,
    ) -> None:
        self._policy, self._clock, self._events, self._watcher = policy, clock, events, watcher
        self._waiting = waiting
        self._board = board
        self._fire = Fire(board, policy, clock, self._settled, watcher.warn, later=passed_before)
        self._carry = Carry(board, clock, passed_before, self._ended, self._fire.add, self._fire.refuse_all)
        self._keep = Keep(board, clock, keeping) if keeping else None
        self._explain = Explain(board, clock, watcher.changed, self._keep)
        self._wait: Wait | None = None
        if waiting:
            # A step that only starts runs does not need it.
            from autonoma_ci.engine.poller import Wait

            self._wait = Wait(board, waiting, clock, self._ended, watcher.warn)
        # The event that is being dealt with.
        self._event: Event | None = None
        # Given up once the memory is used up, so that there is some to write the reports with.
        self._spare: Sized = b""
        self.interrupt: int | None = None

    def run(self, workers: Workers) -> None:
        """Return when each run has its end, or as much of it as there was time for.

        A bug is raised once the requests under way came back, so that no run that was started is lost.
        """
        self._spare = spare_memory(_SPARE_BYTES + _SPARE_BYTES_PER_RUN * len(self._board.outcomes))
        try:
            self._run(workers)
        except BaseException:
            self._spare = b""
            self._rescue()
            raise
        finally:
            self._spare = b""

    def _run(self, workers: Workers) -> None:
        self._take_up()
        # A signal that came before the first request keeps all of them from being sent.
        if not self._events.empty():
            self._take(self._clock.receive(self._events, 0.0))
        while self.interrupt is None and self._busy():
            # With few threads, a start goes before further questions, which come back for as long as runs go on.
            if not self._fire.is_held_up:
                self._carry.dispatch(workers)
            self._fire.dispatch(workers)
            if self._wait:
                self._waited(self._wait, workers)
            if not self._fire.is_held_up:
                self._explain.dispatch(workers)
            if self._keep:
                self._kept(self._keep, workers)
            self._take(self._clock.receive(self._events, self._pause()))
            self._fire.give_up_overdue()
            self._watcher.tick(self._board.outcomes)
        if self.interrupt is not None:
            self._wind_up()

    def _take_up(self) -> None:
        for position, run in enumerate(self._board.outcomes):
            kind, named = run.request.kind, run.run_id or run.url
            for attempt in run.earlier:
                self._board.claim(kind, attempt.run_id, attempt.url)
            shared = bool(named) and not self._board.claim(kind, run.run_id, run.url)
            if shared and run.state in {State.STARTED, State.PASSED}:
                self._board.change(position, state=State.UNKNOWN, reason=Reason.UNKNOWN, message=_SHARED_ID)
                self._watcher.warn(f"{run.request.label}: {_SHARED_ID}, {named}. How this run ended is not known.")
                self._watcher.changed(self._board.outcomes[position])
            elif self._wait and run.state is State.STARTED:
                self._wait.add(position)

    def _busy(self) -> bool:
        return self._going_on() or self._explain.busy or bool(self._keep and self._keep.busy)

    def _going_on(self) -> bool:
        return self._carry.busy or self._fire.busy or bool(self._wait and self._wait.busy)

    def _kept(self, keep: Keep, workers: Workers) -> None:
        if not self._fire.is_held_up:
            keep.dispatch(workers)
        if not self._going_on():
            keep.close()
        if self._clock.monotonic() >= keep.due():
            self._explain.give_up()
            keep.give_up("they took too long")

    def _waited(self, wait: Wait, workers: Workers) -> None:
        if not self._fire.busy and not self._carry.busy:
            wait.begin()
        if not self._fire.is_held_up:
            wait.dispatch(workers)
        wait.give_up_overdue()
        if self._clock.monotonic() >= wait.deadline:
            self._fire.stop()
            self._fire.drop(Reason.TIMEOUT, "the time to wait was over")
        if wait.over:
            self._fire.call_back(Reason.TIMEOUT, "the time to wait was over")
            self._fire.abandon("no answer came before the time to wait was over")
            wait.close()
            self._explain.give_up()

    def _pause(self) -> float:
        now = self._clock.monotonic()
        if self._fire.is_held_up:
            # A thread that ends its request says so by an event.
            return _TICK
        rooms = (self._carry, self._fire, self._explain, self._wait, self._keep)
        return max(0.0, min(now + _TICK, *(room.due() for room in rooms if room)) - now)

    def _take(self, event: Event | None) -> None:
        self._event = event
        if isinstance(event, Polled) and event.status.status:
            self._fire.note_connection()
        match event:
            case Interrupt():
                self.interrupt = event.signal
            case Done():
                self._fire.take(event)
            case Polled() if self._carry.awaits(event):
                self._carry.take(event)
            case Polled() if self._wait:
                self._wait.take(event)
            case Explained():
                self._explain.take(event)
            case Fetched() if self._keep:
                self._keep.take(event)
            case Refreshed() if self._keep:
                self._keep.renew(event)

    def _settled(self, position: int) -> None:
        """Go on from a start that came to its end: started, or not, or nobody knows."""
        run = self._board.outcomes[position]
        if run.earlier and run.state is State.NOT_STARTED:
            run = self._board.take_back(position)
        self._watcher.changed(run)
        if run.state is State.STARTED and self._wait:
            self._wait.add(position)

    def _ended(self, position: int) -> None:
        """Go on from a run that ended, or of which no more can be known."""
        run = self._board.outcomes[position]
        if run.reason is Reason.UNAUTHORIZED:
            self._fire.refuse_all()
        again = run.state is State.FAILED and self._may_start_again(run)
        # A pass is checked against its details. They have its title too, without which a test has no history.
        wanted = run.state in {State.PASSED, State.FAILED} or (self._keep and self._keep.wants(run))
        explained = run.request.kind is Kind.TEST and wanted
        if again:
            # Told at once, so that the log does not tell of the second attempt first.
            self._watcher.changed(run._replace(message=f"it is started again (attempt {run.attempts + 1})"))
            self._board.start_again(position)
            self._fire.add(position)
        if explained:
            self._explain.add(position, run, told=again)
        elif not again:
            self._watcher.changed(run)

    def _may_start_again(self, run: Outcome) -> bool:
        wait, waiting = self._wait, self._waiting
        if not wait or not waiting or self.interrupt is not None or self._clock.monotonic() >= wait.deadline:
            return False
        return len(run.earlier) < waiting.retries

    def _wind_up(self) -> None:
        """After a signal: send nothing more, wait briefly for answers under way, and account for every run."""
        self._fire.stop()
        self._fire.call_back(Reason.CANCELLED, _CANCELLED)
        until = self._clock.monotonic() + self._policy.grace
        while self._fire.under_way and self._clock.monotonic() < until:
            self._take(self._clock.receive(self._events, until - self._clock.monotonic()))
        self._carry.give_up()
        self._fire.abandon("cancelled while the request was under way")
        self._fire.drop(Reason.CANCELLED, _CANCELLED)
        self._explain.give_up()
        if self._keep:
            self._keep.give_up("the job was cancelled")

    def _rescue(self) -> None:
        """After a bug: send nothing more, wait for answers under way, and account for every run."""
        self._fire.stop()
        patience = self._policy.overdue if self.interrupt is None else self._policy.grace
        until = self._clock.monotonic() + patience
        event = self._event
        while True:
            # Whatever goes wrong here, in memory that is used up or by the same bug, costs no other run.
            with suppress(Exception):
                self._fire.save(event)
            if not self._fire.under_way or self._clock.monotonic() >= until:
                break
            event = None
            with suppress(Exception):
                event = self._clock.receive(self._events, until - self._clock.monotonic())
            if isinstance(event, Interrupt):
                self.interrupt = event.signal
                until = min(until, self._clock.monotonic() + self._policy.grace)
        for position in range(len(self._board.outcomes)):
            with suppress(Exception):
                self._fire.save_unanswered(position)
