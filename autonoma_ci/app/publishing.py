"""The comment on the change request, where one is wanted and the CI system has them.

Writing a report everywhere: one that can't be made costs no other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.app.credentials import describe_unresolved
from autonoma_ci.errors import MEMORY_ERRORS, InputError
from autonoma_ci.fs.files import os_error_reason
from autonoma_ci.models import Conclusion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import ReportPublisher
    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

# What the comment tells of an earlier step still holds.
_NO_COMMENT_FOR = frozenset({Conclusion.SKIPPED, Conclusion.CANCELLED})


def is_comment_wanted(settings: Settings, report: Report) -> bool:
    """Return whether this step is to write the comment."""
    verdict = report.verdict
    return (
        settings.comment and settings.publish == "now" and bool(verdict and verdict.conclusion not in _NO_COMMENT_FOR)
    )


def post_comment(settings: Settings, place: CIEnvironment, world: Runtime, report: Report) -> tuple[str, str]:
    """Write the comment; return warning or notice and what to say, two empty texts if there is nothing to."""
    nothing = "", ""
    if not is_comment_wanted(settings, report):
        return nothing
    comments = place.ci_system.comment_support
    if not comments:
        named = settings.spelling_of("comment")
        return "warning", f"{named} has no effect on {place.build_context.ci_name}: it is for GitHub and GitLab."
    if not place.build_context.change_number:
        return "notice", "No comment is written: this build is of no pull or merge request."
    token = getattr(settings, comments.token_option.replace("-", "_"))
    if not token:
        reference = settings.unresolved_references.get(comments.token_option)
        why = (
            describe_unresolved([reference]) if reference else f"{settings.spelling_of(comments.token_option)} is empty"
        )
        return "warning", f"The comment could not be written: {why}."
    try:
        discussion = comments.open_thread(world.environ, place.build_context, token, world.clock)
        why = _post(discussion, report, settings.client_secret)
    except InputError as error:
        why = f"The comment could not be written: {error}."
    except OSError as error:
        # What it takes is loaded only now, as most steps have no comment: with no file left to open, that fails too.
        why = f"The comment could not be written: {os_error_reason(error)}."
    except MEMORY_ERRORS:
        # All comments of a change are read, and they may be large.
        why = "The comment could not be written: no memory is left."
    return ("warning", why) if why else nothing


def _post(discussion: CommentThread | None, report: Report, secret: Secret | None) -> str:
    """Write it, and return why not, or an empty text."""
    if not discussion:
        return "The comment could not be written: the job's variables do not say where."
    from autonoma_ci.ci.comments.sticky import upsert_comment

    return upsert_comment(discussion, report, secret)


class PublishOutcome(NamedTuple):
    """What could not be written, one warning each, and the first bug that came up meanwhile."""

    warnings: list[str]
    internal_error: Exception | None


def publish_all(publishers: Iterable[ReportPublisher], report: Report) -> PublishOutcome:
    """Write the report anew to where each of them writes it; nothing is raised."""
    warnings: list[str] = []
    bug: Exception | None = None
    for publisher in publishers:
        try:
            warnings += publisher.publish(report)
        except OSError as error:
            # What a publisher needs is loaded when it is needed: with no file left to open, not even that can be had.
            warnings.append(f"A report could not be written ({os_error_reason(error)}).")
        except MEMORY_ERRORS:
            warnings.append("A report could not be written (no memory is left).")
        except Exception as error:  # noqa: BLE001 - raised by the caller, once all is written
            bug = bug or error
    return PublishOutcome(warnings, bug)
