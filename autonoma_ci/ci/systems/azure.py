"""Azure Pipelines. Source: Microsoft's documentation, "Use predefined variables".

Azure Pipelines' logging commands. Source: Microsoft's documentation, "Logging commands", and its agent.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.base import MIN_MASK_LENGTH, CISystem, PlainLogFormatter
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    is_truthy,
    join_job_path,
    shard_from_env,
)
from autonoma_ci.escaping import escape_azure, escape_log_line
from autonoma_ci.fs.files import os_error_reason, write_atomic
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import (
    MAX_VARIABLE_CHARS,
    is_exact_in_log,
    omitted_variables_warning,
    output_variables,
    select_accepted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import LogGroup, PublishContext
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report

# The agent keeps ten errors and ten warnings; how long one may be is not documented.
_TITLE = 60


class AzureLogFormatter(PlainLogFormatter):
    """Lines that hold `##vso[command]data`, each escaped so that it is one command and no more."""

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log."""
        if len(value) < MIN_MASK_LENGTH:
            return ()
        # Not with azure(): a mask must be the value itself, and a credential is printable ASCII.
        escaped = value.replace("%", "%AZP25").replace(";", "%3B").replace("]", "%5D")
        return (f"##vso[task.setsecret]{escaped}",)

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the line that opens a group."""
        return (f"##[group]{escape_log_line(section.title)}",)

    def end_group(self, section: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the line that closes it."""
        return ("##[endgroup]",)

    def annotation(self, level: str, problem: Diagnostic, title: str = "") -> str:
        """Return an issue of the build, at its place in a file if it has one; a notice is a line of the log."""
        if level == "notice":
            return super().annotation(level, problem, title)
        places = {"sourcepath": problem.file, "linenumber": problem.line, "columnnumber": problem.column}
        properties = "".join(f";{name}={escape_azure(str(value))}" for name, value in places.items() if value)
        # The log shows the text alone, so the place stands in it too.
        text = f"{title}: {problem}" if title else str(problem)
        return f"##vso[task.logissue type={level}{properties}]{escape_azure(text)}"


def _values(report: Report) -> Mapping[str, str]:
    # Before each step, the agent replaces `$(NAME)` in the values of variables, also by the value of a secret one.
    # Source: microsoft/azure-pipelines-agent, src/Agent.Worker/StepsRunner.cs and Variables.cs (`RecalculateExpanded`).
    return select_accepted(output_variables(report), lambda text: is_exact_in_log(text) and "$(" not in text)


class AzurePublisher:
    """Sets the outputs and uploads the summary, once the step ends."""

    def __init__(self, target: PublishContext) -> None:
        self._target = target

    def publish(self, report: Report) -> list[str]:
        """Print the commands; return what could not be written."""
        if not report.verdict:
            return []
        values = _values(report)
        lines = [
            f"##vso[task.setvariable variable={name};isOutput=true]{escape_azure(text, MAX_VARIABLE_CHARS)}"
            for name, text in values.items()
        ]
        path, warnings = self._summary(report)
        self._target.write_lines([*lines, f"##vso[task.uploadsummary]{escape_azure(path)}"] if path else lines)
        return [*omitted_variables_warning(report, values, "The output variables"), *warnings]

    def _summary(self, report: Report) -> tuple[str, list[str]]:
        folder = self._target.environ.get("AGENT_TEMPDIRECTORY", "")
        if not folder or not self._target.wants_summary:
            return "", []
        # The file's name is the heading that the page gives it, and a second one of that name would replace it.
        name = re.sub(r"[^A-Za-z0-9]+", "-", report.heading).strip("-")[:_TITLE]
        try:
            path = Path(folder).absolute() / f"{name}-{secrets.token_hex(3)}.md"
            write_atomic(path, render_summary(report, chart=False).encode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            reason = os_error_reason(error)
            return "", [f"The summary could not be written ({reason}); the log has the links."]
        return str(path), []


LOG_FORMATTER = AzureLogFormatter()


def create_publishers(target: PublishContext) -> tuple[AzurePublisher]:
    """Return the publisher of outputs and summary."""
    return (AzurePublisher(target),)


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; of a pull request, `BUILD_SOURCEVERSION` is the merge commit and not used."""
    get = env_reader(environ)
    number = first_number(get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"), get("SYSTEM_PULLREQUEST_PULLREQUESTID"))
    is_change = number or get("BUILD_REASON") == "PullRequest"
    project, name = get("SYSTEM_TEAMPROJECT"), get("BUILD_REPOSITORY_NAME")
    return BuildContext(
        ci_name="azure",
        sha=first_commit(get("SYSTEM_PULLREQUEST_SOURCECOMMITID" if is_change else "BUILD_SOURCEVERSION")),
        branch=first_branch(get("SYSTEM_PULLREQUEST_SOURCEBRANCH" if is_change else "BUILD_SOURCEBRANCH")),
        change_number=number,
        # Azure's own repositories have a bare name; the project is what owns them.
        repository=first_repository(name, f"{project}/{name}" if name else ""),
        build_url=first_web_url(_results_page(environ, get)),
        secrets_withheld_from="fork" if is_truthy(environ, "SYSTEM_PULLREQUEST_ISFORK") else "",
        # A classic release has the id of the build that it deploys, in all of its stages.
        build_id=first_number(get("BUILD_BUILDID")) if get("SYSTEM_HOSTTYPE").lower() in {"", "build"} else "",
        build_attempt=_attempt(get),
        # The names of the job's keys in the YAML file. Jobs of a matrix differ in the last, and so do slices.
        job_name=join_job_path(get("SYSTEM_STAGENAME"), get("SYSTEM_PHASENAME"), get("SYSTEM_JOBNAME")),
    )


def _attempt(get: Callable[[str], str]) -> str:
    """Return a number that grows with each attempt at the stage or job.

    Both are counted from 1, and a job of a stage that runs again may begin at 1 again. So the stage counts
    thousands. Azure DevOps Server 2019 has no stages.
    """
    stage, job = first_number(get("SYSTEM_STAGEATTEMPT")) or "0", first_number(get("SYSTEM_JOBATTEMPT"))
    return str(1000 * int(stage) + int(job)) if job else ""


def _results_page(environ: Mapping[str, str], get: Callable[[str], str]) -> str:
    collection = first_set(environ, "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")
    project, build = quote(get("SYSTEM_TEAMPROJECT"), safe=""), first_number(get("BUILD_BUILDID"))
    if not (collection and project and build):
        return ""
    return f"{collection.rstrip('/')}/{project}/_build/results?buildId={build}"


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
        "SYSTEM_ACCESSTOKEN",
        "AZURE_DEVOPS_EXT_PAT",
        "ENDPOINT_AUTH_*",
        "SECUREFILE_TICKET_*",
        "VSS_NUGET_ACCESSTOKEN",
        "VSS_NUGET_EXTERNAL_FEED_ENDPOINTS",
    ),
    log_formatter=LOG_FORMATTER,
    create_publishers=create_publishers,
    detect_shard=shard_from_env("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", first=1),
)
