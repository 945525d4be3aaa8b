"""Tests of the runs of a step, with the sandbox."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.app import job_step, progress
from autonoma_ci.app.job_step import NO_PREVIOUS_RUNS, PreviousRuns, ValuesToRedact
from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.fs.files import Directory
from autonoma_ci.models import Evidence, ExitReason, RunRequest, RunResult, RunState, RunStep, TargetKind
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import close_after, send_response
from tests.support.invoke_command import FakeTerminal
from tests.support.reports import QUARANTINE
from tests.unit.app.test_job_step import (
    CREDENTIALS,
    NO_RESULTS_JSON,
    VALUE,
    Job,
    Publisher,
    QuickClock,
    System,
    block_results,
    fail_with,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from autonoma_ci.engine.run_table import RunTable
    from autonoma_ci.engine.starter import StartPolicy
    from autonoma_ci.models import Quarantine
    from tests.support.fault_server import Connection

NO_VALUES = ValuesToRedact()
TITLE = "Starting runs"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Share one server. Its runs end at once."""
    with Sandbox(pace=0) as sandbox:
        yield sandbox


class RunJob(Job):
    """A job that runs a plan on a server."""

    def __init__(self, folder: Path, url: str, system: System | None = None, **environ_changes: str) -> None:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": url, "AUTONOMA_RESULTS_DIR": "out", **environ_changes}
        super().__init__(folder, environ, system, clock=QuickClock())

    def run(
        self,
        *ids: str,
        values_to_redact: ValuesToRedact = NO_VALUES,
        previous: PreviousRuns = NO_PREVIOUS_RUNS,
        **variables: str,
    ) -> int:
        """Start these tests, and return the exit code."""
        requests = [RunRequest(TargetKind.TEST, test_id, variables=variables) for test_id in ids]
        return self.run_results([RunResult(request) for request in requests], values_to_redact, previous)

    def run_requests(self, *requests: RunRequest, retry_budget: int | None = None) -> int:
        """Start these runs, and return the exit code."""
        return self.run_results([RunResult(request) for request in requests], retry_budget=retry_budget)

    def run_results(
        self,
        results: list[RunResult],
        values_to_redact: ValuesToRedact = NO_VALUES,
        previous: PreviousRuns = NO_PREVIOUS_RUNS,
        retry_budget: int | None = None,
    ) -> int:
        self.step.begin_files()
        if self.settings.wait:
            self.step.reports.expect_results()
        return self.step.run_plan(results, self.settings, TITLE, values_to_redact, previous, retry_budget)

    @property
    def states(self) -> list[str]:
        return [run["state"] for run in self.results_json["runs"]]


def make_waiting_job(folder: Path, url: str, system: System | None = None, **environ_changes: str) -> RunJob:
    """Return a job that waits for its runs."""
    return RunJob(folder, url, system, AUTONOMA_WAIT="true", **environ_changes)


def make_resumed_run(test_id: str, state: RunState = RunState.STARTED, run_id: str = "") -> RunResult:
    """Return a run of an earlier step."""
    request = RunRequest(TargetKind.TEST, test_id)
    return RunResult(request, state, run_id=run_id or f"run-of-{test_id}", start_offset_seconds=-100.0)


def test_runs_are_started(tmp_path: Path, sandbox: Sandbox) -> None:
    """Without `wait` the step ends when all runs are started."""
    job = RunJob(tmp_path, sandbox.url)
    assert job.run("runs-a", "runs-b") == 0
    assert job.states == ["started", "started"]
    assert (job.results_json["conclusion"], job.results_json["exit_code"]) == ("started", 0)
    assert sandbox.count_starts("runs-a") == sandbox.count_starts("runs-b") == 1
    assert job.log.splitlines()[:2] == ["", TITLE]
    assert "2 of 2 runs started." in job.log


def test_passed_runs_end_step(tmp_path: Path, sandbox: Sandbox) -> None:
    """With `wait` all runs have to pass."""
    job = make_waiting_job(tmp_path, sandbox.url)
    assert job.run("runs-c", "runs-d") == 0
    assert (job.results_json["conclusion"], job.states) == ("passed", ["passed", "passed"])
    assert "2 of 2 runs passed" in job.log


def test_failed_run_is_annotation(tmp_path: Path, sandbox: Sandbox) -> None:
    """A failure has its own error in the log, below the title of the step."""
    job = make_waiting_job(tmp_path, sandbox.url, AUTONOMA_PART="ios")
    assert job.run("sandbox-fails-unit", "runs-e") == 1
    assert job.states == ["failed", "passed"]
    [error] = [line for line in job.log.splitlines() if line.startswith("Error: ")]
    assert error.startswith("Error: Autonoma tests (ios): ")
    assert "Expected a confirmation" in error


def test_flaky_run_is_error_by_option(tmp_path: Path, sandbox: Sandbox) -> None:
    """With `on-flaky: fail`, a flaky run is an error in the log."""
    job = make_waiting_job(tmp_path, sandbox.url, AUTONOMA_ON_FLAKY="fail")
    job.run_requests(RunRequest(TargetKind.TEST, "sandbox-flaky-error", retries=1))
    assert "Error: Autonoma tests: Passed, flaky: " in job.log
    assert "Warning: Autonoma tests: " not in job.log


def test_empty_plan_sends_nothing(tmp_path: Path) -> None:
    """Without runs the step is skipped and needs no server."""
    job = RunJob(tmp_path, "http://127.0.0.1:9/api")
    assert job.run() == 0
    assert (job.results_json["conclusion"], job.results_json["runs"]) == ("skipped", [])
    assert TITLE not in job.log


def test_options_limit_runs(tmp_path: Path, sandbox: Sandbox) -> None:
    """With `fail-fast` and one request at a time, nothing follows a failed start."""
    job = RunJob(tmp_path, sandbox.url, AUTONOMA_CONCURRENCY="1", AUTONOMA_FAIL_FAST="true")
    assert job.run("sandbox-401-unit", "runs-f") == 3
    assert job.states == ["not-started", "not-started"]
    assert sandbox.count_starts("runs-f") == 0


def test_retries_start_run_again(tmp_path: Path, sandbox: Sandbox) -> None:
    """A failed run is started again as often as its request says."""
    job = make_waiting_job(tmp_path, sandbox.url)
    assert job.run_requests(RunRequest(TargetKind.TEST, "sandbox-flaky-unit", retries=1)) == 0
    assert sandbox.count_starts("sandbox-flaky-unit") == 2
    assert "Warning: Autonoma tests: " in job.log


def test_flaky_run_fails_step_on_request(tmp_path: Path, sandbox: Sandbox) -> None:
    """With `on-flaky: fail`, a pass after a failure has its own reason."""
    job = make_waiting_job(tmp_path, sandbox.url, AUTONOMA_ON_FLAKY="fail")
    assert job.run_requests(RunRequest(TargetKind.TEST, "sandbox-flaky-fails", retries=1)) == 1
    results_json = job.results_json
    assert (results_json["conclusion"], results_json["reason"], job.states) == ("failed", "flaky", ["passed"])


def test_quarantined_failure_is_warning(tmp_path: Path, sandbox: Sandbox) -> None:
    """The failure is reported, but is no error and does not fail the step."""
    job = make_waiting_job(tmp_path, sandbox.url)
    failing = RunRequest(TargetKind.TEST, "sandbox-fails-hidden", "Sign up", retries=1, quarantine=QUARANTINE)
    assert job.run_requests(failing, RunRequest(TargetKind.TEST, "runs-hidden")) == 0
    assert (job.results_json["conclusion"], job.states) == ("passed", ["failed", "passed"])
    assert sandbox.count_starts("sandbox-fails-hidden") == 2
    assert not [line for line in job.log.splitlines() if line.startswith("Error: ")]
    assert "Warning: Autonoma tests: 1 run failed in quarantine, not counted: Sign up." in job.log
    assert "Failed in quarantine, not counted: 1 run\n  Sign up  — quarantined until 2026-12-31" in job.log
    assert job.results_json["totals"]["quarantined"] == 1


@pytest.mark.parametrize("wait", ["true", "false"])
def test_quarantined_runs_alone_are_skipped(wait: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """Nothing that counts ran, so the conclusion is neither started nor passed."""
    job = RunJob(tmp_path, sandbox.url, AUTONOMA_WAIT=wait, AUTONOMA_ON_FLAKY="fail")
    ids = ("sandbox-flaky-hidden", "sandbox-fails-alone", "runs-alone")
    requests = [RunRequest(TargetKind.TEST, f"{name}-{wait}", retries=1, quarantine=QUARANTINE) for name in ids]
    assert job.run_requests(*requests) == 0
    assert (job.results_json["conclusion"], job.results_json["exit_code"]) == ("skipped", 0)
    assert job.states == (["passed", "failed", "passed"] if wait == "true" else ["started"] * 3)


def test_quarantined_run_without_start_counts(tmp_path: Path, sandbox: Sandbox) -> None:
    """An unknown id is an error in quarantine too."""
    job = make_waiting_job(tmp_path, sandbox.url)
    assert job.run_requests(RunRequest(TargetKind.TEST, "sandbox-404-hidden", quarantine=QUARANTINE)) == 4
    assert any(line.startswith("Error: ") for line in job.log.splitlines())


@pytest.mark.parametrize(("quarantine", "code"), [(None, 6), (QUARANTINE, 0)], ids=["counts", "quarantined"])
def test_run_timeout_ends_endless_run(
    quarantine: Quarantine | None, code: int, tmp_path: Path, sandbox: Sandbox
) -> None:
    """The step ends long before its own timeout."""
    job = make_waiting_job(tmp_path, sandbox.url)
    request = RunRequest(
        TargetKind.TEST, "sandbox-stays-limited", retries=3, run_timeout_seconds=0.2, quarantine=quarantine
    )
    assert job.run_requests(request, RunRequest(TargetKind.TEST, "runs-limited")) == code
    assert job.states == ["timed-out", "passed"]
    assert job.results_json["runs"][0]["message"] == "still running after 0.2 s, its run_timeout"


@pytest.mark.parametrize("budget", [0, 1, 2, 5])
def test_retry_budget_limits_start_requests(budget: int, tmp_path: Path) -> None:
    """The server gets a start request for each run and each allowed retry, and the log explains the rest."""
    ids = ["sandbox-fails-a", "sandbox-fails-b", "sandbox-flaky-c", "sandbox-429-d", "passes"]
    with Sandbox(pace=0) as own_sandbox:
        job = make_waiting_job(tmp_path, own_sandbox.url, AUTONOMA_MAX_RUNS=str(len(ids) + budget))
        requests = [RunRequest(TargetKind.TEST, test_id, retries=2) for test_id in ids]
        assert job.run_requests(*requests, retry_budget=budget) == 1
        request_count = sum(map(own_sandbox.count_starts, ids))
    # The first request with HTTP 429 started nothing, so it costs nothing.
    assert request_count == 1 + len(ids) + budget
    has_limit = budget < 5
    assert ("AUTONOMA_MAX_RUNS is reached. Increase AUTONOMA_MAX_RUNS" in job.log) == has_limit
    assert ("no retry: max-runs is reached" in job.log) == has_limit


@pytest.mark.parametrize(("option", "interval"), [({}, 0.01), ({"AUTONOMA_POLL_INTERVAL": "7s"}, 7.0)])
def test_options_become_limits(
    option: dict[str, str], interval: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options replace limits of the runtime, and all other limits stay."""
    limits: list[tuple[StartPolicy, PollPolicy | None]] = []

    def create_engine(table: RunTable, start: StartPolicy, *arguments: Any) -> Engine:
        limits.append((start, arguments[3]))
        return Engine(table, start, *arguments)

    monkeypatch.setattr(job_step, "Engine", create_engine)
    environ_changes = {
        "AUTONOMA_CONCURRENCY": "3",
        "AUTONOMA_FAIL_FAST": "true",
        "AUTONOMA_TIMEOUT": "9m",
    }
    job = make_waiting_job(tmp_path, "http://127.0.0.1:9/api", None, **environ_changes, **option)
    job.run_results([make_resumed_run("a", RunState.FAILED)])
    runtime = job.runtime
    assert limits == [
        (
            runtime.start_policy._replace(concurrency=3, fail_fast=True),
            (runtime.poll_policy or PollPolicy())._replace(timeout=540.0, interval=interval),
        )
    ]


def test_step_without_wait_polls_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """A step that does not wait sends start requests only."""
    request_count = len(sandbox.received)
    assert RunJob(tmp_path, sandbox.url).run("runs-g") == 0
    assert [request.method for request in sandbox.received[request_count:]] == ["POST"]


def test_timeout_of_option_is_used(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run that never ends is left behind, and the log has the command to wait."""
    job = make_waiting_job(tmp_path, sandbox.url)
    job.settings = job.settings._replace(timeout=0.01)
    assert job.run("sandbox-stays-unit") == 6
    assert job.states == ["timed-out"]
    assert "autonoma-ci wait out/results.json" in job.log


def test_misplaced_id_is_explained(tmp_path: Path) -> None:
    """HTTP 404 has advice if the account has the id as another kind."""
    folder = {"id": "folder-1", "name": "Checkout", "tests": []}
    with Sandbox(pace=0, folders=[folder]) as sandbox:
        job = RunJob(tmp_path, sandbox.url, AUTONOMA_TEST_IDS="folder-1")
        assert job.run("folder-1") == 4
    assert "folder-1 is the id of the folder Checkout. Put it into AUTONOMA_FOLDER_IDS" in job.log


def test_signal_prevents_lookup_of_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a signal no request looks for the id."""
    monkeypatch.setattr(progress, "MIN_PUBLISH_INTERVAL", 0.0)
    folder = {"id": "folder-1", "name": "Checkout", "tests": []}
    job: RunJob
    publisher: Publisher

    def send_signal() -> None:
        states = {run.state for run in publisher.reports[-1].results}
        if states == {RunState.NOT_STARTED, RunState.STARTED} and not job.runtime.signals.received:
            job.runtime.signals.handle(signal.SIGTERM, None)

    publisher = Publisher(on_publish=send_signal)
    with Sandbox(pace=0, folders=[folder]) as sandbox:
        job = make_waiting_job(tmp_path, sandbox.url, System(publisher))
        assert job.run("folder-1", "sandbox-stays-unit") == 143
        assert not [request.path for request in sandbox.received if request.path.endswith("/folder/folder-1")]
    assert "is the id of the folder" not in job.log


# Secrets in texts of the API


def fail_start(text: str) -> FaultServer:
    """Return a server that refuses all starts with this text."""
    # After a refusal on an open connection, the client waits for a second response.
    return FaultServer(close_after(send_response(400, json.dumps({"error": text}))))


def test_values_of_requests_are_hidden(tmp_path: Path) -> None:
    """No text of the API shows a variable or a credential."""
    with fail_start(f"bad hidden-value of {VALUE} at main") as server:
        job = RunJob(tmp_path, server.url)
        facts = ValuesToRedact(fact_values=frozenset({"main"}))
        job.run("a", values_to_redact=facts, LOGIN="hidden-value", BRANCH="main")
    assert "bad *** of *** at main" in job.log
    assert "hidden-value" not in json.dumps(job.results_json)


def test_given_values_are_hidden(tmp_path: Path) -> None:
    """A step that waits has its own list of values."""
    with fail_start("bad given-value or part-value") as server:
        job = RunJob(tmp_path, server.url)
        job.run("a", values_to_redact=ValuesToRedact([Secret("given-value"), Secret("part-value")]))
    assert "bad *** or ***" in job.log


@pytest.mark.parametrize(
    ("name", "limit", "is_shared"),
    [
        ("MAX_SHARED_VALUES", 2, True),
        ("MAX_SHARED_VALUES", 1, False),
        ("MAX_SHARED_CHARS", 23, True),
        ("MAX_SHARED_CHARS", 23 - 1, False),
    ],
)
def test_many_values_are_of_own_run(
    name: str, limit: int, is_shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit the texts of a run lose only its own values."""
    monkeypatch.setattr(job_step, name, limit)
    with fail_start("bad first-value; second-value") as server:
        job = RunJob(tmp_path, server.url)
        requests = [
            RunRequest(TargetKind.TEST, test_id, variables={"A": value})
            for test_id, value in (("a", "first-value"), ("b", "second-value"))
        ]
        job.run_results([RunResult(request) for request in requests])
    messages = [run["message"] for run in job.results_json["runs"]]
    texts = [message.partition("bad ")[2] for message in messages]
    assert texts == (["***; ***"] * 2 if is_shared else ["***; second-value", "first-value; ***"])


# Reports of a running step


def read_states(folder: Path) -> list[str]:
    return [run["state"] for run in json.loads((folder / "out" / "results.json").read_text("utf-8"))["runs"]]


def test_results_precede_first_request(tmp_path: Path) -> None:
    """A step that is killed now may have started any run."""
    saved_states: list[list[str]] = []

    def refuse(connection: Connection) -> bool:
        saved_states.append(read_states(tmp_path))
        return close_after(send_response(400))(connection)

    with FaultServer(refuse) as server:
        RunJob(tmp_path, server.url, AUTONOMA_CONCURRENCY="1").run("a", "b")
    assert saved_states[0] == ["starting", "starting"]


def test_progress_is_published(tmp_path: Path, sandbox: Sandbox) -> None:
    """Publishers of the CI system receive the state before the end."""
    publisher = Publisher()
    job = RunJob(tmp_path, sandbox.url, System(publisher))
    job.run("runs-h")
    assert len(publisher.reports) >= 2
    assert publisher.reports[0].verdict is None
    assert publisher.reports[0].results[0].state in {RunState.STARTING, RunState.STARTED}
    assert publisher.reports[-1].verdict


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError()], ids=repr)
def test_lost_progress_does_not_end_step(error: Exception, tmp_path: Path, sandbox: Sandbox) -> None:
    """A later report can succeed, and the last one has a warning."""
    publisher = Publisher(error=error)
    job = RunJob(tmp_path, sandbox.url, System(publisher))
    assert job.run("runs-i") == 0
    assert job.log.count("Warning: A report could not be written") == 1


def test_missing_first_results_cause_warning(tmp_path: Path, sandbox: Sandbox) -> None:
    """Runs start although no results.json can be written, and the step fails at its end."""
    block_results(tmp_path)
    job = RunJob(tmp_path, sandbox.url)
    assert job.run("runs-j") == 7
    assert sandbox.count_starts("runs-j") == 1
    assert job.log.count("Warning: results.json could not be written to results-dir (") == 1
    assert NO_RESULTS_JSON in job.log
    assert job.step.reports.build().resume_command == ""


def test_outdated_results_are_removed_first(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """While runs may start, no results.json without runs is in the folder."""
    results = tmp_path / "out" / "results.json"
    results_existed: list[bool] = []
    publisher = Publisher(on_publish=lambda: results_existed.append(results.exists()))
    job = RunJob(tmp_path, sandbox.url, System(publisher))
    job.step.begin_files()
    assert results.exists()
    monkeypatch.setattr(Directory, "write_atomic", fail_with(OSError("disk")))
    request = RunRequest(TargetKind.TEST, "runs-v")
    assert job.step.run_plan([RunResult(request)], job.settings, TITLE, NO_VALUES) == 7
    assert results_existed
    assert not any(results_existed)


def test_report_has_duration(tmp_path: Path, sandbox: Sandbox) -> None:
    """The duration is in milliseconds since the start of the step."""
    job = RunJob(tmp_path, sandbox.url)
    job.step.started_at -= 100.0
    job.run("runs-k")
    duration = job.results_json["duration_seconds"]
    assert duration >= 100
    assert round(duration, 3) == duration


# Evidence


@pytest.mark.parametrize("evidence", ["failed", "none"])
def test_evidence_needs_option(evidence: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """Screenshots of a failed run are in results-dir."""
    job = make_waiting_job(tmp_path, sandbox.url, AUTONOMA_EVIDENCE=evidence)
    assert job.run("sandbox-fails-evidence") == 1
    files = list((tmp_path / "out" / "evidence").glob("*/*"))
    assert bool(files) is (evidence == "failed")


def test_evidence_needs_wait(tmp_path: Path, sandbox: Sandbox) -> None:
    """A step that does not wait downloads nothing."""
    job = RunJob(tmp_path, sandbox.url, AUTONOMA_EVIDENCE="all")
    assert job.run("runs-l") == 0
    assert not list((tmp_path / "out").glob("evidence/*/*"))


# Errors and signals


def test_bug_while_running_names_started_runs(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an internal error all reports have the runs."""
    monkeypatch.setattr(ProgressReporter, "on_run_changed", fail_with(RuntimeError("bug")))
    publisher = Publisher()
    job = RunJob(tmp_path, sandbox.url, System(publisher))
    with pytest.raises(RuntimeError, match="bug"):
        job.run("runs-m")
    assert (job.states, job.results_json["exit_code"], job.results_json["conclusion"]) == (["started"], 70, "error")
    assert job.results_json["runs"][0]["run_id"]
    [run] = publisher.reports[-1].results
    assert (run.state, run.run_id) == (RunState.STARTED, job.results_json["runs"][0]["run_id"])


def test_bug_before_first_request_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs are certainly not started."""
    monkeypatch.setattr(job_step, "ThreadedExecutor", fail_with(MemoryError()))
    job = RunJob(tmp_path, "http://127.0.0.1:9/api")
    with pytest.raises(MemoryError):
        job.run("a", "b")
    assert job.states == ["not-started", "not-started"]
    assert job.results_json["runs"][0]["message"] == "not sent: the step ended because of a bug"
    assert job.results_json["exit_code"] == 70


def test_bug_spares_runs_of_earlier_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that an earlier step started stays as it is."""
    monkeypatch.setattr(job_step, "ThreadedExecutor", fail_with(RuntimeError("bug")))
    job = make_waiting_job(tmp_path, "http://127.0.0.1:9/api")
    with pytest.raises(RuntimeError, match="bug"):
        job.run_results([make_resumed_run("a"), RunResult(RunRequest(TargetKind.TEST, "b"))])
    assert job.states == ["started", "not-started"]


def test_bug_in_first_results_starts_nothing(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A results.json that can't be rendered because of a bug prevents the requests."""
    job = RunJob(tmp_path, sandbox.url)
    monkeypatch.setattr("autonoma_ci.reports.results_dir.render_dotenv", fail_with(RuntimeError("bug")))
    with pytest.raises(RuntimeError, match="bug"):
        job.run("runs-n")
    assert sandbox.count_starts("runs-n") == 0


def test_bug_in_progress_report_is_raised(tmp_path: Path, sandbox: Sandbox) -> None:
    """A publisher with a bug ends the step with its reports."""
    job = RunJob(tmp_path, sandbox.url, System(Publisher(error=RuntimeError("bug"))))
    with pytest.raises(RuntimeError, match="bug"):
        job.run("runs-o")
    assert job.results_json["exit_code"] == 70


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels_runs(number: int, tmp_path: Path, sandbox: Sandbox) -> None:
    """After a signal results.json has all runs, and a later step can wait."""
    job: RunJob
    publisher: Publisher

    def send_signal() -> None:
        is_started = publisher.reports[-1].results[0].state is RunState.STARTED
        if is_started and not job.runtime.signals.received:
            job.runtime.signals.handle(number, None)

    publisher = Publisher(on_publish=send_signal)
    job = make_waiting_job(tmp_path, sandbox.url, System(publisher))
    assert job.run("sandbox-stays-signal") == 128 + number
    assert (job.results_json["conclusion"], job.states) == ("cancelled", ["started"])
    assert "autonoma-ci wait out/results.json" in job.log


# Runs of an earlier step


def start_earlier_run(url: str, folder: Path, test_id: str) -> str:
    """Start a test in an earlier step, and return its run id."""
    (folder / "earlier").mkdir()
    job = RunJob(folder / "earlier", url)
    assert job.run(test_id) == 0
    run_id = job.results_json["runs"][0]["run_id"]
    assert isinstance(run_id, str)
    return run_id


def test_earlier_run_is_polled_only(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run that is started already is never started again."""
    run_id = start_earlier_run(sandbox.url, tmp_path, "runs-p")
    job = make_waiting_job(tmp_path, sandbox.url)
    assert job.run_results([make_resumed_run("runs-p", run_id=run_id)]) == 0
    assert (job.states, sandbox.count_starts("runs-p")) == (["passed"], 1)


def test_earlier_signal_cancels_passed_step(tmp_path: Path, sandbox: Sandbox) -> None:
    """If only the cancelled earlier step prevents a pass, the step ends like that one."""
    run_id = start_earlier_run(sandbox.url, tmp_path, "runs-q")
    cancelled_run = RunResult(
        RunRequest(TargetKind.TEST, "b"), RunState.NOT_STARTED, ExitReason.CANCELLED, message="not sent"
    )
    job = make_waiting_job(tmp_path, sandbox.url)
    previous = PreviousRuns(signal=signal.SIGTERM)
    assert job.run_results([make_resumed_run("runs-q", run_id=run_id), cancelled_run], previous=previous) == 143
    assert job.results_json["conclusion"] == "cancelled"


@pytest.mark.parametrize(
    ("reason", "code"), [(ExitReason.API, 5), (ExitReason.UNAUTHORIZED, 3), (ExitReason.CANCELLED, 130)]
)
def test_earlier_signal_hides_no_error(reason: ExitReason, code: int, tmp_path: Path) -> None:
    """An error of the API has its own exit code."""
    run = RunResult(RunRequest(TargetKind.TEST, "b"), RunState.NOT_STARTED, reason, message="not sent")
    job = make_waiting_job(tmp_path, "http://127.0.0.1:9/api")
    assert job.run_results([run], previous=PreviousRuns(signal=signal.SIGINT)) == code


def make_saved_pass(test_id: str, run_id: str, evidence: Evidence, seconds: float = 0.0) -> RunResult:
    """Return a pass of an earlier results.json."""
    return make_resumed_run(test_id, RunState.PASSED, run_id)._replace(
        duration_seconds=seconds, reused=True, evidence=evidence
    )


SCREENSHOT = "evidence/run/step-001.png"
WITH_FILE = Evidence((RunStep(1, "Open", screenshot=SCREENSHOT),))


@pytest.mark.parametrize("evidence", [WITH_FILE, Evidence((), "", "1 file: HTTP 500"), Evidence()], ids=str)
def test_confirmed_pass_has_saved_facts(evidence: Evidence, tmp_path: Path, sandbox: Sandbox) -> None:
    """A pass that the API confirms has the evidence of the first step."""
    test_id = f"runs-saved-{len(evidence.files)}{len(evidence.missing_reason)}"
    run_id = start_earlier_run(sandbox.url, tmp_path, test_id)
    job = make_waiting_job(tmp_path, sandbox.url)
    previous = PreviousRuns(saved_results_by_run_id={run_id: make_saved_pass(test_id, run_id, evidence)})
    assert job.run_results([make_resumed_run(test_id, run_id=run_id)], previous=previous) == 0
    [run] = job.results_json["runs"]
    assert (run["state"], run["reused"]) == ("passed", True)
    assert run["evidence"]["missing_reason"] == evidence.missing_reason
    assert [step["screenshot"] for step in run["evidence"]["steps"] if step["screenshot"]] == evidence.files


def test_saved_facts_need_confirmation(tmp_path: Path, sandbox: Sandbox) -> None:
    """A pass in results.json that the API calls failed stays failed."""
    run_id = start_earlier_run(sandbox.url, tmp_path, "sandbox-fails-saved")
    job = make_waiting_job(tmp_path, sandbox.url)
    previous = PreviousRuns(saved_results_by_run_id={run_id: make_saved_pass("sandbox-fails-saved", run_id, WITH_FILE)})
    assert job.run_results([make_resumed_run("sandbox-fails-saved", run_id=run_id)], previous=previous) == 1
    assert (job.states, job.results_json["runs"][0]["reused"]) == (["failed"], False)


def serve_passed_run(connection: Connection) -> bool:
    """Confirm each pass, with details that have no times."""
    is_status = connection.request.path.endswith("/status")
    body = {"status": "passed"} if is_status else {"name": "Sign in", "steps": []}
    return close_after(send_response(200, json.dumps(body)))(connection)


@pytest.mark.parametrize("saved_seconds", [42.0, 9e8])
def test_duration_of_pass_is_shorter_one(saved_seconds: float, tmp_path: Path) -> None:
    """A run that ended earlier has its saved duration, unless that is impossible."""
    with FaultServer(serve_passed_run) as server:
        job = make_waiting_job(tmp_path, server.url)
        run = make_resumed_run("a")
        previous = PreviousRuns(
            saved_results_by_run_id={run.run_id: make_saved_pass("a", run.run_id, Evidence(), saved_seconds)}
        )
        assert job.run_results([run], previous=previous) == 0
    # The run started 100 s before this step.
    seconds = job.results_json["runs"][0]["duration_seconds"]
    assert seconds == saved_seconds if saved_seconds < 100 else 100 <= seconds < 9e8


def test_pass_of_earlier_attempt_is_confirmed(tmp_path: Path, sandbox: Sandbox) -> None:
    """A confirmed pass is reused, and the other run is started."""
    run_id = start_earlier_run(sandbox.url, tmp_path, "runs-s")
    job = make_waiting_job(tmp_path, sandbox.url)
    previous = PreviousRuns(passed_run_ids={0: run_id}, run_ids=frozenset({(TargetKind.TEST, run_id)}))
    assert job.run("runs-s", "runs-t", previous=previous) == 0
    assert [run["reused"] for run in job.results_json["runs"]] == [True, False]
    assert (sandbox.count_starts("runs-s"), sandbox.count_starts("runs-t")) == (1, 1)


# Terminal


@pytest.mark.parametrize(
    ("environ_changes", "has_table"),
    [
        ({"TERM": "xterm", "AUTONOMA_WAIT": "true"}, True),
        ({"TERM": "xterm"}, False),
        ({"TERM": "dumb", "AUTONOMA_WAIT": "true"}, False),
        ({"TERM": "xterm", "AUTONOMA_WAIT": "true", "AUTONOMA_CI": "ci"}, False),
    ],
)
def test_terminal_has_live_table(
    environ_changes: Mapping[str, str],
    has_table: bool,
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step that waits at a terminal draws a table, and no line shows a credential."""
    # Rich reads the environment of the tests.
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url, **environ_changes}
    job = Job(tmp_path, environ, out=FakeTerminal(), clock=QuickClock())
    request = RunRequest(TargetKind.TEST, "runs-u", f"Pay {VALUE}")
    assert job.step.run_plan([RunResult(request)], job.settings, TITLE, NO_VALUES) == 0
    assert (" of 1 ended" in job.log) is has_table
    assert "Pay ***" in job.log


def test_memory_is_reserved_until_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reserve is released before the reports of a failed step are written."""
    reserve_sizes: list[int] = []
    job = RunJob(tmp_path, "http://127.0.0.1:9/api")

    def fail(*_: object) -> None:
        reserve_sizes.append(len(job.step._memory_reserve))
        raise MemoryError

    monkeypatch.setattr(job_step, "ThreadedExecutor", fail)
    with pytest.raises(MemoryError):
        job.run("a")
    assert reserve_sizes[0] >= 1024 * 1024
    assert len(job.step._memory_reserve) == 0
