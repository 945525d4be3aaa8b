"""Outputs as variables of the build, with names unique per job step.

All jobs of a build share these names. With one name for all of them, the last job to end would replace the others. Then
a part that passed would hide one that failed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.ownership import Claim, build_mark, classify_text, find_mark
from autonoma_ci.identity import short_digest
from autonoma_ci.reports.outputs import omitted_variables_warning, output_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.models import Report

# The text of a variable without a value. The systems refuse an empty text.
UNSET_TEXT = "none"
_MARK_VARIABLE = "AUTONOMA_WRITTEN_BY"
_MAX_SUFFIX_CHARS = 60


class NameClaims:
    """Claims of a job step to names in the build's data.

    A claimed name contains the mark of its job step. A name with unreadable text counts as another step's.

    Args:
        mark: The mark of the job step.
        get: Returns the text of a name, empty or `none` if the name is unused, or None if it is unreadable.
        put: Sets the text of a name, and returns the reason of a failure, or None.
    """

    def __init__(
        self, mark: OwnerMark, get: Callable[[str], str | None], put: Callable[[str, str], str | None]
    ) -> None:
        self.failure: str | None = None  # why the last claim could not write its mark
        self.is_unread = False  # whether a text of the build's data was unreadable
        self._mark, self._get, self._put = mark, get, put
        # A job step that finds its name in use writes its mark here. A retry then can't know which of them owns the
        # name.
        self._conflict_name = f"AUTONOMA_SEVERAL_{mark.part.upper()}"

    def claim(self, name: str) -> Claim:
        """Write the mark under a name, unless another job step owns it.

        Returns:
            REPLACE if this job step owns the name now, otherwise LEAVE or OTHER. With OTHER, `failure` has the reason
            if the mark could not be written, and `is_unread` may be true.
        """
        claim = self.check(name)
        if claim is not Claim.REPLACE:
            return claim
        self.failure = self._put(name, str(self._mark).replace(" ", ":"))
        # Another job step may have found the name unused at the same moment.
        return Claim.OTHER if self.failure else self.check(name)

    def check(self, name: str) -> Claim:
        """Return REPLACE, LEAVE or OTHER as the permission for a name.

        If another step of the same part owns the name, the build's data gets a note for a later attempt.
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
        """Return whether another job step of this build found its name in use."""
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
    put: Callable[[str, str], str | None],
    select_variables: Callable[[Report], Mapping[str, str]] = output_variables,
) -> list[str]:
    """Set the outputs of a job step as variables and return warnings.

    Args:
        report: The report of an ended job step.
        build_id: The id of the build, or another value that is new for each run of the job step.
        get: Returns the text of a name, empty or `none` if the name is unused, or None if it is unreadable.
        put: Sets the text of a name, and returns the reason of a failure, or None.
        select_variables: Returns the variables. An empty text removes the value of an earlier attempt.
    """
    mark = build_mark(report, build_id)
    names = NameClaims(mark, get, put)
    part, title = _format_suffix(report.part.display_name), _format_suffix(report.part.title)
    texts = select_variables(report)
    # Users read the first name. The others are for job steps without a part, or with a part that others have too.
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
        # Another job step may have claimed the name during the writes.
        if names.check(_MARK_VARIABLE + suffix) is not Claim.OTHER:
            break
    return [
        *_format_rename_warning(part, suffix, names),
        *omitted_variables_warning(report, texts, f"The variables AUTONOMA_…{suffix}"),
    ]


def _set_variables(
    texts: Mapping[str, str], suffix: str, get: Callable[[str], str | None], put: Callable[[str, str], str | None]
) -> str | None:
    """Set the variables and return the reason of a failure, or None."""
    for name, text in texts.items():
        # A value of an earlier attempt must not stay beside the new values.
        is_needed = text or (get(name + suffix) not in {"", UNSET_TEXT})
        if is_needed and (failure := put(name + suffix, text or UNSET_TEXT)):
            return failure
    return None


def _format_rename_warning(part: str, suffix: str, names: NameClaims) -> list[str]:
    warning = f"Another step of this build has set the variables AUTONOMA_…{part}."
    advice = " Use a separate part or summary-title for each step."
    if names.is_unread:
        warning = f"The build's data could not be read, so another step may own the variables AUTONOMA_…{part}."
        advice = ""
    return [f"{warning} The variables of this step end in {suffix}.{advice}"] if suffix != part else []


def _format_suffix(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    if len(name) > _MAX_SUFFIX_CHARS:
        # A digest distinguishes texts that differ only after the cut.
        name = f"{name[: _MAX_SUFFIX_CHARS - 9]}_{short_digest(text, 8).upper()}"
    return f"_{name}" if name else ""
