"""Code and HTML blocks left open at the end of a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autonoma_ci.ci.publishers import summary_file
from autonoma_ci.ci.publishers.markdown_blocks import ends_in_open_block
from autonoma_ci.ci.publishers.summary_file import SummaryFilePublisher
from autonoma_ci.clock import Clock
from tests.support.fake_clock import FakeClock
from tests.support.processor_time import measure_processor_seconds
from tests.support.reports import CANCELLED_VERDICT, create_report, make_failed_run, make_passed_run, make_started_run
from tests.unit.ci.publishers.test_summary_file import (
    BLOCKS,
    append,
    make_ended_report,
    make_publisher,
    make_running_report,
    render_html,
)

if TYPE_CHECKING:
    from pathlib import Path

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

    monkeypatch.setattr(summary_file, "ends_in_open_block", fail)
    assert SummaryFilePublisher("SUMMARY", path, Clock()).publish(make_ended_report(make_passed_run("a"))) == [
        "SUMMARY is full; the log has the links."
    ]
