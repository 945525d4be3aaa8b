"""Tests of Travis CI's build facts and log folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.ci.systems.travis import SYSTEM
from autonoma_ci.models import UntrustedSource
from tests.support import grammars
from tests.support.ci_environments import HEAD, MERGE, TRAVIS
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**TRAVIS, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """Only tokens and the keys of encrypted files count as secrets."""
    secrets = {"TRAVIS_ACCESS_TOKEN", "TRAVIS_TOKEN", "encrypted_0a6446eb3ae3_key", "encrypted_0a6446eb3ae3_iv"}
    assert find_secret_names(SYSTEM, {*TRAVIS, *secrets}) == secrets


def test_job_name_without_name_is_place() -> None:
    """The index is the same in the next build, although the build number differs."""
    names = [
        read_context(TRAVIS_JOB_NAME="", TRAVIS_JOB_NUMBER=number).job_name
        for number in ("4.1", "4.2", "5.1", "broken", "4.0", "")
    ]
    assert names == ["Verify/1", "Verify/2", "Verify/1", "", "", ""]
    assert read_context(TRAVIS_BUILD_STAGE_NAME="").job_name == "e2e"


@pytest.mark.parametrize(
    ("change", "sha", "branch"), [("12", HEAD, "feature/cart"), ("false", MERGE, "main"), ("", MERGE, "main")]
)
def test_commit_of_change_is_head(change: str, sha: str, branch: str) -> None:
    """Only a pull request has a number, and its commit and branch are in other variables."""
    context = read_context(
        TRAVIS_PULL_REQUEST=change,
        TRAVIS_COMMIT=MERGE,
        TRAVIS_PULL_REQUEST_SHA=HEAD,
        TRAVIS_PULL_REQUEST_BRANCH="feature/cart",
    )
    assert (context.sha, context.branch) == (sha, branch)


def test_fork_is_another_repository() -> None:
    """Letters in upper and lower case are equal in the name of a repository."""
    assert read_context(TRAVIS_PULL_REQUEST_SLUG="mallory/shop").secrets_withheld_from is UntrustedSource.FORK
    assert read_context(TRAVIS_PULL_REQUEST_SLUG="Acme/Shop").secrets_withheld_from is None


def test_fold_has_key_and_title() -> None:
    """Both lines have the key, and clear themselves on the screen."""
    group = LogGroup("Starting 2 runs", "autonoma_1", 1)
    assert SYSTEM.log_formatter.group(group) == ("travis_fold:start:autonoma_1\r\x1b[0KStarting 2 runs",)
    assert SYSTEM.log_formatter.end_group(group) == ("travis_fold:end:autonoma_1\r\x1b[0K",)


@pytest.mark.parametrize("title", ["travis_fold:end:autonoma_1", "a\r\ntravis_time:start:x", "fold:\u200bstart:x"])
def test_fold_title_is_no_command(title: str) -> None:
    """A title cannot open or close another fold."""
    [line] = SYSTEM.log_formatter.group(LogGroup(title, "autonoma_1", 1))
    assert [command.name for command in grammars.find_travis_folds(line)] == ["fold:start"]
    assert "\n" not in line


def test_publishers_are_absent() -> None:
    """Travis CI has no place for outputs."""
    assert SYSTEM.create_publishers(make_publish_context(TRAVIS)) == ()
