"""Azure Pipelines with its logging commands, output variables and summary.

Source: Microsoft's documentation, "Use predefined variables" (facts of the build) and "Logging commands" (log, outputs
and summary), and the source code of its agent.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.base import MIN_MASK_LENGTH, CISystem, PlainLogFormatter
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
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
from autonoma_ci.models import BuildContext, UntrustedSource
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import (
    MAX_VARIABLE_CHARS,
    is_exact_in_log,
    omitted_variables_warning,
    output_variables,
    select_accepted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup, PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report

# Of the summary's file name, in characters.
_MAX_FILE_TITLE_CHARS = 60

# Of builds without a base.
_REASON_BY_TRIGGER = {
    "Schedule": NoBaseReason.SCHEDULE,
    "Manual": NoBaseReason.MANUAL,
    "ResourceTrigger": NoBaseReason.PIPELINE,
    "BuildCompletion": NoBaseReason.PIPELINE,
}


class AzureLogFormatter(PlainLogFormatter):
    """Formats logging commands, which are lines that contain `##vso[command]data`.

    Data is escaped, so that each line has exactly one command.
    """

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log."""
        if len(value) < MIN_MASK_LENGTH:
            return ()
        # Not with escape_azure, because a mask must be the exact value. A credential is printable ASCII.
        escaped = value.replace("%", "%AZP25").replace(";", "%3B").replace("]", "%5D")
        return (f"##vso[task.setsecret]{escaped}",)

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the line that opens a group."""
        return (f"##[group]{escape_log_line(log_group.title)}",)

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the line that closes a group."""
        return ("##[endgroup]",)

    def annotation(self, level: str, diagnostic: Diagnostic, title: str = "") -> str:
        """Return the command for an issue of the build.

        A notice is a plain line of the log, because Azure has only errors and warnings. The agent stores ten of each.
        It does not document how long one can be.
        """
        if level == "notice":
            return super().annotation(level, diagnostic, title)
        position = {
            "sourcepath": diagnostic.file,
            "linenumber": diagnostic.line,
            "columnnumber": diagnostic.column,
        }
        properties = "".join(f";{name}={escape_azure(str(value))}" for name, value in position.items() if value)
        # The log shows only the text, so the text has the position too.
        text = f"{title}: {diagnostic}" if title else str(diagnostic)
        return f"##vso[task.logissue type={level}{properties}]{escape_azure(text)}"

    def debug(self, text: str) -> str:
        """Return a line that the log shows in the color of debug lines."""
        return f"##[debug]{escape_log_line(text)}"


class Azure(CISystem):
    """Azure Pipelines, with issues, output variables, a summary and parallel jobs."""

    display_name = "Azure Pipelines"
    secrets_help = "Add {names} as secret variables of the pipeline or a variable group, and map {pronoun} under `env:`"
    # Source: Azure's documentation, "Define variables".
    unset_reference = "$(NAME)"
    secret_variables = (
        "SYSTEM_ACCESSTOKEN",
        "AZURE_DEVOPS_EXT_PAT",
        "ENDPOINT_AUTH_*",
        "SECUREFILE_TICKET_*",
        "VSS_NUGET_ACCESSTOKEN",
        "VSS_NUGET_EXTERNAL_FEED_ENDPOINTS",
    )
    log_formatter = AzureLogFormatter()

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        `BUILD_SOURCEVERSION` of a pull request is the merge commit, so it is not used.
        """
        get = env_reader(environ)
        change_number = first_number(
            get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"), get("SYSTEM_PULLREQUEST_PULLREQUESTID")
        )
        is_change = change_number or get("BUILD_REASON") == "PullRequest"
        project, name = get("SYSTEM_TEAMPROJECT"), get("BUILD_REPOSITORY_NAME")
        return BuildContext(
            ci_name="azure",
            sha=first_commit(get("SYSTEM_PULLREQUEST_SOURCECOMMITID" if is_change else "BUILD_SOURCEVERSION")),
            branch=first_branch(get("SYSTEM_PULLREQUEST_SOURCEBRANCH" if is_change else "BUILD_SOURCEBRANCH")),
            change_number=change_number,
            # A repository of Azure has a name without an owner. Its owner is the project.
            repository=first_repository(name, f"{project}/{name}" if name else ""),
            build_url=first_web_url(_build_results_url(environ, get)),
            secrets_withheld_from=UntrustedSource.FORK if is_truthy(environ, "SYSTEM_PULLREQUEST_ISFORK") else None,
            # A classic release has the id of the build that it deploys, in all of its stages.
            build_id=first_number(get("BUILD_BUILDID")) if get("SYSTEM_HOSTTYPE").lower() in {"", "build"} else "",
            build_attempt=_calculate_attempt(get),
            # The keys in the YAML file. The last one differs between the jobs of a matrix, and between slices.
            job_name=join_job_path(get("SYSTEM_STAGENAME"), get("SYSTEM_PHASENAME"), get("SYSTEM_JOBNAME")),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        match get("BUILD_REASON"):
            case "PullRequest":
                return BaseFacts(is_change=True, target_branch=first_branch(get("SYSTEM_PULLREQUEST_TARGETBRANCH")))
            case "IndividualCI" | "BatchedCI":
                is_tag = get("BUILD_SOURCEBRANCH").startswith("refs/tags/")
                return BaseFacts(NoBaseReason.TAG if is_tag else None)
            case reason:
                return read_trigger(_REASON_BY_TRIGGER, reason)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of outputs and summary."""
        return (AzurePublisher(context),)

    def is_debugging(self, environ: Mapping[str, str]) -> bool:
        """Return whether the pipeline runs with system diagnostics."""
        return is_truthy(environ, "SYSTEM_DEBUG")

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the slice of this job, which Azure counts from 1."""
        return shard_from_env("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", first=1)(environ)


def _calculate_attempt(get: Callable[[str], str]) -> str:
    """Return a number that grows with each attempt of the job.

    Azure counts both from 1, and a job of a stage that runs again can start at 1 again. So an attempt at the stage adds
    1000. Azure DevOps Server 2019 has no stages.
    """
    stage, job = first_number(get("SYSTEM_STAGEATTEMPT")) or "0", first_number(get("SYSTEM_JOBATTEMPT"))
    return str(1000 * int(stage) + int(job)) if job else ""


def _build_results_url(environ: Mapping[str, str], get: Callable[[str], str]) -> str:
    collection = first_set(environ, "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")
    project, build = quote(get("SYSTEM_TEAMPROJECT"), safe=""), first_number(get("BUILD_BUILDID"))
    if not (collection and project and build):
        return ""
    return f"{collection.rstrip('/')}/{project}/_build/results?buildId={build}"


class AzurePublisher:
    """Sets the output variables and uploads the summary.

    It does so once, at the end of the step.
    """

    def __init__(self, context: PublishContext) -> None:
        self._context = context

    def publish(self, report: Report) -> list[str]:
        """Print the commands, and return warnings about missing data."""
        if not report.verdict:
            return []
        values = _select_variables(report)
        lines = [
            f"##vso[task.setvariable variable={name};isOutput=true]{escape_azure(text, MAX_VARIABLE_CHARS)}"
            for name, text in values.items()
        ]
        path, warnings = self._write_summary(report)
        self._context.write_lines([*lines, f"##vso[task.uploadsummary]{escape_azure(path)}"] if path else lines)
        return [*omitted_variables_warning(report, values, "The output variables"), *warnings]

    def _write_summary(self, report: Report) -> tuple[str, list[str]]:
        """Write the summary, and return its path and the warnings.

        The path is empty if there is no summary.
        """
        folder = self._context.environ.get("AGENT_TEMPDIRECTORY", "")
        if not folder or not self._context.wants_summary:
            return "", []
        # The page uses the file's name as its heading. A second summary of the same name would replace the first.
        name = re.sub(r"[^A-Za-z0-9]+", "-", report.heading).strip("-")[:_MAX_FILE_TITLE_CHARS]
        try:
            path = Path(folder).absolute() / f"{name}-{secrets.token_hex(3)}.md"
            write_atomic(path, render_summary(report, chart=False).encode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            reason = os_error_reason(error)
            return "", [f"The summary could not be written ({reason}). The log has the links."]
        return str(path), []


def _select_variables(report: Report) -> Mapping[str, str]:
    # Before each step, the agent replaces `$(NAME)` in the values of variables, also by the value of a secret one.
    # Source: microsoft/azure-pipelines-agent, src/Agent.Worker/StepsRunner.cs and Variables.cs (`RecalculateExpanded`).
    return select_accepted(output_variables(report), lambda text: is_exact_in_log(text) and "$(" not in text)


SYSTEM = Azure()
