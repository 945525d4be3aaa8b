"""Standard output and standard error that never block the job."""

from __future__ import annotations

import _thread
import errno
import io
import os
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from autonoma_ci.errors import OutputError
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

# The line of a run has about 120 bytes, so this is the log of 1,000 runs that start and end (2 × 120 × 1,000). Linux
# buffers 64 KiB more in a pipe.
MAX_BUFFER_BYTES = 256 * 1024
# One page of a pipe. A reader that reads it in 10 s, or in 1 s after a signal, still makes progress.
_MAX_WRITE_BYTES = 4 * 1024
# A line waits for earlier lines of the other stream, unless that stream has stalled for this time.
_ORDER_WAIT_SECONDS = 0.5
# If the buffer is full, wait for a reader that has read something in this time. All these waits together delay the job
# by at most the second number.
_CAPACITY_WAIT_SECONDS, _MAX_DELAY_SECONDS = 0.1, 1.0
# Shortest and longest pause between two checks.
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.0001, 0.01
# The disk can have space again later, and so can the memory. After any other error, no later write succeeds.
_TEMPORARY_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OutputStream(io.TextIOBase):
    """A standard stream of this process, written by its own thread.

    `write` neither blocks nor raises. Text that can't be written is omitted. Callers check `has_capacity` before a
    line that may be omitted, which limits the memory. If no thread can be started, `write` writes directly.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        # None if the descriptor was closed when Python started.
        buffer = getattr(stream, "buffer", None)
        self._raw: Any = getattr(buffer, "raw", buffer)
        self._is_terminal = stream is not None and stream.isatty()
        self._failure: Exception | None = None if self._raw else OSError(errno.EBADF, "closed")
        self._other: OutputStream | None = None
        self._lock = _thread.allocate_lock()
        # Each piece of text, with `put_bytes` of this stream after it and of the other stream at that moment.
        self._pieces: deque[tuple[bytes, int, int]] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        # Totals in bytes, omitted ones included. The first changes under the lock, the second in the thread.
        self.put_bytes, self.written_bytes = 0, 0
        # When the last byte was written, or added to an empty buffer. Seconds of the monotonic clock.
        self._progress_at = 0.0
        # Seconds of all waits of `has_capacity`.
        self._delay_seconds = 0.0
        # Whether the last line can be incomplete.
        self._is_cut = False
        # Whether the next text starts the thread, and whether the thread is started.
        self._may_start, self._has_thread = False, False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream leads to a terminal."""
        return self._is_terminal

    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            OSError: The stream is closed.

        """
        return self._raw.fileno() if self._raw else super().fileno()

    def start(self, other: OutputStream) -> None:
        """Start the thread with the first text.

        Where threads are limited, standard error then uses none before it has a text.

        Args:
            other: The other stream. Lines stay in order across both streams, unless one of them stalls.

        """
        self._other = other
        self._may_start = not self._failure

    def _start_thread(self) -> None:
        self._may_start = False
        with suppress(RuntimeError, MemoryError):
            # Unlike `threading`, this does not wait until the thread runs.
            _thread.start_new_thread(self._write_pieces, ())
            self._has_thread = True

    def write(self, text: str) -> int:
        """Add a text to the buffer, and return its length in characters.

        Without a thread, write it directly, which waits for the reader.
        """
        with suppress(MemoryError):
            self._put(_encode(text))
        return len(text)

    def _put(self, data: bytes) -> None:
        with self._lock:
            if data and self._may_start:
                self._start_thread()
            if not self._has_thread:
                self._try_to_write(data)
            elif data and not self._failure:
                if not self.has_unwritten:
                    self._progress_at = time.monotonic()
                # A signal can interrupt this anywhere. In this order, the next piece corrects the count.
                self.put_bytes += len(data)
                self._pieces.append((data, self.put_bytes, self._other.put_bytes if self._other else 0))
                self._wake.put(None)

    def write_through(self, text: str) -> None:
        """Write the buffer and then a text, and wait for the reader.

        Raises:
            OSError: The text could not be written.

        """
        _wait_while(lambda: self.has_unwritten)
        if self._failure:
            raise self._failure
        data = _encode(text)
        self._write(b"\n" + data if self._is_cut else data)

    @property
    def has_unwritten(self) -> bool:
        """Whether the buffer has text."""
        return self.written_bytes < self.put_bytes

    def has_capacity(self) -> bool:
        """Return whether the buffer has space for another line.

        Waits briefly for a reader that makes progress.
        """
        while (
            self._is_full and self._delay_seconds < _MAX_DELAY_SECONDS and not self.is_stalled(_CAPACITY_WAIT_SECONDS)
        ):
            started_at = time.monotonic()
            time.sleep(_MAX_PAUSE_SECONDS)
            self._delay_seconds += time.monotonic() - started_at
        return not self._is_full

    @property
    def has_spare_capacity(self) -> bool:
        """Whether at least half of the buffer is free.

        Less important lines use this half only, so that they neither wait nor replace other lines.
        """
        return self.put_bytes - self.written_bytes < MAX_BUFFER_BYTES // 2

    @property
    def _is_full(self) -> bool:
        return self.put_bytes - self.written_bytes >= MAX_BUFFER_BYTES

    def is_stalled(self, seconds: float, since: float = 0.0) -> bool:
        """Return whether the reader has stalled.

        Args:
            seconds: How long nothing was written.
            since: Earliest start of the measurement, in seconds of the monotonic clock.

        """
        return self.has_unwritten and time.monotonic() - max(self._progress_at, since) > seconds

    def _write_pieces(self) -> None:
        while True:
            self._wake.get()
            while self._pieces:
                # Without memory for the lines of one write, the thread continues with the next ones.
                with suppress(MemoryError):
                    self._write_next()

    def _write_next(self) -> None:
        data, put_bytes, after = self._pieces.popleft()
        # Write many lines at once, because this thread waits for the interpreter's lock after each write.
        while len(data) < _MAX_WRITE_BYTES and self._pieces and self._pieces[0][2] == after:
            more, put_bytes, _ = self._pieces.popleft()
            data += more
        try:
            self._await_other(after)
            self._try_to_write(data)
        finally:
            self.written_bytes = put_bytes

    def _await_other(self, after: int) -> None:
        if other := self._other:
            _wait_while(lambda: other.written_bytes < after and not other.is_stalled(_ORDER_WAIT_SECONDS))

    def _try_to_write(self, data: bytes) -> None:
        if self._failure or not data:
            return
        try:
            # Commands of CI systems must start a line, and the failed write can have left half a line.
            self._write(b"\n" + data if self._is_cut else data)
        except (OSError, ValueError, MemoryError) as error:
            self._is_cut = True
            if not isinstance(error, MemoryError) and getattr(error, "errno", None) not in _TEMPORARY_ERRORS:
                self._failure = error

    def _write(self, data: bytes) -> None:
        """Write all bytes. Raises OSError."""
        remaining = memoryview(data)
        while remaining:
            # None if the pipe is full and another process has made it non-blocking.
            written = self._raw.write(remaining[:_MAX_WRITE_BYTES])
            if written:
                remaining = remaining[written:]
                self._progress_at = time.monotonic()
            else:
                time.sleep(_MAX_PAUSE_SECONDS)
        self._is_cut = False


class WriteTimeouts(NamedTuple):
    """How long to wait for the readers of the streams."""

    # Without any progress.
    stalled_seconds: float
    total_seconds: float


def wait_until_written(outputs: Sequence[OutputStream], current_timeouts: Callable[[], WriteTimeouts]) -> None:
    """Wait until all streams are written or stalled, or time is up.

    Args:
        outputs: The streams.
        current_timeouts: Returns how long to wait. A signal makes it shorter.

    """
    started_at = time.monotonic()

    def is_worth_waiting() -> bool:
        stalled, total = current_timeouts()
        is_time_up = time.monotonic() - started_at > total
        return not is_time_up and any(
            output.has_unwritten and not output.is_stalled(stalled, started_at) for output in outputs
        )

    _wait_while(is_worth_waiting)


def _wait_while(holds: Callable[[], bool]) -> None:
    pause = _MIN_PAUSE_SECONDS
    while holds():
        time.sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)


def write_product(stream: TextIO, text: str) -> None:
    """Write the product of a command, and wait for its reader.

    Raises:
        OutputError: The text could not be written. An incomplete product must not end with exit code 0.

    """
    try:
        if isinstance(stream, OutputStream):
            stream.write_through(text)
        else:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "closed"
        raise OutputError(
            f"Standard output could not be written ({reason}). Check the redirection of standard output."
        ) from None


def open_standard_streams() -> None:
    """Open the file descriptors 0 to 2 if they are closed.

    Otherwise a file of this program gets such a number, and a library writes messages for standard error into it.
    Like GNU coreutils, open them for the opposite direction, so that using them fails as if they were closed.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            _open_as(number, flags)


def _open_as(number: int, flags: int) -> None:
    try:
        opened = os.open(os.devnull, flags)
        if opened != number:
            # On Windows, a descriptor can be neither open nor free.
            os.close(opened)
        else:
            # Programs that this one starts need them too.
            os.set_inheritable(opened, True)  # noqa: FBT003
    except OSError:
        return


def _encode(text: str) -> bytes:
    return text.replace("\n", os.linesep).encode("utf-8", "backslashreplace")
