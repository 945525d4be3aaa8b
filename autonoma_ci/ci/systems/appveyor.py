"""AppVeyor. Source: AppVeyor's documentation, "Environment variables".

AppVeyor's agent, which listens on the build's own machine. Source: AppVeyor's documentation, "Build worker API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, RemotePublisher
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    fork_marker,
)
from autonoma_ci.config.parsers import parse_api_base_url
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.outputs import omitted_variables_warning, output_variables
from autonoma_ci.reports.summary import format_headline, sort_by_severity, state_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.ci.comments.http import RestClient
    from autonoma_ci.models import Report


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; of a pull request, `APPVEYOR_REPO_BRANCH` is the target."""
    get = env_reader(environ)
    number = first_number(get("APPVEYOR_PULL_REQUEST_NUMBER"))
    sha = "APPVEYOR_PULL_REQUEST_HEAD_COMMIT" if number else "APPVEYOR_REPO_COMMIT"
    head = "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH" if number else "APPVEYOR_REPO_BRANCH"
    return BuildContext(
        ci_name="appveyor",
        sha=first_commit(get(sha)),
        branch=first_branch(get(head)),
        change_number=number,
        repository=first_repository(get("APPVEYOR_REPO_NAME")),
        build_url=first_web_url(_build_page(get)),
        secrets_withheld_from=fork_marker(get("APPVEYOR_REPO_NAME"), get("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME")),
        # Jobs that run again keep the build. APPVEYOR_RE_RUN_INCOMPLETE is a flag: nothing counts the attempts.
        build_id=get("APPVEYOR_BUILD_ID"),
        # The only job of a build may have no name. The number is the job's place in the build, from 1.
        job_name=first_set(environ, "APPVEYOR_JOB_NAME", "APPVEYOR_JOB_NUMBER"),
    )


def _build_page(get: Callable[[str], str]) -> str:
    account, project = get("APPVEYOR_ACCOUNT_NAME"), get("APPVEYOR_PROJECT_SLUG")
    server, build = get("APPVEYOR_URL").rstrip("/"), get("APPVEYOR_BUILD_ID")
    complete = account and project and server and build
    return f"{server}/project/{account}/{project}/builds/{build}" if complete else ""


def create_publishers(target: PublishContext) -> Sequence[ReportPublisher]:
    """Return what speaks to the build's agent."""
    return agent(target)


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("APPVEYOR_*TOKEN*", "APPVEYOR_*PASSWORD*"),
    create_publishers=create_publishers,
)


class AppVeyorPublisher(RemotePublisher):
    """Sets variables for later commands and leaves one message with the build, once the step ends."""

    def __init__(self, web: RestClient, target: PublishContext) -> None:
        self._web, self._target = web, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what could not be done."""
        from autonoma_ci.ci.comments.http import RestError

        if not report.verdict:
            return []
        values = output_variables(report)
        warnings = omitted_variables_warning(report, values, "The build's variables")
        try:
            for name, text in values.items():
                self._web.request("POST", "/api/build/variables", {"name": name, "value": text})
            if self._target.wants_summary:
                self._web.request("POST", "/api/build/messages", _message(report, bad=bool(report.verdict.exit_code)))
        except RestError as error:
            return [*warnings, f"The build's variables and messages could not be set: {error}."]
        return warnings


def _message(report: Report, *, bad: bool) -> dict[str, str]:
    runs = [
        f"{sanitize_line(run.display_name)}: {state_label(run)} {run.url}".rstrip()
        for run in sort_by_severity(report.results)
    ]
    return {
        "message": sanitize_line(f"{report.heading}: {format_headline(report)}", 500),
        "category": "error" if bad else "information",
        "details": "\n".join([*report.input_errors, *runs[:50]]),
    }


def agent(target: PublishContext) -> tuple[AppVeyorPublisher, ...]:
    """Return the publisher, if the agent says where it is."""
    # Loads requests, which other systems and other commands do not need.
    from autonoma_ci.ci.comments.http import RestClient

    try:
        return (
            AppVeyorPublisher(
                RestClient(parse_api_base_url(target.environ.get("APPVEYOR_API_URL", "")), {}, target.clock), target
            ),
        )
    except InputError:
        return ()
