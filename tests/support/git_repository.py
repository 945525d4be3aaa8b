"""Repositories that the real git program creates for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
# The configuration of the user and the system can change every command.
_ENVIRON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.com",
    "GIT_COMMITTER_NAME": "Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.com",
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}
_FIRST_COMMIT_AT = 1_700_000_000


class GitRepository:
    """A repository in a folder.

    Each commit is one minute later than the commit before it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commits = 0

    @classmethod
    def create(cls, folder: Path, *options: str) -> GitRepository:
        """Create an empty repository with the branch `main`."""
        folder.mkdir(parents=True)
        repository = cls(folder)
        repository.git("init", "-q", "-b", "main", *options)
        return repository

    def git(self, *arguments: str, data: bytes = b"", time: int | None = None) -> str:
        """Return the output of a git command without the last line break."""
        return self.git_bytes(*arguments, data=data, time=time).decode().removesuffix("\n")

    def git_bytes(self, *arguments: str, data: bytes = b"", time: int | None = None) -> bytes:
        """Return the output of a git command."""
        date = f"@{_FIRST_COMMIT_AT + 60 * self._commits if time is None else time} +0000"
        environ = {**_ENVIRON, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "PATH": os.environ["PATH"]}
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        result = subprocess.run(command, cwd=self.folder, env=environ, input=data, capture_output=True, check=False)
        assert result.returncode == 0, (command, result.stderr)
        return result.stdout

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files, or remove those with None."""
        for name, content in files.items():
            path = self.folder / os.fsdecode(os.fsencode(name))
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None] | None = None, time: int | None = None) -> str:
        """Commit all files, and return the hash of the commit."""
        self._commits += 1
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", f"commit {self._commits}", time=time)
        return self.git("rev-parse", "HEAD")

    def merge(self, *names: str) -> str:
        """Merge branches or commits, and return the hash of the merge commit."""
        self._commits += 1
        self.git("merge", "-q", "--no-ff", "-m", f"merge {self._commits}", *names)
        return self.git("rev-parse", "HEAD")

    def checkout(self, branch: str, *, start: str | None = None) -> None:
        """Check out a branch, which is created if it has a start."""
        self.git("checkout", "-q", *(["-B", branch, start] if start else [branch]))

    def clone(self, folder: Path, *options: str) -> GitRepository:
        """Return a clone of the repository."""
        self.git("clone", "-q", *options, self.folder.as_uri(), str(folder))
        return GitRepository(folder)

    def changed_files(self, base: str, head: str = "HEAD") -> set[str]:
        """Return the files that git finds between two commits."""
        output = self.git_bytes("diff", "--name-only", "-z", "--no-renames", base, head)
        return {os.fsdecode(name) for name in output.split(b"\0") if name}

    def merge_bases(self, first: str, second: str) -> set[str]:
        """Return the merge bases that git finds."""
        return set(self.git("merge-base", "--all", first, second).split())
