"""Run an autonoma-ci command in the test's process, and capture its output."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREDENTIALS = {"AUTONOMA_CLIENT_ID": "client-id-of-the-test", "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test"}


class CommandResult(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Standard output and standard error."""
        return self.out + self.err

    @property
    def errors(self) -> list[str]:
        """The texts of the errors, without `Error:` or `::error::`."""
        matches = [re.fullmatch(r"(?:Error: |::error[^:]*::)(.*)", line) for line in self.err.splitlines()]
        return [unquote(match[1]) if match[0].startswith("::") else match[1] for match in matches if match]


class FakeTerminal(io.StringIO):
    """An input or output stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def invoke(
    folder: Path, *argv: str, environ: Mapping[str, str] | None = None, terminal_input: str | None = None
) -> CommandResult:
    """Run a command in a folder with this environment only.

    Args:
        folder: The working directory.
        argv: The command and its arguments.
        environ: The whole environment.
        terminal_input: The input at a terminal. Without it, there is no terminal.
    """
    out, err = io.StringIO() if terminal_input is None else FakeTerminal(), io.StringIO()
    stdin = None if terminal_input is None else FakeTerminal(terminal_input)
    code = cli.run_command(argv, Runtime(environ or {}, out, err, str(folder), stdin=stdin))
    return CommandResult(code, out.getvalue(), err.getvalue())
