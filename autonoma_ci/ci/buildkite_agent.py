"""Buildkite's log groups, and what its agent's program can do.

Source: Buildkite's documentation, "Managing log output", "buildkite-agent annotate" and "buildkite-agent meta-data".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.ci.program import find
from autonoma_ci.model import Conclusion
from autonoma_ci.report.markdown import summary
from autonoma_ci.report.outputs import variables
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
        """Do both; return what could not be done."""
        if not report.verdict:
            return []
        if self._target.summary:
            style = _STYLES.get(report.verdict.conclusion, "info")
            arguments = ["annotate", "--style", style, "--context", self._context(report)]
            if why := self._program.run(arguments, summary(report, chart=False)):
                return [f"The build could not be annotated: {why}."]
        for name, text in variables(report).items():
            # An empty value is refused. A text of our own making may not look like a flag: it comes as input.
            if text and (why := self._program.run(["meta-data", "set", name], text)):
                return [f"The build's meta-data could not be set: {why}."]
        return []

    def _context(self, report: Report) -> str:
        """Return a name that stays when the job is tried again, and differs between steps and parallel jobs."""
        environ = self._target.environ
        parts = (report.title, environ.get("BUILDKITE_STEP_ID", ""), environ.get("BUILDKITE_PARALLEL_JOB", ""))
        return f"autonoma-ci-{hashlib.sha256('|'.join(parts).encode('utf-8', 'replace')).hexdigest()[:16]}"


GROUPS = Groups()


def agent(target: Target) -> tuple[Agent, ...]:
    """Return the publisher that uses the agent's program, where it is there."""
    program = find("buildkite-agent", target)
    return (Agent(program, target),) if program else ()
