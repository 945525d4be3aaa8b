"""Semaphore. Source: Semaphore's documentation, "Environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, fork, job_path, parallel, reader, repository, web_url
from autonoma_ci.ci.publishers.cli_variables import shared_variables
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; of a pull request, `SEMAPHORE_GIT_BRANCH` is the target and `_SHA` a merge."""
    get = reader(environ)
    number = change(get("SEMAPHORE_GIT_PR_NUMBER"))
    heads = ("SEMAPHORE_GIT_PR_BRANCH",) if number else ("SEMAPHORE_GIT_BRANCH", "SEMAPHORE_GIT_TAG_NAME")
    server, workflow = get("SEMAPHORE_ORGANIZATION_URL").rstrip("/"), get("SEMAPHORE_WORKFLOW_ID")
    return Context(
        ci="semaphore",
        sha=commit(get("SEMAPHORE_GIT_PR_SHA" if number else "SEMAPHORE_GIT_SHA")),
        branch=branch(*map(get, heads), get("SEMAPHORE_GIT_WORKING_BRANCH")),
        change=number,
        repository=repository(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_URL")),
        build_url=web_url(f"{server}/workflows/{workflow}" if server and workflow else ""),
        withheld=fork(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_PR_SLUG")),
        # All pipelines of a workflow share it. SEMAPHORE_JOB_RERUN is a flag: nothing counts the attempts.
        build=workflow,
        # Names of jobs are unique within a block. Semaphore adds `1/3` or a matrix's values to them itself.
        job=job_path(get("SEMAPHORE_PIPELINE_NAME"), get("SEMAPHORE_BLOCK_NAME"), get("SEMAPHORE_JOB_NAME")),
    )


SYSTEM = System(
    context=context,
    tokens=("SEMAPHORE_OIDC_TOKEN", "SEMAPHORE_ARTIFACT_TOKEN", "SEMAPHORE_API_TOKEN", "SEMAPHORE_CACHE_USERNAME"),
    # All jobs of a workflow share what sem-context keeps. A pipeline that runs again has another id.
    publishers=shared_variables("sem-context", build="SEMAPHORE_PIPELINE_ID"),
    parallel=parallel("SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", first=1),
)
