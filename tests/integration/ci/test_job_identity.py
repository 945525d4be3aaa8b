"""Identity of jobs, attempts and builds in every CI system."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.detection import detect, load_system
from autonoma_ci.ci.env import join_job_path, number_job, parse_count
from autonoma_ci.config.parsers import Shard
from tests.support import ci_environments as environments
from tests.support import github_environments
from tests.support.github_environments import GITEA, GITHUB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.models import BuildContext


@dataclass(frozen=True)
class System:
    """A job's environment, and what the system changes in it for another job, attempt or build.

    `shares_build` is false where each job is a build of its own. `job` is empty where no variable names
    the job, `retry` is empty where no variable counts attempts.
    """

    environ: Mapping[str, str]
    build: Mapping[str, str]
    job: Mapping[str, str] = dataclasses.field(default_factory=dict)
    retry: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shares_build: bool = True


_GITHUB_JOB = {"GITHUB_JOB": "lint"}
_GITHUB_RETRY = {"GITHUB_RUN_ATTEMPT": "10"}
SYSTEMS = {
    "github": System(
        GITHUB,
        build={"GITHUB_RUN_ID": "1658821494", "GITHUB_RUN_NUMBER": "4", "GITHUB_RUN_ATTEMPT": "1"},
        job=_GITHUB_JOB,
        retry=_GITHUB_RETRY,
    ),
    "gitea": System(
        {**GITHUB, **GITEA},
        build={"GITHUB_RUN_ID": "273", "GITHUB_RUN_NUMBER": "44"},
        job=_GITHUB_JOB,
        retry=_GITHUB_RETRY,
    ),
    "forgejo": System(
        {**GITHUB, **GITEA, "FORGEJO_ACTIONS": "true"},
        build={"GITHUB_RUN_ID": "273", "GITHUB_RUN_NUMBER": "44"},
        job=_GITHUB_JOB,
        retry=_GITHUB_RETRY,
    ),
    "gitlab": System(
        environments.GITLAB,
        build={"CI_PIPELINE_ID": "8", "CI_PIPELINE_IID": "3", "CI_JOB_ID": "80"},
        job={"CI_JOB_NAME": "e2e 2/3", "CI_JOB_ID": "71"},
        retry={"CI_JOB_ID": "100"},
    ),
    "circleci": System(
        environments.CIRCLE,
        build={
            "CIRCLE_WORKFLOW_ID": "1e",
            "CIRCLE_WORKFLOW_WORKSPACE_ID": "1e",
            "CIRCLE_PIPELINE_ID": "1f",
            "CIRCLE_BUILD_NUM": "840",
        },
        job={"CIRCLE_JOB": "lint", "CIRCLE_BUILD_NUM": "813", "CIRCLE_WORKFLOW_JOB_ID": "2a"},
        retry={"CIRCLE_WORKFLOW_ID": "1c", "CIRCLE_BUILD_NUM": "1000", "CIRCLE_WORKFLOW_JOB_ID": "2b"},
    ),
    "azure": System(
        environments.AZURE,
        build={"BUILD_BUILDID": "4712"},
        job={"SYSTEM_JOBNAME": "mac"},
        retry={"SYSTEM_JOBATTEMPT": "10"},
    ),
    "bitbucket": System(
        environments.BITBUCKET,
        build={"BITBUCKET_BUILD_NUMBER": "56", "BITBUCKET_PIPELINE_UUID": "{b}", "BITBUCKET_STEP_UUID": "{s}"},
        retry={"BITBUCKET_STEP_RUN_NUMBER": "2"},
    ),
    "buildkite": System(
        environments.BUILDKITE,
        build={
            "BUILDKITE_BUILD_ID": "5f",
            "BUILDKITE_BUILD_NUMBER": "1515",
            "BUILDKITE_STEP_ID": "6f",
            "BUILDKITE_JOB_ID": "7f",
        },
        job={"BUILDKITE_STEP_KEY": "lint", "BUILDKITE_STEP_ID": "6e", "BUILDKITE_JOB_ID": "7e"},
        retry={"BUILDKITE_RETRY_COUNT": "9", "BUILDKITE_JOB_ID": "7d"},
    ),
    "travis": System(
        environments.TRAVIS,
        build={"TRAVIS_BUILD_ID": "32", "TRAVIS_BUILD_NUMBER": "5", "TRAVIS_JOB_NUMBER": "5.1", "TRAVIS_JOB_ID": "320"},
        job={"TRAVIS_JOB_NAME": "lint", "TRAVIS_JOB_NUMBER": "4.2", "TRAVIS_JOB_ID": "311"},
    ),
    "appveyor": System(
        environments.APPVEYOR,
        build={"APPVEYOR_BUILD_ID": "3010", "APPVEYOR_BUILD_NUMBER": "10", "APPVEYOR_JOB_ID": "x"},
        job={"APPVEYOR_JOB_NAME": "Image: macOS", "APPVEYOR_JOB_NUMBER": "2", "APPVEYOR_JOB_ID": "y"},
    ),
    # A restart is another build: tests/unit/ci/systems/test_woodpecker.py.
    "woodpecker": System(
        environments.WOODPECKER,
        build={"CI_PIPELINE_NUMBER": "9"},
        job={"CI_STEP_NAME": "lint", "CI_STEP_NUMBER": "4"},
    ),
    "harness": System(
        environments.HARNESS,
        build={"HARNESS_EXECUTION_ID": "Uu", "HARNESS_BUILD_ID": "89", "DRONE_BUILD_NUMBER": "89"},
        job={"DRONE_STEP_NAME": "lint"},
    ),
    "drone": System(
        environments.DRONE,
        build={"DRONE_BUILD_NUMBER": "43"},
        job={"DRONE_STAGE_NAME": "other", "DRONE_STAGE_NUMBER": "2"},
    ),
    "semaphore": System(
        environments.SEMAPHORE,
        build={"SEMAPHORE_WORKFLOW_ID": "b3f2", "SEMAPHORE_PIPELINE_ID": "ea3f", "SEMAPHORE_JOB_ID": "a26e"},
        job={"SEMAPHORE_JOB_NAME": "e2e - 2/3", "SEMAPHORE_JOB_ID": "a26f"},
    ),
    "bitrise": System(
        environments.BITRISE,
        build={"BITRISEIO_PIPELINE_ID": "7", "BITRISE_BUILD_SLUG": "a0", "BITRISE_BUILD_NUMBER": "7"},
        job={"BITRISE_TRIGGERED_WORKFLOW_ID": "lint", "BITRISE_BUILD_SLUG": "a1"},
    ),
    "codefresh": System(
        environments.CODEFRESH,
        build={"CF_BUILD_ID": "6f1b"},
        job={"CF_STEP_NAME": "lint"},
        retry={"CF_CURRENT_ATTEMPT": "2"},
    ),
    "codebuild": System(
        environments.CODEBUILD,
        build={"CODEBUILD_BUILD_ID": "shop:c2", "CODEBUILD_BUILD_NUMBER": "26"},
        job={"CODEBUILD_BUILD_ID": "shop:c3", "CODEBUILD_BATCH_BUILD_IDENTIFIER": "lint"},
        shares_build=False,
    ),
    "teamcity": System(
        environments.TEAMCITY,
        build={"TEAMCITY_BUILD_PROPERTIES_FILE": "{folder}/next.properties", "BUILD_NUMBER": "20"},
        job={"TEAMCITY_BUILD_PROPERTIES_FILE": "{folder}/next.properties", "TEAMCITY_BUILDCONF_NAME": "Lint"},
        shares_build=False,
    ),
    "jenkins": System(
        environments.JENKINS,
        build={"BUILD_NUMBER": "32", "BUILD_ID": "32", "BUILD_TAG": "jenkins-acme-shop-32"},
        job={"STAGE_NAME": "Lint"},
    ),
    "cloudbuild": System(environments.CLOUD_BUILD, build={"BUILD_ID": "9c7e"}),
}
FILES = {"build.properties": environments.TEAMCITY_BUILD, "next.properties": "teamcity.build.id=4712\n"}
CASES = (*environments.JOB_CASES, *github_environments.GITHUB_JOB_CASES)
SYSTEMS_WITH_JOB_NAMES = {name: system for name, system in SYSTEMS.items() if system.job}
SYSTEMS_WITH_ATTEMPTS = {name: system for name, system in SYSTEMS.items() if system.retry}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with TeamCity's files of two builds."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def read_context(system: str, folder: Path, changes: Mapping[str, str] | None = None) -> BuildContext:
    """Read the context of a system's documented job with some variables changed."""
    environ = {**SYSTEMS[system].environ, **(changes or {})}
    environ = {name: value.replace("{folder}", str(folder)) for name, value in environ.items()}
    assert detect(environ).name == system
    return load_system(detect(environ)).build_context(environ)


def test_identity_table_covers_every_system() -> None:
    """The systems without job names, attempts or shared builds are known exceptions."""
    assert SYSTEMS.keys() == {case.expected.ci_name for case in CASES if case.expected.build_id}
    assert SYSTEMS.keys() - SYSTEMS_WITH_JOB_NAMES.keys() == {"bitbucket", "cloudbuild"}
    assert {name for name, system in SYSTEMS_WITH_JOB_NAMES.items() if not system.shares_build} == {
        "codebuild",
        "teamcity",
    }
    without_attempts = {"travis", "appveyor", "harness", "drone", "semaphore", "bitrise", "codebuild"}
    assert SYSTEMS.keys() - SYSTEMS_WITH_ATTEMPTS.keys() == {
        *without_attempts,
        "teamcity",
        "jenkins",
        "cloudbuild",
        "woodpecker",
    }


@pytest.mark.parametrize("name", SYSTEMS_WITH_JOB_NAMES)
def test_identity_two_jobs_share_build(name: str, folder: Path) -> None:
    """Two jobs have different names, and one build if the system has builds of several jobs."""
    first, second = read_context(name, folder), read_context(name, folder, SYSTEMS[name].job)
    assert first.job_name
    assert second.job_name
    assert first.job_name != second.job_name
    assert first.build_id
    assert second.build_id
    assert (first.build_id == second.build_id) is SYSTEMS[name].shares_build


@pytest.mark.parametrize("name", SYSTEMS_WITH_ATTEMPTS)
def test_identity_retry_has_higher_attempt(name: str, folder: Path) -> None:
    """A retried job has the same build and job, and its attempt is higher as a number."""
    before, after = read_context(name, folder), read_context(name, folder, SYSTEMS[name].retry)
    assert before.build_id
    assert (before.build_id, before.job_name) == (after.build_id, after.job_name)
    assert before.build_attempt.isdecimal()
    assert after.build_attempt.isdecimal()
    assert int(before.build_attempt) < int(after.build_attempt)


@pytest.mark.parametrize("name", SYSTEMS)
def test_identity_next_build_differs(name: str, folder: Path) -> None:
    """The next build has another identity, and its job has the same name."""
    before, after = read_context(name, folder), read_context(name, folder, SYSTEMS[name].build)
    assert before.build_id
    assert after.build_id
    assert before.build_id != after.build_id
    assert before.job_name == after.job_name
    assert bool(before.job_name) is (name in SYSTEMS_WITH_JOB_NAMES)


@pytest.mark.parametrize("name", sorted(SYSTEMS.keys() - SYSTEMS_WITH_ATTEMPTS.keys() - {"woodpecker"}))
def test_identity_without_count_has_no_attempt(name: str, folder: Path) -> None:
    """A flag for a re-run is no number, because a second retry would not be higher."""
    flags = ("TRAVIS_JOB_RESTARTED", "APPVEYOR_RE_BUILD", "APPVEYOR_RE_RUN_INCOMPLETE", "SEMAPHORE_JOB_RERUN")
    assert read_context(name, folder, dict.fromkeys(flags, "true")).build_attempt == ""


@pytest.mark.parametrize(
    ("name", "index", "total"),
    [
        ("circleci", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL"),
        ("buildkite", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"),
        ("harness", "HARNESS_NODE_INDEX", "HARNESS_NODE_TOTAL"),
        ("bitrise", "BITRISE_IO_PARALLEL_INDEX", "BITRISE_IO_PARALLEL_TOTAL"),
    ],
)
def test_identity_parallel_copies_differ(name: str, index: str, total: str, folder: Path) -> None:
    """Copies of one job have their index in the job name, and an invalid index gives no name."""
    single_job_name = read_context(name, folder).job_name
    copy_names = [read_context(name, folder, {index: str(number), total: "2"}).job_name for number in (0, 1)]
    assert copy_names == [f"{single_job_name} 1/2", f"{single_job_name} 2/2"]
    assert read_context(name, folder, {index: "2", total: "2"}).job_name == ""


@pytest.mark.parametrize(
    ("text", "increment", "expected"),
    [
        ("0", 0, "0"),
        ("007", 0, "7"),
        ("9", 1, "10"),
        ("9" * 18, 1, "1" + "0" * 18),
        ("9" * 19, 0, ""),
        ("", 1, ""),
        ("-1", 1, ""),
        ("1.0", 0, ""),
        ("\u0663", 0, ""),
        ("1\n", 0, ""),
    ],
)
def test_count_accepts_only_ascii_digits(text: str, increment: int, expected: str) -> None:
    """A count is a limited number of ASCII digits, so parsing it is always fast."""
    assert parse_count(text, increment) == expected


def test_job_paths_are_unique() -> None:
    """Different lists of names have different paths, and a path needs a job."""
    name_lists = [("a", "b"), ("a/b", "c"), ("a", "b/c"), ("a", "b", "c"), ("a%2Fb", "c"), ("c",)]
    assert [join_job_path(*names) for names in name_lists] == ["a/b", "a%2Fb/c", "a/b%2Fc", "a/b/c", "a%252Fb/c", "c"]
    assert join_job_path("", "b") == "b"
    assert join_job_path("a", "") == ""
    assert join_job_path("x" * 1999, "b") == ""


def test_numbered_job_has_index() -> None:
    """A single job keeps its name, and an invalid index makes the job unknown."""
    assert number_job("e2e", Shard(1, 1)) == "e2e"
    assert number_job("e2e", Shard(2, 4)) == "e2e 2/4"
    assert number_job("e2e", None) == ""
    assert number_job("", Shard(2, 4)) == ""
    assert number_job("x" * 2000, Shard(2, 4)) == ""
