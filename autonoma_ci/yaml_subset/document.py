"""A parsed YAML document with its positions and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from autonoma_ci.errors import Diagnostic

YamlValue: TypeAlias = "str | list[YamlValue] | dict[str, YamlValue] | None"
KeyPath: TypeAlias = tuple[str | int, ...]
# More errors do not help a user, and a hostile file could cause millions.
MAX_ERRORS = 1000


class LimitExceededError(Exception):
    """The document exceeds a limit, and the rest is not read.

    The errors of the document contain the reason.
    """


@dataclass
class Document:
    """A parsed YAML file or option."""

    file: str  # the file's name as messages show it; empty for the text of an option
    tree: YamlValue = field(default=None, repr=False)
    # Line and column of each part, both from 1.
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)

    def find_position(self, path: KeyPath) -> tuple[int, int]:
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
        self.add_error_at(message, self.find_position(path))

    def add_error_at(self, message: str, position: tuple[int, int]) -> None:
        """Add an error at this line and column.

        Raises:
            LimitExceededError: The document has `MAX_ERRORS` errors now.
        """
        self.errors.append(Diagnostic(message, self.file, *position))
        if len(self.errors) == MAX_ERRORS:
            self.errors.append(Diagnostic(f"too many problems: only the first {MAX_ERRORS:,} are listed.", self.file))
            raise LimitExceededError


def explain_non_string(value: YamlValue) -> str:
    """Return the message for a value that is not a string.

    The caller puts the name of the key before it.
    """
    if value is None:
        return 'has no value. Write "" for an empty string.'
    return f"is a {'list' if isinstance(value, list) else 'mapping'}. Use a string."
