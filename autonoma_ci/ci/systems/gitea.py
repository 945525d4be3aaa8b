"""Gitea Actions: GitHub's variables with a run page of its own. Source: Gitea's documentation, "Gitea Actions".

Gitea's run page is addressed by the run's id since 1.26 (its pull request 36842). Before that it was
the run's number; there the id leads to no page, whereas on a newer server the number may lead to another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.systems.github import COMMANDS, TOKENS, act_files, github_context, path_in_checkout, run_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Context


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job of Gitea Actions."""
    return github_context(environ, "gitea", run_page(environ, "GITHUB_RUN_ID"))


SYSTEM = System(
    context=context,
    tokens=(*TOKENS, "GITEA_TOKEN", "GITEA_RUNNER_REGISTRATION_TOKEN"),
    dialect=COMMANDS,
    path_in_checkout=path_in_checkout,
    publishers=act_files,
)
