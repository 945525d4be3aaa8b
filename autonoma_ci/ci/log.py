"""The log: every line that is printed goes through here, in the CI system's own dialect."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.clock import Clock
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.redaction.redactor import Secret


_LEFT_OUT = "{} {} left out, since the reader of the log did not keep up."


class JobLog:
    """Prints to one stream; what can't be printed is left out, since the job matters more than its log.

    With `is_product`, the lines are the product of the command, and printing them raises OutputError on failure.
    `in_checkout` returns a file's path from the root of the checkout.
    """

    def __init__(
        self,
        stream: TextIO,
        dialect: LogFormatter,
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

    def redact_values(self, values: Iterable[Secret]) -> None:
        """Leave these values out of all lines from now on."""
        self._redact = Redactor(values)

    def mask(self, values: Iterable[Secret]) -> None:
        """Ask the CI system to leave these values out of whatever any step of the job prints."""
        for secret in values:
            # One that is not used can have several lines. What is behind a line break would be in the log.
            for line in secret.reveal().splitlines():
                if line.isprintable():
                    self.write_lines(self._dialect.mask(line))

    def info(self, text: str = "") -> None:
        """Print one line of text."""
        self.write_lines([escape_log_line(self._redact(text))])

    def progress(self, text: str) -> None:
        """Print a line, or leave it out and count it if the buffer is full."""
        # Only the streams of the process have a buffer.
        has_room = getattr(self._stream, "has_room", None)
        if has_room is None or has_room():
            self.info(text)
        else:
            self._left_out += 1

    def show_omitted_count(self) -> None:
        """Print the number of lines that were left out."""
        if self._left_out:
            self.write_lines([])

    def annotate(self, level: str, problem: Diagnostic, title: str = "") -> None:
        """Print a problem; `level` is error, warning or notice."""
        # Before it is escaped: an escaped secret would not be recognised, and a command has words of its own.
        clean = problem._replace(
            message=self._redact(problem.message),
            file=self._redact(problem.file),
            path_in_checkout=self._redact(self._in_checkout(problem.file)) if problem.file else "",
        )
        excerpt = [escape_log_line(self._redact(line)) for line in problem.excerpt]
        self.write_lines([self._dialect.annotation(level, clean, self._redact(title)), *excerpt])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print what is printed meanwhile as a group of the log."""
        section = LogGroup(self._redact(title), f"autonoma_{secrets.token_hex(4)}", self._clock.unix_time())
        self.write_lines(self._dialect.group(section))
        try:
            yield
        except BaseException:
            # The reader may be gone, or may have stalled: the signal that has ended the wait for it ends no second one.
            self._print(self._ended(section))
            raise
        self.write_lines(self._ended(section))

    def _ended(self, section: LogGroup) -> Sequence[str]:
        return self._dialect.end_group(section._replace(ended_at=self._clock.unix_time()))

    def write_lines(self, lines: Iterable[str]) -> None:
        """Print lines as they are: whole commands in the system's own grammar."""
        if count := self._left_out:
            self._left_out = 0
            lines = [_LEFT_OUT.format(pluralize(count, "progress line"), "was" if count == 1 else "were"), *lines]
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
