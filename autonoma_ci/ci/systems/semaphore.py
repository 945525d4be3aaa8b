"""Semaphore with its shared variables and parallel jobs.

Source: Semaphore's documentation, "Environment variables".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    is_truthy,
    join_job_path,
    shard_from_env,
)
from autonoma_ci.ci.publishers.cli_variables import create_shared_cli_variable_publishers
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard

# Of workflows without a base.
_REASON_BY_TRIGGER = {
    "SEMAPHORE_WORKFLOW_TRIGGERED_BY_SCHEDULE": NoBaseReason.SCHEDULE,
    "SEMAPHORE_WORKFLOW_TRIGGERED_BY_API": NoBaseReason.API,
    "SEMAPHORE_WORKFLOW_TRIGGERED_BY_MANUAL_RUN": NoBaseReason.MANUAL,
}


class Semaphore(CISystem):
    """Semaphore, with shared variables and parallel jobs."""

    display_name = "Semaphore"
    secrets_help = "Add a secret with {names}, and list it under `secrets:` of the block"
    secret_variables = (
        "SEMAPHORE_OIDC_TOKEN",
        "SEMAPHORE_ARTIFACT_TOKEN",
        "SEMAPHORE_API_TOKEN",
        "SEMAPHORE_CACHE_USERNAME",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        `SEMAPHORE_GIT_BRANCH` of a pull request is the target branch, and `SEMAPHORE_GIT_SHA` a merge commit.
        """
        get = env_reader(environ)
        change_number = first_number(get("SEMAPHORE_GIT_PR_NUMBER"))
        branches = ("SEMAPHORE_GIT_PR_BRANCH",) if change_number else ("SEMAPHORE_GIT_BRANCH", "SEMAPHORE_GIT_TAG_NAME")
        server, workflow = get("SEMAPHORE_ORGANIZATION_URL").rstrip("/"), get("SEMAPHORE_WORKFLOW_ID")
        job = ("SEMAPHORE_PIPELINE_NAME", "SEMAPHORE_BLOCK_NAME", "SEMAPHORE_JOB_NAME")
        return BuildContext(
            ci_name="semaphore",
            sha=first_commit(get("SEMAPHORE_GIT_PR_SHA" if change_number else "SEMAPHORE_GIT_SHA")),
            branch=first_branch(*map(get, branches), get("SEMAPHORE_GIT_WORKING_BRANCH")),
            change_number=change_number,
            repository=first_repository(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_URL")),
            build_url=first_web_url(f"{server}/workflows/{workflow}" if server and workflow else ""),
            secrets_withheld_from=find_untrusted_fork(get("SEMAPHORE_GIT_REPO_SLUG"), get("SEMAPHORE_GIT_PR_SLUG")),
            # All pipelines of a workflow share it. SEMAPHORE_JOB_RERUN is a flag, and no variable counts attempts.
            build_id=workflow,
            # Names of jobs are unique within a block. Semaphore itself adds `1/3` or the values of a matrix to them.
            job_name=join_job_path(*map(get, job)),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        for variable, reason in _REASON_BY_TRIGGER.items():
            if is_truthy(environ, variable):
                return BaseFacts(reason)
        if not is_truthy(environ, "SEMAPHORE_WORKFLOW_TRIGGERED_BY_HOOK"):
            return BaseFacts(NoBaseReason.UNKNOWN_TRIGGER)
        if get("SEMAPHORE_GIT_TAG_NAME"):
            return BaseFacts(NoBaseReason.TAG)
        is_change = bool(get("SEMAPHORE_GIT_PR_NUMBER"))
        return BaseFacts(
            is_change=is_change, target_branch=first_branch(get("SEMAPHORE_GIT_BRANCH")) if is_change else ""
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of variables by `sem-context`.

        All jobs of a workflow share the values of `sem-context`. A pipeline that runs again has another id.
        """
        return create_shared_cli_variable_publishers(context, "sem-context", build_id_variable="SEMAPHORE_PIPELINE_ID")

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this parallel job, which Semaphore counts from 1."""
        return shard_from_env("SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", first=1)(environ)


SYSTEM = Semaphore()
