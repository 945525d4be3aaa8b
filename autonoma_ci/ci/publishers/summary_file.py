"""A summary in a Markdown file that other processes append to.

The job step owns one region of the file, between two comments that are invisible in the summary. The region is replaced
in place and has space to grow, so bytes of other processes never move. Source: CommonMark, "HTML blocks", and GitHub's
documentation, "Adding a job summary".
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

# A row has about 150 bytes for a run that is starting, and about 1,000 for a run that failed at a step.
_RESERVED_BYTES_PER_RUN = 1024
_MIN_RESERVED_BYTES = 4096
# Reserved bytes count for GitHub's limit. So at most 1/16 of the bytes left is reserved, and others have the rest.
_RESERVED_SHARE_DIVISOR = 16
# GitHub drops a larger summary of a step.
_MAX_SHOWN_BYTES = 1024 * 1024
# With the line break: the length of a padding line in the reserved space.
_PADDING_LINE_BYTES = 120
# Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", and 4.6 "HTML blocks", kinds 1 and 2. Each search reads a byte
# once, so a file of 1 MiB needs a few hundredths of a second.
_BLOCK_OPENING_RE = re.compile(
    rb"^ {0,3}(?:(?P<backticks>`{3,})[^`\n]*$|(?P<tildes>~{3,})|(?P<comment><!--)"
    rb"|<(?:pre|script|style|textarea)(?:[ \t>]|$))",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENT_CLOSING_RE = re.compile(rb"-->")
_ELEMENT_CLOSING_RE = re.compile(rb"</(?:pre|script|style|textarea)>", re.IGNORECASE)


class ByteRange(NamedTuple):
    """The position of a region in the file."""

    offset: int  # bytes
    size: int  # bytes


class WriteStatus(Enum):
    """The result of a write."""

    DONE = "done"
    FULL = "full"
    # The text belongs at the end of the file, which is within a block of another process. The text in place is cut.
    DEFERRED = "deferred"


class SummaryRegion:
    """The region of one job step in a shared file.

    Args:
        file: The file.
        step_id: The unique id of the job step. `wait` uses the id of the step whose results.json it reads.
    """

    def __init__(self, file: SharedFile, step_id: str) -> None:
        # The id can come from a results.json that anybody may have written.
        self._step_id = re.sub(r"[^A-Za-z0-9]", "", step_id)[:16] or secrets.token_hex(8)
        self._file = file
        self._begin_re = re.compile(rb"<!-- autonoma-ci %b ([0-9]{8}) -->\n" % self._step_id.encode())
        self._end_bytes = f"/autonoma-ci {self._step_id} -->\n\n".encode()
        self._frame_size = len(self._render_region(b"", 0))
        self._range: ByteRange | None = None
        self._written_bytes = b""
        self._is_outside_blocks = True

    @property
    def is_outside_blocks(self) -> bool:
        """Whether the region is outside of other processes' blocks, if known."""
        return self._is_outside_blocks

    @property
    def is_written(self) -> bool:
        """Whether the file contains the region."""
        return self._range is not None

    def write(self, render: Callable[[int], bytes], reserve: int, *, allow_in_block: bool = False) -> WriteStatus:
        """Replace the text of the region.

        Args:
            render: Returns a text of at most this number of bytes, or an empty text if they are too few.
            reserve: The bytes to reserve for a longer text if the region must grow. 0 at the end of the job step.
            allow_in_block: Whether to append the region even within a block of another process.

        Returns:
            The result of the write.

        Raises:
            OSError: The file could not be read or written.
            ValueError: The path has a zero byte.
        """
        with self._file.open_locked() as descriptor:
            file_size = os.fstat(descriptor).st_size
            region = self._range = self._find_region(descriptor)
            # The bytes left after the end of the file. Up to two line breaks precede the region.
            capacity = MAX_SUMMARY_BYTES - file_size - self._frame_size - 2
            reserve = min(reserve, max(0, capacity) // _RESERVED_SHARE_DIVISOR)
            if not region:
                return self._write_new(descriptor, render, capacity, reserve, allow_in_block=allow_in_block)
            result = WriteStatus.DONE
            region_capacity = region.size - self._frame_size
            # A text in place uses no space, even if others have filled the file since.
            if region.offset + region.size == file_size:
                text = render(max(region_capacity, region_capacity + MAX_SUMMARY_BYTES - file_size))
                if len(text) > region_capacity:
                    extra_bytes = min(MAX_SUMMARY_BYTES - file_size, len(text) - region_capacity + reserve)
                    region = self._extend_region(descriptor, region, extra_bytes)
            else:
                # A move leaves the old region empty. So each move doubles the region, and uses at most a third of the
                # bytes left. The end of the job step can use all of them.
                max_move_bytes = capacity // 3 if reserve else capacity
                text = render(max(region_capacity, max_move_bytes))
                wanted_bytes = max(len(text) + reserve, 2 * region_capacity) if reserve else len(text)
                if region_capacity < len(text) <= wanted_bytes <= max_move_bytes:
                    if self._is_end_in_block(descriptor):
                        result = WriteStatus.DEFERRED
                    elif self._move_region(descriptor, region, text, wanted_bytes):
                        return WriteStatus.DONE
            region_capacity = region.size - self._frame_size
            if len(text) > region_capacity:
                text = render(region_capacity)
            self._replace_region(descriptor, region, self._render_region(text, region_capacity))
            return result if text else WriteStatus.FULL

    def _write_new(
        self, descriptor: int, render: Callable[[int], bytes], capacity: int, reserve: int, *, allow_in_block: bool
    ) -> WriteStatus:
        self._is_outside_blocks = True
        text = render(capacity)
        # On a full file, we do not search for blocks, because the file can be large.
        if not text:
            return WriteStatus.FULL
        if self._is_end_in_block(descriptor):
            if not allow_in_block:
                return WriteStatus.DEFERRED
            self._is_outside_blocks = False
            text = render(capacity)
        self._append_region(descriptor, text, min(capacity, len(text) + reserve))
        return WriteStatus.DONE

    def is_within_block(self, data: bytes) -> bool:
        """Return whether these bytes end within another process's block."""
        if self._range and self._is_region(data, self._range):
            # A region that moves leaves nothing at its old position.
            data = data[: self._range.offset] + data[self._range.offset + self._range.size :]
        return ends_in_open_block(data)

    def _is_end_in_block(self, descriptor: int) -> bool:
        return self.is_within_block(read_at(descriptor, 0, MAX_FILE_BYTES))

    def _find_region(self, descriptor: int) -> ByteRange | None:
        """Return the position of the region, or None.

        If another process has destroyed the region, its remaining lines are blanked.

        Raises:
            OSError: The file is too large, or can't be read.
        """
        if self._range and self._is_region(read_at(descriptor, *self._range), ByteRange(0, self._range.size)):
            return self._range
        data = read_at(descriptor, 0, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "larger than 16 MiB")
        ranges = [ByteRange(match.start(), int(match[1])) for match in self._begin_re.finditer(data)]
        place = next((place for place in reversed(ranges) if self._is_region(data, place)), None)
        if place:
            # An earlier job step with the same id may have written within a block.
            self._is_outside_blocks = not ends_in_open_block(data[: place.offset])
        if self._range and not place:
            # Another process may have rewritten the file with Windows line breaks.
            crlf_bytes = self._written_bytes.replace(b"\n", b"\r\n")
            if (offset := data.find(crlf_bytes)) >= 0:
                overwrite_with_blanks(descriptor, offset, len(crlf_bytes))
            else:
                _blank_remaining_lines(descriptor, self._range.offset, self._written_bytes)
        return place

    def _is_region(self, data: bytes, region: ByteRange) -> bool:
        end = region.offset + region.size
        begin = self._begin_re.match(data, region.offset)
        is_complete = region.size >= self._frame_size and end <= len(data) and data.endswith(self._end_bytes, 0, end)
        return bool(begin and int(begin[1]) == region.size and is_complete)

    def _render_region(self, text: bytes, capacity: int) -> bytes:
        """Return the bytes of a region with this capacity.

        The capacity is the maximum number of bytes of a text. A comment contains the unused bytes.
        """
        padding_line = b" " * (_PADDING_LINE_BYTES - 1) + b"\n"
        padding = (padding_line * (capacity // _PADDING_LINE_BYTES + 1))[: capacity - len(text)]
        rest = b"\n" + text + b"\n<!--" + padding + b"\n" + self._end_bytes
        begin = f"<!-- autonoma-ci {self._step_id} %08d -->\n".encode()
        return begin % (len(begin % 0) + len(rest)) + rest

    def _append_region(self, descriptor: int, text: bytes, capacity: int) -> None:
        region_bytes = self._render_region(text, capacity)
        # The empty line ends a table or a paragraph of another process.
        lead = b"\n" if os.fstat(descriptor).st_size else b""
        begin = self._file.append_to(descriptor, lead + region_bytes) + len(lead)
        self._range, self._written_bytes = ByteRange(begin, len(region_bytes)), region_bytes

    def _extend_region(self, descriptor: int, region: ByteRange, extra_bytes: int) -> ByteRange:
        """Append blank bytes to the region and return its new position.

        The region must be at the end of the file. On a full disk, the position stays the same.
        """
        try:
            begin = self._file.append_to(descriptor, b"\n" * extra_bytes)
        except OSError:
            return region
        # Another process may have written in between.
        return ByteRange(region.offset, region.size + extra_bytes) if begin == region.offset + region.size else region

    def _move_region(self, descriptor: int, region: ByteRange, text: bytes, capacity: int) -> bool:
        """Append a larger region and blank this one.

        The end of the file must be outside of all blocks.

        Returns:
            Whether the region was moved. On a full disk, it was not.
        """
        try:
            self._append_region(descriptor, text, capacity)
        except OSError:
            return False
        self._is_outside_blocks = True
        overwrite_with_blanks(descriptor, region.offset, region.size)
        return True

    def _replace_region(self, descriptor: int, region: ByteRange, region_bytes: bytes) -> None:
        previous_bytes = read_at(descriptor, region.offset, region.size)
        if previous_bytes != region_bytes:
            try:
                write_at(descriptor, region.offset, region_bytes)
            except OSError:
                # The replaced bytes can be restored, and the other bytes were not changed.
                with suppress(OSError):
                    write_at(descriptor, region.offset, previous_bytes)
                raise
        self._range, self._written_bytes = region, region_bytes


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
        """Write the summary and return warnings."""
        region = self._region = self._region or SummaryRegion(self._file, report.step_id)
        reserve = 0 if report.verdict else _MIN_RESERVED_BYTES + _RESERVED_BYTES_PER_RUN * len(report.results)

        def render(limit: int) -> bytes:
            # A chart is a code block too, and its end would also end the block of another process. A name from the
            # environment can contain bytes that are not text, so we replace them.
            return render_summary(report, limit, chart=region.is_outside_blocks).encode(errors="replace")

        try:
            result = region.write(render, reserve)
            # Before the verdict, the next report can write.
            if result is WriteStatus.DEFERRED and report.verdict:
                is_closed = self._file.is_closed_within(max_wait_seconds(report), region.is_within_block)
                # The text in place is readable, though cut. Within a block, less of it would be readable.
                if is_closed or not region.is_written:
                    result = region.write(render, reserve, allow_in_block=True)
            is_shown = self._file.size() <= _MAX_SHOWN_BYTES
        except (OSError, ValueError) as error:
            return [f"{self._name} could not be written ({os_error_reason(error)}). The log has the links."]
        if result is WriteStatus.FULL or (report.verdict and not is_shown):
            return [f"{self._name} is full. The log has the links."]
        if report.verdict and not region.is_outside_blocks:
            warning = f"{self._name} ends within a code block or comment of another process, and the summary is in it"
            return [f"{warning}. The log has the links."]
        return []


def create_summary_file_publishers(context: PublishContext, name: str) -> tuple[SummaryFilePublisher, ...]:
    """Return the publisher for a job's summary file.

    There is none without such a file, or if the user turned the summary off.

    Args:
        context: The job.
        name: The variable that names the file.
    """
    path = context.environ.get(name, "") if context.wants_summary else ""
    return (SummaryFilePublisher(name, Path(path), context.clock),) if path else ()


def _blank_remaining_lines(descriptor: int, offset: int, written_bytes: bytes) -> None:
    """Blank the region's lines that are still at their old offset.

    No other byte changes.
    """
    current = read_at(descriptor, offset, len(written_bytes))
    begin = 0
    for line in written_bytes.splitlines(keepends=True):
        current_line = current[begin : begin + len(line)]
        # The file may end within a line.
        is_ours = current_line == line or (begin + len(current_line) == len(current) and line.startswith(current_line))
        if is_ours:
            overwrite_with_blanks(descriptor, offset + begin, len(current_line))
        begin += len(line)


def ends_in_open_block(data: bytes) -> bool:
    """Return whether Markdown ends inside an open block.

    Blocks are fenced code, comments and preformatted HTML. Text that is appended becomes a part of the block.
    """
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    offset = 0
    while opening := _BLOCK_OPENING_RE.search(data, offset):
        closing = _get_closing_pattern(opening).search(data, opening.end())
        if not closing:
            return True
        # The block includes the rest of this line. No block opens there, because the pattern needs the start of a line.
        offset = closing.end()
    return False


def _get_closing_pattern(opening: re.Match[bytes]) -> re.Pattern[bytes]:
    if fence := opening["backticks"] or opening["tildes"]:
        return re.compile(rb"^ {0,3}%b{%d,}[ \t]*$" % (fence[:1], len(fence)), re.MULTILINE)
    return _COMMENT_CLOSING_RE if opening["comment"] else _ELEMENT_CLOSING_RE
