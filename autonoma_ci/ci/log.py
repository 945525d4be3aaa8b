"""The job's log, written in the format of its CI system."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.clock import Clock
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.redaction.redactor import NO_SECRETS
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.redaction.redactor import Redactor, Secret


_OMITTED = "{} {} left out, because the reader of the log is too slow."


class JobLog:
    """A log that writes redacted lines to one stream.

    The log drops lines that it can't write, because the job matters more than its log.

    Args:
        stream: Where the lines go.
        formatter: Formats annotations, groups and masks for the CI system.
        clock: The time of groups.
        omittable: The kind of the lines that can be omitted.
        is_product: Whether the lines are the product of the command. Then a failed write raises OutputError.
        in_checkout: Returns a file's path relative to the root of the checkout.
    """

    def __init__(
        self,
        stream: TextIO,
        formatter: LogFormatter,
        clock: Clock | None = None,
        *,
        omittable: str = "progress line",
        is_product: bool = False,
        in_checkout: Callable[[str], str] = lambda file: file,
    ) -> None:
        self._stream = stream
        self._in_checkout = in_checkout
        self._formatter = formatter
        self._clock = clock or Clock()
        self._omittable, self._is_product = omittable, is_product
        self._redact = NO_SECRETS
        self._omitted_count = 0

    def redact_with(self, redact: Redactor) -> None:
        """Redact all following lines."""
        self._redact = redact

    def mask(self, values: Iterable[Secret]) -> None:
        """Have the CI system mask these values in the job's log."""
        for secret in values:
            # A secret that is not in use can have several lines. The log would show the text after a line break, so
            # each line is masked.
            for line in secret.reveal().splitlines():
                if line.isprintable():
                    self.write_lines(self._formatter.mask(line))

    def info(self, text: str = "") -> None:
        """Print one line of text."""
        self.write_lines([escape_log_line(self._redact(text))])

    def progress(self, text: str) -> None:
        """Print a line unless the buffer of the stream is full.

        A line that does not fit is counted as omitted.
        """
        # Only the streams of the process have a buffer (`autonoma_ci.streams`).
        has_capacity = getattr(self._stream, "has_capacity", None)
        if has_capacity is None or has_capacity():
            self.info(text)
        else:
            self._omitted_count += 1

    def debug(self, time: str, text: str) -> None:
        """Print a line of the debug log, unless the buffer is half full.

        Args:
            time: The time in UTC.
            text: The text. A value in it is redacted, but never one that occurs in the time.

        """
        if getattr(self._stream, "has_spare_capacity", True):
            self.write_lines([self._formatter.debug(f"{time} {self._redact(text)}")])
        else:
            self._omitted_count += 1

    def show_omitted_count(self) -> None:
        """Print the number of omitted lines."""
        if self._omitted_count:
            self.write_lines([])

    def annotate(self, level: str, problem: Diagnostic, title: str = "") -> None:
        """Print an error, a warning or a notice.

        Args:
            level: `error`, `warning` or `notice`.
            problem: The message, and the file and position if there are any.
            title: The title of the annotation, for systems that show one.

        Raises:
            OutputError: The lines are the product of the command and could not be written.
        """
        # Redaction comes before escaping, because the redactor does not find an escaped secret. The command of an
        # annotation has words of its own, so only its values are redacted.
        redacted = problem._replace(
            message=self._redact(problem.message),
            file=self._redact(problem.file),
            path_in_checkout=self._redact(self._in_checkout(problem.file)) if problem.file else "",
        )
        excerpt = [escape_log_line(self._redact(line)) for line in problem.excerpt]
        self.write_lines([self._formatter.annotation(level, redacted, self._redact(title)), *excerpt])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print all lines of the `with` block as one group."""
        group = LogGroup(self._redact(title), f"autonoma_{secrets.token_hex(4)}", self._clock.unix_time())
        self.write_lines(self._formatter.group(group))
        try:
            yield
        except BaseException:
            # The reader may be gone or stalled. A signal that ended one wait for it must not meet a second wait.
            self._print(self._format_group_end(group))
            raise
        self.write_lines(self._format_group_end(group))

    def _format_group_end(self, group: LogGroup) -> Sequence[str]:
        return self._formatter.end_group(group._replace(ended_at=self._clock.unix_time()))

    def write_lines(self, lines: Iterable[str]) -> None:
        """Print lines without escaping and redaction.

        The lines can be commands of the CI system.

        Raises:
            OutputError: The lines are the product of the command and could not be written.
        """
        if count := self._omitted_count:
            self._omitted_count = 0
            lines = [_OMITTED.format(pluralize(count, self._omittable), "was" if count == 1 else "were"), *lines]
        if self._is_product:
            write_product(self._stream, _join_lines(lines))
        else:
            self._print(lines)

    def _print(self, lines: Iterable[str]) -> None:
        """Print lines, and ignore a stream that can't be written."""
        with suppress(OSError, ValueError):
            self._stream.write(_join_lines(lines))
            self._stream.flush()


def _join_lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
