"""Variables for later steps, in a file that the CI system reads after the step.

Source: the documentation of each system that names such a file; its module says which.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.shared_file import SharedValues, never_open
from autonoma_ci.files import reason_of
from autonoma_ci.report.outputs import dotenv_lines, dotenv_variables, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.system import Target
    from autonoma_ci.model import Report


# What a shell reads as one: a heredoc, an escaped character, quoted text, a comment, anything else. A backslash before
# the last line break continues the line. Source: POSIX, "Shell Command Language", "Quoting" and "Token Recognition".
_SHELL = re.compile(
    rb"""
    <<-?[ \t]*(['"]?)([A-Za-z_]\w*)\1[^\n]*\n(?:.*?\n)??\t*\2(?=\n|\Z) | <<< | <(?!<-?[ \t]*['"]?[A-Za-z_])
    | \\(?:[^\n]|\n(?!\Z))
    | '[^']*' | \$'(?:[^\\']++|\\.)*+' | "(?:[^\\"]++|\\.)*+"
    | (?<![^\s;&|()])\#[^\n]* | \# | \$(?!')
    | [^<\\'"\#$]+
    """,
    re.DOTALL | re.VERBOSE,
)


class Form(NamedTuple):
    """Which variables a file takes, the lines that set them, and whether a file's bytes end within a value."""

    read: Callable[[Report], Mapping[str, str]]
    lines: Callable[[Mapping[str, str]], str]
    is_open: Callable[[bytes], bool] = never_open


def exports(values: Mapping[str, str]) -> str:
    """Return commands of a shell that set the variables; no text can be anything but a value."""
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in values.items())


def is_in_quotes(data: bytes) -> bool:
    """Return whether commands of a shell end within quoted text, a heredoc or a continued line."""
    place = 0
    while found := _SHELL.match(data, place):
        place = found.end()
    return place < len(data)


DOTENV = Form(dotenv_variables, dotenv_lines)
EXPORTS = Form(variables, exports, is_in_quotes)


class VariableFile:
    """Publishes the variables to a file that others may write to as well."""

    def __init__(self, values: SharedValues, read: Callable[[Report], Mapping[str, str]]) -> None:
        self._values, self._read = values, read

    def publish(self, report: Report) -> list[str]:
        """Write the variables if it is time to; return what could not be written."""
        try:
            if self._values.write(report, self._read):
                return []
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            return [f"The variables for later steps could not be written ({reason}); the log has the links."]
        return ["The variables for later steps may be a part of another process's open value; the log has the links."]


def variable_file(
    name: str, form: Form = DOTENV, within: str = "", *, early: bool = True
) -> Callable[[Target], tuple[VariableFile, ...]]:
    """Return a function that finds the file of a job.

    Args:
        name: The variable that names the file.
        form: What the file holds.
        within: The name of the file if the variable names its folder.
        early: Whether to write also before the end of the step: only where the last value of a name counts.

    """

    def find(target: Target) -> tuple[VariableFile, ...]:
        path = target.environ.get(name, "")
        if not path:
            return ()
        values = SharedValues(Path(path, within), target.clock, form.lines, form.is_open, early=early)
        return (VariableFile(values, form.read),)

    return find
