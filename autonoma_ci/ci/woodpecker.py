"""Woodpecker CI. Source: Woodpecker's documentation, "Environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.system import System
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; of a pull request, `CI_COMMIT_BRANCH` is the target."""
    get = reader(environ)
    number = change(get("CI_COMMIT_PULL_REQUEST"))
    heads = ("CI_COMMIT_SOURCE_BRANCH",) if number else ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
    return Context(
        ci="woodpecker",
        sha=commit(get("CI_COMMIT_SHA")),
        branch=branch(*map(get, heads)),
        change=number,
        repository=repository(get("CI_REPO")),
        # The second is what it was called before Woodpecker 1.0.
        build_url=web_url(get("CI_PIPELINE_URL"), get("CI_BUILD_LINK")),
    )


SYSTEM = System(
    context=context,
    tokens=("CI_NETRC_USERNAME", "CI_NETRC_PASSWORD", "DRONE_NETRC_*", "WOODPECKER_AGENT_SECRET", "WOODPECKER_TOKEN"),
)
