"""Warnings about a results folder that users will not find.

A folder outside of the workspace of a container is lost after the job. A path that begins with `~` is not expanded, so
its files are in a folder named `~`.

Source: github.com/actions/runner, src/Runner.Worker/Handlers/ContainerActionHandler.cs (the mounts of a container
action); GitLab's documentation, "Predefined CI/CD variables" and "artifacts:paths"; Bitbucket's, "Use artifacts in
steps".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.detection import WITH_ACTIONS
from autonoma_ci.ci.env import is_truthy
from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The workspace of a container action. A `run:` step and a job with `container:` have another GITHUB_WORKSPACE.
_GITHUB_WORKSPACE = "/github/workspace"
# Other folders that the runner mounts from its machine. Their files outlive the container too.
_GITHUB_MOUNTED_FOLDERS = ("/github/home", "/github/workflow", "/github/file_commands", "/github/runner_temp")
_LOST_WITH_CONTAINER = "its files are lost with the container"
_NOT_IN_ARTIFACTS = "artifacts can't have its files"


class _Workspace(NamedTuple):
    """The folders that outlive the container of a job."""

    path: str  # absolute path of the workspace
    mounted_folders: tuple[str, ...]  # other folders that outlive the container
    consequence: str  # for files elsewhere, as the end of a sentence


def lost_folder_warnings(
    option_name: str, path: str, working_directory: str, environ: Mapping[str, str], ci_name: str
) -> list[str]:
    """Return warnings about a results folder that users will not find.

    Args:
        option_name: The option as the user wrote it.
        path: The value of the option, not empty.
        working_directory: The folder that a relative path starts from.
        environ: The environment of the job.
        ci_name: The name of the CI system.

    Returns:
        The warnings, an empty list for a path without problems.
    """
    warnings = []
    shown_path = sanitize_line(path, 200)
    if path.startswith("~"):
        warnings.append(
            f"{option_name} {shown_path} begins with ~, which is not expanded: the files go to a folder with this "
            "name. Use a relative or an absolute path."
        )
    workspace = _find_workspace(environ, ci_name)
    if workspace and not _is_within(Path(working_directory, path), (workspace.path, *workspace.mounted_folders)):
        warnings.append(
            f"{option_name} {shown_path} is outside of the workspace, so {workspace.consequence}. "
            f"Use a folder below {sanitize_line(workspace.path, 200)}, such as autonoma-results."
        )
    return warnings


def _is_within(path: Path, roots: Iterable[str]) -> bool:
    try:
        real_path = Path(os.path.realpath(path))
        return any(real_path.is_relative_to(os.path.realpath(root)) for root in roots)
    except (OSError, ValueError):
        # The path is invalid or the working directory was removed. The creation of the folder reports that error.
        return True


def _find_workspace(environ: Mapping[str, str], ci_name: str) -> _Workspace | None:
    """Return the workspace of a job in a container, or None.

    None means that the job does not run in a container, or that its files are somewhere else.
    """
    if ci_name in WITH_ACTIONS and environ.get("GITHUB_WORKSPACE") == _GITHUB_WORKSPACE:
        return _Workspace(_GITHUB_WORKSPACE, _GITHUB_MOUNTED_FOLDERS, _LOST_WITH_CONTAINER)
    # GitLab's executors, except shell and ssh, set CI_DISPOSABLE_ENVIRONMENT.
    if ci_name == "gitlab" and is_truthy(environ, "CI_DISPOSABLE_ENVIRONMENT"):
        path, consequence = environ.get("CI_PROJECT_DIR", ""), _LOST_WITH_CONTAINER
    elif ci_name == "bitbucket":
        path, consequence = environ.get("BITBUCKET_CLONE_DIR", ""), _NOT_IN_ARTIFACTS
    else:
        return None
    # A relative path, or a path of another operating system, is not comparable.
    return _Workspace(path, (), consequence) if Path(path).is_absolute() else None
