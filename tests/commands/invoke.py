"""The command in this process: one invocation, and what it printed."""

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


class Ended(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def printed(self) -> str:
        """All that anybody could read."""
        return self.out + self.err

    @property
    def errors(self) -> list[str]:
        """The errors, without the word Error, or without the command that GitHub's runner takes for an error."""
        found = [re.fullmatch(r"(?:Error: |::error[^:]*::)(.*)", line) for line in self.err.splitlines()]
        return [unquote(one[1]) if one[0].startswith("::") else one[1] for one in found if one]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def invoke(folder: Path, *argv: str, environ: Mapping[str, str] | None = None, typed: str | None = None) -> Ended:
    """Run the command in `folder`, with this environment and no other; with what is `typed`, at a terminal."""
    out, err = io.StringIO() if typed is None else Terminal(), io.StringIO()
    stdin = None if typed is None else Terminal(typed)
    code = cli.run_command(argv, Runtime(environ or {}, out, err, str(folder), stdin=stdin))
    return Ended(code, out.getvalue(), err.getvalue())
