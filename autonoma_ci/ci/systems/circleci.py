"""CircleCI. Source: CircleCI's documentation, "Project values and variables".

That the workspace's id outlasts a rerun is from github.com/percy/python-percy-client/pull/45.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
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
from autonoma_ci.ci.publishers.env_file import SHELL_EXPORT_FORMAT, env_file
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLACE = shard_from_env("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", first=0)


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; a fork's pull request has no branch name, its variable says `pull/12`."""
    get = env_reader(environ)
    owner, name = get("CIRCLE_PROJECT_USERNAME"), get("CIRCLE_PROJECT_REPONAME")
    return BuildContext(
        ci_name="circleci",
        sha=first_commit(get("CIRCLE_SHA1")),
        branch=first_branch(get("CIRCLE_BRANCH"), get("CIRCLE_TAG")),
        # The number alone is set for pull requests of forks only.
        change_number=first_number(get("CIRCLE_PR_NUMBER"), get("CIRCLE_PULL_REQUEST").rpartition("/")[2]),
        repository=first_repository(f"{owner}/{name}", get("CIRCLE_REPOSITORY_URL")),
        build_url=first_web_url(_workflow_page(get), get("CIRCLE_BUILD_URL")),
        secrets_withheld_from="fork" if first_number(get("CIRCLE_PR_NUMBER")) else "",
        # A rerun of failed jobs is a workflow with an id of its own, in the workspace of the first one.
        # The pipeline's id would be the same too, but two of its workflows may have a job of one name.
        build_id=first_set(environ, "CIRCLE_WORKFLOW_WORKSPACE_ID", "CIRCLE_WORKFLOW_ID"),
        # CircleCI counts no attempts. It numbers all jobs of a project, so that a rerun has a higher number.
        build_attempt=first_number(get("CIRCLE_BUILD_NUM")),
        job_name=number_job(get("CIRCLE_JOB"), _PLACE(environ)),
    )


def _workflow_page(get: Callable[[str], str]) -> str:
    workflow, job = get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_BUILD_URL")
    # A server of one's own has its pages elsewhere; the job's address gives it away.
    cloud = not job or job.startswith(("https://circleci.com/", "https://app.circleci.com/"))
    return f"https://app.circleci.com/pipelines/workflows/{workflow}" if workflow and cloud else ""


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("CIRCLE_TOKEN", "CIRCLE_OIDC_TOKEN*", "CIRCLE_INTERNAL_*"),
    detect_shard=_PLACE,
    # Later steps of the job, if they run in bash, read this file before they begin.
    create_publishers=env_file("BASH_ENV", SHELL_EXPORT_FORMAT),
)
