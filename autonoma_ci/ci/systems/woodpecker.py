"""Woodpecker CI with its build facts.

Source: Woodpecker's documentation, "Environment variables"; for the numbers of restarts, the server's
`server/pipeline/restart.go`.
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
    join_job_path,
    parse_count,
)
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of pipelines without a base.
_REASON_BY_EVENT = {
    "cron": NoBaseReason.SCHEDULE,
    "manual": NoBaseReason.MANUAL,
    "tag": NoBaseReason.TAG,
    "release": NoBaseReason.RELEASE,
    "deployment": NoBaseReason.DEPLOYMENT,
    "pull_request_closed": NoBaseReason.CLOSED_CHANGE,
}


class Woodpecker(CISystem):
    """Woodpecker CI, with build facts only."""

    display_name = "Woodpecker"
    secrets_help = "Add {names} under Settings > Secrets, and pass {pronoun} with `from_secret`"
    secret_variables = (
        "CI_NETRC_USERNAME",
        "CI_NETRC_PASSWORD",
        "DRONE_NETRC_*",
        "WOODPECKER_AGENT_SECRET",
        "WOODPECKER_TOKEN",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        `CI_COMMIT_BRANCH` of a pull request is the target branch.
        """
        get = env_reader(environ)
        change_number = first_number(get("CI_COMMIT_PULL_REQUEST"))
        branch_variables = ("CI_COMMIT_SOURCE_BRANCH",) if change_number else ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
        # CI_BUILD_NUMBER is its name before Woodpecker 1.0.
        build_id = first_number(first_set(environ, "CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER"))
        return BuildContext(
            ci_name="woodpecker",
            sha=first_commit(get("CI_COMMIT_SHA")),
            branch=first_branch(*map(get, branch_variables)),
            change_number=change_number,
            repository=first_repository(get("CI_REPO")),
            # CI_BUILD_LINK is its name before Woodpecker 1.0.
            build_url=first_web_url(get("CI_PIPELINE_URL"), get("CI_BUILD_LINK")),
            # A restart is a pipeline with its own number. Only the number of the direct parent is in a variable, so a
            # restart counts as another build. So no two restarts count as the same attempt.
            build_id=build_id,
            # Unset in the first run, and 1 after the first restart. Servers before 3.15 never set it.
            build_attempt=parse_count(get("CI_PIPELINE_RERUNS") or "0", increment=1) if build_id else "",
            # The jobs of a matrix share these names. No variable with a fixed name differs between them.
            job_name=join_job_path(get("CI_WORKFLOW_NAME"), get("CI_STEP_NAME")),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request or the default branch."""
        get = env_reader(environ)
        # CI_BUILD_EVENT is its name before Woodpecker 1.0.
        match first_set(environ, "CI_PIPELINE_EVENT", "CI_BUILD_EVENT"):
            case "pull_request" | "pull_request_metadata":
                # For a pull request, `CI_COMMIT_BRANCH` is the target branch too.
                target = first_branch(get("CI_COMMIT_TARGET_BRANCH"), get("CI_COMMIT_BRANCH"))
                return BaseFacts(is_change=True, target_branch=target)
            case "push":
                return BaseFacts(default_branch=first_branch(get("CI_REPO_DEFAULT_BRANCH")))
            case event:
                return read_trigger(_REASON_BY_EVENT, event)


SYSTEM = Woodpecker()
