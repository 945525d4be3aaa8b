"""Environment variable names from documents of CI systems, clouds and tools."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.ci.base import CISystem

_FOLDER = Path(__file__).parent
# Each holds a secret, or a file, text or URL that contains one.
SECRET_NAMES = (_FOLDER / "secret-names.txt").read_text("utf-8").split()
HARMLESS_NAMES = (_FOLDER / "harmless-names.txt").read_text("utf-8").split()


def find_secret_names(system: CISystem, names: Iterable[str]) -> set[str]:
    """Return the names that hold a credential of the CI system."""
    return {name for name in names if any(fnmatchcase(name, pattern) for pattern in system.secret_variables)}
