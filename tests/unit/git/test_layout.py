"""The directories and refs of a clone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.git.errors import CloneError
from autonoma_ci.git.layout import CloneLayout, RefReader, find_clone

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "1" * 40, "2" * 40


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files of a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(content))


def read_refs(folder: Path, files: dict[str, str]) -> RefReader:
    """Return the refs of a clone with these files in `.git`."""
    write(folder / ".git", files)
    return RefReader(find_clone(str(folder)))


def test_clone_is_found_from_folder_below(tmp_path: Path) -> None:
    """The working directory can be any folder of the working tree."""
    root = tmp_path.resolve()
    write(root, {".git/HEAD": FIRST, "a/b/file": ""})
    layout = CloneLayout(root, root / ".git", root / ".git")
    assert find_clone(str(root)) == find_clone(str(root / "a/b")) == layout


def test_worktree_has_two_directories(tmp_path: Path) -> None:
    """A linked worktree has its own HEAD, and the refs of its repository."""
    root = tmp_path.resolve()
    own = root / "main/.git/worktrees/linked"
    write(root, {"linked/.git": f"gitdir: {own}\n", "main/.git/worktrees/linked/commondir": "../..\n"})
    write(root / "main/.git", {"HEAD": FIRST, "worktrees/linked/HEAD": SECOND, "refs/heads/main": FIRST})
    layout = find_clone(str(root / "linked"))
    assert layout.root == root / "linked"
    assert layout.git_directory == own
    assert layout.shared_directory.resolve() == root / "main/.git"
    assert [RefReader(layout).resolve(name) for name in ("HEAD", "refs/heads/main")] == [
        SECOND.encode(),
        FIRST.encode(),
    ]


def test_submodule_has_relative_git_file(tmp_path: Path) -> None:
    """The `.git` file of a submodule names a folder relative to itself."""
    root = tmp_path.resolve()
    write(root, {".git/modules/sub/HEAD": FIRST, "sub/.git": "gitdir: ../.git/modules/sub\n"})
    assert find_clone(str(root / "sub")).git_directory.resolve() == root / ".git/modules/sub"


@pytest.mark.parametrize("content", ["gitdir: /missing/folder\n", "text", "", "gitdir:", "\0" * 9000])
def test_git_file_without_target_is_doubt(content: str, tmp_path: Path) -> None:
    """The folder of a worktree can be outside of a container."""
    write(tmp_path, {".git": content})
    with pytest.raises(CloneError, match="names no existing directory"):
        find_clone(str(tmp_path))


def test_folder_without_clone_is_doubt(tmp_path: Path) -> None:
    """A checkout can be an archive without a history."""
    with pytest.raises(CloneError, match="not in a clone"):
        find_clone(str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": FIRST},
        {"HEAD": f"{FIRST}\n"},
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": f"{FIRST}\n"},
        {
            "HEAD": "ref: refs/heads/a/b\n",
            "packed-refs": f"# pack-refs\n{SECOND} refs/heads/a\n{FIRST} refs/heads/a/b\n",
        },
        {"HEAD": "ref: refs/heads/a", "refs/heads/a": FIRST, "packed-refs": f"{SECOND} refs/heads/a\n"},
        {"HEAD": "ref: refs/heads/a", "packed-refs": f"{FIRST} refs/heads/a\n^{SECOND}\n", "refs/heads/a/b": SECOND},
        {"HEAD": "ref: refs/heads/a", "refs/heads/a": "ref: refs/heads/b", "refs/heads/b": FIRST},
        {"HEAD": "ref: refs/heads/größe", "refs/heads/größe": FIRST},
    ],
)
def test_head_is_resolved(files: dict[str, str], tmp_path: Path) -> None:
    """HEAD is a commit, or names a ref in a file or in packed-refs."""
    assert read_refs(tmp_path, files).resolve("HEAD") == FIRST.encode()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"HEAD": ""},
        {"HEAD": "ref: refs/heads/.invalid\n"},
        {"HEAD": "ref: refs/heads/missing"},
        {"HEAD": "ref: HEAD"},
        {"HEAD": "ref: ../../secret", "../secret": FIRST},
        {"HEAD": "ref: refs/../../secret", "../secret": FIRST},
        {"HEAD": "ref: refs/heads/a", "refs/heads/a": "ref: refs/heads/a"},
        {"HEAD": FIRST[:-1]},
        {"HEAD": f"{FIRST}{SECOND}"},
    ],
)
def test_invalid_head_has_no_commit(files: dict[str, str], tmp_path: Path) -> None:
    """An invalid ref names no commit, and no file outside of the refs."""
    (tmp_path / ".git").mkdir()
    assert read_refs(tmp_path, files).resolve("HEAD") is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"refs/remotes/origin/main": FIRST, "refs/heads/main": SECOND}, FIRST),
        ({"refs/heads/main": FIRST}, FIRST),
        ({"refs/remotes/upstream/main": FIRST, "refs/heads/main": SECOND}, FIRST),
        ({"packed-refs": f"{FIRST} refs/remotes/upstream/main\n"}, FIRST),
        ({"refs/remotes/one/main": FIRST, "refs/remotes/two/main": SECOND}, None),
        ({"refs/remotes/one/main": FIRST, "refs/remotes/two/main": SECOND, "refs/remotes/origin/main": FIRST}, FIRST),
        ({"refs/remotes/origin/main/sub": FIRST}, None),
        ({"packed-refs": f"{FIRST} refs/remotes/origin/main2\n"}, None),
        ({"refs/remotes/pull/main": FIRST}, None),
        ({"refs/tags/main": FIRST}, None),
    ],
)
def test_branch_of_remote_has_priority(files: dict[str, str], expected: str | None, tmp_path: Path) -> None:
    """A local branch can be older than the one of the remote."""
    found = read_refs(tmp_path, {"HEAD": FIRST, **files}).find_branch("main")
    assert found == (expected.encode() if expected else None)


@pytest.mark.parametrize("branch", ["../../../secret", "a..b", "", "/", "a\0b", "a\nb", "~", "a.lock", ".a"])
def test_invalid_branch_reads_no_file(branch: str, tmp_path: Path) -> None:
    """The name of a branch comes from the CI system, and from the change of a fork."""
    refs = read_refs(tmp_path, {"HEAD": FIRST, "secret": FIRST, "refs/heads/secret": FIRST})
    assert refs.find_branch(branch) is None


def test_branches_of_clone_are_read(tmp_path: Path) -> None:
    """The clone names the branch that is checked out, and the default branch."""
    head = {"HEAD": "ref: refs/heads/feature/one"}
    refs = read_refs(tmp_path, {**head, "refs/remotes/origin/HEAD": "ref: refs/remotes/origin/main\n"})
    assert (refs.read_head_branch(), refs.read_default_branch()) == ("feature/one", "main")


def test_detached_clone_names_no_branch(tmp_path: Path) -> None:
    """A checkout of a commit has no branch, and often no default branch."""
    refs = read_refs(tmp_path, {"HEAD": FIRST})
    assert (refs.read_head_branch(), refs.read_default_branch()) == ("", "")


def test_shallow_commits_are_read(tmp_path: Path) -> None:
    """The file `shallow` lists the commits without parents."""
    assert read_refs(tmp_path, {"HEAD": FIRST}).read_shallow_commits() == frozenset()
    shallow = read_refs(tmp_path, {"shallow": f"{FIRST}\n{SECOND}\n"})
    assert shallow.read_shallow_commits() == {FIRST.encode(), SECOND.encode()}
