"""AWS CodeBuild with its build facts.

Source: AWS's documentation, "Environment variables in build environments".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
from autonoma_ci.ci.env import env_reader, first_branch, first_commit, first_number, first_repository, first_web_url
from autonoma_ci.models import BuildContext, BuildIdRules

if TYPE_CHECKING:
    from collections.abc import Mapping

# The source version of a webhook or of a user: `branch/main`, `tag/v1`, `pr/12`.
_SOURCE_VERSION_RE = re.compile(r"(branch|tag|pr)/(.+)")

# Of builds without a base.
_REASON_BY_EVENT = {
    "PULL_REQUEST_CLOSED": NoBaseReason.CLOSED_CHANGE,
    "PULL_REQUEST_MERGED": NoBaseReason.CLOSED_CHANGE,
    "RELEASED": NoBaseReason.RELEASE,
    "PRERELEASED": NoBaseReason.RELEASE,
}


class CodeBuild(CISystem):
    """AWS CodeBuild, with build facts only."""

    display_name = "AWS CodeBuild"
    secrets_help = "Add {names} to AWS Secrets Manager, and map {pronoun} under `env: secrets-manager`"
    # Each job of a batch is a build with its own id, and no variable has the id of the batch.
    build_id_rules = BuildIdRules(is_per_job=True)
    secret_variables = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_*",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN*",
        "CODEBUILD_AUTH_TOKEN",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        A source outside of a repository, such as a bucket, has no repository.
        """
        get = env_reader(environ)
        variables = ("CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION")
        versions = [_parse_source_version(get(name)) for name in variables]
        url = get("CODEBUILD_SOURCE_REPO_URL")
        return BuildContext(
            ci_name="codebuild",
            sha=first_commit(get("CODEBUILD_RESOLVED_SOURCE_VERSION")),
            branch=first_branch(get("CODEBUILD_WEBHOOK_HEAD_REF"), *(name for kind, name in versions if kind != "pr")),
            change_number=first_number(*(name for kind, name in versions if kind == "pr")),
            repository=first_repository(url if "://" in url and ".amazonaws.com/" not in url else ""),
            # CODEBUILD_PUBLIC_BUILD_URL is set for public builds only.
            build_url=first_web_url(get("CODEBUILD_PUBLIC_BUILD_URL"), get("CODEBUILD_BUILD_URL")),
            # A retry is a new build too, so there are no attempts.
            build_id=get("CODEBUILD_BUILD_ID"),
            # The job's identifier in the batch's buildspec. A build outside of a batch has only one job.
            job_name=get("CODEBUILD_BATCH_BUILD_IDENTIFIER"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the base of a pull request from its webhook. No variable has the default branch."""
        get = env_reader(environ)
        match get("CODEBUILD_WEBHOOK_EVENT"):
            case "PULL_REQUEST_CREATED" | "PULL_REQUEST_UPDATED" | "PULL_REQUEST_REOPENED":
                return BaseFacts(is_change=True, target_branch=first_branch(get("CODEBUILD_WEBHOOK_BASE_REF")))
            case "PUSH":
                is_tag = get("CODEBUILD_WEBHOOK_HEAD_REF").startswith("refs/tags/")
                is_tag = is_tag or get("CODEBUILD_WEBHOOK_TRIGGER").startswith("tag/")
                return BaseFacts(NoBaseReason.TAG if is_tag else None)
            case "" if get("CODEBUILD_INITIATOR").startswith("codepipeline/"):
                return BaseFacts(NoBaseReason.PIPELINE)
            case event:
                return read_trigger(_REASON_BY_EVENT, event)


def _parse_source_version(text: str) -> tuple[str, str]:
    """Return kind and name of a source version, or two empty texts."""
    match = _SOURCE_VERSION_RE.fullmatch(text)
    return (match[1], match[2]) if match else ("", "")


SYSTEM = CodeBuild()
