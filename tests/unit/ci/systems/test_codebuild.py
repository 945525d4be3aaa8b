"""Tests of AWS CodeBuild's build facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.codebuild import SYSTEM
from tests.support.ci_environments import CODEBUILD, HEAD
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented build with some variables changed."""
    return SYSTEM.build_context({**CODEBUILD, **changes})


def read_source(trigger: str, version: str) -> tuple[str, str]:
    """Return branch and change of a build without a webhook's head."""
    context = read_context(
        CODEBUILD_WEBHOOK_HEAD_REF="", CODEBUILD_WEBHOOK_TRIGGER=trigger, CODEBUILD_SOURCE_VERSION=version
    )
    return context.branch, context.change_number


def test_secret_names_exclude_build_facts() -> None:
    """The credentials of the build's role are secret."""
    secrets = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "CODEBUILD_AUTH_TOKEN",
    }
    assert find_secret_names(SYSTEM, {*CODEBUILD, "AWS_REGION", *secrets}) == secrets


@pytest.mark.parametrize(
    ("trigger", "version", "branch", "change"),
    [
        ("branch/feature/cart", "", "feature/cart", ""),
        ("tag/v1", "", "v1", ""),
        ("pr/12", "", "", "12"),
        ("", "branch/main", "main", ""),
        ("", "pr/12", "", "12"),
        ("branch/a", "branch/b", "a", ""),
        ("pr/12", "branch/main", "main", "12"),
        ("pr/0", "pr/x", "", ""),
        ("branch/", "main", "", ""),
        ("Branch/main", HEAD, "", ""),
        ("branch/a\nb", "", "", ""),
    ],
)
def test_source_is_branch_tag_or_change(trigger: str, version: str, branch: str, change: str) -> None:
    """The trigger of a webhook comes before the source version of a user."""
    assert read_source(trigger, version) == (branch, change)


def test_branch_of_webhook_head_is_preferred() -> None:
    """The head of a webhook is the branch of a pull request."""
    context = read_context(CODEBUILD_WEBHOOK_HEAD_REF="refs/heads/feature/cart", CODEBUILD_WEBHOOK_TRIGGER="branch/x")
    assert context.branch == "feature/cart"


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://bot:s3cret-value@github.com/acme/shop", "acme/shop"),
        ("https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop", ""),
        ("arn:aws:s3:::bucket/source.zip", ""),
        ("bucket/source.zip", ""),
        ("", ""),
    ],
)
def test_repository_is_not_bucket(url: str, repository: str) -> None:
    """Sources of AWS itself have no owner and name."""
    assert read_context(CODEBUILD_SOURCE_REPO_URL=url).repository == repository


def test_link_of_public_build_is_preferred() -> None:
    """The public page needs no account of AWS."""
    url = "https://eu-west-1.codebuild.aws.amazon.com/project/x"
    assert read_context(CODEBUILD_PUBLIC_BUILD_URL=url).build_url == url
    assert read_context(CODEBUILD_PUBLIC_BUILD_URL="").build_url == CODEBUILD["CODEBUILD_BUILD_URL"]


def test_publishers_are_absent() -> None:
    """CodeBuild has no place for outputs."""
    assert SYSTEM.create_publishers(make_publish_context(CODEBUILD)) == ()
