"""Forgejo Actions: GitHub's variables, with a run page that is addressed by the run's number.

Source: Forgejo's documentation, "Forgejo Actions", and what its runner sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.systems.github import COMMANDS, TOKENS, act_files, github_context, path_in_checkout, run_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Context


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job of Forgejo Actions."""
    return github_context(environ, "forgejo", run_page(environ, "GITHUB_RUN_NUMBER"))


SYSTEM = System(
    context=context,
    tokens=(*TOKENS, "FORGEJO_TOKEN", "GITEA_TOKEN", "FORGEJO_RUNNER_REGISTRATION_TOKEN"),
    dialect=COMMANDS,
    path_in_checkout=path_in_checkout,
    publishers=act_files,
)
