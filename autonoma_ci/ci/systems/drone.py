"""Drone. Source: Drone's documentation, "Reference" and "drone build restart"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, job_path, reader, repository, web_url
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; of a pull request, `DRONE_BRANCH` is the target."""
    get = reader(environ)
    number = change(get("DRONE_PULL_REQUEST"))
    heads = ("DRONE_SOURCE_BRANCH",) if number else ("DRONE_BRANCH", "DRONE_TAG")
    return Context(
        ci="drone",
        sha=commit(get("DRONE_COMMIT_SHA"), get("DRONE_COMMIT")),
        branch=branch(*map(get, heads)),
        change=number,
        repository=repository(get("DRONE_REPO")),
        build_url=web_url(get("DRONE_BUILD_LINK")),
        # Unique within the repository. A restart is a build with a number of its own, so there are no attempts.
        build=change(get("DRONE_BUILD_NUMBER")),
        job=job_path(get("DRONE_STAGE_NAME"), get("DRONE_STEP_NAME")),
    )


SYSTEM = System(
    context=context,
    tokens=("DRONE_NETRC_*", "CI_NETRC_*", "DRONE_RPC_SECRET", "DRONE_TOKEN"),
)
