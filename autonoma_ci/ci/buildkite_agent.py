"""Buildkite's log groups, and what its agent's program can do.

Source: Buildkite's documentation, "Managing log output", "buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.build_data import UNSET, NameClaims, publish_build_data
from autonoma_ci.ci.mark import Claim, mark_of, shared_warning
from autonoma_ci.ci.plain import Plain
from autonoma_ci.ci.program import find
from autonoma_ci.ci.system import Remote
from autonoma_ci.model import Conclusion
from autonoma_ci.report.markdown import summary
from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from autonoma_ci.ci.program import Program
    from autonoma_ci.ci.system import Section, Target
    from autonoma_ci.model import Report

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
