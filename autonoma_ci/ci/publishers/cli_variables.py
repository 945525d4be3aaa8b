"""Variables for later steps, set through a program of the CI system.

Source: the documentation of each system that has such a program, named in the system's module.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import RemotePublisher
from autonoma_ci.ci.env import sanitize
from autonoma_ci.ci.publishers.agent_cli import find_trusted_executable
from autonoma_ci.ci.publishers.build_variables import UNSET_TEXT, publish_build_variables
from autonoma_ci.reports.outputs import omitted_variables_warning, output_variables, select_accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.ci.publishers.agent_cli import AgentCli
    from autonoma_ci.models import Report

# Each call can be a request to a server, so only the most useful variables are set. Files have all of them.
MAX_VARIABLES = 4
# The limit of Semaphore's sem-context for one value.
MAX_VALUE_BYTES = 20_000


def _select_most_useful(report: Report) -> Mapping[str, str]:
    return dict(islice(output_variables(report).items(), MAX_VARIABLES))


def _select_accepted(report: Report) -> Mapping[str, str]:
    """Return the most useful variables, with refused values emptied."""
    return select_accepted(
        _select_most_useful(report), lambda text: "=" not in text and len(text.encode()) <= MAX_VALUE_BYTES
    )


class CliVariablePublisher(RemotePublisher):
    """Sets each variable with one call of the program.

    The publisher runs when the job step ends.

    Args:
        program: The program.
        build_arguments: Returns the arguments that set a variable to a text.
    """

    def __init__(self, program: AgentCli, build_arguments: Callable[[str, str], Sequence[str]]) -> None:
        self._program, self._build_arguments = program, build_arguments

    def publish(self, report: Report) -> list[str]:
        """Set the variables and return warnings."""
        if not report.verdict:
            return []
        values = _select_most_useful(report)
        for name, text in values.items():
            if failure := self._program.run(self._build_arguments(name, text)):
                return [f"The variables for later steps could not be set: {failure}."]
        return omitted_variables_warning(report, values, "The variables for later steps")


def create_cli_variable_publishers(
    context: PublishContext, name: str, build_arguments: Callable[[str, str], Sequence[str]]
) -> tuple[CliVariablePublisher, ...]:
    """Return the publisher, or nothing if the program does not exist.

    Args:
        context: The job.
        name: The name of the program.
        build_arguments: Returns the arguments that set a variable to a text.
    """
    program = find_trusted_executable(name, context)
    return (CliVariablePublisher(program, build_arguments),) if program else ()


class SharedCliVariablePublisher(RemotePublisher):
    """Sets variables that all jobs of the build share.

    The program has the commands `get` and `put`. The publisher runs when the job step ends.

    Source: github.com/semaphoreci/toolbox, sem-context: `get` exits with 1 for a name that is not set, unless it has
    `--fallback`, and with 2 if the server is unreachable. `put` refuses an empty value, a value with `=` and a value of
    more than 20,000 bytes (pkg/validators/validators.go).

    Args:
        program: The program.
        build_id: The id of the build.
    """

    def __init__(self, program: AgentCli, build_id: str) -> None:
        self._program, self._build_id = program, build_id

    def publish(self, report: Report) -> list[str]:
        """Set the variables and return warnings."""
        if not report.verdict:
            return []
        return publish_build_variables(report, self._build_id, self._get, self._put, _select_accepted)

    def _get(self, name: str) -> str | None:
        # Without a fallback, the program fails for a name that is not set. With one, a failure means that the server is
        # unreachable, so the text is unknown.
        return self._program.read(["get", name, "--fallback", UNSET_TEXT])

    def _put(self, name: str, text: str) -> str | None:
        failure = self._program.run(["put", f"{name}={text}", "--force"])
        return f"The variables for later steps could not be set: {failure}." if failure else None


def create_shared_cli_variable_publishers(
    context: PublishContext, name: str, build_id_variable: str
) -> tuple[SharedCliVariablePublisher, ...]:
    """Return the publisher, or nothing if the program does not exist or the job publishes no shared data.

    Args:
        context: The job.
        name: The name of the program.
        build_id_variable: The variable with an id that is new for each run of the job step.
    """
    program = find_trusted_executable(name, context) if context.publishes_shared_data else None
    if not program:
        return ()
    return (SharedCliVariablePublisher(program, sanitize(context.environ.get(build_id_variable, ""))),)
