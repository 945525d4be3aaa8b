"""Codefresh. Source: Codefresh's documentation, "Variables in pipelines"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.system import System
from autonoma_ci.ci.variable_file import variable_file
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step."""
    get = reader(environ)
    return Context(
        ci="codefresh",
        sha=commit(get("CF_REVISION")),
        branch=branch(get("CF_BRANCH")),
        change=change(get("CF_PULL_REQUEST_NUMBER")),
        repository=repository(f"{get('CF_REPO_OWNER')}/{get('CF_REPO_NAME')}"),
        build_url=web_url(get("CF_BUILD_URL")),
    )


SYSTEM = System(
    context=context,
    tokens=("CF_API_KEY", "CODEFRESH_API_KEY", "CF_OIDC_TOKEN", "CF_*_TOKEN"),
    publishers=variable_file("CF_VOLUME_PATH", within="env_vars_to_export"),
)
