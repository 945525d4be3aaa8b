"""Bitrise.

Source: Bitrise's documentation, "Available environment variables" and "Test sharding"; bitrise-io/envman,
cli/commands.go (`add`) and env/expand.go: without `--no-expand`, `$NAME` in a value is replaced in later steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, first, numbered_job, parallel, reader, repository, web_url
from autonoma_ci.ci.publishers.cli_variables import program_variables
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = parallel("BITRISE_IO_PARALLEL_INDEX", "BITRISE_IO_PARALLEL_TOTAL", first=0)


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; of a pull request, the cloned commit may be a merge and is not used."""
    get = reader(environ)
    number = change(get("BITRISE_PULL_REQUEST"))
    owner, name = get("BITRISEIO_GIT_REPOSITORY_OWNER"), get("BITRISEIO_GIT_REPOSITORY_SLUG")
    return Context(
        ci="bitrise",
        # A build that was started by hand knows its commit only once it is cloned.
        sha=commit("" if number else get("GIT_CLONE_COMMIT_HASH"), get("BITRISE_GIT_COMMIT")),
        branch=branch(get("BITRISE_GIT_BRANCH"), get("BITRISE_GIT_TAG")),
        change=number,
        repository=repository(f"{owner}/{name}", get("GIT_REPOSITORY_URL")),
        build_url=web_url(get("BITRISE_BUILD_URL"), get("BITRISEIO_PIPELINE_BUILD_URL")),
        # The workflows of a pipeline are builds with a slug each. The first one is the id of the pipeline's run.
        # No variable counts attempts.
        build=first(environ, "BITRISEIO_PIPELINE_ID", "BITRISE_BUILD_SLUG"),
        job=numbered_job(get("BITRISE_TRIGGERED_WORKFLOW_ID"), _PLACE(environ)),
    )


SYSTEM = System(
    context=context,
    tokens=("BITRISE_*TOKEN*", "BITRISEIO_*TOKEN*", "GIT_HTTP_PASSWORD", "SSH_RSA_PRIVATE_KEY"),
    publishers=program_variables("envman", lambda name, text: ["add", "--no-expand", "--key", name, "--value", text]),
)
