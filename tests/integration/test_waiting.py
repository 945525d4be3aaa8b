"""Job steps that wait for their runs, and the command `wait`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.errors import Cancelled
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import Connection, FaultServer, RequestHandler
from tests.support.faults import close, hang, send_response, send_started_run
from tests.support.github_job import (
    LONG_TIMEOUTS,
    POLL_POLICY,
    SHORT_TIMEOUTS,
    JobResult,
    github_environ,
    read_job_result,
    run_job,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Long because of busy machines. The runs end by themselves.
WAIT = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0.1) as sandbox:
        yield sandbox


def serve_polls(*handlers: RequestHandler) -> RequestHandler:
    """Return a handler that starts runs and handles each poll with the next handler.

    The last handler repeats.
    """
    remaining = list(handlers)

    def handler(connection: Connection) -> bool:
        if connection.request.method == "POST":
            return send_started_run(connection)
        if "steps=" in connection.request.path:
            return send_response(200, '{"name": "A title"}')(connection)
        return (remaining.pop(0) if len(remaining) > 1 else remaining[0])(connection)

    return handler


def send_status(value: object) -> RequestHandler:
    return send_response(200, json.dumps({"status": value}))


RUNNING, PASSED = send_status("running"), send_status("passed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handlers", "state", "reason", "code"),
    [
        ([RUNNING, PASSED], "passed", "ok", 0),
        ([send_status("failed")], "failed", "failed", 1),
        ([send_status("cancelled")], "stopped", "failed", 1),
        ([send_response(500), send_response(500), PASSED], "passed", "ok", 0),
        ([send_response(500)], "unknown", "unknown", 7),
        ([RUNNING, send_response(401)], "unknown", "unauthorized", 3),
        ([send_response(404)], "unknown", "not-found", 4),
        ([send_response(404), PASSED], "passed", "ok", 0),
        ([send_status(None)], "unknown", "unknown", 7),
        ([send_status(7)], "unknown", "unknown", 7),
        ([send_status("finished")], "unknown", "unknown", 7),
        ([RUNNING, PASSED, RUNNING], "passed", "ok", 0),
        ([send_response(200, "<html>passed</html>")], "unknown", "unknown", 7),
        ([send_response(200, "<html>passed</html>"), PASSED], "passed", "ok", 0),
        ([hang, PASSED], "passed", "ok", 0),
        ([hang], "unknown", "unknown", 7),
        ([close], "unknown", "unknown", 7),
        ([close, close, PASSED], "passed", "ok", 0),
        ([send_response(429, "", "Retry-After: 1"), PASSED], "passed", "ok", 0),
        ([RUNNING], "timed-out", "timeout", 6),
    ],
)
def test_bad_responses_have_state_and_exit_code(
    handlers: list[RequestHandler], state: str, reason: str, code: int, tmp_path: Path
) -> None:
    """Each kind of bad poll response ends in a defined state and exit code."""
    with FaultServer(serve_polls(*handlers)) as server:
        # These jobs can end at the deadline.
        more = WAIT | ({"INPUT_TIMEOUT": "2s"} if reason in {"timeout", "unknown"} else {})
        job = run_job(
            tmp_path,
            server.url,
            ["a"],
            extra_environ=more,
            timeouts=SHORT_TIMEOUTS if hang in handlers else LONG_TIMEOUTS,
        )
        assert server.post_counts == {"a": 1}
    assert (job.states["a"], job.outputs["reason"], job.code) == (state, reason, code)
    assert job.outputs["run-url"] == "https://autonoma.app/run/run-of-a"
    assert "Traceback" not in job.log + job.errors
    assert job.results_json["runs"][0]["run_id"] in job.summary.replace("\\", "")


def test_failed_step_is_in_every_report(sandbox: Sandbox, tmp_path: Path) -> None:
    """Log, summary and junit.xml have the failed step and the flaky run."""
    more = {**WAIT, "INPUT_RETRIES": "1"}
    job = run_job(tmp_path, sandbox.url, ["sandbox-fails", "sandbox-flaky", "plain"], extra_environ=more)
    assert (job.code, job.outputs["conclusion"]) == (1, "failed")
    assert [sandbox.count_starts(name) for name in ("sandbox-fails", "sandbox-flaky", "plain")] == [2, 2, 1]
    assert {"passed": job.outputs["passed"], "failed": job.outputs["failed"]} == {"passed": "2", "failed": "1"}
    junit = (tmp_path / "results" / "junit.xml").read_text("utf-8")
    for text in (job.log, job.summary, junit):
        assert "Expected a confirmation" in text
        assert "Unsubscribe from the newsletter" in text
    assert "flaky" in job.log
    assert "flaky" in job.summary
    assert "```mermaid" in job.summary
    flaky = job.results_json["runs"][1]
    assert (flaky["flaky"], flaky["attempts"], len(flaky["previous_attempts"])) == (True, 2, 1)


def test_wait_covers_folders_and_tags(sandbox: Sandbox, tmp_path: Path) -> None:
    """Folders and tags are started and polled like tests."""
    more = {**WAIT, "INPUT_FOLDER-IDS": "f, sandbox-fails", "INPUT_TAG-IDS": "Nightly=t", "INPUT_RUN-ON-LATEST": "true"}
    job = run_job(tmp_path, sandbox.url, ["a"], extra_environ=more)
    assert [(run["kind"], run["state"]) for run in job.results_json["runs"]] == [
        ("test", "passed"), ("folder", "passed"), ("folder", "failed"), ("tag", "passed"),
    ]  # fmt: skip
    bodies = {request.path: request.body for request in sandbox.received if request.method == "POST"}
    assert bodies["/api/folder/f/run"] == {"recursive": True, "source": "github", "run_on_latest": True}
    assert bodies["/api/tag/t/run"] == {"run_on_latest": True}


def test_empty_shard_passes_with_note(sandbox: Sandbox, tmp_path: Path) -> None:
    """A shard without runs has the conclusion skipped and sends no start request."""
    job = run_job(tmp_path, sandbox.url, ["a", "b"], extra_environ={**WAIT, "INPUT_SHARD": "3/3"})
    assert (job.code, job.outputs["conclusion"], job.outputs["total"]) == (0, "skipped", "0")
    assert "Shard 3/3 has no runs" in job.log
    assert "Shard 3/3 has no runs" in job.summary
    assert not [request for request in sandbox.received if request.method == "POST"]


def test_shards_start_each_run_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """All shards together start each run once."""
    ids = [f"t{n}" for n in range(7)]
    for number in (1, 2, 3):
        assert run_job(tmp_path, sandbox.url, ids, extra_environ={"INPUT_SHARD": f"{number}/3"}).code == 0
    assert [sandbox.count_starts(name) for name in ids] == [1] * 7


# The command `wait`


def run_wait(folder: Path, url: str, *argv: str, more: Mapping[str, str] | None = None) -> JobResult:
    """Run `wait` as in another job on GitHub."""
    out, err = io.StringIO(), io.StringIO()
    environ = {**github_environ(folder, url, []), "INPUT_TIMEOUT": "10m", **(more or {})}
    code = cli.run_command(["wait", *argv], Runtime(environ, out, err, str(folder), poll_policy=POLL_POLICY))
    return read_job_result(folder, code, out.getvalue(), err.getvalue())


def test_step_without_wait_shows_wait_command(sandbox: Sandbox, tmp_path: Path) -> None:
    """The command in log and summary resumes waiting for the runs."""
    job = run_job(tmp_path, sandbox.url, ["a", "sandbox-fails"])
    assert (job.code, job.states) == (0, {"a": "started", "sandbox-fails": "started"})
    assert "autonoma-ci wait results/results.json" in job.log
    assert "autonoma-ci wait results/results.json" in job.summary
    wait_job = run_wait(tmp_path, sandbox.url, "results/results.json")
    assert (wait_job.code, wait_job.states) == (1, {"a": "passed", "sandbox-fails": "failed"})
    assert "Expected a confirmation" in wait_job.summary
    assert [sandbox.count_starts(name) for name in ("a", "sandbox-fails")] == [1, 1]
    assert wait_job.results_json["source"] == "github"
    assert "no effect" not in wait_job.log


def test_wait_has_plan_facts_of_first_step(sandbox: Sandbox, tmp_path: Path) -> None:
    """The reports of `wait` have the facts of the plan that the first step wrote."""
    run_job(tmp_path, sandbox.url, ["a"])
    path = tmp_path / "results" / "results.json"
    change = {"source": "clone", "base": "b" * 40, "file_count": 12, "full_run_reason": None}
    facts = {"plan_digest": "d" * 64, "changed_files": change, "quarantined_by_change": ["Sign up"]}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | facts), "utf-8")
    wait_job = run_wait(tmp_path, sandbox.url, "results/results.json")
    assert wait_job.results_json.items() >= facts.items()
    assert "Changed files: 12, compared with bbbbbbbbbbbb (from the clone)." in wait_job.summary
    assert "Quarantined by this change: Sign up." in wait_job.log


def test_wait_polls_only_started_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """Passed runs are confirmed by a poll, and runs that were not started are not polled."""
    build = {"GITHUB_RUN_ID": "17"}
    run_job(tmp_path, sandbox.url, ["a", "sandbox-404"], extra_environ=WAIT | build)
    request_count = len(sandbox.received)
    wait_job = run_wait(tmp_path, sandbox.url, "results/results.json", more=build)
    assert len(sandbox.received) > request_count
    assert [sandbox.count_starts(name) for name in ("a", "sandbox-404")] == [1, 1]
    assert (wait_job.code, wait_job.states) == (4, {"a": "passed", "sandbox-404": "not-started"})


@pytest.mark.slow
def test_wait_polls_timed_out_runs(tmp_path: Path) -> None:
    """The command `wait` polls runs that timed out in an earlier step."""
    with FaultServer(serve_polls(RUNNING)) as server:
        job = run_job(tmp_path, server.url, ["a"], extra_environ=WAIT | {"INPUT_TIMEOUT": "1s"})
        assert job.code == 6
        assert "autonoma-ci wait" in job.log
    with FaultServer(serve_polls(PASSED)) as server:
        wait_job = run_wait(tmp_path, server.url, "results/results.json")
        assert (wait_job.code, wait_job.states) == (0, {"a": "passed"})
        assert server.post_counts == {}


def test_wait_marks_runs_of_killed_step_unknown(sandbox: Sandbox, tmp_path: Path) -> None:
    """Runs without an id in the results.json of a killed step are unknown."""
    run_job(tmp_path, sandbox.url, ["a", "b", "c"], extra_environ=WAIT)
    path = tmp_path / "results" / "results.json"
    results_json = json.loads(path.read_text("utf-8"))
    results_json.update(conclusion=None, reason=None, exit_code=None)
    results_json["runs"][1].update(state="starting", run_id="", url="")
    results_json["runs"][2].update(state="planned", run_id="", url="")
    path.write_text(json.dumps(results_json), "utf-8")
    wait_job = run_wait(tmp_path, sandbox.url, "results/results.json")
    assert (wait_job.code, wait_job.states) == (7, {"a": "passed", "b": "unknown", "c": "unknown"})
    assert "killed" in wait_job.log
    assert [sandbox.count_starts(name) for name in "abc"] == [1, 1, 1]


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"version": 1}'])
def test_wait_refuses_invalid_results(content: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """The command `wait` keeps the file and sends no request."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.json").write_text(content, "utf-8")
    out, err = io.StringIO(), io.StringIO()
    environ = github_environ(tmp_path, sandbox.url, [])
    code = cli.run_command(["wait", "results/results.json"], Runtime(environ, out, err, str(tmp_path)))
    assert code == 2
    assert "results.json" in err.getvalue()
    assert (tmp_path / "results" / "results.json").read_text("utf-8") == content
    assert sandbox.received == []


def test_wait_without_credentials_preserves_results(sandbox: Sandbox, tmp_path: Path) -> None:
    """The command `wait` without credentials does not change results.json."""
    run_job(tmp_path, sandbox.url, ["a"])
    before = (tmp_path / "results" / "results.json").read_bytes()
    out, err = io.StringIO(), io.StringIO()
    environ = github_environ(tmp_path, sandbox.url, []) | {"INPUT_CLIENT-SECRET": ""}
    assert cli.run_command(["wait", "results/results.json"], Runtime(environ, out, err, str(tmp_path))) == 2
    assert "client-secret is missing" in err.getvalue()
    assert (tmp_path / "results" / "results.json").read_bytes() == before


@pytest.mark.parametrize("system", [{}, {"GITHUB_ACTIONS": ""}])
def test_signal_before_first_poll_preserves_results(
    system: dict[str, str], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal before the first poll does not change results.json."""
    run_job(tmp_path, sandbox.url, ["a"])
    before = (tmp_path / "results" / "results.json").read_bytes()

    def raise_cancelled(*_: object) -> None:
        raise Cancelled(15)

    monkeypatch.setattr("autonoma_ci.commands.wait.to_run_results", raise_cancelled)
    environ = github_environ(tmp_path, sandbox.url, []) | system
    job_runtime = Runtime(environ, io.StringIO(), io.StringIO(), str(tmp_path))
    assert cli.run_command(["wait", "results/results.json"], job_runtime) == 143
    assert (tmp_path / "results" / "results.json").read_bytes() == before


def test_wait_ignores_urls_of_results(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only the settings of the step decide what is requested and where."""
    run_job(tmp_path, sandbox.url, ["a"])
    path = tmp_path / "results" / "results.json"
    results_json = json.loads(path.read_text("utf-8"))
    with FaultServer(serve_polls(PASSED)) as other_server:
        results_json["runs"][0]["url"] = f"{other_server.url}/run/x"
        results_json["api_url"] = other_server.url
        path.write_text(json.dumps(results_json), "utf-8")
        assert run_wait(tmp_path, sandbox.url, "results/results.json").code == 0
        assert other_server.connection_count == 0


# Another attempt at the same build


def make_attempt_environ(number: int, build: str = "17") -> dict[str, str]:
    return {"GITHUB_RUN_ID": build, "GITHUB_RUN_ATTEMPT": str(number), "GITHUB_SHA": "c" * 40, **WAIT}


@pytest.mark.slow
def test_next_attempt_starts_failed_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """The next build attempt reuses passed runs and starts the others."""
    ids = ["a", "sandbox-flaky", "b"]
    assert run_job(tmp_path, sandbox.url, ids, extra_environ=make_attempt_environ(1)).code == 1
    job = run_job(tmp_path, sandbox.url, ids, extra_environ=make_attempt_environ(2))
    assert (job.code, job.outputs["conclusion"], job.outputs["passed"]) == (0, "passed", "3")
    assert [sandbox.count_starts(name) for name in ids] == [1, 2, 1]
    assert [run["reused"] for run in job.results_json["runs"]] == [True, False, True]
    assert "2 runs passed in an earlier attempt" in job.log
    assert "passed in an earlier attempt" in job.summary


@pytest.mark.slow
def test_all_passed_attempt_starts_all(sandbox: Sandbox, tmp_path: Path) -> None:
    """If all runs of the plan passed before, all are started again."""
    for number in (1, 2):
        assert (
            run_job(tmp_path, sandbox.url, ["a", "b"], extra_environ=make_attempt_environ(number)).outputs["conclusion"]
            == "passed"
        )
    assert [sandbox.count_starts(name) for name in "ab"] == [2, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        make_attempt_environ(2, "18"),
        make_attempt_environ(1),
        make_attempt_environ(2) | {"GITHUB_SHA": "d" * 40},
        WAIT,
        make_attempt_environ(2) | {"INPUT_VARIABLES": "A=1"},
    ],
    ids=["another build", "the same attempt", "another commit", "no build", "another plan"],
)
def test_other_build_commit_plan_starts_all(more: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """A results.json of another build, commit or plan is not reused."""
    ids = ["a", "sandbox-flaky"]
    run_job(tmp_path, sandbox.url, ids, extra_environ=make_attempt_environ(1))
    run_job(tmp_path, sandbox.url, ids, extra_environ=more)
    assert [sandbox.count_starts(name) for name in ids] == [2, 2]


def test_unreadable_results_start_all(sandbox: Sandbox, tmp_path: Path) -> None:
    """An unreadable results.json of the earlier attempt is a warning."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.json").write_text("{", "utf-8")
    job = run_job(tmp_path, sandbox.url, ["a"], extra_environ=make_attempt_environ(2))
    assert job.code == 0
    assert "The results.json of the earlier attempt is not used" in job.log


# The option `wait-for-url`


def test_starts_wait_for_url(sandbox: Sandbox, tmp_path: Path) -> None:
    """Runs start after the page of `wait-for-url` responds."""
    with FaultServer(send_response(200), {"x": []}) as page:
        job = run_job(tmp_path, sandbox.url, ["a"], extra_environ={"INPUT_WAIT-FOR-URL": f"{page.url}/a/b/c"})
    assert (job.code, sandbox.count_starts("a")) == (0, 1)


def test_unavailable_url_starts_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """A page that stays unavailable ends the step without a start request."""
    with FaultServer(send_response(503)) as page:
        more = {"INPUT_WAIT-FOR-URL": f"{page.url}/a/b/c?token=t0p", "INPUT_WAIT-FOR-URL-TIMEOUT": "1s"}
        job = run_job(tmp_path, sandbox.url, ["a", "b"], extra_environ=more)
    assert (job.code, job.outputs["reason"], job.states) == (5, "api", {"a": "not-started", "b": "not-started"})
    assert "was not ready within 1.0 s: HTTP 503" in job.log
    assert "t0p" not in job.visible_text
    assert sandbox.received == []
