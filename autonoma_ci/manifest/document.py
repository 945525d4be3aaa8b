"""A manifest as it was read: its tree, the place of each part, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from autonoma_ci.errors import Problem

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
Path: TypeAlias = tuple[str | int, ...]


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
        """Keep a problem of the part at this path."""
        self.problems.append(Problem(text, self.file, *self.place(path)))


def not_text(value: Tree) -> str:
    """Say what stands where text should be."""
    if value is None:
        return 'has no value: write "" for an empty one'
    return f"is a {'list' if isinstance(value, list) else 'mapping'}: give text"
