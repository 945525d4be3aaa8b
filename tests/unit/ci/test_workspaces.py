"""Warnings about a results folder that is lost with its container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.detection import find_system
from autonoma_ci.ci.workspaces import lost_folder_warnings
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/github/workspace"}
GITLAB = {"GITLAB_CI": "true", "CI_PROJECT_DIR": "/builds/group/app", "CI_DISPOSABLE_ENVIRONMENT": "true"}
BITBUCKET = {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_CLONE_DIR": "/opt/atlassian/pipelines/agent/build"}
JOBS = {"github": GITHUB, "gitlab": GITLAB, "bitbucket": BITBUCKET}


def get_warnings(path: str, ci: str, folder: str, environ: Mapping[str, str]) -> list[str]:
    system = find_system(ci)
    assert system
    return lost_folder_warnings("results-dir", path, folder, system.find_workspace(environ))


def dry_run(folder: Path, results_dir: str, environ: Mapping[str, str]) -> CommandResult:
    job_environ = {**environ, **CREDENTIALS, "AUTONOMA_RESULTS_DIR": results_dir}
    return invoke(folder, "run", "--dry-run", "--test-ids", "a", environ=job_environ)


@pytest.mark.parametrize(
    ("ci", "path", "folder"),
    [
        ("github", "/tmp/results", "/github/workspace"),
        ("github", "../results", "/github/workspace"),
        ("github", "/github/results", "/github/workspace"),
        ("github", "/github/workspace-2/results", "/github/workspace"),
        ("github", "/home/runner/work/app/app/results", "/github/workspace"),
        ("gitlab", "/tmp/results", "/builds/group/app"),
        ("gitlab", "../results", "/builds/group/app"),
        ("bitbucket", "/tmp/results", BITBUCKET["BITBUCKET_CLONE_DIR"]),
    ],
)
def test_folder_outside_workspace_warns(ci: str, path: str, folder: str) -> None:
    """A folder outside the workspace of a container gives a warning."""
    [warning] = get_warnings(path, ci, folder, JOBS[ci])
    assert warning.startswith(f"results-dir {path} is outside of the workspace, so ")


@pytest.mark.parametrize(
    ("ci", "path", "folder"),
    [
        ("github", "results", "/github/workspace"),
        ("github", "a/../results", "/github/workspace"),
        ("github", ".", "/github/workspace"),
        ("github", "../results", "/github/workspace/app"),
        ("github", "/github/runner_temp/results", "/github/workspace"),
        ("github", "/github/home/results", "/github/workspace"),
        ("gitlab", "results", "/builds/group/app"),
        ("gitlab", "/builds/group/app/results", "/"),
        ("bitbucket", "results", BITBUCKET["BITBUCKET_CLONE_DIR"]),
    ],
)
def test_folder_in_workspace_is_silent(ci: str, path: str, folder: str) -> None:
    """A folder inside the workspace gives no warning."""
    assert get_warnings(path, ci, folder, JOBS[ci]) == []


@pytest.mark.parametrize(
    ("ci", "environ"),
    [
        ("github", {"GITHUB_WORKSPACE": "/home/runner/work/app/app"}),
        ("github", {"GITHUB_WORKSPACE": "/__w/app/app"}),
        ("github", {}),
        ("gitlab", {"CI_PROJECT_DIR": "/builds/group/app"}),
        ("gitlab", {"CI_PROJECT_DIR": "", "CI_DISPOSABLE_ENVIRONMENT": "true"}),
        ("jenkins", {"WORKSPACE": "/var/jenkins/app"}),
        ("cli", GITHUB),
    ],
)
def test_folder_that_persists_is_silent(ci: str, environ: Mapping[str, str]) -> None:
    """A folder that later steps can read gives no warning."""
    assert get_warnings("/tmp/results", ci, "/", environ) == []


def test_folder_symlink_is_resolved(tmp_path: Path) -> None:
    """The target of a symbolic link decides about the warning."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "linked").symlink_to(workspace, target_is_directory=True)
    environ = {"CI_PROJECT_DIR": str(tmp_path / "linked"), "CI_DISPOSABLE_ENVIRONMENT": "true"}
    assert get_warnings("results", "gitlab", str(workspace), environ) == []
    (workspace / "out").symlink_to(tmp_path, target_is_directory=True)
    assert len(get_warnings("out/results", "gitlab", str(workspace), environ)) == 1


@pytest.mark.parametrize("path", ["~/results", "~", "~runner/results"])
def test_folder_with_tilde_warns(path: str, tmp_path: Path) -> None:
    """A path that begins with ~ is not expanded and gives a warning."""
    result = dry_run(tmp_path, path, {})
    assert result.code == 0
    assert (tmp_path / path / "results.json").is_file()
    assert f"AUTONOMA_RESULTS_DIR {path} begins with ~, which is not expanded" in result.output


def test_folder_warning_is_github_annotation(tmp_path: Path) -> None:
    """The warning is an annotation on GitHub."""
    result = dry_run(tmp_path, str(tmp_path / "r"), GITHUB)
    lines = [line for line in result.output.splitlines() if "is outside of the workspace" in line]
    assert len(lines) == 1
    assert lines[0].startswith("::warning::AUTONOMA_RESULTS_DIR ")
    assert "the files are lost with the container" in lines[0]


def test_folder_path_is_shown_on_one_line() -> None:
    """A hostile path is shown on one line without control characters."""
    [warning] = get_warnings("/tmp/a\n::error::x\x1b[31m", "github", "/github/workspace", GITHUB)
    assert "\n" not in warning
    assert "\x1b" not in warning


@pytest.mark.parametrize("path", ["a\0b", "/" + "x" * 5000])
def test_folder_path_invalid_exits_2(path: str, tmp_path: Path) -> None:
    """A path that no file system allows ends the step with exit code 2."""
    assert dry_run(tmp_path, path, GITHUB).code == 2
