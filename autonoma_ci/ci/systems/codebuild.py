"""AWS CodeBuild. Source: AWS's documentation, "Environment variables in build environments"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import env_reader, first_branch, first_commit, first_number, first_repository, first_web_url
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a webhook or a user asked for: `branch/main`, `tag/v1`, `pr/12`.
_TRIGGER = re.compile(r"(branch|tag|pr)/(.+)")


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a build; sources that are no repository, like a bucket, have none."""
    get = env_reader(environ)
    asked = [_kind(get(name)) for name in ("CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION")]
    url = get("CODEBUILD_SOURCE_REPO_URL")
    return BuildContext(
        ci_name="codebuild",
        sha=first_commit(get("CODEBUILD_RESOLVED_SOURCE_VERSION")),
        branch=first_branch(get("CODEBUILD_WEBHOOK_HEAD_REF"), *(name for kind, name in asked if kind != "pr")),
        change_number=first_number(*(name for kind, name in asked if kind == "pr")),
        repository=first_repository(url if "://" in url and ".amazonaws.com/" not in url else ""),
        # The first is set for public builds alone.
        build_url=first_web_url(get("CODEBUILD_PUBLIC_BUILD_URL"), get("CODEBUILD_BUILD_URL")),
        # Each job of a batch is a build of its own, and no variable holds the batch's id. A retry is a build
        # of its own too, so there are no attempts.
        build_id=get("CODEBUILD_BUILD_ID"),
        # The job's identifier in the batch's buildspec. A build outside of a batch is its only job.
        job_name=get("CODEBUILD_BATCH_BUILD_IDENTIFIER"),
    )


def _kind(trigger: str) -> tuple[str, str]:
    found = _TRIGGER.fullmatch(trigger)
    return (found[1], found[2]) if found else ("", "")


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_*",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN*",
        "CODEBUILD_AUTH_TOKEN",
    ),
)
