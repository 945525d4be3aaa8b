"""GitLab CI/CD. Source: GitLab's documentation, "Predefined CI/CD variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, fork, reader, repository, web_url
from autonoma_ci.ci.gitlab_log import SECTIONS, job_links
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import Comments, System
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.ci.discussion import Discussion
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.secret import Secret


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job: of a merged results pipeline the source branch's tip, not the merge."""
    get = reader(environ)
    return Context(
        ci="gitlab",
        sha=commit(
            get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"),
            get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA"),
            get("CI_COMMIT_SHA"),
        ),
        branch=branch(
            get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
            get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME"),
            get("CI_COMMIT_REF_NAME"),
        ),
        change=change(
            get("CI_MERGE_REQUEST_IID"),
            get("CI_EXTERNAL_PULL_REQUEST_IID"),
            _open_request(get("CI_OPEN_MERGE_REQUESTS"), get("CI_PROJECT_PATH")),
        ),
        repository=repository(get("CI_PROJECT_PATH")),
        build_url=web_url(get("CI_PIPELINE_URL"), get("CI_JOB_URL")),
        deployment_url=web_url(get("CI_ENVIRONMENT_URL")),
        withheld=fork(get("CI_MERGE_REQUEST_PROJECT_ID"), get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")),
        # Unique in the whole instance, unlike CI_PIPELINE_IID.
        build=change(get("CI_PIPELINE_ID")),
        # GitLab counts no attempts. A retried job gets an id of its own, higher than all earlier ones.
        attempt=change(get("CI_JOB_ID")),
        # With `parallel`, GitLab adds the place to the name: `e2e 1/3`, `e2e: [linux]`.
        job=get("CI_JOB_NAME"),
    )


def _open_request(requests: str, project: str) -> str:
    """Return the number of the one open merge request of this branch into its own project.

    A pipeline of a branch has no merge request. GitLab lists those of the branch as `group/project!7`, separated by
    commas. With several of them it is unknown which one is meant.
    """
    numbers = [number for path, _, number in (each.partition("!") for each in requests.split(",")) if path == project]
    return numbers[0] if len(numbers) == 1 else ""


def _comments(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    # Loaded only where there is a comment to write.
    from autonoma_ci.ci.gitlab_notes import merge_request

    return merge_request(environ, context, token, clock)


def _attachments(environ: Mapping[str, str], folder: Path) -> str:
    project = environ.get("CI_PROJECT_DIR", "")
    inside = project and folder.absolute().is_relative_to(project)
    return folder.absolute().relative_to(project).as_posix() if inside else ""


SYSTEM = System(
    context=context,
    tokens=(
        "CI_JOB_TOKEN",
        "CI_JOB_JWT*",
        "CI_BUILD_TOKEN",
        "CI_REGISTRY_PASSWORD",
        "CI_DEPLOY_PASSWORD",
        "CI_DEPENDENCY_PROXY_PASSWORD",
        "CI_RUNNER_SHORT_TOKEN",
        "CI_FEATURE_FLAGS_UNLEASH_TOKEN",
        # These two are URLs with the job's token in them.
        "CI_REPOSITORY_URL",
        "CI_BUILD_REPO",
        "GITLAB_TOKEN",
        "GITLAB_PRIVATE_TOKEN",
        "*_ID_TOKEN",
    ),
    dialect=SECTIONS,
    files=job_links,
    attachments=_attachments,
    comments=Comments("gitlab-token", _comments),
    parallel=parallel("CI_NODE_INDEX", "CI_NODE_TOTAL", first=1),
)
