"""Files to which other processes append while the step runs.

No byte of theirs is moved, replaced or removed, whenever they write it. One case is left: on a full disk, the rest of a
block of ours is cut off, and a line that comes between the look at the end and the cut goes with it.

Source: POSIX, "write" and "open": with O_APPEND, the end of the file is found and the data is written in one step.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from autonoma_ci.fs.files import open_for_append, open_shared
from autonoma_ci.fs.locks import LockTimeouts
from autonoma_ci.models import Conclusion, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report

# In bytes. No CI system takes more, so something is wrong with a larger file.
MAX_FILE_BYTES = 16 * 1024 * 1024
# In seconds. A write takes a few milliseconds.
MAX_LOCK_SECONDS = 1.0
# In seconds, for another process that is in the middle of a value of several lines.
MAX_OPEN_SECONDS = 2.0
# In seconds, between two looks.
_POLL_INTERVAL_SECONDS = 0.1
_UNSTARTED_STATES = frozenset({RunState.PLANNED, RunState.STARTING})


class SharedFile:
    """A file that other processes append to. The path is the runner's own, so links in it are followed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._lock_timeouts = LockTimeouts(MAX_LOCK_SECONDS, clock)

    @contextmanager
    def open_locked(self) -> Iterator[int]:
        """Open the file, which is created if it is missing, and lock it for other steps of this program.

        Yields:
            A descriptor to read and to write in place.

        Raises:
            OSError: The file could not be opened, or is not a regular file.
            ValueError: The path has a zero byte.

        """
        descriptor = open_shared(self._path)
        try:
            # On Windows, a lock keeps all other processes from writing, too.
            if os.name != "nt":
                self._lock_timeouts.lock(descriptor)
            yield descriptor
        finally:
            # This releases the lock, and so does the end of the process.
            os.close(descriptor)

    def append(self, data: bytes) -> bytes:
        """Add lines at the end of the file and return what is before them.

        Raises:
            OSError: The lines could not be written whole. Then nothing of them is left.
            ValueError: The path has a zero byte.

        """
        with self.open_locked() as descriptor:
            begin = self.append_to(descriptor, data)
            if not _is_line_start(descriptor, begin):
                # Another process has begun a line between the look at the end and the write. Behind that, the block
                # has no meaning, and its rest would be an error. The second one brings its own line break.
                overwrite_with_blanks(descriptor, begin, len(data))
                begin = self.append_to(descriptor, data, b"\n")
            return read_at(descriptor, 0, begin)

    def append_to(self, descriptor: int, data: bytes, lead: bytes = b"") -> int:
        """Add lines at the end of the open file and return where they begin; raise OSError as `append` does."""
        size = os.fstat(descriptor).st_size
        if size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "larger than 16 MiB")
        # Another process may be in the middle of a line, or have left one without its end.
        lead = lead or (b"" if _is_line_start(descriptor, size) else b"\n")
        appending = open_for_append(self._path)
        try:
            return _append_all(appending, descriptor, lead + data) + len(lead)
        finally:
            os.close(appending)

    def is_closed_within(self, seconds: float, is_open: Callable[[bytes], bool]) -> bool:
        """Wait until the file does not end within a value, and return whether that is so in time.

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
        """Return the size of the file in bytes; raise OSError, or ValueError if the path has a zero byte."""
        return self._path.stat().st_size

    def _read(self) -> bytes:
        descriptor = open_shared(self._path)
        try:
            return read_at(descriptor, 0, MAX_FILE_BYTES)
        finally:
            os.close(descriptor)


def max_wait_seconds(report: Report) -> float:
    """Return how long to wait for the end of what another process writes."""
    # Before the end of the step, the next report is time enough. After a signal, there may be no time.
    may_wait = report.verdict and report.verdict.conclusion is not Conclusion.CANCELLED
    return MAX_OPEN_SECONDS if may_wait else 0.0


def never_open(_: bytes) -> bool:
    """Return that the file does not end within a value: for forms whose values have one line each."""
    return False


class SharedFileValues:
    """Appends values to a shared file whose reader takes the last value of each name.

    Args:
        path: The file.
        clock: The clock that limits the wait for a lock.
        form: Returns the lines that set values.
        is_open: Returns whether a file with these bytes ends within a value. What comes next is a part of it then.
        early: Whether to write them also once all runs are started, for a step that is killed later.

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
        """Append the values that `read` returns of the report, if it is time to.

        `read` must return each name, with an empty text if there is no other: a name that is missing keeps its value,
        which may be that of an earlier step.

        Returns:
            Whether the values can be read: false if they are within a value of another process.

        Raises:
            OSError: The values could not be written.
            ValueError: The path has a zero byte, or the values have no form.

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
        """Wait for the end of a value of another process; return whether to write now, whatever the file's end is."""
        is_closed = self._file.is_closed_within(max_wait_seconds(report), self._is_open)
        return is_closed or bool(report.verdict)

    def _should_write_early(self, report: Report) -> bool:
        """Return whether all runs are started for the first time; without a wait, the step is about to end then."""
        if not (self._may_write_early and report.waits_for_results and report.results):
            return False
        return all(run.state not in _UNSTARTED_STATES for run in report.results)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Return at most `size` bytes from a place in a file; raise OSError."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_at(descriptor: int, offset: int, data: bytes) -> None:
    """Replace the bytes at a place in a file; raise OSError.

    If another process has just made the file shorter, empty lines fill what is between its end and the place.
    """
    _write_all_at(descriptor, offset, data)
    if offset and read_at(descriptor, offset - 1, 1) == b"\0":
        before = len(read_at(descriptor, 0, offset).rstrip(b"\0"))
        _write_all_at(descriptor, before, b"\n" * (offset - before))


def overwrite_with_blanks(descriptor: int, offset: int, size: int) -> None:
    """Make empty lines of our own bytes in a file; raise OSError."""
    write_at(descriptor, offset, b"\n" * size)


def _write_all_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]


def _is_line_start(descriptor: int, offset: int) -> bool:
    return offset == 0 or read_at(descriptor, offset - 1, 1) == b"\n"


def _append_all(appending: int, descriptor: int, data: bytes) -> int:
    """Append data and return where it begins; remove what a write that failed has left, and raise OSError."""
    pieces: list[tuple[int, int]] = []
    done = 0
    try:
        # More than one write is needed only where the disk is full or the file has a limit.
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
        raise OSError(errno.EIO, "another process wrote in between")
    return begin


def _undo_append(appending: int, descriptor: int, pieces: list[tuple[int, int]]) -> None:
    """Remove what was written, or blank it if another process has written behind it."""
    with suppress(OSError):
        for begin, end in reversed(pieces):
            if os.fstat(appending).st_size == end:
                os.ftruncate(appending, begin)
            else:
                overwrite_with_blanks(descriptor, begin, end - begin)
