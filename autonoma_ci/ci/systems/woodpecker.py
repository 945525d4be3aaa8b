"""Woodpecker CI. Source: Woodpecker's documentation, "Environment variables".

How a restart is numbered is from the server's `server/pipeline/restart.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
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


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a step; of a pull request, `CI_COMMIT_BRANCH` is the target."""
    get = env_reader(environ)
    number = first_number(get("CI_COMMIT_PULL_REQUEST"))
    heads = ("CI_COMMIT_SOURCE_BRANCH",) if number else ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
    # The second is what it was called before Woodpecker 1.0.
    build = first_number(first_set(environ, "CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER"))
    return BuildContext(
        ci_name="woodpecker",
        sha=first_commit(get("CI_COMMIT_SHA")),
        branch=first_branch(*map(get, heads)),
        change_number=number,
        repository=first_repository(get("CI_REPO")),
        # The second is what it was called before Woodpecker 1.0.
        build_url=first_web_url(get("CI_PIPELINE_URL"), get("CI_BUILD_LINK")),
        # A restart is a pipeline with a number of its own. Only the direct parent's number is in a variable,
        # so that a restart counts as another build. No two restarts then pass for the same attempt.
        build_id=build,
        # Unset in the first run, and 1 after the first restart. Servers before 3.15 never set it.
        build_attempt=parse_count(get("CI_PIPELINE_RERUNS") or "0", increment=1) if build else "",
        # The jobs of a matrix share the names: no variable of a fixed name tells them apart.
        job_name=join_job_path(get("CI_WORKFLOW_NAME"), get("CI_STEP_NAME")),
    )


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
        "CI_NETRC_USERNAME",
        "CI_NETRC_PASSWORD",
        "DRONE_NETRC_*",
        "WOODPECKER_AGENT_SECRET",
        "WOODPECKER_TOKEN",
    ),
)
