"""Bitrise.

Source: Bitrise's documentation, "Available environment variables" and "Test sharding"; bitrise-io/envman,
cli/commands.go (`add`) and env/expand.go: without `--no-expand`, `$NAME` in a value is replaced in later steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    number_job,
    shard_from_env,
)
from autonoma_ci.ci.publishers.cli_variables import cli_variables
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = shard_from_env("BITRISE_IO_PARALLEL_INDEX", "BITRISE_IO_PARALLEL_TOTAL", first=0)


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a step; of a pull request, the cloned commit may be a merge and is not used."""
    get = env_reader(environ)
    number = first_number(get("BITRISE_PULL_REQUEST"))
    owner, name = get("BITRISEIO_GIT_REPOSITORY_OWNER"), get("BITRISEIO_GIT_REPOSITORY_SLUG")
    return BuildContext(
        ci_name="bitrise",
        # A build that was started by hand knows its commit only once it is cloned.
        sha=first_commit("" if number else get("GIT_CLONE_COMMIT_HASH"), get("BITRISE_GIT_COMMIT")),
        branch=first_branch(get("BITRISE_GIT_BRANCH"), get("BITRISE_GIT_TAG")),
        change_number=number,
        repository=first_repository(f"{owner}/{name}", get("GIT_REPOSITORY_URL")),
        build_url=first_web_url(get("BITRISE_BUILD_URL"), get("BITRISEIO_PIPELINE_BUILD_URL")),
        # The workflows of a pipeline are builds with a slug each. The first one is the id of the pipeline's run.
        # No variable counts attempts.
        build_id=first_set(environ, "BITRISEIO_PIPELINE_ID", "BITRISE_BUILD_SLUG"),
        job_name=number_job(get("BITRISE_TRIGGERED_WORKFLOW_ID"), _PLACE(environ)),
    )


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("BITRISE_*TOKEN*", "BITRISEIO_*TOKEN*", "GIT_HTTP_PASSWORD", "SSH_RSA_PRIVATE_KEY"),
    create_publishers=cli_variables(
        "envman", lambda name, text: ["add", "--no-expand", "--key", name, "--value", text]
    ),
)
