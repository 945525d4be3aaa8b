"""Code hosts of jobs that publish comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.support.rest_stubs import CodeHostStub, GitHub, GitLab

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Service(NamedTuple):
    """A code host with its stub server and the variables of a job on it."""

    name: str
    host: Callable[[], CodeHostStub]
    environ: Mapping[str, str]
    address: str
    token: str
    somebody: object


SERVICES = (
    Service(
        "github",
        GitHub,
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
            "GITHUB_SERVER_URL": "https://git.example.com",
            "GITHUB_RUN_ID": "500",
        },
        "GITHUB_API_URL",
        "AUTONOMA_GITHUB_TOKEN",
        {"login": "mallory", "type": "User"},
    ),
    Service(
        "gitlab",
        GitLab,
        {
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_IID": "17",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_PROJECT_ID": "43",
            "CI_PIPELINE_ID": "500",
            "CI_PIPELINE_URL": "https://git.example.com/acme/shop/-/pipelines/500",
        },
        "CI_API_V4_URL",
        "AUTONOMA_GITLAB_TOKEN",
        {"id": 8, "username": "mallory"},
    ),
)
