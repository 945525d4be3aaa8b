"""Find the merge bases of two commits.

`find_merge_base` of dulwich skips the commits that a shallow clone lacks, so it can return an older base. Here, a
missing part of the history is a doubt.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from autonoma_ci.git.errors import COMPLETE_HISTORY, CloneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.git.objects import Commit

# Marks of a commit: it belongs to the history of the first commit, of the second one, or of a common commit.
_OF_FIRST, _OF_SECOND, _BELOW_COMMON = 1, 2, 4
_COMMON = _OF_FIRST | _OF_SECOND
# How many commits are read after all common ancestors were found. Reading them takes at most 0.2 s.
_MAX_FURTHER_COMMITS = 5000


def find_merge_bases(
    first: bytes, second: bytes, read_commit: Callable[[bytes], Commit], shallow_commits: frozenset[bytes]
) -> list[bytes]:
    """Return the best common ancestors of two commits.

    Criss-cross merges can have several ones. Wrong times of commits never remove a result. In a long history, they can
    add an ancestor of another result.

    Args:
        first: A commit.
        second: Another commit.
        read_commit: Returns a commit by its hash, or raises CloneError.
        shallow_commits: The commits whose parents are unknown.

    Raises:
        CloneError: The clone lacks a part of the history that can contain a base.

    """
    walk = _HistoryWalk(read_commit, shallow_commits)
    walk.mark(first, _OF_FIRST)
    walk.mark(second, _OF_SECOND)
    return walk.find_bases({first, second})


class _HistoryWalk:
    """Marks the histories of two commits, newest commits first."""

    def __init__(self, read_commit: Callable[[bytes], Commit], shallow_commits: frozenset[bytes]) -> None:
        self._read_commit = read_commit
        self._shallow_commits = shallow_commits
        self._commits: dict[bytes, Commit] = {}
        self._marks: dict[bytes, int] = {}
        # The negative time and the hash of each commit whose parents lack its marks.
        self._queue: list[tuple[int, bytes]] = []
        # The queued commits that are not below a common commit.
        self._open: set[bytes] = set()

    def mark(self, name: bytes, marks: int) -> None:
        """Add marks to a commit, and queue it if it lacked one."""
        old_marks = self._marks.get(name, 0)
        if old_marks | marks == old_marks:
            return
        if name not in self._commits:
            self._commits[name] = self._read_commit(name)
        self._marks[name] = old_marks | marks
        heapq.heappush(self._queue, (-self._commits[name].time, name))
        if (old_marks | marks) & _BELOW_COMMON:
            self._open.discard(name)
        else:
            self._open.add(name)

    def find_bases(self, starts: set[bytes]) -> list[bytes]:
        """Return the common commits that are below no other one.

        Raises:
            CloneError: An unknown part of the history can contain one.

        """
        common: list[bytes] = []
        unknown_parents: set[bytes] = set()
        while self._open:
            _, name = heapq.heappop(self._queue)
            self._open.discard(name)
            marks = self._marks[name]
            if marks == _COMMON:
                if name in starts:
                    # One commit is in the history of the other, so every other common commit is below it.
                    return [name]
                common.append(name)
                marks |= _BELOW_COMMON
            elif name in self._shallow_commits:
                unknown_parents.add(name)
            self._mark_parents(name, marks)
        # The parents of a common commit are common too, so they do not matter.
        if any(self._marks[name] & _COMMON != _COMMON for name in unknown_parents):
            raise CloneError("the clone is too shallow to find the base", needed_depth=COMPLETE_HISTORY)
        return self._remove_ancestors(list(dict.fromkeys(common)))

    def _mark_parents(self, name: bytes, marks: int) -> None:
        if name not in self._shallow_commits:
            for parent in self._commits[name].parents:
                self.mark(parent, marks)

    def _remove_ancestors(self, common: list[bytes]) -> list[bytes]:
        """Return the common commits that are not in the history of another.

        Raises:
            CloneError: There are none.

        """
        if len(common) > 1:
            # The rest of the history matters only if times of commits are equal or wrong.
            for _ in range(_MAX_FURTHER_COMMITS):
                if not self._queue:
                    break
                _, name = heapq.heappop(self._queue)
                self._mark_parents(name, self._marks[name])
        bases = [name for name in common if not self._marks[name] & _BELOW_COMMON]
        if not bases:
            raise CloneError("the commit and its base have no common history", "Check the target branch.")
        return bases
