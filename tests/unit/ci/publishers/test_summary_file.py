"""Region of one job step in a shared summary file, and blocks that others left open in it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autonoma_ci.ci.publishers.shared_file import SharedFile
from autonoma_ci.ci.publishers.summary_file import (
    SummaryFilePublisher,
    create_summary_file_publishers,
    ends_in_open_block,
)
from autonoma_ci.clock import Clock
from autonoma_ci.models import RunStep
from autonoma_ci.reports.markdown import MAX_SUMMARY_BYTES
from tests.support.fake_clock import FakeClock
from tests.support.processor_time import measure_processor_seconds
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    CANCELLED_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import Report, RunResult, Verdict

STEP = "0123456789abcdef"
MARK = re.compile(r"<!-- autonoma-ci (\w+) (\d{8}) -->")


def make_publisher(path: Path) -> SummaryFilePublisher:
    return SummaryFilePublisher("SUMMARY", path, Clock())


def make_running_report(*runs: RunResult, step: str = STEP) -> Report:
    """Return the report of a step that waits for these runs."""
    return create_report(list(runs), None)._replace(waits_for_results=True, step_id=step)


def make_ended_report(*runs: RunResult, step: str = STEP) -> Report:
    """Return the report of a step whose runs have passed."""
    return create_report(list(runs), PASSED_VERDICT)._replace(waits_for_results=True, step_id=step)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def render_html(path: Path) -> str:
    """Return the file as HTML without comments."""
    rendered = MarkdownIt("commonmark").enable("table").render(path.read_text("utf-8"))
    return re.sub(r"<!--.*?-->\s*", "", rendered, flags=re.DOTALL)


def test_region_is_replaced_in_place(tmp_path: Path) -> None:
    """A later report replaces the region, and no byte of others moves."""
    path = tmp_path / "summary"
    append(path, "before\n")
    publisher = make_publisher(path)
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    size, inode = path.stat().st_size, path.stat().st_ino
    append(path, "behind\n")
    assert publisher.publish(make_running_report(make_passed_run("a"), make_started_run("b"))) == []
    assert publisher.publish(make_ended_report(make_passed_run("a"), make_passed_run("b"))) == []
    text = path.read_text("utf-8")
    assert (text[:7], text[-7:], text.count("### "), text.count("Passed")) == ("before\n", "behind\n", 1, 1)
    assert (path.stat().st_size, path.stat().st_ino) == (size + 7, inode)
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary"]


@pytest.mark.parametrize(
    "text_before", ["", "text", "| a |\n| --- |\n| b |", "- item\n", "<div>\n", "# title\n", "a\n\n"]
)
@pytest.mark.parametrize("text_after", ["# theirs\n", "| theirs |\n| --- |\n", "theirs\n", "- theirs", "    theirs\n"])
def test_region_does_not_affect_other_text(text_before: str, text_after: str, tmp_path: Path) -> None:
    """A reader sees the text of others, our heading and our table, and no marker."""
    names = ("whole", "before", "ours", "behind")
    combined_path, before_path, own_path, after_path = (tmp_path / name for name in names)
    append(combined_path, text_before)
    for path in (combined_path, own_path):
        assert make_publisher(path).publish(make_ended_report(make_passed_run("a"))) == []
    append(combined_path, text_after)
    append(before_path, text_before)
    append(after_path, text_after)
    assert "<h3>" in render_html(own_path)
    assert "<table>" in render_html(own_path)
    assert (
        render_html(combined_path).split()
        == (render_html(before_path) + render_html(own_path) + render_html(after_path)).split()
    )


def test_region_too_long_moves_to_end(tmp_path: Path) -> None:
    """A text longer than its region moves to the end of the file."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, "theirs\n")
    position = path.read_bytes().index(b"theirs")
    runs = [make_failed_run(f"t{number}") for number in range(100)]
    assert publisher.publish(make_running_report(*runs)._replace(verdict=FAILED_VERDICT)) == []
    text = path.read_text("utf-8")
    assert text.count("### ") == len(MARK.findall(text)) == 1
    assert path.read_bytes().index(b"theirs") == position
    assert text.index("theirs") < text.index("### ")
    assert text.count("❌ failed") == 100
    assert render_html(path).startswith("<p>theirs</p>")


def make_long_failure(name: str) -> RunResult:
    """Return a failed run with a row of the maximum length."""
    step = RunStep(4, "Check the *result* of the <checkout> " * 8, "The page shows <b>an error</b> `x` " * 30, "")
    return make_failed_run(name)._replace(step=step)


@pytest.mark.slow
@pytest.mark.parametrize("has_other_text", [False, True])
def test_region_has_all_runs_that_fail_in_turn(has_other_text: bool, tmp_path: Path) -> None:
    """Abandoned regions leave enough space for the text."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    runs = [make_started_run(f"t{number}") for number in range(300)]
    for number in range(300):
        if number % 10 == 0:
            assert publisher.publish(make_running_report(*runs)) == []
            if has_other_text:
                append(path, "theirs\n")
        runs[number] = make_long_failure(f"t{number}")
    assert publisher.publish(make_running_report(*runs)._replace(verdict=FAILED_VERDICT)) == []
    text = path.read_text("utf-8")
    assert (text.count("❌ failed"), text.count("more run"), text.count("theirs\n")) == (300, 0, 30 * has_other_text)
    assert path.stat().st_size <= MAX_SUMMARY_BYTES
    single_path = tmp_path / "alone"
    make_publisher(single_path).publish(make_running_report(*runs)._replace(verdict=FAILED_VERDICT))
    assert has_other_text or path.stat().st_size < single_path.stat().st_size + MAX_SUMMARY_BYTES / 8


def test_many_steps_fit_in_one_summary(tmp_path: Path) -> None:
    """Unused reserved room of each step stays in the file."""
    path = tmp_path / "summary"
    for number in range(20):
        publisher, step = make_publisher(path), f"{number:016x}"
        assert (
            publisher.publish(make_running_report(*[make_started_run(f"t{index}") for index in range(128)], step=step))
            == []
        )
        assert (
            publisher.publish(make_ended_report(*[make_passed_run(f"t{index}") for index in range(128)], step=step))
            == []
        )
    text = path.read_text("utf-8")
    assert (text.count("### "), text.count("[run-t127]")) == (20, 20)
    assert path.stat().st_size < MAX_SUMMARY_BYTES * 0.9


def test_region_grows_after_concurrent_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process appends between the read of the end and our write."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append_to = SharedFile.append_to
    calls: list[bytes] = []

    def append_after_foreign_line(self: SharedFile, descriptor: int, data: bytes) -> int:
        if not calls:
            append(path, "theirs\n")
        calls.append(data)
        return append_to(self, descriptor, data)

    monkeypatch.setattr(SharedFile, "append_to", append_after_foreign_line)
    runs = [make_long_failure(f"t{number}") for number in range(20)]
    assert publisher.publish(make_running_report(*runs)) == []
    assert calls
    assert publisher.publish(make_running_report(*runs)._replace(verdict=FAILED_VERDICT)) == []
    text = path.read_text("utf-8")
    assert (text.count("theirs\n"), text.count("### "), text.count("❌ failed")) == (1, 1, 20)


def test_region_on_full_disk_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk still allows a replacement in place."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    size, write = path.stat().st_size, os.write

    def fail_on_growth(descriptor: int, data: bytes) -> int:
        if os.lseek(descriptor, 0, os.SEEK_CUR) + len(data) > size or os.fstat(descriptor).st_size > size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("autonoma_ci.ci.publishers.shared_file.open_for_append", open_at_end)
    monkeypatch.setattr(os, "write", fail_on_growth)
    assert publisher.publish(make_ended_report(*[make_passed_run(f"t{number}") for number in range(100)])) == []
    text = path.read_text("utf-8")
    assert (path.stat().st_size, text.count("### "), text.count("✅ Passed")) == (size, 1, 1)
    assert "more runs" in text


def test_region_on_full_disk_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, a region before other text is shortened at its place."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, "theirs\n")
    size = path.stat().st_size

    def fail_to_open(_: Path) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("autonoma_ci.ci.publishers.shared_file.open_for_append", fail_to_open)
    assert publisher.publish(make_ended_report(*[make_passed_run(f"t{number}") for number in range(100)])) == []
    text = path.read_text("utf-8")
    assert (path.stat().st_size, text.count("### "), text.count("✅ Passed")) == (size, 1, 1)
    assert "more runs" in text
    assert text.endswith("\ntheirs\n")


@pytest.mark.parametrize("is_restored", [True, False])
def test_failed_replacement_warns(is_restored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in the middle restores the earlier text if it can."""
    path = tmp_path / "summary"
    append(path, "before\n")
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, "behind\n")
    data_before, write = path.read_bytes(), os.write
    calls: list[int] = []

    def fail_in_middle(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return write(descriptor, data[: len(data) // 2])
        if len(calls) == 2 or not is_restored:
            raise OSError(errno.EIO, "Input/output error")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail_in_middle)
    warning = "SUMMARY could not be written (Input/output error). The log has the links."
    assert publisher.publish(make_ended_report(make_passed_run("a"))) == [warning]
    data_after = path.read_bytes()
    assert (data_after == data_before) is is_restored
    assert (data_after[:7], data_after[-7:], len(data_after)) == (b"before\n", b"behind\n", len(data_before))


def open_at_end(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


def test_region_and_other_text_fit_limit(tmp_path: Path) -> None:
    """GitHub shows no summary above 1 MiB."""
    path = tmp_path / "summary"
    append(path, "x" * 500_000)
    publisher = make_publisher(path)
    publisher.publish(make_running_report(*[make_started_run(f"t{number}") for number in range(3_000)]))
    append(path, "y" * 100_000)
    assert publisher.publish(make_ended_report(*[make_failed_run(f"t{number}") for number in range(3_000)])) == []
    assert path.stat().st_size <= MAX_SUMMARY_BYTES
    text = path.read_text("utf-8")
    assert (text.count("x" * 500_000), text.count("y" * 100_000), text.count("### ")) == (1, 1, 1)
    assert "✅ Passed" in text


def test_reserved_space_leaves_rest_to_others(tmp_path: Path) -> None:
    """Running steps reserve less than a third of the limit, and ended ones almost nothing."""
    path = tmp_path / "summary"
    make_publisher(path).publish(make_running_report(*[make_started_run(f"t{number}") for number in range(1_000)]))
    assert path.stat().st_size < MAX_SUMMARY_BYTES / 3
    other_path = tmp_path / "other"
    make_publisher(other_path).publish(make_ended_report(make_passed_run("a")))
    assert other_path.stat().st_size < 500, "what has ended needs no room to grow"


@pytest.mark.parametrize(
    "truncation", ["to nothing", "in our region", "in our text", "in our first line", "by another file"]
)
def test_region_truncated_is_written_again(truncation: str, tmp_path: Path) -> None:
    """A truncated or removed region is written again at the end."""
    path = tmp_path / "summary"
    append(path, "before\n")
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a"), make_started_run("b")))
    data = path.read_bytes()
    if truncation == "by another file":
        (tmp_path / "new").write_text("before\n", "utf-8")
        (tmp_path / "new").replace(path)
    else:
        position = {
            "to nothing": 0, "in our region": len(data) - 30, "in our text": data.index(b"started") + 3,
            "in our first line": data.index(b"autonoma-ci") + 3,
        }[truncation]  # fmt: skip
        os.truncate(path, position)
    assert publisher.publish(make_running_report(make_passed_run("a"), make_started_run("b"))) == []
    append(path, "# theirs\n")
    assert publisher.publish(make_ended_report(make_passed_run("a"), make_passed_run("b"))) == []
    text = path.read_text("utf-8")
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)
    assert text.endswith("\n# theirs\n")
    assert text.startswith("before\n") or truncation == "to nothing"
    assert len(MARK.findall(text)) == 1


def test_region_truncated_keeps_other_text(tmp_path: Path) -> None:
    """Another process truncated the file inside our text and then appended to it."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a"), make_started_run("b")))
    position = path.read_bytes().index(b"| b |") + 2
    os.truncate(path, position)
    append(path, "by others\n")
    publisher.publish(make_ended_report(make_passed_run("a"), make_passed_run("b")))
    text = path.read_text("utf-8")
    assert "by others\n" in text
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)


def test_region_overwritten_is_not_duplicated(tmp_path: Path) -> None:
    """Another process writes over the start of our region from the start of the file."""
    path = tmp_path / "summary"
    with path.open("w", encoding="utf-8") as stream:
        publisher = make_publisher(path)
        publisher.publish(make_running_report(make_started_run("a")))
        stream.write("theirs, over ours\n" * 12)
        stream.flush()
        publisher.publish(make_running_report(make_passed_run("a")))
        stream.write("more of theirs\n")
    publisher.publish(make_ended_report(make_passed_run("a")))
    text = path.read_text("utf-8")
    assert text.startswith("theirs, over ours\n" * 12 + "more of theirs\n")
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 0)
    assert STEP in text
    assert text.count("-->") == 2


def test_region_moved_is_found_again(tmp_path: Path) -> None:
    """A region that another process moved is replaced at its new position."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    (tmp_path / "new").write_text("# first of all\n" + path.read_text("utf-8") + "last\n", "utf-8")
    (tmp_path / "new").replace(path)
    publisher.publish(make_ended_report(make_passed_run("a")))
    text = path.read_text("utf-8")
    assert (text[:15], text[-5:], text.count("### "), text.count("⏳")) == ("# first of all\n", "last\n", 1, 0)


def test_region_with_crlf_is_replaced(tmp_path: Path) -> None:
    """Another process rewrote the file with the line breaks of Windows."""
    path = tmp_path / "summary"
    append(path, "before\n")
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, "behind\n")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert publisher.publish(make_ended_report(make_passed_run("a"))) == []
    data = path.read_bytes()
    assert data.startswith(b"before\r\n")
    assert b"behind\r\n" in data
    text = data.decode()
    assert (len(MARK.findall(text)), text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (1, 1, 1, 0)


@pytest.mark.parametrize("remaining_text", ["", "theirs\n"])
def test_file_truncated_meanwhile_has_no_hole(
    remaining_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process rewrites the file between our read and our write."""
    path = tmp_path / "summary"
    append(path, "before\n" * 20)
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    write = os.write

    def write_after_truncation(descriptor: int, data: bytes) -> int:
        if b"Passed" in data:
            path.write_text(remaining_text, "utf-8")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_after_truncation)
    assert publisher.publish(make_ended_report(make_passed_run("a"))) == []
    text = path.read_text("utf-8")
    assert text.lstrip("\n").startswith(remaining_text or "<!--")
    assert (text.count("\0"), text.count("### "), text.count("✅ Passed")) == (0, 1, 1)


def test_region_copied_by_others_stays(tmp_path: Path) -> None:
    """A copy of our region by another process stays unchanged."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    copy = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(copy)
    publisher.publish(make_ended_report(make_passed_run("a")))
    assert path.read_bytes().endswith(copy)
    assert path.read_text("utf-8").count("✅ Passed") == 1


def test_two_steps_have_own_regions(tmp_path: Path) -> None:
    """Each job step has its own region."""
    path = tmp_path / "summary"
    one, other = make_publisher(path), make_publisher(path)
    one.publish(make_running_report(make_started_run("a"), step="a" * 16))
    other.publish(make_running_report(make_started_run("b"), step="b" * 16))
    one.publish(make_ended_report(make_passed_run("a"), step="a" * 16))
    other.publish(make_ended_report(make_passed_run("b"), step="b" * 16))
    text = path.read_text("utf-8")
    assert (text.count("### "), text.count("✅ Passed"), text.count("⏳")) == (2, 2, 0)


def test_wait_replaces_region_of_first_step(tmp_path: Path) -> None:
    """`wait` in the same job shows one summary, not two."""
    path = tmp_path / "summary"
    make_publisher(path).publish(make_running_report(make_started_run("a"))._replace(waits_for_results=False))
    append(path, "theirs\n")
    make_publisher(path).publish(make_ended_report(make_passed_run("a")))
    text = path.read_text("utf-8")
    assert (text.count("### "), text.count("✅ Passed"), text[-7:]) == (1, 1, "theirs\n")


@pytest.mark.parametrize("step", ["", "--><b>@x", "../../..", "\n# x", "é" * 9, "a b", "\ud800", ".*", "x" * 5_000])
def test_hostile_step_id_is_no_markup(step: str, tmp_path: Path) -> None:
    """The results.json that `wait` reads may come from anybody."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a"), step=step))
    publisher.publish(make_ended_report(make_passed_run("a"), step=step))
    text = path.read_text("utf-8")
    assert [len(step_id) <= 16 for step_id, _ in MARK.findall(text)] == [True]
    assert (text.count("<!--"), text.count("-->"), text.count("### ")) == (2, 2, 1)
    assert "<b>" not in text


def test_forged_markers_remove_nothing(tmp_path: Path) -> None:
    """A forged marker with any length removes no text of others."""
    path = tmp_path / "summary"
    forged_text = "".join(f"<!-- autonoma-ci {STEP} {size:08d} -->\ntext\n" for size in (0, 1, 40, 99_999_999))
    append(path, forged_text)
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    publisher.publish(make_ended_report(make_passed_run("a")))
    assert path.read_text("utf-8").startswith(forged_text)
    assert path.read_text("utf-8").count("✅ Passed") == 1


FILE_LIMIT = """
import resource, sys, pathlib
from autonoma_ci.ci.publishers.summary_file import SummaryFilePublisher
from autonoma_ci.clock import Clock
from tests.unit.ci.publishers.test_summary_file import make_ended_report, make_running_report
from tests.support.reports import make_passed_run, make_started_run
path = pathlib.Path(sys.argv[1])
publisher = SummaryFilePublisher("SUMMARY", path, Clock())
publisher.publish(make_running_report(make_started_run("a")))
limit = path.stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print(publisher.publish(make_ended_report(*[make_passed_run(f"t{number}") for number in range(int(sys.argv[3]))])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra_bytes", "runs", "has_space"), [(0, 1, True), (10, 200, True), (-5_200, 1, False), (-100, 1, False)]
)
def test_file_size_limit_leaves_whole_summary(extra_bytes: int, runs: int, has_space: bool, tmp_path: Path) -> None:
    """A replacement in place needs no more room, and a partial one is undone."""
    path = tmp_path / "summary"
    append(path, "theirs\n")
    command = [sys.executable, "-c", FILE_LIMIT, str(path), str(extra_bytes), str(runs)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    text = path.read_text("utf-8")
    assert text.startswith("theirs\n")
    assert (text.count("### "), len(MARK.findall(text)), text.count("-->")) == (1, 1, 2)
    assert result.stdout == (
        "[]\n" if has_space else "['SUMMARY could not be written (File too large). The log has the links.']\n"
    )
    assert text.count("✅ Passed" if has_space else "⏳ Running") == 1


def test_file_filled_by_others_warns(tmp_path: Path) -> None:
    """GitHub then drops the whole summary, including ours."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    append(path, "x" * 1_048_000 + "\n")
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    [warning] = publisher.publish(make_ended_report(make_passed_run("a")))
    assert warning == "SUMMARY is full. The log has the links."


BLOCKS = {
    "```\ncode\n": "```\n",
    "text\n~~~~ yaml\n~~~\ncode\n": "~~~~\n",
    "   ```python title\n``` x\n``\n": "```  \n",
    "````\n```\n": "`````\n",
    "<!-- a\nb\n": "c -->\n",
    "<pre>\na\n\n": "</pre>\n",
}


@pytest.mark.parametrize(("begin", "end"), BLOCKS.items())
def test_open_block_is_never_written_into(begin: str, end: str, tmp_path: Path) -> None:
    """Our text would become code, and the end of our chart would end the block."""
    path = tmp_path / "summary"
    append(path, begin)
    publisher = make_publisher(path)
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    assert path.read_text("utf-8") == begin
    append(path, f"more\n{end}")
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    append(path, "**theirs**\n")
    assert publisher.publish(make_ended_report(make_passed_run("a"))) == []
    page = render_html(path)
    assert "<table>" in page
    assert "<strong>theirs</strong>" in page


@pytest.mark.parametrize(("verdict", "seconds"), [(PASSED_VERDICT, 2.0), (CANCELLED_VERDICT, 0.0)])
@pytest.mark.parametrize("begin", BLOCKS)
def test_open_block_without_end_warns(begin: str, verdict: Verdict, seconds: float, tmp_path: Path) -> None:
    """The wait for the end is short, and a signal skips it."""
    path = tmp_path / "summary"
    append(path, begin)
    clock = FakeClock()
    started_at = clock.monotonic()
    [warning] = SummaryFilePublisher("SUMMARY", path, clock).publish(create_report([make_passed_run("a")], verdict))
    assert warning.startswith("SUMMARY ends within a code block or comment of another process")
    assert seconds <= clock.monotonic() - started_at < seconds + 0.2
    text = path.read_text("utf-8")
    assert text.startswith(begin)
    assert "https://" in text
    assert "```mermaid" not in text


@pytest.mark.parametrize(
    "text",
    [
        "```\na\n```\n",
        "    ```\n",
        "``` a`b\n",
        "a `` b ```\n",
        "<!-- a -->\n",
        "a <!-- b\n",
        "<pre>a</pre>\n",
        "<present>\n",
        "```\r\na\r\n```\r\n",
        "~~~ a`b\n~~~\n",
    ],
)
def test_closed_block_is_not_waited_for(text: str, tmp_path: Path) -> None:
    """A closed block, or text that looks like one, causes no wait."""
    path = tmp_path / "summary"
    append(path, text)
    assert make_publisher(path).publish(make_running_report(make_started_run("a"))) == []
    assert "autonoma-ci" in path.read_text("utf-8")
    assert "<table>" in render_html(path) or text.startswith("a <!--")


def test_huge_file_warns_without_reading(tmp_path: Path) -> None:
    """An earlier step may have left a sparse file of one tebibyte."""
    path = tmp_path / "summary"
    path.touch()
    os.truncate(path, 1 << 40)
    [warning] = make_publisher(path).publish(make_ended_report(make_passed_run("a")))
    assert "larger than 16 MiB" in warning
    path.write_bytes(b"\n" * 16 * 1024 * 1024)
    [warning] = make_publisher(path).publish(make_ended_report(make_passed_run("a")))
    assert "SUMMARY is full." in warning


def test_summary_off_has_no_publisher(tmp_path: Path) -> None:
    """The option `summary` turns the publisher off."""
    environ = {"SUMMARY": str(tmp_path / "summary")}
    assert create_summary_file_publishers(make_publish_context(environ, summary=False), "SUMMARY") == ()
    assert len(create_summary_file_publishers(make_publish_context(environ), "SUMMARY")) == 1


# Texts of another process. A number in their place is the number of runs of our next report.
TEXTS = st.text(st.sampled_from("ab|-# \n<!>`é"), max_size=40)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(TEXTS, st.integers(1, 60)), max_size=12), st.data())
def test_other_text_survives_any_order(actions: list[str | int], data: st.DataObject) -> None:
    """Reports and foreign text in any order lose no byte of the foreign text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "summary")
        files = [make_publisher(path), make_publisher(path)]
        foreign_text = ""
        for action in [*actions, 1, 2]:
            if isinstance(action, str):
                append(path, action)
                foreign_text += action
                continue
            index = data.draw(st.integers(0, 1))
            files[index].publish(
                make_running_report(*[make_failed_run(f"t{number}") for number in range(action)], step="ab"[index] * 16)
            )
        for index, publisher in enumerate(files):
            publisher.publish(make_ended_report(make_passed_run("z"), step="ab"[index] * 16))
        text = path.read_bytes().decode("utf-8")
        matches = list(MARK.finditer(text))
        assert [len(matches), text.count("✅ Passed"), text.count("⏳")] == [2, 2, 0]
        other_data = text.encode()
        for match in reversed(matches):
            begin = len(text[: match.start()].encode())
            other_data = other_data[:begin] + other_data[begin + int(match[2]) :]
        other_text, expected = other_data.decode().replace("\n", ""), foreign_text.replace("\n", "")
        assert other_text == expected
        assert other_data.decode().count("\n") >= foreign_text.count("\n")


# Blocks of other processes


MIB = 1024 * 1024
MANY = [make_failed_run(f"t{number}") for number in range(60)]
# Starts and ends of blocks, and texts that resemble them. An end tag alone is missing, because it may begin a block of
# kind 7, which ends at an empty line.
FENCES = ["`", "```", "````", "~~~", "~~~~~", " ", "    ", "a"]
PARTS = [*FENCES, "<!--", "-->", "<pre>", "a</PRE>", "<style ", "a</script>"]
LINES = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)


@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_block_end_matches_markdown_parser(lines: list[str], line_break: str) -> None:
    """The end of a block is where a Markdown parser finds it."""
    text = line_break.join(lines)
    tokens = MarkdownIt("commonmark").parse(f"{text}\n\n\n# ours\n")
    is_separate = [token.content for token in tokens if token.type == "inline"][-1:] == ["ours"]
    assert ends_in_open_block(text.encode()) is not is_separate


@pytest.mark.parametrize(
    "text",
    ["\n" * MIB, "```\n" * (MIB // 4), "`" * MIB, "x" * MIB, "<!--\n" + "--\n" * (MIB // 3), "~~~a\n~~\n" * 150_000],
)
def test_block_search_of_1_mib_is_fast(text: str) -> None:
    """Reading 1 MiB of the worst text stays within the time of a slow machine."""
    data = text.encode()
    assert measure_processor_seconds(lambda: ends_in_open_block(data), 5.0) < 5.0


@pytest.mark.parametrize(("begin", "end"), BLOCKS.items())
def test_region_never_moves_into_open_block(begin: str, end: str, tmp_path: Path) -> None:
    """The text is cut in place and moves when the block ends."""
    path = tmp_path / "summary"
    publisher = make_publisher(path)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, f"theirs\n{begin}")
    size = path.stat().st_size
    assert publisher.publish(make_running_report(*MANY)) == []
    text = path.read_text("utf-8")
    assert (path.stat().st_size, text[-len(begin) :], "more runs" in text) == (size, begin, True)
    append(path, end)
    assert publisher.publish(make_ended_report(*MANY)) == []
    text = path.read_text("utf-8")
    assert (text.index(begin) < text.index("### "), text.count("❌ failed")) == (True, 60)
    assert "<table>" in render_html(path)


def test_region_waits_for_open_block_at_end(tmp_path: Path) -> None:
    """The final text waits 2 s for the block to end and then stays in place."""
    path = tmp_path / "summary"
    clock = FakeClock()
    publisher = SummaryFilePublisher("SUMMARY", path, clock)
    publisher.publish(make_running_report(make_started_run("a")))
    append(path, "```\n")
    started_at = clock.monotonic()
    assert publisher.publish(make_ended_report(*MANY)) == []
    assert 2.0 <= clock.monotonic() - started_at < 2.2
    assert path.read_text("utf-8").endswith("```\n")
    started_at = clock.monotonic()
    assert publisher.publish(create_report(MANY, CANCELLED_VERDICT)._replace(waits_for_results=True)) == []
    assert clock.monotonic() == started_at
    assert render_html(path).count("❌ failed") > 1


def test_region_that_fits_never_waits(tmp_path: Path) -> None:
    """A later step also replaces the region of an earlier one without a wait."""
    path = tmp_path / "summary"
    make_publisher(path).publish(make_running_report(make_started_run("a")))
    append(path, "```\n")
    clock = FakeClock()
    started_at = clock.monotonic()
    publisher = SummaryFilePublisher("SUMMARY", path, clock)
    assert publisher.publish(make_running_report(make_passed_run("a"))) == []
    assert "✅ passed" in path.read_text("utf-8")
    assert publisher.publish(make_ended_report(*[make_passed_run("a"), make_passed_run("b")])) == []
    assert clock.monotonic() == started_at
    assert "```mermaid" in path.read_text("utf-8")


def test_region_in_block_has_no_chart(tmp_path: Path) -> None:
    """The fence of a chart would close the block of another process."""
    path = tmp_path / "summary"
    append(path, "```\n")
    runs = [make_passed_run("a"), make_passed_run("b")]
    first, second = (SummaryFilePublisher("SUMMARY", path, FakeClock()) for _ in range(2))
    for publisher in (first, first, second):
        [warning] = publisher.publish(make_ended_report(*runs))
        assert warning.startswith("SUMMARY ends within a code block")
        assert "```mermaid" not in path.read_text("utf-8")


def test_region_removed_waits_for_open_block(tmp_path: Path) -> None:
    """A removed region is written again when the block ends or the step does."""
    path = tmp_path / "summary"
    publisher = SummaryFilePublisher("SUMMARY", path, FakeClock())
    publisher.publish(make_running_report(make_started_run("a")))
    path.write_text("```\ncode\n", "utf-8")
    assert publisher.publish(make_running_report(make_started_run("a"))) == []
    assert path.read_text("utf-8") == "```\ncode\n"
    [warning] = publisher.publish(make_ended_report(make_passed_run("a")))
    assert "within a code block" in warning
    assert "✅ Passed" in path.read_text("utf-8")


def test_full_file_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file is not searched for blocks."""
    path = tmp_path / "summary"
    append(path, "\n" * 2 * MIB)

    def fail(_: bytes) -> bool:
        raise AssertionError

    monkeypatch.setattr("autonoma_ci.ci.publishers.summary_file.ends_in_open_block", fail)
    assert SummaryFilePublisher("SUMMARY", path, Clock()).publish(make_ended_report(make_passed_run("a"))) == [
        "SUMMARY is full. The log has the links."
    ]
