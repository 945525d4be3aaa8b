"""Every error that a user can cause, and the exit code that goes with it.

    AutonomaError
    ├── InputError        2    a bad option, manifest or plan; nothing was sent
    ├── ApiError          3 or 5    a command that is no step could not get what it asked the API for
    ├── OutputError       2    standard output failed, for a command that prints its product
    └── Finished          0    help was asked for and given
    Cancelled             130 or 143    SIGINT or SIGTERM

A message says what happened, the likely cause and what to do, in that order. Failures of single runs
are not errors but outcomes (`model.Outcome`): the other runs go on, and the verdict counts them all.
An exception that is not in this tree is a bug and ends with exit code 70.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Python raises the second where it has no memory for the first.
MEMORY_ERRORS = (MemoryError, SystemError)
# What a job that has no verdict ends with; `engine.verdict` has those of runs.
EXIT_INPUT = 2
EXIT_UNAUTHORIZED = 3
EXIT_API = 5
EXIT_INTERNAL_ERROR = 70


class AutonomaError(Exception):
    """What a user can cause and mend; its text is the message."""


class Diagnostic(NamedTuple):
    """One thing that is wrong with the input.

    `line` and `column` count from 1; 0 means that there is no place to point at. `file` is empty for
    problems of options. `excerpt` has further lines for the log, such as the line of the file with a caret.
    `in_checkout` is the file's path from the root of the checkout, where a console has found it. All texts must already
    be free of secrets and of values of variables.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    excerpt: tuple[str, ...] = ()
    path_in_checkout: str = ""

    def __str__(self) -> str:
        if not self.file:
            return self.message
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InputError(AutonomaError):
    """All problems of the input at once: exit code 2, and nothing was sent."""

    def __init__(self, problems: Iterable[Diagnostic | str]) -> None:
        self.diagnostics = tuple(Diagnostic(p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(map(str, self.diagnostics)))


class ApiError(AutonomaError):
    """The API refused the credentials, or gave no usable answer: the exit code says which."""

    def __init__(self, text: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(text)


class OutputError(AutonomaError):
    """The product of a command could not be written to standard output: exit code 2."""


class HelpPrinted(AutonomaError):  # noqa: N818 - asking for help is no error
    """The command line asked for help, and has it: exit code 0."""


class Cancelled(BaseException):
    """A signal ended the job: `signal` is its number, the exit code is 128 more.

    It is no Exception, as KeyboardInterrupt is none: code that goes on after any error must not go on after a signal.
    """

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(f"cancelled by signal {signal}")
