"""AppVeyor's agent, which listens on the build's own machine. Source: AppVeyor's documentation, "Build worker API"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.addresses import api_url
from autonoma_ci.ci.system import Remote
from autonoma_ci.ci.web import Web, WebError
from autonoma_ci.errors import InputError
from autonoma_ci.report.outputs import variables, warn_of_left_out
from autonoma_ci.report.words import headline, state_words, worst_first
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Target
    from autonoma_ci.model import Report


class Agent(Remote):
    """Sets variables for later commands and leaves one message with the build, once the step ends."""

    def __init__(self, web: Web, target: Target) -> None:
        self._web, self._target = web, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what could not be done."""
        if not report.verdict:
            return []
        values = variables(report)
        warnings = warn_of_left_out(report, values, "The build's variables")
        try:
            for name, text in values.items():
                self._web.ask("POST", "/api/build/variables", {"name": name, "value": text})
            if self._target.summary:
                self._web.ask("POST", "/api/build/messages", _message(report, bad=bool(report.verdict.exit_code)))
        except WebError as error:
            return [*warnings, f"The build's variables and messages could not be set: {error}."]
        return warnings


def _message(report: Report, *, bad: bool) -> dict[str, str]:
    runs = [f"{one_line(run.label)}: {state_words(run)} {run.url}".rstrip() for run in worst_first(report.outcomes)]
    return {
        "message": one_line(f"{report.heading}: {headline(report)}", 500),
        "category": "error" if bad else "information",
        "details": "\n".join([*report.problems, *runs[:50]]),
    }


def agent(target: Target) -> tuple[Agent, ...]:
    """Return the publisher, if the agent says where it is."""
    try:
        return (Agent(Web(api_url(target.environ.get("APPVEYOR_API_URL", "")), {}, target.clock), target),)
    except InputError:
        return ()
