"""Buildkite. Source: Buildkite's documentation, "Environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.buildkite_agent import GROUPS, agent
from autonoma_ci.ci.environment import (
    branch,
    change,
    commit,
    count,
    first,
    fork,
    job_path,
    numbered_job,
    reader,
    repository,
    web_url,
)
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = parallel("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", first=0)


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; a build that was started by hand may have `HEAD` for a commit."""
    get = reader(environ)
    return Context(
        ci="buildkite",
        sha=commit(get("BUILDKITE_COMMIT")),
        branch=branch(get("BUILDKITE_BRANCH"), get("BUILDKITE_TAG")),
        change=change(get("BUILDKITE_PULL_REQUEST")),
        repository=repository(get("BUILDKITE_REPO")),
        build_url=web_url(get("BUILDKITE_BUILD_URL")),
        withheld=fork(repository(get("BUILDKITE_REPO")), repository(get("BUILDKITE_PULL_REQUEST_REPO"))),
        build=get("BUILDKITE_BUILD_ID"),
        # Buildkite counts retries: 0 is the first attempt.
        attempt=count(get("BUILDKITE_RETRY_COUNT"), add=1),
        job=numbered_job(_step(environ), _PLACE(environ)),
    )


def _step(environ: Mapping[str, str]) -> str:
    # A step without a key has no other identity than an id, which is the same in all attempts but another one in each
    # build. Jobs of a matrix share key and id. Their labels differ if they have the values in them.
    step, label = first(environ, "BUILDKITE_STEP_KEY", "BUILDKITE_STEP_ID"), first(environ, "BUILDKITE_LABEL")
    return job_path(step, label) if label else step


SYSTEM = System(
    context=context,
    tokens=("BUILDKITE_*TOKEN*", "BUILDKITE_*PASSWORD*", "BUILDKITE_S3_*KEY*"),
    dialect=GROUPS,
    publishers=agent,
    parallel=_PLACE,
)
