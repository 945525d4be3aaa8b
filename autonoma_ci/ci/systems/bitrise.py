"""Bitrise with its build facts and variables for later steps.

Source: Bitrise's documentation, "Available environment variables" and "Test sharding"; bitrise-io/envman,
cli/commands.go (`add`) and env/expand.go: without `--no-expand`, `$NAME` in a value is replaced in later steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
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
from autonoma_ci.ci.publishers.cli_variables import create_cli_variable_publishers
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard

# Of builds without a base.
_REASON_BY_TRIGGER = {"manual": NoBaseReason.MANUAL, "schedule": NoBaseReason.SCHEDULE}


class Bitrise(CISystem):
    """Bitrise, with variables for later steps."""

    display_name = "Bitrise"
    secrets_help = "Add {names} in the Workflow Editor under Secrets"
    secret_variables = ("BITRISE_*TOKEN*", "BITRISEIO_*TOKEN*", "GIT_HTTP_PASSWORD", "SSH_RSA_PRIVATE_KEY")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        The cloned commit of a pull request can be a merge commit, so it is not used.
        """
        get = env_reader(environ)
        change_number = first_number(get("BITRISE_PULL_REQUEST"))
        owner, name = get("BITRISEIO_GIT_REPOSITORY_OWNER"), get("BITRISEIO_GIT_REPOSITORY_SLUG")
        return BuildContext(
            ci_name="bitrise",
            # A build that a user started has no commit before the clone.
            sha=first_commit("" if change_number else get("GIT_CLONE_COMMIT_HASH"), get("BITRISE_GIT_COMMIT")),
            branch=first_branch(get("BITRISE_GIT_BRANCH"), get("BITRISE_GIT_TAG")),
            change_number=change_number,
            repository=first_repository(f"{owner}/{name}", get("GIT_REPOSITORY_URL")),
            build_url=first_web_url(get("BITRISE_BUILD_URL"), get("BITRISEIO_PIPELINE_BUILD_URL")),
            # Each workflow of a pipeline is a build with its own slug. BITRISEIO_PIPELINE_ID is the id of the
            # pipeline's run. No variable counts attempts.
            build_id=first_set(environ, "BITRISEIO_PIPELINE_ID", "BITRISE_BUILD_SLUG"),
            job_name=number_job(get("BITRISE_TRIGGERED_WORKFLOW_ID"), _detect_copy(environ)),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        if get("BITRISE_TRIGGER_METHOD") != "webhook":
            return read_trigger(_REASON_BY_TRIGGER, get("BITRISE_TRIGGER_METHOD"))
        if get("BITRISE_GIT_TAG"):
            return BaseFacts(NoBaseReason.TAG)
        return BaseFacts(
            is_change=bool(first_number(get("BITRISE_PULL_REQUEST"))),
            target_branch=first_branch(get("BITRISEIO_GIT_BRANCH_DEST")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of variables by `envman`."""
        return create_cli_variable_publishers(context, "envman", _envman_arguments)


def _detect_copy(environ: Mapping[str, str]) -> Shard | None:
    """Return the place among parallel workflows, which Bitrise counts from 0."""
    return shard_from_env("BITRISE_IO_PARALLEL_INDEX", "BITRISE_IO_PARALLEL_TOTAL", first=0)(environ)


def _envman_arguments(name: str, text: str) -> list[str]:
    return ["add", "--no-expand", "--key", name, "--value", text]


SYSTEM = Bitrise()
