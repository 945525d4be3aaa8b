"""Harness CI, which has Drone's variables too. Source: Harness's "CI environment variables reference"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, job_path, numbered_job, parallel, reader, repository, web_url
from autonoma_ci.ci.publishers.env_file import variable_file
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = parallel("HARNESS_NODE_INDEX", "HARNESS_NODE_TOTAL", first=0)


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
        # HARNESS_BUILD_ID is unique within one pipeline of the project only. No variable counts attempts.
        build=get("HARNESS_EXECUTION_ID"),
        # A stage has its identifier in a variable, but a step has only its name there.
        job=numbered_job(job_path(get("HARNESS_STAGE_ID"), get("DRONE_STEP_NAME")), _PLACE(environ)),
    )


SYSTEM = System(
    context=context,
    tokens=("HARNESS_*TOKEN*", "HARNESS_API_KEY", "DELEGATE_SERVICE_TOKEN", "DRONE_NETRC_*", "CI_NETRC_*"),
    parallel=_PLACE,
    publishers=variable_file("DRONE_OUTPUT"),
)
