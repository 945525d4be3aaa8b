"""Harness CI, which has Drone's variables too. Source: Harness's "CI environment variables reference"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    join_job_path,
    number_job,
    shard_from_env,
)
from autonoma_ci.ci.publishers.env_file import env_file
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = shard_from_env("HARNESS_NODE_INDEX", "HARNESS_NODE_TOTAL", first=0)


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a step; of a pull request, `DRONE_COMMIT_BRANCH` is the target."""
    get = env_reader(environ)
    number = first_number(get("DRONE_PULL_REQUEST"))
    heads = ("DRONE_SOURCE_BRANCH",) if number else ("DRONE_COMMIT_BRANCH", "DRONE_BRANCH", "DRONE_TAG")
    return BuildContext(
        ci_name="harness",
        sha=first_commit(get("DRONE_COMMIT_SHA"), get("CI_COMMIT_SHA")),
        branch=first_branch(*map(get, heads)),
        change_number=number,
        repository=first_repository(get("DRONE_REPO"), get("CI_REPO"), get("DRONE_REMOTE_URL"), get("CI_REMOTE_URL")),
        build_url=first_web_url(get("CI_BUILD_LINK"), get("DRONE_BUILD_LINK")),
        # HARNESS_BUILD_ID is unique within one pipeline of the project only. No variable counts attempts.
        build_id=get("HARNESS_EXECUTION_ID"),
        # A stage has its identifier in a variable, but a step has only its name there.
        job_name=number_job(join_job_path(get("HARNESS_STAGE_ID"), get("DRONE_STEP_NAME")), _PLACE(environ)),
    )


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("HARNESS_*TOKEN*", "HARNESS_API_KEY", "DELEGATE_SERVICE_TOKEN", "DRONE_NETRC_*", "CI_NETRC_*"),
    detect_shard=_PLACE,
    create_publishers=env_file("DRONE_OUTPUT"),
)
