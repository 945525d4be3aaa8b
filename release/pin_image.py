"""Write the image digest to action.yml, commit it and create the tag.

    python release/pin_image.py ghcr.io/OWNER/autonoma-ci@sha256:… v1.2.3

Prints the SHA of the new commit.

On the main branch, action.yml builds the image from the Dockerfile. A release builds the image from a commit of the
main branch. The new commit is a child of that commit, and its action.yml pulls the image by its digest. So a user who
pins the action by the SHA of the tag also pins the image.

The new commit depends only on its parent, the image and the tag. So a repeated release creates the same commit.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCKERFILE_LINE = "  image: Dockerfile\n"
_IMAGE_RE = re.compile(r"ghcr\.io(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*){2,}@sha256:[0-9a-f]{64}")
_TAG_RE = re.compile(r"v(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}")
_VERSION_RE = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
# The author that GitHub shows for commits of a workflow.
_AUTHOR_NAME, _AUTHOR_EMAIL = "github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com"


class ReleaseError(Exception):
    """The release is refused, for the reason in the message."""


def pin_image(action_text: str, image: str) -> str:
    """Return the text of action.yml with an image instead of the Dockerfile.

    Raises:
        ReleaseError: The image is not pinned by digest, or action.yml does not name the Dockerfile once.

    """
    if not _IMAGE_RE.fullmatch(image):
        raise ReleaseError(f"{image!r} is not an image of ghcr.io by its sha256 digest")
    if action_text.count(DOCKERFILE_LINE) != 1:
        raise ReleaseError(f"action.yml must have one line {DOCKERFILE_LINE.strip()!r}")
    return action_text.replace(DOCKERFILE_LINE, f"  image: docker://{image}\n")


def commit_and_tag(checkout: Path, image: str, tag: str) -> str:
    """Commit the pinned action.yml on HEAD, tag it, and return its SHA.

    Raises:
        ReleaseError: The tag does not match the version, it exists at another commit, or the checkout has changes.

    """
    version = _VERSION_RE.search((checkout / "autonoma_ci" / "__init__.py").read_text("utf-8"))
    if not _TAG_RE.fullmatch(tag) or not version or tag != f"v{version[1]}":
        raise ReleaseError(f"{tag!r} is not the tag of the version {version[1] if version else None!r}")
    if _run_git(checkout, "status", "--porcelain", "--untracked-files=no"):
        raise ReleaseError("the checkout has changes")
    action_path = checkout / "action.yml"
    action_path.write_text(pin_image(action_path.read_text("utf-8"), image), "utf-8", newline="\n")
    _run_git(checkout, "add", "action.yml")
    commit = _create_commit(checkout, f"Release {tag}\n\nThe action runs {image}.\n")
    if _run_git(checkout, "tag", "--list", tag):
        if (tagged_commit := _run_git(checkout, "rev-parse", f"{tag}^{{commit}}")) != commit:
            raise ReleaseError(
                f"tag exists: {tag}, at {tagged_commit}. Raise __version__, because a version is released once."
            )
    else:
        _run_git(checkout, "tag", tag, commit)
    return commit


def _create_commit(checkout: Path, message: str) -> str:
    """Create a commit of the index and return its SHA.

    Author and dates depend only on the parent, so the SHA is reproducible.
    """
    date = _run_git(checkout, "log", "-1", "--format=%ct +0000")
    author_fields = {"NAME": _AUTHOR_NAME, "EMAIL": _AUTHOR_EMAIL, "DATE": date}
    git_environment = [
        f"GIT_{role}_{field}={value}" for role in ("AUTHOR", "COMMITTER") for field, value in author_fields.items()
    ]
    tree, parent = _run_git(checkout, "write-tree"), _run_git(checkout, "rev-parse", "HEAD")
    command = ["env", *git_environment, "git", "-C", str(checkout), "commit-tree", tree, "-p", parent, "-m", message]
    return _run_command(command)


def _run_git(checkout: Path, *arguments: str) -> str:
    return _run_command(["git", "-C", str(checkout), *arguments])


def _run_command(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    try:
        print(commit_and_tag(Path.cwd(), image=sys.argv[1], tag=sys.argv[2]))
    except ReleaseError as error:
        sys.exit(f"release: {error}")
