"""Test a few seconds of real load and the detection of false reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.github_job import JobResult
from tests.system.soak.check_results import count_states
from tests.system.soak.ground_truth import GroundTruth
from tests.system.soak.load import LoadResult, find_errors, find_memory_growth, run_load, select_memory_after_starts

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 30


@pytest.fixture(scope="module")
def load_result(tmp_path_factory: pytest.TempPathFactory) -> LoadResult:
    return run_load(tmp_path_factory.mktemp("load"), seed=1, runs=RUNS, seconds=2.0)


def replace_job(load: LoadResult, **changes: object) -> LoadResult:
    return load._replace(job=load.job.__class__(**{**vars(load.job), **changes}))


def test_load_loses_no_run(load_result: LoadResult) -> None:
    """No run is lost or started twice."""
    assert find_errors(load_result) == []
    assert count_states(load_result.runs).total() == RUNS
    assert load_result.ground_truth.faults.total()
    assert max(load_result.memory) > 20


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda load: load._replace(runs=load.runs[1:]), "30 runs were planned"),
        (lambda load: load._replace(runs=load.runs[::-1]), "others or 30 are reported"),
        (lambda load: replace_job(load, code=0), "the exit code is 0"),
        (lambda load: replace_job(load, errors="Traceback"), "standard error says: Traceback"),
        (lambda load: replace_job(load, outputs=dict(load.job.outputs, passed="7")), "the output passed is 7"),
        (lambda load: replace_job(load, outputs=dict(load.job.outputs, results="[]")), "the output results says"),
        (lambda load: replace_job(load, log=load.job.log.replace(load.runs[0].target_id, "")), "the log does not tell"),
        (lambda load: replace_job(load, summary=""), "the summary does not say"),
        (
            lambda load: load._replace(runs=[run._replace(state="timed-out") for run in load.runs]),
            "how it ended is not known",
        ),
    ],
)
def test_false_reports_are_errors(
    tamper: Callable[[LoadResult], LoadResult], message: str, load_result: LoadResult
) -> None:
    """Each file, output or line that contradicts results.json is an error."""
    assert any(message in text for text in find_errors(tamper(load_result)))


def make_load(memory: list[float]) -> LoadResult:
    """Return a load result of 1,000 runs whose last first start is at 19.5 s."""
    runs = [
        {"start_offset_seconds": 50.0, "previous_attempts": [{"start_offset_seconds": 19.5}]},
        {"start_offset_seconds": 3.2, "previous_attempts": []},
    ]
    job = JobResult(0, "", "", {}, "", {"runs": runs, "duration_seconds": len(memory) - 2.5})
    return LoadResult([""] * 1000, job, [], GroundTruth(), memory, 0.0, 0, 0.0)


STARTUP_MEMORY = [80.0 + second / 4 for second in range(20)]


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ([*STARTUP_MEMORY, *[85.0, 90.0] * 10, 150.0, 150.0, 150.0], []),
        ([*STARTUP_MEMORY, *[82.0] * 25, *[110.0] * 25], ["memory grew from 82 to 110 MiB"]),
        (
            [*STARTUP_MEMORY, *[92.0] * 20, 1.0, 1.0],
            ["each run made memory grow by 11.0 KiB until all had been started"],
        ),
        ([90.0] * 24, ["1 s are too short a time to see whether memory grows"]),
    ],
)
def test_growing_memory_is_reported(memory: list[float], message: list[str]) -> None:
    """Memory that grows with each run or over time is reported."""
    assert find_memory_growth(make_load(memory)) == message


def test_memory_window_after_last_start() -> None:
    """Memory counts from the last first start until the reports."""
    assert select_memory_after_starts(make_load([float(second) for second in range(30)])) == [
        20.0,
        21.0,
        22.0,
        23.0,
        24.0,
        25.0,
        26.0,
    ]
