"""Find the quarantines in effect, and those that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.config.parsers import quote_name
from autonoma_ci.errors import Diagnostic
from autonoma_ci.models import Quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import EntryQuarantine, Folder, Manifest, Tag, Test
    from autonoma_ci.planning.selection import Candidate

# How long before its last day a notice names the entry.
_NOTICE_DAYS = 7
_MAX_SHOWN_NAMES = 5


def find_active_quarantine(entry: Test | Folder | Tag | None, settings: Settings, today: date) -> Quarantine | None:
    """Return the quarantine of an entry that is in effect, or None.

    Args:
        entry: The entry, or None for an id of an option.
        settings: The options. With `ignore-quarantine`, no quarantine is in effect.
        today: The current date in UTC. The last day of a quarantine belongs to it.

    """
    quarantine = entry.quarantine if entry else None
    if not quarantine or settings.ignore_quarantine or quarantine.until < today:
        return None
    return Quarantine(quarantine.until.isoformat(), quarantine.reason, quarantine.issue)


def find_ended_quarantines(candidates: Sequence[Candidate], settings: Settings, today: date) -> list[str]:
    """Return a warning about the entries whose quarantine has ended."""
    ended = _list_names(candidates, settings, lambda quarantine: quarantine.until < today)
    if not ended:
        return []
    return [f"Quarantine ended, so each result counts again: {ended}. Fix the test, or extend `until`."]


def find_ending_quarantines(candidates: Sequence[Candidate], settings: Settings, today: date) -> list[str]:
    """Return a notice about the entries whose quarantine ends soon."""
    ending = _list_names(candidates, settings, lambda quarantine: 0 <= (quarantine.until - today).days <= _NOTICE_DAYS)
    return [f"Quarantine ends within {_NOTICE_DAYS} days: {ending}. A result counts after its date."] if ending else []


def find_uncounted_error(
    candidates: Sequence[Candidate], settings: Settings, manifest: Manifest | None, today: date
) -> Diagnostic | None:
    """Return the error that no result can count, or None.

    Args:
        candidates: The candidates that the groups selected.
        settings: The options.
        manifest: The manifest.
        today: The current date in UTC.

    """
    if not manifest or not candidates or settings.allow_empty:
        return None
    if any(find_active_quarantine(candidate.entry, settings, today) is None for candidate in candidates):
        return None
    subject = "the only selected entry is" if len(candidates) == 1 else f"all {len(candidates):,} selected entries are"
    text = f"no result would count: {subject} in quarantine. Set ignore-quarantine or allow-empty to true."
    return Diagnostic(text, manifest.file, manifest.line, 1 if manifest.line else 0)


def _list_names(
    candidates: Sequence[Candidate], settings: Settings, is_listed: Callable[[EntryQuarantine], bool]
) -> str:
    """Return the names of entries with their last day, or an empty text."""
    if settings.ignore_quarantine:
        return ""
    listed = [
        (candidate, quarantine)
        for candidate in candidates
        if candidate.entry and (quarantine := candidate.entry.quarantine) and is_listed(quarantine)
    ]
    names = [f"{quote_name(candidate.display_name)} ({quarantine.until})" for candidate, quarantine in listed]
    more = len(names) - _MAX_SHOWN_NAMES
    return ", ".join(names[:_MAX_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")
