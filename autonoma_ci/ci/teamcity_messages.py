"""TeamCity's service messages.

Source: JetBrains's documentation, "Service messages": the identity of a build problem is a Java identifier of at most
60 characters, and a file to import is in the checkout directory, with a path that is relative to it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.report.outputs import VARIABLE_LIMIT, is_exact_in_log, variables, warn_of_left_out, without_refused
from autonoma_ci.report.words import headline
from autonoma_ci.text import teamcity

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Section, Target
    from autonoma_ci.errors import Problem
    from autonoma_ci.model import Report

_STATUS = {"error": "ERROR", "warning": "WARNING", "notice": "NORMAL"}


class Messages(Plain):
    """Lines of the form `##teamcity[name key='value']`."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the message that opens a block."""
        return (message("blockOpened", name=section.title),)

    def end_group(self, section: Section) -> tuple[str, ...]:
        """Return the message that closes it."""
        return (message("blockClosed", name=section.title),)

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return a line of the build log with the status of its level."""
        return message("message", text=f"{title}: {problem}" if title else str(problem), status=_STATUS[level])


def message(name: str, /, limit: int = 3900, **values: str) -> str:
    """Return one service message, with values of at most `limit` characters; TeamCity keeps 4,000 of a description."""
    pairs = [f"{key}='{teamcity(value, limit)}'" for key, value in values.items()]
    return f"##teamcity[{name} {' '.join(pairs)}]"


class Build:
    """Sets parameters, status and problem of the build, and hands over the tests, once the step ends."""

    def __init__(self, target: Target, checkout: str) -> None:
        self._target, self._checkout = target, checkout

    def publish(self, report: Report) -> list[str]:
        """Print the messages; return what has no room in them."""
        if not report.verdict:
            return []
        # Between two percent signs is the name of a parameter, which may hold a secret.
        # Source: JetBrains's documentation, "Configuring Build Parameters" and "Kotlin DSL".
        values = without_refused(variables(report), lambda text: is_exact_in_log(text) and text.count("%") < 2)
        lines = [
            message("setParameter", VARIABLE_LIMIT, name=f"env.{name}", value=text) for name, text in values.items()
        ]
        whole = f"{report.heading}: {headline(report)}"
        if report.results_dir:
            lines.append(message("importData", type="junit", path=self._in_checkout(report.results_dir, "junit.xml")))
        # The placeholder keeps what the build says by itself, such as its count of tests.
        lines.append(message("buildStatus", text=f"{{build.status.text}}; {whole}"))
        if report.verdict.exit_code:
            # A problem of the same identity is the same problem in the next build.
            identity = hashlib.sha256(report.heading.encode("utf-8", "replace")).hexdigest()[:16]
            lines.append(message("buildProblem", description=whole, identity=f"autonoma_{identity}"))
        self._target.say(lines)
        return warn_of_left_out(report, values, "The parameters for later steps")

    def _in_checkout(self, *parts: str) -> str:
        """Return the path of a file from the checkout, or an absolute path outside of it."""
        path = Path(self._target.folder, *parts).absolute()
        # A step begins in the checkout, unless it has a working directory of its own.
        checkout = self._checkout or self._target.folder
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(checkout)).as_posix()
        except ValueError:
            return str(path)


MESSAGES = Messages()
