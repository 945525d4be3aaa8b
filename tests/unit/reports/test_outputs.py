"""Outputs of a job step and the file outputs.env."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from autonoma_ci.ci.systems.github import format_outputs
from autonoma_ci.models import Conclusion, Report, RunState
from autonoma_ci.reports.outputs import MAX_ARRAY_CHARS, OUTPUTS, build_outputs, render_dotenv, truncated_array_lengths
from tests.support import github_parser as runner
from tests.support.hostile import REPORTS
from tests.support.reports import (
    API_ERROR_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_indeterminate_run,
    make_passed_run,
    make_planned_run,
    make_quarantined_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
    quarantine_run,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "conclusion", "reason", "run-id", "run-url", "run-ids", "run-urls", "results", "total", "started", "passed",
    "failed", "flaky", "quarantined", "not-started", "unknown", "results-dir",
)  # fmt: skip


def test_all_outputs_have_values() -> None:
    """A report of runs in several states gives a value to each output."""
    outputs = build_outputs(
        create_report(
            [make_rejected_run("a"), make_started_run("b", "B"), make_indeterminate_run("c"), make_started_run("d")],
            API_ERROR_VERDICT,
        )
    )
    assert tuple(outputs) == NAMES == tuple(output.name for output in OUTPUTS)
    results = json.loads(outputs.pop("results"))
    assert outputs == {
        "conclusion": "error",
        "reason": "api",
        "run-id": "run-b",
        "run-url": "https://autonoma.app/run/run-b",
        "run-ids": '["run-b","run-d"]',
        "run-urls": '["https://autonoma.app/run/run-b","https://autonoma.app/run/run-d"]',
        "total": "4",
        "started": "2",
        "passed": "0",
        "failed": "0",
        "flaky": "0",
        "quarantined": "0",
        "not-started": "1",
        "unknown": "1",
        "results-dir": "results",
    }
    assert [run["id"] for run in results] == ["a", "b", "c", "d"]
    assert results[1] == {
        "name": "B",
        "kind": "test",
        "id": "b",
        "state": "started",
        "run_id": "run-b",
        "url": "https://autonoma.app/run/run-b",
        "message": "Test started",
        "attempts": 1,
        "duration_seconds": 0.25,
    }


@pytest.mark.parametrize(
    "run_report", [create_report([], INPUT_ERROR_VERDICT, ["bad"]), create_report([make_planned_run("a")], None)]
)
def test_outputs_without_runs_are_empty(run_report: Report) -> None:
    """Without started runs, the ids and links of runs are empty."""
    outputs = build_outputs(run_report)
    assert tuple(outputs) == NAMES
    assert outputs["run-id"] == outputs["run-url"] == ""
    assert outputs["run-ids"] == outputs["run-urls"] == "[]"
    assert outputs["conclusion"] == (run_report.verdict.conclusion if run_report.verdict else "")
    assert outputs["conclusion"] in {"", Conclusion.ERROR}


def test_uncounted_failures_have_own_count() -> None:
    """A step whose only failures are in quarantine has no failed runs."""
    runs = [
        make_passed_run("a"),
        make_flaky_run("b"),
        make_quarantined_run("c"),
        quarantine_run(make_timed_out_run("d")),
        quarantine_run(make_failed_run("e")._replace(state=RunState.STOPPED)),
        quarantine_run(make_rejected_run("f")),
        quarantine_run(make_indeterminate_run("g")),
        quarantine_run(make_passed_run("h")),
    ]
    outputs = build_outputs(create_report(runs, PASSED_VERDICT))
    counts = {name: outputs[name] for name in ("total", "passed", "failed", "flaky", "quarantined")}
    assert counts == {"total": "8", "passed": "3", "failed": "0", "flaky": "1", "quarantined": "3"}
    assert (outputs["not-started"], outputs["unknown"]) == ("1", "1")


@given(REPORTS)
def test_counts_never_exceed_total(run_report: Report) -> None:
    """Each run that ended has one count. Flaky runs are a part of those that passed."""
    counts = {name: int(text) for name, text in build_outputs(run_report).items() if text.isdecimal()}
    ended = ("passed", "failed", "quarantined", "not-started", "unknown")
    others = {RunState.PLANNED, RunState.STARTED, RunState.TIMED_OUT}
    other_count = sum(run.state in others and not run.is_quarantined_failure for run in run_report.results)
    assert sum(counts[name] for name in ended) + other_count == counts["total"]
    assert counts["flaky"] <= counts["passed"]


def test_large_arrays_are_truncated() -> None:
    """An array beyond the limit has its first entries and is valid JSON."""
    run_report = create_report([make_started_run(f"id-{i}", "é" * 300) for i in range(5_000)])
    outputs = build_outputs(run_report)
    for name in ("run-ids", "run-urls", "results"):
        assert len(outputs[name]) <= MAX_ARRAY_CHARS
        assert outputs[name].isascii()
    results = json.loads(outputs["results"])
    assert [run["id"] for run in results] == [f"id-{i}" for i in range(len(results))]
    assert truncated_array_lengths(run_report) == {
        "run-urls": len(json.loads(outputs["run-urls"])),
        "results": len(results),
    }
    assert 0 < len(results) < 5_000
    ids = json.loads(outputs["run-ids"])
    assert ids == [f"run-id-{i}" for i in range(len(ids))]
    assert len(ids) == 5_000
    assert outputs["total"] == "5000"


@pytest.mark.slow
@given(REPORTS)
def test_runner_reads_outputs_unchanged(run_report: Report) -> None:
    """GitHub's runner reads each output of any report unchanged."""
    outputs = build_outputs(run_report)
    assert runner.parse_outputs(format_outputs(outputs)) == outputs
    for name in ("run-ids", "run-urls", "results"):
        assert isinstance(json.loads(outputs[name]), list)


@pytest.mark.slow
@given(REPORTS)
def test_outputs_env_has_safe_lines(run_report: Report) -> None:
    """Each line is a name and a value without special characters."""
    text = render_dotenv(run_report)
    assert text.endswith("\n")
    assert len(text.encode()) < 60_000
    outputs = dict(line.split("=", 1) for line in text.removesuffix("\n").split("\n"))
    expected = build_outputs(run_report)
    for name, value in outputs.items():
        assert re.fullmatch(r"AUTONOMA_[A-Z_]+", name)
        assert value.isascii()
        assert value.isprintable()
        assert not set(value) & set(" $`;&|<>()\\'!*~{}")
        assert value in {"", expected[name.removeprefix("AUTONOMA_").lower().replace("_", "-")]}


def test_outputs_env_has_main_outputs() -> None:
    """The file has the values that later steps need."""
    lines = render_dotenv(create_report([make_started_run("a")])).splitlines()
    assert "AUTONOMA_CONCLUSION=started" in lines
    assert "AUTONOMA_RUN_URL=https://autonoma.app/run/run-a" in lines
    assert not [line for line in lines if line.startswith(("AUTONOMA_RESULTS=", "AUTONOMA_RUN_IDS="))]


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no shell")
def test_shell_runs_nothing_from_outputs_env(tmp_path: Path) -> None:
    """A shell that sources the file executes no part of a value."""
    outcome = make_started_run("a")._replace(
        url="https://autonoma.app/run/$(touch${IFS}pwned);`touch`&touch$IFS'pwned'"
    )
    safe_run = make_started_run("b")
    (tmp_path / "outputs.env").write_text(render_dotenv(create_report([outcome, safe_run])))
    process = subprocess.run(
        ["sh", "-euc", '. ./outputs.env; echo "$AUTONOMA_CONCLUSION ${AUTONOMA_RUN_URL:-} $AUTONOMA_TOTAL"'],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert process.stdout == "started  2\n"
    assert process.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["outputs.env"]
