"""Azure Pipelines' logging commands. Source: Microsoft's documentation, "Logging commands", and its agent."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.ci.system import MASK_LIMIT
from autonoma_ci.files import reason_of, write_whole
from autonoma_ci.report.markdown import summary
from autonoma_ci.report.outputs import VARIABLE_LIMIT, is_exact_in_log, variables, warn_of_left_out, without_refused
from autonoma_ci.text import azure, log_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.system import Section, Target
    from autonoma_ci.errors import Problem
    from autonoma_ci.model import Report

# The agent keeps ten errors and ten warnings; how long one may be is not documented.
_TITLE = 60


class Commands(Plain):
    """Lines that hold `##vso[command]data`, each escaped so that it is one command and no more."""

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log."""
        if len(value) < MASK_LIMIT:
            return ()
        # Not with azure(): a mask must be the value itself, and a credential is printable ASCII.
        escaped = value.replace("%", "%AZP25").replace(";", "%3B").replace("]", "%5D")
        return (f"##vso[task.setsecret]{escaped}",)

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the line that opens a group."""
        return (f"##[group]{log_line(section.title)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the line that closes it."""
        return ("##[endgroup]",)

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return an issue of the build, at its place in a file if it has one; a notice is a line of the log."""
        if level == "notice":
            return super().issue(level, problem, title)
        places = {"sourcepath": problem.file, "linenumber": problem.line, "columnnumber": problem.column}
        properties = "".join(f";{name}={azure(str(value))}" for name, value in places.items() if value)
        # The log shows the text alone, so the place stands in it too.
        text = f"{title}: {problem}" if title else str(problem)
        return f"##vso[task.logissue type={level}{properties}]{azure(text)}"


def _values(report: Report) -> Mapping[str, str]:
    # Before each step, the agent replaces `$(NAME)` in the values of variables, also by the value of a secret one.
    # Source: microsoft/azure-pipelines-agent, src/Agent.Worker/StepsRunner.cs and Variables.cs (`RecalculateExpanded`).
    return without_refused(variables(report), lambda text: is_exact_in_log(text) and "$(" not in text)


class Build:
    """Sets the outputs and uploads the summary, once the step ends."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def publish(self, report: Report) -> list[str]:
        """Print the commands; return what could not be written."""
        if not report.verdict:
            return []
        values = _values(report)
        lines = [
            f"##vso[task.setvariable variable={name};isOutput=true]{azure(text, VARIABLE_LIMIT)}"
            for name, text in values.items()
        ]
        path, warnings = self._summary(report)
        self._target.say([*lines, f"##vso[task.uploadsummary]{azure(path)}"] if path else lines)
        return [*warn_of_left_out(report, values, "The output variables"), *warnings]

    def _summary(self, report: Report) -> tuple[str, list[str]]:
        folder = self._target.environ.get("AGENT_TEMPDIRECTORY", "")
        if not folder or not self._target.summary:
            return "", []
        # The file's name is the heading that the page gives it, and a second one of that name would replace it.
        name = re.sub(r"[^A-Za-z0-9]+", "-", report.heading).strip("-")[:_TITLE]
        try:
            path = Path(folder).absolute() / f"{name}-{secrets.token_hex(3)}.md"
            write_whole(path, summary(report, chart=False).encode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            return "", [f"The summary could not be written ({reason}); the log has the links."]
        return str(path), []


COMMANDS = Commands()


def build(target: Target) -> tuple[Build]:
    """Return the publisher of outputs and summary."""
    return (Build(target),)
