"""Set the outputs as data of the build, under names that no other step of the build has taken.

All jobs of a build share these names. With one name for all of them, the last job to end would replace what the others
have said, and a part that passed would hide one that failed.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.ownership import Claim, build_mark, classify_text, find_mark
from autonoma_ci.reports.outputs import omitted_variables_warning, output_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.models import Report

# The text of a name that has no value any more, and that which stands for none: an empty one is refused by the systems.
UNSET_TEXT = "none"
_MARK_VARIABLE = "AUTONOMA_WRITTEN_BY"
_MAX_SUFFIX_CHARS = 60


class NameClaims:
    """Claims names in a build's data for one step: under each name is the mark of the step that has it.

    `is_unread` says that a text of the data could not be read. A name whose text is not known counts as another step's.

    Args:
        mark: The step's mark.
        get: Returns the text of a name, empty or `none` if there is none, or None if that is not known.
        put: Sets the text of a name, and returns why it could not, or an empty text.

    """

    def __init__(self, mark: OwnerMark, get: Callable[[str], str | None], put: Callable[[str, str], str]) -> None:
        self.failure = ""
        self.is_unread = False
        self._mark, self._get, self._put = mark, get, put
        # Here a step says that it has found its name taken. A retry can't know then whose name that is.
        self._conflict_name = f"AUTONOMA_SEVERAL_{mark.part.upper()}"

    def claim(self, name: str) -> Claim:
        """Write the mark under a name, unless it is another step's, and look at it again.

        Returns:
            REPLACE if this step has the name now, otherwise LEAVE or OTHER. With OTHER, `failure` says why the mark
            could not be written, if that is the reason, and `is_unread` may be.

        """
        claim = self.check(name)
        if claim is not Claim.REPLACE:
            return claim
        self.failure = self._put(name, str(self._mark).replace(" ", ":"))
        # Another step may have found nothing there at the same moment.
        return Claim.OTHER if self.failure else self.check(name)

    def check(self, name: str) -> Claim:
        """Return what this step may do about a name: REPLACE, LEAVE or OTHER.

        If another step of the same part has the name, that is noted in the build's data for a later attempt.
        """
        text = self._get_text(name)
        claim = classify_text(self._mark, text)
        text_mark = find_mark(text or "")
        if claim is Claim.OTHER and text_mark and text_mark.part == self._mark.part:
            self._put(self._conflict_name, str(self._mark).replace(" ", ":"))
        if claim is Claim.EARLIER:
            return Claim.OTHER if self._has_conflict() else Claim.REPLACE
        return claim

    def _has_conflict(self) -> bool:
        """Say whether another step of this build has found its name taken."""
        text = self._get_text(self._conflict_name)
        text_mark = find_mark(text or "")
        return text is None or bool(
            text_mark and text_mark.build_id == self._mark.build_id and not text_mark.is_same_step(self._mark)
        )

    def _get_text(self, name: str) -> str | None:
        text = self._get(name)
        self.is_unread = self.is_unread or text is None
        return text


def publish_build_variables(
    report: Report,
    build_id: str,
    get: Callable[[str], str | None],
    put: Callable[[str, str], str],
    select_variables: Callable[[Report], Mapping[str, str]] = output_variables,
) -> list[str]:
    """Set the variables and return what the log should warn of.

    Args:
        report: The report of a step that has ended.
        build: The id of the build, or of another thing that is new whenever the step runs again.
        get: Returns the text of a name, empty or `none` if there is none, or None if that is not known.
        put: Sets the text of a name, and returns why it could not, or an empty text.
        read: Returns the variables that are set; one that has no text does not keep that of an earlier attempt.

    """
    mark = build_mark(report, build_id)
    names = NameClaims(mark, get, put)
    part, title = _format_suffix(report.part.display_name), _format_suffix(report.part.title)
    texts = select_variables(report)
    # The first is what users read. The others are for steps that have no part, or the same one.
    suffixes = [part, f"{part}{title}", f"{part}_{mark.step.upper()}"]
    for suffix in suffixes:
        claim = names.claim(_MARK_VARIABLE + suffix)
        if claim is Claim.LEAVE:
            return []
        if names.failure:
            return [names.failure]
        if claim is Claim.OTHER and suffix != suffixes[-1]:
            continue
        if failure := _set_variables(texts, suffix, get, put):
            return [*_format_rename_warning(part, suffix, names), failure]
        # While the values were written, another step may have taken the name.
        if names.check(_MARK_VARIABLE + suffix) is not Claim.OTHER:
            break
    return [
        *_format_rename_warning(part, suffix, names),
        *omitted_variables_warning(report, texts, f"The variables AUTONOMA_…{suffix}"),
    ]


def _set_variables(
    texts: Mapping[str, str], suffix: str, get: Callable[[str], str | None], put: Callable[[str, str], str]
) -> str:
    """Set the variables; return why one could not be set, or an empty text."""
    for name, text in texts.items():
        # A value of an earlier attempt is not left beside those of this one.
        is_needed = text or (get(name + suffix) not in {"", UNSET_TEXT})
        if is_needed and (failure := put(name + suffix, text or UNSET_TEXT)):
            return failure
    return ""


def _format_rename_warning(part: str, suffix: str, names: NameClaims) -> list[str]:
    warning = (
        f"Another step of this build has set the variables AUTONOMA_…{part}: those of this step end in {suffix}. "
        "Give each step a part or a summary-title of its own."
    )
    if names.is_unread:
        warning = (
            f"The build's data could not be read, so the variables AUTONOMA_…{part} may be those of another step: "
            f"those of this step end in {suffix}."
        )
    return [warning] if suffix != part else []


def _format_suffix(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    if len(name) > _MAX_SUFFIX_CHARS:
        # Two texts that differ behind the cut have two names.
        name = (
            f"{name[: _MAX_SUFFIX_CHARS - 9]}_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8].upper()}"
        )
    return f"_{name}" if name else ""
