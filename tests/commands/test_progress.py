"""What a log shows while runs go on: each change once, and a sign of life every half minute."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from tests.report.reports import passed, started
from tests.support.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import RunResult


def test_a_quiet_step_says_every_half_minute_that_it_is_alive() -> None:
    clock, out = FakeClock(), io.StringIO()
    written: list[Sequence[RunResult]] = []
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, written.append)
    runs = [started("a"), passed("b")]
    for _ in range(240):
        clock.time += 0.5
        progress.on_tick(runs)
    assert out.getvalue().splitlines() == [
        "30 s: 1 running, 1 passed.",
        "1 min: 1 running, 1 passed.",
        "1 min 30 s: 1 running, 1 passed.",
        "2 min: 1 running, 1 passed.",
    ]
    assert len(written) == 1


def test_a_change_is_a_sign_of_life_too_and_is_written_once() -> None:
    clock, out = FakeClock(), io.StringIO()
    written: list[Sequence[RunResult]] = []
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, written.append)
    clock.time += 20
    progress.on_run_changed(passed("b"))
    for _ in range(50):
        clock.time += 0.5
        progress.on_tick([passed("b")])
    assert out.getvalue().splitlines() == ["passed: test b in 42 s: https://autonoma.app/run/run-b"]
    assert len(written) == 1


def test_no_line_redraws_anything() -> None:
    """Most systems keep a log line by line, and show what moves the cursor as rubbish."""
    clock, out = FakeClock(), io.StringIO()
    progress = ProgressReporter(JobLog(out, PLAIN_LOG_FORMATTER), clock, lambda _: None)
    progress.on_run_changed(passed("b", "a\rb\x1b[2Kc"))
    progress.on_warning("odd\x1b[1A")
    assert not set("\r\x1b\b") & set(out.getvalue())
