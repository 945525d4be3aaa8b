"""Buildkite with its log groups, annotations and meta-data.

Source: Buildkite's documentation, "Environment variables" (facts of the build), "Managing log output" (log groups),
"buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, PlainLogFormatter, RemotePublisher
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, describe_merge_group, read_trigger
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    join_job_path,
    number_job,
    parse_count,
    shard_from_env,
)
from autonoma_ci.ci.ownership import Claim, build_mark, shared_warning
from autonoma_ci.ci.publishers.agent_cli import find_trusted_executable
from autonoma_ci.ci.publishers.build_variables import UNSET_TEXT, NameClaims, publish_build_variables
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.models import BuildContext, Conclusion
from autonoma_ci.reports.markdown import render_summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup, PublishContext, ReportPublisher
    from autonoma_ci.ci.publishers.agent_cli import AgentCli
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.models import Report

_STYLE_BY_CONCLUSION = {
    Conclusion.PASSED: "success",
    Conclusion.FAILED: "error",
    Conclusion.ERROR: "error",
    Conclusion.TIMED_OUT: "warning",
    Conclusion.CANCELLED: "warning",
}
_UNREADABLE_META_DATA_WARNING = (
    "The build's meta-data could not be read, so the annotation of this step has a new name. An earlier one may remain."
)

# Of builds without a base.
_REASON_BY_SOURCE = {
    "schedule": NoBaseReason.SCHEDULE,
    "ui": NoBaseReason.MANUAL,
    "api": NoBaseReason.API,
    "trigger_job": NoBaseReason.PIPELINE,
}


class BuildkiteLogFormatter(PlainLogFormatter):
    """Formats groups, which start with a line that begins with `+++`.

    Buildkite shows such a group open. The next such line ends it.
    """

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the heading."""
        return (f"+++ {escape_log_line(log_group.title)}",)


class Buildkite(CISystem):
    """Buildkite, with annotations, meta-data and parallel jobs."""

    display_name = "Buildkite"
    secrets_help = (
        "Add {names} as Buildkite secrets and list {pronoun} under `secrets:`, or export {pronoun} in an agent hook"
    )
    secret_variables = ("BUILDKITE_*TOKEN*", "BUILDKITE_*PASSWORD*", "BUILDKITE_S3_*KEY*")
    log_formatter = BuildkiteLogFormatter()

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        The commit of a build that a user started can be `HEAD`, which is no commit hash.
        """
        get = env_reader(environ)
        repository = first_repository(get("BUILDKITE_REPO"))
        return BuildContext(
            ci_name="buildkite",
            sha=first_commit(get("BUILDKITE_COMMIT")),
            branch=first_branch(get("BUILDKITE_BRANCH"), get("BUILDKITE_TAG")),
            change_number=first_number(get("BUILDKITE_PULL_REQUEST")),
            repository=repository,
            build_url=first_web_url(get("BUILDKITE_BUILD_URL")),
            secrets_withheld_from=find_untrusted_fork(repository, first_repository(get("BUILDKITE_PULL_REQUEST_REPO"))),
            build_id=get("BUILDKITE_BUILD_ID"),
            # Buildkite counts retries, so 0 is the first attempt.
            build_attempt=parse_count(get("BUILDKITE_RETRY_COUNT"), increment=1),
            job_name=number_job(_format_step_name(environ), self.detect_shard(environ)),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the base of a pull request or merge group, or the default branch."""
        get = env_reader(environ)
        if get("BUILDKITE_SOURCE") != "webhook":
            return read_trigger(_REASON_BY_SOURCE, get("BUILDKITE_SOURCE"))
        if get("BUILDKITE_TAG"):
            return BaseFacts(NoBaseReason.TAG)
        merge_group_variables = ("BUILDKITE_MERGE_QUEUE_BASE_COMMIT", "BUILDKITE_MERGE_QUEUE_BASE_BRANCH")
        if first_set(environ, *merge_group_variables):
            sha, branch = map(get, merge_group_variables)
            return describe_merge_group(first_commit(sha), first_branch(branch))
        return BaseFacts(
            # Buildkite sets `false` for a build without a pull request.
            is_change=get("BUILDKITE_PULL_REQUEST") not in {"", "false"},
            target_branch=first_branch(get("BUILDKITE_PULL_REQUEST_BASE_BRANCH")),
            default_branch=first_branch(get("BUILDKITE_PIPELINE_DEFAULT_BRANCH")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher that calls buildkite-agent, if the program is available."""
        program = find_trusted_executable("buildkite-agent", context)
        return (BuildkitePublisher(program, context),) if program else ()

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this parallel job, which Buildkite counts from 0."""
        return shard_from_env("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", first=0)(environ)


def _format_step_name(environ: Mapping[str, str]) -> str:
    """Return the name of a step of Buildkite's pipeline.

    Jobs of a matrix share key and id. Their labels differ if they contain the values.
    """
    # A step without a key has only an id. The id is the same in all attempts, but differs between builds.
    key, label = first_set(environ, "BUILDKITE_STEP_KEY", "BUILDKITE_STEP_ID"), first_set(environ, "BUILDKITE_LABEL")
    return join_job_path(key, label) if label else key


class BuildkitePublisher(RemotePublisher):
    """Annotates the build and sets its meta-data with buildkite-agent.

    Only the final report is published.
    """

    def __init__(self, program: AgentCli, context: PublishContext) -> None:
        self._program, self._context = program, context

    def publish(self, report: Report) -> list[str]:
        """Write the annotation and the meta-data, and return warnings."""
        if not report.verdict:
            return []
        warnings: list[str] = []
        if self._context.wants_summary:
            warnings, failure = self._annotate(report)
            if failure:
                return [*warnings, f"The build could not be annotated: {failure}."]
        if self._context.publishes_shared_data:
            warnings += publish_build_variables(
                report, report.context.build_id, self._get_meta_data, self._set_meta_data
            )
        return warnings

    def _annotate(self, report: Report) -> tuple[list[str], str | None]:
        """Write the annotation, and return warnings and the reason of a failure or None.

        The name of the annotation comes from the part of the build, so a retry of the job replaces it. Two job steps
        can have the same part. Annotations can't be read, so the meta-data stores which job step owns the name. A job
        step that can't read the meta-data, or write its mark, uses another name.
        """
        mark = build_mark(report, report.context.build_id)
        name = f"autonoma-ci-{report.part.digest}"
        warnings: list[str] = []
        if self._context.publishes_shared_data:
            claims = NameClaims(mark, self._get_meta_data, self._set_meta_data)
            if claims.claim(name) is not Claim.OTHER:
                failure = self._write_annotation(name, report)
                # Another job step can have claimed the name during the write.
                if failure or claims.check(name) is not Claim.OTHER:
                    return [], failure
            if claims.is_unread:
                warnings = [_UNREADABLE_META_DATA_WARNING]
            elif not claims.failure:
                warnings = [shared_warning("an annotation")]
        return warnings, self._write_annotation(f"{name}-{mark.step}", report)

    def _write_annotation(self, name: str, report: Report) -> str | None:
        """Write the annotation, and return the reason of a failure or None."""
        style = _STYLE_BY_CONCLUSION.get(report.verdict.conclusion, "info") if report.verdict else "info"
        return self._program.run(["annotate", "--style", style, "--context", name], render_summary(report, chart=False))

    def _get_meta_data(self, name: str) -> str | None:
        # Without a default, the agent fails for an unset name.
        return self._program.read(["meta-data", "get", name, "--default", UNSET_TEXT])

    def _set_meta_data(self, name: str, text: str) -> str | None:
        # The text can begin like a flag, so it is passed as standard input.
        failure = self._program.run(["meta-data", "set", name], text)
        return f"The build's meta-data could not be set: {failure}." if failure else None


SYSTEM = Buildkite()
