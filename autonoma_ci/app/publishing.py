"""The comment on the change request, where one is wanted and the CI system has them.

Writing a report everywhere: one that can't be made costs no other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.app.credentials import not_replaced
from autonoma_ci.errors import NO_MEMORY, InputError
from autonoma_ci.fs.files import reason_of
from autonoma_ci.models import Conclusion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.app.inputs import Place
    from autonoma_ci.app.runtime import World
    from autonoma_ci.ci.base import Publisher
    from autonoma_ci.ci.comments.sticky import Thread
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret

# What the comment tells of an earlier step still holds.
_QUIET = frozenset({Conclusion.SKIPPED, Conclusion.CANCELLED})


def is_wanted(settings: Settings, report: Report) -> bool:
    """Return whether this step is to write the comment."""
    verdict = report.verdict
    return settings.comment and settings.publish == "now" and bool(verdict and verdict.conclusion not in _QUIET)


def comment(settings: Settings, place: Place, world: World, report: Report) -> tuple[str, str]:
    """Write the comment; return warning or notice and what to say, two empty texts if there is nothing to."""
    nothing = "", ""
    if not is_wanted(settings, report):
        return nothing
    comments = place.system.comments
    if not comments:
        named = settings.named("comment")
        return "warning", f"{named} has no effect on {place.context.ci}: it is for GitHub and GitLab."
    if not place.context.change:
        return "notice", "No comment is written: this build is of no pull or merge request."
    token = getattr(settings, comments.option.replace("-", "_"))
    if not token:
        reference = settings.unresolved.get(comments.option)
        why = not_replaced([reference]) if reference else f"{settings.named(comments.option)} is empty"
        return "warning", f"The comment could not be written: {why}."
    try:
        discussion = comments.find(world.environ, place.context, token, world.clock)
        why = _written(discussion, report, settings.client_secret)
    except InputError as error:
        why = f"The comment could not be written: {error}."
    except OSError as error:
        # What it takes is loaded only now, as most steps have no comment: with no file left to open, that fails too.
        why = f"The comment could not be written: {reason_of(error)}."
    except NO_MEMORY:
        # All comments of a change are read, and they may be large.
        why = "The comment could not be written: no memory is left."
    return ("warning", why) if why else nothing


def _written(discussion: Thread | None, report: Report, secret: Secret | None) -> str:
    """Write it, and return why not, or an empty text."""
    if not discussion:
        return "The comment could not be written: the job's variables do not say where."
    from autonoma_ci.ci.comments.sticky import publish

    return publish(discussion, report, secret)


class Published(NamedTuple):
    """What could not be written, one warning each, and the first bug that came up meanwhile."""

    warnings: list[str]
    bug: Exception | None


def publish(publishers: Iterable[Publisher], report: Report) -> Published:
    """Write the report anew to where each of them writes it; nothing is raised."""
    warnings: list[str] = []
    bug: Exception | None = None
    for publisher in publishers:
        try:
            warnings += publisher.publish(report)
        except OSError as error:
            # What a publisher needs is loaded when it is needed: with no file left to open, not even that can be had.
            warnings.append(f"A report could not be written ({reason_of(error)}).")
        except NO_MEMORY:
            warnings.append("A report could not be written (no memory is left).")
        except Exception as error:  # noqa: BLE001 - raised by the caller, once all is written
            bug = bug or error
    return Published(warnings, bug)
