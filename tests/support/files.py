"""Readers of files and folders that a job wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.fs.files import DirectoryTree

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.fs.files import Directory


def open_directory(path: Path) -> Directory:
    """Open an existing directory."""
    return DirectoryTree(path, path).open_directory(create=False)


def list_names(folder: Path) -> list[str]:
    """Return the sorted names of the entries of a folder."""
    return sorted(path.name for path in folder.iterdir())


def read_last_values(path: Path) -> dict[str, str]:
    """Read lines of the form NAME=VALUE, where the last value of a name counts."""
    return dict(line.split("=", 1) for line in path.read_text("utf-8").splitlines())
