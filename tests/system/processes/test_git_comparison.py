"""The changed files of a clone, compared with those of the real git program."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.git.clone import Clone
from autonoma_ci.git.errors import CloneError
from autonoma_ci.models import BuildContext, ChangeBase
from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = needs_git
FEATURE = BuildContext("ci", branch="feature")
MAIN = ChangeBase(branch="main")
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{:064x}\nsize 12\n"


def start(folder: Path, *options: str) -> GitRepository:
    """Return a repository with some files, on the branch `feature`."""
    repository = GitRepository.create(folder / "repository", *options)
    repository.commit({f"services/{name}/{number}.py": f"{name}\n" * number for name in "abc" for number in range(4)})
    repository.commit({"README.md": "text\n", "docs/a.md": "a\n"})
    repository.checkout("feature", start="main")
    return repository


def build_linear(folder: Path) -> GitRepository:
    repository = start(folder)
    repository.commit({"services/a/1.py": "new", "services/new/deep/er/x.py": "x"})
    repository.commit({"docs/a.md": None})
    return repository


def build_diverged(folder: Path) -> GitRepository:
    repository = build_linear(folder)
    repository.checkout("main")
    repository.commit({"services/b/1.py": "of main"})
    repository.checkout("feature")
    return repository


def build_merged_target(folder: Path) -> GitRepository:
    repository = build_diverged(folder)
    repository.merge("main")
    repository.commit({"services/c/1.py": "after the merge"})
    repository.checkout("main")
    repository.commit({"services/b/2.py": "later"})
    repository.checkout("feature")
    return repository


def build_reverted(folder: Path) -> GitRepository:
    repository = build_linear(folder)
    repository.git("revert", "--no-edit", "HEAD")
    return repository


def build_renames(folder: Path) -> GitRepository:
    repository = start(folder)
    repository.git("mv", "services/a", "services/moved")
    repository.git("mv", "README.md", "read me.md")
    repository.commit()
    return repository


def build_modes_and_types(folder: Path) -> GitRepository:
    repository = start(folder)
    (repository.folder / "services/a/1.py").chmod(0o755)
    link, directory = repository.folder / "services/a/2.py", repository.folder / "services/a/3.py"
    link.unlink()
    link.symlink_to("1.py")
    directory.unlink()
    repository.write({"services/a/3.py/inner.py": "x", "docs.md": "beside docs"})
    for path in (repository.folder / "services/b").iterdir():
        path.unlink()
    (repository.folder / "services/b").rmdir()
    (repository.folder / "services/b").symlink_to("a")
    repository.commit()
    return repository


def build_names(folder: Path) -> GitRepository:
    repository = start(folder)
    names = ["größe.txt", "日本/語.md", 'with "quotes".txt', "a\nb.txt", " lead", "trail ", "back\\slash", "tab\t.x"]
    repository.commit(dict.fromkeys((*names, "lone-�.bin", "a-b", "a.b", "a0"), "x") | {"docs/a.md": None})
    return repository


def build_lfs(folder: Path) -> GitRepository:
    repository = start(folder)
    repository.commit({"big.bin": LFS_POINTER.format(1), ".gitattributes": "*.bin filter=lfs diff=lfs -text\n"})
    repository.commit({"big.bin": LFS_POINTER.format(2), "services/a/1.py": "x"})
    return repository


def build_submodule(folder: Path) -> GitRepository:
    library = GitRepository.create(folder / "library")
    library.commit({"lib.py": "1"})
    repository = start(folder)
    repository.checkout("main")
    repository.git("submodule", "--quiet", "add", library.folder.as_uri(), "libs/sub")
    repository.git("submodule", "--quiet", "add", library.folder.as_uri(), "libs/same")
    repository.commit()
    library.commit({"lib.py": "2"})
    repository.checkout("feature", start="main")
    GitRepository(repository.folder / "libs/sub").git("pull", "-q")
    repository.commit({"services/a/1.py": "x"})
    return repository


def build_removed_submodule(folder: Path) -> GitRepository:
    repository = build_submodule(folder)
    repository.checkout("main")
    repository.checkout("feature", start="main")
    repository.git("rm", "-q", "-f", "libs/sub")
    repository.commit({"libs/sub/now-a-file.py": "x"})
    return repository


def build_packed(folder: Path) -> GitRepository:
    repository = build_merged_target(folder)
    repository.git("gc", "-q", "--aggressive", "--prune=now")
    return repository


def build_several_packs(folder: Path) -> GitRepository:
    repository = start(folder)
    for number in range(4):
        repository.commit({f"services/c/{number}.py": f"{number}" * 900})
        repository.git("repack", "-q", "-d")
    repository.git("multi-pack-index", "write")
    repository.git("commit-graph", "write", "--reachable")
    repository.git("pack-refs", "--all")
    return repository


def build_octopus(folder: Path) -> GitRepository:
    repository = start(folder)
    for name in "xyz":
        repository.checkout(name, start="main")
        repository.commit({f"octopus/{name}": name})
    repository.checkout("feature")
    repository.commit({"own": "1"})
    repository.merge("x", "y", "z")
    repository.checkout("main")
    repository.merge("y")
    repository.checkout("feature")
    return repository


def build_criss_cross(folder: Path) -> GitRepository:
    repository = start(folder)
    first = repository.commit({"services/a/1.py": "feature"})
    repository.checkout("main")
    second = repository.commit({"services/b/1.py": "main"})
    repository.merge(first)
    repository.checkout("feature")
    repository.merge(second)
    repository.commit({"services/c/1.py": "x"})
    repository.checkout("main")
    repository.commit({"services/c/2.py": "y"})
    repository.checkout("feature")
    return repository


def build_wrong_times(folder: Path) -> GitRepository:
    repository = start(folder)
    repository.commit({"services/a/1.py": "old"}, time=1)
    middle = repository.commit({"services/a/2.py": "future"}, time=4_000_000_000)
    repository.checkout("main")
    repository.commit({"services/b/1.py": "x"}, time=2)
    repository.merge(middle)
    repository.commit({"services/b/2.py": "x"}, time=3)
    repository.checkout("feature")
    repository.commit({"services/c/1.py": "x"}, time=5)
    return repository


def build_detached(folder: Path) -> GitRepository:
    repository = build_diverged(folder)
    repository.git("checkout", "-q", "--detach")
    repository.git("branch", "-q", "-D", "feature")
    return repository


def build_remote_branch(folder: Path) -> GitRepository:
    clone = build_diverged(folder).clone(folder / "clone")
    clone.git("branch", "-q", "-D", "main") if clone.git("branch", "--list", "main") else None
    return clone


def build_worktree(folder: Path) -> GitRepository:
    repository = build_diverged(folder)
    repository.checkout("main")
    repository.git("worktree", "add", "-q", str(folder / "worktree"), "feature")
    return GitRepository(folder / "worktree")


def build_alternates(folder: Path) -> GitRepository:
    repository = build_diverged(folder)
    repository.git("clone", "-q", "--shared", str(repository.folder), str(folder / "clone"))
    clone = GitRepository(folder / "clone")
    clone.commit({"services/c/3.py": "only in the clone"})
    return clone


def build_partial(folder: Path) -> GitRepository:
    repository = build_diverged(folder)
    repository.git("config", "uploadpack.allowFilter", "true")
    return repository.clone(folder / "clone", "--filter=blob:none", "--no-checkout")


def build_deep_enough(folder: Path) -> GitRepository:
    return build_diverged(folder).clone(folder / "clone", "--depth=3", "--no-single-branch")


def build_empty_tree(folder: Path) -> GitRepository:
    repository = start(folder)
    repository.git("rm", "-r", "-q", ".")
    repository.commit()
    return repository


def build_sha256(folder: Path) -> GitRepository:
    repository = start(folder, "--object-format=sha256")
    repository.commit({"services/a/1.py": "new"})
    repository.git("gc", "-q")
    repository.commit({"services/a/2.py": "loose"})
    return repository


def build_random(seed: int) -> Callable[[Path], GitRepository]:
    def build(folder: Path) -> GitRepository:
        choose = random.Random(seed)
        repository = start(folder)
        branches = ["main", "feature", "other"]
        repository.git("branch", "other")
        for number in range(25):
            repository.checkout(choose.choice(branches))
            if choose.random() < 0.4:
                repository.git("merge", "-q", "-X", "ours", "--no-edit", choose.choice(branches))
            else:
                name = f"{choose.choice('abc')}/{choose.choice('xyz')}/{choose.randrange(3)}"
                repository.commit({name: str(number)}, time=1_600_000_000 + choose.randrange(50))
        repository.checkout("feature")
        repository.commit({"last": "x"})
        return repository

    return build


BUILDERS = [
    build_linear,
    build_diverged,
    build_merged_target,
    build_reverted,
    build_renames,
    build_modes_and_types,
    build_names,
    build_lfs,
    build_submodule,
    build_removed_submodule,
    build_packed,
    build_several_packs,
    build_octopus,
    build_criss_cross,
    build_wrong_times,
    build_detached,
    build_remote_branch,
    build_worktree,
    build_alternates,
    build_partial,
    build_deep_enough,
    build_empty_tree,
    build_sha256,
    *(pytest.param(build_random(seed), id=f"random {seed}") for seed in (*range(8), 107, 138)),
]


@pytest.mark.parametrize("build", BUILDERS)
def test_changed_files_equal_those_of_git(build: Callable[[Path], GitRepository], tmp_path: Path) -> None:
    """The merge bases and the changed files are those of the git program."""
    repository = build(tmp_path)
    target = "main" if repository.git("branch", "--list", "main") else "origin/main"
    with Clone(str(repository.folder)) as clone:
        bases = {base.decode() for base in clone.find_bases(MAIN, FEATURE)}
        changes = clone.find_changes(MAIN, FEATURE)
    assert bases == repository.merge_bases("HEAD", target)
    assert changes.paths == set().union(*map(repository.changed_files, bases))
    assert changes.paths


@pytest.mark.parametrize("depth", range(1, 7))
def test_shallow_clone_never_finds_fewer_files(depth: int, tmp_path: Path) -> None:
    """A shallow clone finds the files of the complete clone, or reports a doubt."""
    repository = build_merged_target(tmp_path)
    expected = frozenset().union(*map(repository.changed_files, repository.merge_bases("HEAD", "main")))
    shallow = repository.clone(tmp_path / "shallow", f"--depth={depth}", "--no-single-branch")
    found = None
    with suppress(CloneError), Clone(str(shallow.folder)) as clone:
        found = clone.find_changes(MAIN, FEATURE).paths
    assert found in ({expected} if depth == 6 else {expected, None})
