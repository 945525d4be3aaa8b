"""What a CI system is to the rest of the house: its context, its own tokens, and how it is spoken to.

The dialect of a system that gives log lines no meaning: words alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.escaping import escape_log_line
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret


class PlainLogFormatter:
    """Readable lines, and nothing that any system takes for a command."""

    def mask(self, value: str) -> tuple[str, ...]:  # noqa: ARG002 - printing a value to hide it would show it
        """Return nothing: there is no mask to ask for."""
        return ()

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the title as a heading."""
        return ("", escape_log_line(section.title))

    def end_group(self, section: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - as Dialect has it
        """Return nothing: the next heading ends the group."""
        return ()

    def annotation(self, level: str, problem: Diagnostic, title: str = "") -> str:
        """Return the problem as `Error: title: text`."""
        text = f"{title}: {problem}" if title else str(problem)
        return escape_log_line(f"{level.capitalize()}: {text}")


PLAIN_LOG_FORMATTER = PlainLogFormatter()


# A build of which nothing is known.
UNKNOWN_BUILD = BuildContext()
# A mask this short would turn ordinary words of every later log line into asterisks.
MIN_MASK_LENGTH = 6


class LogGroup(NamedTuple):
    """A group of log lines; `key` is unlike that of any other, the times are in seconds since 1970."""

    title: str
    key: str
    started_at: int
    ended_at: int = 0


class LogFormatter(Protocol):
    """How log lines get a meaning in one CI system; every method returns whole, safe lines."""

    def mask(self, value: str) -> Sequence[str]:
        """Return the lines that ask the system to hide `value` from now on; none if it has no such thing."""

    def group(self, section: LogGroup) -> Sequence[str]:
        """Return the lines that open a log group."""

    def end_group(self, section: LogGroup) -> Sequence[str]:
        """Return the lines that close it."""

    def annotation(self, level: str, problem: Diagnostic, title: str = "") -> str:
        """Return one line that reports a problem; `level` is error, warning or notice."""


class PublishContext(NamedTuple):
    """What a publisher writes to: the job's variables, its working directory, its log, and time.

    `summary` says whether one is wanted; `say` prints lines as they are, so they must be whole commands. `shared`
    says whether to write what all jobs of the build share, such as data of the build and reports of the commit.
    `context` has the facts of the build, those that options state included.
    """

    environ: Mapping[str, str]
    wants_summary: bool
    working_directory: Path
    write_lines: Callable[[Iterable[str]], None]
    clock: Clock
    publishes_shared_data: bool = True
    build_context: BuildContext = UNKNOWN_BUILD


class ReportPublisher(Protocol):
    """Writes a report to where one CI system looks for it."""

    def publish(self, report: Report) -> Sequence[str]:
        """Write the report anew, whole, and return what could not be written, one warning each."""


class RemotePublisher:
    """Marks a publisher that calls a server or a program, and so may take a while."""


class CommentSupport(NamedTuple):
    """Where comments go: the option that has the token, and the comments of the change, None if there is no change."""

    token_option: str
    open_thread: Callable[[Mapping[str, str], BuildContext, Secret, Clock], CommentThread | None]


class CISystem(NamedTuple):
    """One CI system.

    `context` reads the build's facts from the environment and never fails. `tokens` are the names, or
    shell patterns of names, of variables in which the system keeps credentials of its own: a manifest
    can't name them. `publishers` make the native outputs and summary, `files` adds files of the
    system's own to results-dir, and `comments` finds where to comment on a change with a token; each is
    left out where the system has no such thing. `attachments` says how the system finds a folder whose
    files junit.xml names, or nothing if it shows none.
    `parallel` tells which of how many parallel jobs this one is, or None if that makes no sense; it is
    None itself where the system does not say. `path_in_checkout` returns the path of a file from the root of the
    checkout, as annotations name it, of the path from a working directory.
    """

    build_context: Callable[[Mapping[str, str]], BuildContext]
    secret_variables: tuple[str, ...] = ()
    log_formatter: LogFormatter = PLAIN_LOG_FORMATTER
    create_publishers: Callable[[PublishContext], Sequence[ReportPublisher]] = lambda _: ()
    extra_result_files: Callable[[Report], Mapping[str, str]] = lambda _: {}
    comment_support: CommentSupport | None = None
    attachments_root: Callable[[Mapping[str, str], Path], str] = lambda *_: ""
    detect_shard: Callable[[Mapping[str, str]], Shard | None] | None = None
    path_in_checkout: Callable[[Mapping[str, str], str, str], str] = lambda _environ, _folder, file: file
