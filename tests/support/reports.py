"""Runs and reports for tests of renderers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import (
    BuildContext,
    Conclusion,
    ExitReason,
    PreviousAttempt,
    Quarantine,
    Report,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
    Verdict,
)
from autonoma_ci.reports.results_dir import ResultsDir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STARTED_VERDICT = Verdict(Conclusion.STARTED, ExitReason.OK, 0)
API_ERROR_VERDICT = Verdict(Conclusion.ERROR, ExitReason.API, 5)
INPUT_ERROR_VERDICT = Verdict(Conclusion.ERROR, ExitReason.INPUT, 2)
PASSED_VERDICT = Verdict(Conclusion.PASSED, ExitReason.OK, 0)
FAILED_VERDICT = Verdict(Conclusion.FAILED, ExitReason.FAILED, 1)
TIMED_OUT_VERDICT = Verdict(Conclusion.TIMED_OUT, ExitReason.TIMEOUT, 6)
FLAKY_VERDICT = Verdict(Conclusion.FAILED, ExitReason.FLAKY, 1)
DRY_RUN_VERDICT = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
CANCELLED_VERDICT = Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, 143)
CONTEXT = BuildContext("github", "0123456789abcdef0123456789abcdef01234567", "feature/a_b", "12", "owner/name")


def make_started_run(test_id: str, name: str = "") -> RunResult:
    """Create a run that was started."""
    url = f"https://autonoma.app/run/run-{test_id}"
    request = RunRequest(TargetKind.TEST, test_id, name)
    return RunResult(request, RunState.STARTED, ExitReason.OK, f"run-{test_id}", url, "Test started", "", 200, 1, 0.25)


def make_rejected_run(test_id: str, message: str = "HTTP 404: Not found", hint: str = "Check the id.") -> RunResult:
    """Create a run that the API refused to start."""
    request = RunRequest(TargetKind.TEST, test_id)
    return RunResult(
        request,
        RunState.NOT_STARTED,
        ExitReason.NOT_FOUND,
        message=message,
        suggestion=hint,
        http_status=404,
        start_requests=1,
    )


def make_indeterminate_run(test_id: str) -> RunResult:
    """Create a run whose start request is indeterminate."""
    request = RunRequest(TargetKind.TEST, test_id)
    return RunResult(
        request,
        RunState.UNKNOWN,
        ExitReason.UNKNOWN,
        message="no answer came in time",
        suggestion="Look.",
        start_requests=1,
    )


STEP = RunStep(4, "Check the result", "Expected a confirmation, but the page shows an error", "https://shop.test/done")


def make_passed_run(test_id: str, name: str = "", seconds: float = 42.0) -> RunResult:
    """Create a run that passed."""
    return make_started_run(test_id, name)._replace(state=RunState.PASSED, duration_seconds=seconds)


def make_failed_run(test_id: str, name: str = "", seconds: float = 65.0) -> RunResult:
    """Create a run that failed at a known step."""
    run = make_started_run(test_id, name)
    return run._replace(
        state=RunState.FAILED,
        reason=ExitReason.FAILED,
        message="",
        title="Checkout pays by card",
        step=STEP,
        duration_seconds=seconds,
    )


def make_flaky_run(test_id: str, name: str = "") -> RunResult:
    """Create a run that failed once and passed after a retry."""
    url = f"https://autonoma.app/run/first-of-{test_id}"
    first = PreviousAttempt(f"first-of-{test_id}", url, step=STEP, start_offset_seconds=0.0, duration_seconds=30.0)
    return make_passed_run(test_id, name)._replace(
        previous_attempts=(first,), start_offset_seconds=31.0, title="Checkout pays by card"
    )


QUARANTINE = Quarantine("2026-12-31", "Login mail is late", "https://issues.example/7")


def quarantine_run(run: RunResult) -> RunResult:
    """Return the run in quarantine."""
    return run._replace(request=run.request._replace(quarantine=QUARANTINE))


def make_quarantined_run(test_id: str, name: str = "") -> RunResult:
    """Create a run that failed in quarantine."""
    return quarantine_run(make_failed_run(test_id, name))


def make_timed_out_run(test_id: str) -> RunResult:
    """Create a run that was still running at the deadline."""
    return make_started_run(test_id)._replace(
        state=RunState.TIMED_OUT,
        reason=ExitReason.TIMEOUT,
        message="still running after 30 min",
        duration_seconds=1800.0,
    )


def make_planned_run(test_id: str) -> RunResult:
    """Create a run that is not started yet."""
    return RunResult(RunRequest(TargetKind.TEST, test_id))


def create_report(
    outcomes: Sequence[RunResult] = (), verdict: Verdict | None = STARTED_VERDICT, problems: Sequence[str] = ()
) -> Report:
    """Create a report of these runs."""
    return Report(
        "Autonoma tests", CONTEXT, "github", tuple(outcomes), verdict, "results", "2025-01-02T03:04:05Z",
        tuple(problems), source_label="GitHub Actions",
    )  # fmt: skip


def make_results_dir(folder: Path, working_directory: Path | None = None) -> ResultsDir:
    """Return the results folder. The working directory is the same folder by default."""
    return ResultsDir(str(folder), folder, working_directory or folder)


RUNS_OF_ALL_KINDS = (
    make_started_run("a"),
    make_passed_run("b"),
    make_failed_run("c"),
    make_flaky_run("d"),
    make_timed_out_run("e"),
    make_rejected_run("f"),
    make_planned_run("g"),
    make_indeterminate_run("h"),
    make_quarantined_run("i"),
)
