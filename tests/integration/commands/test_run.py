"""Tests of the command `run`."""

from __future__ import annotations

import io
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.errors import Cancelled
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import POLL_POLICY
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke
from tests.support.manifests import MANIFEST
from tests.support.plans import change_plans

if TYPE_CHECKING:
    from pathlib import Path


def test_manifest_starts_all_kinds(tmp_path: Path) -> None:
    """The default manifest is found and interpolated, and its text is sent as written."""
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "a" * 40}}}), "utf-8")
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "GITHUB_ACTIONS": "true"}
        environ |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
        result = invoke(tmp_path, environ=environ)
        received: dict[str, Any] = {entry.path: entry.body for entry in sandbox.received}
    assert result.code == 0, result.output
    assert "5 of 5 runs started." in result.out
    body = received["/api/test/cm8d9gt6v000c9fe5glmyi33u/run"]
    assert body["source"] == "github"
    assert body["application_version_id"] == "cm7dbowr80042waka7thyjhkq"
    assert body["runtime_metadata"] | {"LOCALE": ""} == {
        "ENVIRONMENT": "staging", "BASE_URL": "https://pr-7.preview.example.com",
        "NAME": "CompanyName", "RELEASE": "1.10", "LOCALE": "",
    }  # fmt: skip
    assert received["/api/folder/cm7t223mk00154mzy2jwk2pqy/run"]["recursive"] is True


@pytest.mark.parametrize(("environ", "source"), [({}, "cli"), ({"GITLAB_CI": "true"}, "gitlab")])
def test_source_is_sent_to_api(environ: dict[str, str], source: str, tmp_path: Path) -> None:
    """The source is the CI system's name unless an option sets it."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | environ | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a"}
        invoke(tmp_path, environ=environ)
        invoke(tmp_path, "--source", "mine", environ=environ)
        assert [entry.source for entry in sandbox.received] == [source, "mine"]


def test_dry_run_prints_plan_only(tmp_path: Path) -> None:
    """A dry run prints the plan without values and sends no request."""
    with Sandbox() as sandbox:
        result = invoke(tmp_path, "--dry-run", "--test-ids", "L=a,b", "--var", "KEY=hidden", "--api-url", sandbox.url)
        assert sandbox.received == []
    assert result.code == 0
    assert "PLANNED  L  — test a: variables KEY\n" in result.out
    assert "Dry run: 2 runs planned, nothing was sent." in result.out
    assert "hidden" not in result.output


def test_retry_budget_of_plan_limits_retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option gives each run a retry, and the plan allows one retry in all."""
    ids = ["sandbox-fails-a", "sandbox-fails-b"]
    change_plans(monkeypatch, lambda planned: planned._replace(retry_budget=1))
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": ",".join(ids)}
        result = invoke(tmp_path, "--wait", "--retries", "1", environ=environ)
        assert sum(map(sandbox.count_starts, ids)) == 3
    assert result.code == 1
    assert "No retry of 1 failed run: max-runs is reached." in result.output


def test_empty_plan_needs_allow_empty(tmp_path: Path) -> None:
    """An empty plan is an error unless `allow-empty` is set."""
    assert invoke(tmp_path, environ=CREDENTIALS).code == 2
    result = invoke(tmp_path, "--allow-empty", environ=CREDENTIALS)
    assert (result.code, result.out.strip()) == (0, "Nothing was selected, so nothing was started.")


def test_run_invalid_flag_replaces_old_files(tmp_path: Path) -> None:
    """The files of an earlier step do not stay after an unreadable command line."""
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": "r"}
        assert invoke(tmp_path, "run", "--test-ids", "a", environ=environ).code == 0
        result = invoke(tmp_path, "run", "--test-ids", environ=environ)
        assert sandbox.count_starts("a") == 1
    assert result.code == 2
    results_json = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))
    assert (results_json["conclusion"], results_json["runs"]) == ("error", [])


def test_run_unknown_flag_starts_nothing(tmp_path: Path) -> None:
    """All errors of the input are reported together."""
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
        result = invoke(tmp_path, "run", "--tst-ids", "a", "--retries", "x", environ=environ)
        assert sandbox.received == []
    assert result.code == 2
    assert result.errors[0].startswith("Unknown option: '--tst-ids'. Did you mean '--test-ids'?")
    assert [error for error in result.errors if error.startswith("--retries: ")]


def test_run_without_groups_is_skipped(tmp_path: Path) -> None:
    """A step that selects nothing on purpose needs no credentials."""
    result = invoke(tmp_path, "run", "--groups", "none", "--results-dir", "r")
    assert result.code == 0
    assert "Skipped, nothing was started: --groups is 'none'." in result.out
    assert json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))["conclusion"] == "skipped"


def test_run_cancelled_before_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal before the first request has a report without runs."""

    def cancel(*_: object) -> None:
        raise Cancelled(signal.SIGTERM)

    monkeypatch.setattr("autonoma_ci.commands.run.add_plan", cancel)
    result = invoke(tmp_path, "run", "--test-ids", "a", "--results-dir", "r", environ=CREDENTIALS)
    assert result.code == 143
    results_json = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))
    assert (results_json["conclusion"], results_json["exit_code"], results_json["runs"]) == ("cancelled", 143, [])


@pytest.mark.parametrize(
    ("problem", "code", "state"),
    [(None, 0, "started"), (("HTTP 503 for 5 min", ""), 5, "not-started"), (("HTTP 404", "Fix it."), 5, "not-started")],
)
def test_run_waits_for_deployment(
    problem: tuple[str, str] | None, code: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is not ready starts nothing, and each run has the reason."""
    monkeypatch.setattr("autonoma_ci.net.wait_for_url.wait_for_url", lambda *_, **__: problem)
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": "r"}
        flags = ("--test-ids", "a,b", "--wait-for-url", "https://pr-7.preview.example.com")
        result = invoke(tmp_path, "run", *flags, environ=environ)
        assert sandbox.count_starts("a") == (0 if problem else 1)
    assert result.code == code
    runs = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))["runs"]
    assert [run["state"] for run in runs] == [state, state]
    if problem:
        assert {run["message"] for run in runs} == {f"not sent: {problem[0]}"}
        hint = problem[1] or "Check --wait-for-url and its deployment, or increase wait-for-url-timeout."
        assert all(run["suggestion"].startswith(hint) for run in runs)


BUILD = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "17", "GITHUB_JOB": "e2e", "GITHUB_SHA": "c" * 40}


def run_attempt(folder: Path, url: str, attempt: int, ids: str = "a,sandbox-fails", **environ: str) -> CommandResult:
    """Run one attempt at a build that waits for its runs."""
    job = {**CREDENTIALS, **BUILD, "GITHUB_RUN_ATTEMPT": str(attempt), "AUTONOMA_API_URL": url, **environ}
    out, err = io.StringIO(), io.StringIO()
    argv = ["run", "--wait", "--results-dir", "r", "--test-ids", ids]
    code = cli.run_command(argv, Runtime(job, out, err, str(folder), poll_policy=POLL_POLICY))
    return CommandResult(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("ids", "environ", "notice", "starts"),
    [
        ("a,sandbox-fails", {}, "1 run passed in an earlier attempt at this build.", 1),
        ("a,sandbox-fails", {"GITHUB_SHA": ""}, "The results.json of the earlier attempt is not used: ", 2),
        ("sandbox-fails,a", {}, "The results.json of the earlier attempt is not used: runs differ from the plan", 2),
        ("a,sandbox-fails", {"GITHUB_JOB": "other"}, "", 2),
        ("a,sandbox-fails", {"GITHUB_RUN_ID": "18"}, "", 2),
    ],
    ids=["same", "no commit", "other order", "other job", "other build"],
)
def test_next_attempt_reuses_own_passes(
    ids: str, environ: dict[str, str], notice: str, starts: int, tmp_path: Path
) -> None:
    """A pass counts only in the same job with the same runs and commit."""
    with Sandbox(pace=0) as sandbox:
        assert run_attempt(tmp_path, sandbox.url, 1).code == 1
        result = run_attempt(tmp_path, sandbox.url, 2, ids, **environ)
        assert sandbox.count_starts("a") == starts
    assert result.code == 1
    assert notice in result.out
    assert notice or "earlier attempt" not in result.out


def test_damaged_results_are_warning(tmp_path: Path) -> None:
    """A damaged results.json of the earlier attempt starts all runs."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "results.json").write_text('{"version": 1, "tool": {"name": "autonoma-ci"}}', "utf-8")
    with Sandbox(pace=0) as sandbox:
        result = run_attempt(tmp_path, sandbox.url, 2, "a")
        assert sandbox.count_starts("a") == 1
    assert result.code == 0
    assert "The results.json of the earlier attempt is not used: r/results.json: invalid file (" in result.out
