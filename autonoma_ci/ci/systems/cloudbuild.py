"""Google Cloud Build. Source: Google's documentation, "Substituting variable values".

Substitutions are no variables until the build's configuration maps them, one by one or all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, reader, repository, web_url
from autonoma_ci.ci.publishers.env_file import variable_file
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a build step."""
    get = reader(environ)
    return Context(
        ci="cloudbuild",
        sha=commit(get("COMMIT_SHA"), get("REVISION_ID")),
        branch=branch(get("_HEAD_BRANCH"), get("BRANCH_NAME"), get("REF_NAME"), get("TAG_NAME")),
        change=change(get("_PR_NUMBER")),
        repository=repository(get("REPO_FULL_NAME")),
        build_url=web_url(_console_page(get)),
        # A retry is a build of its own, so there are no attempts. No substitution names the step.
        build=get("BUILD_ID"),
    )


def _console_page(get: Callable[[str], str]) -> str:
    region, build, project = (quote(get(name), safe=":") for name in ("LOCATION", "BUILD_ID", "PROJECT_ID"))
    if not (region and build and project):
        return ""
    return f"https://console.cloud.google.com/cloud-build/builds;region={region}/{build}?project={project}"


# What a step writes there is shown with the build as it is, and only the first 50 KB are. So it is written once.
SYSTEM = System(context=context, publishers=variable_file("BUILDER_OUTPUT", within="output", early=False))
