"""Paths that the user gives, in a checkout that somebody else may have written."""

from __future__ import annotations

import os
from pathlib import Path


def leads_out(path: str, folder: str) -> bool:
    """Say whether a path that reads as inside the folder ends outside of it, by way of a symbolic link."""
    if "\0" in path:
        return False  # no path at all, which whoever opens it will find
    inside = Path(os.path.normpath(Path(folder).absolute()))
    place = Path(os.path.normpath(Path(folder, path).absolute()))
    # Path.resolve raises RuntimeError for a loop of links; realpath leaves that to whoever opens the file.
    return place.is_relative_to(inside) and not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(inside))
