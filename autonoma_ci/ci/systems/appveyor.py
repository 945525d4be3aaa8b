"""AppVeyor with its build facts, variables and build message.

Source: AppVeyor's documentation, "Environment variables" (facts of the build) and "Build worker API" (the agent, which
listens on the build's own machine).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, RemotePublisher
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    is_truthy,
)
from autonoma_ci.config.parsers import parse_api_base_url
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.log import format_run
from autonoma_ci.reports.outputs import omitted_variables_warning, output_variables
from autonoma_ci.reports.summary import format_headline, sort_by_severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.ci.rest.http import RestClient
    from autonoma_ci.models import Report

_MAX_MESSAGE_CHARS = 500
_MAX_LISTED_RUNS = 50


class AppVeyor(CISystem):
    """AppVeyor, with variables and a message of the build."""

    display_name = "AppVeyor"
    secrets_help = "Add {names} as encrypted values under `environment: secure`"
    secret_variables = ("APPVEYOR_*TOKEN*", "APPVEYOR_*PASSWORD*")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        `APPVEYOR_REPO_BRANCH` of a pull request is the target branch.
        """
        get = env_reader(environ)
        change_number = first_number(get("APPVEYOR_PULL_REQUEST_NUMBER"))
        sha = "APPVEYOR_PULL_REQUEST_HEAD_COMMIT" if change_number else "APPVEYOR_REPO_COMMIT"
        branch = "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH" if change_number else "APPVEYOR_REPO_BRANCH"
        return BuildContext(
            ci_name="appveyor",
            sha=first_commit(get(sha)),
            branch=first_branch(get(branch)),
            change_number=change_number,
            repository=first_repository(get("APPVEYOR_REPO_NAME")),
            build_url=first_web_url(_build_page_url(get)),
            secrets_withheld_from=find_untrusted_fork(
                get("APPVEYOR_REPO_NAME"), get("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME")
            ),
            # Jobs that run again have the same build. APPVEYOR_RE_RUN_INCOMPLETE is a flag, and no variable counts
            # attempts.
            build_id=get("APPVEYOR_BUILD_ID"),
            # The only job of a build can have no name. The number is the job's position in the build, from 1.
            job_name=first_set(environ, "APPVEYOR_JOB_NAME", "APPVEYOR_JOB_NUMBER"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        if is_truthy(environ, "APPVEYOR_SCHEDULED_BUILD"):
            return BaseFacts(NoBaseReason.SCHEDULE)
        if is_truthy(environ, "APPVEYOR_FORCED_BUILD"):
            return BaseFacts(NoBaseReason.MANUAL)
        if get("APPVEYOR_PULL_REQUEST_NUMBER"):
            return BaseFacts(is_change=True, target_branch=first_branch(get("APPVEYOR_REPO_BRANCH")))
        is_tag = is_truthy(environ, "APPVEYOR_REPO_TAG") or get("APPVEYOR_REPO_TAG_NAME")
        return BaseFacts(NoBaseReason.TAG if is_tag else None)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher for the build's agent, if its URL is known."""
        # Imports requests, which other systems and other commands do not need.
        from autonoma_ci.ci.rest.http import RestClient

        try:
            url = parse_api_base_url(context.environ.get("APPVEYOR_API_URL", ""))
            return (AppVeyorPublisher(RestClient(url, {}, context.clock), context),)
        except InputError:
            return ()


def _build_page_url(get: Callable[[str], str]) -> str:
    account, project = get("APPVEYOR_ACCOUNT_NAME"), get("APPVEYOR_PROJECT_SLUG")
    server, build = get("APPVEYOR_URL").rstrip("/"), get("APPVEYOR_BUILD_ID")
    is_complete = account and project and server and build
    return f"{server}/project/{account}/{project}/builds/{build}" if is_complete else ""


class AppVeyorPublisher(RemotePublisher):
    """Sets variables for later commands and adds a message to the build.

    It does so once, at the end of the step.
    """

    def __init__(self, client: RestClient, context: PublishContext) -> None:
        self._client, self._context = client, context

    def publish(self, report: Report) -> list[str]:
        """Send variables and message, and return warnings about missing data."""
        from autonoma_ci.ci.rest.http import RestError

        if not report.verdict:
            return []
        values = output_variables(report)
        warnings = omitted_variables_warning(report, values, "The build's variables")
        try:
            for name, text in values.items():
                self._client.request("POST", "/api/build/variables", {"name": name, "value": text})
            if self._context.wants_summary:
                message = _build_message(report, has_failed=bool(report.verdict.exit_code))
                self._client.request("POST", "/api/build/messages", message)
        except RestError as error:
            return [*warnings, f"The build's variables and messages could not be set: {error}."]
        return warnings


def _build_message(report: Report, *, has_failed: bool) -> dict[str, str]:
    runs = sort_by_severity(report.results)[:_MAX_LISTED_RUNS]
    return {
        "message": sanitize_line(f"{report.heading}: {format_headline(report)}", _MAX_MESSAGE_CHARS),
        "category": "error" if has_failed else "information",
        "details": "\n".join([*report.input_errors, *map(format_run, runs)]),
    }


SYSTEM = AppVeyor()
