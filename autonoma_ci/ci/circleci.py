"""CircleCI. Source: CircleCI's documentation, "Project values and variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.ci.variable_file import exports, variable_file
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
    )


def _workflow_page(get: Callable[[str], str]) -> str:
    workflow, job = get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_BUILD_URL")
    # A server of one's own has its pages elsewhere; the job's address gives it away.
    cloud = not job or job.startswith(("https://circleci.com/", "https://app.circleci.com/"))
    return f"https://app.circleci.com/pipelines/workflows/{workflow}" if workflow and cloud else ""


SYSTEM = System(
    context=context,
    tokens=("CIRCLE_TOKEN", "CIRCLE_OIDC_TOKEN*", "CIRCLE_INTERNAL_*"),
    parallel=parallel("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", first=0),
    # Later steps of the job, if they run in bash, read this file before they begin.
    publishers=variable_file("BASH_ENV", exports),
)
