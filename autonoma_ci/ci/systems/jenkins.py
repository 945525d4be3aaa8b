"""Jenkins, with its Git, multibranch, pull request builder and GitLab plugins.

Source: Jenkins' handbook, "Using environment variables", and the documentation of these plugins. STAGE_NAME is from the
Pipeline: Stage Step plugin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    sanitize,
)
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# In the order of preference.
_BRANCH_VARIABLES = (
    "CHANGE_BRANCH",
    "ghprbSourceBranch",
    "gitlabSourceBranch",
    "GIT_LOCAL_BRANCH",
    "GIT_BRANCH",
    "BRANCH_NAME",
)
_REMOTE_RE = re.compile(r"(?:refs/)?(?:remotes/)?origin/")
# The multibranch plugin's name for the job of a change request, and the Git plugin's name for a missing branch.
_NO_BRANCH_RE = re.compile(r"(?:PR|MR)-[0-9]+(?:-(?:head|merge))?|detached")


class Jenkins(CISystem):
    """Jenkins, with attachments in its test report."""

    # A process that knows the cookies can act for the build, or escape its clean-up.
    secret_variables = ("JENKINS_*TOKEN*", "JENKINS_*SECRET*", "JENKINS_*COOKIE", "HUDSON_*COOKIE", "GIT_PASSWORD")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        If a multibranch pull request is merged before the build, `GIT_COMMIT` is the merge commit. Jenkins has no
        variable for the head commit.
        """
        get = env_reader(environ)
        branches = (
            _REMOTE_RE.sub("", get(name), count=1) if name == "GIT_BRANCH" else get(name) for name in _BRANCH_VARIABLES
        )
        job, number = get("JOB_NAME"), first_number(get("BUILD_NUMBER"))
        return BuildContext(
            ci_name="jenkins",
            sha=first_commit(get("ghprbActualCommit"), get("gitlabMergeRequestLastCommit"), get("GIT_COMMIT")),
            branch=first_branch(*(name for name in branches if not _NO_BRANCH_RE.fullmatch(name)), get("TAG_NAME")),
            change_number=first_number(get("CHANGE_ID"), get("ghprbPullId"), get("gitlabMergeRequestIid")),
            repository=first_repository(get("GIT_URL"), get("GIT_URL_1")),
            build_url=first_web_url(get("RUN_DISPLAY_URL"), get("BUILD_URL")),
            secrets_withheld_from="fork" if get("CHANGE_FORK") else "",
            # A job of Jenkins is a pipeline in our terms. BUILD_TAG is not usable, because it has a dash for each
            # slash in the name. A replay, and a restart from a stage, is a build with its own number, so there are
            # no attempts.
            build_id=sanitize(f"{job}#{number}") if job and number else "",
            # The innermost stage. The stages inside of a `matrix` have the same name in all of its cells.
            job_name=get("STAGE_NAME"),
        )

    def attachments_root(self, environ: Mapping[str, str], folder: Path) -> str:  # noqa: ARG002 - no variable needed
        """Return the absolute path of the results folder.

        The JUnit Attachments plugin accepts absolute paths, and publishes files in the workspace.
        """
        return str(folder.absolute())


SYSTEM = Jenkins()
