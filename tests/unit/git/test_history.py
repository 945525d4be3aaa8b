"""Merge bases, compared with the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.git import history
from autonoma_ci.git.errors import CloneError
from autonoma_ci.git.history import find_merge_bases
from autonoma_ci.git.objects import Commit

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

NO_COMMITS: frozenset[bytes] = frozenset()
Parents = list[set[int]]


@st.composite
def histories(draw: st.DrawFn) -> Parents:
    """Return the parents of each commit, which are earlier commits."""
    size = draw(st.integers(2, 14))
    return [draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set() for number in range(size)]


def name_of(number: int) -> bytes:
    return b"%040d" % number


def find_bases(parents: Parents, times: list[int], shallow: AbstractSet[int] = frozenset()) -> set[int]:
    """Return the merge bases of the last two commits.

    The clone has only the commits that are not behind a shallow one.
    """
    known_parents = [set() if number in shallow else of_commit for number, of_commit in enumerate(parents)]
    present = ancestors(known_parents, len(parents) - 1) | ancestors(known_parents, len(parents) - 2)
    commits = {
        name_of(number): Commit(b"", tuple(map(name_of, sorted(parents[number]))), times[number]) for number in present
    }
    names = find_merge_bases(
        name_of(len(parents) - 1), name_of(len(parents) - 2), commits.__getitem__, frozenset(map(name_of, shallow))
    )
    assert len(names) == len(set(names))
    return set(map(int, names))


def ancestors(parents: Parents, number: int) -> set[int]:
    """Return a commit and all commits in its history."""
    return {number}.union(*(ancestors(parents, parent) for parent in parents[number]))


def common_ancestors(parents: Parents) -> tuple[set[int], set[int]]:
    """Return the common ancestors of the last two commits, and the best."""
    common = ancestors(parents, len(parents) - 1) & ancestors(parents, len(parents) - 2)
    below = set().union(*(ancestors(parents, number) - {number} for number in common))
    return common, common - below


@given(histories())
def test_merge_bases_fulfil_definition(parents: Parents) -> None:
    """The merge bases are the common ancestors in no history of another."""
    _, best = common_ancestors(parents)
    if best:
        assert find_bases(parents, list(range(len(parents)))) == best
    else:
        with pytest.raises(CloneError, match="no common history"):
            find_bases(parents, list(range(len(parents))))


@given(histories(), st.lists(st.integers(-5, 5), min_size=14))
def test_wrong_times_change_no_base(parents: Parents, times: list[int]) -> None:
    """The author of a change can choose the times of its commits."""
    _, best = common_ancestors(parents)
    if best:
        assert find_bases(parents, times) == best


@given(histories(), st.lists(st.integers(-5, 5), min_size=14))
def test_wrong_times_in_long_history_lose_no_base(parents: Parents, times: list[int]) -> None:
    """With a limit on further commits, wrong times can add a common ancestor."""
    common, best = common_ancestors(parents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_MAX_FURTHER_COMMITS", 1)
        if best:
            assert best <= find_bases(parents, times) <= common


@given(histories())
def test_correct_times_need_no_further_commits(parents: Parents) -> None:
    """After all common ancestors were found, the rest of the history changes nothing."""
    _, best = common_ancestors(parents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_MAX_FURTHER_COMMITS", 0)
        if best:
            assert find_bases(parents, list(range(len(parents)))) == best


@given(histories(), st.data())
def test_shallow_history_never_loses_bases(parents: Parents, data: st.DataObject) -> None:
    """Without the parents of some commits, no base is lost, or the bases are unknown."""
    numbers = st.sampled_from(range(len(parents)))
    shallow = {number for number in data.draw(st.sets(numbers)) if parents[number]}
    common, best = common_ancestors(parents)
    try:
        found = find_bases(parents, list(range(len(parents))), shallow)
    except CloneError:
        assert shallow or not best
    else:
        assert best <= found <= common


def test_shallow_commit_can_be_base() -> None:
    """Its missing parents do not matter, even if wrong times hide at first that it is common."""
    for times in ([0, 10, 20, 30], [0, 10, 20, 5]):
        assert find_bases([set(), {0}, {1}, {1}], times, {1}) == {1}


def test_merge_commit_needs_only_its_parents() -> None:
    """A depth of two commits is enough for a merge with its first parent."""
    first, second, merge = map(name_of, (1, 2, 3))
    old = Commit(b"", (name_of(0),), 1)
    commits = {merge: Commit(b"", (first, second), 3), first: old, second: old}
    assert find_merge_bases(merge, first, commits.__getitem__, frozenset((first, second))) == [first]


def test_only_needed_commits_are_read() -> None:
    """The history below the base is not read."""
    read = []

    def read_commit(name: bytes) -> Commit:
        read.append(name)
        number = int(name)
        return Commit(b"", (name_of(number - 1),), number)

    # The commit 1000 is the base of 1001 and of itself.
    assert find_merge_bases(name_of(1001), name_of(1000), read_commit, NO_COMMITS) == [name_of(1000)]
    assert len(read) < 10


def test_long_history_needs_no_recursion() -> None:
    """A history of many commits without a base ends with a doubt."""
    commits = {name_of(n): Commit(b"", (name_of(n - 2),) if n > 1 else (), n) for n in range(20_000)}
    with pytest.raises(CloneError, match="no common history"):
        find_merge_bases(name_of(19_999), name_of(19_998), commits.__getitem__, NO_COMMITS)
