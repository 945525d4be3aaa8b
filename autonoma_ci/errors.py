"""The exceptions that end a command, with their exit codes.

    AutonomaError
    ├── InputError        2    invalid option, manifest or plan; nothing was sent
    ├── ApiError          3 or 5    a command that starts no runs got no usable response
    ├── OutputError       2    standard output failed, for a command that prints its result
    └── HelpPrinted       0    the help was printed
    Cancelled             130 or 143    SIGINT or SIGTERM

A message has the problem, the likely cause and the fix, in this order. The failure of a single run is not an error but
a `models.RunResult`. The other runs continue, and the verdict counts all of them. Any other exception is a bug and ends
with exit code 70.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Python raises SystemError if there is no memory for a MemoryError.
MEMORY_ERRORS = (MemoryError, SystemError)
# Exit codes of a job without a verdict. Those of a verdict are in `engine.verdict`.
EXIT_INPUT = 2
EXIT_UNAUTHORIZED = 3
EXIT_API = 5
EXIT_INTERNAL_ERROR = 70


class AutonomaError(Exception):
    """An error that the user can fix, with its message."""


class Diagnostic(NamedTuple):
    """One message for the log, such as a problem of the input or a notice.

    No text in it may contain secrets or values of variables.
    """

    message: str
    # Empty for a problem of an option.
    file: str = ""
    # Both count from 1. 0 means that there is no position.
    line: int = 0
    column: int = 0
    # Further lines for the log, such as the line of the file with a caret.
    excerpt: tuple[str, ...] = ()
    # The path of the file from the root of the checkout. The job log finds it.
    path_in_checkout: str = ""

    def __str__(self) -> str:
        if not self.file:
            return self.message
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InputError(AutonomaError):
    """All problems of the input together, with exit code 2.

    It is raised before the first request.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic | str]) -> None:
        self.diagnostics = tuple(Diagnostic(p) if isinstance(p, str) else p for p in diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


class ApiError(AutonomaError):
    """The API rejected the credentials, or sent no usable response.

    The exit code is 3 or 5.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class OutputError(AutonomaError):
    """A command could not print its output, with exit code 2."""


class HelpPrinted(AutonomaError):  # noqa: N818 - a request for help is not an error
    """The command line requested the help, with exit code 0."""


class Cancelled(BaseException):
    """A signal ended the job.

    The exit code is 128 plus the number of the signal. Like KeyboardInterrupt, this is not an Exception, because code
    that continues after any error must not continue after a signal.
    """

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(f"cancelled by signal {signal}")
