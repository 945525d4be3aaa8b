"""GitLab CI/CD. Source: GitLab's documentation, "Predefined CI/CD variables".

GitLab's log sections and job annotations.

Source: GitLab's documentation, "Job logs" and "Reports"; gitlabhq/gitlabhq,
app/services/ci/parse_annotations_artifact_service.rb and app/models/ci/job_annotation.rb: a larger file is refused,
and a job that passed can fail by that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, CommentSupport, PlainLogFormatter
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    fork_marker,
    shard_from_env,
)
from autonoma_ci.escaping import escape_log_line, safe_url, sanitize_line, truncate
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.summary import STATE_LABELS, pluralize, sort_by_severity, state_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.ci.base import LogGroup
    from autonoma_ci.ci.comments.rest import RestCommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report, RunResult
    from autonoma_ci.redaction.redactor import Secret

# The page of a job lists every link in a narrow column. Lengths are in characters.
ANNOTATIONS_FILE, _LABEL, _SECTION = 50, 100, 60
# In bytes: the default of `ci_job_annotations_size`.
MAX_ANNOTATIONS_BYTES = 81_920


class GitLabLogFormatter(PlainLogFormatter):
    """A section is between two lines with its key; the escape sequence hides that part of the line."""

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the line that opens a section."""
        return (f"\x1b[0Ksection_start:{section.started_at}:{section.key}\r\x1b[0K{escape_log_line(section.title)}",)

    def end_group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the line that closes it."""
        return (f"\x1b[0Ksection_end:{section.ended_at}:{section.key}\r\x1b[0K",)


def render_annotations(report: Report) -> dict[str, str]:
    """Return gitlab-annotations.json: links to the runs on the page of the job, what needs a look first."""
    runs = [outcome for outcome in sort_by_severity(report.results) if safe_url(outcome.url)]
    title = truncate(sanitize_line(report.heading), _SECTION) or "Autonoma tests"
    count = min(len(runs), ANNOTATIONS_FILE)
    while len((text := _annotations(title, runs, count)).encode()) > MAX_ANNOTATIONS_BYTES:
        count -= 1
    return {"gitlab-annotations.json": text}


def _annotations(title: str, runs: Sequence[RunResult], count: int) -> str:
    """Return links to the first runs, and one that counts the others."""
    links = [(f"{state_label(run)}: {sanitize_line(run.display_name)}", run.url) for run in runs[:count]]
    if rest := runs[count:]:
        more = f"and {pluralize(len(rest), 'more run')}, from here on: {STATE_LABELS[rest[0].state]}"
        links.append((more, rest[0].url))
    entries = [{"external_link": {"label": truncate(label, _LABEL), "url": url}} for label, url in links]
    return json.dumps({title: entries} if entries else {}, indent=2, ensure_ascii=False) + "\n"


LOG_FORMATTER = GitLabLogFormatter()


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job: of a merged results pipeline the source branch's tip, not the merge."""
    get = env_reader(environ)
    return BuildContext(
        ci_name="gitlab",
        sha=first_commit(
            get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"),
            get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA"),
            get("CI_COMMIT_SHA"),
        ),
        branch=first_branch(
            get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
            get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME"),
            get("CI_COMMIT_REF_NAME"),
        ),
        change_number=first_number(
            get("CI_MERGE_REQUEST_IID"),
            get("CI_EXTERNAL_PULL_REQUEST_IID"),
            _open_request(get("CI_OPEN_MERGE_REQUESTS"), get("CI_PROJECT_PATH")),
        ),
        repository=first_repository(get("CI_PROJECT_PATH")),
        build_url=first_web_url(get("CI_PIPELINE_URL"), get("CI_JOB_URL")),
        deployment_url=first_web_url(get("CI_ENVIRONMENT_URL")),
        secrets_withheld_from=fork_marker(
            get("CI_MERGE_REQUEST_PROJECT_ID"), get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
        ),
        # Unique in the whole instance, unlike CI_PIPELINE_IID.
        build_id=first_number(get("CI_PIPELINE_ID")),
        # GitLab counts no attempts. A retried job gets an id of its own, higher than all earlier ones.
        build_attempt=first_number(get("CI_JOB_ID")),
        # With `parallel`, GitLab adds the place to the name: `e2e 1/3`, `e2e: [linux]`.
        job_name=get("CI_JOB_NAME"),
    )


def _open_request(requests: str, project: str) -> str:
    """Return the number of the one open merge request of this branch into its own project.

    A pipeline of a branch has no merge request. GitLab lists those of the branch as `group/project!7`, separated by
    commas. With several of them it is unknown which one is meant.
    """
    numbers = [number for path, _, number in (each.partition("!") for each in requests.split(",")) if path == project]
    return numbers[0] if len(numbers) == 1 else ""


def _comments(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    # Loaded only where there is a comment to write.
    from autonoma_ci.ci.comments.gitlab import open_merge_request_thread

    return open_merge_request_thread(environ, context, token, clock)


def _attachments(environ: Mapping[str, str], folder: Path) -> str:
    project = environ.get("CI_PROJECT_DIR", "")
    inside = project and folder.absolute().is_relative_to(project)
    return folder.absolute().relative_to(project).as_posix() if inside else ""


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
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
    log_formatter=LOG_FORMATTER,
    extra_result_files=render_annotations,
    attachments_root=_attachments,
    comment_support=CommentSupport("gitlab-token", _comments),
    detect_shard=shard_from_env("CI_NODE_INDEX", "CI_NODE_TOTAL", first=1),
)
