"""Harness CI, which has Drone's variables too. Source: Harness's "CI environment variables reference"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.ci.variable_file import variable_file
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; of a pull request, `DRONE_COMMIT_BRANCH` is the target."""
    get = reader(environ)
    number = change(get("DRONE_PULL_REQUEST"))
    heads = ("DRONE_SOURCE_BRANCH",) if number else ("DRONE_COMMIT_BRANCH", "DRONE_BRANCH", "DRONE_TAG")
    return Context(
        ci="harness",
        sha=commit(get("DRONE_COMMIT_SHA"), get("CI_COMMIT_SHA")),
        branch=branch(*map(get, heads)),
        change=number,
        repository=repository(get("DRONE_REPO"), get("CI_REPO"), get("DRONE_REMOTE_URL"), get("CI_REMOTE_URL")),
        build_url=web_url(get("CI_BUILD_LINK"), get("DRONE_BUILD_LINK")),
    )


SYSTEM = System(
    context=context,
    tokens=("HARNESS_*TOKEN*", "HARNESS_API_KEY", "DELEGATE_SERVICE_TOKEN", "DRONE_NETRC_*", "CI_NETRC_*"),
    parallel=parallel("HARNESS_NODE_INDEX", "HARNESS_NODE_TOTAL", first=0),
    publishers=variable_file("DRONE_OUTPUT"),
)
