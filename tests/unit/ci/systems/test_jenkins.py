"""Tests of Jenkins' build facts and attachments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.jenkins import SYSTEM
from tests.support.ci_environments import HEAD, JENKINS, MERGE
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext

# In the order of preference, with a branch for each.
BRANCHES = {
    "CHANGE_BRANCH": "change",
    "ghprbSourceBranch": "builder",
    "gitlabSourceBranch": "gitlab",
    "GIT_LOCAL_BRANCH": "local",
    "GIT_BRANCH": "origin/git",
    "BRANCH_NAME": "name",
    "TAG_NAME": "v1",
}


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented build with some variables changed."""
    return SYSTEM.build_context({**JENKINS, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """A process with the cookie can act for the build, or escape its clean-up."""
    secrets = {
        "JENKINS_API_TOKEN",
        "JENKINS_AGENT_SECRET",
        "JENKINS_SERVER_COOKIE",
        "JENKINS_NODE_COOKIE",
        "HUDSON_SERVER_COOKIE",
        "GIT_PASSWORD",
    }
    assert find_secret_names(SYSTEM, {*JENKINS, *BRANCHES, *secrets}) == secrets


def test_build_id_has_job_and_number() -> None:
    """Build 31 of another job is another build, even with the same BUILD_TAG."""
    builds = {read_context(JOB_NAME=name).build_id for name in ("acme/shop", "acme-shop", "")}
    assert builds == {"acme/shop#31", "acme-shop#31", ""}
    assert read_context(BUILD_NUMBER="latest").build_id == ""


def test_build_id_of_long_job_is_unknown() -> None:
    """A cut name could be that of another job."""
    assert read_context(JOB_NAME="x" * 1997).build_id == "x" * 1997 + "#31"
    assert read_context(JOB_NAME="x" * 1998).build_id == ""


def test_branch_is_first_variable() -> None:
    """The variables of plugins come before those of Git."""
    expected = ["change", "builder", "gitlab", "local", "git", "name", "v1"]
    environ = {**JENKINS, **BRANCHES}
    branches = []
    for name in BRANCHES:
        branches.append(SYSTEM.build_context(environ).branch)
        environ[name] = ""
    assert branches == expected
    assert SYSTEM.build_context(environ).branch == ""


@pytest.mark.parametrize(
    ("text", "branch"),
    [
        ("origin/main", "main"),
        ("origin/feature/cart", "feature/cart"),
        ("remotes/origin/main", "main"),
        ("refs/remotes/origin/main", "main"),
        ("origin/origin/main", "origin/main"),
        ("upstream/main", "upstream/main"),
        ("main", "main"),
        ("detached", ""),
        ("HEAD", ""),
        ("PR-24", ""),
        ("PR-24-head", ""),
        ("PR-24-merge", ""),
        ("MR-4", ""),
        ("PR-24-fix", "PR-24-fix"),
        ("refs/pull/24/merge", ""),
    ],
)
def test_git_branch_has_no_remote(text: str, branch: str) -> None:
    """The Git plugin adds the remote, and change requests and detached heads have no branch."""
    assert read_context(GIT_BRANCH=text).branch == branch


def test_origin_is_removed_once_and_only_there() -> None:
    """A branch of any other variable can begin with the name of the remote."""
    assert read_context(BRANCH_NAME="origin/x", GIT_BRANCH="").branch == "origin/x"


def test_commit_of_plugin_is_preferred() -> None:
    """GIT_COMMIT of a merged pull request is the merge commit."""
    assert read_context(GIT_COMMIT=MERGE, ghprbActualCommit=HEAD).sha == HEAD
    assert read_context(GIT_COMMIT=MERGE, gitlabMergeRequestLastCommit=HEAD).sha == HEAD


def test_repository_of_several_is_first() -> None:
    """With several repositories, the Git plugin numbers them from 1."""
    assert read_context(GIT_URL="", GIT_URL_1="git@example.com:acme/cart.git").repository == "acme/cart"


def test_attachments_have_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin accepts absolute paths, in any working directory."""
    monkeypatch.chdir(tmp_path)
    assert SYSTEM.attachments_root({}, tmp_path / "results") == str(tmp_path / "results")
    assert SYSTEM.attachments_root({}, tmp_path.relative_to(tmp_path) / "results") == str(tmp_path / "results")


def test_publishers_are_absent() -> None:
    """Jenkins reads files of the results folder, so nothing else is written."""
    assert SYSTEM.create_publishers(make_publish_context(JENKINS)) == ()
