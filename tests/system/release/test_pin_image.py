"""The image digest in the tagged action."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from release.major_tag import find_major_tag
from release.pin_image import ReleaseError, commit_and_tag, pin_image
from tests.support.generate_docs import ROOT, render_action

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = f"ghcr.io/owner/autonoma-ci@sha256:{'a1' * 32}"
NEXT_IMAGE = f"ghcr.io/owner/autonoma-ci@sha256:{'b2' * 32}"


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    # The user's configuration can have hooks or sign commits.
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def commit_version(repository: Path, version: str) -> str:
    """Commit a version on the main branch, and return the commit."""
    (repository / "autonoma_ci").mkdir(exist_ok=True)
    (repository / "autonoma_ci" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    git(repository, "add", ".")
    git(repository, "commit", "-m", version)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a repository with action.yml and a version on main."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--initial-branch=main")
    (folder / "action.yml").write_text(render_action(), "utf-8")
    commit_version(folder, "1.2.3")
    return folder


def read_action_runs(repository: Path, reference: str) -> Any:
    """Return `runs` of the action at a commit or tag."""
    return yaml.safe_load(git(repository, "show", f"{reference}:action.yml"))["runs"]


def test_tag_has_digest_and_main_dockerfile(repository: Path) -> None:
    """The tagged action has the image digest, and main has its Dockerfile."""
    main = git(repository, "rev-parse", "main")
    commit = commit_and_tag(repository, IMAGE, "v1.2.3")
    pinned_runs = {"using": "docker", "image": f"docker://{IMAGE}", "args": []}
    assert read_action_runs(repository, commit) == read_action_runs(repository, "v1.2.3") == pinned_runs
    assert read_action_runs(repository, "main") == {"using": "docker", "image": "Dockerfile", "args": []}
    assert git(repository, "rev-parse", "main") == main == git(repository, "rev-parse", f"{commit}^")


def test_only_image_line_differs(repository: Path) -> None:
    """The tagged commit only replaces the Dockerfile by the image."""
    commit = commit_and_tag(repository, IMAGE, "v1.2.3")
    changes = git(repository, "diff", "--unified=0", "main", commit).splitlines()
    changed_lines = [line for line in changes if line[0] in "+-" and line[:3] not in {"+++", "---"}]
    assert changed_lines == ["-  image: Dockerfile", f"+  image: docker://{IMAGE}"]


def test_sha_pin_is_stable_after_new_release(repository: Path) -> None:
    """The image of a commit stays the same after the major tag moves."""
    commit = commit_and_tag(repository, IMAGE, "v1.2.3")
    git(repository, "tag", "v1", commit)
    git(repository, "reset", "--hard", "main")
    commit_version(repository, "1.3.0")
    newer_commit = commit_and_tag(repository, NEXT_IMAGE, "v1.3.0")
    git(repository, "tag", "--force", "v1", newer_commit)
    assert read_action_runs(repository, "v1")["image"] == f"docker://{NEXT_IMAGE}"
    assert (
        read_action_runs(repository, commit)["image"]
        == read_action_runs(repository, "v1.2.3")["image"]
        == f"docker://{IMAGE}"
    )


def test_repeated_release_gives_same_commit(repository: Path, tmp_path: Path) -> None:
    """Another clone makes the same commit for the same image."""
    git(repository, "clone", "--no-local", str(repository), str(tmp_path / "again"))
    assert commit_and_tag(repository, IMAGE, "v1.2.3") == commit_and_tag(tmp_path / "again", IMAGE, "v1.2.3")


def test_version_is_released_once(repository: Path) -> None:
    """A second tag of a version is rejected, and the first one stays."""
    commit = commit_and_tag(repository, IMAGE, "v1.2.3")
    git(repository, "reset", "--hard", "main")
    with pytest.raises(ReleaseError, match=rf"tag exists: v1\.2\.3, at {commit}\. Raise __version__"):
        commit_and_tag(repository, NEXT_IMAGE, "v1.2.3")
    assert git(repository, "rev-parse", "v1.2.3") == commit


@pytest.mark.parametrize(
    "image",
    [
        "Dockerfile",
        "ghcr.io/owner/autonoma-ci:1.2.3",
        f"ghcr.io/owner/autonoma-ci@sha256:{'a1' * 31}",
        f"ghcr.io/owner/autonoma-ci@sha256:{'A1' * 32}",
        f"ghcr.io/owner/autonoma-ci@sha256:{'a1' * 32}\n",
        f"ghcr.io/Owner/autonoma-ci@sha256:{'a1' * 32}",
        f"docker.io/owner/autonoma-ci@sha256:{'a1' * 32}",
        f"ghcr.io.example.com/owner/autonoma-ci@sha256:{'a1' * 32}",
        f"ghcr.io/../autonoma-ci@sha256:{'a1' * 32}",
        f"docker://ghcr.io/owner/autonoma-ci@sha256:{'a1' * 32}",
    ],
)
def test_image_without_digest_is_rejected(repository: Path, image: str) -> None:
    """Only a digest in the project's registry is accepted."""
    with pytest.raises(ReleaseError, match="is not an image of"):
        commit_and_tag(repository, image, "v1.2.3")
    assert git(repository, "tag", "--list") == ""


@pytest.mark.parametrize(
    "text", ["runs:\n  using: docker\n", render_action() + "  image: Dockerfile\n", pin_image(render_action(), IMAGE)]
)
def test_action_needs_one_dockerfile_line(text: str) -> None:
    """The action must have exactly one line with its Dockerfile."""
    with pytest.raises(ReleaseError, match="one line"):
        pin_image(text, IMAGE)


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2", "v1", "v1.2.3-rc1", "v01.2.3"])
def test_wrong_tag_is_rejected(repository: Path, tag: str) -> None:
    """Only `v` and the version of the package are its tag."""
    with pytest.raises(ReleaseError, match=r"not the tag of the version '1\.2\.3'"):
        commit_and_tag(repository, IMAGE, tag)


def test_changed_checkout_is_rejected(repository: Path) -> None:
    """A checkout with uncommitted changes gets no tag."""
    (repository / "autonoma_ci" / "__init__.py").write_text('__version__ = "1.2.3"\nprint()\n')
    with pytest.raises(ReleaseError, match="has changes"):
        commit_and_tag(repository, IMAGE, "v1.2.3")


def test_script_prints_commit_or_error(repository: Path) -> None:
    """The script prints the tagged commit, or an error with exit code 1."""
    command = [sys.executable, str(ROOT / "release" / "pin_image.py")]
    failed_result = subprocess.run([*command, IMAGE, "v9"], cwd=repository, capture_output=True, text=True, check=False)
    assert (failed_result.returncode, failed_result.stdout) == (1, "")
    assert failed_result.stderr.startswith("release: 'v9' is not the tag")
    result = subprocess.run([*command, IMAGE, "v1.2.3"], cwd=repository, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == git(repository, "rev-parse", "v1.2.3")


@pytest.mark.parametrize(
    ("tags", "major"),
    [
        ([], "v1"),
        (["v1.2.2", "v1.2.3", "v1", "v0.9.0", "v2.0.0", "latest"], "v1"),
        (["v1.2.10"], ""),
        (["v1.10.0"], ""),
    ],
)
def test_major_tag_follows_newest_version(tags: list[str], major: str) -> None:
    """The major tag moves only to the newest version of its major version."""
    assert find_major_tag("v1.2.3", tags) == major


def test_other_tag_form_is_rejected() -> None:
    """A tag of another form than three numbers is an error."""
    with pytest.raises(ValueError, match="not of the form"):
        find_major_tag("v1", [])
