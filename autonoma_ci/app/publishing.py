"""Publish a report, with a comment on the pull or merge request."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeVar

from autonoma_ci.app.credentials import describe_unresolved
from autonoma_ci.engine.workers import ReportWritten, SignalReceived
from autonoma_ci.errors import MEMORY_ERRORS, InputError
from autonoma_ci.fs.files import os_error_reason
from autonoma_ci.models import Conclusion
from autonoma_ci.net.threads import start_thread
from autonoma_ci.startup import DebugLogger, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import ReportPublisher
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.engine.workers import Events
    from autonoma_ci.models import Report

T = TypeVar("T")
_log = DebugLogger()
# Limit of a slow report after a signal. All data that a later job step needs is written before.
MAX_SECONDS_AFTER_SIGNAL = 1.5
# Limit without a signal. The report itself has a limit of 60 s, but a name resolution has none.
MAX_REPORT_SECONDS = 65.0


class CommentOutcome(NamedTuple):
    """A message for the log about the comment."""

    # `warning` or `notice`.
    level: str
    # None if there is nothing to report.
    message: str | None


def is_comment_wanted(settings: Settings, report: Report) -> bool:
    """Return whether this job step posts or updates the comment.

    After a step that did nothing for a stated reason, or was cancelled, the comment of an earlier one is still valid.
    """
    is_wanted = settings.comment and settings.publish == "now" and not settings.dry_run
    has_outcome = bool(report.verdict and report.verdict.conclusion is not Conclusion.CANCELLED)
    return is_wanted and has_outcome and not report.skip_reason


def post_comment(settings: Settings, ci: CIEnvironment, runtime: Runtime, report: Report) -> CommentOutcome:
    """Post the comment, or return why it is missing."""
    if not is_comment_wanted(settings, report):
        return CommentOutcome("notice", None)
    comments = ci.ci_system.comment_support
    if not comments:
        text = f"{settings.spelling_of('comment')} has no effect on {ci.build_context.ci_name}"
        return CommentOutcome("warning", f"{text}. Comments need GitHub or GitLab.")
    if not ci.build_context.change_number:
        return CommentOutcome("notice", "No comment: this build has no pull or merge request.")
    token = getattr(settings, comments.token_option.replace("-", "_"))
    if not token:
        reference = settings.unresolved_references.get(comments.token_option)
        reason = (
            describe_unresolved([reference]) if reference else f"{settings.spelling_of(comments.token_option)} is empty"
        )
        return CommentOutcome("warning", f"The comment could not be written: {reason}.")
    try:
        thread = comments.open_thread(runtime.environ, ci.build_context, token, runtime.clock)
        if not thread:
            return CommentOutcome(
                "warning", "The comment could not be written: the variables of the job do not identify the change."
            )
        from autonoma_ci.ci.comments.sticky import create_or_update_comment

        return CommentOutcome("warning", create_or_update_comment(thread, report, settings.client_secret))
    except InputError as error:
        reason = str(error)
    except OSError as error:
        # Modules for comments are imported only here. An import fails if no file descriptor is free.
        reason = os_error_reason(error)
    except MEMORY_ERRORS:
        # All comments of the pull or merge request are read, and they can be large.
        reason = "out of memory"
    return CommentOutcome("warning", f"The comment could not be written: {reason}.")


class PublishOutcome(NamedTuple):
    """The problems of publishers."""

    # One for each destination that the report did not reach.
    warnings: list[str]
    # The first unexpected error. The caller raises it when everything is published.
    internal_error: Exception | None


def publish_all(publishers: Iterable[ReportPublisher], report: Report) -> PublishOutcome:
    """Publish the report to every destination, and raise nothing.

    A publisher that fails does not stop the others.
    """
    warnings: list[str] = []
    internal_error: Exception | None = None
    for publisher in publishers:
        _log.debug("Publishing: %s", type(publisher).__name__)
        try:
            warnings += publisher.publish(report)
        except OSError as error:
            # A publisher imports its modules when it needs them. An import fails if no file descriptor is free.
            warnings.append(f"A report could not be written ({os_error_reason(error)}).")
        except MEMORY_ERRORS:
            warnings.append("A report could not be written (out of memory).")
        except Exception as error:  # noqa: BLE001 - the caller raises it when everything is published
            internal_error = internal_error or error
    return PublishOutcome(warnings, internal_error)


class ReportThread:
    """Writes each slow report in a thread with a time limit.

    Args:
        events: The queue that receives signals and the end of a report.
        clock: Provides the time.
        signalled: Whether a signal has arrived already.

    """

    def __init__(self, events: Events, clock: Clock, *, signalled: bool) -> None:
        self._events, self._clock = events, clock
        self._deadline = clock.monotonic() + MAX_SECONDS_AFTER_SIGNAL if signalled else inf

    def write(self, task: Callable[[], T]) -> T | None:
        """Run a task, and return its result or None on timeout.

        An error of the task is raised here. If no thread can start, the task runs in the calling thread.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def run_task() -> None:
            try:
                results.append(task())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                errors.append(error)
            self._events.put(ReportWritten())

        try:
            start_thread(run_task)
        except (RuntimeError, MemoryError):
            return task()
        report_deadline = self._clock.monotonic() + MAX_REPORT_SECONDS
        while not results and not errors:
            now = self._clock.monotonic()
            if now >= min(report_deadline, self._deadline):
                return None
            event = self._clock.wait_for_event(self._events, min(report_deadline, self._deadline) - now)
            if isinstance(event, SignalReceived):
                self._deadline = min(self._deadline, self._clock.monotonic() + MAX_SECONDS_AFTER_SIGNAL)
        if errors:
            raise errors[0]
        return results[0]
