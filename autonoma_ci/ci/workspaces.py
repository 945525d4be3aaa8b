"""Warnings about a results folder that users will not find.

A folder outside of the workspace of a container is lost after the job. A path that begins with `~` is not expanded, so
its files are in a folder named `~`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.ci.base import Workspace


def lost_folder_warnings(option_name: str, path: str, working_directory: str, workspace: Workspace | None) -> list[str]:
    """Return warnings about a results folder that users will not find.

    Args:
        option_name: The option as the user wrote it.
        path: The value of the option, not empty.
        working_directory: The folder that a relative path starts from.
        workspace: The folders that outlive the container of the job, or None.

    Returns:
        The warnings, an empty list for a path without problems.
    """
    warnings = []
    shown_path = sanitize_line(path, 200)
    if path.startswith("~"):
        warnings.append(
            f"{option_name} {shown_path} begins with ~, which is not expanded. Use a relative or an absolute path."
        )
    # A relative path, or a path of another operating system, is not comparable.
    if workspace and not Path(workspace.path).is_absolute():
        workspace = None
    if workspace and not _is_within(Path(working_directory, path), (workspace.path, *workspace.mounted_folders)):
        warnings.append(
            f"{option_name} {shown_path} is outside of the workspace, so {workspace.consequence}. "
            f"Use a directory below {sanitize_line(workspace.path, 200)}, such as autonoma-results."
        )
    return warnings


def _is_within(path: Path, roots: Iterable[str]) -> bool:
    try:
        real_path = Path(os.path.realpath(path))
        return any(real_path.is_relative_to(os.path.realpath(root)) for root in roots)
    except (OSError, ValueError):
        # The path is invalid or the working directory was removed. The creation of the folder reports that error.
        return True
