"""Results that `wait` and later steps find in a results folder."""

from __future__ import annotations

import io
import json
import re
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.clock import Clock
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.errors import Cancelled
from autonoma_ci.models import (
    BuildContext,
    BuildIdRules,
    Conclusion,
    ExitReason,
    Report,
    RunRequest,
    RunResult,
    RunState,
    TargetKind,
)
from autonoma_ci.reports import results_dir
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.other_results import SharedResults
from autonoma_ci.reports.outputs import build_outputs
from autonoma_ci.sandbox import Sandbox
from tests.support import faults
from tests.support.fault_server import Connection, FaultServer
from tests.support.github_job import github_environ, read_outputs
from tests.support.plans import start_in_quarantine
from tests.support.reports import QUARANTINE, create_report, make_started_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# A job of GitHub Actions in one attempt of one build.
BUILD = {"GITHUB_RUN_ID": "17", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "e2e", "GITHUB_SHA": "c" * 40}
RE_RUN = {"GITHUB_RUN_ATTEMPT": "2"}
WAIT = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m"}
# Each kind of second step that writes its own results.json.
SECOND_STEPS = {
    "starts runs": ({}, 0),
    "waits for runs": (WAIT, 0),
    "dry run": ({"INPUT_DRY-RUN": "true"}, 0),
    "invalid input": ({"INPUT_TIMEOUT": "soon"}, 2),
    "skipped": ({"INPUT_CLIENT-SECRET": "", "INPUT_ON-MISSING-CREDENTIALS": "skip"}, 0),
}


class StepResult(NamedTuple):
    """Exit code, log and files of a step."""

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str
    results_json: Any

    @property
    def states(self) -> dict[str, str]:
        """The state of each run by its id."""
        return {run["id"]: run["state"] for run in self.results_json["runs"]}

    @property
    def totals(self) -> dict[str, int]:
        """The total and passed counts of results.json."""
        return {name: self.results_json["totals"][name] for name in ("total", "passed")}


def run_github_step(
    folder: Path, url: str, *argv: str, ids: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> StepResult:
    """Run a step of a GitHub job with new files for outputs and summary."""
    for name in ("output", "summary"):
        (folder / name).unlink(missing_ok=True)
    out = io.StringIO()
    environ = github_environ(folder, url, ids) | BUILD | dict(more or {})
    job_runtime = Runtime(environ, out, out, str(folder), poll_policy=PollPolicy(interval=0.05))
    code = cli.run_command(argv, job_runtime)
    results_json = folder / environ["INPUT_RESULTS-DIR"] / "results.json"
    return StepResult(
        code,
        out.getvalue(),
        read_outputs((folder / "output").read_text("utf-8")),
        (folder / "summary").read_text("utf-8"),
        json.loads(results_json.read_text("utf-8")) if results_json.exists() else None,
    )


def run_wait(folder: Path, url: str, results_json: str = "results/results.json", **more: str) -> StepResult:
    """Run `wait` on a results.json with `more` environment variables."""
    return run_github_step(folder, url, "wait", results_json, more=WAIT | more)


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit_results(path: Path, change: Callable[[Any], object]) -> None:
    """Change a results.json without a new signature."""
    results_json = json.loads(path.read_text("utf-8"))
    change(results_json)
    path.write_text(json.dumps(results_json, indent=2) + "\n", "utf-8")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0.05) as sandbox:
        yield sandbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of results.json."""
    return tmp_path / "results" / "results.json"


class StatusApi:
    """An API that starts each run and has one status for each test."""

    def __init__(self, **statuses: str) -> None:
        self._statuses = statuses
        self.polled_ids: list[str] = []

    def __call__(self, connection: Connection) -> bool:
        """Respond to one request."""
        request = connection.request
        if request.method == "POST":
            return faults.send_started_run(connection)
        if "steps=" in request.path:
            return faults.send_response(200, '{"name": "A title"}')(connection)
        test = request.target_id.removeprefix("run-of-")
        self.polled_ids.append(test)
        return faults.send_response(200, json.dumps({"status": self._statuses[test]}))(connection)


# What `wait` reports


def test_wait_reports_final_states(sandbox: Sandbox, tmp_path: Path) -> None:
    """Log, summary, outputs and results.json have the final states, and no run counts as started."""
    first = run_github_step(tmp_path, sandbox.url, ids=["a", "b"])
    assert (first.code, first.results_json["waits_for_results"]) == (0, False)
    assert "2 of 2 runs started." in first.log
    wait_result = run_wait(tmp_path, sandbox.url)
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["passed"]) == (0, "passed", "2")
    assert wait_result.results_json["waits_for_results"] is True
    assert (wait_result.results_json["conclusion"], wait_result.totals) == ("passed", {"total": 2, "passed": 2})
    for text in (wait_result.log, wait_result.summary):
        assert "2 of 2 runs passed." in text
        assert "started." not in text
    assert "| Run | State | Time | Link |" in wait_result.summary
    assert "```mermaid\ngantt" in wait_result.summary
    assert ", duration " in wait_result.summary
    assert all(run["duration_seconds"] > 0 for run in wait_result.results_json["runs"])


@pytest.mark.slow
def test_wait_names_running_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """The summary names the command for later, because runs cannot be cancelled."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "sandbox-stays"])
    wait_result = run_wait(tmp_path, sandbox.url, INPUT_TIMEOUT="2s")
    assert (wait_result.code, wait_result.states) == (6, {"a": "passed", "sandbox-stays": "timed-out"})
    for text in (wait_result.log, wait_result.summary):
        assert "1 of 2 runs passed, 1 still running." in text
        assert "autonoma-ci wait results/results.json" in text
    assert "the API cannot cancel runs" in wait_result.summary


def test_wait_reads_quarantine_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure does not count, unless the option `ignore-quarantine` is set."""
    start_in_quarantine(monkeypatch, "b")
    with FaultServer(StatusApi(a="passed", b="failed")) as server:
        assert run_github_step(tmp_path, server.url, ids=["a", "b"]).code == 0
        wait_result = run_wait(tmp_path, server.url)
        assert (wait_result.code, wait_result.outputs["conclusion"]) == (0, "passed")
        assert wait_result.states == {"a": "passed", "b": "failed"}
        assert wait_result.results_json["runs"][1]["quarantine"]["reason"] == "Login mail is late"
        assert run_wait(tmp_path, server.url).code == 0
        strict = run_wait(tmp_path, server.url, **{"INPUT_IGNORE-QUARANTINE": "true"})
    assert (strict.code, strict.outputs["reason"]) == (1, "failed")
    assert strict.results_json["runs"][1]["quarantine"] is None


def test_wait_on_quarantined_runs_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else ran, so the conclusion is never `passed`."""
    start_in_quarantine(monkeypatch, "a", "b")
    with FaultServer(StatusApi(a="passed", b="failed")) as server:
        first = run_github_step(tmp_path, server.url, ids=["a", "b"])
        wait_result = run_wait(tmp_path, server.url)
    for result in (first, wait_result):
        assert (result.code, result.outputs["conclusion"]) == (0, "skipped")


def test_wait_ignores_unsigned_quarantine(tmp_path: Path, path: Path) -> None:
    """A quarantine that somebody added to results.json hides no failure."""
    with FaultServer(StatusApi(a="passed", b="failed")) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"])
        edit_results(path, lambda results_json: results_json["runs"][1].update(quarantine=QUARANTINE._asdict()))
        wait_result = run_wait(tmp_path, server.url)
    assert (wait_result.code, wait_result.outputs["reason"]) == (1, "failed")
    assert "Its quarantines are ignored, so each failure counts." in wait_result.log


def test_wait_fails_on_flaky_run(tmp_path: Path) -> None:
    """The failed attempt is in results.json, and the option decides."""
    with Sandbox(pace=0) as sandbox:
        first = run_github_step(tmp_path, sandbox.url, ids=["sandbox-flaky", "a"], more=WAIT | {"INPUT_RETRIES": "1"})
        assert (first.code, first.outputs["conclusion"]) == (0, "passed")
        assert run_wait(tmp_path, sandbox.url).code == 0
        wait_result = run_wait(tmp_path, sandbox.url, **{"INPUT_ON-FLAKY": "fail"})
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["reason"]) == (
        1,
        "failed",
        "flaky",
    )


def test_wait_preserves_facts_of_plan(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """They are those of the step that started the runs, and the API is that of `wait`."""
    facts = {
        "plan_digest": "ab" * 32,
        "changed_files": {"source": "clone", "base": "c" * 40, "file_count": 3, "full_run_reason": None},
        "quarantined_by_change": ["Checkout"],
    }
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    edit_results(path, lambda results_json: results_json.update(facts, api_url="https://other.example/api"))
    results_json = run_wait(tmp_path, sandbox.url).results_json
    assert {name: results_json[name] for name in facts} == facts
    assert results_json["api_url"] == sandbox.url


# A results.json without runs


def _make_cancelling_wait(number: int) -> Callable[..., str]:
    def wait_for_url(*_: object, **__: object) -> str:
        raise Cancelled(number)

    return wait_for_url


@pytest.mark.parametrize(
    ("more", "signal", "code", "conclusion"),
    [
        ({"INPUT_TIMEOUT": "soon"}, 0, 2, "error"),
        ({"INPUT_WAIT-FOR-URL": "http://127.0.0.1:9/"}, 2, 130, "cancelled"),
        ({"INPUT_WAIT-FOR-URL": "http://127.0.0.1:9/"}, 15, 143, "cancelled"),
        ({"INPUT_TEST-IDS": "", "INPUT_ALLOW-EMPTY": "true"}, 0, 0, "skipped"),
        ({"INPUT_SHARD": "3/3"}, 0, 0, "skipped"),
        ({"INPUT_CLIENT-SECRET": "", "INPUT_ON-MISSING-CREDENTIALS": "skip"}, 0, 0, "skipped"),
    ],
    ids=["invalid input", "SIGINT", "SIGTERM", "nothing selected", "empty shard", "no credentials"],
)
def test_wait_without_runs_repeats_exit_code(
    more: dict[str, str],
    signal: int,
    code: int,
    conclusion: str,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exit code is that of the first step, and its files stay unchanged."""
    monkeypatch.setattr("autonoma_ci.net.wait_for_url.wait_for_url", _make_cancelling_wait(signal))
    first = run_github_step(tmp_path, sandbox.url, ids=["a", "b"], more=more)
    assert (first.code, first.results_json["conclusion"], first.results_json["runs"]) == (code, conclusion, [])
    before = read_files(tmp_path / "results")
    # The environment of the same job, with a valid input in place of the invalid one.
    wait_result = run_wait(tmp_path, sandbox.url, **{**more, "INPUT_TIMEOUT": "5s"})
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["passed"]) == (
        code,
        conclusion,
        "0",
    )
    assert "The earlier step left no runs: conclusion" in wait_result.log
    assert "The earlier step left no runs: conclusion" in wait_result.summary
    for text in (wait_result.log, wait_result.summary):
        assert "runs passed" not in text
        assert "✅" not in text
    assert read_files(tmp_path / "results") == before
    assert sandbox.received == []


def test_wait_on_killed_step_exits_7(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """A step killed before its plan leaves a results.json without runs and verdict."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more={"INPUT_TIMEOUT": "soon"})
    edit_results(path, lambda results_json: results_json.update(conclusion=None, reason=None, exit_code=None))
    wait_result = run_wait(tmp_path, sandbox.url)
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["reason"]) == (
        7,
        "error",
        "unknown",
    )
    assert "The earlier step left no runs: the step was killed." in wait_result.summary


def _set_conclusion(conclusion: str | None, code: int | None, results_json: Any) -> None:
    results_json.update(conclusion=conclusion, exit_code=code)


def _get_expected_end(conclusion: str | None, code: int | None) -> tuple[int, str]:
    """Return the exit code and conclusion of `wait` on such a results.json without runs."""
    code = -1 if code is None else code
    if conclusion == "skipped" and code == 0:
        return 0, "skipped"
    if conclusion == "cancelled" and code in {130, 143}:
        return code, "cancelled"
    # Exit codes of an error without runs. Other combinations come from no step and are unknown.
    if conclusion in {"skipped", "error", "cancelled"} and code in range(1, 8):
        return code, "error"
    return 7, "error"


def test_wait_refuses_pass_without_runs(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """A results.json without runs gives exit code 0 only if its step was skipped."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more={"INPUT_TIMEOUT": "soon"})
    for conclusion in [*Conclusion, None]:
        for code in (0, 1, 2, 5, 7, 70, 128, 130, 143, 256, -1, None):
            edit_results(path, partial(_set_conclusion, conclusion, code))
            wait_result = run_wait(tmp_path, sandbox.url)
            assert (wait_result.code, wait_result.outputs["conclusion"]) == _get_expected_end(conclusion, code), (
                conclusion,
                code,
            )
            assert "✅" not in wait_result.summary
    assert sandbox.received == []


# A results.json with runs that passed


def _forge_pass(entry: dict[str, Any], mac: str) -> None:
    entry.update(state="passed", reason="ok", message="", suggestion="", step=None, mac=mac)


def _compute_mac(entry: dict[str, Any]) -> str:
    return str(entry.get("mac", ""))


FORGERIES: dict[str, Callable[[Any], object]] = {
    "no signature": lambda results_json: _forge_pass(results_json["runs"][1], ""),
    "its own signature": lambda results_json: _forge_pass(
        results_json["runs"][1], _compute_mac(results_json["runs"][1])
    ),
    "another run's signature": lambda results_json: _forge_pass(
        results_json["runs"][1], _compute_mac(results_json["runs"][0])
    ),
    "an invented signature": lambda results_json: _forge_pass(results_json["runs"][1], "0" * 64),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_wait_polls_forged_pass(forge: Callable[[Any], object], tmp_path: Path, path: Path) -> None:
    """A pass without a valid signature is polled, and the response counts."""
    api = StatusApi(a="passed", b="failed")
    with FaultServer(api) as server:
        assert run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT).code == 1
        edit_results(path, forge)
        api.polled_ids.clear()
        wait_result = run_wait(tmp_path, server.url)
        assert (wait_result.code, wait_result.outputs["conclusion"]) == (1, "failed")
        assert wait_result.states == {"a": "passed", "b": "failed"}
        assert set(api.polled_ids) == {"a", "b"}
        assert server.post_counts == {"a": 1, "b": 1}


def test_wait_polls_pass_of_other_secret(tmp_path: Path) -> None:
    """A signature by another client secret is invalid."""
    api = StatusApi(a="passed")
    with FaultServer(api) as server:
        other = {**WAIT, "INPUT_CLIENT-SECRET": "client-secret-of-somebody-else"}
        assert run_github_step(tmp_path, server.url, ids=["a"], more=other).code == 0
        api.polled_ids.clear()
        assert run_wait(tmp_path, server.url).code == 0
        assert api.polled_ids == ["a"]


def test_forged_pass_without_id_is_unknown(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """Without a run id, the run cannot be polled."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "sandbox-404"], more=WAIT)

    def forge(results_json: Any) -> None:
        _forge_pass(results_json["runs"][1], _compute_mac(results_json["runs"][0]))
        results_json.update(conclusion="passed", reason="ok", exit_code=0)

    edit_results(path, forge)
    wait_result = run_wait(tmp_path, sandbox.url)
    assert (wait_result.code, wait_result.outputs["reason"]) == (7, "unknown")
    assert wait_result.states == {"a": "passed", "sandbox-404": "unknown"}
    assert "has no run id for a request to the API" in wait_result.summary


def test_wait_counts_signed_pass_once(tmp_path: Path, path: Path) -> None:
    """The signed entry of one test in place of another is no second pass."""
    api = StatusApi(a="passed", b="failed")
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT)
        edit_results(path, lambda results_json: results_json["runs"].__setitem__(1, results_json["runs"][0]))
        wait_result = run_wait(tmp_path, server.url)
        assert (wait_result.code, wait_result.outputs["reason"]) == (7, "unknown")
        assert [run["state"] for run in wait_result.results_json["runs"]] == ["passed", "unknown"]


# A results.json of another step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("has_waited", "more", "reason"),
    [
        (True, {"GITHUB_RUN_ID": "18"}, "written by another build"),
        (False, {"GITHUB_RUN_ID": "18"}, "written by another build"),
        (True, {"GITHUB_RUN_ID": "", "GITHUB_SHA": "d" * 40}, "written for another commit"),
        (False, {"GITHUB_RUN_ID": "", "GITHUB_SHA": "d" * 40}, "written for another commit"),
        (True, RE_RUN, "written by an earlier attempt at this job"),
        (False, RE_RUN, "written by an earlier attempt at this job"),
    ],
    ids=["build", "build, open runs", "commit", "commit, open runs", "attempt", "attempt, open runs"],
)
def test_wait_refuses_foreign_results(
    has_waited: bool, more: dict[str, str], reason: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A stale results.json ends with exit code 2, nothing is sent, and all files stay unchanged."""
    ids = ["a", "b"]
    assert run_github_step(tmp_path, sandbox.url, ids=ids, more=WAIT if has_waited else {}).code == 0
    before, request_count = read_files(tmp_path / "results"), len(sandbox.received)
    wait_result = run_wait(tmp_path, sandbox.url, **more)
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["reason"]) == (2, "error", "input")
    assert f"results/results.json is not the results.json of this step: {reason}" in wait_result.log
    assert reason in wait_result.summary
    assert (read_files(tmp_path / "results"), len(sandbox.received)) == (before, request_count)


def test_wait_accepts_earlier_attempt_of_other_job(sandbox: Sandbox, tmp_path: Path) -> None:
    """A job that only waits runs again alone, so the results.json has a lower attempt."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "b"], more={"GITHUB_JOB": "start"})
    for number in ("2", "3"):
        wait_result = run_wait(tmp_path, sandbox.url, GITHUB_JOB="wait", GITHUB_RUN_ATTEMPT=number)
        assert (wait_result.code, wait_result.states) == (0, {"a": "passed", "b": "passed"})
    assert [sandbox.count_starts(name) for name in "ab"] == [1, 1]


@pytest.mark.parametrize(
    "job_environ",
    [dict.fromkeys(["GITHUB_ACTIONS", *BUILD], ""), {"AUTONOMA_CI": "cli", "GITHUB_RUN_ID": "18"}],
    ids=["no CI system", "AUTONOMA_CI=none"],
)
def test_wait_at_terminal_accepts_any_results(
    job_environ: dict[str, str], sandbox: Sandbox, tmp_path: Path, path: Path
) -> None:
    """A user at a terminal chooses the results.json."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "b"])
    environ = github_environ(tmp_path, sandbox.url, []) | BUILD | job_environ
    job_runtime = Runtime(environ, io.StringIO(), io.StringIO(), str(tmp_path), poll_policy=PollPolicy(interval=0.05))
    assert cli.run_command(["wait", "results/results.json"], job_runtime) == 0
    results_json = json.loads(path.read_text("utf-8"))
    assert [run["state"] for run in results_json["runs"]] == ["passed", "passed"]


@pytest.mark.parametrize("has_waited", [True, False], ids=["ended", "open runs"])
def test_wait_without_build_id_refuses_old_results(
    has_waited: bool, sandbox: Sandbox, tmp_path: Path, path: Path
) -> None:
    """Without a build id, only the time identifies an old results.json."""
    empty_build = dict.fromkeys(BUILD, "")
    run_github_step(tmp_path, sandbox.url, ids=["a"], more={**empty_build, **(WAIT if has_waited else {})})
    edit_results(path, lambda results_json: results_json.update(started_at="2020-01-02T03:04:05Z"))
    wait_result = run_wait(tmp_path, sandbox.url, **empty_build)
    assert wait_result.code == 2
    assert "older than a day" in wait_result.log


@pytest.mark.parametrize(("has_waited", "code"), [(True, 2), (False, 0)], ids=["ended", "open runs"])
def test_wait_without_job_refuses_ended_attempt(has_waited: bool, code: int, sandbox: Sandbox, tmp_path: Path) -> None:
    """Without job names, an earlier attempt counts only if it has open runs."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more={"GITHUB_JOB": "", **(WAIT if has_waited else {})})
    assert run_wait(tmp_path, sandbox.url, **{"GITHUB_JOB": "", **RE_RUN}).code == code


def test_wait_warns_of_changed_results(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """A change of the signed results.json has a warning."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "sandbox-fails"], more=WAIT)
    edit_results(path, lambda results_json: results_json["runs"].pop())
    wait_result = run_wait(tmp_path, sandbox.url)
    assert "has no valid signature: changed, or written" in wait_result.log


def test_wait_on_numbered_results_spares_files(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """Passed runs of one step must not replace the failed results of another one."""
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    run_github_step(tmp_path, sandbox.url, ids=["sandbox-fails"], more=WAIT)
    failed_files = read_files(path.parent)
    wait_result = run_github_step(
        tmp_path, sandbox.url, "wait", "results/results.1.json", more=WAIT | {"INPUT_RESULTS-DIR": ""}
    )
    assert wait_result.code == 0
    files = read_files(path.parent)
    assert {name: files[name] for name in failed_files} == failed_files
    assert json.loads((path.parent / "results.1" / "results.json").read_text("utf-8"))["conclusion"] == "passed"


def test_wait_after_dry_run_is_skipped(sandbox: Sandbox, tmp_path: Path) -> None:
    """A dry run leaves no runs, so `wait` ends with exit code 0."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more={"INPUT_DRY-RUN": "true"})
    wait_result = run_wait(tmp_path, sandbox.url)
    assert (wait_result.code, wait_result.outputs["conclusion"]) == (0, "skipped")


def test_second_step_follows_no_results_link(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """A link in the checkout must not copy a file from outside into the results folder."""
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    outside_results = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(outside_results)
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    assert not path.with_name("results.1.json").exists()


# Steps that share a results-dir


@pytest.mark.slow
@pytest.mark.parametrize(("more", "code"), SECOND_STEPS.values(), ids=SECOND_STEPS)
def test_second_step_preserves_open_runs(
    more: dict[str, str], code: int, sandbox: Sandbox, tmp_path: Path, path: Path
) -> None:
    """The first results.json is copied byte for byte, the log names it, and `wait` can use it."""
    assert run_github_step(tmp_path, sandbox.url, ids=["a", "b"]).code == 0
    first = path.read_bytes()
    second = run_github_step(tmp_path, sandbox.url, ids=["c"], more=more)
    assert second.code == code
    copied_results = path.with_name("results.1.json")
    assert copied_results.read_bytes() == first
    assert "has open runs and is saved as results.1.json" in second.log
    assert "Use a separate results-dir for each step." in second.log
    posts = [sandbox.count_starts(name) for name in "abc"]
    wait_result = run_wait(tmp_path, sandbox.url, "results/results.1.json", **{"INPUT_RESULTS-DIR": "first"})
    assert (wait_result.code, wait_result.states) == (0, {"a": "passed", "b": "passed"})
    assert [sandbox.count_starts(name) for name in "abc"] == posts
    assert copied_results.read_bytes() == first


def test_third_step_preserves_both_results(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """With three steps, the results of the first and second one have names of their own."""
    results_files = []
    for test in "abc":
        assert run_github_step(tmp_path, sandbox.url, ids=[test]).code == 0
        results_files.append(path.read_bytes())
    names = ["results.1.json", "results.2.json", "results.json"]
    assert sorted(file.name for file in path.parent.glob("results*.json")) == names
    assert [path.with_name(name).read_bytes() for name in names] == results_files


def test_wait_in_same_folder_preserves_results(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """`wait` on a numbered results file writes results.json and preserves the existing one."""
    for test in "ab":
        run_github_step(tmp_path, sandbox.url, ids=[test])
    last_results = path.read_bytes()
    wait_result = run_wait(tmp_path, sandbox.url, "results/results.1.json")
    assert (wait_result.code, wait_result.states) == (0, {"a": "passed"})
    assert path.with_name("results.2.json").read_bytes() == last_results


def test_wait_copies_no_own_results(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """`wait` continues the results.json of the step, so it makes no copy of it."""
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    wait_result = run_wait(tmp_path, sandbox.url)
    assert wait_result.code == 0
    assert [file.name for file in path.parent.glob("results*.json")] == ["results.json"]
    assert "::warning" not in wait_result.log


def test_second_step_warns_of_replaced_files(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """The files of an ended step of the same build are replaced with a warning."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more=WAIT)
    second = run_github_step(tmp_path, sandbox.url, ids=["b"], more=WAIT)
    assert (second.code, second.states) == (0, {"b": "passed"})
    assert second.log.count("results-dir: files of another step of this build are replaced.") == 1
    assert [file.name for file in path.parent.glob("results*.json")] == ["results.json"]


@pytest.mark.parametrize("has_waited", [True, False])
def test_results_of_older_build_are_replaced(has_waited: bool, sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """The files of another build are removed."""
    older_build = {"GITHUB_RUN_ID": "16", **(WAIT if has_waited else {})}
    run_github_step(tmp_path, sandbox.url, ids=["a"], more=older_build)
    second = run_github_step(tmp_path, sandbox.url, ids=["b"])
    assert (second.code, second.states) == (0, {"b": "started"})
    assert [file.name for file in path.parent.glob("results*.json")] == ["results.json"]
    assert "::warning" not in second.log


def test_rerun_has_no_warning(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """The results.json of an earlier attempt belongs to the same step."""
    run_github_step(tmp_path, sandbox.url, ids=["a", "sandbox-flaky"], more=WAIT)
    rerun = run_github_step(tmp_path, sandbox.url, ids=["a", "sandbox-flaky"], more=WAIT | RE_RUN)
    assert (rerun.code, rerun.states) == (0, {"a": "passed", "sandbox-flaky": "passed"})
    assert [file.name for file in path.parent.glob("results*.json")] == ["results.json"]
    assert "::warning" not in rerun.log


def test_rerun_preserves_open_runs(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """The log names the attempt, and does not advise a folder for each step."""
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    open_results_json = path.read_bytes()
    rerun = run_github_step(tmp_path, sandbox.url, ids=["a"], more=RE_RUN)
    assert path.with_name("results.1.json").read_bytes() == open_results_json
    assert "results.json of an earlier attempt has open runs and is saved as results.1.json." in rerun.log
    assert "separate results-dir" not in rerun.log


def test_copies_of_older_builds_are_removed(sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """A permanent results folder does not fill up, and no results.json of this build is replaced."""
    for build in ("15", "16", "17"):
        for _ in range(3):
            run_github_step(tmp_path, sandbox.url, ids=["a"], more={"GITHUB_RUN_ID": build})
    copies = [path.with_name(name) for name in ("results.1.json", "results.2.json")]
    assert sorted(file.name for file in path.parent.glob("results*.json")) == sorted(
        [path.name, *(file.name for file in copies)]
    )
    assert {json.loads(file.read_text("utf-8"))["ci"]["build"] for file in copies} == {"17"}


class Writer:
    """A step that starts runs and publishes to a shared results folder."""

    def __init__(self, folder: Path, name: str) -> None:
        context = BuildContext("github", build_id="17", build_attempt="1")
        started_at = "2025-01-02T03:04:05Z"
        shared = SharedResults(name, context, BuildIdRules(), started_at, Clock())
        self._publisher = results_dir.open_results_dir(
            results_dir.resolve_results_dir("results", str(folder)), shared=shared
        )
        self._report = create_report([], None)._replace(context=context, step_id=name, started_at=started_at)
        self._name = name
        self.open_ids: set[str] = set()
        self.warnings = self._publisher.begin(self._report)

    def publish(self) -> None:
        """Start another run and publish the report."""
        run = make_started_run(f"{self._name}-{len(self.open_ids)}")
        self.open_ids.add(run.run_id)
        self._report = self._report._replace(results=(*self._report.results, run))
        assert self._publisher.publish(self._report) == []


# Names of different lengths: no two results files of different steps have the same size.
@pytest.mark.slow
@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=20))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_alternating_steps_lose_no_open_runs(tmp_path_factory: pytest.TempPathFactory, step_names: list[str]) -> None:
    """Results files hold the open runs of each step in any order, and copies do not accumulate."""
    folder = tmp_path_factory.mktemp("shared")
    writers = {name: Writer(folder, name) for name in ("a", "bb", "ccc")}
    for name in step_names:
        writers[name].publish()
    results_files = [json.loads(file.read_text("utf-8")) for file in (folder / "results").glob("results*.json")]
    run_ids = [{run["run_id"] for run in results_json["runs"]} for results_json in results_files]
    for writer in writers.values():
        assert not writer.open_ids or writer.open_ids in run_ids
    steps = [results_json["step_id"] for results_json in results_files]
    # Each step keeps at most one copy for each other step.
    assert len(steps) <= 1 + len(writers) * (len(writers) - 1)


# Before anything is sent


def test_run_writes_results_before_first_post(tmp_path: Path, path: Path) -> None:
    """When the first POST arrives, results.json has each run as starting."""
    results_files: list[bytes] = []
    lock = threading.Lock()

    def read_results_first(connection: Connection) -> bool:
        with lock:
            if connection.request.method == "POST":
                with suppress(FileNotFoundError):
                    results_files.append(path.read_bytes())
            return api(connection)

    api = StatusApi(a="passed", b="passed", c="passed")
    ids = ["a", "b", "c"]
    with FaultServer(read_results_first) as server:
        older_build = {**WAIT, "GITHUB_RUN_ID": "16"}
        for more in (older_build, WAIT):
            results_files.clear()
            assert run_github_step(tmp_path, server.url, ids=ids, more=more).code == 0
            assert results_files, "there was no results.json when the first POST arrived"
            first = json.loads(results_files[0])
            assert first["ci"]["build"] == {**BUILD, **more}["GITHUB_RUN_ID"]
            assert [(run["id"], run["state"]) for run in first["runs"]] == [(test, "starting") for test in ids]
            assert (first["conclusion"], first["exit_code"]) == (None, None)


def test_run_replaces_files_before_wait_for_url(
    sandbox: Sandbox, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step killed before its first request leaves no passed results of an earlier step."""
    run_github_step(tmp_path, sandbox.url, ids=["a"], more=WAIT)
    assert path.with_name("junit.xml").exists()
    files: dict[str, bytes] = {}

    def wait_for_url(*_: object, **__: object) -> None:
        files.update((name, data) for name, data in read_files(path.parent).items() if not name.startswith("evidence"))

    monkeypatch.setattr("autonoma_ci.net.wait_for_url.wait_for_url", wait_for_url)
    assert (
        run_github_step(tmp_path, sandbox.url, ids=["b"], more={"INPUT_WAIT-FOR-URL": "http://127.0.0.1:9/"}).code == 0
    )
    assert set(files) == {"results.json"}
    results_json = json.loads(files["results.json"])
    assert (results_json["runs"], results_json["conclusion"], results_json["exit_code"]) == ([], None, None)


# No report shows more success than the runs

any_run = st.builds(
    partial(RunResult),
    st.builds(partial(RunRequest), st.sampled_from(TargetKind), st.sampled_from(["a", "b"])),
    st.sampled_from(RunState),
    st.sampled_from(ExitReason),
    run_id=st.sampled_from(["", "run-1", "run-2"]),
    reused=st.booleans(),
)
# Random states are rarely equal, so lists of one state are generated separately.
runs_of_one_state = st.sampled_from(RunState).flatmap(
    lambda state: st.lists(any_run.map(lambda run: run._replace(state=state)), min_size=1, max_size=4)
)
any_runs = st.one_of(st.lists(any_run, max_size=4), runs_of_one_state)


def _find_successes(job_report: Report) -> dict[str, bool]:
    """Return for each format whether its report shows success."""
    page, text = render_html(job_report).decode(), render_summary(job_report)
    icon = re.search('class="verdict ([a-z]+)"', page)
    cases = etree.fromstring(render_junit(job_report)).findall(".//testcase")
    return {
        "outputs": build_outputs(job_report)["conclusion"] == "passed",
        "summary": text.startswith("### Autonoma tests: ✅ Passed"),
        "page": bool(icon and icon[1] == "good") or page.count("<title>Passed") > 0,
        "junit": bool(cases) and all(case.find(f"./{tag}") is None for case in cases for tag in _FAILURE_TAGS),
    }


_FAILURE_TAGS = ("failure", "error", "skipped")


@given(any_runs, st.booleans(), st.sampled_from([None, None, None, 2, 15]))
@settings(deadline=None)
def test_report_is_not_better_than_runs(runs: list[RunResult], has_waited: bool, signal_number: int | None) -> None:
    """Success needs a passed run and no other, unless the report says skipped."""
    verdict = compute_verdict(runs, signal_number, waits_for_results=has_waited)
    successes = _find_successes(create_report(runs, verdict)._replace(waits_for_results=has_waited))
    all_passed = bool(runs) and all(run.state is RunState.PASSED for run in runs)
    assert verdict.conclusion is not Conclusion.PASSED or (all_passed and has_waited)
    assert not any(successes.values()) or all_passed
    # A step without `wait` cannot know that a run passed.
    successful_formats = {name for name, is_success in successes.items() if is_success and name != "junit"}
    assert not successful_formats or verdict.conclusion is Conclusion.PASSED
    assert (verdict.exit_code == 0) == (
        verdict.conclusion in {Conclusion.PASSED, Conclusion.STARTED, Conclusion.SKIPPED}
    )


@pytest.mark.parametrize("reason", ["api", "quota", "failed", "flaky"])
def test_wait_without_runs_repeats_reason(reason: str, sandbox: Sandbox, tmp_path: Path, path: Path) -> None:
    """Reasons that share an exit code stay distinct."""
    run_github_step(tmp_path, sandbox.url, ids=["a"])
    code = EXIT_CODES[ExitReason(reason)]
    edit_results(
        path, lambda results_json: results_json.update(conclusion="error", reason=reason, exit_code=code, runs=[])
    )
    wait_result = run_wait(tmp_path, sandbox.url)
    assert (wait_result.code, wait_result.outputs["reason"]) == (code, reason)


@given(any_runs.filter(bool))
def test_skipped_means_no_new_runs(runs: list[RunResult]) -> None:
    """With runs, only passes of an earlier attempt are skipped."""
    is_skipped = compute_verdict(runs, waits_for_results=True).conclusion is Conclusion.SKIPPED
    assert is_skipped == all(run.reused and run.state is RunState.PASSED for run in runs)
