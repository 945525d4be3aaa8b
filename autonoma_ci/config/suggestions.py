"""Suggest a known name for one with a typing error.

Callers import this module where they write an error, because most jobs have none.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# In characters. A longer name is no typing error, and is slow to compare.
_MAX_NAME_LENGTH = 100


def find_closest_match(name: str, known: Collection[str], min_similarity: float = 0.8) -> str | None:
    """Return the known name that is most similar, or None.

    Args:
        name: The name with a probable typing error.
        known: The valid names.
        min_similarity: The required similarity from 0 to 1.

    """
    if len(name) > _MAX_NAME_LENGTH:
        return None
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=min_similarity)), None)
