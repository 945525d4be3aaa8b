"""Index of a job among parallel jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.env import SINGLE_SHARD, shard_from_index
from autonoma_ci.config.parsers import Shard
from tests.support import ci_environments as environments

DOCUMENTED = {case.expected.ci_name: case.parallel for case in environments.ROWS if case.parallel}
SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
each = pytest.mark.parametrize("name", DOCUMENTED)
GARBAGE = ("", " ", "0x1", "-1", "1.5", "two", "\u0663", "9" * 5000, "1\n2", "None", "\ud800")


def place_of(name: str, environ: dict[str, str]) -> Shard | None:
    """Return what a system that tells says of this job."""
    return SYSTEMS[name].detect_shard(environ)


def test_shard_systems_match_docs() -> None:
    """The systems that detect parallel jobs are those in the table."""
    overriding = {name for name, system in SYSTEMS.items() if type(system).detect_shard is not CISystem.detect_shard}
    assert overriding == {*DOCUMENTED, "teamcity"}


@pytest.mark.parametrize("name", sorted(SYSTEMS.keys() - {*DOCUMENTED, "teamcity"}))
def test_a_system_without_numbers_has_no_place(name: str) -> None:
    variables = {text: "1" for index, _, total in DOCUMENTED.values() for text in (index, total)}
    assert SYSTEMS[name].detect_shard(variables) is None


@each
def test_shard_numbers_start_at_one(name: str) -> None:
    """The first job has number 1 in every system."""
    index, first, total = DOCUMENTED[name]
    assert place_of(name, {index: str(first), total: "3"}) == Shard(1, 3)
    assert place_of(name, {index: str(first + 2), total: "3"}) == Shard(3, 3)


@each
def test_shard_of_single_job_is_whole(name: str) -> None:
    """A job without parallel copies has the whole plan."""
    index, first, total = DOCUMENTED[name]
    for environ in ({}, {index: str(first)}, {total: "1"}, {index: str(first), total: "1"}):
        assert place_of(name, environ) == SINGLE_SHARD


@each
def test_shard_with_invalid_index_is_none(name: str) -> None:
    """An invalid index must not select the whole plan, because each copy would start all of it."""
    index, first, total = DOCUMENTED[name]
    for text in (*GARBAGE, str(first + 3), str(first - 1)):
        assert place_of(name, {index: text, total: "3"}) is None
    for text in ("0", "0x1", "-1", "two", "9" * 500):
        assert place_of(name, {index: "1", total: text}) is None


@given(st.text(max_size=8), st.text(max_size=8), st.sampled_from([0, 1]))
def test_shard_from_any_text_is_valid_or_none(index: str, total: str, first: int) -> None:
    """Any two texts give a valid shard or none."""
    found = shard_from_index(index, total, first)
    assert not found or 1 <= found.number <= found.total
