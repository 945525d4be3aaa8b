"""The changes of a build in a clone."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.git.clone import Clone
from autonoma_ci.git.errors import CloneError, NoBaseError
from autonoma_ci.models import BuildContext, ChangeBase
from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import ComparedFiles

pytestmark = needs_git
FEATURE = BuildContext("ci", branch="feature")
MAIN = ChangeBase(branch="main")


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Return a repository whose branch `feature` changed `own`, and `main` changed `other`."""
    repository = GitRepository.create(tmp_path / "repository")
    repository.commit({"shared": "1", "autonoma.yml": "version: 1\n"})
    repository.checkout("feature", start="main")
    repository.commit({"own": "1"})
    repository.checkout("main")
    repository.commit({"other": "1"})
    repository.checkout("feature")
    return repository


def find_changes(repository: GitRepository, base: ChangeBase = MAIN, context: BuildContext = FEATURE) -> ComparedFiles:
    """Return the changes of the commit that is checked out."""
    with Clone(str(repository.folder)) as clone:
        return clone.find_changes(base, context)


def read_paths(repository: GitRepository, base: ChangeBase = MAIN, context: BuildContext = FEATURE) -> set[str]:
    return set(find_changes(repository, base, context).paths)


def test_base_is_merge_base_with_target(repository: GitRepository) -> None:
    """What the target branch changed on its own does not count."""
    changes = find_changes(repository)
    assert (changes.base, set(changes.paths)) == (repository.git("merge-base", "main", "feature"), {"own"})


@pytest.mark.parametrize("has_offsets", ["true", "false"])
def test_packed_clone_has_same_changes(has_offsets: str, repository: GitRepository) -> None:
    """Packs have deltas, whose base is an offset or a hash, and each fetch adds a pack."""
    repository.git("config", "repack.useDeltaBaseOffset", has_offsets)
    lines = "".join(f"line {number}\n" for number in range(2000))
    for number in range(4):
        repository.commit({f"folder/{name}": f"{number}\n{lines}" for name in range(30)})
    repository.git("repack", "-a", "-d", "-q", "-f")
    head = repository.commit({"folder/0": lines})
    repository.git("repack", "-d", "-q")
    changes = find_changes(repository)
    assert changes.paths == {"own", *(f"folder/{name}" for name in range(30))}
    with Clone(str(repository.folder)) as clone:
        assert clone.read_file(f"{head}", "folder/0", len(lines)) == lines.encode()
        assert clone.read_file(repository.git("rev-parse", "HEAD~3"), "folder/1", 10**6) == f"1\n{lines}".encode()


def test_stated_commit_of_target_has_priority(repository: GitRepository) -> None:
    """The branch in the clone can be older or newer than the target of the change."""
    first = repository.git("rev-parse", "main~1")
    repository.merge("main")
    assert read_paths(repository) == {"own"}
    assert read_paths(repository, ChangeBase(branch="main", sha=first)) == {"own", "other"}


def test_missing_commit_of_target_is_doubt(repository: GitRepository) -> None:
    """In a clone of a fork, the branch of this name can have a part of the change."""
    repository.commit({"last": "1"})
    repository.git("branch", "-q", "-f", "main", "HEAD~1")
    assert read_paths(repository) == {"last"}
    with pytest.raises(CloneError, match="lacks the base") as caught:
        find_changes(repository, ChangeBase(branch="main", sha="1" * 40))
    assert caught.value.needed_depth == 0


def test_exact_base_is_compared_itself(repository: GitRepository) -> None:
    """The base of a merge group is in the history of its commit."""
    base = ChangeBase(branch="main", sha=repository.git("merge-base", "main", "feature"), is_exact=True)
    assert read_paths(repository, base) == {"own"}
    with pytest.raises(CloneError, match="lacks the base") as caught:
        find_changes(repository, base._replace(sha="1" * 40))
    assert caught.value.needed_depth == 0
    with pytest.raises(CloneError, match="does not contain its base"):
        find_changes(repository, base._replace(sha=repository.git("rev-parse", "main")))
    with pytest.raises(NoBaseError, match="a part of its target branch"):
        find_changes(repository, base._replace(sha=repository.git("rev-parse", "HEAD")))


def test_other_checkout_is_doubt(repository: GitRepository) -> None:
    """The changed files must be those of the commit under test."""
    with pytest.raises(CloneError, match="another commit than"):
        find_changes(repository, context=FEATURE._replace(sha=repository.git("rev-parse", "main")))
    assert read_paths(repository, context=FEATURE._replace(sha=repository.git("rev-parse", "HEAD"))) == {"own"}


def clone_merge_of_change(repository: GitRepository, folder: Path, depth: int) -> tuple[GitRepository, BuildContext]:
    """Return a shallow clone with GitHub's merge commit of a change."""
    head = repository.git("rev-parse", "feature")
    repository.git("checkout", "-q", "--detach", "main")
    merge = repository.merge(head)
    repository.git("update-ref", "refs/pull/7/merge", merge)
    repository.checkout("main")
    repository.commit({"later": "1"})
    clone = GitRepository.create(folder / "checkout")
    refs = "refs/remotes/pull/7/merge"
    clone.git("fetch", "-q", f"--depth={depth}", repository.folder.as_uri(), f"+refs/pull/7/merge:{refs}")
    clone.git("checkout", "-q", "--detach", refs)
    return clone, BuildContext("github", sha=head, branch="feature", change_number="7")


def test_merge_commit_of_change_needs_two_commits(repository: GitRepository, tmp_path: Path) -> None:
    """The first parent of GitHub's merge commit is the target branch."""
    clone, context = clone_merge_of_change(repository, tmp_path, 2)
    base = ChangeBase(branch="main", sha=repository.git("rev-parse", "main"))
    changes = find_changes(clone, base, context)
    assert (changes.base, set(changes.paths)) == (repository.git("rev-parse", "main~1"), {"own"})


def test_merge_commit_without_parents_names_depth(repository: GitRepository, tmp_path: Path) -> None:
    """A depth of one commit has no base, and a depth of two is enough."""
    clone, context = clone_merge_of_change(repository, tmp_path, 1)
    with pytest.raises(CloneError, match="lacks the parents") as caught:
        find_changes(clone, MAIN, context)
    assert caught.value.needed_depth == 2


def test_merge_commit_of_author_needs_history(repository: GitRepository, tmp_path: Path) -> None:
    """Who pushes a merge commit to the change could choose its first parent."""
    clone, context = clone_merge_of_change(repository, tmp_path, 2)
    # The merge is of another head, the server's merge is another commit, or the clone does not have it.
    with pytest.raises(CloneError, match="lacks the branch to compare with"):
        find_changes(clone, MAIN, context._replace(sha=clone.git("rev-parse", "HEAD")))
    for arguments in (("refs/remotes/pull/7/merge", "HEAD^1"), ("-d", "refs/remotes/pull/7/merge")):
        clone.git("update-ref", *arguments)
        with pytest.raises(CloneError, match="lacks the branch to compare with"):
            find_changes(clone, MAIN, context)


def test_commit_of_target_branch_has_no_base(repository: GitRepository) -> None:
    """A comparison of the target branch with itself would find nothing."""
    repository.checkout("main")
    repository.merge("feature")
    repository.checkout("feature")
    with pytest.raises(NoBaseError, match="part of its target branch"):
        find_changes(repository)


@pytest.mark.parametrize("context", [BuildContext(), BuildContext("cli", branch="feature"), FEATURE])
def test_default_branch_of_clone_is_target(context: BuildContext, repository: GitRepository, tmp_path: Path) -> None:
    """Without facts of the CI system, the clone names the default branch."""
    repository.checkout("main")
    clone = repository.clone(tmp_path / "clone")
    clone.checkout("feature", start="origin/feature")
    assert read_paths(clone, ChangeBase(), context) == {"own"}


@pytest.mark.parametrize("context", [BuildContext(), BuildContext("ci", branch="main")])
def test_default_branch_has_no_base(context: BuildContext, repository: GitRepository, tmp_path: Path) -> None:
    """On the default branch, every entry runs."""
    repository.checkout("main")
    clone = repository.clone(tmp_path / "clone")
    with pytest.raises(NoBaseError, match="of the default branch"):
        find_changes(clone, ChangeBase(), context)


def test_unknown_branch_is_doubt(repository: GitRepository, tmp_path: Path) -> None:
    """The build can be of the default branch."""
    repository.checkout("main")
    clone = repository.clone(tmp_path / "clone")
    clone.checkout("feature", start="origin/feature")
    with pytest.raises(CloneError, match="branch of the build is unknown"):
        find_changes(clone, ChangeBase(), BuildContext("ci"))
    clone.git("checkout", "-q", "--detach", "origin/feature")
    for context in (BuildContext(), BuildContext("ci")):
        with pytest.raises(CloneError, match="branch of the build is unknown"):
            find_changes(clone, ChangeBase(), context)
    with pytest.raises(CloneError, match="default branch is unknown"):
        find_changes(repository, ChangeBase(), FEATURE)


def test_shallow_clone_is_doubt(repository: GitRepository, tmp_path: Path) -> None:
    """The base can be in the part of the history that the clone lacks."""
    clone = repository.clone(tmp_path / "clone", "--depth=1", "--no-single-branch")
    with pytest.raises(CloneError, match="too shallow") as caught:
        find_changes(clone)
    assert caught.value.needed_depth == 0


def test_missing_folder_of_partial_clone_is_doubt(repository: GitRepository, tmp_path: Path) -> None:
    """A clone without trees has commits only."""
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = repository.clone(tmp_path / "clone", "--filter=tree:0", "--no-checkout")
    with pytest.raises(CloneError, match="lacks a directory of its history"):
        find_changes(clone)


def test_empty_repository_is_doubt(tmp_path: Path) -> None:
    """A repository without a commit has nothing to compare."""
    repository = GitRepository.create(tmp_path / "empty")
    with pytest.raises(CloneError, match="no commit"):
        Clone(str(repository.folder))


def test_submodule_is_listed(repository: GitRepository, tmp_path: Path) -> None:
    """The path of a changed submodule is one of the changed paths."""
    library = GitRepository.create(tmp_path / "library")
    library.commit({"file": "1"})
    repository.git("submodule", "--quiet", "add", library.folder.as_uri(), "libs/sub")
    repository.commit()
    changes = find_changes(repository)
    assert changes.paths == {"own", ".gitmodules", "libs/sub"}
    assert changes.submodules == {"libs/sub"}


def test_file_of_base_is_read(repository: GitRepository) -> None:
    """The manifest of the base is read from its commit, within a limit."""
    repository.commit({"autonoma.yml": "changed", "ci/größe.yml": "text"})
    (repository.folder / "link.yml").symlink_to("autonoma.yml")
    head = repository.commit()
    base = repository.git("rev-parse", "main")
    with Clone(str(repository.folder)) as clone:
        assert clone.read_file(base, "autonoma.yml", 100) == b"version: 1\n"
        assert clone.read_file(head, "ci/größe.yml", 100) == b"text"
        unreadable = ["missing", "ci", "ci/missing", "ci/größe.yml/below", "link.yml", "", "/autonoma.yml", "../x"]
        assert [clone.read_file(head, path, 100) for path in unreadable] == [None] * len(unreadable)
        assert clone.read_file(head, "autonoma.yml", 3) is None
        assert clone.read_file("1" * 40, "autonoma.yml", 100) is None


def test_no_program_is_executed(repository: GitRepository, tmp_path: Path) -> None:
    """Hooks, filters and other programs in the configuration have no effect."""
    marker, program = tmp_path / "executed", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "filter.x.smudge",
        "filter.x.process",
        "core.alternateRefsCommand",
    ):
        repository.git("config", key, str(program))
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "remote.origin.url", f"ext::{program}")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (repository.folder / ".git/hooks" / hook).write_text(program.read_text())
        (repository.folder / ".git/hooks" / hook).chmod(0o755)
    assert read_paths(repository) == {"own"}
    with pytest.raises(CloneError):
        find_changes(repository, ChangeBase(sha="1" * 40, is_exact=True))
    assert not marker.exists()


def test_clone_is_not_changed(repository: GitRepository) -> None:
    """Reading leaves every file of the clone as it is."""

    def list_files() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in repository.folder.rglob("*")}

    before = list_files()
    find_changes(repository)
    assert list_files() == before


@pytest.mark.parametrize("seed", range(24))
def test_damaged_clone_is_doubt(seed: int, repository: GitRepository) -> None:
    """Random bytes in any file of the clone cause a doubt or no error."""
    choose = random.Random(seed)
    if seed % 2:
        repository.git("gc", "-q")
    files = sorted(path for path in (repository.folder / ".git").rglob("*") if path.is_file())
    used = [path for path in files if not {"hooks", "logs"} & set(path.parts)]
    for path in choose.sample(used, 5):
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        if choose.random() < 0.3:
            del data[choose.randrange(len(data) + 1) :]
        for _ in range(choose.choice([0, 1, 20]) if data else 0):
            data[choose.randrange(len(data))] = choose.randrange(256)
        path.write_bytes(data)
    # Any other error fails the test.
    with suppress(CloneError, NoBaseError):
        assert read_paths(repository) <= {"own", "other", "shared", "autonoma.yml"}
