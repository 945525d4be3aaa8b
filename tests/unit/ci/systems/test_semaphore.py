"""Tests of Semaphore's build facts and shared variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.semaphore import SYSTEM
from tests.support.agent_program import write_program
from tests.support.ci_environments import HEAD, MERGE, SEMAPHORE
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**SEMAPHORE, **changes})


def make_context(folder: Path, code: int = 0) -> PublishContext:
    """Return a job with `sem-context`."""
    calls = write_program(folder / "bin", "sem-context", code)
    checkout = folder / "checkout"
    checkout.mkdir()
    environ = {"PATH": f"{calls.parent}:/usr/bin:/bin", "SEMAPHORE_PIPELINE_ID": "ea3e"}
    return make_publish_context(environ, checkout)


def read_calls(folder: Path) -> list[str]:
    """Return the calls of `sem-context`."""
    path = folder / "bin" / "calls"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of the job and the login of the cache are credentials."""
    secrets = {
        "SEMAPHORE_OIDC_TOKEN",
        "SEMAPHORE_ARTIFACT_TOKEN",
        "SEMAPHORE_API_TOKEN",
        "SEMAPHORE_CACHE_USERNAME",
    }
    assert find_secret_names(SYSTEM, {*SEMAPHORE, *secrets}) == secrets


@pytest.mark.parametrize(
    ("server", "workflow", "url"),
    [
        ("https://acme.semaphoreci.com/", "b3f1", "https://acme.semaphoreci.com/workflows/b3f1"),
        ("https://me:s3cret-value@ci.example.com", "b3f1", "https://ci.example.com/workflows/b3f1"),
        ("", "b3f1", ""),
        ("https://acme.semaphoreci.com", "", ""),
    ],
)
def test_link_has_server_and_workflow(server: str, workflow: str, url: str) -> None:
    """The link needs both parts, and has no credentials."""
    assert read_context(SEMAPHORE_ORGANIZATION_URL=server, SEMAPHORE_WORKFLOW_ID=workflow).build_url == url


@pytest.mark.parametrize(
    ("names", "sha", "branch"),
    [
        ({"SEMAPHORE_GIT_PR_NUMBER": "2", "SEMAPHORE_GIT_PR_SHA": MERGE}, MERGE, "main"),
        ({"SEMAPHORE_GIT_PR_NUMBER": "2", "SEMAPHORE_GIT_PR_BRANCH": "fix"}, "", "fix"),
        ({"SEMAPHORE_GIT_PR_NUMBER": "x", "SEMAPHORE_GIT_PR_BRANCH": "fix"}, HEAD, "main"),
        ({"SEMAPHORE_GIT_BRANCH": "", "SEMAPHORE_GIT_TAG_NAME": "v1"}, HEAD, "v1"),
        ({"SEMAPHORE_GIT_BRANCH": "refs/pull/2"}, HEAD, "main"),
    ],
)
def test_branch_and_commit_of_change(names: dict[str, str], sha: str, branch: str) -> None:
    """A pull request has its own variables, and the branch of the checkout is the last one."""
    context = read_context(**names)
    assert (context.sha, context.branch) == (sha, branch)


def test_repository_without_slug_is_clone_url() -> None:
    """A repository of another host has only a URL."""
    url = "git@example.com:acme/cart.git"
    assert read_context(SEMAPHORE_GIT_REPO_SLUG="", SEMAPHORE_GIT_URL=url).repository == "acme/cart"


def test_job_name_needs_job() -> None:
    """Names of jobs are unique only within a block."""
    assert read_context(SEMAPHORE_BLOCK_NAME="").job_name == "shop/e2e - 1%2F3"
    assert read_context(SEMAPHORE_JOB_NAME="").job_name == ""


def test_publishers_need_program_and_share(tmp_path: Path) -> None:
    """All jobs share the variables, so a step that is merged later sets none."""
    context = make_context(tmp_path)
    assert len(SYSTEM.create_publishers(context)) == 1
    assert SYSTEM.create_publishers(context._replace(publishes_shared_data=False)) == ()
    assert SYSTEM.create_publishers(make_publish_context({"PATH": "/nowhere"})) == ()


def test_publish_before_end_calls_nothing(tmp_path: Path) -> None:
    """A report without a verdict sets no variable."""
    [publisher] = SYSTEM.create_publishers(make_context(tmp_path))
    assert publisher.publish(create_report([make_started_run("a")], None)) == []
    assert read_calls(tmp_path) == []


def test_variables_have_mark_of_pipeline(tmp_path: Path) -> None:
    """A pipeline that runs again has another id, and replaces the variables of the earlier one."""
    [publisher] = SYSTEM.create_publishers(make_context(tmp_path))
    step_report = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(step_id="a" * 16)
    assert publisher.publish(step_report) == []
    calls = read_calls(tmp_path)
    mark = f"AUTONOMA_WRITTEN_BY=build:ea3e:attempt::part:{step_report.part.digest}:step:aaaaaaaa"
    assert f"put {mark} --force" in calls
    assert [line for line in calls if line.startswith("put ") and mark not in line] == [
        "put AUTONOMA_CONCLUSION=passed --force",
        "put AUTONOMA_REASON=ok --force",
        "put AUTONOMA_RUN_URL=https://autonoma.app/run/run-a --force",
        "put AUTONOMA_RUN_ID=run-a --force",
    ]
    assert "get AUTONOMA_WRITTEN_BY --fallback none" in calls


def test_program_failure_warns(tmp_path: Path) -> None:
    """A program that fails gives a warning with its exit code."""
    [publisher] = SYSTEM.create_publishers(make_context(tmp_path, code=2))
    warnings = publisher.publish(create_report([make_passed_run("a")], PASSED_VERDICT))
    assert warnings[-1] == "The variables for later steps could not be set: sem-context failed with exit code 2."
