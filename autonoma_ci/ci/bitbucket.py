"""Bitbucket Pipelines. Source: Atlassian's documentation, "Variables and secrets"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.model import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; some pull request builds have a short commit hash, which is left out."""
    get = reader(environ)
    name, number = repository(get("BITBUCKET_REPO_FULL_NAME")), change(get("BITBUCKET_BUILD_NUMBER"))
    return Context(
        ci="bitbucket-pipelines",
        sha=commit(get("BITBUCKET_COMMIT")),
        branch=branch(get("BITBUCKET_BRANCH"), get("BITBUCKET_TAG")),
        change=change(get("BITBUCKET_PR_ID")),
        repository=name,
        build_url=web_url(f"https://bitbucket.org/{name}/pipelines/results/{number}" if name and number else ""),
    )


SYSTEM = System(
    context=context,
    tokens=("BITBUCKET_STEP_OIDC_TOKEN", "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_TOKEN", "BITBUCKET_APP_PASSWORD"),
    parallel=parallel("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", first=0),
)
