"""The command in this process: one invocation, and what it printed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci import cli
from autonoma_ci.commands.world import World

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
        """The error lines, without the word Error."""
        return [line.removeprefix("Error: ") for line in self.err.splitlines() if line.startswith("Error: ")]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def invoke(folder: Path, *argv: str, environ: Mapping[str, str] | None = None, typed: str | None = None) -> Ended:
    """Run the command in `folder`, with this environment and no other; with what is `typed`, at a terminal."""
    out, err = io.StringIO() if typed is None else Terminal(), io.StringIO()
    stdin = None if typed is None else Terminal(typed)
    code = cli.main(argv, World(environ or {}, out, err, str(folder), stdin=stdin))
    return Ended(code, out.getvalue(), err.getvalue())
