"""Tests of Drone's build facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.drone import SYSTEM
from tests.support.ci_environments import DRONE, HEAD, MERGE
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**DRONE, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The login of Git and the secrets of the server are credentials."""
    secrets = {"DRONE_NETRC_PASSWORD", "CI_NETRC_USERNAME", "DRONE_RPC_SECRET", "DRONE_TOKEN"}
    assert find_secret_names(SYSTEM, {*DRONE, *secrets}) == secrets


@pytest.mark.parametrize(
    ("change", "source", "branch", "tag", "expected"),
    [
        ("", "feature/cart", "main", "v1", "main"),
        ("", "", "", "v1", "v1"),
        ("14", "feature/cart", "main", "", "feature/cart"),
        ("14", "", "main", "v1", ""),
        ("x", "feature/cart", "main", "", "main"),
    ],
)
def test_branch_of_change_is_source(change: str, source: str, branch: str, tag: str, expected: str) -> None:
    """The branch of a pull request is never its target."""
    context = read_context(DRONE_PULL_REQUEST=change, DRONE_SOURCE_BRANCH=source, DRONE_BRANCH=branch, DRONE_TAG=tag)
    assert context.branch == expected


def test_commit_without_sha_is_older_name() -> None:
    """An older server has the commit in another variable."""
    assert read_context(DRONE_COMMIT_SHA="", DRONE_COMMIT=HEAD).sha == HEAD
    assert read_context(DRONE_COMMIT=MERGE).sha == HEAD


@pytest.mark.parametrize("number", ["", "0", "-1", "latest", "4.2"])
def test_build_id_without_number_is_unknown(number: str) -> None:
    """A text that is no number identifies no build."""
    assert read_context(DRONE_BUILD_NUMBER=number).build_id == ""


def test_job_name_has_stage_and_step() -> None:
    """Two stages can have steps of one name."""
    assert read_context(DRONE_STAGE_NAME="a/b").job_name == "a%2Fb/e2e"
    assert read_context(DRONE_STAGE_NAME="").job_name == "e2e"
    assert read_context(DRONE_STEP_NAME="").job_name == ""


def test_publishers_are_absent() -> None:
    """Drone has no place for outputs."""
    assert SYSTEM.create_publishers(make_publish_context(DRONE)) == ()
