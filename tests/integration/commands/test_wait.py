"""Tests of the command `wait`."""

from __future__ import annotations

import io
import json
import signal
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.errors import Cancelled
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import POLL_POLICY
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run_and_wait(folder: Path, ids: str, *, waits_first: bool = True) -> tuple[CommandResult, CommandResult]:
    """Run `run`, which waits if `waits_first` is true, and then `wait`."""
    with Sandbox() as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url}
        more = {"AUTONOMA_RESULTS_DIR": "r", "AUTONOMA_WAIT": str(waits_first).lower()}
        run_result = invoke(folder, "run", "--test-ids", ids, environ={**environ, **more})
        return run_result, invoke(folder, "wait", "r", environ=environ)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ids", "code", "message"),
    [
        ("sandbox-one", 0, "(passed, 1 of 1 run passed). Passed runs are confirmed by one more request to the API."),
        (
            "sandbox-one,sandbox-fails",
            1,
            "(failed, 1 of 2 runs passed). Passed runs are confirmed by one more request to the API.",
        ),
        ("sandbox-fails", 1, "(failed, 0 of 1 run passed). To run the tests again:"),
        ("sandbox-404", 4, "(error, 0 of 1 run passed). To run the tests again:"),
    ],
)
def test_wait_reports_finished_results(ids: str, code: int, message: str, tmp_path: Path) -> None:
    """The log states the earlier result, and the exit code stays."""
    first, second = run_and_wait(tmp_path, ids)
    assert (first.code, second.code) == (code, code)
    assert f"All runs have ended {message}" in second.out


@pytest.mark.slow
def test_wait_with_open_runs_has_no_note(tmp_path: Path) -> None:
    """A results.json with open runs has no such line."""
    _, second = run_and_wait(tmp_path, "sandbox-one", waits_first=False)
    assert second.code == 0
    assert "All runs have ended" not in second.output


class StepRunner:
    """Steps with one API and short pauses between polls."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._environ = folder, {**CREDENTIALS, "AUTONOMA_API_URL": url}

    def run(self, *argv: str, **environ: str) -> CommandResult:
        """Run a command."""
        out, err = io.StringIO(), io.StringIO()
        runtime = Runtime({**self._environ, **environ}, out, err, str(self._folder), poll_policy=POLL_POLICY)
        return CommandResult(cli.run_command(argv, runtime), out.getvalue(), err.getvalue())

    def start(self, ids: str, *flags: str) -> None:
        """Start runs and write their results.json in the folder `r`."""
        assert self.run("run", "--test-ids", ids, "--results-dir", "r", *flags).code == 0


@pytest.fixture
def step(tmp_path: Path) -> Iterator[StepRunner]:
    """Yield a step runner whose runs end immediately."""
    with Sandbox(pace=0) as sandbox:
        yield StepRunner(tmp_path, sandbox.url)


@pytest.mark.parametrize(("ids", "code", "count"), [("a", 0, "1 of 1"), ("a,sandbox-fails", 1, "1 of 2")])
def test_wait_returns_exit_code_of_runs(ids: str, code: int, count: str, step: StepRunner, tmp_path: Path) -> None:
    """The reports beside results.json have the final states."""
    step.start(ids)
    result = step.run("wait", "r")
    assert result.code == code
    assert f"{count} run" in result.out
    results_json = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))
    assert (results_json["exit_code"], results_json["waits_for_results"]) == (code, True)


@pytest.mark.parametrize(
    ("flags", "title"), [((), "Nightly"), (("--summary-title", "Mine"), "Mine"), (("--summary-title", ""), "Nightly")]
)
def test_wait_shows_title_of_results(flags: tuple[str, ...], title: str, step: StepRunner, tmp_path: Path) -> None:
    """Without an own title, the reports have that of the step that started the runs."""
    step.start("a", "--summary-title", "Nightly")
    assert step.run("wait", "r", *flags).code == 0
    assert (tmp_path / "r" / "summary.md").read_text("utf-8").startswith(f"### {title}: ")
    assert json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))["title"] == title


def test_wait_signs_results_with_its_title(step: StepRunner) -> None:
    """A second `wait` accepts the signature of the first one."""
    step.start("a", "--summary-title", "Nightly")
    assert step.run("wait", "r").code == 0
    result = step.run("wait", "r")
    assert result.code == 0
    assert "has no valid signature" not in result.output


def test_wait_without_results_dir_is_error(step: StepRunner, tmp_path: Path) -> None:
    """A results folder that is a file is an error of the input, and results.json stays as it is."""
    step.start("a")
    results_json = (tmp_path / "r" / "results.json").read_bytes()
    (tmp_path / "file").write_text("x", "utf-8")
    result = step.run("wait", "r", "--results-dir", "file")
    assert result.code == 2
    assert result.errors
    assert (tmp_path / "r" / "results.json").read_bytes() == results_json
    assert (tmp_path / "file").read_text("utf-8") == "x"


def test_wait_sends_no_start_request(tmp_path: Path) -> None:
    """Each run is started once, by the first step."""
    with Sandbox(pace=0) as sandbox:
        step = StepRunner(tmp_path, sandbox.url)
        step.start("a,b")
        step.run("wait", "r")
        assert [sandbox.count_starts(test_id) for test_id in "ab"] == [1, 1]


def test_wait_cancelled_leaves_results(step: StepRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal before the first request has its exit code and changes no file."""

    def cancel(*_: object) -> None:
        raise Cancelled(signal.SIGTERM)

    step.start("a")
    results_json = (tmp_path / "r" / "results.json").read_bytes()
    monkeypatch.setattr("autonoma_ci.commands.wait.load_results", cancel)
    assert step.run("wait", "r").code == 143
    assert (tmp_path / "r" / "results.json").read_bytes() == results_json


def test_wait_without_path_is_error(step: StepRunner) -> None:
    """The error suggests what to give."""
    result = step.run("wait")
    assert (result.code, result.out) == (2, "")
    assert result.errors[0].startswith("Missing argument: RESULTS. Use the results-dir of an earlier step")
