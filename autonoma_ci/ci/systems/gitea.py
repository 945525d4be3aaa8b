"""Gitea Actions, which has GitHub's variables and its own run page.

Source: Gitea's documentation, "Gitea Actions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.systems.github import GitHubCompatibleSystem, build_actions_context, build_workflow_run_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import BuildContext


class Gitea(GitHubCompatibleSystem):
    """Gitea Actions."""

    display_name = "Gitea"
    secret_variables = (
        *GitHubCompatibleSystem.secret_variables,
        "GITEA_TOKEN",
        "GITEA_RUNNER_REGISTRATION_TOKEN",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        Since Gitea 1.26 (its pull request 36842), the run page has the run's id in its URL. Before, it had the run's
        number. On an old server the id leads to no page, but on a new server the number can lead to another run.
        """
        return build_actions_context(environ, "gitea", build_workflow_run_url(environ, "GITHUB_RUN_ID"))


SYSTEM = Gitea()
