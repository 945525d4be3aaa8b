"""Jobs without credentials and jobs with an untrusted checkout."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.sandbox import Sandbox
from tests.support import github_parser as runner

if TYPE_CHECKING:
    from pathlib import Path

SHOP, FORK = {"full_name": "acme/shop"}, {"full_name": "mallory/shop"}


def run_event_job(folder: Path, event: str, head: object = SHOP, author: str = "ada", **more: str) -> tuple[int, str]:
    """Run a step on GitHub and return exit code and log."""
    pull_request = {"number": 7, "head": {"repo": head}, "base": {"repo": SHOP}, "user": {"login": author}}
    (folder / "event.json").write_text(json.dumps({"pull_request": pull_request}), "utf-8")
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        **more,
    }
    out = io.StringIO()
    return cli.run_command([], Runtime(environ, out, out, str(folder))), out.getvalue()


for_each_cause = pytest.mark.parametrize(
    ("head", "author", "reason"),
    [
        (FORK, "ada", "a job for a change from a fork"),
        (None, "ada", "a job for a change from a fork"),
        (SHOP, "dependabot[bot]", "a job for a change by Dependabot"),
        (SHOP, "ada", "no value is set"),
    ],
    ids=["fork", "deleted-fork", "dependabot", "not-set"],
)


@for_each_cause
def test_skip_passes_with_notice(head: object, author: str, reason: str, tmp_path: Path) -> None:
    """With `skip`, a notice has the reason, and the conclusion is skipped."""
    code, log = run_event_job(tmp_path, "pull_request", head, author, **{"INPUT_ON-MISSING-CREDENTIALS": "skip"})
    assert code == 0
    [notice] = [command for command in runner.find_commands(log) if command.name == "notice"]
    assert reason in notice.data
    outputs = runner.parse_outputs((tmp_path / "output").read_text("utf-8"))
    assert (outputs["conclusion"], outputs["reason"], outputs["started"]) == ("skipped", "ok", "0")
    summary = (tmp_path / "summary").read_text("utf-8")
    assert "Skipped, nothing was started" in summary
    assert "✅" not in summary


@for_each_cause
def test_missing_credentials_fail_by_default(head: object, author: str, reason: str, tmp_path: Path) -> None:
    """By default, the error has the reason, and the exit code is 2."""
    code, log = run_event_job(tmp_path, "pull_request", head, author, **{"INPUT_TEST-IDS": "a"})
    assert code == 2
    errors = [command.data for command in runner.find_commands(log) if command.name == "error"]
    (error,) = errors
    assert reason in error
    assert ("on-missing-credentials" in error) == (reason[:5] == "a job")


def test_skip_accepts_one_credential(tmp_path: Path) -> None:
    """One of two credentials counts as missing, too."""
    more = {"INPUT_ON-MISSING-CREDENTIALS": "skip", "INPUT_CLIENT-ID": "an-id"}
    assert run_event_job(tmp_path, "pull_request", FORK, **more)[0] == 0


def test_skip_reports_other_errors(tmp_path: Path) -> None:
    """An invalid option is still an error."""
    more = {"INPUT_ON-MISSING-CREDENTIALS": "skip", "INPUT_CONCURRENCY": "many"}
    assert run_event_job(tmp_path, "pull_request", FORK, **more)[0] == 2


@pytest.mark.parametrize("value", ["Skip", "FAIL"])
def test_skip_option_ignores_case(value: str, tmp_path: Path) -> None:
    """Values of `on-missing-credentials` are valid in upper and lower case."""
    code, _ = run_event_job(tmp_path, "push", **{"INPUT_ON-MISSING-CREDENTIALS": value, "INPUT_TEST-IDS": "a"})
    assert code == (0 if value == "Skip" else 2)


def test_unknown_skip_value_is_refused(tmp_path: Path) -> None:
    """The error lists the valid values."""
    code, log = run_event_job(tmp_path, "push", **{"INPUT_ON-MISSING-CREDENTIALS": "ignore"})
    assert code == 2
    assert "on-missing-credentials: invalid value: 'ignore'. Use fail or skip." in log


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_privileged_job_ignores_default_manifest(event: str, tmp_path: Path) -> None:
    """A privileged event with an untrusted checkout reads a named manifest only."""
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one]\n", "utf-8")
    with Sandbox(pace=0) as sandbox:
        more = {"INPUT_CLIENT-ID": "an-id-of-ours", "INPUT_CLIENT-SECRET": "a-secret", "INPUT_API-URL": sandbox.url}
        code, log = run_event_job(tmp_path, event, FORK, **more)
        assert code == 2
        assert sandbox.received == []
        [warning] = [command.data for command in runner.find_commands(log) if command.name == "warning"]
        assert warning.startswith(f"autonoma.yml is not read: the event {event} exposes all secrets")
        code, log = run_event_job(tmp_path, event, FORK, **more, INPUT_MANIFEST="autonoma.yml")
        assert code == 0
        assert len(sandbox.received) == 1


def test_pull_request_reads_default_manifest(tmp_path: Path) -> None:
    """The event `pull_request` has no secrets for forks, so the manifest is read."""
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one]\n", "utf-8")
    code, log = run_event_job(tmp_path, "pull_request", **{"INPUT_DRY-RUN": "true"})
    assert code == 0
    assert "sandbox-one" in log


def test_azure_fork_is_skipped(tmp_path: Path) -> None:
    """On Azure, a withheld secret arrives as the reference with its name."""
    environ = {
        "TF_BUILD": "True",
        "SYSTEM_PULLREQUEST_ISFORK": "True",
        "AUTONOMA_CLIENT_ID": "$(AUTONOMA_CLIENT_ID)",
        "AUTONOMA_CLIENT_SECRET": "$(AUTONOMA_CLIENT_SECRET)",
        "AUTONOMA_TEST_IDS": "a",
        "AUTONOMA_ON_MISSING_CREDENTIALS": "skip",
    }
    out = io.StringIO()
    assert cli.run_command([], Runtime(environ, out, out, str(tmp_path))) == 0
    assert "a job for a change from a fork" in out.getvalue()
