"""Set the outputs as data of the build, under names that no other step of the build has taken.

All jobs of a build share these names. With one name for all of them, the last job to end would replace what the others
have said, and a part that passed would hide one that failed.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from autonoma_ci.ci.mark import Claim, claim_of, mark_of
from autonoma_ci.report.outputs import variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.model import Report

_MARK = "AUTONOMA_WRITTEN_BY"
_SUFFIX_LIMIT = 60


def publish_build_data(
    report: Report,
    build: str,
    get: Callable[[str], str | None],
    put: Callable[[str, str], str],
    limit: int | None = None,
) -> list[str]:
    """Set the variables and return what the log should warn of.

    Args:
        report: The report of a step that has ended.
        build: The id of the build, or of another thing that is new whenever the step runs again.
        get: Returns the text of a name, empty if there is none, or None if that is not known.
        put: Sets the text of a name, and returns why it could not, or an empty text.
        limit: How many variables are set, the most useful first; all of them if None.

    """
    mark = mark_of(report, build)
    part, title = _slug(report.part.shown), _slug(report.part.title)
    # The first is what users read. The others are for steps that have no part, or the same one.
    suffixes = [part, f"{part}{title}", f"{part}_{mark.step.upper()}"]
    for suffix in suffixes:
        claim = claim_of(mark, get(_MARK + suffix))
        if claim is Claim.LEAVE:
            return []
        if claim is Claim.OTHER:
            continue
        if why := put(_MARK + suffix, str(mark).replace(" ", ":")):
            return [why]
        # Another step may have found nothing there at the same moment. The check again makes that rare.
        if claim_of(mark, get(_MARK + suffix)) is not Claim.OTHER:
            break
    warnings = []
    if suffix != part:
        warnings.append(
            f"Another step of this build has set the variables AUTONOMA_…{part}: those of this step end in {suffix}. "
            "Give each step a part or a summary-title of its own."
        )
    for name, text in islice(variables(report).items(), limit):
        # An empty value is refused by some systems.
        if text and (why := put(name + suffix, text)):
            return [*warnings, why]
    return warnings


def _slug(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()[:_SUFFIX_LIMIT]
    return f"_{name}" if name else ""
