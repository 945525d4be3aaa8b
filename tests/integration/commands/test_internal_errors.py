"""Exit code 70 and error report after an internal error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.app.job_step import JobStep
from autonoma_ci.commands import run
from autonoma_ci.reports import html
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import read_job_result
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.engine.workers import ThreadedExecutor
    from autonoma_ci.models import Report, RunResult, Verdict


def _build_environ(folder: Path, url: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "AUTONOMA_API_URL": url,
        "AUTONOMA_CLIENT_ID": "an-id",
        "AUTONOMA_CLIENT_SECRET": "a-secret-of-ours",
        "AUTONOMA_TEST_IDS": "a,b,c",
        "AUTONOMA_RESULTS_DIR": "results",
    }


def test_internal_error_shows_location_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has type, versions and lines of code, because exception texts can hold secrets."""

    def broken(argv: Sequence[str], job_runtime: Runtime) -> int:
        local = "sentinel-local"
        raise KeyError(f"sentinel-text {local} {job_runtime.environ} {argv}")

    monkeypatch.setattr(run, "main", broken)
    environ = {"AUTONOMA_CLIENT_SECRET": "sentinel-secret", "AUTONOMA_VARIABLES": "A=sentinel-value"}
    result = invoke(tmp_path, "--var", "B=sentinel-flag", environ=environ)
    assert result.code == 70
    assert result.out == ""
    assert result.err.startswith("Error: bug in autonoma-ci, not in your tests.")
    assert "KeyError" in result.err
    assert "test_internal_errors.py:" in result.err
    assert " in broken" in result.err
    assert "Traceback" not in result.err
    assert "sentinel" not in result.err
    assert str(tmp_path.parent) not in result.err


def test_internal_error_reports_started_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every report links the started runs after an internal error."""
    from autonoma_ci.app.progress import ProgressReporter

    original_method = ProgressReporter.on_run_changed

    def fail_after_change(self: ProgressReporter, run_result: RunResult) -> None:
        original_method(self, run_result)
        raise RuntimeError("sentinel")

    monkeypatch.setattr(ProgressReporter, "on_run_changed", fail_after_change)
    with Sandbox() as sandbox:
        environ = _build_environ(tmp_path, sandbox.url) | {"AUTONOMA_CONCURRENCY": "1"}
        result = invoke(tmp_path, environ=environ)
        assert sandbox.count_starts("a") == 1
    job = read_job_result(tmp_path, result.code, result.out, result.err)
    assert job.code == job.results_json["exit_code"] == 70
    assert job.states["a"] == "started"
    assert job.outputs["conclusion"] == "error"
    assert job.outputs["run-url"].startswith("http://127.0.0.1")
    assert job.outputs["run-url"] in job.summary
    assert "RuntimeError" in job.errors
    assert "sentinel" not in job.visible_text


def test_memory_error_on_import_starts_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules for requests load before any results.json says that runs may have started."""
    path = tmp_path / "results" / "results.json"
    reserve_sizes: list[int] = []

    def fail_to_create(self: JobStep, *_: object) -> ThreadedExecutor:
        reserve_sizes.append(len(self._memory_reserve))
        assert json.loads(path.read_text("utf-8"))["runs"] == []
        raise MemoryError

    def finish(
        self: JobStep, verdict: Verdict, results: tuple[RunResult, ...] = (), *, duration_seconds: float = 0.0
    ) -> int:
        reserve_sizes.append(len(self._memory_reserve))
        return original_finish(self, verdict, results, duration_seconds=duration_seconds)

    original_finish = JobStep.finish
    monkeypatch.setattr(JobStep, "_create_executor", fail_to_create)
    monkeypatch.setattr(JobStep, "finish", finish)
    with Sandbox() as sandbox:
        result = invoke(tmp_path, environ=_build_environ(tmp_path, sandbox.url))
        assert sandbox.received == []
    job = read_job_result(tmp_path, result.code, result.out, result.err)
    assert job.code == job.results_json["exit_code"] == 70
    assert job.states == dict.fromkeys("abc", "not-started")
    assert "may have started" not in job.visible_text
    # The spare memory is released for the reports.
    assert reserve_sizes[0] > 0
    assert reserve_sizes[1] == 0


def test_publisher_bug_spares_other_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and summary are complete although the HTML page fails."""

    def fail_to_render(report: Report) -> str:
        raise RuntimeError("sentinel")

    monkeypatch.setattr(html, "render_html", fail_to_render)
    with Sandbox() as sandbox:
        environ = _build_environ(tmp_path, sandbox.url)
        result = invoke(tmp_path, environ=environ)
    job = read_job_result(tmp_path, result.code, result.out, result.err)
    assert job.code == 70
    assert "RuntimeError" in job.errors
    assert "sentinel" not in job.visible_text
    assert set(job.states.values()) == {"started"}
    assert (job.outputs["conclusion"], job.outputs["started"]) == ("started", "3")
    assert all(name in job.summary for name in "abc")
    assert "3 of 3 runs started." in job.log
