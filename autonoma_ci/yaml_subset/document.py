"""A manifest as it was read: its tree, the place of each part, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from autonoma_ci.errors import Problem

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
Path: TypeAlias = tuple[str | int, ...]
# Nobody mends more at a time, and a hostile file could ask for millions.
PROBLEMS_LIMIT = 1000


class TooMuchError(Exception):
    """A limit was passed: what follows is not read, and the document's problems say so."""


@dataclass
class Document:
    """What a file says: its tree, the place of each part (line and column from 1), and what is wrong."""

    file: str
    tree: Tree = field(default=None, repr=False)
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column of a part, or of the nearest part around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (0, 0))

    def problem(self, path: Path, text: str) -> None:
        """Keep a problem of the part at this path; raise TooMuchError if that makes too many."""
        self.tell(text, self.place(path))

    def tell(self, text: str, place: tuple[int, int]) -> None:
        """Keep a problem of this place; raise TooMuchError if that makes too many."""
        self.problems.append(Problem(text, self.file, *place))
        if len(self.problems) == PROBLEMS_LIMIT:
            self.problems.append(Problem(f"there are more problems: the first {PROBLEMS_LIMIT:,} are told", self.file))
            raise TooMuchError


def not_text(value: Tree) -> str:
    """Say what stands where text should be."""
    if value is None:
        return 'has no value: write "" for an empty one'
    return f"is a {'list' if isinstance(value, list) else 'mapping'}: give text"
