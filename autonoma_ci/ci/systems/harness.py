"""Harness CI, which sets Drone's variables too.

Source: Harness's "CI environment variables reference".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    join_job_path,
    number_job,
    shard_from_env,
)
from autonoma_ci.ci.publishers.env_file import create_env_file_publishers
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard


class Harness(CISystem):
    """Harness CI, with output variables and parallel copies of a step."""

    display_name = "Harness"
    secrets_help = 'Add {names} under Project Settings > Secrets, and pass {pronoun} with <+secrets.getValue("…")>'
    secret_variables = (
        "HARNESS_*TOKEN*",
        "HARNESS_API_KEY",
        "DELEGATE_SERVICE_TOKEN",
        "DRONE_NETRC_*",
        "CI_NETRC_*",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the build's facts."""
        get = env_reader(environ)
        change_number = first_number(get("DRONE_PULL_REQUEST"))
        # In a pull request, `DRONE_COMMIT_BRANCH` is the target branch, so `DRONE_SOURCE_BRANCH` is used.
        branches = ("DRONE_SOURCE_BRANCH",) if change_number else ("DRONE_COMMIT_BRANCH", "DRONE_BRANCH", "DRONE_TAG")
        repositories = ("DRONE_REPO", "CI_REPO", "DRONE_REMOTE_URL", "CI_REMOTE_URL")
        # A stage has its identifier in a variable, but a step has only its name there.
        job_name = join_job_path(get("HARNESS_STAGE_ID"), get("DRONE_STEP_NAME"))
        return BuildContext(
            ci_name="harness",
            sha=first_commit(get("DRONE_COMMIT_SHA"), get("CI_COMMIT_SHA")),
            branch=first_branch(*map(get, branches)),
            change_number=change_number,
            repository=first_repository(*map(get, repositories)),
            build_url=first_web_url(get("CI_BUILD_LINK"), get("DRONE_BUILD_LINK")),
            # HARNESS_BUILD_ID is unique only within one pipeline of the project. No variable counts attempts.
            build_id=get("HARNESS_EXECUTION_ID"),
            job_name=number_job(job_name, self.detect_shard(environ)),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request or the default branch.

        A manual build has the event of its source too, but no Git reference.
        """
        get = env_reader(environ)
        event = first_set(environ, "DRONE_BUILD_EVENT", "CI_BUILD_EVENT")
        if event == "tag" or get("DRONE_TAG"):
            return BaseFacts(NoBaseReason.TAG)
        if not first_set(environ, "DRONE_COMMIT_REF", "CI_COMMIT_REF") or event not in {"push", "pull_request"}:
            return BaseFacts(NoBaseReason.UNKNOWN_TRIGGER)
        is_change = event == "pull_request"
        return BaseFacts(
            is_change=is_change,
            target_branch=first_branch(get("DRONE_TARGET_BRANCH"), get("DRONE_COMMIT_BRANCH")) if is_change else "",
            default_branch=first_branch(get("DRONE_REPO_BRANCH")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of the step's output variables."""
        return create_env_file_publishers(context, "DRONE_OUTPUT")

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this step.

        Harness counts parallel steps from 0.
        """
        return shard_from_env("HARNESS_NODE_INDEX", "HARNESS_NODE_TOTAL", first=0)(environ)


SYSTEM = Harness()
