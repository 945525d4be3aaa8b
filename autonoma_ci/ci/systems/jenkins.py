"""Jenkins, with the variables of its Git, multibranch, pull request builder and GitLab plugins.

Source: Jenkins' handbook, "Using environment variables", and the documentation of these plugins.
STAGE_NAME is from the Pipeline: Stage Step plugin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, clean, commit, reader, repository, web_url
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMOTE = re.compile(r"(?:refs/)?(?:remotes/)?origin/")
# The multibranch plugin's name for the job of a change request, and the Git plugin's for no branch at all.
_NO_BRANCH = re.compile(r"(?:PR|MR)-[0-9]+(?:-(?:head|merge))?|detached")


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a build.

    Of a multibranch pull request that is merged before it is built, `GIT_COMMIT` is the merge commit:
    Jenkins has no variable for the head, so that is the best that is known.
    """
    get = reader(environ)
    heads = (
        "CHANGE_BRANCH",
        "ghprbSourceBranch",
        "gitlabSourceBranch",
        "GIT_LOCAL_BRANCH",
        "GIT_BRANCH",
        "BRANCH_NAME",
    )
    names = (_REMOTE.sub("", get(name), count=1) if name == "GIT_BRANCH" else get(name) for name in heads)
    job, number = get("JOB_NAME"), change(get("BUILD_NUMBER"))
    return Context(
        ci="jenkins",
        sha=commit(get("ghprbActualCommit"), get("gitlabMergeRequestLastCommit"), get("GIT_COMMIT")),
        branch=branch(*(name for name in names if not _NO_BRANCH.fullmatch(name)), get("TAG_NAME")),
        change=change(get("CHANGE_ID"), get("ghprbPullId"), get("gitlabMergeRequestIid")),
        repository=repository(get("GIT_URL"), get("GIT_URL_1")),
        build_url=web_url(get("RUN_DISPLAY_URL"), get("BUILD_URL")),
        withheld="fork" if get("CHANGE_FORK") else "",
        # What Jenkins calls a job is the pipeline here. BUILD_TAG is no substitute: it has a dash for each
        # slash in the name. A replay, and a restart from a stage, is a build with a number of its own, so
        # there are no attempts.
        build=clean(f"{job}#{number}") if job and number else "",
        # The innermost stage. The stages inside of a `matrix` have the same name in all of its cells.
        job=get("STAGE_NAME"),
    )


SYSTEM = System(
    context=context,
    # The JUnit Attachments plugin takes absolute paths, and publishes what lies in the workspace.
    attachments=lambda _, folder: str(folder.absolute()),
    # The cookies let a process speak for the build, or hide from its clean-up.
    tokens=("JENKINS_*TOKEN*", "JENKINS_*SECRET*", "JENKINS_*COOKIE", "HUDSON_*COOKIE", "GIT_PASSWORD"),
)
