"""Jenkins, with its Git, multibranch, pull request builder and GitLab plugins.

Source: Jenkins' handbook, "Using environment variables", and the documentation of these plugins. STAGE_NAME is from the
Pipeline: Stage Step plugin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    is_truthy,
    sanitize,
)
from autonoma_ci.models import BuildContext, BuildIdRules, UntrustedSource

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
# The multibranch plugin's name for the job of a change request, or the Git plugin's name for a detached HEAD.
_NOT_A_BRANCH_RE = re.compile(r"(?:PR|MR)-[0-9]+(?:-(?:head|merge))?|detached")

# Of builds without a base.
_REASON_BY_CAUSE = {
    "BUILD_CAUSE_TIMERTRIGGER": NoBaseReason.SCHEDULE,
    "BUILD_CAUSE_MANUALTRIGGER": NoBaseReason.MANUAL,
    "BUILD_CAUSE_REMOTECAUSE": NoBaseReason.API,
    "BUILD_CAUSE_UPSTREAMTRIGGER": NoBaseReason.PIPELINE,
}


class Jenkins(CISystem):
    """Jenkins, with attachments in its test report."""

    display_name = "Jenkins"
    secrets_help = "Add {names} under Manage Jenkins > Credentials, and bind {pronoun} with withCredentials"
    # A stage may check out another repository, which then appears in the variables. The build id contains the name of
    # the job.
    build_id_rules = BuildIdRules(spans_repositories=True)
    # A process that knows the cookies can act for the build, or keep running after Jenkins stops the build's processes.
    secret_variables = ("JENKINS_*TOKEN*", "JENKINS_*SECRET*", "JENKINS_*COOKIE", "HUDSON_*COOKIE", "GIT_PASSWORD")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        A multibranch job can merge a pull request into its target before the build. Then `GIT_COMMIT` is the merge
        commit. No variable has the head commit.
        """
        get = env_reader(environ)
        branches = (
            _REMOTE_RE.sub("", get(variable), count=1) if variable == "GIT_BRANCH" else get(variable)
            for variable in _BRANCH_VARIABLES
        )
        pipeline_name, number = get("JOB_NAME"), first_number(get("BUILD_NUMBER"))
        return BuildContext(
            ci_name="jenkins",
            sha=first_commit(get("ghprbActualCommit"), get("gitlabMergeRequestLastCommit"), get("GIT_COMMIT")),
            branch=first_branch(
                *(branch for branch in branches if not _NOT_A_BRANCH_RE.fullmatch(branch)), get("TAG_NAME")
            ),
            change_number=first_number(get("CHANGE_ID"), get("ghprbPullId"), get("gitlabMergeRequestIid")),
            repository=first_repository(get("GIT_URL"), get("GIT_URL_1")),
            build_url=first_web_url(get("RUN_DISPLAY_URL"), get("BUILD_URL")),
            secrets_withheld_from=UntrustedSource.FORK if get("CHANGE_FORK") else None,
            # A job of Jenkins is a pipeline with many builds. BUILD_TAG is ambiguous, because it has a dash for each
            # slash in the name. A build has no attempts, because a replay or a restart is a build with its own number.
            build_id=sanitize(f"{pipeline_name}#{number}") if pipeline_name and number else "",
            # The innermost stage. All cells of a `matrix` have stages with the same names.
            job_name=get("STAGE_NAME"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a change request.

        Only a multibranch job names its default branch, and only the EnvInject plugin names the trigger. Without them,
        a scheduled or manual build of a branch is compared with the default branch, like a push.
        """
        get = env_reader(environ)
        for variable, reason in _REASON_BY_CAUSE.items():
            if is_truthy(environ, variable):
                return BaseFacts(reason)
        if get("TAG_NAME") or get("gitlabActionType") == "TAG_PUSH":
            return BaseFacts(NoBaseReason.TAG)
        # The GitLab plugin sets its target branch for a push too, as the pushed branch.
        is_change = bool(first_set(environ, "CHANGE_ID", "ghprbPullId", "gitlabMergeRequestIid"))
        targets = map(get, ("CHANGE_TARGET", "ghprbTargetBranch", "gitlabTargetBranch"))
        if is_truthy(environ, "BRANCH_IS_PRIMARY") and not is_change:
            return BaseFacts(NoBaseReason.DEFAULT_BRANCH)
        return BaseFacts(is_change=is_change, target_branch=first_branch(*targets) if is_change else "")

    def attachments_root(self, environ: Mapping[str, str], folder: Path) -> str:  # noqa: ARG002 - no variable needed
        """Return the absolute path of the results folder.

        The JUnit Attachments plugin accepts absolute paths, and publishes files in the workspace.
        """
        return str(folder.absolute())


SYSTEM = Jenkins()
