"""Find the directories and refs of a clone.

Only the files `HEAD`, `commondir`, `shallow`, `packed-refs` and those of single refs are read. The configuration of the
clone is never read, so it can't name a program or a filter.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from autonoma_ci.fs.files import read_head
from autonoma_ci.git.errors import CloneError
from autonoma_ci.startup import NamedTuple, lazy_pattern

# Limits in bytes. A ref is a hash or the name of another ref. A line of packed-refs has about 100 bytes.
_MAX_REF_BYTES = 4096
_MAX_PACKED_REFS_BYTES = 64 * 1024**2
_MAX_SHALLOW_BYTES = 16 * 1024**2
# git follows at most five symbolic refs. Source: SYMREF_MAXDEPTH in refs.h of git.
_MAX_SYMBOLIC_REFS = 5
_HASH_RE = lazy_pattern(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_GIT_FILE_RE = lazy_pattern(rb"gitdir:\s*([^\s\0][^\n\0]*)\n*")
_SYMBOLIC_REF_RE = lazy_pattern(rb"ref:\s*(\S.*)")


class CloneLayout(NamedTuple):
    """The directories of a clone."""

    # The top of the working tree.
    root: Path
    # The directory with HEAD. A linked worktree has its own.
    git_directory: Path
    # The directory with objects and refs.
    shared_directory: Path


def find_clone(directory: str) -> CloneLayout:
    """Return the clone that contains a directory.

    Raises:
        CloneError: The directory and its parents have no usable `.git`.

    """
    path = Path(os.path.realpath(directory))
    for root in (path, *path.parents):
        entry = root / ".git"
        if entry.is_dir():
            return CloneLayout(root, entry, _find_shared_directory(entry))
        if entry.is_file():
            git_directory = _follow_git_file(entry)
            return CloneLayout(root, git_directory, _find_shared_directory(git_directory))
    raise CloneError("the working directory is not in a clone of git", "Check out the repository before this step.")


def _follow_git_file(file: Path) -> Path:
    """Return the directory that the `.git` file of a worktree or submodule names.

    Raises:
        CloneError: The directory is missing, for example because it is not mounted in the container.

    """
    match = _GIT_FILE_RE.fullmatch(read_head(file, _MAX_REF_BYTES))
    if match and (target := file.parent / os.fsdecode(match[1])).is_dir():
        return target
    raise CloneError("the file .git names no existing directory", "Make the directory available to this step.")


def _find_shared_directory(git_directory: Path) -> Path:
    with suppress(FileNotFoundError):
        return git_directory / os.fsdecode(read_head(git_directory / "commondir", _MAX_REF_BYTES).strip())
    return git_directory


class RefReader:
    """Reads the refs of a clone."""

    def __init__(self, layout: CloneLayout) -> None:
        self._layout = layout
        self._packed_refs: bytes | None = None

    def read_head_branch(self) -> str:
        """Return the branch that is checked out, or an empty text."""
        name = self._read_symbolic_ref("HEAD")
        return name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else ""

    def read_default_branch(self) -> str:
        """Return the default branch of the remote, or an empty text."""
        prefix = "refs/remotes/origin/"
        name = self._read_symbolic_ref(f"{prefix}HEAD")
        return name.removeprefix(prefix) if name.startswith(prefix) else ""

    def find_branch(self, branch: str) -> bytes | None:
        """Return the last commit of a remote branch, else of the local one."""
        names = [f"refs/remotes/origin/{branch}"]
        remotes = [name for name in self._list_remotes() if name != "origin"]
        if len(remotes) == 1:
            names.append(f"refs/remotes/{remotes[0]}/{branch}")
        return next(filter(None, map(self.resolve, [*names, f"refs/heads/{branch}"])), None)

    def resolve(self, name: str) -> bytes | None:
        """Return the hash of a ref, or None if it is missing or invalid."""
        for _ in range(_MAX_SYMBOLIC_REFS + 1):
            content = self._read_ref(name)
            if _HASH_RE.fullmatch(content):
                return content
            match = _SYMBOLIC_REF_RE.fullmatch(content)
            if not match:
                return None
            name = os.fsdecode(match[1])
        return None

    def read_shallow_commits(self) -> frozenset[bytes]:
        """Return the commits whose parents a shallow clone leaves out."""
        try:
            content = read_head(self._layout.shared_directory / "shallow", _MAX_SHALLOW_BYTES)
        except FileNotFoundError:
            return frozenset()
        return frozenset(content.split())

    def _read_symbolic_ref(self, name: str) -> str:
        match = _SYMBOLIC_REF_RE.fullmatch(self._read_ref(name))
        return os.fsdecode(match[1]) if match else ""

    def _read_ref(self, name: str) -> bytes:
        """Return the content of a ref, or an empty text.

        A name can come from the CI system or from the clone, so only a valid one becomes a path.
        """
        # Loaded only here, because the import takes milliseconds.
        from dulwich.refs import Ref, check_ref_format

        raw_name = os.fsencode(name)
        if name != "HEAD" and not (name.startswith("refs/") and check_ref_format(Ref(raw_name))):
            return b""
        directory = self._layout.git_directory if name == "HEAD" else self._layout.shared_directory
        # A directory has the name of a ref if other refs are below it.
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            return read_head(directory / name, _MAX_REF_BYTES).strip()
        line = rb"(?m)^([0-9a-f]{40,64}) " + re.escape(raw_name) + b"$"
        match = re.search(line, self._read_packed_refs())
        return match[1] if match else b""

    def _list_remotes(self) -> list[str]:
        """Return the names of all remotes with branches."""
        names = {os.fsdecode(name) for name in re.findall(rb" refs/remotes/([^/\n]+)/", self._read_packed_refs())}
        with suppress(FileNotFoundError):
            names.update(path.name for path in (self._layout.shared_directory / "refs" / "remotes").iterdir())
        # A checkout of a change on GitHub has refs/remotes/pull/12/merge.
        return sorted(names - {"pull"})

    def _read_packed_refs(self) -> bytes:
        if self._packed_refs is None:
            try:
                self._packed_refs = read_head(self._layout.shared_directory / "packed-refs", _MAX_PACKED_REFS_BYTES)
            except FileNotFoundError:
                self._packed_refs = b""
        return self._packed_refs
