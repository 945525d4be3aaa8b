"""Bitbucket Pipelines. Source: Atlassian's documentation, "Variables and secrets"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, first, reader, repository, web_url
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.ci.variable_file import variable_file
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.system import Publisher, Target


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; some pull request builds have a short commit hash, which is left out."""
    get = reader(environ)
    name, number = repository(get("BITBUCKET_REPO_FULL_NAME")), change(get("BITBUCKET_BUILD_NUMBER"))
    return Context(
        ci="bitbucket",
        sha=commit(get("BITBUCKET_COMMIT")),
        branch=branch(get("BITBUCKET_BRANCH"), get("BITBUCKET_TAG")),
        change=change(get("BITBUCKET_PR_ID")),
        repository=name,
        build_url=web_url(f"https://bitbucket.org/{name}/pipelines/results/{number}" if name and number else ""),
        # To run failed steps again keeps the pipeline and counts the step's runs from 1
        # (github.com/cypress-io/cypress/issues/9309).
        build=first(environ, "BITBUCKET_PIPELINE_UUID", "BITBUCKET_BUILD_NUMBER"),
        attempt=change(get("BITBUCKET_STEP_RUN_NUMBER")),
        # No variable holds the step's name. BITBUCKET_STEP_UUID is another one in each build, and
        # BITBUCKET_PARALLEL_STEP is unique within its group of steps only. So `job` stays empty.
    )


# The documentation does not say which value counts if the file has a name twice.
_variables = variable_file("BITBUCKET_PIPELINES_VARIABLES_PATH", early=False)


def publishers(target: Target) -> Sequence[Publisher]:
    """Return what writes variables and report; what speaks to a server is loaded for such a job only."""
    from autonoma_ci.ci.bitbucket_insights import insights

    return (*_variables(target), *insights(target))


SYSTEM = System(
    context=context,
    tokens=("BITBUCKET_STEP_OIDC_TOKEN", "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_TOKEN", "BITBUCKET_APP_PASSWORD"),
    publishers=publishers,
    parallel=parallel("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", first=0),
)
