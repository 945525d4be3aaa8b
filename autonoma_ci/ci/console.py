"""The log: every line that is printed goes through here, in the CI system's own dialect."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.system import Section
from autonoma_ci.engine.clock import Clock
from autonoma_ci.secret import Redactor
from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.ci.system import Dialect
    from autonoma_ci.errors import Problem
    from autonoma_ci.secret import Secret


class Console:
    """Prints to one stream; what can't be printed is left out, since the job matters more than its log."""

    def __init__(self, stream: TextIO, dialect: Dialect, clock: Clock | None = None) -> None:
        self._stream = stream
        self._dialect = dialect
        self._clock = clock or Clock()
        self._redact = Redactor(())

    def hide(self, values: Iterable[Secret]) -> None:
        """Leave these values out of all lines from now on."""
        self._redact = Redactor(values)

    def mask(self, values: Iterable[Secret]) -> None:
        """Ask the CI system to leave these values out of whatever any step of the job prints."""
        for secret in values:
            self.say(self._dialect.mask(secret.reveal()))

    def line(self, text: str = "") -> None:
        """Print one line of text."""
        self.say([log_line(self._redact(text))])

    def issue(self, level: str, problem: Problem, title: str = "") -> None:
        """Print a problem; `level` is error, warning or notice."""
        # Before it is escaped: an escaped secret would not be recognised, and a command has words of its own.
        clean = problem._replace(text=self._redact(problem.text), file=self._redact(problem.file))
        self.say([self._dialect.issue(level, clean, self._redact(title))])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print what is printed meanwhile as a group of the log."""
        section = Section(self._redact(title), f"autonoma_{secrets.token_hex(4)}", self._clock.unix())
        self.say(self._dialect.group(section))
        try:
            yield
        finally:
            self.say(self._dialect.end_group(section._replace(ended=self._clock.unix())))

    def say(self, lines: Iterable[str]) -> None:
        """Print lines as they are: whole commands in the system's own grammar."""
        with suppress(OSError, ValueError):
            for line in lines:
                self._stream.write(f"{line}\n")
            self._stream.flush()
