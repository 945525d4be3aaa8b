"""Jobs that get no credentials, and jobs that get them with a checkout of anybody's."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.sandbox import Sandbox
from tests.support import runner

if TYPE_CHECKING:
    from pathlib import Path

SHOP, FORK = {"full_name": "acme/shop"}, {"full_name": "mallory/shop"}


def job(folder: Path, event: str, head: object = SHOP, author: str = "ada", **more: str) -> tuple[int, str]:
    """Run a step on GitHub; return exit code and log."""
    pull = {"number": 7, "head": {"repo": head}, "base": {"repo": SHOP}, "user": {"login": author}}
    (folder / "event.json").write_text(json.dumps({"pull_request": pull}), "utf-8")
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


CASES = pytest.mark.parametrize(
    ("head", "author", "why"),
    [
        (FORK, "ada", "this change comes from a fork"),
        (None, "ada", "this change comes from a fork"),
        (SHOP, "dependabot[bot]", "this change is Dependabot's"),
        (SHOP, "ada", "they are not set here"),
    ],
    ids=["fork", "deleted-fork", "dependabot", "not-set"],
)


@CASES
def test_skip_is_green_and_says_why_nothing_was_started(head: object, author: str, why: str, tmp_path: Path) -> None:
    code, log = job(tmp_path, "pull_request", head, author, **{"INPUT_ON-MISSING-CREDENTIALS": "skip"})
    assert code == 0
    [notice] = [command for command in runner.commands(log) if command.name == "notice"]
    assert why in notice.data
    outputs = runner.outputs((tmp_path / "output").read_text("utf-8"))
    assert (outputs["conclusion"], outputs["reason"], outputs["started"]) == ("skipped", "ok", "0")
    summary = (tmp_path / "summary").read_text("utf-8")
    assert "Skipped, nothing was started" in summary
    assert "✅" not in summary


@CASES
def test_by_default_it_is_an_error_that_says_why(head: object, author: str, why: str, tmp_path: Path) -> None:
    code, log = job(tmp_path, "pull_request", head, author, **{"INPUT_TEST-IDS": "a"})
    assert code == 2
    errors = [command.data for command in runner.commands(log) if command.name == "error"]
    (error,) = errors
    assert why in error
    assert ("on-missing-credentials" in error) == (why[:4] == "this")


def test_one_credential_alone_is_missing_too(tmp_path: Path) -> None:
    more = {"INPUT_ON-MISSING-CREDENTIALS": "skip", "INPUT_CLIENT-ID": "an-id"}
    assert job(tmp_path, "pull_request", FORK, **more)[0] == 0


def test_skip_forgives_nothing_else(tmp_path: Path) -> None:
    more = {"INPUT_ON-MISSING-CREDENTIALS": "skip", "INPUT_CONCURRENCY": "many"}
    assert job(tmp_path, "pull_request", FORK, **more)[0] == 2


@pytest.mark.parametrize("word", ["Skip", "FAIL"])
def test_the_words_are_read_in_any_case(word: str, tmp_path: Path) -> None:
    code, _ = job(tmp_path, "push", **{"INPUT_ON-MISSING-CREDENTIALS": word, "INPUT_TEST-IDS": "a"})
    assert code == (0 if word == "Skip" else 2)


def test_another_word_is_an_error_with_the_words_there_are(tmp_path: Path) -> None:
    code, log = job(tmp_path, "push", **{"INPUT_ON-MISSING-CREDENTIALS": "ignore"})
    assert code == 2
    assert "on-missing-credentials: 'ignore': use fail or skip" in log


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_with_all_secrets_no_manifest_is_read_that_nobody_has_named(event: str, tmp_path: Path) -> None:
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one]\n", "utf-8")
    with Sandbox(pace=0) as sandbox:
        more = {"INPUT_CLIENT-ID": "an-id-of-ours", "INPUT_CLIENT-SECRET": "a-secret", "INPUT_API-URL": sandbox.url}
        code, log = job(tmp_path, event, FORK, **more)
        assert code == 2
        assert sandbox.received == []
        [warning] = [command.data for command in runner.commands(log) if command.name == "warning"]
        assert warning.startswith(f"autonoma.yml is not read: a job of the event {event} has all secrets")
        code, log = job(tmp_path, event, FORK, **more, INPUT_MANIFEST="autonoma.yml")
        assert code == 0
        assert len(sandbox.received) == 1


def test_in_an_ordinary_pull_request_the_manifest_is_found(tmp_path: Path) -> None:
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one]\n", "utf-8")
    code, log = job(tmp_path, "pull_request", **{"INPUT_DRY-RUN": "true"})
    assert code == 0
    assert "sandbox-one" in log


def test_a_fork_on_azure_is_skipped_too(tmp_path: Path) -> None:
    """There a secret that is withheld does not arrive empty, but as its own name."""
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
    assert "this change comes from a fork" in out.getvalue()
