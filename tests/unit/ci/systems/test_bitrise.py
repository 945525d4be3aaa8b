"""Tests of Bitrise's build facts and variables for later steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.bitrise import SYSTEM
from tests.support.agent_program import write_program
from tests.support.ci_environments import BITRISE, HEAD, MERGE
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext, Report


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**BITRISE, **changes})


def publish(folder: Path, step_report: Report, code: int = 0) -> tuple[list[str], list[str]]:
    """Publish a report with `envman`, and return its calls and the warnings."""
    calls = write_program(folder / "bin", "envman", code)
    checkout = folder / "checkout"
    checkout.mkdir()
    [envman] = SYSTEM.create_publishers(make_publish_context({"PATH": f"{calls.parent}:/usr/bin:/bin"}, checkout))
    warnings = list(envman.publish(step_report))
    return calls.read_text("utf-8").splitlines() if calls.exists() else [], warnings


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of Bitrise and the credentials of Git are secret."""
    secrets = {
        "BITRISE_BUILD_API_TOKEN",
        "BITRISEIO_ARTIFACT_PULL_TOKEN",
        "GIT_HTTP_PASSWORD",
        "SSH_RSA_PRIVATE_KEY",
    }
    assert find_secret_names(SYSTEM, {*BITRISE, *secrets}) == secrets


def test_build_id_without_pipeline_is_slug() -> None:
    """A workflow outside of a pipeline is identified by its own slug."""
    assert read_context(BITRISEIO_PIPELINE_ID="").build_id == "9f"


@pytest.mark.parametrize(
    ("change", "clone_sha", "reported_sha", "sha"),
    [
        ("", MERGE, HEAD, MERGE),
        ("", "", HEAD, HEAD),
        ("", "abc1234", HEAD, HEAD),
        ("7", MERGE, HEAD, HEAD),
        ("7", MERGE, "", ""),
    ],
)
def test_commit_of_change_is_not_clone(change: str, clone_sha: str, reported_sha: str, sha: str) -> None:
    """The cloned commit of a pull request can be a merge commit."""
    context = read_context(
        BITRISE_PULL_REQUEST=change, GIT_CLONE_COMMIT_HASH=clone_sha, BITRISE_GIT_COMMIT=reported_sha
    )
    assert context.sha == sha


def test_repository_without_owner_is_clone_url() -> None:
    """A repository that Bitrise does not know is known by its URL, without credentials."""
    url = "https://bot:s3cret-value@git.example.com/acme/shop.git"
    assert read_context(BITRISEIO_GIT_REPOSITORY_OWNER="", GIT_REPOSITORY_URL=url).repository == "acme/shop"


def test_build_url_without_own_is_pipeline_url() -> None:
    """A workflow without a page links to its pipeline."""
    url = "https://app.bitrise.io/pipelines/6f"
    assert read_context(BITRISE_BUILD_URL="", BITRISEIO_PIPELINE_BUILD_URL=url).build_url == url


@pytest.mark.parametrize(
    ("index", "total", "name"), [("0", "2", "e2e 1/2"), ("1", "2", "e2e 2/2"), ("2", "2", ""), ("x", "2", "")]
)
def test_job_name_has_place_of_copy(index: str, total: str, name: str) -> None:
    """Bitrise counts the copies of a workflow from 0, and an invalid place has no name."""
    assert read_context(BITRISE_IO_PARALLEL_INDEX=index, BITRISE_IO_PARALLEL_TOTAL=total).job_name == name


def test_publishers_need_program() -> None:
    """Without `envman` in PATH, no variable is set."""
    assert SYSTEM.create_publishers(make_publish_context({"PATH": "/nowhere"})) == ()


def test_publish_before_end_calls_nothing(tmp_path: Path) -> None:
    """A report without a verdict sets no variable."""
    assert publish(tmp_path, create_report([make_started_run("a")], None)) == ([], [])


def test_variable_too_long_is_empty(tmp_path: Path) -> None:
    """A value that is too long is empty, and no other one replaces it."""
    run = make_passed_run("a")._replace(url="https://autonoma.app/" + "x" * 40_000)
    calls, [warning] = publish(tmp_path, create_report([run], PASSED_VERDICT))
    assert warning.startswith("The variables for later steps: AUTONOMA_RUN_URL left empty (")
    assert [line.split(" --value ") for line in calls] == [
        ["add --no-expand --key AUTONOMA_CONCLUSION", "passed"],
        ["add --no-expand --key AUTONOMA_REASON", "ok"],
        ["add --no-expand --key AUTONOMA_RUN_URL", ""],
        ["add --no-expand --key AUTONOMA_RUN_ID", "run-a"],
    ]


def test_variable_with_dollar_is_not_expanded(tmp_path: Path) -> None:
    """A later step gets each link with its `$` unchanged.

    Source: bitrise-io/envman, cli/add.go, cli/commands.go and env/expand.go.
    """
    url = "https://autonoma.app/run/a?from=$HOME"
    calls, warnings = publish(tmp_path, create_report([make_passed_run("a")._replace(url=url)], PASSED_VERDICT))
    assert warnings == []
    assert calls[2] == f"add --no-expand --key AUTONOMA_RUN_URL --value {url}"
    assert all(line.startswith("add --no-expand --key ") for line in calls)


def test_program_failure_warns_once(tmp_path: Path) -> None:
    """After the first failure, the program is not called again."""
    calls, warnings = publish(tmp_path, create_report([make_passed_run("a")], PASSED_VERDICT), code=3)
    assert warnings == ["The variables for later steps could not be set: envman failed with exit code 3."]
    assert len(calls) == 1
