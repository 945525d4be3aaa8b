"""Semaphore. Source: Semaphore's documentation, "Environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    fork_marker,
    join_job_path,
    shard_from_env,
)
from autonoma_ci.ci.publishers.cli_variables import shared_cli_variables
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; of a pull request, `SEMAPHORE_GIT_BRANCH` is the target and `_SHA` a merge."""
    get = env_reader(environ)
    number = first_number(get("SEMAPHORE_GIT_PR_NUMBER"))
    heads = ("SEMAPHORE_GIT_PR_BRANCH",) if number else ("SEMAPHORE_GIT_BRANCH", "SEMAPHORE_GIT_TAG_NAME")
    server, workflow = get("SEMAPHORE_ORGANIZATION_URL").rstrip("/"), get("SEMAPHORE_WORKFLOW_ID")
    return BuildContext(
        ci_name="semaphore",
        sha=first_commit(get("SEMAPHORE_GIT_PR_SHA" if number else "SEMAPHORE_GIT_SHA")),
        branch=first_branch(*map(get, heads), get("SEMAPHORE_GIT_WORKING_BRANCH")),
        change_number=number,
        repository=first_repository(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_URL")),
        build_url=first_web_url(f"{server}/workflows/{workflow}" if server and workflow else ""),
        secrets_withheld_from=fork_marker(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_PR_SLUG")),
        # All pipelines of a workflow share it. SEMAPHORE_JOB_RERUN is a flag: nothing counts the attempts.
        build_id=workflow,
        # Names of jobs are unique within a block. Semaphore adds `1/3` or a matrix's values to them itself.
        job_name=join_job_path(get("SEMAPHORE_PIPELINE_NAME"), get("SEMAPHORE_BLOCK_NAME"), get("SEMAPHORE_JOB_NAME")),
    )


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
        "SEMAPHORE_OIDC_TOKEN",
        "SEMAPHORE_ARTIFACT_TOKEN",
        "SEMAPHORE_API_TOKEN",
        "SEMAPHORE_CACHE_USERNAME",
    ),
    # All jobs of a workflow share what sem-context keeps. A pipeline that runs again has another id.
    create_publishers=shared_cli_variables("sem-context", build_id_variable="SEMAPHORE_PIPELINE_ID"),
    detect_shard=shard_from_env("SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", first=1),
)
