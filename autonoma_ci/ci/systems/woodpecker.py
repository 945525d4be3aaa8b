"""Woodpecker CI. Source: Woodpecker's documentation, "Environment variables".

How a restart is numbered is from the server's `server/pipeline/restart.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, count, first, job_path, reader, repository, web_url
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; of a pull request, `CI_COMMIT_BRANCH` is the target."""
    get = reader(environ)
    number = change(get("CI_COMMIT_PULL_REQUEST"))
    heads = ("CI_COMMIT_SOURCE_BRANCH",) if number else ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
    # The second is what it was called before Woodpecker 1.0.
    build = change(first(environ, "CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER"))
    return Context(
        ci="woodpecker",
        sha=commit(get("CI_COMMIT_SHA")),
        branch=branch(*map(get, heads)),
        change=number,
        repository=repository(get("CI_REPO")),
        # The second is what it was called before Woodpecker 1.0.
        build_url=web_url(get("CI_PIPELINE_URL"), get("CI_BUILD_LINK")),
        # A restart is a pipeline with a number of its own. Only the direct parent's number is in a variable,
        # so that a restart counts as another build. No two restarts then pass for the same attempt.
        build=build,
        # Unset in the first run, and 1 after the first restart. Servers before 3.15 never set it.
        attempt=count(get("CI_PIPELINE_RERUNS") or "0", add=1) if build else "",
        # The jobs of a matrix share the names: no variable of a fixed name tells them apart.
        job=job_path(get("CI_WORKFLOW_NAME"), get("CI_STEP_NAME")),
    )


SYSTEM = System(
    context=context,
    tokens=("CI_NETRC_USERNAME", "CI_NETRC_PASSWORD", "DRONE_NETRC_*", "WOODPECKER_AGENT_SECRET", "WOODPECKER_TOKEN"),
)
