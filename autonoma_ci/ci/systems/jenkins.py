"""Jenkins, with the variables of its Git, multibranch, pull request builder and GitLab plugins.

Source: Jenkins' handbook, "Using environment variables", and the documentation of these plugins.
STAGE_NAME is from the Pipeline: Stage Step plugin.
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

_REMOTE = re.compile(r"(?:refs/)?(?:remotes/)?origin/")
# The multibranch plugin's name for the job of a change request, and the Git plugin's for no branch at all.
_NO_BRANCH = re.compile(r"(?:PR|MR)-[0-9]+(?:-(?:head|merge))?|detached")


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a build.

    Of a multibranch pull request that is merged before it is built, `GIT_COMMIT` is the merge commit:
    Jenkins has no variable for the head, so that is the best that is known.
    """
    get = env_reader(environ)
    heads = (
        "CHANGE_BRANCH",
        "ghprbSourceBranch",
        "gitlabSourceBranch",
        "GIT_LOCAL_BRANCH",
        "GIT_BRANCH",
        "BRANCH_NAME",
    )
    names = (_REMOTE.sub("", get(name), count=1) if name == "GIT_BRANCH" else get(name) for name in heads)
    job, number = get("JOB_NAME"), first_number(get("BUILD_NUMBER"))
    return BuildContext(
        ci_name="jenkins",
        sha=first_commit(get("ghprbActualCommit"), get("gitlabMergeRequestLastCommit"), get("GIT_COMMIT")),
        branch=first_branch(*(name for name in names if not _NO_BRANCH.fullmatch(name)), get("TAG_NAME")),
        change_number=first_number(get("CHANGE_ID"), get("ghprbPullId"), get("gitlabMergeRequestIid")),
        repository=first_repository(get("GIT_URL"), get("GIT_URL_1")),
        build_url=first_web_url(get("RUN_DISPLAY_URL"), get("BUILD_URL")),
        secrets_withheld_from="fork" if get("CHANGE_FORK") else "",
        # What Jenkins calls a job is the pipeline here. BUILD_TAG is no substitute: it has a dash for each
        # slash in the name. A replay, and a restart from a stage, is a build with a number of its own, so
        # there are no attempts.
        build_id=sanitize(f"{job}#{number}") if job and number else "",
        # The innermost stage. The stages inside of a `matrix` have the same name in all of its cells.
        job_name=get("STAGE_NAME"),
    )


SYSTEM = CISystem(
    build_context=build_context,
    # The JUnit Attachments plugin takes absolute paths, and publishes what lies in the workspace.
    attachments_root=lambda _, folder: str(folder.absolute()),
    # The cookies let a process speak for the build, or hide from its clean-up.
    secret_variables=("JENKINS_*TOKEN*", "JENKINS_*SECRET*", "JENKINS_*COOKIE", "HUDSON_*COOKIE", "GIT_PASSWORD"),
)
