"""Variables for later steps, in a file that the CI system reads.

Source: the documentation of each system that names such a file, named in the system's module.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.publishers.shared_file import SharedFileValues, never_open
from autonoma_ci.fs.files import os_error_reason
from autonoma_ci.reports.outputs import (
    dotenv_variables,
    format_dotenv_lines,
    omitted_variables_warning,
    output_variables,
)
from autonoma_ci.startup import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.models import Report


# The subject of the warnings.
_SUBJECT = "The variables for later steps"
# A dollar sign, with the braces of a parameter if they contain no quotes and no other expansion.
_DOLLAR_PATTERN = rb"""(?: \$\{[^{}()'"\\`]*+\} | \$(?![({\[]) )"""
_DOUBLE_QUOTED_PATTERN = rb"""(?: [^\\"$`]++ | \\. | %b )*+""" % _DOLLAR_PATTERN
# The first line of a heredoc, if its rest has nothing that continues on the next line.
_HEREDOC_PATTERN = rb"""
    <<(-)?+[ \t]*+ (?> '([^'\n]++)' | "([^"\\$`\n]++)" | \\?+([^ \t\n;&|<>()\[\]'"\\`$]++) ) (?= [ \t\n;&|>)] | \Z )
    (?: [^\n<\\'"`\#(){}\[\]]++ | \) | '[^'\n]*+' | "[^"\\`\n({]*+" )*+ (?: \n | \Z )
"""
# One token of a shell: a heredoc, arithmetic, an escaped character, quoted text, a comment, anything else. It does not
# match a command or a value within an expansion, which has quotes of its own and needs a complete parser.
# Source: POSIX, "Shell Command Language", "Quoting", "Token Recognition" and "Here-Document"; for (( )) and $' ', the
# "Bash Reference Manual".
_CLOSED_TOKEN_RE = lazy_pattern(
    rb"""
    %(heredoc)b (?:.*?\n)?? (?(1)\t*+) (?:\2|\3|\4) (?= \n | \Z ) | <<< | <(?!<)
    | \(\( (?: [^()'"\\`$]++ | %(dollar)b )*+ \)\) | \((?!\()
    | \\(?:[^\n]|\n(?!\Z))
    | '[^']*+' | \$'(?:[^\\']++|\\.)*+' | "%(quoted)b"
    | (?<![^\s;&|()])\#[^\n]*+ | \# | (?!\$') %(dollar)b
    | [^<(\\'"`\#$]++
    """
    % {b"heredoc": _HEREDOC_PATTERN, b"dollar": _DOLLAR_PATTERN, b"quoted": _DOUBLE_QUOTED_PATTERN},
    re.DOTALL | re.VERBOSE,
)
# A token without an end, where the other pattern does not match. A backslash before the last line break continues the
# line.
_OPEN_TOKEN_RE = lazy_pattern(
    rb"""' | \$' | "%(quoted)b \\?\Z | \\\n?\Z | %(heredoc)b"""
    % {b"heredoc": _HEREDOC_PATTERN, b"quoted": _DOUBLE_QUOTED_PATTERN},
    re.DOTALL | re.VERBOSE,
)


class EnvFileFormat(NamedTuple):
    """The variables and the syntax of a CI system's file."""

    select_variables: Callable[[Report], Mapping[str, str]]  # the variables that the file can hold
    format_lines: Callable[[Mapping[str, str]], str]  # the lines that set variables
    is_open: Callable[[bytes], bool] = never_open  # whether a file with these bytes ends within a value


def format_shell_exports(values: Mapping[str, str]) -> str:
    """Return shell commands that set the variables, with quoted values.

    Zero bytes are removed: a variable can't hold one, and bash treats a file with one in its first line as a program.
    Source: bash, general.c, `check_binary_file`.
    """
    return "".join(f"export {name}={shlex.quote(text.replace(chr(0), ''))}\n" for name, text in values.items())


def is_in_quotes(data: bytes) -> bool:
    """Return whether shell commands end in the middle of a value.

    That is within quotes, a heredoc or a continued line.

    After an expansion with quotes of its own, the result is unknown. Unknown counts as not open, because otherwise we
    would wait for a complete file and print a wrong warning.
    """
    offset = 0
    while token := _CLOSED_TOKEN_RE.match(data, offset):
        offset = token.end()
    return bool(_OPEN_TOKEN_RE.match(data, offset))


DOTENV_FORMAT = EnvFileFormat(dotenv_variables, format_dotenv_lines)
SHELL_EXPORT_FORMAT = EnvFileFormat(output_variables, format_shell_exports, is_in_quotes)


class EnvFilePublisher:
    """Appends the variables to a file that other processes also write.

    Args:
        values: The shared file.
        select_variables: Returns the variables of a report.
    """

    def __init__(self, values: SharedFileValues, select_variables: Callable[[Report], Mapping[str, str]]) -> None:
        self._values, self._select_variables = values, select_variables

    def publish(self, report: Report) -> list[str]:
        """Write the variables if they are due and return warnings."""
        try:
            is_readable = self._values.write(report, self._select_variables)
        except (OSError, ValueError) as error:
            reason = os_error_reason(error)
            return [f"{_SUBJECT} could not be written ({reason}). The log has the links."]
        warnings = omitted_variables_warning(report, self._select_variables(report), _SUBJECT) if report.verdict else []
        if not is_readable:
            warnings.append(f"{_SUBJECT} may be inside an unfinished value of another process. The log has the links.")
        return warnings


def create_env_file_publishers(
    context: PublishContext,
    name: str,
    file_format: EnvFileFormat = DOTENV_FORMAT,
    filename: str = "",
    *,
    write_early: bool = True,
) -> tuple[EnvFilePublisher, ...]:
    """Return the publisher for a job's file, or nothing if the job has no such file.

    Args:
        context: The job.
        name: The variable that names the file.
        file_format: The variables and the syntax of the file.
        filename: The name of the file if the variable names its folder.
        write_early: Whether to write also before the end of the job step. Only for readers that use the last value of a
            name.
    """
    path = context.environ.get(name, "")
    if not path:
        return ()
    values = SharedFileValues(
        Path(path, filename), context.clock, file_format.format_lines, file_format.is_open, write_early=write_early
    )
    return (EnvFilePublisher(values, file_format.select_variables),)
