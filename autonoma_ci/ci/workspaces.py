"""Warn of a results-dir whose files nobody will find: outside of the workspace in a container, or below `~`.

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

# The workspace of a container action. In a `run:` step, and in a job with `container:`, GITHUB_WORKSPACE is another.
_GITHUB_WORKSPACE = "/github/workspace"
# What else the runner mounts: these folders are on the machine too.
_GITHUB_MOUNTS = ("/github/home", "/github/workflow", "/github/file_commands", "/github/runner_temp")
_LOST = "its files are lost with the container"
_NO_ARTIFACTS = "artifacts can't have its files"


class _Workspace(NamedTuple):
    """The folder that outlives the job's container, others that do, and what becomes of files elsewhere."""

    path: str
    others: tuple[str, ...]
    otherwise: str


def lost_folder_warnings(
    named: str, path: str, working_directory: str, environ: Mapping[str, str], ci: str
) -> list[str]:
    """Return what to warn of a results-dir.

    Args:
        named: The option as the user wrote it.
        path: Its value, not empty.
        working_directory: What a relative path counts from.
        environ: The environment of the job.
        ci: The name of the CI system.

    """
    warnings = []
    shown = sanitize_line(path, 200)
    if path.startswith("~"):
        warnings.append(
            f"{named} {shown} begins with ~, which is not expanded: the files go to a folder with this name. "
            "Use a relative or an absolute path."
        )
    workspace = _workspace(environ, ci)
    if workspace and not _is_within(Path(working_directory, path), (workspace.path, *workspace.others)):
        warnings.append(
            f"{named} {shown} is outside of the workspace, so {workspace.otherwise}. "
            f"Use a folder below {sanitize_line(workspace.path, 200)}, such as autonoma-results."
        )
    return warnings


def _is_within(place: Path, roots: Iterable[str]) -> bool:
    try:
        real = Path(os.path.realpath(place))
        return any(real.is_relative_to(os.path.realpath(root)) for root in roots)
    except (OSError, ValueError):
        # Not a path, or the working directory was removed. To make the folder fails too, and says so.
        return True


def _workspace(environ: Mapping[str, str], ci: str) -> _Workspace | None:
    """Return the workspace of a job in a container; None if the job has none, or has other places for its files."""
    if ci in WITH_ACTIONS and environ.get("GITHUB_WORKSPACE") == _GITHUB_WORKSPACE:
        return _Workspace(_GITHUB_WORKSPACE, _GITHUB_MOUNTS, _LOST)
    # All executors but shell and ssh set the second variable.
    if ci == "gitlab" and is_truthy(environ, "CI_DISPOSABLE_ENVIRONMENT"):
        path, otherwise = environ.get("CI_PROJECT_DIR", ""), _LOST
    elif ci == "bitbucket":
        path, otherwise = environ.get("BITBUCKET_CLONE_DIR", ""), _NO_ARTIFACTS
    else:
        return None
    # A relative path, or one of another kind of system, says nothing here.
    return _Workspace(path, (), otherwise) if Path(path).is_absolute() else None
