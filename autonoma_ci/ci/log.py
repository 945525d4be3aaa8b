"""The log: every line that is printed goes through here, in the CI system's own dialect."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.base import Section
from autonoma_ci.clock import Clock
from autonoma_ci.escaping import log_line
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import plural
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from autonoma_ci.ci.base import Dialect
    from autonoma_ci.errors import Problem
    from autonoma_ci.redaction.redactor import Secret


_LEFT_OUT = "{} {} left out, since the reader of the log did not keep up."


class Console:
    """Prints to one stream; what can't be printed is left out, since the job matters more than its log.

    With `is_product`, the lines are the product of the command, and printing them raises OutputError on failure.
    `in_checkout` returns a file's path from the root of the checkout.
    """

    def __init__(
        self,
        stream: TextIO,
        dialect: Dialect,
        clock: Clock | None = None,
        *,
        is_product: bool = False,
        in_checkout: Callable[[str], str] = lambda file: file,
    ) -> None:
        self._stream = stream
        self._in_checkout = in_checkout
        self._dialect = dialect
        self._clock = clock or Clock()
        self._is_product = is_product
        self._redact = Redactor(())
        self._left_out = 0

    def hide(self, values: Iterable[Secret]) -> None:
        """Leave these values out of all lines from now on."""
        self._redact = Redactor(values)

    def mask(self, values: Iterable[Secret]) -> None:
        """Ask the CI system to leave these values out of whatever any step of the job prints."""
        for secret in values:
            # One that is not used can have several lines. What is behind a line break would be in the log.
            for line in secret.reveal().splitlines():
                if line.isprintable():
                    self.say(self._dialect.mask(line))

    def line(self, text: str = "") -> None:
        """Print one line of text."""
        self.say([log_line(self._redact(text))])

    def progress(self, text: str) -> None:
        """Print a line, or leave it out and count it if the buffer is full."""
        # Only the streams of the process have a buffer.
        has_room = getattr(self._stream, "has_room", None)
        if has_room is None or has_room():
            self.line(text)
        else:
            self._left_out += 1

    def note_left_out(self) -> None:
        """Print the number of lines that were left out."""
        if self._left_out:
            self.say([])

    def issue(self, level: str, problem: Problem, title: str = "") -> None:
        """Print a problem; `level` is error, warning or notice."""
        # Before it is escaped: an escaped secret would not be recognised, and a command has words of its own.
        clean = problem._replace(
            text=self._redact(problem.text),
            file=self._redact(problem.file),
            in_checkout=self._redact(self._in_checkout(problem.file)) if problem.file else "",
        )
        excerpt = [log_line(self._redact(line)) for line in problem.excerpt]
        self.say([self._dialect.issue(level, clean, self._redact(title)), *excerpt])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print what is printed meanwhile as a group of the log."""
        section = Section(self._redact(title), f"autonoma_{secrets.token_hex(4)}", self._clock.unix())
        self.say(self._dialect.group(section))
        try:
            yield
        except BaseException:
            # The reader may be gone, or may have stalled: the signal that has ended the wait for it ends no second one.
            self._print(self._ended(section))
            raise
        self.say(self._ended(section))

    def _ended(self, section: Section) -> Sequence[str]:
        return self._dialect.end_group(section._replace(ended=self._clock.unix()))

    def say(self, lines: Iterable[str]) -> None:
        """Print lines as they are: whole commands in the system's own grammar."""
        if count := self._left_out:
            self._left_out = 0
            lines = [_LEFT_OUT.format(plural(count, "progress line"), "was" if count == 1 else "were"), *lines]
        if self._is_product:
            write_product(self._stream, _text(lines))
        else:
            self._print(lines)

    def _print(self, lines: Iterable[str]) -> None:
        """Print lines without waiting for the reader."""
        with suppress(OSError, ValueError):
            self._stream.write(_text(lines))
            self._stream.flush()


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
