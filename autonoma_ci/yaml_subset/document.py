"""Define a parsed YAML document with positions and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from autonoma_ci.errors import Diagnostic

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
KeyPath: TypeAlias = tuple[str | int, ...]
# A user does not fix more errors at a time, and a hostile file could cause millions.
MAX_ERRORS = 1000


class LimitExceededError(Exception):
    """The document exceeds a limit, and the rest is not read.

    The errors of the document contain the reason.
    """


@dataclass
class Document:
    """A parsed YAML file or option."""

    file: str  # the file's name as messages show it; empty for the text of an option
    tree: Tree = field(default=None, repr=False)
    # Line and column of each part, both from 1.
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of a part.

        An unknown part has the position of the nearest part around it. Both numbers count from 1. They are 0 if no
        position is known.
        """
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (0, 0))

    def add_error(self, path: KeyPath, message: str) -> None:
        """Add an error of the part at this path.

        Raises:
            LimitExceededError: The document has `MAX_ERRORS` errors now.
        """
        self.add_error_at(message, self.position(path))

    def add_error_at(self, message: str, position: tuple[int, int]) -> None:
        """Add an error at this line and column.

        Raises:
            LimitExceededError: The document has `MAX_ERRORS` errors now.
        """
        self.errors.append(Diagnostic(message, self.file, *position))
        if len(self.errors) == MAX_ERRORS:
            self.errors.append(Diagnostic(f"there are more problems: the first {MAX_ERRORS:,} are told", self.file))
            raise LimitExceededError


def type_error_message(value: Tree) -> str:
    """Return the message for a value that is not text.

    The text before it names the key.
    """
    if value is None:
        return 'has no value: write "" for an empty one'
    return f"is a {'list' if isinstance(value, list) else 'mapping'}: give text"
