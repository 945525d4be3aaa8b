"""Tests of output streams with slow, full and closed readers."""

from __future__ import annotations

import _thread
import errno
import io
import json
import os
import pty
import queue
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from autonoma_ci import streams
from autonoma_ci.errors import OutputError
from autonoma_ci.streams import (
    MAX_BUFFER_BYTES,
    OutputStream,
    WriteTimeouts,
    open_standard_streams,
    wait_until_written,
    write_product,
)
from tests.support.streams import process_environ

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import MethodType
    from typing import TextIO

# In seconds. Long because no test waits for it.
LONG_SECONDS = 60.0
PAGE_BYTES = 4096
CLOSED_MESSAGE = "Standard output could not be written (closed). Check the redirection of standard output."


class RawFile(io.RawIOBase):
    """A file that records its writes, of which some fail or are incomplete.

    Args:
        results: The result of each write. A number is the limit of its bytes, and an error is raised. After the last
            one, all writes are complete.
    """

    def __init__(self, *results: Exception | int | None) -> None:
        super().__init__()
        self._results = list(results)
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int | None:
        data = bytes(cast("bytes", data))
        result = self._results.pop(0) if self._results else len(data)
        if isinstance(result, Exception):
            raise result
        if result is None:
            return None
        self.writes.append(data[:result])
        return len(self.writes[-1])

    @property
    def data(self) -> bytes:
        return b"".join(self.writes)


class SlowFile(RawFile):
    """A file that accepts `max_write_bytes` bytes for each item in `permits`.

    `calls` receives an item when a write begins.
    """

    def __init__(self, max_write_bytes: int = PAGE_BYTES) -> None:
        super().__init__()
        self._max_write_bytes = max_write_bytes
        self.permits: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_open = False

    def write(self, data: object) -> int | None:
        self.calls.put(None)
        if not self._is_open:
            self.permits.get(timeout=LONG_SECONDS)
        return super().write(bytes(cast("bytes", data))[: self._max_write_bytes])

    def open(self) -> None:
        """Accept all further writes."""
        self._is_open = True
        self.permits.put(None)


class FakeTime:
    """A clock of `streams` that advances only in its pauses.

    Args:
        on_sleep: Called in each pause.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[], None] = lambda: None) -> None:
        self.now, self._on_sleep = 1000.0, on_sleep
        # Other threads use the clock of the module too, so their pauses are real ones.
        self._owner = threading.get_ident()
        module = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(streams, "time", module)

    def sleep(self, seconds: float) -> None:
        if threading.get_ident() == self._owner:
            self.now += seconds
            self._on_sleep()
        else:
            time.sleep(0.001)


def open_text_stream(raw: io.RawIOBase) -> TextIO:
    """Return a text stream as Python makes it for a standard stream."""
    return io.TextIOWrapper(io.BufferedWriter(raw))


def start_stream(raw: io.RawIOBase) -> OutputStream:
    """Return a stream with a thread, beside a closed one."""
    output = OutputStream(open_text_stream(raw))
    output.start(OutputStream(None))
    return output


def wait_until_empty(output: OutputStream) -> None:
    """Wait for the thread of a stream, without the clock of `streams`."""
    limit = time.monotonic() + LONG_SECONDS
    while output.has_unwritten:
        assert time.monotonic() < limit, "the thread does not write"
        time.sleep(0.001)


def wait_until_all_written(*outputs: OutputStream) -> None:
    """Wait until all streams are written."""
    wait_until_written(outputs, lambda: WriteTimeouts(LONG_SECONDS, LONG_SECONDS))


# Properties


def test_closed_stream_is_no_terminal() -> None:
    """A stream that was closed before the start of Python has neither terminal nor descriptor."""
    output = OutputStream(None)
    assert (output.isatty(), output.encoding) == (False, "utf-8")
    with pytest.raises(OSError, match="fileno"):
        output.fileno()


def test_stream_has_descriptor_of_file(tmp_path: Path) -> None:
    """The descriptor is that of the file."""
    with (tmp_path / "log").open("w") as file:
        output = OutputStream(file)
        assert (output.fileno(), output.isatty()) == (file.fileno(), False)


def test_stream_of_terminal_is_terminal() -> None:
    """A terminal is detected."""
    controller_descriptor, terminal_descriptor = pty.openpty()
    with os.fdopen(terminal_descriptor, "w") as terminal:
        assert OutputStream(terminal).isatty()
    os.close(controller_descriptor)


# Writes without a thread


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("text\n", b"text\n"),
        ("é🚀", "é🚀".encode()),
        ("a\udcffb\ud800", rb"a\udcffb\ud800"),
        ("\x1b[0K\0", b"\x1b[0K\0"),
    ],
)
def test_write_without_thread_is_direct(text: str, data: bytes) -> None:
    """Before the start, the text is in the file when the call returns."""
    raw = RawFile()
    output = OutputStream(open_text_stream(raw))
    assert output.write(text) == len(text)
    assert (raw.data, output.has_unwritten) == (data, False)


def test_write_has_line_ends_of_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line ends are those of the operating system."""
    monkeypatch.setattr(os, "linesep", "\r\n")
    raw = RawFile()
    OutputStream(open_text_stream(raw)).write("a\nb\n")
    assert raw.data == b"a\r\nb\r\n"


def test_write_to_stream_without_raw_file() -> None:
    """A stream in memory has no raw file."""
    memory = io.BytesIO()
    stream = io.TextIOWrapper(memory)
    OutputStream(stream).write("text")
    assert memory.getvalue() == b"text"


def test_write_to_closed_stream_is_omitted() -> None:
    """A closed stream never starts a thread and never has unwritten text."""
    output = OutputStream(None)
    output.start(OutputStream(None))
    assert output.write("text") == 4
    assert not output.has_unwritten
    assert output.has_capacity()


def test_long_text_is_written_in_pages() -> None:
    """Each write has at most one page, so that a slow reader makes progress."""
    raw = RawFile()
    text = "0123456789" * 1000
    OutputStream(open_text_stream(raw)).write(text)
    assert raw.data == text.encode()
    assert list(map(len, raw.writes)) == [PAGE_BYTES, PAGE_BYTES, 10_000 - 2 * PAGE_BYTES]


def test_incomplete_write_is_continued() -> None:
    """A non-blocking pipe accepts a part of the text or nothing."""
    raw = RawFile(3, None, None, 1, 2)
    OutputStream(open_text_stream(raw)).write("0123456789")
    assert raw.writes == [b"012", b"3", b"45", b"6789"]


@pytest.mark.parametrize(
    "error",
    [*(OSError(number, "full") for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)), MemoryError()],
    ids=["ENOSPC", "EDQUOT", "EFBIG", "MemoryError"],
)
def test_write_after_temporary_error_starts_a_line(error: Exception) -> None:
    """Once there is space again, commands of CI systems are at the start of a line."""
    raw = RawFile(error)
    output = OutputStream(open_text_stream(raw))
    for text in ("lost\n", "a\n", "b\n"):
        assert output.write(text) == len(text)
    assert raw.data == b"\na\nb\n"


def test_product_after_cut_line_starts_a_line() -> None:
    """A product is not joined to half a line of the log."""
    raw = RawFile(3, MemoryError())
    output = OutputStream(open_text_stream(raw))
    output.write("some line\n")
    output.write_through("{}\n")
    assert raw.data == b"som\n{}\n"


def test_write_after_cut_line_starts_a_line() -> None:
    """The second part of a line is lost, and the next text has its own line."""
    raw = RawFile(3, OSError(errno.ENOSPC, "full"))
    output = OutputStream(open_text_stream(raw))
    output.write("some line\n")
    output.write("::command::\n")
    assert raw.data == b"som\n::command::\n"


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EPIPE, "broken"), OSError(errno.EIO, "gone"), OSError("no number"), ValueError("closed")],
    ids=["EPIPE", "EIO", "no number", "ValueError"],
)
def test_write_after_lost_reader_is_omitted(error: Exception) -> None:
    """After a permanent error, nothing more is written and nothing is raised."""
    raw = RawFile(error)
    output = OutputStream(open_text_stream(raw))
    output.write("first")
    assert output.write("second") == 6
    assert raw.writes == []
    with pytest.raises(type(error)) as error_info:
        output.write_through("third")
    assert error_info.value is error


def test_write_without_memory_is_omitted() -> None:
    """A text that can't be encoded without memory is omitted, and the next one is written."""

    class LargeText(str):
        __slots__ = ()

        def replace(self, *_: object, **__: object) -> str:
            raise MemoryError

    raw = RawFile()
    output = OutputStream(open_text_stream(raw))
    assert output.write(LargeText("12345")) == 5
    output.write("next")
    assert raw.data == b"next"


# The thread


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=["limit", "memory"])
def test_stream_without_thread_is_direct(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, each text is written directly, without another attempt."""
    attempts: list[object] = []

    def fail(work: object, arguments: object) -> int:
        attempts.append(work)
        raise error

    monkeypatch.setattr(_thread, "start_new_thread", fail)
    raw = RawFile()
    output = start_stream(raw)
    output.write("a")
    output.write("b")
    assert (raw.writes, len(attempts), output.has_unwritten) == ([b"a", b"b"], 1, False)


def test_stream_thread_starts_at_first_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where threads are limited, standard error needs none unless there is an error."""
    started_streams: list[object] = []
    original_start = _thread.start_new_thread

    def start_new_thread(work: MethodType, arguments: tuple[()]) -> int:
        started_streams.append(work.__self__)
        return original_start(work, arguments)

    monkeypatch.setattr(_thread, "start_new_thread", start_new_thread)
    with (tmp_path / "out").open("w") as out_file, (tmp_path / "err").open("w") as err_file:
        out, err = OutputStream(out_file), OutputStream(err_file)
        out.start(err)
        err.start(out)
        assert out.write("") == 0
        assert started_streams == []
        out.write("a\n")
        out.write("b\n")
        assert started_streams == [out]
        err.write("c\n")
        assert started_streams == [out, err]
        wait_until_all_written(out, err)
    assert (tmp_path / "out").read_text() == "a\nb\n"


def test_write_with_thread_does_not_block() -> None:
    """A stalled reader leaves the text in the buffer until it reads again."""
    raw = SlowFile()
    output = start_stream(raw)
    output.write("a")
    output.write("b")
    assert output.has_unwritten
    assert raw.data == b""
    raw.open()
    wait_until_all_written(output)
    assert raw.data == b"ab"


def test_waiting_lines_are_written_at_once() -> None:
    """Lines that arrive during a write are written by one call."""
    raw = SlowFile()
    output = start_stream(raw)
    output.write("first\n")
    raw.calls.get(timeout=LONG_SECONDS)
    for number in range(100):
        output.write(f"{number}\n")
    raw.open()
    wait_until_all_written(output)
    assert raw.writes == [b"first\n", "".join(f"{number}\n" for number in range(100)).encode()]


def test_lost_reader_ends_wait() -> None:
    """After a permanent error in the thread, no text waits for a reader."""
    output = start_stream(RawFile(BrokenPipeError(errno.EPIPE, "broken")))
    output.write("first")
    wait_until_all_written(output)
    output.write("second")
    assert not output.has_unwritten


def test_full_disk_in_thread_loses_one_line() -> None:
    """The thread continues after a full disk."""
    raw = RawFile(OSError(errno.ENOSPC, "full"))
    output = start_stream(raw)
    for text in ("lost\n", "a\n", "b\n"):
        output.write(text)
        wait_until_all_written(output)
    assert raw.data == b"\na\nb\n"


def test_memory_error_in_thread_loses_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread continues with the next line after a lack of memory."""

    def fail(_: float) -> None:
        raise MemoryError

    slow_file, raw = SlowFile(), RawFile()
    slow_output, output = OutputStream(open_text_stream(slow_file)), OutputStream(open_text_stream(raw))
    slow_output.start(output)
    output.start(slow_output)
    slow_output.write("other")
    slow_file.calls.get(timeout=LONG_SECONDS)
    with monkeypatch.context() as patch:
        patch.setattr(streams, "time", SimpleNamespace(monotonic=time.monotonic, sleep=fail))
        output.write("lost")
        wait_until_empty(output)
    slow_file.open()
    wait_until_all_written(slow_output)
    output.write("next")
    wait_until_all_written(output)
    assert raw.data == b"next"


# Both streams


def test_two_streams_keep_line_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `2>&1`, a mask precedes later lines of the other stream."""
    # A thread that has no turn for a while has not stalled.
    monkeypatch.setattr("autonoma_ci.streams._ORDER_WAIT_SECONDS", LONG_SECONDS)
    with (tmp_path / "log").open("w") as out_file, (tmp_path / "log").open("a") as err_file:
        os.dup2(err_file.fileno(), out_file.fileno())
        out, err = OutputStream(out_file), OutputStream(err_file)
        out.start(err)
        err.start(out)
        for number in range(300):
            (err if number % 3 else out).write(f"{number}\n")
        wait_until_all_written(out, err)
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(300)]


def test_line_waits_for_other_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of one stream is not written before an earlier line of the other stream."""
    monkeypatch.setattr("autonoma_ci.streams._ORDER_WAIT_SECONDS", LONG_SECONDS)
    slow_file, raw = SlowFile(), RawFile()
    out, err = OutputStream(open_text_stream(slow_file)), OutputStream(open_text_stream(raw))
    out.start(err)
    err.start(out)
    out.write("mask")
    slow_file.calls.get(timeout=LONG_SECONDS)
    err.write("error")
    wait_until_written([err], lambda: WriteTimeouts(LONG_SECONDS, 0.05))
    assert raw.data == b""
    slow_file.open()
    wait_until_all_written(out, err)
    assert (slow_file.data, raw.data) == (b"mask", b"error")


def test_stalled_stream_does_not_block_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line does not wait for an earlier line of a stream that has stalled."""
    monkeypatch.setattr("autonoma_ci.streams._ORDER_WAIT_SECONDS", 0.01)
    slow_file, raw = SlowFile(), RawFile()
    out, err = OutputStream(open_text_stream(slow_file)), OutputStream(open_text_stream(raw))
    out.start(err)
    err.start(out)
    out.write("mask")
    err.write("error")
    wait_until_all_written(err)
    assert (slow_file.data, raw.data) == (b"", b"error")
    slow_file.open()


# Capacity


@pytest.mark.parametrize(("size", "has_capacity"), [(MAX_BUFFER_BYTES - 1, True), (MAX_BUFFER_BYTES, False)])
def test_full_buffer_has_no_capacity(size: int, has_capacity: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capacity ends at the limit of the buffer if the reader has stalled."""
    clock = FakeTime(monkeypatch)
    raw = SlowFile()
    output = start_stream(raw)
    output.write("x" * size)
    assert output.has_capacity() == has_capacity
    # Only a full buffer is worth a short wait.
    assert (clock.now == 1000.0) == has_capacity
    assert clock.now < 1000.2
    raw.open()


@pytest.mark.parametrize(("size", "has_spare"), [(MAX_BUFFER_BYTES // 2 - 1, True), (MAX_BUFFER_BYTES // 2, False)])
def test_half_full_buffer_has_no_spare_capacity(size: int, has_spare: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check does not wait, and other lines still have capacity."""
    clock = FakeTime(monkeypatch)
    raw = SlowFile()
    output = start_stream(raw)
    output.write("x" * size)
    assert output.has_spare_capacity == has_spare
    assert clock.now == 1000.0
    assert output.has_capacity()
    raw.open()


def test_capacity_waits_for_active_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full buffer has capacity once the reader has read it."""
    raw = SlowFile()
    output = start_stream(raw)

    def read_all() -> None:
        raw.open()
        wait_until_empty(output)

    FakeTime(monkeypatch, read_all)
    output.write("x" * MAX_BUFFER_BYTES)
    assert output.has_capacity()


def test_capacity_waits_have_total_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waits for a slow reader delay the job by one second."""
    raw = SlowFile(max_write_bytes=1)
    output = start_stream(raw)

    def read_one_byte() -> None:
        raw.permits.put(None)
        raw.calls.get(timeout=LONG_SECONDS)

    clock = FakeTime(monkeypatch, read_one_byte)
    output.write("x" * (MAX_BUFFER_BYTES + 1000))
    raw.calls.get(timeout=LONG_SECONDS)
    assert not output.has_capacity()
    assert 0.99 < clock.now - 1000.0 < 1.02
    before = clock.now
    assert not output.has_capacity()
    assert clock.now == before
    raw.open()


# The end of the job


def test_wait_for_written_stream_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is awaited if all text is written."""
    clock = FakeTime(monkeypatch)
    output = OutputStream(open_text_stream(RawFile()))
    output.write("text")
    wait_until_written([output, OutputStream(None)], lambda: WriteTimeouts(10.0, 60.0))
    assert clock.now == 1000.0


@pytest.mark.parametrize("stalled_seconds", [0.0, 500.0])
def test_wait_ends_for_stalled_reader(stalled_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader has the full time from the start of the wait, although it stalled before."""
    clock = FakeTime(monkeypatch)
    raw = SlowFile()
    output = start_stream(raw)
    output.write("text")
    raw.calls.get(timeout=LONG_SECONDS)
    clock.now += stalled_seconds
    started_at = clock.now
    wait_until_written([output], lambda: WriteTimeouts(10.0, 60.0))
    assert 10.0 < clock.now - started_at < 10.1
    assert output.has_unwritten
    raw.open()


def test_wait_ends_after_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends although the reader makes progress."""
    raw = SlowFile(max_write_bytes=1)
    output = start_stream(raw)

    def read_one_byte() -> None:
        raw.permits.put(None)
        raw.calls.get(timeout=LONG_SECONDS)

    clock = FakeTime(monkeypatch, read_one_byte)
    output.write("x" * 10_000)
    raw.calls.get(timeout=LONG_SECONDS)
    wait_until_written([output], lambda: WriteTimeouts(0.5, 2.0))
    assert 2.0 < clock.now - 1000.0 < 2.1
    assert output.has_unwritten
    raw.open()


def test_signal_shortens_running_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeouts can change during the wait."""
    clock = FakeTime(monkeypatch)
    raw = SlowFile()
    output = start_stream(raw)
    output.write("text")
    raw.calls.get(timeout=LONG_SECONDS)
    wait_until_written([output], lambda: WriteTimeouts(1.0, 3.0) if clock.now > 1002.0 else WriteTimeouts(10.0, 60.0))
    assert 2.0 < clock.now - 1000.0 < 2.1
    raw.open()


# The product of a command


def test_product_is_written_after_buffer() -> None:
    """The product follows all earlier text, and the call waits for its reader."""
    raw = SlowFile()
    output = start_stream(raw)
    output.write("log\n")
    raw.calls.get(timeout=LONG_SECONDS)
    writer = threading.Thread(target=write_product, args=(output, "product\n"))
    writer.start()
    raw.open()
    writer.join(LONG_SECONDS)
    assert raw.data == b"log\nproduct\n"


def test_product_to_plain_stream_is_flushed(tmp_path: Path) -> None:
    """The product is in the file when the call returns."""
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        write_product(file, "é\n")
        assert (tmp_path / "out").read_text("utf-8") == "é\n"


def make_closed_text() -> TextIO:
    """Return a text in memory that is closed."""
    text = io.StringIO()
    text.close()
    return text


def make_full_output() -> TextIO:
    """Return a stream on a full disk."""
    return cast("TextIO", OutputStream(open_text_stream(RawFile(OSError(errno.ENOSPC, "No space left on device")))))


@pytest.mark.parametrize(
    ("make_stream", "reason"),
    [
        (make_closed_text, "closed"),
        (make_full_output, "No space left on device"),
        (lambda: cast("TextIO", OutputStream(None)), "closed"),
        (lambda: cast("TextIO", OutputStream(open_text_stream(RawFile(ValueError("s3cret-value"))))), "closed"),
    ],
    ids=["closed text", "full disk", "closed stream", "closed file"],
)
def test_lost_product_is_output_error(make_stream: Callable[[], TextIO], reason: str) -> None:
    """The error has the reason and the remedy, and neither the product nor its cause."""
    with pytest.raises(OutputError) as error:
        write_product(make_stream(), "s3cret-value")
    assert str(error.value) == CLOSED_MESSAGE.replace("closed", reason)
    assert (error.value.__cause__, error.value.__suppress_context__) == (None, True)


# File descriptors

# Closes each standard stream in turn, and prints the access mode of the file that replaces it.
REPLACE_CLOSED = """
import fcntl, json, os, sys
from autonoma_ci.streams import open_standard_streams
report = os.dup(1)
open_standard_streams()
before = [os.path.realpath(f"/proc/self/fd/{number}") for number in range(3)]
for number in range(3):
    os.close(number)
open_standard_streams()
modes = [fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE for number in range(3)]
paths = [os.path.realpath(f"/proc/self/fd/{number}") for number in range(3)]
inherited = [os.get_inheritable(number) for number in range(3)]
os.write(report, json.dumps([before, modes, paths, inherited]).encode())
"""


def test_closed_descriptors_are_replaced(tmp_path: Path) -> None:
    """A closed descriptor becomes one that fails in use, and an open one does not change."""
    with (tmp_path / "in").open("w+") as stdin, (tmp_path / "err").open("w") as stderr:
        command = [sys.executable, "-S", "-c", REPLACE_CLOSED]
        process = subprocess.run(
            command, env=process_environ(), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, check=True
        )
    before, modes, paths, inherited = json.loads(process.stdout)
    assert (before[0], before[2]) == (str(tmp_path / "in"), str(tmp_path / "err"))
    assert modes == [os.O_WRONLY, os.O_RDONLY, os.O_RDONLY]
    assert paths == [os.devnull] * 3
    assert inherited == [True] * 3


@pytest.mark.parametrize("can_open", [True, False])
def test_unusable_descriptor_opens_nothing(can_open: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a descriptor can be neither open nor free, and no further file stays open."""
    opened_descriptors: list[int] = []
    closed_descriptors: list[int] = []

    def fail(number: int) -> os.stat_result:
        raise OSError(errno.EBADF, "not open")

    def record_open(path: str, flags: int) -> int:
        if not can_open:
            raise OSError(errno.ENOENT, "no such device")
        opened_descriptors.append(os.open(path, flags))
        return opened_descriptors[-1]

    def record_close(number: int) -> None:
        closed_descriptors.append(number)
        os.close(number)

    replacements = {"fstat": fail, "open": record_open, "close": record_close}
    monkeypatch.setattr(streams, "os", SimpleNamespace(**vars(os) | replacements))
    open_standard_streams()
    assert closed_descriptors == opened_descriptors
    assert len(opened_descriptors) == (3 if can_open else 0)
