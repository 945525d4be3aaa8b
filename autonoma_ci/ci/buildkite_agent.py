"""Buildkite's log groups, and what its agent's program can do.

Source: Buildkite's documentation, "Managing log output", "buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.build_data import publish_build_data
from autonoma_ci.ci.mark import Claim, claim_of, mark_of, shared_warning
from autonoma_ci.ci.plain import Plain
from autonoma_ci.ci.program import find
from autonoma_ci.model import Conclusion
from autonoma_ci.report.markdown import summary
from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from autonoma_ci.ci.mark import Mark
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


class Groups(Plain):
    """A line that opens with `+++` begins a group that is shown open; the next such line ends it."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the heading."""
        return (f"+++ {log_line(section.title)}",)


class Agent:
    """Annotates the build and sets its meta-data through buildkite-agent, once the step ends."""

    def __init__(self, program: Program, target: Target) -> None:
        self._program, self._target = program, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what the log should warn of."""
        if not report.verdict:
            return []
        warnings: list[str] = []
        if self._target.summary:
            context, warnings = self._context(report)
            style = _STYLES.get(report.verdict.conclusion, "info")
            arguments = ["annotate", "--style", style, "--context", context]
            if why := self._program.run(arguments, summary(report, chart=False)):
                return [*warnings, f"The build could not be annotated: {why}."]
        if self._target.shared:
            warnings += publish_build_data(report, report.context.build, self._get, self._put)
        return warnings

    def _context(self, report: Report) -> tuple[str, list[str]]:
        """Return the annotation's name, which stays when the job is tried again, and what the log should warn of.

        Each part of the build has its own. Two steps of one job that have the same part are told apart by a mark in
        the build's meta-data, since annotations can't be read.
        """
        mark = mark_of(report, report.context.build)
        name = f"autonoma-ci-{report.part.digest}"
        if not self._target.shared:
            # The annotation is this part's summary, and nothing may be written into the meta-data.
            return name, []
        if not self._is_others(name, mark):
            self._put(name, str(mark))
            # Another job may have found nothing there at the same moment. The check again makes that rare.
            if not self._is_others(name, mark):
                return name, []
        return f"{name}-{mark.step}", [shared_warning("an annotation")]

    def _is_others(self, name: str, mark: Mark) -> bool:
        """Say whether another step of this build and attempt has the annotation of this name."""
        return claim_of(mark, self._get(name)) is Claim.OTHER

    def _get(self, name: str) -> str | None:
        # Without a default, the agent fails for a name that is not set.
        return self._program.read(["meta-data", "get", name, "--default", "none"])

    def _put(self, name: str, text: str) -> str:
        # A text of our own making may not look like a flag: it comes as input.
        why = self._program.run(["meta-data", "set", name], text)
        return f"The build's meta-data could not be set: {why}." if why else ""


GROUPS = Groups()


def agent(target: Target) -> tuple[Agent, ...]:
    """Return the publisher that uses the agent's program, where it is there."""
    program = find("buildkite-agent", target)
    return (Agent(program, target),) if program else ()
