"""Buildkite. Source: Buildkite's documentation, "Environment variables".

Buildkite's log groups, and what its agent's program can do.

Source: Buildkite's documentation, "Managing log output", "buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, PlainLogFormatter, RemotePublisher
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    fork_marker,
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
    from collections.abc import Mapping

    from autonoma_ci.ci.base import LogGroup, PublishContext
    from autonoma_ci.ci.publishers.agent_cli import AgentCli
    from autonoma_ci.models import Report

_STYLES = {
    Conclusion.PASSED: "success",
    Conclusion.FAILED: "error",
    Conclusion.ERROR: "error",
    Conclusion.TIMED_OUT: "warning",
    Conclusion.CANCELLED: "warning",
}
_UNREAD = (
    "The build's meta-data could not be read, so the annotation of this step gets a name of its own. An earlier one of "
    "the step may stand beside it."
)


class BuildkiteLogFormatter(PlainLogFormatter):
    """A line that opens with `+++` begins a group that is shown open; the next such line ends it."""

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the heading."""
        return (f"+++ {escape_log_line(section.title)}",)


class BuildkitePublisher(RemotePublisher):
    """Annotates the build and sets its meta-data through buildkite-agent, once the step ends."""

    def __init__(self, program: AgentCli, target: PublishContext) -> None:
        self._program, self._target = program, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what the log should warn of."""
        if not report.verdict:
            return []
        warnings: list[str] = []
        if self._target.wants_summary:
            warnings, why = self._annotate(report)
            if why:
                return [*warnings, f"The build could not be annotated: {why}."]
        if self._target.publishes_shared_data:
            warnings += publish_build_variables(report, report.context.build_id, self._get, self._put)
        return warnings

    def _annotate(self, report: Report) -> tuple[list[str], str]:
        """Write the annotation; return what the log should warn of, and why it could not be written, if that is so.

        Each part of the build has its own, whose name stays when the job is tried again. Two steps of one job that
        have the same part are told apart by a mark in the build's meta-data, since annotations can't be read. A step
        that can't read the meta-data, or write its mark, has an annotation under a name of its own.
        """
        mark = build_mark(report, report.context.build_id)
        name = f"autonoma-ci-{report.part.digest}"
        warnings: list[str] = []
        if self._target.publishes_shared_data:
            names = NameClaims(mark, self._get, self._put)
            if names.claim(name) is not Claim.OTHER:
                why = self._write(name, report)
                # Meanwhile another step may have taken the name.
                if why or names.check(name) is not Claim.OTHER:
                    return [], why
            if names.is_unread:
                warnings = [_UNREAD]
            elif not names.failure:
                warnings = [shared_warning("an annotation")]
        return warnings, self._write(f"{name}-{mark.step}", report)

    def _write(self, name: str, report: Report) -> str:
        """Write the annotation of this name; return why it could not be written, or an empty text."""
        style = _STYLES.get(report.verdict.conclusion, "info") if report.verdict else "info"
        return self._program.run(["annotate", "--style", style, "--context", name], render_summary(report, chart=False))

    def _get(self, name: str) -> str | None:
        # Without a default, the agent fails for a name that is not set.
        return self._program.read(["meta-data", "get", name, "--default", UNSET_TEXT])

    def _put(self, name: str, text: str) -> str:
        # A text of our own making may not look like a flag: it comes as input.
        why = self._program.run(["meta-data", "set", name], text)
        return f"The build's meta-data could not be set: {why}." if why else ""


LOG_FORMATTER = BuildkiteLogFormatter()


def create_publishers(target: PublishContext) -> tuple[BuildkitePublisher, ...]:
    """Return the publisher that uses the agent's program, where it is there."""
    program = find_trusted_executable("buildkite-agent", target)
    return (BuildkitePublisher(program, target),) if program else ()


_PLACE = shard_from_env("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", first=0)


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; a build that was started by hand may have `HEAD` for a commit."""
    get = env_reader(environ)
    return BuildContext(
        ci_name="buildkite",
        sha=first_commit(get("BUILDKITE_COMMIT")),
        branch=first_branch(get("BUILDKITE_BRANCH"), get("BUILDKITE_TAG")),
        change_number=first_number(get("BUILDKITE_PULL_REQUEST")),
        repository=first_repository(get("BUILDKITE_REPO")),
        build_url=first_web_url(get("BUILDKITE_BUILD_URL")),
        secrets_withheld_from=fork_marker(
            first_repository(get("BUILDKITE_REPO")), first_repository(get("BUILDKITE_PULL_REQUEST_REPO"))
        ),
        build_id=get("BUILDKITE_BUILD_ID"),
        # Buildkite counts retries: 0 is the first attempt.
        build_attempt=parse_count(get("BUILDKITE_RETRY_COUNT"), increment=1),
        job_name=number_job(_step(environ), _PLACE(environ)),
    )


def _step(environ: Mapping[str, str]) -> str:
    # A step without a key has no other identity than an id, which is the same in all attempts but another one in each
    # build. Jobs of a matrix share key and id. Their labels differ if they have the values in them.
    step, label = first_set(environ, "BUILDKITE_STEP_KEY", "BUILDKITE_STEP_ID"), first_set(environ, "BUILDKITE_LABEL")
    return join_job_path(step, label) if label else step


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("BUILDKITE_*TOKEN*", "BUILDKITE_*PASSWORD*", "BUILDKITE_S3_*KEY*"),
    log_formatter=LOG_FORMATTER,
    create_publishers=create_publishers,
    detect_shard=_PLACE,
)
