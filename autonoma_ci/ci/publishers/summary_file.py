"""A summary in a Markdown file to which other processes append while the step runs.

The step owns one region of the file, between two comments that nothing shows. It is replaced in place, and has room to
grow, so no byte of others is ever moved. Source: CommonMark, "HTML blocks", and GitHub's documentation, "Adding a job
summary".
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.publishers.markdown_blocks import ends_in_block
from autonoma_ci.ci.publishers.shared_file import (
    MAX_FILE_BYTES,
    SharedFile,
    max_wait_seconds,
    overwrite_with_blanks,
    read_at,
    write_at,
)
from autonoma_ci.fs.files import os_error_reason
from autonoma_ci.reports.markdown import MAX_SUMMARY_BYTES, render_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report

# In bytes. A row has about 150 for a run that is starting, and about 1,000 for one that has failed at a step.
_RESERVE_PER_RUN = 1024
_MIN_RESERVE = 4096
# What is reserved counts for GitHub's limit, so it is at most this share of what is left, and others have the rest.
_RESERVED_SHARE = 16
# In bytes. GitHub drops a step's summary that is larger.
_MAX_SHOWN_BYTES = 1024 * 1024
# In bytes, with the line break: the length of a line in the reserve.
_LINE_BYTES = 120


class ByteRange(NamedTuple):
    """Where a region is in the file, in bytes."""

    offset: int
    size: int


class WriteStatus(Enum):
    """What came of a write."""

    DONE = "done"
    FULL = "no room"
    # The text belongs at the end of the file, which is within a block of another process. In place, it is cut.
    WAITS = "waits"


class SummaryRegion:
    """The region of one step in a shared file.

    Args:
        file: The file.
        step: The step's id, which no other step has. A step that goes on with the record of another has the same.

    """

    def __init__(self, file: SharedFile, step: str) -> None:
        # The id may come from a record, and anybody may have written that.
        self._step = re.sub(r"[^A-Za-z0-9]", "", step)[:16] or secrets.token_hex(8)
        self._file = file
        self._begin = re.compile(rb"<!-- autonoma-ci %b ([0-9]{8}) -->\n" % self._step.encode())
        self._end = f"/autonoma-ci {self._step} -->\n\n".encode()
        self._frame_bytes = len(self._framed(b"", 0))
        self._place: ByteRange | None = None
        self._written = b""
        self._is_apart = True

    @property
    def is_apart(self) -> bool:
        """Whether the region is not within a block of another process, as far as is known."""
        return self._is_apart

    @property
    def is_placed(self) -> bool:
        """Whether the region has been written."""
        return self._place is not None

    def write(self, text: Callable[[int], bytes], reserve: int, *, anywhere: bool = False) -> WriteStatus:
        """Replace the text of the region.

        Args:
            text: Returns the text in at most so many bytes, or an empty one if that is not enough.
            reserve: How many bytes to reserve for a longer text, if the region has to grow. None at the end.
            anywhere: Whether to append the region even within a block of another process.

        Returns:
            What came of it.

        Raises:
            OSError: The file could not be read or written.
            ValueError: The path has a zero byte.

        """
        with self._file.opened() as descriptor:
            size = os.fstat(descriptor).st_size
            place = self._place = self._find(descriptor)
            # Behind the last byte, where up to two line breaks come before the region.
            room = MAX_SUMMARY_BYTES - size - self._frame_bytes - 2
            reserve = min(reserve, max(0, room) // _RESERVED_SHARE)
            if not place:
                return self._write_new(descriptor, text, room, reserve, anywhere=anywhere)
            result = WriteStatus.DONE
            available = place.size - self._frame_bytes
            # In place, a text costs no room, even if others have filled the file since.
            if place.offset + place.size == size:
                made = text(max(available, available + MAX_SUMMARY_BYTES - size))
                if len(made) > available:
                    more = min(MAX_SUMMARY_BYTES - size, len(made) - available + reserve)
                    place = self._extend(descriptor, place, more)
            else:
                # A move leaves the old region empty. So each doubles it, and takes a third of what is left at most: the
                # end of the step has the rest.
                most = room // 3 if reserve else room
                made = text(max(available, most))
                wanted = max(len(made) + reserve, 2 * available) if reserve else len(made)
                if available < len(made) <= wanted <= most:
                    if self._is_end_in_block(descriptor):
                        result = WriteStatus.WAITS
                    elif self._move(descriptor, place, made, wanted):
                        return WriteStatus.DONE
            available = place.size - self._frame_bytes
            if len(made) > available:
                made = text(available)
            self._replace(descriptor, place, self._framed(made, available))
            return result if made else WriteStatus.FULL

    def _write_new(
        self, descriptor: int, text: Callable[[int], bytes], room: int, reserve: int, *, anywhere: bool
    ) -> WriteStatus:
        self._is_apart = True
        made = text(room)
        # Without room, there is no need to look through what may be a large file.
        if not made:
            return WriteStatus.FULL
        if self._is_end_in_block(descriptor):
            if not anywhere:
                return WriteStatus.WAITS
            self._is_apart = False
            made = text(room)
        self._append(descriptor, made, min(room, len(made) + reserve))
        return WriteStatus.DONE

    def is_within_block(self, data: bytes) -> bool:
        """Return whether a file with these bytes ends within a block of another process."""
        if self._place and self._is_region(data, self._place):
            # Where a region was that moves, there is nothing.
            data = data[: self._place.offset] + data[self._place.offset + self._place.size :]
        return ends_in_block(data)

    def _is_end_in_block(self, descriptor: int) -> bool:
        return self.is_within_block(read_at(descriptor, 0, MAX_FILE_BYTES))

    def _find(self, descriptor: int) -> ByteRange | None:
        """Return where the region is; if another process has destroyed it, blank what is left."""
        if self._place and self._is_region(read_at(descriptor, *self._place), ByteRange(0, self._place.size)):
            return self._place
        data = read_at(descriptor, 0, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "larger than 16 MiB")
        places = [ByteRange(found.start(), int(found[1])) for found in self._begin.finditer(data)]
        place = next((place for place in reversed(places) if self._is_region(data, place)), None)
        if place:
            # An earlier step with the same record may have had to write within a block.
            self._is_apart = not ends_in_block(data[: place.offset])
        if self._place and not place:
            # Another process may have written the whole file anew, with line breaks as Windows has them.
            written = self._written.replace(b"\n", b"\r\n")
            if (offset := data.find(written)) >= 0:
                overwrite_with_blanks(descriptor, offset, len(written))
            else:
                _blank_remains(descriptor, self._place.offset, self._written)
        return place

    def _is_region(self, data: bytes, place: ByteRange) -> bool:
        end = place.offset + place.size
        begin = self._begin.match(data, place.offset)
        is_whole = place.size >= self._frame_bytes and end <= len(data) and data.endswith(self._end, 0, end)
        return bool(begin and int(begin[1]) == place.size and is_whole)

    def _framed(self, text: bytes, room: int) -> bytes:
        """Return a region with room for a text of so many bytes. What the text does not need is in a comment."""
        unused = b" " * (_LINE_BYTES - 1) + b"\n"
        padding = (unused * (room // _LINE_BYTES + 1))[: room - len(text)]
        rest = b"\n" + text + b"\n<!--" + padding + b"\n" + self._end
        begin = f"<!-- autonoma-ci {self._step} %08d -->\n".encode()
        return begin % (len(begin % 0) + len(rest)) + rest

    def _append(self, descriptor: int, text: bytes, room: int) -> None:
        framed = self._framed(text, room)
        # The empty line ends a table or a paragraph that another process has written.
        lead = b"\n" if os.fstat(descriptor).st_size else b""
        begin = self._file.append_to(descriptor, lead + framed) + len(lead)
        self._place, self._written = ByteRange(begin, len(framed)), framed

    def _extend(self, descriptor: int, place: ByteRange, more: int) -> ByteRange:
        """Return the region with so many bytes more, which are blank; or as it was, if there was no room on the disk.

        The region must be at the end of the file.
        """
        try:
            begin = self._file.append_to(descriptor, b"\n" * more)
        except OSError:
            return place
        # Another process may have written in between.
        return ByteRange(place.offset, place.size + more) if begin == place.offset + place.size else place

    def _move(self, descriptor: int, place: ByteRange, text: bytes, room: int) -> bool:
        """Append a larger region, apart from all blocks, and blank this one; return whether the disk had room."""
        try:
            self._append(descriptor, text, room)
        except OSError:
            return False
        self._is_apart = True
        overwrite_with_blanks(descriptor, place.offset, place.size)
        return True

    def _replace(self, descriptor: int, place: ByteRange, framed: bytes) -> None:
        before = read_at(descriptor, place.offset, place.size)
        if before != framed:
            try:
                write_at(descriptor, place.offset, framed)
            except OSError:
                # What could be replaced can be put back. The rest is as it was.
                with suppress(OSError):
                    write_at(descriptor, place.offset, before)
                raise
        self._place, self._written = place, framed


class SummaryFilePublisher:
    """Publishes the summary to a file.

    Args:
        name: The variable that names the file, for messages.
        path: The file.
        clock: The clock that limits the wait for a lock.

    """

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        self._name, self._file = name, SharedFile(path, clock)
        self._region: SummaryRegion | None = None

    def publish(self, report: Report) -> list[str]:
        """Write the summary; return what could not be written."""
        region = self._region = self._region or SummaryRegion(self._file, report.step_id)
        reserve = 0 if report.verdict else _MIN_RESERVE + _RESERVE_PER_RUN * len(report.results)

        def text(limit: int) -> bytes:
            # A chart is a code block too, whose end would be taken for that of the other one. A name from the
            # environment may hold bytes that are no text.
            return render_summary(report, limit, chart=region.is_apart).encode(errors="replace")

        try:
            result = region.write(text, reserve)
            # Before the verdict, the next report is time enough.
            if result is WriteStatus.WAITS and report.verdict:
                is_closed = self._file.is_closed_within(max_wait_seconds(report), region.is_within_block)
                # What is in place can be read, though cut. Within a block it would be less.
                if is_closed or not region.is_placed:
                    result = region.write(text, reserve, anywhere=True)
            is_shown = self._file.size() <= _MAX_SHOWN_BYTES
        except (OSError, ValueError) as error:
            return [f"{self._name} could not be written ({os_error_reason(error)}); the log has the links."]
        if result is WriteStatus.FULL or (report.verdict and not is_shown):
            return [f"{self._name} is full; the log has the links."]
        if report.verdict and not region.is_apart:
            inside = f"{self._name} ends within a code block or comment of another process, and the summary is in it"
            return [f"{inside}; the log has the links."]
        return []


def summary_file(name: str) -> Callable[[PublishContext], tuple[SummaryFilePublisher, ...]]:
    """Return what finds the file that the variable `name` names, if a summary is wanted."""

    def find(target: PublishContext) -> tuple[SummaryFilePublisher, ...]:
        path = target.environ.get(name, "") if target.wants_summary else ""
        return (SummaryFilePublisher(name, Path(path), target.clock),) if path else ()

    return find


def _blank_remains(descriptor: int, offset: int, written: bytes) -> None:
    """Blank the lines of a region that are still where they were written, and no other byte."""
    found = read_at(descriptor, offset, len(written))
    begin = 0
    for line in written.splitlines(keepends=True):
        there = found[begin : begin + len(line)]
        # The file may end within a line.
        is_ours = there == line or (begin + len(there) == len(found) and line.startswith(there))
        if is_ours:
            overwrite_with_blanks(descriptor, offset + begin, len(there))
        begin += len(line)
