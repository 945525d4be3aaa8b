"""Tests of progress lines while runs are open."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from tests.support.fake_clock import FakeClock
from tests.support.reports import make_passed_run, make_started_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import RunResult


def test_progress_line_every_30_seconds() -> None:
    """Without changes, a line with the totals follows every 30 s."""
    clock, out = FakeClock(), io.StringIO()
    published: list[Sequence[RunResult]] = []
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, published.append)
    runs = [make_started_run("a"), make_passed_run("b")]
    for _ in range(240):
        clock.time += 0.5
        progress.on_tick(runs)
    assert out.getvalue().splitlines() == [
        "STARTED  1 of 2 runs  (30 s)  — 1 passed",
        "STARTED  1 of 2 runs  (1 min)  — 1 passed",
        "STARTED  1 of 2 runs  (1 min 30 s)  — 1 passed",
        "STARTED  1 of 2 runs  (2 min)  — 1 passed",
    ]
    assert len(published) == 1


def test_progress_change_resets_interval() -> None:
    """A change has one line, and the next progress line is 30 s later."""
    clock, out = FakeClock(), io.StringIO()
    published: list[Sequence[RunResult]] = []
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, published.append)
    clock.time += 20
    progress.on_run_changed(make_passed_run("b"))
    for _ in range(50):
        clock.time += 0.5
        progress.on_tick([make_passed_run("b")])
    assert out.getvalue().splitlines() == ["PASSED  b  (42 s)  https://autonoma.app/run/run-b"]
    assert len(published) == 1


def test_progress_has_no_control_characters() -> None:
    """Most CI systems print control sequences of the cursor as text."""
    clock, out = FakeClock(), io.StringIO()
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, lambda _: None)
    progress.on_run_changed(make_passed_run("b", "a\rb\x1b[2Kc"))
    progress.on_warning("odd\x1b[1A")
    assert not set("\r\x1b\b") & set(out.getvalue())
