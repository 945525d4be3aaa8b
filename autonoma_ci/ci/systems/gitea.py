"""Gitea Actions: GitHub's variables with a run page of its own. Source: Gitea's documentation, "Gitea Actions".

Gitea's run page is addressed by the run's id since 1.26 (its pull request 36842). Before that it was
the run's number; there the id leads to no page, whereas on a newer server the number may lead to another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.systems.github import (
    LOG_FORMATTER,
    SECRET_VARIABLES,
    create_act_publishers,
    github_context,
    path_in_checkout,
    run_url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import BuildContext


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job of Gitea Actions."""
    return github_context(environ, "gitea", run_url(environ, "GITHUB_RUN_ID"))


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(*SECRET_VARIABLES, "GITEA_TOKEN", "GITEA_RUNNER_REGISTRATION_TOKEN"),
    log_formatter=LOG_FORMATTER,
    path_in_checkout=path_in_checkout,
    create_publishers=create_act_publishers,
)
