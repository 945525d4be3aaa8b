"""The command make bench and its exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import bench, image, starting
from benchmarks.bench import measure_with_retry
from benchmarks.row import Row, find_limit_error, with_comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAST_ROW = with_comparison(Row("fast", "s", 1.5), 1.0, 1.0)
SMALL_ROW = with_comparison(Row("small", "MiB", 300.0, absolute=True), 200.0, 100.0)
UNMEASURED_ROW = Row("missing", "s", 1.0, how="no engine")


def test_row_within_limits_is_measured_once() -> None:
    """A second measurement is made only if a row is over a limit."""
    rounds = iter([[FAST_ROW]])
    assert measure_with_retry(lambda: next(rounds), {"fast": 1.0}) == ([FAST_ROW], [])


def test_row_over_limit_is_measured_again() -> None:
    """Other rows use their first measurement."""
    slow_row, other_row = with_comparison(FAST_ROW, 1.4, 1.0), with_comparison(SMALL_ROW, 210.0, 100.0)
    rounds = iter([[slow_row, SMALL_ROW], [FAST_ROW, other_row]])
    rows, notes = measure_with_retry(lambda: next(rounds), {"fast": 1.0, "small": 2.0})
    assert rows == [FAST_ROW, SMALL_ROW]
    assert notes == ["Measured twice: fast: 1.40 s at first, 1.40 x: worse than its baseline by 40 %."]


def test_row_over_limit_twice_fails() -> None:
    """The second measurement of a row counts, even if it is over the limit too."""
    rounds = iter([[with_comparison(FAST_ROW, 1.45, 1.0)], [with_comparison(FAST_ROW, 1.4, 1.0)]])
    (row,), _ = measure_with_retry(lambda: next(rounds), {"fast": 1.0})
    assert find_limit_error(row, {"fast": 1.0}) == "worse than its baseline by 40 %"


def run_bench(
    monkeypatch: pytest.MonkeyPatch, rows: Sequence[Row], baseline: Mapping[str, float], *arguments: str
) -> tuple[int, list[Sequence[Row]]]:
    """Run the command with fixed rows, and return exit code and baselines."""

    def measure() -> list[Row]:
        return list(rows)

    written_baselines: list[Sequence[Row]] = []
    monkeypatch.setattr(bench, "MEASUREMENTS", (measure,))
    monkeypatch.setattr(bench, "read_baseline", lambda: baseline)
    monkeypatch.setattr(bench, "write_baseline", written_baselines.append)
    return bench.main(arguments), written_baselines


def test_ratios_near_baseline_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small differences to the baseline are no error, and no baseline is written."""
    assert run_bench(monkeypatch, [FAST_ROW, SMALL_ROW], {"fast": 1.1, "small": 1.9}) == (0, [])


def test_ratio_worse_by_quarter_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A ratio that is worse by a quarter in two measurements fails the command."""
    assert run_bench(monkeypatch, [FAST_ROW], {"fast": 0.79}) == (1, [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("Measured twice: fast")
    assert lines[-1] == "WRONG: fast: worse than its baseline by 27 %"


def test_baseline_of_other_rows_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline without a row and a row without a baseline are errors."""
    assert run_bench(monkeypatch, [FAST_ROW], {"fast": 1.0, "gone": 1.0}) == (1, [])
    assert run_bench(monkeypatch, [FAST_ROW], {}) == (1, [])


def test_unmeasured_row_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that cannot be measured does not fail the command."""
    assert run_bench(monkeypatch, [FAST_ROW, UNMEASURED_ROW], {"fast": 1.0, "missing": 1.0}) == (0, [])
    assert "Not measured: missing: no engine." in capsys.readouterr().out


def test_baseline_is_median_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new baseline has the median ratio of three measurements."""
    rounds = iter([[with_comparison(FAST_ROW, ratio, 1.0)] for ratio in (1.2, 0.7, 1.1)])
    written_baselines: list[Sequence[Row]] = []
    monkeypatch.setattr(bench, "MEASUREMENTS", (lambda: next(rounds),))
    monkeypatch.setattr(bench, "write_baseline", written_baselines.append)
    assert bench.main(["--write-baseline"]) == 0
    assert [[row.ratio for row in rows] for rows in written_baselines] == [[1.1]]


def test_baseline_replaces_any_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline is written even if the old one has other rows or better ratios."""
    assert run_bench(monkeypatch, [FAST_ROW, SMALL_ROW], {"fast": 0.1, "gone": 1.0}, "--write-baseline") == (
        0,
        [[FAST_ROW, SMALL_ROW]],
    )


@pytest.mark.parametrize(
    "row", [UNMEASURED_ROW, with_comparison(FAST_ROW, 1.6, 1.0)], ids=["not measured", "over its limit"]
)
def test_incomplete_baseline_is_not_written(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row must be measured and within its limit."""
    assert run_bench(monkeypatch, [SMALL_ROW, row], {}, "--write-baseline") == (1, [])


@pytest.mark.parametrize("docker", ["no-such-engine", "false --option"])
def test_image_rows_need_engine(docker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a container engine, the rows of the image say why they are missing."""
    monkeypatch.setenv("DOCKER", docker)
    rows = image.measure_image()
    assert [row.name for row in rows] == [row.name for row in vars(image).values() if isinstance(row, Row)]
    assert {(row.ours, row.how) for row in rows} == {(None, f"no engine answers to {docker.partition(' ')[0]}")}


def test_missing_tools_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names only the tools that are not installed."""
    monkeypatch.setattr("shutil.which", lambda name: None if name in {"curl", "jq"} else name)
    assert starting.describe_missing_tools() == "install curl, jq"
