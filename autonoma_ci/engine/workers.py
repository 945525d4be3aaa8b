"""Send requests in worker threads, and return the responses as events.

The engine decides in one thread, and these threads only send.
"""

from __future__ import annotations

import mmap
import queue
import sys
import threading
from typing import TYPE_CHECKING, Protocol, TypeAlias

from autonoma_ci.api.models import (
    HINT_MAY_HAVE_STARTED,
    DownloadResult,
    PollResult,
    PollStatus,
    RunDetails,
    StartResult,
    StartStatus,
)
from autonoma_ci.models import ExitReason
from autonoma_ci.net.connection_state import SendGate, connection_state
from autonoma_ci.net.threads import ThreadStuckError, start_thread
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from autonoma_ci.api.models import EvidenceFile
    from autonoma_ci.models import RunRequest, RunResult, TargetKind

# Memory for the responses in flight when no memory is left. The largest response has 1 MiB, most have about 1 KiB.
_RESERVE_BYTES = 4 * 1024 * 1024
# The errors of missing memory, threads or file descriptors. These can be available again after a moment.
_TRANSIENT_ERRORS = (MemoryError, RuntimeError, SystemError, OSError)


class StartFinished(NamedTuple):
    """A start request has a result."""

    # The index of the run in the plan.
    plan_index: int
    result: StartResult


class StatusReceived(NamedTuple):
    """A poll has a result."""

    plan_index: int
    run_id: str
    result: PollResult
    # The number of the poll for this run, from 1. 0 is the poll that confirms a pass of an earlier build attempt.
    request_number: int


class DetailsReceived(NamedTuple):
    """A details request has a result."""

    plan_index: int
    run_id: str
    details: RunDetails


class UrlsRefreshed(NamedTuple):
    """A request for fresh URLs has a result."""

    plan_index: int
    run_id: str
    details: RunDetails


class FileDownloaded(NamedTuple):
    """The download of a screenshot or video has a result."""

    plan_index: int
    file: EvidenceFile
    result: DownloadResult


class SignalReceived(NamedTuple):
    """The job received a signal."""

    signal: int


class LookupFinished(NamedTuple):
    """A thread that looked up ids has ended."""


class ReportWritten(NamedTuple):
    """The thread of a slow report has ended."""


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
    """Receives each change of a run, and ticks until the engine shuts down.

    A tick follows each event. Without events, there are two ticks per second.
    """

    def on_run_changed(self, run: RunResult) -> None:
        """Handle a run that started, ended or did not start."""

    def on_warning(self, message: str) -> None:
        """Handle a warning that ends no run."""

    def on_tick(self, results: Sequence[RunResult]) -> None:
        """Publish the current results if it is time."""


class RequestExecutor(Protocol):
    """Sends requests in the background.

    The result of each request arrives as an event with the index of the run in the plan.
    """

    def can_start(self) -> bool:
        """Return whether a thread is free, and start one if needed."""

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Send a start request, with the result in StartFinished.

        Returns:
            A function that withdraws the request. It returns True if nothing was sent, and then nothing will be sent.

        """

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        """Request the status of a run, with the result in StatusReceived."""

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Request the details of a run, with the result in DetailsReceived.

        With `media`, they have the signed URLs of screenshots and video.
        """

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Request fresh URLs of a run's files, with the result in UrlsRefreshed."""

    def download(self, index: int, file: EvidenceFile) -> None:
        """Download a screenshot or video, with the result in FileDownloaded."""


class RunApi(Protocol):
    """The API calls of the threads.

    They never raise an error of a server or a network. Each call records in `net.connection_state` whether it made a
    connection. After an unexpected error without a connection, nothing was sent. A start request passes the gate in
    `connection_state` before it sends.
    """

    def start(self, request: RunRequest) -> StartResult:
        """Send one start request, without retries."""

    def poll_status(self, request: RunRequest, run_id: str) -> PollResult:
        """Request the status of a run."""

    def fetch_details(self, request: RunRequest, run_id: str, *, media: bool = False) -> RunDetails:
        """Request the details of a run once.

        With `media`, they have the signed URLs of screenshots and video.
        """

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        """Return the name of an id of this kind, or None."""


if sys.platform == "win32":

    def _map_private_memory(size: int) -> Sized:
        return mmap.mmap(-1, size)

else:

    def _map_private_memory(size: int) -> Sized:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def reserve_memory(size: int) -> Sized:
    """Reserve memory to release when no memory is left.

    The system provides a page only when it is written to, so the reserve needs address space only. `bytes` can reuse
    memory of the process. It clears this memory, so the pages would be in use.

    Args:
        size: The number of bytes.

    Returns:
        An object that holds the memory, or empty bytes if none is available.

    """
    try:
        return _map_private_memory(size)
    except (OSError, MemoryError):
        return b""


class ThreadedExecutor:
    """Sends requests in daemon threads, one request per thread.

    Idle threads are reused. If no further thread can start, because of a limit for processes or memory, a request waits
    for an existing thread. If there is no thread at all, the calling thread sends the request itself. Then `can_start`
    returns False until all events are handled, so that a signal or a rejection is handled before the next start.

    Args:
        api: Sends the requests.
        events: The queue that receives the results.
        download: Downloads one file, or None if files cannot be stored.

    """

    def __init__(
        self, api: RunApi, events: Events, download: Callable[[EvidenceFile], DownloadResult] | None = None
    ) -> None:
        self.api = api
        self._download = download
        self._events = events
        self._tasks: queue.SimpleQueue[Callable[[], Event]] = queue.SimpleQueue()
        # The number of threads, and of tasks that have not ended. The lock protects both.
        self._thread_count, self._open_task_count = 0, 0
        self._lock = threading.Lock()
        self._may_add_threads = True
        self._memory_reserve = reserve_memory(_RESERVE_BYTES)

    def can_start(self) -> bool:
        """Return whether a thread is free, and start one if needed."""
        return self._ensure_free_thread() or (not self._thread_count and self._events.empty())

    def start(self, index: int, request: RunRequest) -> Callable[[], bool]:
        """Send a start request, and return a function that withdraws it."""
        gate = SendGate()
        self._submit(lambda: StartFinished(index, self._request_start(request, gate)))
        return gate.withdraw

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int) -> None:
        """Request the status of a run."""
        self._submit(lambda: StatusReceived(index, run_id, self._request_status(request, run_id), request_number))

    def fetch_details(self, index: int, request: RunRequest, run_id: str, *, media: bool = False) -> None:
        """Request the details of a run."""
        self._submit(lambda: DetailsReceived(index, run_id, self._request_details(request, run_id, media)))

    def refresh_urls(self, index: int, request: RunRequest, run_id: str) -> None:
        """Request fresh URLs of a run's screenshots and video."""
        self._submit(lambda: UrlsRefreshed(index, run_id, self._request_details(request, run_id, media=True)))

    def download(self, index: int, file: EvidenceFile) -> None:
        """Download a screenshot or video."""
        self._submit(lambda: FileDownloaded(index, file, self._download_file(file)))

    # The next methods catch all errors, because an error in a thread must not lose the run.
    def _request_start(self, request: RunRequest, gate: SendGate) -> StartResult:
        try:
            # The state is still that of the last request of this thread.
            connection_state.reset()
            connection_state.gate = gate
            return self.api.start(request)
        except Exception as error:  # noqa: BLE001
            self._memory_reserve = b""
            return self._build_error_result(error)
        finally:
            connection_state.gate = None

    def _build_error_result(self, error: Exception) -> StartResult:
        if isinstance(error, MemoryError):
            # Each further thread needs memory that the requests in flight need too.
            self._may_add_threads = False
        message = f"unexpected {type(error).__name__}"
        if not connection_state.nothing_sent:
            return StartResult(
                StartStatus.INDETERMINATE,
                ExitReason.UNKNOWN,
                message=f"{message} while sending",
                suggestion=HINT_MAY_HAVE_STARTED,
            )
        status = StartStatus.NOT_SENT if isinstance(error, _TRANSIENT_ERRORS) else StartStatus.CANNOT_SEND
        return StartResult(status, ExitReason.API, message=f"not sent: {message} before the connection")

    def _request_status(self, request: RunRequest, run_id: str) -> PollResult:
        try:
            return self.api.poll_status(request, run_id)
        except Exception as error:  # noqa: BLE001
            return PollResult(PollStatus.UNAVAILABLE, message=f"unexpected {type(error).__name__} while polling")

    def _request_details(self, request: RunRequest, run_id: str, media: bool) -> RunDetails:  # noqa: FBT001
        try:
            return self.api.fetch_details(request, run_id, media=media)
        except Exception as error:  # noqa: BLE001
            return RunDetails(error=f"unexpected {type(error).__name__} while polling")

    def _download_file(self, file: EvidenceFile) -> DownloadResult:
        try:
            return self._download(file) if self._download else DownloadResult(error="no directory for files")
        except Exception as error:  # noqa: BLE001
            return DownloadResult(error=f"unexpected {type(error).__name__} while downloading")

    def _submit(self, task: Callable[[], Event]) -> None:
        if self._ensure_free_thread() or self._thread_count:
            with self._lock:
                self._open_task_count += 1
            self._tasks.put(task)
        else:
            self._events.put(task())

    def _ensure_free_thread(self) -> bool:
        """Return whether a thread is idle, and start one if needed."""
        with self._lock:
            is_free = self._open_task_count < self._thread_count
        return is_free or self._add_thread()

    def _add_thread(self) -> bool:
        """Start a thread, and return whether it started."""
        if not self._may_add_threads:
            return False
        try:
            start_thread(self._run_tasks)
        except (RuntimeError, MemoryError) as error:
            # A stuck thread start blocks for seconds, and during this time no event is handled.
            self._may_add_threads = not isinstance(error, ThreadStuckError)
            return False
        with self._lock:
            self._thread_count += 1
        return True

    def _run_tasks(self) -> None:
        try:
            while True:
                task = self._tasks.get()
                try:
                    event = task()
                finally:
                    # This is before the event, because its receiver may send the next request immediately.
                    with self._lock:
                        self._open_task_count -= 1
                self._events.put(event)
        finally:
            # The thread ends because there was no memory to handle an error. No request may wait for this thread.
            with self._lock:
                self._thread_count -= 1
