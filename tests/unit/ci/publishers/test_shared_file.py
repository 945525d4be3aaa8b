"""Variable files to which other processes append at the same time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.publishers import shared_file
from autonoma_ci.ci.publishers.env_file import DOTENV_FORMAT, SHELL_EXPORT_FORMAT, create_env_file_publishers
from autonoma_ci.ci.publishers.shared_file import SharedFile, SharedFileValues
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.ci.systems.github import is_in_heredoc
from autonoma_ci.clock import Clock
from autonoma_ci.models import RunState
from tests.support import github_parser as runner
from tests.support.fake_clock import FakeClock
from tests.support.files import read_last_values
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import CANCELLED_VERDICT, PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.base import ReportPublisher
    from autonoma_ci.ci.publishers.env_file import EnvFileFormat
    from autonoma_ci.models import Report, RunResult, Verdict

FILE_LIMIT = """
import resource, sys, pathlib
from autonoma_ci.ci.publishers.shared_file import SharedFile
from autonoma_ci.clock import Clock
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    SharedFile(pathlib.Path(sys.argv[1]), Clock()).append(b"x" * 5000)
except OSError as error:
    print(error.strerror)
"""


def make_shared_file(path: Path) -> SharedFile:
    return SharedFile(path, Clock())


def make_waiting_report(*runs: RunResult, is_ended: bool = False) -> Report:
    """Return the report of a step that waits for these runs."""
    return create_report(list(runs), PASSED_VERDICT if is_ended else None)._replace(waits_for_results=True)


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("a=b\n", "a=b\n"), ("a=b", "a=b\n"), ("a\0", "a\0\n")])
def test_append_starts_new_line(text: str, expected: str, tmp_path: Path) -> None:
    """No empty line is added, because act's runner rejects a file of outputs with one."""
    path = tmp_path / "file"
    path.write_text(text, "utf-8")
    make_shared_file(path).append(b"one=1\n")
    make_shared_file(path).append(b"two=2\n")
    assert path.read_text("utf-8") == f"{expected}one=1\ntwo=2\n"


def test_append_keeps_inode_and_adds_no_file(tmp_path: Path) -> None:
    """A file that is its own mount, in a folder without write permission, can be written."""
    path = tmp_path / "file"
    path.write_text("a=b\n", "utf-8")
    path.chmod(0o640)
    status_before = path.stat()
    make_shared_file(path).append(b"x\n")
    status_after = path.stat()
    for field in ("st_ino", "st_mode", "st_uid"):
        assert getattr(status_after, field) == getattr(status_before, field), field
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_new_file_has_owner_of_folder(tmp_path: Path) -> None:
    """A self-hosted runner deletes files as its own user after a container ran as root."""
    os.chown(tmp_path, 1001, 1002)
    make_shared_file(tmp_path / "file").append(b"x\n")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode) & 0o600) == (1001, 1002, 0o600)


@pytest.mark.parametrize("kind", ["pipe", "read pipe", "folder", "device", "loop"])
def test_append_to_special_file_fails_at_once(kind: str, tmp_path: Path) -> None:
    """A pipe, folder, device or link loop is an error without a wait."""
    path = Path(os.devnull) if kind == "device" else tmp_path / "thing"
    reader = -1
    if kind.endswith("pipe"):
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if kind == "read pipe" else -1
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to("thing")
    with pytest.raises(OSError, match=r"regular|directory|symbolic"):
        make_shared_file(path).append(b"x\n")
    if reader >= 0:
        os.close(reader)


def test_append_to_huge_file_fails(tmp_path: Path) -> None:
    """An earlier step may have left a sparse file of one tebibyte."""
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than 16 MiB"):
        make_shared_file(path).append(b"x\n")
    assert path.stat().st_size == 1 << 40


@pytest.mark.parametrize("data", [b"", b"a=b\n", b"a=b", b"y" * 999])
def test_full_disk_leaves_no_partial_block(data: bytes, tmp_path: Path) -> None:
    """Half a heredoc would fail the step, and a file size limit simulates the full disk."""
    path = tmp_path / "file"
    path.write_bytes(data)
    result = subprocess.run([sys.executable, "-c", FILE_LIMIT, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout == "File too large\n"
    assert path.read_bytes() == data


def test_foreign_lines_after_partial_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process appends between our short write and the error of the next one."""
    path = tmp_path / "file"
    path.write_bytes(b"a=b\n")
    write = os.write
    calls: list[bytes] = []

    def write_partially(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            count = write(descriptor, data[:6])
            with path.open("ab") as stream:
                stream.write(b"\ntheirs=1\n")
            return count
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_partially)
    with pytest.raises(OSError, match="No space"):
        make_shared_file(path).append(b"name<<delimiter\nvalue\ndelimiter\n")
    assert path.read_bytes().split() == [b"a=b", b"theirs=1"]
    assert path.read_bytes().endswith(b"\n\ntheirs=1\n")


def test_interrupted_block_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is removed if another process wrote into the middle of it."""
    path = tmp_path / "file"
    write = os.write
    calls: list[bytes] = []

    def write_in_two_parts(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            return write(descriptor, data)
        count = write(descriptor, data[:6])
        with path.open("ab") as stream:
            stream.write(b"\ntheirs=1\n")
        return count

    monkeypatch.setattr(os, "write", write_in_two_parts)
    with pytest.raises(OSError, match="another process"):
        make_shared_file(path).append(b"name<<delimiter\nvalue\ndelimiter\n")
    assert path.read_bytes().split() == [b"theirs=1"]


def test_line_begun_before_write_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that another process begins just before our write stays separate."""
    path = tmp_path / "file"
    path.write_bytes(b"a=b\n")
    write = os.write
    calls: list[bytes] = []

    def write_after_foreign_text(descriptor: int, data: bytes) -> int:
        if not calls:
            with path.open("ab") as stream:
                stream.write(b"theirs=1")
        calls.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_after_foreign_text)
    make_shared_file(path).append(b"ours=2\n")
    assert path.read_bytes() == b"a=b\ntheirs=1" + b"\n" * len("ours=2\n") + b"\nours=2\n"


def test_lines_begun_at_any_time_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process begins a line before each of our writes."""
    path = tmp_path / "file"
    write = os.write

    def write_after_foreign_text(descriptor: int, data: bytes) -> int:
        if data.strip():
            with path.open("ab") as stream:
                stream.write(b"theirs=1")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_after_foreign_text)
    make_shared_file(path).append(b"ours=2\n")
    assert path.read_bytes().split() == [b"theirs=1", b"theirs=1", b"ours=2"]


def test_unwritten_lines_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write follows half a line, and the disk is full at the second one."""
    path = tmp_path / "file"
    write = os.write
    calls: list[bytes] = []

    def fail_second_write(descriptor: int, data: bytes) -> int:
        if not data.strip():
            return write(descriptor, data)
        calls.append(data)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("ab") as stream:
            stream.write(b"theirs=1")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail_second_write)
    with pytest.raises(OSError, match="No space"):
        make_shared_file(path).append(b"ours=2\n")
    assert len(calls) == 2
    assert path.read_bytes() == b"theirs=1" + b"\n" * len("ours=2\n")


def test_stopped_lock_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of a stopped process is waited for only once."""
    monkeypatch.setattr(shared_file, "MAX_LOCK_SECONDS", 0.05)
    path = tmp_path / "file"
    path.touch()
    pauses: list[float] = []

    class CountingClock(Clock):
        def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            super().sleep(seconds)

    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        file = SharedFile(path, CountingClock())
        file.append(b"one\n")
        assert pauses
        pauses.clear()
        file.append(b"two\n")
        assert not pauses
    assert path.read_bytes() == b"one\ntwo\n"


def test_append_works_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks does not stop the write."""

    def raise_no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", raise_no_locks)
    make_shared_file(tmp_path / "file").append(b"x\n")
    assert (tmp_path / "file").read_bytes() == b"x\n"


# --- values of several lines


@pytest.mark.parametrize(
    ("data", "is_open"),
    [
        (b"", False),
        (b"a=b\n", False),
        (b"a=b<<EOF\n", False),
        (b"a<<EOF\n", True),
        (b"a<<EOF", True),
        (b"a<<EOF\nb=c\n", True),
        (b"a<<EOF\nEOF\n", False),
        (b"a<<EOF\nEOF", False),
        (b"a<<EOF\n EOF\nEOF \n", True),
        (b"a<<EOF\r\nb\r\nEOF\r\n", False),
        (b"a<<EOF\nb<<END\nEOF\n", False),
        (b"a<<EOF\nEOF\nb<<END\nEOF\n", True),
    ],
)
def test_heredoc_end_is_detected(data: bytes, is_open: bool) -> None:
    """The end of a file of outputs is inside a heredoc or outside."""
    assert is_in_heredoc(data) == is_open


@pytest.mark.parametrize("text", ['V="$(echo "it\'s")"', "cat <<E-F >&2\nit's\nE-F", "((y=1<<n))"])
def test_complete_exports_cause_no_wait(text: str, tmp_path: Path) -> None:
    """Complete exports of another process cause no wait."""
    path = tmp_path / "file"
    path.write_text(f"{text}\n", "utf-8")
    clock = FakeClock()
    started_at = clock.monotonic()
    publisher = make_publisher("quotes", path, clock)
    assert publisher.publish(make_waiting_report(make_started_run("a"))) == []
    assert path.read_text("utf-8").count("AUTONOMA_CONCLUSION=") == 1
    assert publisher.publish(make_waiting_report(make_passed_run("a"), is_ended=True)) == []
    assert clock.monotonic() == started_at
    assert read_sourced_value(path, "AUTONOMA_CONCLUSION") == "passed"


class CallbackClock(FakeClock):
    """A fake clock that calls a function in its second pause."""

    def __init__(self, callback: Callable[[], object]) -> None:
        super().__init__()
        self._callback, self._pauses = callback, 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._pauses += 1
        if self._pauses == 2:
            self._callback()


# For each form: the start and the end of a value of another process, and a function that reads the conclusion.
OPEN_VALUES: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "heredoc": (
        "report<<EOF\n",
        "a=b\nEOF\n",
        lambda path: runner.parse_outputs(path.read_text("utf-8"))["conclusion"],
    ),
    "quotes": ("export NOTES='first\n", "last'\n", lambda path: read_sourced_value(path, "AUTONOMA_CONCLUSION")),
}


def read_sourced_value(path: Path, name: str) -> str:
    script = f'. "$1"; echo "${name}"'
    return subprocess.run(["bash", "-c", script, "bash", path], capture_output=True, text=True, check=True).stdout[:-1]


def make_publisher(kind: str, path: Path, clock: Clock) -> ReportPublisher:
    name = "GITHUB_OUTPUT" if kind == "heredoc" else "BASH_ENV"
    context = make_publish_context({name: str(path)})._replace(clock=clock)
    [publisher] = (
        GITHUB.create_publishers(context)
        if kind == "heredoc"
        else create_env_file_publishers(context, name, SHELL_EXPORT_FORMAT)
    )
    return publisher


@pytest.mark.parametrize("kind", OPEN_VALUES)
def test_open_value_is_waited_for(kind: str, tmp_path: Path) -> None:
    """A write inside an open value would become part of that value."""
    path = tmp_path / "file"
    begin, end, read_value = OPEN_VALUES[kind]
    path.write_text(begin, "utf-8")

    def finish_value() -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(end)

    clock = CallbackClock(finish_value)
    assert make_publisher(kind, path, clock).publish(create_report([make_passed_run("a")], PASSED_VERDICT)) == []
    assert read_value(path) == "passed"


@pytest.mark.parametrize(("verdict", "seconds"), [(PASSED_VERDICT, 2.0), (CANCELLED_VERDICT, 0.0)])
@pytest.mark.parametrize("kind", OPEN_VALUES)
def test_open_value_without_end_warns(kind: str, verdict: Verdict, seconds: float, tmp_path: Path) -> None:
    """The wait for the end is short, and a signal skips it."""
    path = tmp_path / "file"
    path.write_text(OPEN_VALUES[kind][0], "utf-8")
    clock = FakeClock()
    started_at = clock.monotonic()
    [warning] = make_publisher(kind, path, clock).publish(create_report([make_passed_run("a")], verdict))
    assert "unfinished value" in warning
    assert seconds <= clock.monotonic() - started_at < seconds + 0.2
    assert "conclusion" in path.read_text("utf-8").lower()


@pytest.mark.parametrize("kind", OPEN_VALUES)
def test_early_values_follow_open_value(kind: str, tmp_path: Path) -> None:
    """While runs are open, a step does not wait for the end of an open value."""
    path = tmp_path / "file"
    begin, end, _ = OPEN_VALUES[kind]
    path.write_text(begin, "utf-8")
    clock = FakeClock()
    started_at = clock.monotonic()
    publisher = make_publisher(kind, path, clock)
    assert publisher.publish(make_waiting_report(make_started_run("a"))) == []
    assert path.read_text("utf-8") == begin
    path.write_text(begin + end, "utf-8")
    for _ in range(2):
        assert publisher.publish(make_waiting_report(make_started_run("a"))) == []
    assert path.read_text("utf-8").startswith(begin + end)
    assert path.read_text("utf-8").count("run-a") >= 1
    assert path.read_text("utf-8").lower().count("conclusion") == 1
    assert clock.monotonic() == started_at


# --- when values are written


def write_conclusions(
    path: Path, *reports: Report, writes_early: bool = True, file_format: EnvFileFormat = DOTENV_FORMAT
) -> list[str]:
    """Publish the reports, and return the lines that set the conclusion."""
    values = SharedFileValues(path, Clock(), file_format.format_lines, write_early=writes_early)
    for step_report in reports:
        values.write(step_report, file_format.select_variables)
    text = path.read_text("utf-8") if path.exists() else ""
    return [line for line in text.splitlines() if "AUTONOMA_CONCLUSION" in line]


STARTING = make_started_run("a")._replace(state=RunState.STARTING)
PLANNED = make_started_run("b")._replace(state=RunState.PLANNED)


def test_values_are_written_at_start_and_end(tmp_path: Path) -> None:
    """The values are written once all runs are started, and again at the end."""
    restarted_run = make_started_run("a")._replace(state=RunState.STARTING)
    lines = write_conclusions(
        tmp_path / "file",
        make_waiting_report(),
        make_waiting_report(STARTING, PLANNED),
        make_waiting_report(make_started_run("a"), PLANNED),
        make_waiting_report(make_started_run("a"), make_started_run("b")),
        make_waiting_report(make_passed_run("a"), make_started_run("b")),
        # One is started again.
        make_waiting_report(restarted_run, make_started_run("b")),
        make_waiting_report(make_started_run("c"), make_started_run("b")),
        make_waiting_report(make_passed_run("c"), make_passed_run("b"), is_ended=True),
        make_waiting_report(make_passed_run("c"), make_passed_run("b"), is_ended=True),
    )
    assert lines == ["AUTONOMA_CONCLUSION=", "AUTONOMA_CONCLUSION=passed"]


def test_values_without_wait_are_written_once(tmp_path: Path) -> None:
    """A step without `wait` ends when all its runs are started."""
    runs = [make_started_run("a"), make_started_run("b")]
    assert write_conclusions(tmp_path / "file", create_report(runs, None), create_report(runs)) == [
        "AUTONOMA_CONCLUSION=started"
    ]


def test_values_without_early_write_come_last(tmp_path: Path) -> None:
    """The early write can be turned off."""
    early_report = make_waiting_report(make_started_run("a"))
    assert write_conclusions(
        tmp_path / "file", early_report, make_waiting_report(make_passed_run("a"), is_ended=True), writes_early=False
    ) == ["AUTONOMA_CONCLUSION=passed"]


def test_value_omitted_later_is_emptied(tmp_path: Path) -> None:
    """outputs.env has room for the links of few runs, and none for a link with a space."""
    path = tmp_path / "file"
    values = SharedFileValues(path, Clock(), DOTENV_FORMAT.format_lines)
    values.write(make_waiting_report(make_started_run("a")), DOTENV_FORMAT.select_variables)
    assert read_last_values(path)["AUTONOMA_RUN_URL"] == "https://autonoma.app/run/run-a"
    values.write(
        make_waiting_report(make_passed_run("a")._replace(url="https://autonoma.app/run a"), is_ended=True),
        DOTENV_FORMAT.select_variables,
    )
    assert read_last_values(path)["AUTONOMA_RUN_URL"] == ""


def test_export_omitted_later_is_emptied(tmp_path: Path) -> None:
    """An export that is too long in the final report becomes empty."""
    path = tmp_path / "file"
    values = SharedFileValues(path, Clock(), SHELL_EXPORT_FORMAT.format_lines)
    values.write(make_waiting_report(make_started_run("a")), SHELL_EXPORT_FORMAT.select_variables)
    values.write(
        make_waiting_report(make_passed_run("a")._replace(url="https://a.example/" + "x" * 40_000), is_ended=True),
        SHELL_EXPORT_FORMAT.select_variables,
    )
    script = '. "$1"; echo "$AUTONOMA_CONCLUSION:$AUTONOMA_RUN_ID:$AUTONOMA_RUN_URL"'
    result = subprocess.run(["bash", "-c", script, "bash", path], capture_output=True, text=True, check=True)
    assert result.stdout == "passed:run-a:\n"


def test_values_after_early_failure_are_written(tmp_path: Path) -> None:
    """A failed early write is repeated at the end."""
    path = tmp_path / "file"
    path.mkdir()
    values = SharedFileValues(path, Clock(), DOTENV_FORMAT.format_lines)
    with pytest.raises(OSError, match="directory"):
        values.write(make_waiting_report(make_started_run("a")), DOTENV_FORMAT.select_variables)
    path.rmdir()
    values.write(make_waiting_report(make_passed_run("a"), is_ended=True), DOTENV_FORMAT.select_variables)
    assert read_last_values(path)["AUTONOMA_CONCLUSION"] == "passed"
