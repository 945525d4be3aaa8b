"""Builds of forks and of Dependabot, which get no secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.ci.detection import detect, load_system
from autonoma_ci.models import UntrustedSource

if TYPE_CHECKING:
    from pathlib import Path

FORKS = (
    {"GITLAB_CI": "true", "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2"},
    {"TF_BUILD": "True", "SYSTEM_PULLREQUEST_ISFORK": "True"},
    {
        "BUILDKITE": "true",
        "BUILDKITE_REPO": "git@github.com:acme/shop.git",
        "BUILDKITE_PULL_REQUEST_REPO": "https://github.com/mallory/shop.git",
    },
    {"CIRCLECI": "true", "CIRCLE_PR_NUMBER": "9"},
    {"TRAVIS": "true", "TRAVIS_REPO_SLUG": "acme/shop", "TRAVIS_PULL_REQUEST_SLUG": "mallory/shop"},
    {"APPVEYOR": "True", "APPVEYOR_REPO_NAME": "acme/shop", "APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME": "mallory/shop"},
    {"SEMAPHORE": "true", "SEMAPHORE_GIT_REPO_SLUG": "acme/shop", "SEMAPHORE_GIT_PR_SLUG": "mallory/shop"},
    {"JENKINS_URL": "https://j", "CHANGE_FORK": "mallory"},
)
SAME_REPOSITORY = (
    {"GITLAB_CI": "true", "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"},
    {"TF_BUILD": "True", "SYSTEM_PULLREQUEST_ISFORK": "False"},
    {
        "BUILDKITE": "true",
        "BUILDKITE_REPO": "git@github.com:acme/shop.git",
        "BUILDKITE_PULL_REQUEST_REPO": "https://github.com/Acme/shop",
    },
    {"CIRCLECI": "true", "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/9"},
    {"TRAVIS": "true", "TRAVIS_REPO_SLUG": "acme/shop", "TRAVIS_PULL_REQUEST_SLUG": ""},
    {"SEMAPHORE": "true", "SEMAPHORE_GIT_REPO_SLUG": "acme/shop", "SEMAPHORE_GIT_PR_SLUG": "acme/shop"},
    {"JENKINS_URL": "https://j"},
)
SHOP, FORK = {"full_name": "acme/shop"}, {"full_name": "mallory/shop"}


def get_withholding_source(environ: dict[str, str]) -> UntrustedSource | None:
    return load_system(detect(environ)).build_context(environ).secrets_withheld_from


def build_github_environ(folder: Path, name: str, pull_request: object, actor: str = "ada") -> dict[str, str]:
    (folder / "event.json").write_text(json.dumps({"pull_request": pull_request} if pull_request else {}), "utf-8")
    path = str(folder / "event.json")
    return {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": path, "GITHUB_ACTOR": actor}


def build_pull_request(head: Any, author: str = "ada") -> dict[str, object]:
    return {"head": {"repo": head}, "base": {"repo": SHOP}, "user": {"login": author}}


@pytest.mark.parametrize("environ", FORKS, ids=lambda environ: next(iter(environ)))
def test_fork_is_detected_from_variables(environ: dict[str, str]) -> None:
    """The variables of the CI system show that a change comes from a fork."""
    assert get_withholding_source(environ) is UntrustedSource.FORK


@pytest.mark.parametrize("environ", SAME_REPOSITORY, ids=lambda environ: next(iter(environ)))
def test_same_repository_gets_secrets(environ: dict[str, str]) -> None:
    """A change in the same repository gets the secrets."""
    assert get_withholding_source(environ) is None


@pytest.mark.parametrize(
    ("name", "pull_request", "actor", "expected"),
    [
        ("pull_request", build_pull_request(SHOP), "ada", None),
        ("pull_request", build_pull_request(FORK), "ada", UntrustedSource.FORK),
        ("pull_request", build_pull_request(None), "ada", UntrustedSource.FORK),  # the fork was deleted
        ("pull_request_review", build_pull_request(FORK), "ada", UntrustedSource.FORK),
        ("pull_request_target", build_pull_request(FORK), "ada", None),
        ("pull_request", build_pull_request(SHOP, "dependabot[bot]"), "dependabot[bot]", UntrustedSource.DEPENDABOT),
        # After a re-run by a user, the job still has Dependabot's secrets.
        ("pull_request", build_pull_request(SHOP, "dependabot[bot]"), "ada", UntrustedSource.DEPENDABOT),
        ("push", None, "dependabot[bot]", UntrustedSource.DEPENDABOT),
        ("push", None, "ada", None),
        ("issue_comment", None, "dependabot[bot]", None),
        ("pull_request", {"head": None, "base": {"repo": SHOP}}, "ada", None),
        ("pull_request", {"base": {"repo": SHOP}}, "ada", None),
        ("pull_request", "nonsense", "ada", None),
    ],
)
def test_github_fork_is_detected_from_event(
    name: str, pull_request: object, actor: str, expected: UntrustedSource | None, tmp_path: Path
) -> None:
    """The event of GitHub shows forks and Dependabot."""
    assert get_withholding_source(build_github_environ(tmp_path, name, pull_request, actor)) == expected


def test_github_without_event_gets_secrets(tmp_path: Path) -> None:
    """A missing event file is no sign of a fork."""
    environ = build_github_environ(tmp_path, "pull_request", None)
    (tmp_path / "event.json").unlink()
    assert get_withholding_source(environ) is None
