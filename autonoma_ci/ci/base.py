"""Base class of all CI systems, with types for log and publishers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from autonoma_ci.ci.changes.change_base import NO_BASE_FACTS, BaseFacts, decide_change_base
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.models import PULL_REQUEST, BuildContext, BuildIdRules
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import ChangeBase, ComparedFiles, Report
    from autonoma_ci.redaction.redactor import Secret

UNKNOWN_BUILD = BuildContext()  # no fact of the build is known
# In characters. A shorter mask would turn ordinary words of later log lines into asterisks.
MIN_MASK_LENGTH = 6


class LogGroup(NamedTuple):
    """One group of log lines."""

    title: str
    key: str  # unique in the log
    started_at: int  # seconds since 1970
    ended_at: int = 0  # seconds since 1970, 0 while the group is open


class LogFormatter(Protocol):
    """Formats log lines for one CI system.

    Every method returns complete lines that are already escaped.
    """

    def mask(self, value: str) -> Sequence[str]:
        """Return the lines that make the system hide `value` from now on.

        A system without such a command gets no lines.
        """

    def group(self, log_group: LogGroup) -> Sequence[str]:
        """Return the lines that open a log group."""

    def end_group(self, log_group: LogGroup) -> Sequence[str]:
        """Return the lines that close a log group."""

    def annotation(self, level: str, diagnostic: Diagnostic, title: str = "") -> str:
        """Return one line that reports a diagnostic.

        Args:
            level: `error`, `warning` or `notice`.
            diagnostic: The message, with its position in a file if it has one.
            title: Shown before the message, can be empty.

        """

    def debug(self, text: str) -> str:
        """Return one line of the debug log, which the system must not hide."""


class PlainLogFormatter:
    """Formats readable lines without commands for any CI system."""

    def mask(self, value: str) -> tuple[str, ...]:  # noqa: ARG002 - printing a value to hide it would show it
        """Return no lines, because a plain log can't hide a value."""
        return ()

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return an empty line and the title."""
        return ("", escape_log_line(log_group.title))

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - signature of LogFormatter
        """Return no lines, because the next title ends the group."""
        return ()

    def annotation(self, level: str, diagnostic: Diagnostic, title: str = "") -> str:
        """Return the diagnostic as `Error: title: text`."""
        text = f"{title}: {diagnostic}" if title else str(diagnostic)
        return escape_log_line(f"{level.capitalize()}: {text}")

    def debug(self, text: str) -> str:
        """Return the text as one line."""
        return escape_log_line(text)


PLAIN_LOG_FORMATTER = PlainLogFormatter()


class PublishContext(NamedTuple):
    """Everything that a publisher needs of the job."""

    environ: Mapping[str, str]
    wants_summary: bool
    working_directory: Path
    # Prints lines unchanged. Each line must be a complete, escaped command.
    write_lines: Callable[[Iterable[str]], None]
    clock: Clock
    # Whether to write data that all jobs share, such as data of the build and reports of the commit.
    publishes_shared_data: bool = True
    # Includes the facts of the build that options state.
    build_context: BuildContext = UNKNOWN_BUILD


class ReportPublisher(Protocol):
    """Writes a report to a place where one CI system reads it."""

    def publish(self, report: Report) -> Sequence[str]:
        """Write the complete report, and replace an earlier one.

        Returns:
            One warning for each part that could not be written.

        """


class RemotePublisher:
    """Marks a publisher that calls a server or a program.

    Such a call can last seconds.
    """


class CommentSupport(NamedTuple):
    """Where a CI system shows comments on a change."""

    token_option: str  # name of the option with the token
    # Returns the comments of the change, or None if the job's variables name no change.
    open_thread: Callable[[Mapping[str, str], BuildContext, Secret, Clock], CommentThread | None]


class CompareSupport(NamedTuple):
    """How to compare commits through the API of a CI system."""

    token_option: str  # name of the option with the token
    # Returns the changed files of a build. Raises CompareError if they are not known for certain.
    compare: Callable[[Mapping[str, str], BuildContext, ChangeBase, Secret, Clock], ComparedFiles]


class Workspace(NamedTuple):
    """The folders that outlive the container of a job."""

    path: str
    # What happens to files elsewhere, as the end of a sentence.
    consequence: str = "the files are lost with the container"
    # Other folders that outlive the container.
    mounted_folders: tuple[str, ...] = ()


class CISystem(ABC):
    """One CI system.

    A subclass must override `build_context`. It overrides the other methods and attributes where its system has
    the feature. Instances have no state. The name and the detection of a system are a row of
    `autonoma_ci.ci.detection.DETECTION_RULES`.
    """

    # The name of the system in report.html.
    display_name: str = "a CI system"
    # How the system names a change request.
    change_noun: str = PULL_REQUEST
    # Where the system stores secrets, and how to pass them to a job, from the system's documentation. These fields are
    # replaced: `{names}` (the missing variables), `{pronoun}` (it or them), `{inputs}` (the inputs of the action) and
    # `{values}` (the variables with `=…`).
    secrets_help: str = "Add {names} to the secrets of the CI system, and pass {pronoun} to the job"
    # What the system passes for an unset variable, such as `$NAME`, for example for a secret in a job without secrets.
    # None if it passes an empty text.
    unset_reference: str | None = None
    # What the system's build ids mean, by which a job step finds out whether a results.json is of its build.
    build_id_rules: BuildIdRules = BuildIdRules()
    # Names of variables that hold credentials of the system itself. A manifest can't read these variables.
    # A name can be a shell pattern, such as `CI_*_TOKEN`.
    secret_variables: tuple[str, ...] = ()
    # Formats groups, masks and annotations of the log.
    log_formatter: LogFormatter = PLAIN_LOG_FORMATTER
    # How to comment on a pull or merge request. None if the system has no comments.
    comment_support: CommentSupport | None = None
    # How to compare commits without a clone. None if the system has no such API.
    compare_support: CompareSupport | None = None

    @abstractmethod
    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of the build from the environment.

        It must accept any environment and never fail. An unknown fact is an empty text.
        """

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:  # noqa: ARG002 - no facts
        """Read what the system knows about the base of a build.

        It must accept any environment and never fail. A system that names its triggers gives a reason for each one that
        is neither a push nor a change request. Without facts, a change request has no base, and another branch is
        compared with the default branch of the clone.
        """
        return NO_BASE_FACTS

    def change_base(self, environ: Mapping[str, str], context: BuildContext) -> ChangeBase:
        """Return what the build is compared with, to find its changed files.

        Args:
            environ: The variables of the job.
            context: The build, with the facts that options state.

        Returns:
            The base, or the reason why the build has none.

        """
        detected = self.build_context(environ)
        return decide_change_base(self.read_base_facts(environ), detected, context, self.change_noun)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:  # noqa: ARG002 - no publishers
        """Return the publishers of outputs, variables and summary.

        `autonoma_ci.ci.publishers` has ready-made ones, such as those of `create_env_file_publishers` and
        `create_summary_file_publishers`.
        """
        return ()

    def extra_result_files(self, report: Report) -> Mapping[str, str]:  # noqa: ARG002 - no files
        """Return the texts of further files in the results folder, by name."""
        return {}

    def attachments_root(self, environ: Mapping[str, str], folder: Path) -> str:  # noqa: ARG002 - no attachments
        """Return the path by which the system finds the results folder.

        The paths of screenshots in junit.xml start with it.

        Args:
            environ: The variables of the job.
            folder: The results folder.

        Returns:
            The path, or an empty text if the system shows no files that junit.xml names.

        """
        return ""

    def is_debugging(self, environ: Mapping[str, str]) -> bool:  # noqa: ARG002 - no such setting
        """Return whether the system runs this job with debug logs."""
        return False

    def find_workspace(self, environ: Mapping[str, str]) -> Workspace | None:  # noqa: ARG002 - no container
        """Return the workspace of a job in a container.

        None means that the job does not run in a container, or that files outside of its workspace are kept.
        """
        return None

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:  # noqa: ARG002 - no numbers
        """Return the shard of this job among its parallel copies.

        A system that does not number parallel jobs does not override this method.

        Returns:
            The place, counted from 1. A job without copies is 1/1. None if the place is unknown: the system does not
            number its jobs, or the variables are invalid. Invalid variables must not be 1/1, because each copy would
            start the complete plan.

        """
        return None

    def path_in_checkout(self, environ: Mapping[str, str], folder: str, file: str) -> str:  # noqa: ARG002 - unchanged
        """Return the path of an annotated file from the checkout's root.

        Args:
            environ: The variables of the job.
            folder: The working directory.
            file: The path from the working directory.

        """
        return file
