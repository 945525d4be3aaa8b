"""Who sends the requests while the engine decides: threads, and the events by which they report."""

from __future__ import annotations

import mmap
import queue
import sys
import threading
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, TypeVar

from autonoma_ci.api.models import DownloadResult, PollResult, PollStatus, RunDetails, StartResult, StartStatus
from autonoma_ci.models import ExitReason
from autonoma_ci.net.connection_state import SendGate, connection_state
from autonoma_ci.net.threads import ThreadStuckError, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from autonoma_ci.api.models import EvidenceFile
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import RunRequest, RunResult, TargetKind

T = TypeVar("T")
# How long a slow report may take once a signal has come. All that a later step needs is written before.
MAX_SECONDS_AFTER_SIGNAL = 1.5
# How long it may take without one. Its own limit is 60 s, but the resolution of a name has none.
MAX_REPORT_SECONDS = 65.0
# For the responses under way once memory is used up: the largest have 1 MiB, and most a thousandth of that.
_SPARE_BYTES = 4 * 1024 * 1024
# What is raised where memory, threads or files are used up. They may be there again in a moment.
_PASSING = (MemoryError, RuntimeError, SystemError, OSError)
HINT_NO_RESPONSE = "The run may have started: look for it in Autonoma before starting it again."


class StartFinished(NamedTuple):
    """A request to start a run came back."""

    plan_index: int
    result: StartResult


class StatusReceived(NamedTuple):
    """The question how a run stands came back; `number` counts the questions for the run."""

    plan_index: int
    run_id: str
    result: PollResult
    request_number: int


class DetailsReceived(NamedTuple):
    """The question what a run did came back."""

    plan_index: int
    run_id: str
    details: RunDetails


class UrlsRefreshed(NamedTuple):
    """The question for new addresses of a run's screenshots and video came back."""

    plan_index: int
    run_id: str
    details: RunDetails


class FileDownloaded(NamedTuple):
    """A screenshot or video was fetched, or could not be."""

    plan_index: int
    file: EvidenceFile
    result: DownloadResult


class SignalReceived(NamedTuple):
    """The job was told to stop, by this signal."""

    signal: int


class LookupFinished(NamedTuple):
    """A thread that looked up ids has ended."""


class ReportWritten(NamedTuple):
    """A slow report was written, or could not be."""


Event: TypeAlias = (
    StartFinished
    | StatusReceived
    | DetailsReceived
    | UrlsRefreshed
    | FileDownloaded
    | SignalReceived
    | LookupFinished
    | ReportWritten
)
Events: TypeAlias = "queue.SimpleQueue[Event]"


class ProgressListener(Protocol):
    """Is told of every change while it happens, and at least twice a second that time passes."""

    def on_run_changed(self, outcome: RunResult) -> None:
        """Take note of a run that was started, or ended, or could not be started."""

    def on_warning(self, text: str) -> None:
        """Take note of something odd that does not end anything."""

    def on_tick(self, outcomes: Sequence[RunResult]) -> None:
        """Write down what there is, if it is time to."""


class RequestExecutor(Protocol):
    """Sends requests in the background; each comes back as an event that names the run's place in the plan."""

    def can_start(self) -> bool:
        """Return whether a request would be sent at once, rather than wait for another one; make a thread for it."""

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Ask for a run to start; a Done comes back.

        What is returned withdraws the request: it is true if nothing was sent, and then nothing ever will be.
        """

    def poll(self, index: int, request: RunRequest, run_id: str, number: int) -> None:
        """Get the status of a run; a Polled with this number comes back."""

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Ask what a run did, and with `media` where that is to be seen; an Explained comes back."""

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Ask for new addresses of a run's screenshots and video; a Refreshed comes back."""

    def download(self, index: int, item: EvidenceFile) -> None:
        """Fetch a screenshot or video; a Fetched comes back."""


class RunApi(Protocol):
    """What the threads call; never raises for what a server or a network does.

    Each call notes in `line` of `api.line` whether it has made a connection. An error without one means not sent. A
    start passes the gate in `line` before it sends.
    """

    def start(self, request: RunRequest) -> StartResult:
        """Ask once for a run to start."""

    def status(self, request: RunRequest, run_id: str) -> PollResult:
        """Get the status of a run."""

    def details(self, request: RunRequest, run_id: str, *, media: bool = False) -> RunDetails:
        """Ask once what a run did, and with `media` where that is to be seen."""

    def name_of(self, kind: TargetKind, request: RunRequest) -> str | None:
        """Return the account's name for the request's id as one of this kind; None if it has no such id."""


if sys.platform == "win32":

    def _private_memory(size: int) -> Sized:
        return mmap.mmap(-1, size)

else:

    def _private_memory(size: int) -> Sized:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def spare_memory(size: int) -> Sized:
    """Return that many bytes, or none if there are no more: to be given up once memory is used up.

    The system gives no page of it until it is written to, so it costs address space alone. That of `bytes` can be
    memory that was used before, which is cleared and so takes room.
    """
    try:
        return _private_memory(size)
    except (OSError, MemoryError):
        return b""


class ThreadedExecutor:
    """One daemon thread per request under way; idle ones are used again.

    Where no further thread can be made, since the number of processes or the memory is limited, a request waits for a
    thread that is there. If there is none, it is sent at once, in the thread that asks for it. Then `can_start` is
    false until all events are taken, so that a signal or a refusal is heard before the next start.
    """

    def __init__(
        self, api: RunApi, events: Events, keep: Callable[[EvidenceFile], DownloadResult] | None = None
    ) -> None:
        self.api = api
        self._keep = keep
        self._events = events
        self._tasks: queue.SimpleQueue[Callable[[], Event]] = queue.SimpleQueue()
        # How many threads there are, and how many tasks have not ended. Both change under the lock.
        self._threads, self._open = 0, 0
        self._lock = threading.Lock()
        self._may_add_threads = True
        self._spare = spare_memory(_SPARE_BYTES)

    def can_start(self) -> bool:
        """Return whether a request would be sent at once, rather than wait for another one; make a thread for it."""
        return self._has_free_thread() or (not self._threads and self._events.empty())

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Ask for a run to start; return what withdraws the request if nothing was sent."""
        gate = SendGate()
        self._submit(lambda: StartFinished(index, self._started(request, gate)))
        return gate.withdraw

    def poll(self, index: int, request: RunRequest, run_id: str, number: int) -> None:
        """Get the status of a run."""
        self._submit(lambda: StatusReceived(index, run_id, self._status(request, run_id), number))

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Ask what a run did."""
        self._submit(lambda: DetailsReceived(index, run_id, self._details(request, run_id, media)))

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Ask for new addresses of a run's screenshots and video."""
        self._submit(lambda: UrlsRefreshed(index, run_id, self._details(request, run_id, media=True)))

    def download(self, index: int, item: EvidenceFile) -> None:
        """Fetch a screenshot or video."""
        self._submit(lambda: FileDownloaded(index, item, self._kept(item)))

    # Whatever goes wrong in a thread, the run must not be lost: it comes back as what is known of it.
    def _started(self, request: RunRequest, gate: SendGate) -> StartResult:
        try:
            # The connection of this thread's last request says nothing of this one.
            connection_state.reset()
            connection_state.gate = gate
            return self.api.start(request)
        except Exception as error:  # noqa: BLE001
            self._spare = b""
            return self._unexpected(error)
        finally:
            connection_state.gate = None

    def _unexpected(self, error: Exception) -> StartResult:
        if isinstance(error, MemoryError):
            # Each further thread takes memory from the requests that are under way.
            self._may_add_threads = False
        what = f"unexpected {type(error).__name__}"
        if not connection_state.nothing_sent:
            return StartResult(
                StartStatus.INDETERMINATE,
                ExitReason.UNKNOWN,
                message=f"{what} while sending",
                suggestion=HINT_NO_RESPONSE,
            )
        delivery = StartStatus.NOT_SENT if isinstance(error, _PASSING) else StartStatus.CANNOT_SEND
        return StartResult(delivery, ExitReason.API, message=f"not sent: {what} before there was a connection")

    def _status(self, request: RunRequest, run_id: str) -> PollResult:
        try:
            return self.api.status(request, run_id)
        except Exception as error:  # noqa: BLE001
            return PollResult(PollStatus.UNAVAILABLE, message=f"unexpected {type(error).__name__} while asking")

    def _details(self, request: RunRequest, run_id: str, media: bool) -> RunDetails:  # noqa: FBT001
        try:
            return self.api.details(request, run_id, media=media)
        except Exception as error:  # noqa: BLE001
            return RunDetails(error=f"unexpected {type(error).__name__} while asking")

    def _kept(self, item: EvidenceFile) -> DownloadResult:
        try:
            return self._keep(item) if self._keep else DownloadResult(error="there is no place for it")
        except Exception as error:  # noqa: BLE001
            return DownloadResult(error=f"unexpected {type(error).__name__} while fetching")

    def _submit(self, task: Callable[[], Event]) -> None:
        if self._has_free_thread() or self._threads:
            with self._lock:
                self._open += 1
            self._tasks.put(task)
        else:
            self._events.put(task())

    def _has_free_thread(self) -> bool:
        """Return whether a thread has nothing to do; make one if there is none."""
        with self._lock:
            is_free = self._open < self._threads
        return is_free or self._add_thread()

    def _add_thread(self) -> bool:
        """Make a thread; return whether that could be done."""
        if not self._may_add_threads:
            return False
        try:
            start_thread(self._work)
        except (RuntimeError, MemoryError) as error:
            # It took seconds, in which no event was heard.
            self._may_add_threads = not isinstance(error, ThreadStuckError)
            return False
        with self._lock:
            self._threads += 1
        return True

    def _work(self) -> None:
        try:
            while True:
                task = self._tasks.get()
                try:
                    event = task()
                finally:
                    # Before the event: whoever sees it may send the next request at once.
                    with self._lock:
                        self._open -= 1
                self._events.put(event)
        finally:
            # Memory was used up while an error was dealt with. Nothing may wait for this thread any more.
            with self._lock:
                self._threads -= 1


class ReportThread:
    """Writes slow reports one by one, each in a thread of its own, for as long as signal and time allow.

    `signalled` says that a signal has come already.
    """

    def __init__(self, events: Events, clock: Clock, *, signalled: bool) -> None:
        self._events, self._clock = events, clock
        self._until = clock.monotonic() + MAX_SECONDS_AFTER_SIGNAL if signalled else inf

    def write(self, task: Callable[[], T]) -> T | None:
        """Return what the task returns, or None if it took too long and was left behind.

        Raises what the task raises. Where no thread can be made, the task is done in this one.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(task())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                errors.append(error)
            self._events.put(ReportWritten())

        try:
            start_thread(work)
        except (RuntimeError, MemoryError):
            return task()
        limit = self._clock.monotonic() + MAX_REPORT_SECONDS
        while not results and not errors:
            now = self._clock.monotonic()
            if now >= min(limit, self._until):
                return None
            event = self._clock.wait_for_event(self._events, min(limit, self._until) - now)
            if isinstance(event, SignalReceived):
                self._until = min(self._until, self._clock.monotonic() + MAX_SECONDS_AFTER_SIGNAL)
        if errors:
            raise errors[0]
        return results[0]
