"""GitLab CI/CD with its log sections, job annotations and comments.

Source:

- GitLab's documentation, "Predefined CI/CD variables" (facts of the build), "Job logs" (sections of the log),
  "Reports" (job annotations) and "artifacts:paths" (files in artifacts).
- Limits of annotations: gitlabhq/gitlabhq, app/services/ci/parse_annotations_artifact_service.rb and
  app/models/ci/job_annotation.rb. GitLab rejects a larger file, and a job that passed can fail by that.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, CommentSupport, PlainLogFormatter, Workspace
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    is_truthy,
    shard_from_env,
)
from autonoma_ci.escaping import escape_log_line, safe_url, sanitize_line, truncate
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.summary import pluralize, sort_by_severity, state_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup
    from autonoma_ci.ci.comments.rest import RestCommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.models import Report, RunResult
    from autonoma_ci.redaction.redactor import Secret

# The page of a job lists every link in a narrow column.
MAX_LINKS = 50
_MAX_LABEL_CHARS = 100
_MAX_TITLE_CHARS = 60
# The default of GitLab's limit `ci_job_annotations_size`.
MAX_JOB_LINKS_BYTES = 81_920

# Of pipelines without a base.
_REASON_BY_SOURCE = {
    "schedule": NoBaseReason.SCHEDULE,
    "web": NoBaseReason.MANUAL,
    "webide": NoBaseReason.MANUAL,
    "chat": NoBaseReason.MANUAL,
    "api": NoBaseReason.API,
    "trigger": NoBaseReason.API,
    "pipeline": NoBaseReason.PIPELINE,
}


def _open_comment_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    # Imports requests, which a job without a comment does not need.
    from autonoma_ci.ci.comments.gitlab import open_merge_request_thread

    return open_merge_request_thread(environ, context, token, clock)


class GitLabLogFormatter(PlainLogFormatter):
    """Formats groups as sections of the job log.

    Two markers with the same key enclose a section. An escape sequence hides each marker in the shown log.
    """

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the line that opens a section."""
        start = f"section_start:{log_group.started_at}:{log_group.key}"
        return (f"\x1b[0K{start}\r\x1b[0K{escape_log_line(log_group.title)}",)

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the line that closes a section."""
        return (f"\x1b[0Ksection_end:{log_group.ended_at}:{log_group.key}\r\x1b[0K",)


class GitLab(CISystem):
    """GitLab CI/CD, with sections, annotations, attachments, comments and parallel jobs."""

    display_name = "GitLab"
    change_noun = "merge request"
    secrets_help = (
        "Add {names} under Settings > CI/CD > Variables, masked. A protected variable is only for protected branches"
    )
    # Source: GitLab's documentation, "Where variables can be used".
    unset_reference = "$NAME"
    secret_variables = (
        "CI_JOB_TOKEN",
        "CI_JOB_JWT*",
        "CI_BUILD_TOKEN",
        "CI_REGISTRY_PASSWORD",
        "CI_DEPLOY_PASSWORD",
        "CI_DEPENDENCY_PROXY_PASSWORD",
        "CI_RUNNER_SHORT_TOKEN",
        "CI_FEATURE_FLAGS_UNLEASH_TOKEN",
        # These two are URLs that contain the job's token.
        "CI_REPOSITORY_URL",
        "CI_BUILD_REPO",
        "GITLAB_TOKEN",
        "GITLAB_PRIVATE_TOKEN",
        "*_ID_TOKEN",
    )
    log_formatter = GitLabLogFormatter()
    comment_support = CommentSupport("gitlab-token", _open_comment_thread)

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        In a pipeline for merged results, the commit is the tip of the source branch.
        """
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
                _find_open_merge_request(get("CI_OPEN_MERGE_REQUESTS"), get("CI_PROJECT_PATH")),
            ),
            repository=first_repository(get("CI_PROJECT_PATH")),
            build_url=first_web_url(get("CI_PIPELINE_URL"), get("CI_JOB_URL")),
            deployment_url=first_web_url(get("CI_ENVIRONMENT_URL")),
            secrets_withheld_from=find_untrusted_fork(
                get("CI_MERGE_REQUEST_PROJECT_ID"), get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
            ),
            # Unique in the complete instance, unlike CI_PIPELINE_IID.
            build_id=first_number(get("CI_PIPELINE_ID")),
            # The job's id stands for the attempt, because a retried job has a new and higher id.
            build_attempt=first_number(get("CI_JOB_ID")),
            # With `parallel`, GitLab adds the number or the matrix values to the name: `e2e 1/3`, `e2e: [linux]`.
            job_name=get("CI_JOB_NAME"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a merge request or the default branch.

        `CI_MERGE_REQUEST_DIFF_BASE_SHA` is not used. After a change of the target branch, it can be the base of the
        earlier target (gitlab.com/gitlab-org/gitlab/-/issues/442031).
        """
        get = env_reader(environ)
        match get("CI_PIPELINE_SOURCE"):
            # A child pipeline has the merge request of its parent. Without one, the trigger of the parent is unknown.
            case "merge_request_event" | "external_pull_request_event" | "parent_pipeline" if get(
                "CI_MERGE_REQUEST_IID"
            ) or get("CI_EXTERNAL_PULL_REQUEST_IID"):
                kind = "MERGE_REQUEST" if get("CI_MERGE_REQUEST_IID") else "EXTERNAL_PULL_REQUEST"
                return BaseFacts(
                    is_change=True,
                    target_branch=first_branch(get(f"CI_{kind}_TARGET_BRANCH_NAME")),
                    # A merge request has this commit only in a pipeline for merged results.
                    target_sha=first_commit(get(f"CI_{kind}_TARGET_BRANCH_SHA")),
                )
            case "push" if not get("CI_COMMIT_TAG"):
                return BaseFacts(default_branch=first_branch(get("CI_DEFAULT_BRANCH")))
            case "push":
                return BaseFacts(NoBaseReason.TAG)
            case source:
                return read_trigger(_REASON_BY_SOURCE, source)

    def extra_result_files(self, report: Report) -> Mapping[str, str]:
        """Return gitlab-annotations.json for `artifacts:reports:annotations`."""
        return render_job_links(report)

    def attachments_root(self, environ: Mapping[str, str], folder: Path) -> str:
        """Return the path of the results folder from the project folder.

        It is empty for a folder outside of the project.
        """
        project = environ.get("CI_PROJECT_DIR", "")
        # The path of the option results-dir can contain `..`.
        path = Path(os.path.normpath(folder.absolute()))
        return path.relative_to(project).as_posix() if project and path.is_relative_to(project) else ""

    def find_workspace(self, environ: Mapping[str, str]) -> Workspace | None:
        """Return the checkout of a job in a container.

        All executors except shell and ssh set CI_DISPOSABLE_ENVIRONMENT.
        """
        if not is_truthy(environ, "CI_DISPOSABLE_ENVIRONMENT"):
            return None
        return Workspace(environ.get("CI_PROJECT_DIR", ""))

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this parallel job, which GitLab counts from 1."""
        return shard_from_env("CI_NODE_INDEX", "CI_NODE_TOTAL", first=1)(environ)


def _find_open_merge_request(open_merge_requests: str, project: str) -> str:
    """Return the number of the branch's only open merge request.

    A pipeline of a branch has no merge request. GitLab lists the branch's requests as `group/project!7`, separated by
    commas. Requests into other projects do not count. With several requests, the right one is unknown.
    """
    entries = (entry.partition("!") for entry in open_merge_requests.split(","))
    numbers = [number for path, _, number in entries if path == project]
    return numbers[0] if len(numbers) == 1 else ""


def render_job_links(report: Report) -> dict[str, str]:
    """Return gitlab-annotations.json, which adds links to the job's page.

    Runs that need attention come first.
    """
    runs = [run for run in sort_by_severity(report.results) if safe_url(run.url)]
    title = truncate(sanitize_line(report.heading), _MAX_TITLE_CHARS) or "Autonoma tests"
    link_count = min(len(runs), MAX_LINKS)
    while len((text := _format_job_links(title, runs, link_count)).encode()) > MAX_JOB_LINKS_BYTES:
        link_count -= 1
    return {"gitlab-annotations.json": text}


def _format_job_links(title: str, runs: Sequence[RunResult], link_count: int) -> str:
    """Return links to the first runs, and one for all others."""
    links = [(sanitize_line(f"{state_label(run)}: {run.display_name}"), run.url) for run in runs[:link_count]]
    if rest := runs[link_count:]:
        label = f"{pluralize(len(rest), 'more run')}, beginning with: {state_label(rest[0])}"
        links.append((label, rest[0].url))
    entries = [{"external_link": {"label": truncate(label, _MAX_LABEL_CHARS), "url": url}} for label, url in links]
    return json.dumps({title: entries} if entries else {}, indent=2, ensure_ascii=False) + "\n"


SYSTEM = GitLab()
