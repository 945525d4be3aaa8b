"""Codefresh. Source: Codefresh's documentation, "Variables in pipelines" and "Retrying a step"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, count, reader, repository, web_url
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
        build=get("CF_BUILD_ID"),
        # Counts the attempts at a step with `retry`. The documentation names no first number: 0 is taken too.
        attempt=count(get("CF_CURRENT_ATTEMPT")),
        job=get("CF_STEP_NAME"),
    )


SYSTEM = System(
    context=context,
    tokens=("CF_API_KEY", "CODEFRESH_API_KEY", "CF_OIDC_TOKEN", "CF_*_TOKEN"),
    publishers=variable_file("CF_VOLUME_PATH", within="env_vars_to_export"),
)
