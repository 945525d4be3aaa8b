"""Forgejo Actions, which has GitHub's variables and its own run page.

Source: Forgejo's documentation, "Forgejo Actions", and the variables that its runner sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.systems.github import GitHubCompatibleSystem, build_actions_context, build_workflow_run_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import BuildContext


class Forgejo(GitHubCompatibleSystem):
    """Forgejo Actions."""

    display_name = "Forgejo"
    secret_variables = (
        *GitHubCompatibleSystem.secret_variables,
        "FORGEJO_TOKEN",
        "GITEA_TOKEN",
        "FORGEJO_RUNNER_REGISTRATION_TOKEN",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        The run page has the run's number in its URL.
        """
        return build_actions_context(environ, "forgejo", build_workflow_run_url(environ, "GITHUB_RUN_NUMBER"))


SYSTEM = Forgejo()
