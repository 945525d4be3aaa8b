"""Forgejo Actions: GitHub's variables, with a run page that is addressed by the run's number.

Source: Forgejo's documentation, "Forgejo Actions", and what its runner sets.
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
    """Read the context of a job of Forgejo Actions."""
    return github_context(environ, "forgejo", run_url(environ, "GITHUB_RUN_NUMBER"))


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(*SECRET_VARIABLES, "FORGEJO_TOKEN", "GITEA_TOKEN", "FORGEJO_RUNNER_REGISTRATION_TOKEN"),
    log_formatter=LOG_FORMATTER,
    path_in_checkout=path_in_checkout,
    create_publishers=create_act_publishers,
)
