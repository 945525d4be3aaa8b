"""The log: every line that is printed goes through here, in the CI system's own dialect."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.secret import Redactor
from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.ci.system import Dialect
    from autonoma_ci.errors import Problem
    from autonoma_ci.secret import Secret


class Console:
    """Prints to one stream; what can't be printed is left out, since the job matters more than its log."""

    def __init__(self, stream: TextIO, dialect: Dialect) -> None:
        self._stream = stream
        self._dialect = dialect
        self._redact = Redactor(())

    def hide(self, secrets: Iterable[Secret]) -> None:
        """Leave these values out of all lines from now on."""
        self._redact = Redactor(secrets)

    def mask(self, secrets: Iterable[Secret]) -> None:
        """Ask the CI system to leave these values out of whatever any step of the job prints."""
        for secret in secrets:
            self._write(self._dialect.mask(secret.reveal()))

    def line(self, text: str = "") -> None:
        """Print one line of text."""
        self._write([log_line(self._redact(text))])

    def issue(self, level: str, problem: Problem, title: str = "") -> None:
        """Print a problem; `level` is error, warning or notice."""
        # Before it is escaped: an escaped secret would not be recognised, and a command has words of its own.
        clean = problem._replace(text=self._redact(problem.text), file=self._redact(problem.file))
        self._write([self._dialect.issue(level, clean, self._redact(title))])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print what is printed meanwhile as a group of the log."""
        self._write(self._dialect.group(self._redact(title)))
        try:
            yield
        finally:
            self._write(self._dialect.end_group())

    def _write(self, lines: Iterable[str]) -> None:
        with suppress(OSError, ValueError):
            for line in lines:
                self._stream.write(f"{line}\n")
            self._stream.flush()
