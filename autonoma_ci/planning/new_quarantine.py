"""Find the entries that a change put in quarantine."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.yaml_subset.document import YamlValue

_KINDS = ("tests", "folders", "tags")
# A key of an entry: its list, its id, and its number among the entries of this id.
EntryKey = tuple[str, str, int]


def find_new_quarantines(base: YamlValue, current: YamlValue) -> list[tuple[str, int]]:
    """Return the entries with a new or extended quarantine.

    Args:
        base: The manifest of the base, as it is written.
        current: The manifest of the change, as it is written.

    Returns:
        The name of the list and the index in it, for each entry.

    """
    old = {key: until for key, _, until in _list_quarantines(base)}
    return [
        (key[0], index) for key, index, until in _list_quarantines(current) if _is_extended(old.get(key, ""), until)
    ]


def _list_quarantines(manifest: YamlValue) -> Iterator[tuple[EntryKey, int, str]]:
    """Yield key, index and last day of each entry in quarantine."""
    lists = manifest if isinstance(manifest, dict) else {}
    for kind in _KINDS:
        entries = lists.get(kind)
        counts: Counter[str] = Counter()
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            fields = entry if isinstance(entry, dict) else {"id": entry}
            entry_id, quarantine = fields.get("id"), fields.get("quarantine")
            if isinstance(entry_id, str):
                counts[entry_id] += 1
                until = quarantine.get("until") if isinstance(quarantine, dict) else None
                if isinstance(until, str):
                    yield (kind, entry_id, counts[entry_id]), index, until


def _is_extended(old: str, new: str) -> bool:
    """Return whether a quarantine ends later than before.

    Args:
        old: The last day before the change. Empty if the entry was not in quarantine.
        new: The last day after it.

    """
    try:
        return date.fromisoformat(new) > date.fromisoformat(old)
    except ValueError:
        return new != old
