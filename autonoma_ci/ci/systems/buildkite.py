"""Buildkite. Source: Buildkite's documentation, "Environment variables".

Buildkite's log groups, and what its agent's program can do.

Source: Buildkite's documentation, "Managing log output", "buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import Plain, Remote, System
from autonoma_ci.ci.env import (
    branch,
    change,
    commit,
    count,
    first,
    fork,
    job_path,
    numbered_job,
    parallel,
    reader,
    repository,
    web_url,
)
from autonoma_ci.ci.ownership import Claim, mark_of, shared_warning
from autonoma_ci.ci.publishers.agent_cli import find
from autonoma_ci.ci.publishers.build_variables import UNSET, NameClaims, publish_build_data
from autonoma_ci.escaping import log_line
from autonoma_ci.models import Conclusion, Context
from autonoma_ci.reports.markdown import summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.base import Section, Target
    from autonoma_ci.ci.publishers.agent_cli import Program
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


class Groups(Plain):
    """A line that opens with `+++` begins a group that is shown open; the next such line ends it."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the heading."""
        return (f"+++ {log_line(section.title)}",)


class Agent(Remote):
    """Annotates the build and sets its meta-data through buildkite-agent, once the step ends."""

    def __init__(self, program: Program, target: Target) -> None:
        self._program, self._target = program, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what the log should warn of."""
        if not report.verdict:
            return []
        warnings: list[str] = []
        if self._target.summary:
            warnings, why = self._annotate(report)
            if why:
                return [*warnings, f"The build could not be annotated: {why}."]
        if self._target.shared:
            warnings += publish_build_data(report, report.context.build, self._get, self._put)
        return warnings

    def _annotate(self, report: Report) -> tuple[list[str], str]:
        """Write the annotation; return what the log should warn of, and why it could not be written, if that is so.

        Each part of the build has its own, whose name stays when the job is tried again. Two steps of one job that
        have the same part are told apart by a mark in the build's meta-data, since annotations can't be read. A step
        that can't read the meta-data, or write its mark, has an annotation under a name of its own.
        """
        mark = mark_of(report, report.context.build)
        name = f"autonoma-ci-{report.part.digest}"
        warnings: list[str] = []
        if self._target.shared:
            names = NameClaims(mark, self._get, self._put)
            if names.take(name) is not Claim.OTHER:
                why = self._write(name, report)
                # Meanwhile another step may have taken the name.
                if why or names.look(name) is not Claim.OTHER:
                    return [], why
            if names.is_unread:
                warnings = [_UNREAD]
            elif not names.failure:
                warnings = [shared_warning("an annotation")]
        return warnings, self._write(f"{name}-{mark.step}", report)

    def _write(self, name: str, report: Report) -> str:
        """Write the annotation of this name; return why it could not be written, or an empty text."""
        style = _STYLES.get(report.verdict.conclusion, "info") if report.verdict else "info"
        return self._program.run(["annotate", "--style", style, "--context", name], summary(report, chart=False))

    def _get(self, name: str) -> str | None:
        # Without a default, the agent fails for a name that is not set.
        return self._program.read(["meta-data", "get", name, "--default", UNSET])

    def _put(self, name: str, text: str) -> str:
        # A text of our own making may not look like a flag: it comes as input.
        why = self._program.run(["meta-data", "set", name], text)
        return f"The build's meta-data could not be set: {why}." if why else ""


GROUPS = Groups()


def agent(target: Target) -> tuple[Agent, ...]:
    """Return the publisher that uses the agent's program, where it is there."""
    program = find("buildkite-agent", target)
    return (Agent(program, target),) if program else ()


_PLACE = parallel("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", first=0)


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; a build that was started by hand may have `HEAD` for a commit."""
    get = reader(environ)
    return Context(
        ci="buildkite",
        sha=commit(get("BUILDKITE_COMMIT")),
        branch=branch(get("BUILDKITE_BRANCH"), get("BUILDKITE_TAG")),
        change=change(get("BUILDKITE_PULL_REQUEST")),
        repository=repository(get("BUILDKITE_REPO")),
        build_url=web_url(get("BUILDKITE_BUILD_URL")),
        withheld=fork(repository(get("BUILDKITE_REPO")), repository(get("BUILDKITE_PULL_REQUEST_REPO"))),
        build=get("BUILDKITE_BUILD_ID"),
        # Buildkite counts retries: 0 is the first attempt.
        attempt=count(get("BUILDKITE_RETRY_COUNT"), add=1),
        job=numbered_job(_step(environ), _PLACE(environ)),
    )


def _step(environ: Mapping[str, str]) -> str:
    # A step without a key has no other identity than an id, which is the same in all attempts but another one in each
    # build. Jobs of a matrix share key and id. Their labels differ if they have the values in them.
    step, label = first(environ, "BUILDKITE_STEP_KEY", "BUILDKITE_STEP_ID"), first(environ, "BUILDKITE_LABEL")
    return job_path(step, label) if label else step


SYSTEM = System(
    context=context,
    tokens=("BUILDKITE_*TOKEN*", "BUILDKITE_*PASSWORD*", "BUILDKITE_S3_*KEY*"),
    dialect=GROUPS,
    publishers=agent,
    parallel=_PLACE,
)
