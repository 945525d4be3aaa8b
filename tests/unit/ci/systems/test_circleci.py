"""Tests of CircleCI's build facts and variables for later steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.circleci import SYSTEM
from autonoma_ci.models import UntrustedSource
from tests.support.ci_environments import CIRCLE, CIRCLE_URL
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**CIRCLE, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of the user and of the job are credentials."""
    secrets = {"CIRCLE_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2", "CIRCLE_INTERNAL_TASK_DATA"}
    assert find_secret_names(SYSTEM, {*CIRCLE, *secrets}) == secrets


def test_build_id_without_workspace_is_workflow() -> None:
    """A rerun without a workspace id is another build."""
    assert read_context(CIRCLE_WORKFLOW_WORKSPACE_ID="").build_id == CIRCLE["CIRCLE_WORKFLOW_ID"]


@pytest.mark.parametrize(
    ("number", "url", "change", "withheld_from"),
    [
        ("9", "https://github.com/acme/shop/pull/10", "9", UntrustedSource.FORK),
        ("", "https://github.com/acme/shop/pull/10", "10", None),
        ("x", "https://github.com/acme/shop/pull/10", "10", None),
        ("", "https://github.com/acme/shop/pull/10/files", "", None),
        ("", "10", "10", None),
        ("", "", "", None),
    ],
)
def test_change_is_number_or_end_of_url(
    number: str, url: str, change: str, withheld_from: UntrustedSource | None
) -> None:
    """Only a pull request from a fork has a number of its own, and it gets no secrets."""
    context = read_context(CIRCLE_PR_NUMBER=number, CIRCLE_PULL_REQUEST=url)
    assert (context.change_number, context.secrets_withheld_from) == (change, withheld_from)


@pytest.mark.parametrize(
    ("job_url", "build_url"),
    [
        ("", CIRCLE_URL),
        ("https://circleci.com/gh/acme/shop/812", CIRCLE_URL),
        ("https://app.circleci.com/jobs/github/acme/shop/812", CIRCLE_URL),
        ("https://circleci.com.evil.example/gh/acme/shop/812", "https://circleci.com.evil.example/gh/acme/shop/812"),
        ("https://circle.example.com/gh/acme/shop/812", "https://circle.example.com/gh/acme/shop/812"),
    ],
)
def test_link_of_own_server_is_job(job_url: str, build_url: str) -> None:
    """Only the public server has its workflows at app.circleci.com."""
    assert read_context(CIRCLE_BUILD_URL=job_url).build_url == build_url


def test_link_without_workflow_is_job() -> None:
    """A job without a workflow links to itself."""
    assert read_context(CIRCLE_WORKFLOW_ID="").build_url == CIRCLE["CIRCLE_BUILD_URL"]


def test_repository_without_name_is_clone_url() -> None:
    """A project without an owner is known by its URL."""
    assert read_context(CIRCLE_PROJECT_USERNAME="").repository == "acme/shop"


def test_job_name_of_container_has_place() -> None:
    """Parallel containers share the name of the job."""
    names = [read_context(CIRCLE_NODE_INDEX=index, CIRCLE_NODE_TOTAL="3").job_name for index in ("0", "2", "3")]
    assert names == ["e2e 1/3", "e2e 3/3", ""]


def test_publishers_need_file() -> None:
    """Without the file of bash, no variable is exported."""
    assert SYSTEM.create_publishers(make_publish_context({})) == ()


def test_variables_are_quoted_exports(tmp_path: Path) -> None:
    """Bash reads the file as commands, so each value is quoted."""
    path = tmp_path / "bash.env"
    path.write_text("export EARLIER=1", "utf-8")
    [publisher] = SYSTEM.create_publishers(make_publish_context({"BASH_ENV": str(path)}))
    run = make_passed_run("a")._replace(run_id="a'; touch x; '")
    assert publisher.publish(create_report([run], PASSED_VERDICT)) == []
    lines = path.read_text("utf-8").splitlines()
    assert lines[:2] == ["export EARLIER=1", "export AUTONOMA_CONCLUSION=passed"]
    assert """export AUTONOMA_RUN_ID='a'"'"'; touch x; '"'"''""" in lines
    assert not [line for line in lines if "RESULTS_DIR" in line]


def test_variables_are_written_early(tmp_path: Path) -> None:
    """Bash uses the last value of a name, so a step that is killed later leaves its runs."""
    path = tmp_path / "bash.env"
    [publisher] = SYSTEM.create_publishers(make_publish_context({"BASH_ENV": str(path)}))
    early_report = create_report([make_passed_run("a")], None)._replace(waits_for_results=True)
    assert publisher.publish(early_report) == []
    assert "export AUTONOMA_RUN_ID=run-a\n" in path.read_text("utf-8")
