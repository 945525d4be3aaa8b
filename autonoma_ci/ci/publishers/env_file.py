"""Variables for later steps, in a file that the CI system reads after the step.

Source: the documentation of each system that names such a file; its module says which.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.publishers.shared_file import SharedFileValues, never_open
from autonoma_ci.fs.files import os_error_reason
from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.reports.outputs import (
    dotenv_variables,
    format_dotenv_lines,
    omitted_variables_warning,
    output_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.models import Report


# As the warnings call what is written.
_SUBJECT = "The variables for later steps"
# A dollar sign, with a parameter's braces if no quotes and no other expansion are in them.
_DOLLAR_PATTERN = rb"""(?: \$\{[^{}()'"\\`]*+\} | \$(?![({\[]) )"""
_DOUBLE_QUOTED_PATTERN = rb"""(?: [^\\"$`]++ | \\. | %b )*+""" % _DOLLAR_PATTERN
# The line of a heredoc, if the rest of it has nothing that goes on in the next line.
_HEREDOC_PATTERN = rb"""
    <<(-)?+[ \t]*+ (?> '([^'\n]++)' | "([^"\\$`\n]++)" | \\?+([^ \t\n;&|<>()\[\]'"\\`$]++) ) (?= [ \t\n;&|>)] | \Z )
    (?: [^\n<\\'"`\#(){}\[\]]++ | \) | '[^'\n]*+' | "[^"\\`\n({]*+" )*+ (?: \n | \Z )
"""
# What a shell reads as one: a heredoc, arithmetic, an escaped character, quoted text, a comment, anything else. It does
# not match what only a whole parser understands: a command or a value within an expansion has quotes of its own.
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
# What has no end, where the other pattern does not match. A backslash before the last line break continues the line.
_OPEN_TOKEN_RE = lazy_pattern(
    rb"""' | \$' | "%(quoted)b \\?\Z | \\\n?\Z | %(heredoc)b"""
    % {b"heredoc": _HEREDOC_PATTERN, b"quoted": _DOUBLE_QUOTED_PATTERN},
    re.DOTALL | re.VERBOSE,
)


class EnvFileFormat(NamedTuple):
    """Which variables a file takes, the lines that set them, and whether a file's bytes end within a value."""

    select_variables: Callable[[Report], Mapping[str, str]]
    format_lines: Callable[[Mapping[str, str]], str]
    is_open: Callable[[bytes], bool] = never_open


def format_shell_exports(values: Mapping[str, str]) -> str:
    """Return commands of a shell that set the variables; no text can be anything but a value.

    Zero bytes are removed: no variable holds one, and bash takes a file for a program that has one in its first line.
    Source: bash, general.c, `check_binary_file`.
    """
    return "".join(f"export {name}={shlex.quote(text.replace(chr(0), ''))}\n" for name, text in values.items())


def is_in_quotes(data: bytes) -> bool:
    """Return whether commands of a shell end within quoted text, a heredoc or a continued line.

    What comes after an expansion with quotes of its own is unknown, and unknown is not open. Otherwise, a complete file
    would be waited for, with a warning that is wrong.
    """
    offset = 0
    while token := _CLOSED_TOKEN_RE.match(data, offset):
        offset = token.end()
    return bool(_OPEN_TOKEN_RE.match(data, offset))


DOTENV_FORMAT = EnvFileFormat(dotenv_variables, format_dotenv_lines)
SHELL_EXPORT_FORMAT = EnvFileFormat(output_variables, format_shell_exports, is_in_quotes)


class EnvFilePublisher:
    """Publishes the variables to a file that others may write to as well."""

    def __init__(self, values: SharedFileValues, select_variables: Callable[[Report], Mapping[str, str]]) -> None:
        self._values, self._select_variables = values, select_variables

    def publish(self, report: Report) -> list[str]:
        """Write the variables if it is time to; return what could not be written."""
        try:
            is_readable = self._values.write(report, self._select_variables)
        except (OSError, ValueError) as error:
            reason = os_error_reason(error)
            return [f"{_SUBJECT} could not be written ({reason}); the log has the links."]
        warnings = omitted_variables_warning(report, self._select_variables(report), _SUBJECT) if report.verdict else []
        if not is_readable:
            warnings.append(f"{_SUBJECT} may be a part of another process's open value; the log has the links.")
        return warnings


def env_file(
    name: str, file_format: EnvFileFormat = DOTENV_FORMAT, filename: str = "", *, write_early: bool = True
) -> Callable[[PublishContext], tuple[EnvFilePublisher, ...]]:
    """Return a function that finds the file of a job.

    Args:
        name: The variable that names the file.
        form: What the file holds.
        within: The name of the file if the variable names its folder.
        early: Whether to write also before the end of the step: only where the last value of a name counts.

    """

    def find_publishers(target: PublishContext) -> tuple[EnvFilePublisher, ...]:
        path = target.environ.get(name, "")
        if not path:
            return ()
        values = SharedFileValues(
            Path(path, filename), target.clock, file_format.format_lines, file_format.is_open, write_early=write_early
        )
        return (EnvFilePublisher(values, file_format.select_variables),)

    return find_publishers
