"""Google Cloud Build with its substitutions and output file.

Source: Google's documentation, "Substituting variable values". A step sees a substitution as a variable only if the
build's configuration maps it. It can map one or all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import env_reader, first_branch, first_commit, first_number, first_repository, first_web_url
from autonoma_ci.ci.publishers.env_file import create_env_file_publishers
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher


class CloudBuild(CISystem):
    """Google Cloud Build, with an output file of the step."""

    display_name = "Google Cloud Build"
    secrets_help = "Add {names} to Secret Manager, and map {pronoun} under `availableSecrets` and `secretEnv`"

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build step."""
        get = env_reader(environ)
        return BuildContext(
            ci_name="cloudbuild",
            sha=first_commit(get("COMMIT_SHA"), get("REVISION_ID")),
            branch=first_branch(get("_HEAD_BRANCH"), get("BRANCH_NAME"), get("REF_NAME"), get("TAG_NAME")),
            change_number=first_number(get("_PR_NUMBER")),
            repository=first_repository(get("REPO_FULL_NAME")),
            build_url=first_web_url(_build_console_url(get)),
            # A retry is a new build, so there are no attempts. No substitution names the step.
            build_id=get("BUILD_ID"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the base branch of a pull request.

        No variable has the default branch or the trigger. So a manual build of a branch is compared with the default
        branch, like a push.
        """
        get = env_reader(environ)
        return BaseFacts(
            NoBaseReason.TAG if get("TAG_NAME") else None,
            is_change=bool(get("_PR_NUMBER")),
            target_branch=first_branch(get("_BASE_BRANCH")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of the step's output file.

        Cloud Build shows the file with the build, unchanged and only up to 50 KB. So it is written once.
        """
        return create_env_file_publishers(context, "BUILDER_OUTPUT", filename="output", write_early=False)


def _build_console_url(get: Callable[[str], str]) -> str:
    region, build, project = (quote(get(name), safe=":") for name in ("LOCATION", "BUILD_ID", "PROJECT_ID"))
    if not (region and build and project):
        return ""
    return f"https://console.cloud.google.com/cloud-build/builds;region={region}/{build}?project={project}"


SYSTEM = CloudBuild()
