"""Drone with its build facts.

Source: Drone's documentation, "Reference" and "drone build restart".
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
    first_web_url,
    join_job_path,
)
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of builds without a base.
_REASON_BY_EVENT = {
    "cron": NoBaseReason.SCHEDULE,
    "custom": NoBaseReason.MANUAL,
    "tag": NoBaseReason.TAG,
    "promote": NoBaseReason.DEPLOYMENT,
    "rollback": NoBaseReason.DEPLOYMENT,
}


class Drone(CISystem):
    """Drone, with build facts only."""

    display_name = "Drone"
    secrets_help = "Add {names} under Settings > Secrets, and pass {pronoun} with `from_secret`"
    secret_variables = ("DRONE_NETRC_*", "CI_NETRC_*", "DRONE_RPC_SECRET", "DRONE_TOKEN")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        For a pull request, `DRONE_BRANCH` is the target branch.
        """
        get = env_reader(environ)
        change_number = first_number(get("DRONE_PULL_REQUEST"))
        branch_variables = ("DRONE_SOURCE_BRANCH",) if change_number else ("DRONE_BRANCH", "DRONE_TAG")
        return BuildContext(
            ci_name="drone",
            sha=first_commit(get("DRONE_COMMIT_SHA"), get("DRONE_COMMIT")),
            branch=first_branch(*map(get, branch_variables)),
            change_number=change_number,
            repository=first_repository(get("DRONE_REPO")),
            build_url=first_web_url(get("DRONE_BUILD_LINK")),
            # Unique within the repository. A restart is a new build with its own number, so there are no attempts.
            build_id=first_number(get("DRONE_BUILD_NUMBER")),
            job_name=join_job_path(get("DRONE_STAGE_NAME"), get("DRONE_STEP_NAME")),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request or the default branch."""
        get = env_reader(environ)
        match get("DRONE_BUILD_EVENT"):
            case "pull_request":
                # For a pull request, `DRONE_BRANCH` is the target branch too.
                target = first_branch(get("DRONE_TARGET_BRANCH"), get("DRONE_BRANCH"))
                return BaseFacts(is_change=True, target_branch=target)
            case "push":
                return BaseFacts(default_branch=first_branch(get("DRONE_REPO_BRANCH")))
            case event:
                return read_trigger(_REASON_BY_EVENT, event)


SYSTEM = Drone()
