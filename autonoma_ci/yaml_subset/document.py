"""A manifest as it was read: its tree, the place of each part, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from autonoma_ci.errors import Diagnostic

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
KeyPath: TypeAlias = tuple[str | int, ...]
# Nobody mends more at a time, and a hostile file could ask for millions.
MAX_ERRORS = 1000


class LimitExceededError(Exception):
    """A limit was passed: what follows is not read, and the document's problems say so."""


@dataclass
class Document:
    """What a file says: its tree, the place of each part (line and column from 1), and what is wrong."""

    file: str
    tree: Tree = field(default=None, repr=False)
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of a part, or of the nearest part around it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (0, 0))

    def add_error(self, path: KeyPath, text: str) -> None:
        """Keep a problem of the part at this path; raise TooMuchError if that makes too many."""
        self.add_error_at(text, self.position(path))

    def add_error_at(self, text: str, place: tuple[int, int]) -> None:
        """Keep a problem of this place; raise TooMuchError if that makes too many."""
        self.errors.append(Diagnostic(text, self.file, *place))
        if len(self.errors) == MAX_ERRORS:
            self.errors.append(Diagnostic(f"there are more problems: the first {MAX_ERRORS:,} are told", self.file))
            raise LimitExceededError


def type_error_message(value: Tree) -> str:
    """Say what stands where text should be."""
    if value is None:
        return 'has no value: write "" for an empty one'
    return f"is a {'list' if isinstance(value, list) else 'mapping'}: give text"
