"""CircleCI. Source: CircleCI's documentation, "Project values and variables".

That the workspace's id outlasts a rerun is from github.com/percy/python-percy-client/pull/45.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, first, numbered_job, parallel, reader, repository, web_url
from autonoma_ci.ci.publishers.env_file import EXPORTS, variable_file
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLACE = parallel("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", first=0)


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; a fork's pull request has no branch name, its variable says `pull/12`."""
    get = reader(environ)
    owner, name = get("CIRCLE_PROJECT_USERNAME"), get("CIRCLE_PROJECT_REPONAME")
    return Context(
        ci="circleci",
        sha=commit(get("CIRCLE_SHA1")),
        branch=branch(get("CIRCLE_BRANCH"), get("CIRCLE_TAG")),
        # The number alone is set for pull requests of forks only.
        change=change(get("CIRCLE_PR_NUMBER"), get("CIRCLE_PULL_REQUEST").rpartition("/")[2]),
        repository=repository(f"{owner}/{name}", get("CIRCLE_REPOSITORY_URL")),
        build_url=web_url(_workflow_page(get), get("CIRCLE_BUILD_URL")),
        withheld="fork" if change(get("CIRCLE_PR_NUMBER")) else "",
        # A rerun of failed jobs is a workflow with an id of its own, in the workspace of the first one.
        # The pipeline's id would be the same too, but two of its workflows may have a job of one name.
        build=first(environ, "CIRCLE_WORKFLOW_WORKSPACE_ID", "CIRCLE_WORKFLOW_ID"),
        # CircleCI counts no attempts. It numbers all jobs of a project, so that a rerun has a higher number.
        attempt=change(get("CIRCLE_BUILD_NUM")),
        job=numbered_job(get("CIRCLE_JOB"), _PLACE(environ)),
    )


def _workflow_page(get: Callable[[str], str]) -> str:
    workflow, job = get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_BUILD_URL")
    # A server of one's own has its pages elsewhere; the job's address gives it away.
    cloud = not job or job.startswith(("https://circleci.com/", "https://app.circleci.com/"))
    return f"https://app.circleci.com/pipelines/workflows/{workflow}" if workflow and cloud else ""


SYSTEM = System(
    context=context,
    tokens=("CIRCLE_TOKEN", "CIRCLE_OIDC_TOKEN*", "CIRCLE_INTERNAL_*"),
    parallel=_PLACE,
    # Later steps of the job, if they run in bash, read this file before they begin.
    publishers=variable_file("BASH_ENV", EXPORTS),
)
