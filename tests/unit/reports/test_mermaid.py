"""The Mermaid chart of runs in the summary."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from autonoma_ci.reports.mermaid import render_gantt
from tests.support.hostile import HOSTILE_PIECES, TEXTS
from tests.support.reports import (
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_quarantined_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import Report, RunResult

_DRIVER = Path(__file__).parents[2] / "system" / "linters" / "mermaid.mjs"
_WORDS = (
    "gantt", "section", "section A", "title", "title x", "dateFormat", "axisFormat %H", "click a call b()", "end",
    "todayMarker", "excludes weekends", "includes", "tickInterval 1day", "weekday monday", "accTitle: a", "vert",
    "accDescr { a }", "a :crit, 1, 2", "a:b", "a;b", "a%%b", "%%{init: {}}%%", "after b0", "topAxis", "done", "---",
    "inclusiveEndDates", "1. a", "12:30", "a, b", "(a)", "[a]", "{a}", "<b>", "ü", "日本", "", " ", "weekend friday",
    "milestone", "href", "call center", "call a()", "2024-01-01 release", "2024-01-01", "b0, 1, 2", "कि",
)  # fmt: skip


def build_report(*runs: RunResult) -> Report:
    return create_report(runs, PASSED_VERDICT)._replace(waits_for_results=True)


def list_bars(chart: str) -> list[str]:
    return [line for line in chart.splitlines() if " :" in line]


def test_every_run_is_bar_at_its_time() -> None:
    """A bar has the start and the duration of its run, relative to the first start."""
    runs = (
        make_passed_run("a", "Sign in")._replace(start_offset_seconds=10.0, duration_seconds=5.0),
        make_failed_run("b")._replace(start_offset_seconds=8.0, duration_seconds=2.5),
    )
    assert list_bars(render_gantt(build_report(*runs))) == [
        "    ❌ Checkout pays by card :crit, 2000-01-01 00:00:00.000, 2500ms",
        "    ✅ Sign in :done, 2000-01-01 00:00:02.000, 5000ms",
    ]


def test_running_run_has_bar_up_to_now() -> None:
    """The bar of a running run ends at the time of the report."""
    run_report = build_report(
        make_started_run("a")._replace(start_offset_seconds=10.0),
        make_passed_run("b")._replace(start_offset_seconds=0.0),
    )._replace(duration_seconds=60.0)
    assert list_bars(render_gantt(run_report))[1] == "    🚀 a :active, 2000-01-01 00:00:10.000, 50000ms"


def test_attempts_have_own_bars() -> None:
    """An earlier attempt of a run has a bar of its own."""
    chart = list_bars(render_gantt(build_report(make_flaky_run("a"), make_timed_out_run("b"))))
    assert sorted(line.partition(" :")[2].partition(",")[0] for line in chart) == ["active", "crit", "done"]
    assert sum("(attempt 1)" in line for line in chart) == 1


def test_quarantine_has_own_look() -> None:
    """No attempt of a run that failed in quarantine looks like a failure."""
    run = make_quarantined_run("a", "A")._replace(previous_attempts=make_flaky_run("a").previous_attempts)
    chart = list_bars(render_gantt(build_report(run, make_passed_run("b"))))
    assert [line.strip().partition(" :")[0] for line in chart if " A" in line] == ["🚧 A (attempt 1)", "🚧 A"]
    assert not any("crit" in line for line in chart)


@pytest.mark.parametrize(("runs", "has_chart"), [(0, False), (1, False), (2, True), (50, True), (51, False)])
def test_chart_needs_2_to_50_runs(runs: int, has_chart: bool) -> None:
    """A report with fewer or more runs has no chart."""
    assert bool(render_gantt(build_report(*[make_passed_run(f"t{n}") for n in range(runs)]))) is has_chart


def test_runs_without_times_are_omitted() -> None:
    """If fewer than two runs have times, there is no chart."""
    assert render_gantt(build_report(make_passed_run("a"), make_rejected_run("b"))) == ""
    assert render_gantt(build_report(make_passed_run("a"), make_passed_run("b")._replace(reused=True))) == ""
    assert render_gantt(create_report([make_started_run("a"), make_started_run("b")])) == ""


@given(TEXTS)
def test_name_cannot_break_chart(name: str) -> None:
    """A name adds no line and no special character to the chart."""
    chart = render_gantt(build_report(make_passed_run("a", name), make_passed_run("b")))
    assert len(chart.splitlines()) == 8
    for line in list_bars(chart):
        label = line.partition(" :")[0]
        assert not set(":;,#%`{}<>") & set(label)


@pytest.mark.linters
def test_mermaid_parses_every_chart() -> None:
    """Each parsed diagram has all tasks, whatever the names are."""
    random_source = random.Random(7)
    names = [
        *HOSTILE_PIECES,
        *_WORDS,
        *(" ".join(random_source.sample([*HOSTILE_PIECES, *_WORDS], 3)) for _ in range(300)),
    ]
    charts = [
        render_gantt(build_report(make_passed_run("a", name), make_failed_run("b", name), make_flaky_run("c")))
        for name in names
    ]
    diagrams = ["\n".join(chart.splitlines()[1:-1]) for chart in charts]
    process = subprocess.run(
        ["node", str(_DRIVER)], input=json.dumps(diagrams), capture_output=True, text=True, check=False, timeout=120
    )
    assert process.returncode == 0, process.stderr
    assert [len(tasks) for tasks in json.loads(process.stdout)] == [4] * len(diagrams)


@pytest.mark.linters
def test_chart_check_can_fail() -> None:
    """The driver rejects a broken chart."""
    invalid_chart = json.dumps(["gantt\n  dateFormat x\n  a : b :: ,,, ; %%"])
    command = ["node", str(_DRIVER)]
    process = subprocess.run(command, input=invalid_chart, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 1
