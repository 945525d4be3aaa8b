"""Paths that the user gives, in a checkout that somebody else may have written."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def escapes_via_symlink(path: str, folder: str) -> bool:
    """Say whether a path that reads as inside the folder ends outside of it, by way of a symbolic link."""
    if "\0" in path:
        return False  # no path at all, which whoever opens it will find
    try:
        root = Path(os.path.normpath(Path(folder).absolute()))
        target = Path(os.path.normpath(Path(folder, path).absolute()))
    except FileNotFoundError:
        return False  # the working directory was removed, so nothing inside it can be opened
    # Path.resolve raises RuntimeError for a loop of links; realpath leaves that to whoever opens the file.
    return target.is_relative_to(root) and not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root))


def quote_for_shell(path: str, system: str = os.name) -> str:
    """Return a path as one pastes it behind a command, into any shell of this system (`os.name`)."""
    if system != "nt":
        return shlex.quote(path)
    # Slashes do there too, and no path has double quotes in it, which cmd, PowerShell and bash all understand.
    path = path.replace("\\", "/")
    return path if shlex.quote(path) == path else f'"{path}"'
