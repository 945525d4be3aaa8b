"""Paths from the user, in a checkout that can be hostile."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def escapes_via_symlink(path: str, folder: str) -> bool:
    """Return whether a path leaves its folder through a symbolic link.

    A path that leaves the folder by `..` is the user's intention and returns False.
    """
    if "\0" in path:
        return False  # not a path, so opening it fails
    try:
        root = Path(os.path.normpath(Path(folder).absolute()))
        target = Path(os.path.normpath(Path(folder, path).absolute()))
    except FileNotFoundError:
        return False  # the working directory was removed, so nothing inside it can be opened
    # Path.resolve raises RuntimeError for a loop of links. realpath does not, so opening the file reports the loop.
    return target.is_relative_to(root) and not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root))


def quote_for_shell(path: str, system: str = os.name) -> str:
    """Return a path quoted for any shell of an operating system.

    Args:
        path: The path.
        system: The operating system, as `os.name` names it.

    """
    if system != "nt":
        return shlex.quote(path)
    # Windows accepts slashes and allows no double quotes in paths. cmd, PowerShell and bash all read double quotes.
    path = path.replace("\\", "/")
    return path if shlex.quote(path) == path else f'"{path}"'
