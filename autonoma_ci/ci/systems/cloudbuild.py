"""Google Cloud Build. Source: Google's documentation, "Substituting variable values".

Substitutions are no variables until the build's configuration maps them, one by one or all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import env_reader, first_branch, first_commit, first_number, first_repository, first_web_url
from autonoma_ci.ci.publishers.env_file import env_file
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a build step."""
    get = env_reader(environ)
    return BuildContext(
        ci_name="cloudbuild",
        sha=first_commit(get("COMMIT_SHA"), get("REVISION_ID")),
        branch=first_branch(get("_HEAD_BRANCH"), get("BRANCH_NAME"), get("REF_NAME"), get("TAG_NAME")),
        change_number=first_number(get("_PR_NUMBER")),
        repository=first_repository(get("REPO_FULL_NAME")),
        build_url=first_web_url(_console_page(get)),
        # A retry is a build of its own, so there are no attempts. No substitution names the step.
        build_id=get("BUILD_ID"),
    )


def _console_page(get: Callable[[str], str]) -> str:
    region, build, project = (quote(get(name), safe=":") for name in ("LOCATION", "BUILD_ID", "PROJECT_ID"))
    if not (region and build and project):
        return ""
    return f"https://console.cloud.google.com/cloud-build/builds;region={region}/{build}?project={project}"


# What a step writes there is shown with the build as it is, and only the first 50 KB are. So it is written once.
SYSTEM = CISystem(
    build_context=build_context, create_publishers=env_file("BUILDER_OUTPUT", filename="output", write_early=False)
)
