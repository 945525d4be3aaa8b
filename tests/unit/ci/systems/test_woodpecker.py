"""Tests of Woodpecker CI's build facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.woodpecker import SYSTEM
from tests.support.ci_environments import WOODPECKER
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**WOODPECKER, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The login of Git and the secrets of the agent are credentials."""
    secrets = {
        "CI_NETRC_USERNAME",
        "CI_NETRC_PASSWORD",
        "DRONE_NETRC_PASSWORD",
        "WOODPECKER_AGENT_SECRET",
        "WOODPECKER_TOKEN",
    }
    assert find_secret_names(SYSTEM, {*WOODPECKER, *secrets}) == secrets


def test_restart_is_later_build() -> None:
    """A restarted pipeline has a new number."""
    first = read_context()
    second = read_context(CI_PIPELINE_NUMBER="9", CI_PIPELINE_PARENT="8", CI_PIPELINE_RERUNS="1")
    assert (first.build_id, first.build_attempt) == ("8", "1")
    assert (second.build_id, second.build_attempt, second.job_name) == ("9", "2", first.job_name)
    assert read_context(CI_PIPELINE_RERUNS="often").build_attempt == ""
    assert read_context(CI_PIPELINE_NUMBER="").build_attempt == ""


@pytest.mark.parametrize(("reruns", "attempt"), [("", "1"), ("0", "1"), ("9", "10"), ("-1", ""), ("1.5", "")])
def test_attempt_is_rerun_count_plus_one(reruns: str, attempt: str) -> None:
    """A server before 3.15 sets no count, and an invalid count is unknown."""
    assert read_context(CI_PIPELINE_RERUNS=reruns).build_attempt == attempt


@pytest.mark.parametrize(
    ("names", "build_id"),
    [
        ({"CI_BUILD_NUMBER": "7"}, "8"),
        ({"CI_PIPELINE_NUMBER": "", "CI_BUILD_NUMBER": "7"}, "7"),
        ({"CI_PIPELINE_NUMBER": "x", "CI_BUILD_NUMBER": "7"}, ""),
        ({"CI_PIPELINE_NUMBER": "0"}, ""),
    ],
)
def test_build_id_is_first_number(names: dict[str, str], build_id: str) -> None:
    """The name of the variable before Woodpecker 1.0 is the second choice."""
    assert read_context(**names).build_id == build_id


@pytest.mark.parametrize(
    ("change", "source", "branch", "tag", "expected"),
    [
        ("", "feature/cart", "main", "v1", "main"),
        ("", "", "", "v1", "v1"),
        ("5", "feature/cart", "main", "", "feature/cart"),
        ("5", "", "main", "v1", ""),
    ],
)
def test_branch_of_change_is_source(change: str, source: str, branch: str, tag: str, expected: str) -> None:
    """The branch of a pull request is never its target."""
    context = read_context(
        CI_COMMIT_PULL_REQUEST=change,
        CI_COMMIT_SOURCE_BRANCH=source,
        CI_COMMIT_BRANCH=branch,
        CI_COMMIT_TAG=tag,
    )
    assert context.branch == expected


def test_job_name_needs_step() -> None:
    """The name of a workflow alone identifies no step."""
    assert read_context(CI_WORKFLOW_NAME="").job_name == "e2e"
    assert read_context(CI_STEP_NAME="").job_name == ""


def test_publishers_are_absent() -> None:
    """Woodpecker CI has no place for outputs."""
    assert SYSTEM.create_publishers(make_publish_context(WOODPECKER)) == ()
