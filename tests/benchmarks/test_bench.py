"""What `make bench` makes of its measurements: a second one where that is due, an exit code, a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import bench, image, starting
from benchmarks.bench import measure_with_retry
from benchmarks.row import Row, find_fault, with_comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAST = with_comparison(Row("fast", "s", 1.5), 1.0, 1.0)
SMALL = with_comparison(Row("small", "MiB", 300.0, absolute=True), 200.0, 100.0)
MISSING = Row("missing", "s", 1.0, how="no engine")


def test_what_has_no_fault_is_measured_once() -> None:
    rounds = iter([[FAST]])
    assert measure_with_retry(lambda: next(rounds), {"fast": 1.0}) == ([FAST], [])


def test_what_has_a_fault_is_measured_again_and_the_others_keep_their_first_figures() -> None:
    slow, other = with_comparison(FAST, 1.4, 1.0), with_comparison(SMALL, 210.0, 100.0)
    rounds = iter([[slow, SMALL], [FAST, other]])
    rows, told = measure_with_retry(lambda: next(rounds), {"fast": 1.0, "small": 2.0})
    assert rows == [FAST, SMALL]
    assert told == ["Measured twice: fast: 1.40 s at first, 1.40 x: worse than its baseline by 40 %."]


def test_what_fails_twice_fails() -> None:
    rounds = iter([[with_comparison(FAST, 1.45, 1.0)], [with_comparison(FAST, 1.4, 1.0)]])
    (row,), _ = measure_with_retry(lambda: next(rounds), {"fast": 1.0})
    assert find_fault(row, {"fast": 1.0}) == "worse than its baseline by 40 %"


def run(
    monkeypatch: pytest.MonkeyPatch, rows: Sequence[Row], baseline: Mapping[str, float], *arguments: str
) -> tuple[int, list[Sequence[Row]]]:
    """Run the command on rows that are measured, and return its exit code and what it wrote."""

    def known() -> list[Row]:
        return list(rows)

    written: list[Sequence[Row]] = []
    monkeypatch.setattr(bench, "MEASUREMENTS", (known,))
    monkeypatch.setattr(bench, "read_baseline", lambda: baseline)
    monkeypatch.setattr(bench, "write_baseline", written.append)
    return bench.main(arguments), written


def test_all_is_well_when_every_ratio_is_near_its_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, [FAST, SMALL], {"fast": 1.1, "small": 1.9}) == (0, [])


def test_a_ratio_that_got_worse_by_a_quarter_twice_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, [FAST], {"fast": 0.79}) == (1, [])
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2].startswith("Measured twice: fast")
    assert printed[-1] == "WRONG: fast: worse than its baseline by 27 %"


def test_a_baseline_that_is_not_about_these_rows_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, [FAST], {"fast": 1.0, "gone": 1.0}) == (1, [])
    assert run(monkeypatch, [FAST], {}) == (1, [])


def test_what_could_not_be_measured_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, [FAST, MISSING], {"fast": 1.0, "missing": 1.0}) == (0, [])
    assert "Not measured: missing: no engine." in capsys.readouterr().out


def test_what_becomes_the_baseline_is_measured_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = iter([[with_comparison(FAST, ratio, 1.0)] for ratio in (1.2, 0.7, 1.1)])
    written: list[Sequence[Row]] = []
    monkeypatch.setattr(bench, "MEASUREMENTS", (lambda: next(rounds),))
    monkeypatch.setattr(bench, "write_baseline", written.append)
    assert bench.main(["--write-baseline"]) == 0
    assert [[row.ratio for row in rows] for rows in written] == [[1.1]]


def test_a_baseline_is_written_whatever_the_old_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, [FAST, SMALL], {"fast": 0.1, "gone": 1.0}, "--write-baseline") == (0, [[FAST, SMALL]])


@pytest.mark.parametrize("row", [MISSING, with_comparison(FAST, 1.6, 1.0)], ids=["not measured", "a promise broken"])
def test_no_baseline_is_written_unless_every_row_is_there_and_every_promise_kept(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, [SMALL, row], {}, "--write-baseline") == (1, [])


@pytest.mark.parametrize("docker", ["no-such-engine", "false --option"])
def test_without_an_engine_the_rows_of_the_image_say_so(docker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", docker)
    rows = image.image()
    assert [row.name for row in rows] == [row.name for row in vars(image).values() if isinstance(row, Row)]
    assert {(row.ours, row.how) for row in rows} == {(None, f"no engine answers to {docker.partition(' ')[0]}")}


def test_without_curl_and_jq_the_rows_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name in {"curl", "jq"} else name)
    assert starting.describe_missing_tools() == "install curl, jq"
