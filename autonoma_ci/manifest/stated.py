"""The variables that a manifest states, each with its value as far as it can be known here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import InputError
from autonoma_ci.manifest.document import Document, TooMuchError
from autonoma_ci.manifest.interpolate import LENGTH_LIMIT
from autonoma_ci.manifest.load import read_text
from autonoma_ci.manifest.tree import parse
from autonoma_ci.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.manifest.document import Tree
    from autonoma_ci.manifest.interpolate import Interpolation

# The keys whose mappings hold variables.
_KEYS = ("variables", "matrix")
# Of an entry whose id can't be known here; no id has this form.
_UNKNOWN_ID = "?"


class StatedVariable(NamedTuple):
    """One variable of an entry; of a matrix, one of its values."""

    entry_id: str  # empty for a variable of all tests
    name: str
    value: Secret | None  # None if it can't be known here


def stated_variables(path: str, folder: str, interpolation: Interpolation) -> list[StatedVariable]:
    """Return the variables of a manifest; none if it can't be read.

    Another job may lack an environment variable that `${...}` needs, so each value is interpolated on its own.
    """
    with suppress(InputError):
        document = parse(read_text(path, folder, path), path)
        return list(_Reader(interpolation).variables(document.tree))
    return []


class _Reader:
    """Reads the variables of one manifest, which may have any shape."""

    def __init__(self, interpolation: Interpolation) -> None:
        self._interpolation = interpolation
        self._length = 0

    def variables(self, tree: Tree) -> Iterator[StatedVariable]:
        """Yield the variables in this part of the manifest."""
        if isinstance(tree, list):
            for item in tree:
                yield from self.variables(item)
        if not isinstance(tree, dict):
            return
        entry_id = (self._value(tree["id"]) or _UNKNOWN_ID) if "id" in tree else ""
        for key, value in tree.items():
            if key in _KEYS and isinstance(value, dict):
                yield from self._named(entry_id, value)
            else:
                yield from self.variables(value)

    def _named(self, entry_id: str, variables: dict[str, Tree]) -> Iterator[StatedVariable]:
        for name, stated in variables.items():
            for text in stated if isinstance(stated, list) else [stated]:
                value = self._value(text)
                yield StatedVariable(entry_id, name, None if value is None else Secret(value))

    def _value(self, text: Tree) -> str | None:
        """Return the text with each `${...}` replaced, or None if that is impossible."""
        if not isinstance(text, str) or "$" not in text:
            return text if isinstance(text, str) else None
        # Many short texts can each name a long variable.
        if self._length > LENGTH_LIMIT:
            return None
        document = Document("", {"variables": text})
        with suppress(TooMuchError):
            self._interpolation.apply(document)
        match document.tree:
            case {"variables": str(value)} if not document.problems:
                self._length += len(value)
                return value
        return None
