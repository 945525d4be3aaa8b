"""The base that each CI system reads from its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import NoBaseReason
from autonoma_ci.ci.detection import DETECTION_RULES, DetectionRule, detect, load_system
from autonoma_ci.ci.env import first_branch, first_commit
from autonoma_ci.models import ChangeBase
from tests.support.base_cases import BASE_CASES, HOSTILE, BaseCase
from tests.support.ci_environments import HEAD, JOB_CASES, JobCase, write_job_files
from tests.support.github_environments import GITHUB_JOB_CASES

if TYPE_CHECKING:
    from pathlib import Path

# All variables of the documented environments.
VARIABLE_NAMES = sorted({name for case in BASE_CASES for name in case.environ} - {"AUTONOMA_CI"})
HOSTILE_VALUES = (HOSTILE, "", " ", "true", "push", "7", "refs/tags/", "a..b", "\ud800", "a\0b", "x" * 100_000, "%2F")


@pytest.mark.parametrize("case", BASE_CASES, ids=lambda case: case.ci_name)
def test_base_matches_table(case: BaseCase, tmp_path: Path) -> None:
    """The base equals that of the table."""
    environ = write_job_files(tmp_path, case.environ, case.files)
    rule = detect(environ)
    system = load_system(rule)
    assert rule.name == case.ci_name
    assert system.change_base(environ, system.build_context(environ)) == case.expected


def test_table_covers_every_system() -> None:
    """Each system that reads facts has rows with and without a base."""
    systems = {rule.name: load_system(rule) for rule in DETECTION_RULES}
    readers = {name for name, system in systems.items() if type(system).read_base_facts is not CISystem.read_base_facts}
    covered_cases = {(case.ci_name, case.expected.no_base_reason is None) for case in BASE_CASES}
    assert {(name, has_base) for name in readers for has_base in (True, False)} <= covered_cases
    assert readers == systems.keys() - {"ci", "cli"}


@pytest.mark.parametrize("case", [*JOB_CASES, *GITHUB_JOB_CASES], ids=lambda case: case.id)
def test_documented_job_has_valid_base(case: JobCase, tmp_path: Path) -> None:
    """A change request is compared with its target or nothing, and never with its own branch."""
    environ = case.write_files(tmp_path)
    base = load_system(detect(environ)).change_base(environ, case.expected)
    _assert_valid(base)
    if case.expected.change_number and base.no_base_reason is None:
        assert base.branch in {"main", "develop"}


@pytest.mark.parametrize("case", BASE_CASES, ids=lambda case: case.ci_name)
def test_stated_change_has_no_base(case: BaseCase, tmp_path: Path) -> None:
    """The target branch of a change that an option states is unknown."""
    environ = write_job_files(tmp_path, case.environ, case.files)
    system = load_system(detect(environ))
    base = system.change_base(environ, system.build_context(environ)._replace(change_number="4321"))
    assert base.no_base_reason or base.is_exact


@pytest.mark.parametrize(
    "case",
    [case for case in BASE_CASES if case.expected.no_base_reason == NoBaseReason.DEFAULT_BRANCH],
    ids=lambda case: case.ci_name,
)
def test_stated_branch_of_default_commit_has_no_base(case: BaseCase, tmp_path: Path) -> None:
    """A commit of the default branch stays one under another name."""
    environ = write_job_files(tmp_path, case.environ, case.files)
    system = load_system(detect(environ))
    assert system.change_base(environ, system.build_context(environ)._replace(branch="other")) == case.expected


def test_stated_branch_replaces_unknown_one() -> None:
    """The default branch of the clone is the base of a branch that an option states."""
    system = load_system(detect({"CI": "true"}))
    context = system.build_context({"CI": "true"})._replace(branch="feature/cart", sha=HEAD)
    assert system.change_base({"CI": "true"}, context) == ChangeBase()


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_base_from_any_environment_is_valid(row: DetectionRule, data: st.DataObject) -> None:
    """Each field of the base has its format for any values of the variables."""
    documented_values = sorted({value for case in BASE_CASES for value in case.environ.values()})
    values = st.sampled_from((*HOSTILE_VALUES, *documented_values)) | st.text(st.characters(), max_size=60)
    environ = data.draw(st.dictionaries(st.sampled_from(VARIABLE_NAMES), values, max_size=40))
    system = load_system(row)
    _assert_valid(system.change_base(environ, system.build_context(environ)))


@pytest.mark.parametrize("value", HOSTILE_VALUES)
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_base_from_hostile_values_is_valid(row: DetectionRule, value: str) -> None:
    """The base is valid if every variable has a hostile value."""
    system, environ = load_system(row), dict.fromkeys(VARIABLE_NAMES, value)
    _assert_valid(system.change_base(environ, system.build_context(environ)))


def _assert_valid(base: ChangeBase) -> None:
    assert base.branch == first_branch(base.branch)
    assert base.sha == first_commit(base.sha)
    if base.no_base_reason is not None:
        assert base == ChangeBase(base.no_base_reason)
        assert f"Everything runs: {base.no_base_reason}.".isprintable()
        assert len(base.no_base_reason) <= 100
    assert not base.is_exact or base.sha
