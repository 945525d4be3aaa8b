"""Tests of Harness's build facts and output variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.harness import SYSTEM
from tests.support.ci_environments import HARNESS, HEAD
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**HARNESS, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The keys of Harness, its delegate and the login of Git are credentials."""
    secrets = {
        "HARNESS_API_KEY",
        "HARNESS_STO_SERVICE_TOKEN",
        "DELEGATE_SERVICE_TOKEN",
        "DRONE_NETRC_PASSWORD",
        "CI_NETRC_USERNAME",
    }
    assert find_secret_names(SYSTEM, {*HARNESS, *secrets}) == secrets


@pytest.mark.parametrize(
    ("change", "names", "branch"),
    [
        ("", {"DRONE_BRANCH": "b", "DRONE_TAG": "v1"}, "main"),
        ("", {"DRONE_COMMIT_BRANCH": "", "DRONE_BRANCH": "b", "DRONE_TAG": "v1"}, "b"),
        ("", {"DRONE_COMMIT_BRANCH": "", "DRONE_TAG": "v1"}, "v1"),
        ("61", {"DRONE_SOURCE_BRANCH": "feature/cart"}, "feature/cart"),
        ("61", {}, ""),
    ],
)
def test_branch_of_change_is_source(change: str, names: dict[str, str], branch: str) -> None:
    """The branch of a pull request is never its target."""
    assert read_context(DRONE_PULL_REQUEST=change, **names).branch == branch


@pytest.mark.parametrize(
    ("names", "repository"),
    [
        ({"DRONE_REPO": "acme/web"}, "acme/web"),
        ({"CI_REPO": "acme/api"}, "acme/api"),
        ({}, "acme/shop"),
        ({"DRONE_REMOTE_URL": "", "CI_REMOTE_URL": "git@example.com:acme/cart.git"}, "acme/cart"),
    ],
)
def test_repository_without_owner_is_clone_url(names: dict[str, str], repository: str) -> None:
    """Harness can have only the name of a repository, and the owner is in the URL."""
    assert read_context(**names).repository == repository


def test_facts_without_drone_names_are_complete() -> None:
    """The names of Harness itself replace those of Drone."""
    context = read_context(
        DRONE_COMMIT_SHA="", CI_COMMIT_SHA=HEAD, CI_BUILD_LINK="", DRONE_BUILD_LINK="https://h.example"
    )
    assert (context.sha, context.build_url) == (HEAD, "https://h.example")


@pytest.mark.parametrize(("index", "name"), [("0", "verify/e2e 1/3"), ("2", "verify/e2e 3/3"), ("3", ""), ("", "")])
def test_job_name_has_place_of_copy(index: str, name: str) -> None:
    """Copies of a step share its name, and an invalid place has no name."""
    assert read_context(HARNESS_NODE_INDEX=index, HARNESS_NODE_TOTAL="3").job_name == name


def test_publishers_need_file() -> None:
    """Without the file of the step's outputs, nothing is written."""
    assert SYSTEM.create_publishers(make_publish_context(HARNESS)) == ()


def test_outputs_are_written_early_and_late(tmp_path: Path) -> None:
    """Harness uses the last value of a name, so a step that is killed later leaves its runs."""
    path = tmp_path / "output"
    [publisher] = SYSTEM.create_publishers(make_publish_context({"DRONE_OUTPUT": str(path)}))
    early_report = create_report([make_started_run("a")], None)._replace(waits_for_results=True)
    assert publisher.publish(early_report) == []
    assert "AUTONOMA_RUN_ID=run-a\n" in path.read_text("utf-8")
    assert publisher.publish(create_report([make_passed_run("a")], PASSED_VERDICT)) == []
    lines = path.read_text("utf-8").splitlines()
    assert [line for line in lines if "CONCLUSION" in line] == ["AUTONOMA_CONCLUSION=", "AUTONOMA_CONCLUSION=passed"]
