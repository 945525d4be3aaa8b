"""CircleCI with its variables for later steps and parallel containers.

Source: CircleCI's documentation, "Project values and variables". That a rerun has the same workspace id is from
github.com/percy/python-percy-client/pull/45.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    number_job,
    shard_from_env,
)
from autonoma_ci.ci.publishers.env_file import SHELL_EXPORT_FORMAT, create_env_file_publishers
from autonoma_ci.models import BuildContext, UntrustedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard


class CircleCI(CISystem):
    """CircleCI, with variables for later steps and parallel containers."""

    display_name = "CircleCI"
    secrets_help = "Add {names} under Project Settings > Environment Variables, or in a context of the job"
    secret_variables = ("CIRCLE_TOKEN", "CIRCLE_OIDC_TOKEN*", "CIRCLE_INTERNAL_*")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        A pull request from a fork has no branch name. `CIRCLE_BRANCH` is then `pull/12`.
        """
        get = env_reader(environ)
        owner, name = get("CIRCLE_PROJECT_USERNAME"), get("CIRCLE_PROJECT_REPONAME")
        return BuildContext(
            ci_name="circleci",
            sha=first_commit(get("CIRCLE_SHA1")),
            branch=first_branch(get("CIRCLE_BRANCH"), get("CIRCLE_TAG")),
            # CIRCLE_PR_NUMBER is set only for pull requests from forks.
            change_number=first_number(get("CIRCLE_PR_NUMBER"), get("CIRCLE_PULL_REQUEST").rpartition("/")[2]),
            repository=first_repository(f"{owner}/{name}", get("CIRCLE_REPOSITORY_URL")),
            build_url=first_web_url(_build_workflow_url(get), get("CIRCLE_BUILD_URL")),
            secrets_withheld_from=UntrustedSource.FORK if first_number(get("CIRCLE_PR_NUMBER")) else None,
            # A rerun of failed jobs is a workflow with its own id, in the workspace of the first one. The id of the
            # pipeline stays the same too, but two of its workflows can have a job of the same name.
            build_id=first_set(environ, "CIRCLE_WORKFLOW_WORKSPACE_ID", "CIRCLE_WORKFLOW_ID"),
            # CircleCI counts no attempts. It numbers all jobs of a project, so a rerun has a higher number.
            build_attempt=first_number(get("CIRCLE_BUILD_NUM")),
            job_name=number_job(get("CIRCLE_JOB"), self.detect_shard(environ)),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read whether the build is of a pull request or a tag.

        No variable has the target branch, so a pull request has no base. No variable has the trigger either, so a
        scheduled pipeline of a branch is compared with the default branch, like a push.
        """
        get = env_reader(environ)
        is_change = bool(first_set(environ, "CIRCLE_PR_NUMBER", "CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS"))
        return BaseFacts(NoBaseReason.TAG if get("CIRCLE_TAG") else None, is_change=is_change)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of variables for later steps.

        Later steps of the job that run in bash read the file of `BASH_ENV` at their start.
        """
        return create_env_file_publishers(context, "BASH_ENV", SHELL_EXPORT_FORMAT)

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this parallel container, which CircleCI counts from 0."""
        return shard_from_env("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", first=0)(environ)


def _build_workflow_url(get: Callable[[str], str]) -> str:
    workflow, job = get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_BUILD_URL")
    # A self-hosted server has its pages elsewhere. The URL of the job shows the host.
    is_cloud = not job or job.startswith(("https://circleci.com/", "https://app.circleci.com/"))
    return f"https://app.circleci.com/pipelines/workflows/{workflow}" if workflow and is_cloud else ""


SYSTEM = CircleCI()
