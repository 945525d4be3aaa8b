"""Compare the commit under test with its base in a clone of git.

Only dulwich and files are used. No program, hook or filter is executed. Each doubt is a CloneError, so that the caller
can run everything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from autonoma_ci.git.errors import COMPLETE_HISTORY, MERGE_WITH_PARENTS, CloneError, NoBaseError, report_damage
from autonoma_ci.git.history import find_merge_bases
from autonoma_ci.git.layout import RefReader, find_clone
from autonoma_ci.git.objects import BLOB, Commit, ObjectReader
from autonoma_ci.git.tree_comparison import TreeComparison, compare_trees
from autonoma_ci.models import ComparedFiles

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from autonoma_ci.models import BuildContext, ChangeBase

_CHECK_OUT_COMMIT = "Check out the commit of the build."


class Clone:
    """A clone of git, which is read only.

    Args:
        directory: A directory in its working tree.

    Raises:
        CloneError: There is no clone, or it is damaged.

    """

    def __init__(self, directory: str) -> None:
        with report_damage():
            layout = find_clone(directory)
            self.root: Path = layout.root
            self._refs = RefReader(layout)
            head = self._refs.resolve("HEAD")
            if not head:
                raise CloneError("the clone has no commit", "Check out the repository before this step.")
            self._head: bytes = head
            self._reader = ObjectReader(layout.shared_directory / "objects", len(head))

    def __enter__(self) -> Self:
        """Open the objects.

        Raises:
            CloneError: The clone is damaged.

        """
        with report_damage():
            self._reader.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the objects."""
        self._reader.__exit__()

    def find_changes(self, base: ChangeBase, context: BuildContext) -> ComparedFiles:
        """Return what the commit under test changed against its base.

        Args:
            base: The base, as the CI system states it.
            context: The build.

        Raises:
            CloneError: The base or the changed files are unknown.
            NoBaseError: The commit under test is a part of its target branch.

        """
        bases = self.find_bases(base, context)
        with report_damage():
            comparisons = [self._compare(commit) for commit in bases]
        return ComparedFiles(
            frozenset().union(*(comparison.paths for comparison in comparisons)),
            bases[0].decode(),
            frozenset().union(*(comparison.submodules for comparison in comparisons)),
        )

    def find_bases(self, base: ChangeBase, context: BuildContext) -> list[bytes]:
        """Return the commits to compare with, mostly one.

        Criss-cross merges have several ones. The files that changed against any of them count.

        Args:
            base: The base, as the CI system states it.
            context: The build.

        Raises:
            CloneError: The base is unknown.
            NoBaseError: The commit under test is a part of its target branch.

        """
        with report_damage():
            commit = self._read_commit_under_test(context)
            target = self._find_target(base, context, commit)
            bases = find_merge_bases(self._head, target, self._reader.read_commit, self._refs.read_shallow_commits())
            if bases == [self._head]:
                # A comparison would find nothing, although this commit may never have been tested.
                raise NoBaseError("the commit is a part of its target branch")
            if base.is_exact and bases != [target]:
                raise CloneError("the commit of the build does not contain its base", _CHECK_OUT_COMMIT)
            return bases

    def _compare(self, base: bytes) -> TreeComparison:
        """Return the files that differ between a commit and the one under test.

        Raises:
            CloneError: The clone lacks a part of the commits, or there are too many files.

        """
        first, second = map(self._reader.read_commit, (base, self._head))
        return compare_trees(self._reader, first.tree, second.tree)

    def read_file(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        """Return the content of a regular file in a commit, or None.

        Args:
            commit: The hash of the commit.
            path: The path from the top of the clone, with slashes.
            max_bytes: The size limit.

        """
        with suppress(CloneError), report_damage():
            tree = self._reader.read_commit(commit.encode()).tree
            *parents, name = path.encode("utf-8", "surrogateescape").split(b"/")
            for parent in parents:
                item = self._reader.read_tree(tree)[parent]
                tree = item.hash
            item = self._reader.read_tree(tree)[name]
            return self._reader.read(item.hash, BLOB, max_bytes) if item.is_regular_file else None
        return None

    def _read_commit_under_test(self, context: BuildContext) -> Commit:
        """Return the commit that is checked out.

        Raises:
            CloneError: It is not the commit of the build.

        """
        commit = self._reader.read_commit(self._head)
        # Systems check out the head of a change or its merge with the target branch.
        if context.sha and context.sha.encode() not in (self._head, *commit.parents[:2]):
            raise CloneError("another commit than that of the build is checked out", _CHECK_OUT_COMMIT)
        return commit

    def _find_target(self, base: ChangeBase, context: BuildContext, commit: Commit) -> bytes:
        """Return a commit of the branch to compare with.

        Raises:
            CloneError: The branch is unknown, or the clone lacks it.
            NoBaseError: The build is of the default branch.

        """
        if not base.is_exact and (parent := self._find_target_parent(context, commit)):
            if not self._reader.has(parent):
                raise CloneError("the clone lacks the parents of the merge commit", needed_depth=MERGE_WITH_PARENTS)
            return parent
        if base.sha:
            # A clone of a fork has the branch of the fork in its place, and that can have the change too.
            if not self._reader.has(base.sha.encode()):
                raise CloneError("the clone lacks the base", needed_depth=COMPLETE_HISTORY)
            return base.sha.encode()
        branch = base.branch or self._find_default_branch(context)
        target = self._refs.find_branch(branch)
        if not (target and self._reader.has(target)):
            raise CloneError("the clone lacks the branch to compare with", needed_depth=COMPLETE_HISTORY)
        return target

    def _find_target_parent(self, context: BuildContext, commit: Commit) -> bytes | None:
        """Return the target's commit in the CI system's merge commit.

        The merge commit alone is no proof. Its author can be the author of the change, who could choose a first parent
        with all changes. So the clone must have it as the server's merge of this change. GitHub, Gitea and Azure
        Pipelines have this ref, and no push can write it.
        """
        ref = f"refs/remotes/pull/{context.change_number}/merge"
        is_merge = len(commit.parents) == 2 and context.sha.encode() == commit.parents[1]
        if context.change_number and is_merge and self._refs.resolve(ref) == self._head:
            return commit.parents[0]
        return None

    def _find_default_branch(self, context: BuildContext) -> str:
        """Return the default branch of the remote.

        Raises:
            CloneError: The default branch or that of the build is unknown.
            NoBaseError: The build is of the default branch.

        """
        default = self._refs.read_default_branch()
        if not default:
            raise CloneError("the default branch is unknown", "Run git remote set-head origin --auto in the clone.")
        # At a terminal, only the clone knows the branch.
        branch = context.branch or (self._refs.read_head_branch() if context.ci_name == "cli" else "")
        if not branch:
            raise CloneError("the branch of the build is unknown", "Set the option branch.")
        if branch == default:
            raise NoBaseError("the build is of the default branch")
        return default
