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

PARALLEL_VARIABLES = {case.expected.ci_name: case.parallel for case in environments.JOB_CASES if case.parallel}
SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
for_each_system = pytest.mark.parametrize("name", PARALLEL_VARIABLES)
INVALID_NUMBERS = ("", " ", "0x1", "-1", "1.5", "two", "\u0663", "9" * 5000, "1\n2", "None", "\ud800")


def detect_shard(name: str, environ: dict[str, str]) -> Shard | None:
    """Return the shard that a CI system detects."""
    return SYSTEMS[name].detect_shard(environ)


def test_shard_systems_match_docs() -> None:
    """The systems that detect parallel jobs are those in the table."""
    detecting_systems = {
        name for name, system in SYSTEMS.items() if type(system).detect_shard is not CISystem.detect_shard
    }
    assert detecting_systems == {*PARALLEL_VARIABLES, "teamcity"}


@pytest.mark.parametrize("name", sorted(SYSTEMS.keys() - {*PARALLEL_VARIABLES, "teamcity"}))
def test_system_without_numbers_has_no_shard(name: str) -> None:
    """A system without parallel jobs ignores the variables of other systems."""
    variables = {text: "1" for index, _, total in PARALLEL_VARIABLES.values() for text in (index, total)}
    assert SYSTEMS[name].detect_shard(variables) is None


@for_each_system
def test_shard_numbers_start_at_one(name: str) -> None:
    """The first job has number 1 in every system."""
    index, first, total = PARALLEL_VARIABLES[name]
    assert detect_shard(name, {index: str(first), total: "3"}) == Shard(1, 3)
    assert detect_shard(name, {index: str(first + 2), total: "3"}) == Shard(3, 3)


@for_each_system
def test_shard_of_single_job_is_whole(name: str) -> None:
    """A job without parallel copies has the whole plan."""
    index, first, total = PARALLEL_VARIABLES[name]
    for environ in ({}, {index: str(first)}, {total: "1"}, {index: str(first), total: "1"}):
        assert detect_shard(name, environ) == SINGLE_SHARD


@for_each_system
def test_shard_with_invalid_index_is_none(name: str) -> None:
    """An invalid index must not select the whole plan, because each copy would start all of it."""
    index, first, total = PARALLEL_VARIABLES[name]
    for text in (*INVALID_NUMBERS, str(first + 3), str(first - 1)):
        assert detect_shard(name, {index: text, total: "3"}) is None
    for text in ("0", "0x1", "-1", "two", "9" * 500):
        assert detect_shard(name, {index: "1", total: text}) is None


@given(st.text(max_size=8), st.text(max_size=8), st.sampled_from([0, 1]))
def test_shard_from_any_text_is_valid_or_none(index: str, total: str, first: int) -> None:
    """Any two texts give a valid shard or none."""
    shard = shard_from_index(index, total, first)
    assert not shard or 1 <= shard.number <= shard.total
