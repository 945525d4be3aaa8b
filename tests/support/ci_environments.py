"""Documented environments of CI systems, and the context that is expected from each.

`{folder}` in a value or a file is replaced by the folder of `files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.models import BuildContext, UntrustedSource
from tests.support import grammars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.grammars import LogCommand

HEAD = "c0ffee" + "0123456789" * 3 + "abcd"
MERGE = "ba5eba11" * 5
TARGET = "7a96e7" + "9876543210" * 3 + "dcba"
SHA256 = "5ca1ab1e" * 8


class ParallelVariables(NamedTuple):
    """The variables with index and number of parallel jobs. `first_index` is the index of the first job."""

    index_variable: str
    first_index: int
    count_variable: str


class LogFormat(NamedTuple):
    """The log parser of a system, and its commands for a group, an issue and a mask."""

    parse: Callable[[str], list[LogCommand]]
    group_commands: tuple[str, ...] = ()
    issue_commands: tuple[str, ...] = ()
    mask_command: str = ""


@dataclass(frozen=True)
class JobCase:
    """A job with its environment, its files and its expected context.

    `parallel` and `log` apply to the whole system. Only one of its jobs has them.
    """

    id: str
    environ: Mapping[str, str]
    expected: BuildContext
    files: Mapping[str, str] = field(default_factory=dict)
    parallel: ParallelVariables | None = None
    log: LogFormat | None = None

    def write_files(self, folder: Path) -> dict[str, str]:
        """Write the files and return the environment that points to them."""
        return write_job_files(folder, self.environ, self.files)


def write_job_files(folder: Path, environ: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """Write the files of a job and return the environment that points to them."""
    for name, text in files.items():
        path_text = format_java_property(folder) if name.endswith(".properties") else str(folder)
        (folder / name).write_text(text.replace("{folder}", path_text), "utf-8")
    return {name: value.replace("{folder}", str(folder)) for name, value in environ.items()}


def format_java_property(path: Path) -> str:
    """Return a path in the form of a Java properties file."""
    return "".join(letter if letter.isascii() else f"\\u{ord(letter):04x}" for letter in str(path))


GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": HEAD,
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_BRANCH": "main",
    "CI_PROJECT_PATH": "gitlab-org/charts/shop",
    "CI_PIPELINE_URL": "https://gitlab.example.com/gitlab-org/charts/shop/-/pipelines/7",
    "CI_JOB_URL": "https://gitlab.example.com/gitlab-org/charts/shop/-/jobs/70",
    "CI_PIPELINE_ID": "7",
    "CI_PIPELINE_IID": "2",
    "CI_JOB_ID": "70",
    "CI_JOB_NAME": "e2e 1/3",
    "CI_JOB_STAGE": "test",
    "CI_REPOSITORY_URL": "https://gitlab-ci-token:token@gitlab.example.com/gitlab-org/charts/shop.git",
}
GITLAB_URL = GITLAB["CI_PIPELINE_URL"]
GITLAB_REPO = GITLAB["CI_PROJECT_PATH"]
GITLAB_CHANGE = {
    **{name: value for name, value in GITLAB.items() if name != "CI_COMMIT_BRANCH"},
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_ID": "990017",
    "CI_MERGE_REQUEST_IID": "17",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/cart",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
    "CI_COMMIT_REF_NAME": "feature/cart",
}
CIRCLE = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_SHA1": HEAD,
    "CIRCLE_BRANCH": "feature/cart",
    "CIRCLE_PROJECT_USERNAME": "acme",
    "CIRCLE_PROJECT_REPONAME": "shop",
    "CIRCLE_REPOSITORY_URL": "git@github.com:acme/shop.git",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/shop/812",
    "CIRCLE_WORKFLOW_ID": "0f4ae9a4-6c0b-4b6d-9f6c-b1d8a1f0a111",
    "CIRCLE_WORKFLOW_WORKSPACE_ID": "2a1d2c1e-7d0a-4a52-8d57-6e2f0c9b7222",
    "CIRCLE_PIPELINE_ID": "5034460f-c7c4-4c43-9457-de07e2029e7b",
    "CIRCLE_WORKFLOW_JOB_ID": "8e2a1c34-0d53-4f0b-9a57-2f0f1f3c9333",
    "CIRCLE_BUILD_NUM": "812",
    "CIRCLE_JOB": "e2e",
    "CIRCLE_NODE_INDEX": "0",
    "CIRCLE_NODE_TOTAL": "1",
}
CIRCLE_URL = "https://app.circleci.com/pipelines/workflows/0f4ae9a4-6c0b-4b6d-9f6c-b1d8a1f0a111"
AZURE = {
    "TF_BUILD": "True",
    "BUILD_REASON": "IndividualCI",
    "BUILD_SOURCEVERSION": HEAD,
    "BUILD_SOURCEBRANCH": "refs/heads/feature/cart",
    "BUILD_SOURCEBRANCHNAME": "cart",
    "BUILD_REPOSITORY_NAME": "shop",
    "BUILD_BUILDID": "4711",
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_TEAMPROJECT": "Web Shop",
    "SYSTEM_HOSTTYPE": "build",
    "SYSTEM_STAGENAME": "Verify",
    "SYSTEM_PHASENAME": "E2E",
    "SYSTEM_JOBNAME": "linux",
    "SYSTEM_STAGEATTEMPT": "1",
    "SYSTEM_PHASEATTEMPT": "1",
    "SYSTEM_JOBATTEMPT": "1",
}
AZURE_URL = "https://dev.azure.com/acme/Web%20Shop/_build/results?buildId=4711"
AZURE_CHANGE = {
    **AZURE,
    "BUILD_REASON": "PullRequest",
    "BUILD_SOURCEVERSION": MERGE,
    "BUILD_SOURCEBRANCH": "refs/pull/23/merge",
    "BUILD_SOURCEBRANCHNAME": "merge",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "23",
    "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature/cart",
    "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main",
    "SYSTEM_PULLREQUEST_SOURCECOMMITID": HEAD,
}
BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BUILD_NUMBER": "55",
    "BITBUCKET_COMMIT": HEAD,
    "BITBUCKET_BRANCH": "feature/cart",
    "BITBUCKET_REPO_FULL_NAME": "acme/shop",
    "BITBUCKET_PIPELINE_UUID": "{a4c0cc6f-52a8-4d5c-9d8e-0a6cfa8c1444}",
    "BITBUCKET_STEP_UUID": "{fd0cc9f4-3f5a-4f6d-8a43-65ea6f1f8555}",
    "BITBUCKET_STEP_RUN_NUMBER": "1",
}
BITBUCKET_URL = "https://bitbucket.org/acme/shop/pipelines/results/55"
BUILDKITE = {
    "CI": "true",
    "BUILDKITE": "true",
    "BUILDKITE_COMMIT": HEAD,
    "BUILDKITE_BRANCH": "feature/cart",
    "BUILDKITE_PULL_REQUEST": "false",
    "BUILDKITE_REPO": "git@github.com:acme/shop.git",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/shop/builds/1514",
    "BUILDKITE_BUILD_ID": "4735ba57-80d0-46e2-8fa0-b28223a86586",
    "BUILDKITE_BUILD_NUMBER": "1514",
    "BUILDKITE_JOB_ID": "e44f9784-e20e-4b93-a21d-f41fd5869db9",
    "BUILDKITE_LABEL": ":hammer: Specs",
    "BUILDKITE_STEP_ID": "080b7d73-986d-4a39-a510-b34f9faf4710",
    "BUILDKITE_STEP_KEY": "e2e",
    "BUILDKITE_RETRY_COUNT": "0",
}
BUILDKITE_URL = BUILDKITE["BUILDKITE_BUILD_URL"]
TRAVIS = {
    "CI": "true",
    "TRAVIS": "true",
    "CONTINUOUS_INTEGRATION": "true",
    "TRAVIS_COMMIT": HEAD,
    "TRAVIS_BRANCH": "main",
    "TRAVIS_PULL_REQUEST": "false",
    "TRAVIS_PULL_REQUEST_BRANCH": "",
    "TRAVIS_PULL_REQUEST_SHA": "",
    "TRAVIS_REPO_SLUG": "acme/shop",
    "TRAVIS_BUILD_WEB_URL": "https://app.travis-ci.com/github/acme/shop/builds/31",
    "TRAVIS_BUILD_ID": "31",
    "TRAVIS_BUILD_NUMBER": "4",
    "TRAVIS_BUILD_STAGE_NAME": "Verify",
    "TRAVIS_JOB_ID": "310",
    "TRAVIS_JOB_NAME": "e2e",
    "TRAVIS_JOB_NUMBER": "4.1",
    "TRAVIS_JOB_RESTARTED": "false",
}
TRAVIS_URL = TRAVIS["TRAVIS_BUILD_WEB_URL"]
APPVEYOR = {
    "CI": "True",
    "APPVEYOR": "True",
    "APPVEYOR_URL": "https://ci.appveyor.com",
    "APPVEYOR_ACCOUNT_NAME": "acme",
    "APPVEYOR_PROJECT_SLUG": "shop-x1",
    "APPVEYOR_BUILD_ID": "3009",
    "APPVEYOR_REPO_NAME": "acme/shop",
    "APPVEYOR_REPO_BRANCH": "main",
    "APPVEYOR_REPO_COMMIT": HEAD,
    "APPVEYOR_BUILD_NUMBER": "9",
    "APPVEYOR_JOB_ID": "3nkrkwnfqxhmh8wi",
    "APPVEYOR_JOB_NAME": "Image: Ubuntu",
    "APPVEYOR_JOB_NUMBER": "1",
}
APPVEYOR_URL = "https://ci.appveyor.com/project/acme/shop-x1/builds/3009"
WOODPECKER = {
    "CI": "woodpecker",
    "CI_SYSTEM_NAME": "woodpecker",
    "CI_REPO": "acme/shop",
    "CI_COMMIT_SHA": HEAD,
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_SOURCE_BRANCH": "",
    "CI_COMMIT_PULL_REQUEST": "",
    "CI_PIPELINE_URL": "https://ci.example.com/repos/7/pipeline/8",
    "CI_PIPELINE_NUMBER": "8",
    "CI_PIPELINE_PARENT": "0",
    "CI_WORKFLOW_NAME": "verify",
    "CI_WORKFLOW_NUMBER": "1",
    "CI_STEP_NAME": "e2e",
    "CI_STEP_NUMBER": "3",
    "CI_PIPELINE_DEPLOY_TARGET": "production",
}
WOODPECKER_URL = WOODPECKER["CI_PIPELINE_URL"]
WOODPECKER_CHANGE = {"CI_COMMIT_SOURCE_BRANCH": "feature/cart", "CI_COMMIT_PULL_REQUEST": "5"}
HARNESS = {
    "DRONE": "true",
    "HARNESS_BUILD_ID": "88",
    "DRONE_COMMIT_SHA": HEAD,
    "DRONE_COMMIT_BRANCH": "main",
    "DRONE_REPO": "shop",
    "DRONE_REMOTE_URL": "https://github.com/acme/shop.git",
    "CI_BUILD_LINK": "https://app.harness.io/ng/account/a/ci/pipelines/p/executions/e",
    "HARNESS_EXECUTION_ID": "TqYcBmR0Qm2k0b1v8b2f8A",
    "HARNESS_PIPELINE_ID": "shop",
    "HARNESS_STAGE_ID": "verify",
    "DRONE_BUILD_NUMBER": "88",
    "DRONE_STAGE_NAME": "Verify the shop",
    "DRONE_STEP_NAME": "e2e",
}
HARNESS_URL = HARNESS["CI_BUILD_LINK"]
DRONE = {
    "CI": "true",
    "DRONE": "true",
    "DRONE_COMMIT_SHA": HEAD,
    "DRONE_BRANCH": "main",
    "DRONE_REPO": "acme/shop",
    "DRONE_BUILD_LINK": "https://drone.example.com/acme/shop/42",
    "DRONE_BUILD_NUMBER": "42",
    "DRONE_STAGE_NAME": "verify",
    "DRONE_STAGE_NUMBER": "1",
    "DRONE_STEP_NAME": "e2e",
    "DRONE_STEP_NUMBER": "3",
}
DRONE_URL = DRONE["DRONE_BUILD_LINK"]
SEMAPHORE = {
    "CI": "true",
    "SEMAPHORE": "true",
    "SEMAPHORE_GIT_SHA": HEAD,
    "SEMAPHORE_GIT_BRANCH": "main",
    "SEMAPHORE_GIT_WORKING_BRANCH": "main",
    "SEMAPHORE_GIT_REPO_SLUG": "acme/shop",
    "SEMAPHORE_ORGANIZATION_URL": "https://acme.semaphoreci.com",
    "SEMAPHORE_WORKFLOW_ID": "b3f1",
    "SEMAPHORE_PIPELINE_ID": "ea3e",
    "SEMAPHORE_PIPELINE_NAME": "shop",
    "SEMAPHORE_BLOCK_NAME": "Verify",
    "SEMAPHORE_JOB_ID": "a26d",
    "SEMAPHORE_JOB_NAME": "e2e - 1/3",
}
SEMAPHORE_URL = "https://acme.semaphoreci.com/workflows/b3f1"
BITRISE = {
    "CI": "true",
    "BITRISE_IO": "true",
    "BITRISE_GIT_COMMIT": HEAD,
    "BITRISE_GIT_BRANCH": "main",
    "BITRISE_PULL_REQUEST": "",
    "BITRISEIO_GIT_REPOSITORY_OWNER": "acme",
    "BITRISEIO_GIT_REPOSITORY_SLUG": "shop",
    "BITRISE_BUILD_URL": "https://app.bitrise.io/build/9f",
    "BITRISE_BUILD_SLUG": "9f",
    "BITRISE_BUILD_NUMBER": "6",
    "BITRISE_TRIGGERED_WORKFLOW_ID": "e2e",
    "BITRISEIO_PIPELINE_ID": "6f5d34b8-6a0b-4c85-8a52-52ef2c5c7666",
    "BITRISEIO_PIPELINE_TITLE": "verify",
}
BITRISE_URL = BITRISE["BITRISE_BUILD_URL"]
CODEFRESH = {
    "CI": "true",
    "CF_BUILD_ID": "6f1a",
    "CF_REVISION": HEAD,
    "CF_BRANCH": "feature/cart",
    "CF_REPO_OWNER": "acme",
    "CF_REPO_NAME": "shop",
    "CF_BUILD_URL": "https://g.codefresh.io/build/6f1a",
    "CF_STEP_NAME": "e2e",
    "CF_CURRENT_ATTEMPT": "1",
    "CF_MAX_ATTEMPTS": "3",
}
CODEFRESH_URL = CODEFRESH["CF_BUILD_URL"]
CODEBUILD = {
    "CI": "true",
    "CODEBUILD_CI": "true",
    "CODEBUILD_BUILD_ARN": "arn:aws:codebuild:eu-west-1:123456789012:build/shop:b1e6661e",
    "CODEBUILD_BUILD_ID": "shop:b1e6661e",
    "CODEBUILD_BUILD_NUMBER": "25",
    "CODEBUILD_BATCH_BUILD_IDENTIFIER": "e2e",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": HEAD,
    "CODEBUILD_SOURCE_VERSION": "refs/heads/main^{commit}",
    "CODEBUILD_SOURCE_REPO_URL": "https://github.com/acme/shop.git",
    "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/main",
    "CODEBUILD_WEBHOOK_TRIGGER": "branch/main",
    "CODEBUILD_BUILD_URL": "https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/shop:b1e6661e",
}
CODEBUILD_URL = CODEBUILD["CODEBUILD_BUILD_URL"]
TEAMCITY = {
    "TEAMCITY_VERSION": "2024.12 (build 174331)",
    "BUILD_NUMBER": "19",
    "BUILD_VCS_NUMBER": HEAD,
    "BUILD_URL": "https://teamcity.example.com/build/19",
    "TEAMCITY_BUILD_PROPERTIES_FILE": "{folder}/build.properties",
    "TEAMCITY_PROJECT_NAME": "Shop",
    "TEAMCITY_BUILDCONF_NAME": "E2E",
}
TEAMCITY_URL = TEAMCITY["BUILD_URL"]
TEAMCITY_BUILD = (
    "#TeamCity build properties\nteamcity.build.id=4711\n"
    "teamcity.configuration.properties.file={folder}/config.properties\n"
)
JENKINS = {
    "CI": "true",
    "JENKINS_HOME": "/var/jenkins_home",
    "JENKINS_URL": "https://jenkins.example.com/",
    "JOB_NAME": "acme/shop",
    "STAGE_NAME": "E2E",
    "BUILD_TAG": "jenkins-acme-shop-31",
    "BUILD_NUMBER": "31",
    "BUILD_ID": "31",
    "BUILD_URL": "https://jenkins.example.com/job/acme/job/shop/31/",
    "GIT_COMMIT": HEAD,
    "GIT_BRANCH": "origin/main",
    "GIT_URL": "https://bot:secret@git.example.com/acme/shop.git",
}
JENKINS_URL = JENKINS["BUILD_URL"]
CLOUD_BUILD = {
    "LOCATION": "europe-west1",
    "PROJECT_NUMBER": "42",
    "PROJECT_ID": "acme-ci",
    "BUILD_ID": "9c7d",
    "COMMIT_SHA": HEAD,
    "BRANCH_NAME": "main",
    "REPO_FULL_NAME": "acme/shop",
}
CLOUD_BUILD_URL = "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/9c7d?project=acme-ci"


class Identity(NamedTuple):
    """The expected build, attempt and job of a system's documented environment."""

    build_id: str = ""
    build_attempt: str = ""
    job_name: str = ""


IDENTITIES = {
    "gitlab": Identity("7", "70", "e2e 1/3"),
    "circleci": Identity("2a1d2c1e-7d0a-4a52-8d57-6e2f0c9b7222", "812", "e2e"),
    "azure": Identity("4711", "1001", "Verify/E2E/linux"),
    "bitbucket": Identity("{a4c0cc6f-52a8-4d5c-9d8e-0a6cfa8c1444}", "1"),
    "buildkite": Identity("4735ba57-80d0-46e2-8fa0-b28223a86586", "1", "e2e/:hammer: Specs"),
    "travis": Identity("31", "", "Verify/e2e"),
    "appveyor": Identity("3009", "", "Image: Ubuntu"),
    "woodpecker": Identity("8", "1", "verify/e2e"),
    "harness": Identity("TqYcBmR0Qm2k0b1v8b2f8A", "", "verify/e2e"),
    "drone": Identity("42", "", "verify/e2e"),
    "semaphore": Identity("b3f1", "", "shop/Verify/e2e - 1%2F3"),
    "bitrise": Identity("6f5d34b8-6a0b-4c85-8a52-52ef2c5c7666", "", "e2e"),
    "codefresh": Identity("6f1a", "1", "e2e"),
    "codebuild": Identity("shop:b1e6661e", "", "e2e"),
    "teamcity": Identity("4711", "", "E2E"),
    "jenkins": Identity("acme/shop#31", "", "E2E"),
    "cloudbuild": Identity("9c7d"),
}


def _make_context(ci: str, build_url: str = "", **facts: Any) -> BuildContext:
    """Return the usual context: the head of the main branch of acme/shop."""
    default_facts = {"sha": HEAD, "branch": "main", "repository": "acme/shop"}
    identity = IDENTITIES.get(ci, Identity())._asdict()
    return BuildContext(ci_name=ci, build_url=build_url, **{**default_facts, **identity, **facts})


_FEATURE: dict[str, Any] = {"branch": "feature/cart"}


def make_push_and_change_cases(
    environ: Mapping[str, str],
    expected: BuildContext,
    change: str,
    change_environ: Mapping[str, str],
    parallel: ParallelVariables | None = None,
    log: LogFormat | None = None,
) -> tuple[JobCase, JobCase]:
    """Return a push to the main branch, and the same job for a change request of this number from feature/cart."""
    change_context = expected._replace(change_number=change, **_FEATURE)
    return (
        JobCase(f"{expected.ci_name}-push", environ, expected, parallel=parallel, log=log),
        JobCase(f"{expected.ci_name}-change-request", {**environ, **change_environ}, change_context),
    )


JOB_CASES = (
    JobCase(
        "gitlab-branch",
        GITLAB,
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO),
        parallel=ParallelVariables("CI_NODE_INDEX", 1, "CI_NODE_TOTAL"),
        log=LogFormat(grammars.find_gitlab_sections, ("section_start", "section_end")),
    ),
    JobCase(
        "gitlab-merge-request",
        GITLAB_CHANGE,
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO, change_number="17", **_FEATURE),
    ),
    JobCase(
        "gitlab-merged-results-pipeline-has-a-merge-commit",
        {
            **GITLAB_CHANGE,
            "CI_COMMIT_SHA": MERGE,
            "CI_COMMIT_REF_NAME": "refs/merge-requests/17/merge",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
        },
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO, change_number="17", **_FEATURE),
    ),
    JobCase(
        "gitlab-external-pull-request",
        {
            **GITLAB,
            "CI_EXTERNAL_PULL_REQUEST_IID": "3",
            "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME": "feature/cart",
            "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA": HEAD,
        },
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO, change_number="3", **_FEATURE),
    ),
    # Source: GitLab's documentation, "Predefined CI/CD variables", CI_OPEN_MERGE_REQUESTS.
    *(
        JobCase(
            f"gitlab-branch-with-{name}",
            {**GITLAB, "CI_OPEN_MERGE_REQUESTS": requests},
            _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO, change_number=change),
        )
        for name, requests, change in (
            ("one-open-request", f"{GITLAB_REPO}!17", "17"),
            ("one-here-and-one-elsewhere", f"{GITLAB_REPO}-foss!3,{GITLAB_REPO}!17", "17"),
            ("two-open-requests", f"{GITLAB_REPO}!17,{GITLAB_REPO}!18", ""),
            ("a-request-elsewhere", f"upstream/{GITLAB_REPO}!17", ""),
            ("no-number", f"{GITLAB_REPO}!,{GITLAB_REPO}", ""),
            ("another-text", f"{GITLAB_REPO}!17 !18", ""),
        )
    ),
    JobCase(
        "gitlab-tag-with-a-review-app",
        {
            **GITLAB,
            "CI_COMMIT_REF_NAME": "v1.10",
            "CI_COMMIT_TAG": "v1.10",
            "CI_ENVIRONMENT_URL": "https://user:pass@review.example.com/shop",
        },
        _make_context(
            "gitlab",
            GITLAB_URL,
            repository=GITLAB_REPO,
            branch="v1.10",
            deployment_url="https://review.example.com/shop",
        ),
    ),
    JobCase(
        "gitlab-repository-with-sha256-hashes",
        {**GITLAB, "CI_COMMIT_SHA": SHA256},
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO, sha=SHA256),
    ),
    JobCase(
        "gitlab-environment-url-that-no-browser-may-follow",
        {**GITLAB, "CI_ENVIRONMENT_URL": "javascript:alert(1)"},
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO),
    ),
    JobCase(
        "circleci-branch",
        CIRCLE,
        _make_context("circleci", CIRCLE_URL, **_FEATURE),
        parallel=ParallelVariables("CIRCLE_NODE_INDEX", 0, "CIRCLE_NODE_TOTAL"),
    ),
    JobCase(
        "circleci-pull-request",
        {**CIRCLE, "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/9"},
        _make_context("circleci", CIRCLE_URL, change_number="9", **_FEATURE),
    ),
    JobCase(
        "circleci-pull-request-of-a-fork-has-no-branch-name",
        {
            **CIRCLE,
            "CIRCLE_BRANCH": "pull/9",
            "CIRCLE_PR_NUMBER": "9",
            "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/9",
        },
        _make_context("circleci", CIRCLE_URL, change_number="9", branch="", secrets_withheld_from=UntrustedSource.FORK),
    ),
    JobCase(
        "circleci-server-of-ones-own-without-the-deprecated-names",
        {
            "CIRCLECI": "true",
            "CIRCLE_SHA1": HEAD,
            "CIRCLE_TAG": "v2",
            "CIRCLE_REPOSITORY_URL": "git@gitlab.example.com:acme/shop.git",
            "CIRCLE_WORKFLOW_ID": "0f4a",
            "CIRCLE_BUILD_URL": "https://circle.example.com/gh/acme/shop/4",
        },
        _make_context(
            "circleci",
            "https://circle.example.com/gh/acme/shop/4",
            branch="v2",
            build_id="0f4a",
            build_attempt="",
            job_name="",
        ),
    ),
    JobCase(
        "azure-branch-of-azure-repos",
        AZURE,
        _make_context("azure", AZURE_URL, repository="Web Shop/shop", **_FEATURE),
        parallel=ParallelVariables("SYSTEM_JOBPOSITIONINPHASE", 1, "SYSTEM_TOTALJOBSINPHASE"),
        log=LogFormat(grammars.find_azure_commands, ("group", "endgroup"), ("task.logissue",), "task.setsecret"),
    ),
    JobCase(
        "azure-pull-request-builds-a-merge-commit",
        AZURE_CHANGE,
        _make_context("azure", AZURE_URL, repository="Web Shop/shop", change_number="23", **_FEATURE),
    ),
    JobCase(
        "azure-pull-request-of-github-has-two-numbers",
        {
            **AZURE_CHANGE,
            "BUILD_REPOSITORY_NAME": "acme/shop",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "998877665",
            "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER": "23",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "feature/cart",
        },
        _make_context("azure", AZURE_URL, change_number="23", **_FEATURE),
    ),
    JobCase(
        "azure-pull-request-whose-head-is-unknown",
        {
            **AZURE,
            "BUILD_REASON": "PullRequest",
            "BUILD_SOURCEVERSION": MERGE,
            "BUILD_SOURCEBRANCH": "refs/pull/23/merge",
        },
        _make_context("azure", AZURE_URL, repository="Web Shop/shop", sha="", branch=""),
    ),
    JobCase(
        "azure-server-with-the-older-name-of-the-collection",
        {
            **{name: value for name, value in AZURE.items() if name != "SYSTEM_COLLECTIONURI"},
            "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "http://tfs.example.com:8080/tfs/Main/",
        },
        _make_context(
            "azure",
            "http://tfs.example.com:8080/tfs/Main/Web%20Shop/_build/results?buildId=4711",
            repository="Web Shop/shop",
            **_FEATURE,
        ),
    ),
    JobCase(
        "bitbucket-branch",
        BITBUCKET,
        _make_context("bitbucket", BITBUCKET_URL, **_FEATURE),
        parallel=ParallelVariables("BITBUCKET_PARALLEL_STEP", 0, "BITBUCKET_PARALLEL_STEP_COUNT"),
    ),
    JobCase(
        "bitbucket-pull-request-with-a-short-commit-hash",
        {**BITBUCKET, "BITBUCKET_COMMIT": HEAD[:12], "BITBUCKET_PR_ID": "6"},
        _make_context("bitbucket", BITBUCKET_URL, sha="", change_number="6", **_FEATURE),
    ),
    JobCase(
        "bitbucket-tag",
        {**{n: v for n, v in BITBUCKET.items() if n != "BITBUCKET_BRANCH"}, "BITBUCKET_TAG": "v3"},
        _make_context("bitbucket", BITBUCKET_URL, branch="v3"),
    ),
    JobCase(
        "buildkite-branch",
        BUILDKITE,
        _make_context("buildkite", BUILDKITE_URL, **_FEATURE),
        parallel=ParallelVariables("BUILDKITE_PARALLEL_JOB", 0, "BUILDKITE_PARALLEL_JOB_COUNT"),
        log=LogFormat(grammars.find_buildkite_headings, ("+++",)),
    ),
    JobCase(
        "buildkite-pull-request",
        {**BUILDKITE, "BUILDKITE_PULL_REQUEST": "123"},
        _make_context("buildkite", BUILDKITE_URL, change_number="123", **_FEATURE),
    ),
    JobCase(
        "buildkite-build-by-hand-of-head",
        {**BUILDKITE, "BUILDKITE_COMMIT": "HEAD", "BUILDKITE_BRANCH": "HEAD"},
        _make_context("buildkite", BUILDKITE_URL, sha="", branch=""),
    ),
    # Here as in most of the following, the usual variables name the target branch or a merge commit.
    *make_push_and_change_cases(
        TRAVIS,
        _make_context("travis", TRAVIS_URL),
        "12",
        {
            "TRAVIS_COMMIT": MERGE,
            "TRAVIS_PULL_REQUEST": "12",
            "TRAVIS_PULL_REQUEST_BRANCH": "feature/cart",
            "TRAVIS_PULL_REQUEST_SHA": HEAD,
        },
        log=LogFormat(grammars.find_travis_folds, ("fold:start", "fold:end")),
    ),
    # On Linux the flag is in small letters.
    *make_push_and_change_cases(
        APPVEYOR,
        _make_context("appveyor", APPVEYOR_URL),
        "44",
        {
            "CI": "true",
            "APPVEYOR": "true",
            "APPVEYOR_REPO_COMMIT": MERGE,
            "APPVEYOR_PULL_REQUEST_NUMBER": "44",
            "APPVEYOR_PULL_REQUEST_HEAD_COMMIT": HEAD,
            "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH": "feature/cart",
        },
    ),
    *make_push_and_change_cases(WOODPECKER, _make_context("woodpecker", WOODPECKER_URL), "5", WOODPECKER_CHANGE),
    JobCase(
        "woodpecker-plugin-has-drone-variables-too",
        {
            **WOODPECKER,
            **WOODPECKER_CHANGE,
            "DRONE_COMMIT_SHA": MERGE,
            "DRONE_BRANCH": "main",
            "DRONE_REPO": "other/name",
        },
        _make_context("woodpecker", WOODPECKER_URL, change_number="5", **_FEATURE),
    ),
    JobCase(
        "woodpecker-before-1.0",
        {
            **{n: v for n, v in WOODPECKER.items() if not n.startswith(("CI_PIPELINE_", "CI_WORKFLOW_", "CI_STEP_"))},
            "CI": "true",
            "CI_BUILD_NUMBER": "8",
            "CI_BUILD_LINK": "https://ci.example.com/acme/shop/build/8",
        },
        _make_context("woodpecker", "https://ci.example.com/acme/shop/build/8", job_name=""),
    ),
    JobCase(
        "harness-push-with-drone-variables",
        HARNESS,
        _make_context("harness", HARNESS_URL),
        parallel=ParallelVariables("HARNESS_NODE_INDEX", 0, "HARNESS_NODE_TOTAL"),
    ),
    JobCase(
        "harness-pull-request-of-bitbucket-has-a-short-commit-hash",
        {
            **HARNESS,
            "DRONE_COMMIT_SHA": HEAD[:12],
            "DRONE_PULL_REQUEST": "61",
            "DRONE_SOURCE_BRANCH": "feature/cart",
            "DRONE_TARGET_BRANCH": "main",
        },
        _make_context("harness", HARNESS_URL, sha="", change_number="61", **_FEATURE),
    ),
    *make_push_and_change_cases(
        DRONE,
        _make_context("drone", DRONE_URL),
        "14",
        {"DRONE_PULL_REQUEST": "14", "DRONE_SOURCE_BRANCH": "feature/cart"},
    ),
    *make_push_and_change_cases(
        SEMAPHORE,
        _make_context("semaphore", SEMAPHORE_URL),
        "2",
        {
            "SEMAPHORE_GIT_SHA": MERGE,
            "SEMAPHORE_GIT_PR_SHA": HEAD,
            "SEMAPHORE_GIT_PR_NUMBER": "2",
            "SEMAPHORE_GIT_PR_BRANCH": "feature/cart",
            "SEMAPHORE_GIT_WORKING_BRANCH": "feature/cart",
        },
        parallel=ParallelVariables("SEMAPHORE_JOB_INDEX", 1, "SEMAPHORE_JOB_COUNT"),
    ),
    *make_push_and_change_cases(
        BITRISE,
        _make_context("bitrise", BITRISE_URL),
        "7",
        {
            "BITRISE_GIT_BRANCH": "feature/cart",
            "BITRISEIO_GIT_BRANCH_DEST": "main",
            "BITRISE_PULL_REQUEST": "7",
            "GIT_CLONE_COMMIT_HASH": MERGE,
        },
    ),
    JobCase(
        "bitrise-build-by-hand-knows-its-commit-from-the-clone",
        {**BITRISE, "BITRISE_GIT_COMMIT": "", "GIT_CLONE_COMMIT_HASH": HEAD},
        _make_context("bitrise", BITRISE_URL),
    ),
    JobCase("codefresh-push", CODEFRESH, _make_context("codefresh", CODEFRESH_URL, **_FEATURE)),
    JobCase(
        "codefresh-pull-request",
        {**CODEFRESH, "CF_PULL_REQUEST_NUMBER": "3", "CF_PULL_REQUEST_TARGET": "main"},
        _make_context("codefresh", CODEFRESH_URL, change_number="3", **_FEATURE),
    ),
    JobCase("codebuild-push", CODEBUILD, _make_context("codebuild", CODEBUILD_URL)),
    JobCase(
        "codebuild-pull-request",
        {
            **CODEBUILD,
            "CODEBUILD_SOURCE_VERSION": "pr/27",
            "CODEBUILD_WEBHOOK_TRIGGER": "pr/27",
            "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/feature/cart",
            "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
            "CODEBUILD_PUBLIC_BUILD_URL": "https://eu-west-1.codebuild.aws.amazon.com/project/x",
        },
        _make_context(
            "codebuild", "https://eu-west-1.codebuild.aws.amazon.com/project/x", change_number="27", **_FEATURE
        ),
    ),
    JobCase(
        "codebuild-of-a-bucket-has-no-repository",
        {
            "CODEBUILD_BUILD_ID": "shop:b1e6661e",
            "CODEBUILD_SOURCE_REPO_URL": "bucket/source.zip",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": "fa4KzY5Gx1rJYtYcd5kDzHmUlLw5mc3n",
        },
        BuildContext(ci_name="codebuild", build_id="shop:b1e6661e"),
    ),
    JobCase(
        "teamcity-main-branch",
        TEAMCITY,
        _make_context("teamcity", TEAMCITY_URL),
        {
            "build.properties": TEAMCITY_BUILD,
            "config.properties": "teamcity.build.branch=<default>\nvcsroot.branch=refs/heads/main\n"
            "vcsroot.url=https\\://bot\\:pass@github.com/acme/shop.git\n",
        },
        log=LogFormat(grammars.find_teamcity_messages, ("blockOpened", "blockClosed"), ("message",)),
    ),
    JobCase(
        "teamcity-pull-request",
        TEAMCITY,
        _make_context("teamcity", TEAMCITY_URL, change_number="8", **_FEATURE),
        {
            "build.properties": TEAMCITY_BUILD,
            "config.properties": "teamcity.build.branch=pull/8\nteamcity.pullRequest.number=8\n"
            "teamcity.pullRequest.source.branch : feature/\\\n    cart\n"
            "vcsroot.branch=refs/heads/main\nvcsroot.url git@github.com\\:acme/shop.git\n",
        },
    ),
    JobCase(
        "teamcity-pull-request-of-a-fork-without-the-build-feature",
        TEAMCITY,
        _make_context("teamcity", TEAMCITY_URL, change_number="8", branch="", repository=""),
        {
            "build.properties": TEAMCITY_BUILD,
            "config.properties": "teamcity.build.branch=pull/8\nvcsroot.branch=refs/heads/main\n",
        },
    ),
    JobCase(
        "teamcity-with-one-named-root-and-no-files",
        {"TEAMCITY_VERSION": "2023.05", "BUILD_VCS_NUMBER_Shop_Main": HEAD, "TEAMCITY_BUILD_PROPERTIES_FILE": "/none"},
        BuildContext(ci_name="teamcity", sha=HEAD),
    ),
    JobCase(
        "teamcity-with-two-roots-has-no-commit",
        {"TEAMCITY_VERSION": "2023.05", "BUILD_VCS_NUMBER_A": HEAD, "BUILD_VCS_NUMBER_B": MERGE},
        BuildContext(ci_name="teamcity"),
    ),
    JobCase("jenkins-branch-with-a-password-in-the-clone-url", JENKINS, _make_context("jenkins", JENKINS_URL)),
    JobCase(
        "jenkins-multibranch-pull-request",
        {
            **JENKINS,
            "BRANCH_NAME": "PR-24",
            "GIT_BRANCH": "PR-24",
            "CHANGE_ID": "24",
            "CHANGE_BRANCH": "feature/cart",
            "CHANGE_TARGET": "main",
            "RUN_DISPLAY_URL": "https://jenkins.example.com/blue/shop/24",
        },
        _make_context("jenkins", "https://jenkins.example.com/blue/shop/24", change_number="24", **_FEATURE),
    ),
    JobCase(
        "jenkins-pull-request-builder-plugin",
        {
            **JENKINS,
            "GIT_COMMIT": MERGE,
            "GIT_BRANCH": "detached",
            "ghprbActualCommit": HEAD,
            "ghprbPullId": "24",
            "ghprbSourceBranch": "feature/cart",
        },
        _make_context("jenkins", JENKINS_URL, change_number="24", **_FEATURE),
    ),
    JobCase(
        "jenkins-gitlab-plugin",
        {
            **JENKINS,
            "GIT_COMMIT": MERGE,
            "gitlabMergeRequestLastCommit": HEAD,
            "gitlabMergeRequestIid": "4",
            "gitlabSourceBranch": "feature/cart",
        },
        _make_context("jenkins", JENKINS_URL, change_number="4", **_FEATURE),
    ),
    JobCase(
        "jenkins-without-a-root-url",
        {
            "JENKINS_HOME": "/var/jenkins_home",
            "BUILD_TAG": "jenkins-shop-31",
            "GIT_COMMIT": HEAD,
            "GIT_BRANCH": "PR-24",
        },
        BuildContext(ci_name="jenkins", sha=HEAD),
    ),
    *make_push_and_change_cases(
        CLOUD_BUILD,
        _make_context("cloudbuild", CLOUD_BUILD_URL),
        "11",
        {"_HEAD_BRANCH": "feature/cart", "_BASE_BRANCH": "main", "_PR_NUMBER": "11"},
    ),
    JobCase(
        "cloud-build-without-substitutions", {"BUILDER_OUTPUT": "/builder/outputs"}, BuildContext(ci_name="cloudbuild")
    ),
    JobCase("unknown-system", {"CI": "true", "GIT_COMMIT": HEAD}, BuildContext(ci_name="ci")),
    JobCase("unknown-system-with-a-name", {"CI": "vercel", "VERCEL": "1"}, BuildContext(ci_name="ci")),
    JobCase("unknown-system-that-numbers-its-builds", {"BUILD_NUMBER": "5"}, BuildContext(ci_name="ci")),
    JobCase("unknown-system-of-long-ago", {"CONTINUOUS_INTEGRATION": "true", "CI": ""}, BuildContext(ci_name="ci")),
    JobCase("not-ci-by-convention", {"CI": "false", "BUILD_NUMBER": "5"}, BuildContext(ci_name="cli")),
    JobCase(
        "ones-own-machine", {"HOME": "/home/me", "BUILD_ID": "x", "PROJECT_ID": "acme"}, BuildContext(ci_name="cli")
    ),
    # Nested and misleading ones.
    JobCase(
        "ci-false-turns-off-no-system-that-is-known",
        {**GITLAB, "CI": "false"},
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO),
    ),
    JobCase(
        "gitlab-runner-on-a-leaking-jenkins-agent",
        {**JENKINS, **GITLAB},
        _make_context("gitlab", GITLAB_URL, repository=GITLAB_REPO),
    ),
    JobCase(
        "buildkite-agent-on-codebuild",
        {**CODEBUILD, **BUILDKITE},
        _make_context("buildkite", BUILDKITE_URL, **_FEATURE),
    ),
    JobCase(
        "teamcity-and-jenkins-share-names",
        {**JENKINS, **TEAMCITY},
        BuildContext("teamcity", HEAD, build_url=TEAMCITY_URL, job_name="E2E"),
    ),
    JobCase("codebuild-started-by-jenkins", {**JENKINS, **CODEBUILD}, _make_context("codebuild", CODEBUILD_URL)),
    JobCase("shippable-with-travis-variables", {**TRAVIS, "SHIPPABLE": "true"}, BuildContext(ci_name="ci")),
    JobCase(
        "circleci-switched-off-inside-jenkins", {**JENKINS, "CIRCLECI": "false"}, _make_context("jenkins", JENKINS_URL)
    ),
    JobCase("cloudflare-pages-is-not-codefresh", {"CI": "true", "CF_PAGES": "1"}, BuildContext(ci_name="ci")),
    JobCase("override-wins", {**JENKINS, "AUTONOMA_CI": "Drone"}, BuildContext(ci_name="drone")),
    JobCase("override-to-none", {**JENKINS, "AUTONOMA_CI": "cli"}, BuildContext(ci_name="cli")),
    JobCase("override-to-generic", {**GITLAB, "AUTONOMA_CI": " ci "}, BuildContext(ci_name="ci")),
    JobCase(
        "zero-commit-of-a-deleted-branch",
        {**DRONE, "DRONE_COMMIT_SHA": "0" * 40},
        _make_context("drone", DRONE_URL, sha=""),
    ),
)
