"""Files that other processes append to during the job step.

We never move, replace or remove bytes of other processes. One case remains: on a full disk, we cut off the rest of our
own block. A line that another process appends between our check of the end and the cut is lost.

Source: POSIX, "write" and "open": with O_APPEND, the end of the file is found and the data is written in one step.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from autonoma_ci.fs.files import open_for_append, open_or_create
from autonoma_ci.fs.locks import LockTimeouts
from autonoma_ci.models import PENDING_STATES, Conclusion
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report

_log = DebugLogger()
# No CI system accepts a larger file.
MAX_FILE_BYTES = 16 * 1024 * 1024
# A write needs a few milliseconds.
MAX_LOCK_SECONDS = 1.0
# Wait for another process that is in the middle of a value of several lines.
MAX_OPEN_SECONDS = 2.0
# In seconds, between two looks.
_POLL_INTERVAL_SECONDS = 0.1


class SharedFile:
    """A file that other processes append to.

    The path comes from the runner, so symbolic links in it are followed.

    Args:
        path: The file.
        clock: The clock that limits the wait for a lock.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._lock_timeouts = LockTimeouts(MAX_LOCK_SECONDS, clock)

    @contextmanager
    def open_locked(self) -> Iterator[int]:
        """Open the file and lock it.

        The lock excludes other job steps of this program. A missing file is created.

        Yields:
            A descriptor to read and to write in place.

        Raises:
            OSError: The file could not be opened, or is not a regular file.
            ValueError: The path has a zero byte.
        """
        descriptor = open_or_create(self._path)
        try:
            # On Windows, a lock also prevents writes of all other processes.
            if os.name != "nt":
                self._lock_timeouts.lock(descriptor)
            yield descriptor
        finally:
            # This releases the lock. The end of the process releases it too.
            os.close(descriptor)

    def append(self, data: bytes) -> bytes:
        """Append lines and return all bytes before them.

        Raises:
            OSError: The lines could not be written completely. Then none of them remain.
            ValueError: The path has a zero byte.
        """
        with self.open_locked() as descriptor:
            begin = self.append_to(descriptor, data)
            if not _is_line_start(descriptor, begin):
                # Another process began a line between our check of the end and the write. Our block is part of that
                # line and would be an error, so we blank it. The second block starts with its own line break.
                overwrite_with_blanks(descriptor, begin, len(data))
                begin = self.append_to(descriptor, data, b"\n")
            _log.debug("Appended to %s (%d bytes)", self._path, len(data))
            return read_at(descriptor, 0, begin)

    def append_to(self, descriptor: int, data: bytes, lead: bytes = b"") -> int:
        """Append lines to the open file and return their offset.

        Args:
            descriptor: The open file.
            data: The lines.
            lead: Bytes before the lines. Empty for a line break only where one is missing.

        Raises:
            OSError: The lines could not be written completely. Then none of them remain.
        """
        size = os.fstat(descriptor).st_size
        if size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "larger than 16 MiB")
        # Another process may be in the middle of a line, or may have left one without a line break.
        lead = lead or (b"" if _is_line_start(descriptor, size) else b"\n")
        appending = open_for_append(self._path)
        try:
            return _append_all(appending, descriptor, lead + data) + len(lead)
        finally:
            os.close(appending)

    def is_closed_within(self, seconds: float, is_open: Callable[[bytes], bool]) -> bool:
        """Wait until the file ends outside of a value.

        Args:
            seconds: The maximum wait.
            is_open: Returns whether a file with these bytes ends within a value.

        Returns:
            Whether it does in time.

        Raises:
            OSError: The file could not be read.
            ValueError: The path has a zero byte.
        """
        deadline = self._clock.monotonic() + seconds
        while is_open(self._read()):
            if self._clock.monotonic() >= deadline:
                return False
            self._clock.sleep(_POLL_INTERVAL_SECONDS)
        return True

    def size(self) -> int:
        """Return the size of the file in bytes.

        Raises:
            OSError: The file could not be read.
            ValueError: The path has a zero byte.
        """
        return self._path.stat().st_size

    def _read(self) -> bytes:
        descriptor = open_or_create(self._path)
        try:
            return read_at(descriptor, 0, MAX_FILE_BYTES)
        finally:
            os.close(descriptor)


def max_wait_seconds(report: Report) -> float:
    """Return the maximum wait for another process to end its value."""
    # Before the end of the job step, the next report can write. After a signal, there may be no time.
    may_wait = report.verdict and report.verdict.conclusion is not Conclusion.CANCELLED
    return MAX_OPEN_SECONDS if may_wait else 0.0


def never_open(_: bytes) -> bool:
    """Return False, for formats whose values have one line each."""
    return False


class SharedFileValues:
    """Appends values to a shared file.

    The reader of the file uses the last value of each name.

    Args:
        path: The file.
        clock: The clock that limits the wait for a lock.
        format_lines: Returns the lines that set values.
        is_open: Returns whether a file with these bytes ends within a value. Appended text would become a part of it.
        write_early: Whether to write also once all runs are started, in case the job step is killed later.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        format_lines: Callable[[Mapping[str, str]], str],
        is_open: Callable[[bytes], bool] = never_open,
        *,
        write_early: bool = True,
    ) -> None:
        self._file, self._format_lines, self._is_open = SharedFile(path, clock), format_lines, is_open
        self._may_write_early = write_early
        self._values: Mapping[str, str] = {}

    def write(self, report: Report, select_variables: Callable[[Report], Mapping[str, str]]) -> bool:
        """Append the values of a report if they are due.

        Args:
            report: The report.
            select_variables: Returns the values. It must return each name, with an empty text for no value. A missing
                name would retain its value in the file, which can be of an earlier step.

        Returns:
            Whether the values are readable: False if they are within a value of another process.

        Raises:
            OSError: The values could not be written.
            ValueError: The path has a zero byte, or the format does not support the values.
        """
        if not report.verdict and not self._should_write_early(report):
            return True
        values = select_variables(report)
        if values == self._values:
            return True
        if not self._wait_until_writable(report):
            return True
        self._may_write_early = False
        before = self._file.append(self._format_lines(values).encode(errors="replace"))
        self._values = values
        return not self._is_open(before)

    def _wait_until_writable(self, report: Report) -> bool:
        """Wait for another process to end its value.

        Returns:
            Whether to write now. At the end of the job step, this is always True.
        """
        is_closed = self._file.is_closed_within(max_wait_seconds(report), self._is_open)
        return is_closed or bool(report.verdict)

    def _should_write_early(self, report: Report) -> bool:
        """Return whether all runs are started and none was written before.

        A job step that does not wait for results ends at once, so it never writes early.
        """
        if not (self._may_write_early and report.waits_for_results and report.results):
            return False
        return all(run.state not in PENDING_STATES for run in report.results)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Return at most `size` bytes at an offset of a file.

    Raises:
        OSError: The file could not be read.
    """
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_at(descriptor: int, offset: int, data: bytes) -> None:
    """Replace the bytes at an offset of a file.

    If another process has just shortened the file, empty lines fill the gap before the offset.

    Raises:
        OSError: The file could not be read or written.
    """
    _write_all_at(descriptor, offset, data)
    if offset and read_at(descriptor, offset - 1, 1) == b"\0":
        before = len(read_at(descriptor, 0, offset).rstrip(b"\0"))
        _write_all_at(descriptor, before, b"\n" * (offset - before))


def overwrite_with_blanks(descriptor: int, offset: int, size: int) -> None:
    """Replace our own bytes in a file by empty lines.

    Raises:
        OSError: The file could not be read or written.
    """
    write_at(descriptor, offset, b"\n" * size)


def _write_all_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]


def _is_line_start(descriptor: int, offset: int) -> bool:
    return offset == 0 or read_at(descriptor, offset - 1, 1) == b"\n"


def _append_all(appending: int, descriptor: int, data: bytes) -> int:
    """Append data completely or not at all, and return its offset.

    Raises:
        OSError: The data could not be written in one block. Then nothing of it remains.
    """
    pieces: list[tuple[int, int]] = []
    done = 0
    try:
        # More than one write is needed only on a full disk or for a file with a size limit.
        while done < len(data):
            count = os.write(appending, data[done:])
            end = os.lseek(appending, 0, os.SEEK_CUR)
            pieces.append((end - count, end))
            done += count
    except OSError:
        _undo_append(appending, descriptor, pieces)
        raise
    begin = pieces[0][0]
    if pieces[-1][1] - begin != len(data):
        _undo_append(appending, descriptor, pieces)
        raise OSError(errno.EIO, "another process wrote at the same time")
    return begin


def _undo_append(appending: int, descriptor: int, pieces: list[tuple[int, int]]) -> None:
    """Remove appended data, or blank it before another process's data."""
    with suppress(OSError):
        for begin, end in reversed(pieces):
            if os.fstat(appending).st_size == end:
                os.ftruncate(appending, begin)
            else:
                overwrite_with_blanks(descriptor, begin, end - begin)
