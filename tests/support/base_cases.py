"""Documented environments of CI systems, and what the changed files of each job are compared with.

`{folder}` in a value or a file is replaced by the folder of `files`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autonoma_ci.ci.changes.change_base import NoBaseReason as Reason
from autonoma_ci.models import ChangeBase
from tests.support import ci_environments as environments
from tests.support.ci_environments import HEAD, MERGE, TARGET
from tests.support.github_environments import GITEA, GITHUB, PULL_EVENT, PULL_REQUEST, QUEUE

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class BaseCase:
    """A job with its environment and its files, and what it is compared with."""

    ci_name: str
    environ: Mapping[str, str]
    expected: ChangeBase
    files: Mapping[str, str] = field(default_factory=dict)


# The default branch is not in a variable, so that of the clone is used.
CLONE_DEFAULT = ChangeBase()
MAIN = ChangeBase(branch="main")
MAIN_AND_SHA = ChangeBase(branch="main", sha=TARGET)
MERGE_GROUP = ChangeBase(branch="main", sha=TARGET, is_exact=True)
UNKNOWN_PULL_TARGET = ChangeBase("the target branch of the pull request is unknown")
UNKNOWN_MERGE_TARGET = ChangeBase("the target branch of the merge request is unknown")
# A name that no branch can have in our texts.
HOSTILE = "main\n::error::x"


def _make_cases(
    ci_name: str, environ: Mapping[str, str], *rows: tuple[Mapping[str, str], ChangeBase | Reason]
) -> list[BaseCase]:
    """Return a job for each row, with the changes of the environment and the base or the reason for none."""
    return [
        BaseCase(ci_name, {**environ, **changes}, ChangeBase(base) if isinstance(base, Reason) else base)
        for changes, base in rows
    ]


def _make_github_cases(
    ci_name: str, environ: Mapping[str, str], *rows: tuple[Mapping[str, str], object, ChangeBase | Reason]
) -> list[BaseCase]:
    """Return a job for each row, with the changes of the environment, the event and the base."""
    cases = []
    for changes, event, base in rows:
        [case] = _make_cases(ci_name, {**GITHUB, **environ}, (changes, base))
        cases.append(BaseCase(ci_name, case.environ, case.expected, {"event.json": json.dumps(event)}))
    return cases


def _make_teamcity_cases(*rows: tuple[str, ChangeBase | Reason]) -> list[BaseCase]:
    """Return a job for each row, with the configuration parameters and the base."""
    cases = []
    for parameters, base in rows:
        [case] = _make_cases("teamcity", environments.TEAMCITY, ({}, base))
        files = {"build.properties": environments.TEAMCITY_BUILD, "config.properties": parameters}
        cases.append(BaseCase("teamcity", case.environ, case.expected, files))
    return cases


_BRANCH = "feature/cart"
_REPOSITORY = {"repository": {"default_branch": "main"}}
_GITHUB_BRANCH = {"GITHUB_REF": f"refs/heads/{_BRANCH}", "GITHUB_REF_NAME": _BRANCH}
_MERGE_GROUP_EVENT = {"merge_group": {"base_sha": TARGET, "base_ref": "refs/heads/main", "head_sha": HEAD}}
_QUEUE_REF = {"GITHUB_REF": f"refs/heads/{QUEUE}", "GITHUB_REF_NAME": QUEUE}
_ACTIONS_ROWS: tuple[tuple[Mapping[str, str], object, ChangeBase | Reason], ...] = (
    # A push of a branch. The commit before the push is in the event.
    (_GITHUB_BRANCH, {**_REPOSITORY, "before": MERGE, "base_ref": "refs/heads/other"}, MAIN),
    (_GITHUB_BRANCH, {}, CLONE_DEFAULT),
    (_GITHUB_BRANCH, {"repository": {"default_branch": HOSTILE}}, CLONE_DEFAULT),
    ({}, _REPOSITORY, Reason.DEFAULT_BRANCH),
    ({"GITHUB_REF": "refs/tags/v1", "GITHUB_REF_NAME": "v1"}, _REPOSITORY, Reason.TAG),
    # A pull request.
    (PULL_REQUEST, PULL_EVENT, MAIN_AND_SHA),
    (PULL_REQUEST, {}, MAIN),
    ({**PULL_REQUEST, "GITHUB_BASE_REF": ""}, PULL_EVENT, MAIN_AND_SHA),
    ({**PULL_REQUEST, "GITHUB_BASE_REF": "release/1.0"}, PULL_EVENT, UNKNOWN_PULL_TARGET),
    ({**PULL_REQUEST, "GITHUB_BASE_REF": ""}, {}, UNKNOWN_PULL_TARGET),
    ({**PULL_REQUEST, "GITHUB_BASE_REF": HOSTILE}, {}, UNKNOWN_PULL_TARGET),
    (PULL_REQUEST, {"pull_request": {"base": {"ref": "main", "sha": "x" * 40}}}, MAIN),
    (PULL_REQUEST, {**PULL_EVENT, "action": "closed"}, Reason.CLOSED_CHANGE),
    ({**PULL_REQUEST, "GITHUB_EVENT_NAME": "pull_request_review"}, PULL_EVENT, MAIN_AND_SHA),
    ({**PULL_REQUEST, "GITHUB_EVENT_NAME": "pull_request_review_comment"}, PULL_EVENT, MAIN_AND_SHA),
    # A merge group.
    ({**_QUEUE_REF, "GITHUB_EVENT_NAME": "merge_group"}, _MERGE_GROUP_EVENT, MERGE_GROUP),
    ({**_QUEUE_REF, "GITHUB_EVENT_NAME": "merge_group"}, {}, Reason.UNKNOWN_MERGE_GROUP),
    # A push of the branch of a merge group has no base in its event.
    (_QUEUE_REF, _REPOSITORY, UNKNOWN_PULL_TARGET),
    # Other events.
    *(
        (
            {**PULL_REQUEST, "GITHUB_EVENT_NAME": name},
            PULL_EVENT,
            ChangeBase(f"the event {name} has secrets, and its checkout is not the change"),
        )
        for name in ("pull_request_target", "workflow_run", "issue_comment")
    ),
    *(
        ({**_GITHUB_BRANCH, "GITHUB_EVENT_NAME": name}, {**PULL_EVENT, **_REPOSITORY}, reason)
        for name, reason in (
            ("schedule", Reason.SCHEDULE),
            ("workflow_dispatch", Reason.MANUAL),
            ("repository_dispatch", Reason.API),
            ("release", Reason.RELEASE),
            ("deployment", Reason.DEPLOYMENT),
            ("deployment_status", Reason.DEPLOYMENT),
            ("create", Reason.UNKNOWN_TRIGGER),
            ("check_suite", Reason.UNKNOWN_TRIGGER),
            (HOSTILE, Reason.UNKNOWN_TRIGGER),
            ("", Reason.UNKNOWN_TRIGGER),
        )
    ),
)
_GITLAB_BRANCH = {
    **environments.GITLAB,
    "CI_PIPELINE_SOURCE": "push",
    "CI_COMMIT_REF_NAME": _BRANCH,
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_BEFORE_SHA": MERGE,
}
_EXTERNAL_PULL_REQUEST = {
    "CI_PIPELINE_SOURCE": "external_pull_request_event",
    "CI_EXTERNAL_PULL_REQUEST_IID": "9",
    "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA": TARGET,
}
_BITBUCKET_CHANGE = {"BITBUCKET_PR_ID": "3", "BITBUCKET_PR_DESTINATION_BRANCH": "main"}
_BUILDKITE = {**environments.BUILDKITE, "BUILDKITE_SOURCE": "webhook", "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main"}
_BUILDKITE_GROUP = {"BUILDKITE_BRANCH": QUEUE, "BUILDKITE_MERGE_QUEUE_BASE_BRANCH": "main"}
_TRAVIS = {**environments.TRAVIS, "TRAVIS_EVENT_TYPE": "push", "TRAVIS_BRANCH": _BRANCH, "TRAVIS_COMMIT_RANGE": "a...b"}
_TRAVIS_CHANGE = {"TRAVIS_EVENT_TYPE": "pull_request", "TRAVIS_PULL_REQUEST": "12", "TRAVIS_BRANCH": "main"}
_APPVEYOR = {**environments.APPVEYOR, "APPVEYOR_REPO_BRANCH": _BRANCH}
_APPVEYOR_CHANGE = {"APPVEYOR_PULL_REQUEST_NUMBER": "6", "APPVEYOR_REPO_BRANCH": "main"}
_WOODPECKER = {
    **environments.WOODPECKER,
    "CI_PIPELINE_EVENT": "push",
    "CI_COMMIT_BRANCH": _BRANCH,
    "CI_REPO_DEFAULT_BRANCH": "main",
    "CI_PREV_COMMIT_SHA": MERGE,
}
_WOODPECKER_CHANGE = {
    **environments.WOODPECKER_CHANGE,
    "CI_PIPELINE_EVENT": "pull_request",
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_TARGET_BRANCH": "main",
}
_DRONE = {
    **environments.DRONE,
    "DRONE_BUILD_EVENT": "push",
    "DRONE_BRANCH": _BRANCH,
    "DRONE_TARGET_BRANCH": _BRANCH,
    "DRONE_REPO_BRANCH": "main",
    "DRONE_COMMIT_BEFORE": MERGE,
}
_DRONE_CHANGE = {
    "DRONE_BUILD_EVENT": "pull_request",
    "DRONE_PULL_REQUEST": "5",
    "DRONE_BRANCH": "main",
    "DRONE_SOURCE_BRANCH": _BRANCH,
    "DRONE_TARGET_BRANCH": "main",
}
_HARNESS = {
    **environments.HARNESS,
    "DRONE_BUILD_EVENT": "push",
    "DRONE_COMMIT_BRANCH": _BRANCH,
    "DRONE_COMMIT_REF": f"refs/heads/{_BRANCH}",
    "DRONE_REPO_BRANCH": "main",
}
_HARNESS_CHANGE = {**_DRONE_CHANGE, "DRONE_COMMIT_BRANCH": "main", "DRONE_COMMIT_REF": "refs/pull/5/head"}
_SEMAPHORE = {
    **environments.SEMAPHORE,
    "SEMAPHORE_GIT_BRANCH": _BRANCH,
    "SEMAPHORE_WORKFLOW_TRIGGERED_BY_HOOK": "true",
    "SEMAPHORE_WORKFLOW_TRIGGERED_BY_SCHEDULE": "false",
}
_SEMAPHORE_CHANGE = {"SEMAPHORE_GIT_PR_NUMBER": "7", "SEMAPHORE_GIT_BRANCH": "main"}
_BITRISE = {**environments.BITRISE, "BITRISE_TRIGGER_METHOD": "webhook", "BITRISE_GIT_BRANCH": _BRANCH}
_CODEFRESH = {**environments.CODEFRESH, "CF_BUILD_TRIGGER": "webhook"}
_CODEFRESH_CHANGE = {"CF_PULL_REQUEST_NUMBER": "8", "CF_PULL_REQUEST_TARGET": "main"}
_CODEBUILD = {
    **environments.CODEBUILD,
    "CODEBUILD_WEBHOOK_EVENT": "PUSH",
    "CODEBUILD_WEBHOOK_HEAD_REF": f"refs/heads/{_BRANCH}",
    "CODEBUILD_WEBHOOK_TRIGGER": f"branch/{_BRANCH}",
    "CODEBUILD_WEBHOOK_PREV_COMMIT": MERGE,
}
_CODEBUILD_CHANGE = {
    "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_UPDATED",
    "CODEBUILD_WEBHOOK_TRIGGER": "pr/12",
    "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
}
_JENKINS = {**environments.JENKINS, "GIT_BRANCH": f"origin/{_BRANCH}", "GIT_PREVIOUS_SUCCESSFUL_COMMIT": MERGE}
_CLOUD_BUILD = {**environments.CLOUD_BUILD, "BRANCH_NAME": _BRANCH}
_TEAMCITY_BRANCH = f"teamcity.build.branch={_BRANCH}\nvcsroot.branch=refs/heads/main\n"
_TEAMCITY_CHANGE = "teamcity.build.branch=pull/8\nteamcity.pullRequest.number=8\nvcsroot.branch=refs/heads/main\n"

BASE_CASES = (
    *_make_github_cases("github", {}, *_ACTIONS_ROWS),
    *_make_github_cases("gitea", GITEA, *_ACTIONS_ROWS),
    *_make_github_cases("forgejo", {**GITEA, "FORGEJO_ACTIONS": "true"}, *_ACTIONS_ROWS),
    *_make_cases(
        "gitlab",
        _GITLAB_BRANCH,
        ({}, MAIN),
        ({"CI_DEFAULT_BRANCH": ""}, CLONE_DEFAULT),
        ({"CI_DEFAULT_BRANCH": _BRANCH}, Reason.DEFAULT_BRANCH),
        ({"CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1"}, Reason.TAG),
        # The target of an open merge request is not in the variables of a pipeline for its branch.
        ({"CI_OPEN_MERGE_REQUESTS": "gitlab-org/charts/shop!7"}, UNKNOWN_MERGE_TARGET),
        (environments.GITLAB_CHANGE, MAIN),
        ({**environments.GITLAB_CHANGE, "CI_PIPELINE_SOURCE": "parent_pipeline"}, MAIN),
        ({**environments.GITLAB_CHANGE, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": TARGET}, MAIN_AND_SHA),
        ({**environments.GITLAB_CHANGE, "CI_MERGE_REQUEST_DIFF_BASE_SHA": MERGE}, MAIN),
        ({**environments.GITLAB_CHANGE, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": HOSTILE}, UNKNOWN_MERGE_TARGET),
        (_EXTERNAL_PULL_REQUEST, MAIN_AND_SHA),
        ({"CI_PIPELINE_SOURCE": "merge_request_event"}, Reason.UNKNOWN_TRIGGER),
        *(
            ({"CI_PIPELINE_SOURCE": source}, reason)
            for source, reason in (
                ("schedule", Reason.SCHEDULE),
                ("web", Reason.MANUAL),
                ("webide", Reason.MANUAL),
                ("chat", Reason.MANUAL),
                ("api", Reason.API),
                ("trigger", Reason.API),
                ("pipeline", Reason.PIPELINE),
                ("parent_pipeline", Reason.UNKNOWN_TRIGGER),
                ("ondemand_dast_scan", Reason.UNKNOWN_TRIGGER),
                (HOSTILE, Reason.UNKNOWN_TRIGGER),
                ("", Reason.UNKNOWN_TRIGGER),
            )
        ),
    ),
    *_make_cases(
        "azure",
        environments.AZURE,
        ({}, CLONE_DEFAULT),
        ({"BUILD_REASON": "BatchedCI"}, CLONE_DEFAULT),
        ({"BUILD_SOURCEBRANCH": "refs/tags/v1"}, Reason.TAG),
        (environments.AZURE_CHANGE, MAIN),
        ({**environments.AZURE_CHANGE, "SYSTEM_PULLREQUEST_TARGETBRANCH": ""}, UNKNOWN_PULL_TARGET),
        ({**environments.AZURE_CHANGE, "SYSTEM_PULLREQUEST_TARGETBRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**environments.AZURE_CHANGE, "BUILD_REASON": "Manual"}, Reason.MANUAL),
        ({"BUILD_REASON": "Schedule"}, Reason.SCHEDULE),
        ({"BUILD_REASON": "ResourceTrigger"}, Reason.PIPELINE),
        ({"BUILD_REASON": "BuildCompletion"}, Reason.PIPELINE),
        ({"BUILD_REASON": "ValidateShelveset"}, Reason.UNKNOWN_TRIGGER),
        ({"BUILD_REASON": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "bitbucket",
        environments.BITBUCKET,
        ({}, CLONE_DEFAULT),
        ({"BITBUCKET_BRANCH": "", "BITBUCKET_TAG": "v1"}, Reason.TAG),
        (_BITBUCKET_CHANGE, MAIN),
        ({**_BITBUCKET_CHANGE, "BITBUCKET_PR_DESTINATION_COMMIT": TARGET}, MAIN_AND_SHA),
        ({**_BITBUCKET_CHANGE, "BITBUCKET_PR_DESTINATION_COMMIT": TARGET[:12]}, MAIN),
        ({**_BITBUCKET_CHANGE, "BITBUCKET_PR_DESTINATION_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**_BITBUCKET_CHANGE, "BITBUCKET_PR_ID": HOSTILE}, MAIN),
        ({"BITBUCKET_BRANCH": HOSTILE}, Reason.UNKNOWN_BRANCH),
    ),
    *_make_cases(
        "buildkite",
        _BUILDKITE,
        ({}, MAIN),
        ({"BUILDKITE_PIPELINE_DEFAULT_BRANCH": _BRANCH}, Reason.DEFAULT_BRANCH),
        ({"BUILDKITE_TAG": "v1"}, Reason.TAG),
        ({"BUILDKITE_PULL_REQUEST": "12", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main"}, MAIN),
        ({"BUILDKITE_PULL_REQUEST": "12", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**_BUILDKITE_GROUP, "BUILDKITE_MERGE_QUEUE_BASE_COMMIT": TARGET}, MERGE_GROUP),
        (_BUILDKITE_GROUP, Reason.UNKNOWN_MERGE_GROUP),
        ({"BUILDKITE_SOURCE": "schedule"}, Reason.SCHEDULE),
        ({"BUILDKITE_SOURCE": "ui"}, Reason.MANUAL),
        ({"BUILDKITE_SOURCE": "api"}, Reason.API),
        ({"BUILDKITE_SOURCE": "trigger_job"}, Reason.PIPELINE),
        ({"BUILDKITE_SOURCE": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "circleci",
        environments.CIRCLE,
        ({}, CLONE_DEFAULT),
        ({"CIRCLE_BRANCH": "", "CIRCLE_TAG": "v1"}, Reason.TAG),
        ({"CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/10"}, UNKNOWN_PULL_TARGET),
        ({"CIRCLE_BRANCH": "pull/9", "CIRCLE_PR_NUMBER": "9"}, UNKNOWN_PULL_TARGET),
        ({"CIRCLE_PULL_REQUESTS": "https://a.example/1,https://a.example/2"}, UNKNOWN_PULL_TARGET),
    ),
    *_make_cases(
        "travis",
        _TRAVIS,
        ({}, CLONE_DEFAULT),
        ({"TRAVIS_TAG": "v1", "TRAVIS_BRANCH": "v1"}, Reason.TAG),
        (_TRAVIS_CHANGE, MAIN),
        ({**_TRAVIS_CHANGE, "TRAVIS_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({"TRAVIS_EVENT_TYPE": "cron"}, Reason.SCHEDULE),
        ({"TRAVIS_EVENT_TYPE": "api"}, Reason.API),
        ({"TRAVIS_EVENT_TYPE": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "appveyor",
        _APPVEYOR,
        ({}, CLONE_DEFAULT),
        ({"APPVEYOR_RE_BUILD": "True"}, CLONE_DEFAULT),
        ({"APPVEYOR_REPO_TAG": "false"}, CLONE_DEFAULT),
        ({"APPVEYOR_REPO_TAG": "true"}, Reason.TAG),
        ({"APPVEYOR_REPO_TAG_NAME": "v1"}, Reason.TAG),
        (_APPVEYOR_CHANGE, MAIN),
        ({**_APPVEYOR_CHANGE, "APPVEYOR_REPO_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**_APPVEYOR_CHANGE, "APPVEYOR_FORCED_BUILD": "True"}, Reason.MANUAL),
        ({"APPVEYOR_SCHEDULED_BUILD": "True"}, Reason.SCHEDULE),
    ),
    *_make_cases(
        "woodpecker",
        _WOODPECKER,
        ({}, MAIN),
        ({"CI_PIPELINE_EVENT": "", "CI_BUILD_EVENT": "push"}, MAIN),
        ({"CI_COMMIT_BRANCH": "main"}, Reason.DEFAULT_BRANCH),
        (_WOODPECKER_CHANGE, MAIN),
        ({**_WOODPECKER_CHANGE, "CI_COMMIT_TARGET_BRANCH": ""}, MAIN),
        ({**_WOODPECKER_CHANGE, "CI_COMMIT_TARGET_BRANCH": HOSTILE, "CI_COMMIT_BRANCH": ""}, UNKNOWN_PULL_TARGET),
        ({**_WOODPECKER_CHANGE, "CI_PIPELINE_EVENT": "pull_request_metadata"}, MAIN),
        ({**_WOODPECKER_CHANGE, "CI_PIPELINE_EVENT": "pull_request_closed"}, Reason.CLOSED_CHANGE),
        ({"CI_PIPELINE_EVENT": "cron"}, Reason.SCHEDULE),
        ({"CI_PIPELINE_EVENT": "manual"}, Reason.MANUAL),
        ({"CI_PIPELINE_EVENT": "tag"}, Reason.TAG),
        ({"CI_PIPELINE_EVENT": "release"}, Reason.RELEASE),
        ({"CI_PIPELINE_EVENT": "deployment"}, Reason.DEPLOYMENT),
        ({"CI_PIPELINE_EVENT": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "harness",
        _HARNESS,
        ({}, MAIN),
        ({"DRONE_REPO_BRANCH": _BRANCH}, Reason.DEFAULT_BRANCH),
        ({"DRONE_BUILD_EVENT": "", "CI_BUILD_EVENT": "push"}, MAIN),
        ({"DRONE_BUILD_EVENT": "tag"}, Reason.TAG),
        ({"DRONE_TAG": "v1"}, Reason.TAG),
        (_HARNESS_CHANGE, MAIN),
        ({**_HARNESS_CHANGE, "DRONE_TARGET_BRANCH": HOSTILE, "DRONE_COMMIT_BRANCH": ""}, UNKNOWN_PULL_TARGET),
        # A manual build.
        ({"DRONE_COMMIT_REF": ""}, Reason.UNKNOWN_TRIGGER),
        ({"DRONE_BUILD_EVENT": "custom"}, Reason.UNKNOWN_TRIGGER),
        ({"DRONE_BUILD_EVENT": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "drone",
        _DRONE,
        ({}, MAIN),
        ({"DRONE_BRANCH": "main"}, Reason.DEFAULT_BRANCH),
        (_DRONE_CHANGE, MAIN),
        ({**_DRONE_CHANGE, "DRONE_TARGET_BRANCH": ""}, MAIN),
        ({**_DRONE_CHANGE, "DRONE_TARGET_BRANCH": HOSTILE, "DRONE_BRANCH": ""}, UNKNOWN_PULL_TARGET),
        ({"DRONE_BUILD_EVENT": "cron"}, Reason.SCHEDULE),
        ({"DRONE_BUILD_EVENT": "custom"}, Reason.MANUAL),
        ({"DRONE_BUILD_EVENT": "tag"}, Reason.TAG),
        ({"DRONE_BUILD_EVENT": "promote"}, Reason.DEPLOYMENT),
        ({"DRONE_BUILD_EVENT": "rollback"}, Reason.DEPLOYMENT),
        ({"DRONE_BUILD_EVENT": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "semaphore",
        _SEMAPHORE,
        ({}, CLONE_DEFAULT),
        ({"SEMAPHORE_GIT_TAG_NAME": "v1"}, Reason.TAG),
        (_SEMAPHORE_CHANGE, MAIN),
        ({**_SEMAPHORE_CHANGE, "SEMAPHORE_GIT_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({"SEMAPHORE_WORKFLOW_TRIGGERED_BY_SCHEDULE": "true"}, Reason.SCHEDULE),
        ({"SEMAPHORE_WORKFLOW_TRIGGERED_BY_API": "true"}, Reason.API),
        ({"SEMAPHORE_WORKFLOW_TRIGGERED_BY_MANUAL_RUN": "true"}, Reason.MANUAL),
        ({"SEMAPHORE_WORKFLOW_TRIGGERED_BY_HOOK": "false"}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "bitrise",
        _BITRISE,
        ({}, CLONE_DEFAULT),
        ({"BITRISE_GIT_TAG": "v1"}, Reason.TAG),
        ({"BITRISE_PULL_REQUEST": "4", "BITRISEIO_GIT_BRANCH_DEST": "main"}, MAIN),
        ({"BITRISE_PULL_REQUEST": "4", "BITRISEIO_GIT_BRANCH_DEST": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({"BITRISE_TRIGGER_METHOD": "manual"}, Reason.MANUAL),
        ({"BITRISE_TRIGGER_METHOD": "schedule"}, Reason.SCHEDULE),
        ({"BITRISE_TRIGGER_METHOD": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "codefresh",
        _CODEFRESH,
        ({}, CLONE_DEFAULT),
        ({"CF_BRANCH": "v1", "CF_BASE_BRANCH": "main"}, Reason.TAG),
        ({"CF_RELEASE_TAG": "v1"}, Reason.TAG),
        (_CODEFRESH_CHANGE, MAIN),
        ({**_CODEFRESH_CHANGE, "CF_PULL_REQUEST_TARGET": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**_CODEFRESH_CHANGE, "CF_PULL_REQUEST_ACTION": "closed"}, Reason.CLOSED_CHANGE),
        ({"CF_BUILD_TRIGGER": "build"}, Reason.MANUAL),
        ({"CF_BUILD_TRIGGER": "cron"}, Reason.UNKNOWN_TRIGGER),
        ({"CF_BUILD_TRIGGER": ""}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_cases(
        "codebuild",
        _CODEBUILD,
        ({}, CLONE_DEFAULT),
        ({"CODEBUILD_WEBHOOK_HEAD_REF": "refs/tags/v1"}, Reason.TAG),
        ({"CODEBUILD_WEBHOOK_TRIGGER": "tag/v1"}, Reason.TAG),
        (_CODEBUILD_CHANGE, MAIN),
        ({**_CODEBUILD_CHANGE, "CODEBUILD_WEBHOOK_BASE_REF": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({**_CODEBUILD_CHANGE, "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_MERGED"}, Reason.CLOSED_CHANGE),
        ({**_CODEBUILD_CHANGE, "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_CLOSED"}, Reason.CLOSED_CHANGE),
        ({"CODEBUILD_WEBHOOK_EVENT": "RELEASED"}, Reason.RELEASE),
        ({"CODEBUILD_WEBHOOK_EVENT": "", "CODEBUILD_INITIATOR": "codepipeline/shop"}, Reason.PIPELINE),
        ({"CODEBUILD_WEBHOOK_EVENT": "", "CODEBUILD_INITIATOR": "rule/nightly"}, Reason.UNKNOWN_TRIGGER),
    ),
    *_make_teamcity_cases(
        (_TEAMCITY_BRANCH, MAIN),
        (f"teamcity.build.branch={_BRANCH}\n", CLONE_DEFAULT),
        ("teamcity.build.branch=<default>\nvcsroot.branch=refs/heads/main\n", Reason.DEFAULT_BRANCH),
        (f"{_TEAMCITY_BRANCH}teamcity.build.branch.is_default=true\n", Reason.DEFAULT_BRANCH),
        ("teamcity.build.branch=refs/tags/v1\nvcsroot.branch=refs/heads/main\n", Reason.TAG),
        (f"{_TEAMCITY_CHANGE}teamcity.pullRequest.target.branch=main\n", MAIN),
        (_TEAMCITY_CHANGE, UNKNOWN_PULL_TARGET),
        (f"{_TEAMCITY_BRANCH}teamcity.build.triggeredBy.username=ada\n", Reason.MANUAL),
        (f"{_TEAMCITY_BRANCH}teamcity.build.triggeredBy.username=n/a\n", MAIN),
        (f"{_TEAMCITY_BRANCH}teamcity.build.triggeredBy=Schedule Trigger\n", Reason.SCHEDULE),
        ("", Reason.UNKNOWN_BRANCH),
    ),
    *_make_cases(
        "jenkins",
        _JENKINS,
        ({}, CLONE_DEFAULT),
        ({"BRANCH_NAME": "main", "BRANCH_IS_PRIMARY": "true"}, Reason.DEFAULT_BRANCH),
        ({"TAG_NAME": "v1"}, Reason.TAG),
        ({"gitlabActionType": "TAG_PUSH"}, Reason.TAG),
        ({"CHANGE_ID": "24", "CHANGE_BRANCH": _BRANCH, "CHANGE_TARGET": "main"}, MAIN),
        ({"CHANGE_ID": "24", "CHANGE_TARGET": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({"ghprbPullId": "24", "ghprbTargetBranch": "main"}, MAIN),
        ({"gitlabMergeRequestIid": "4", "gitlabTargetBranch": "main"}, MAIN),
        # The GitLab plugin sets the pushed branch.
        ({"gitlabTargetBranch": _BRANCH}, CLONE_DEFAULT),
        ({"GIT_BRANCH": "detached"}, Reason.UNKNOWN_BRANCH),
        ({"BUILD_CAUSE_TIMERTRIGGER": "true"}, Reason.SCHEDULE),
        ({"BUILD_CAUSE_MANUALTRIGGER": "true"}, Reason.MANUAL),
        ({"BUILD_CAUSE_REMOTECAUSE": "true"}, Reason.API),
        ({"BUILD_CAUSE_UPSTREAMTRIGGER": "true"}, Reason.PIPELINE),
    ),
    *_make_cases(
        "cloudbuild",
        _CLOUD_BUILD,
        ({}, CLONE_DEFAULT),
        ({"BRANCH_NAME": "", "TAG_NAME": "v1"}, Reason.TAG),
        ({"_PR_NUMBER": "11", "_BASE_BRANCH": "main", "_HEAD_BRANCH": _BRANCH}, MAIN),
        ({"_PR_NUMBER": "11", "_BASE_BRANCH": HOSTILE}, UNKNOWN_PULL_TARGET),
        ({"BRANCH_NAME": ""}, Reason.UNKNOWN_BRANCH),
    ),
    *_make_cases("ci", {"CI": "true", "GIT_BRANCH": _BRANCH}, ({}, Reason.UNKNOWN_BRANCH)),
    *_make_cases("cli", {}, ({}, CLONE_DEFAULT), ({**_JENKINS, "AUTONOMA_CI": "cli"}, CLONE_DEFAULT)),
)
