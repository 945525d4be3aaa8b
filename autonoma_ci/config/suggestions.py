"""Suggest a known name for one with a typing error.

Callers import this module where they write an error, because most jobs have none.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# In characters. A longer name is no typing error, and is slow to compare.
_MAX_NAME_LENGTH = 100
# The comparison with 2,000 names needs up to 0.1 s.
_MAX_COMPARED_NAMES = 2000


def find_closest_match(name: str, known: Collection[str], min_similarity: float = 0.8) -> str | None:
    """Return the known name that is most similar, or None.

    Args:
        name: The name with a probable typing error.
        known: The valid names.
        min_similarity: The required similarity from 0 to 1.

    """
    if len(name) > _MAX_NAME_LENGTH:
        return None
    return next(iter(get_close_matches(name, sorted(known)[:_MAX_COMPARED_NAMES], n=1, cutoff=min_similarity)), None)


def find_similar_names(name: str, known: Iterable[str], max_count: int = 3) -> list[str]:
    """Return the most similar known names. Case is ignored.

    A name that contains the other one is similar too.

    Args:
        name: The name without a match, or a part of one.
        known: The valid names.
        max_count: The maximum number of names.

    """
    folded_name = name.casefold()
    if not 1 < len(name) <= _MAX_NAME_LENGTH:
        return []
    names = {known_name.casefold(): known_name for known_name in known if len(known_name) <= _MAX_NAME_LENGTH}
    compared = list(names)[:_MAX_COMPARED_NAMES]
    matches = get_close_matches(folded_name, compared, n=max_count, cutoff=0.6)
    matches += [folded for folded in compared if folded_name in folded or (len(folded) > 3 and folded in folded_name)]
    return [names[folded] for folded in list(dict.fromkeys(matches))[:max_count]]
