"""Travis CI's folds, which its log viewer draws. Source: what Travis CI's own build scripts print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Section


class Folds(Plain):
    """A fold is between two lines with its key; the escape sequence clears them from the screen."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the lines that open a fold."""
        return (f"travis_fold:start:{section.key}\r\x1b[0K{log_line(section.title)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:
        """Return the line that closes it."""
        return (f"travis_fold:end:{section.key}\r\x1b[0K",)


FOLDS = Folds()
