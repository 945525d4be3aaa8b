"""Variables for later steps, handed one by one to a CI system's own program.

Source: the documentation of each system that has such a program; its module says which.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import Remote
from autonoma_ci.ci.env import clean
from autonoma_ci.ci.publishers.agent_cli import find
from autonoma_ci.ci.publishers.build_variables import UNSET, publish_build_data
from autonoma_ci.reports.outputs import variables, warn_of_left_out, without_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import Target
    from autonoma_ci.ci.publishers.agent_cli import Program
    from autonoma_ci.models import Report

# Each call may be a question to a server, so only what is most useful is told; files have the rest.
_MOST_USEFUL = 4
# The limit of Semaphore's program for one value.
MAX_PUT_BYTES = 20_000


def _most_useful(report: Report) -> Mapping[str, str]:
    return dict(islice(variables(report).items(), _MOST_USEFUL))


def _accepted(report: Report) -> Mapping[str, str]:
    """Return the most useful variables, each without a value if `put` refuses it."""
    return without_refused(_most_useful(report), lambda text: "=" not in text and len(text.encode()) <= MAX_PUT_BYTES)


class ProgramVariables(Remote):
    """Calls the program once for each variable, once the step ends."""

    def __init__(self, program: Program, arguments: Callable[[str, str], Sequence[str]]) -> None:
        self._program, self._arguments = program, arguments

    def publish(self, report: Report) -> list[str]:
        """Set the variables; return what could not be set."""
        if not report.verdict:
            return []
        values = _most_useful(report)
        for name, text in values.items():
            if why := self._program.run(self._arguments(name, text)):
                return [f"The variables for later steps could not be set: {why}."]
        return warn_of_left_out(report, values, "The variables for later steps")


def program_variables(
    name: str, arguments: Callable[[str, str], Sequence[str]]
) -> Callable[[Target], tuple[ProgramVariables, ...]]:
    """Return what finds the program; `arguments` makes its command line of a variable and its text."""

    def publishers(target: Target) -> tuple[ProgramVariables, ...]:
        program = find(name, target)
        return (ProgramVariables(program, arguments),) if program else ()

    return publishers


class SharedVariables(Remote):
    """Sets variables that all jobs of the build share, by a program with `get` and `put`, once the step ends.

    Source: github.com/semaphoreci/toolbox, sem-context: `get` ends with 1 for a name that is not set, unless it has
    `--fallback`, and with 2 if the server can't be reached. `put` refuses an empty value, a value with `=` and one of
    more than 20,000 bytes (pkg/validators/validators.go).
    """

    def __init__(self, program: Program, build: str) -> None:
        self._program, self._build = program, build

    def publish(self, report: Report) -> list[str]:
        """Set the variables; return what the log should warn of."""
        if not report.verdict:
            return []
        return publish_build_data(report, self._build, self._get, self._put, _accepted)

    def _get(self, name: str) -> str | None:
        # Without a fallback, the program fails for a name that is not set. With one, a failure says that nothing is
        # known of the name: the server can't be reached.
        return self._program.read(["get", name, "--fallback", UNSET])

    def _put(self, name: str, text: str) -> str:
        why = self._program.run(["put", f"{name}={text}", "--force"])
        return f"The variables for later steps could not be set: {why}." if why else ""


def shared_variables(name: str, build: str) -> Callable[[Target], tuple[SharedVariables, ...]]:
    """Return what finds the program; `build` names the variable with an id that is new whenever the step runs again."""

    def publishers(target: Target) -> tuple[SharedVariables, ...]:
        program = find(name, target) if target.shared else None
        return (SharedVariables(program, clean(target.environ.get(build, ""))),) if program else ()

    return publishers
