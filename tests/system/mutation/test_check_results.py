"""The check of surviving mutants per module."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.system.mutation.check_results import (
    ACCEPTED_FILE,
    ModuleResult,
    build_module_result,
    find_errors,
    format_table,
)

ROOT = Path(__file__).parents[3]


def make_module_result(total: int, survivors: int, name: str = "escaping") -> ModuleResult:
    return ModuleResult(name, total, tuple(f"mutant-{number}" for number in range(survivors)))


@pytest.mark.parametrize("status", ["survived", "no tests", "suspicious", "segfault"])
def test_unkilled_mutants_survive(status: str) -> None:
    """A mutant with one of these statuses counts as a survivor."""
    statuses = {
        "autonoma_ci.manifest.loader.x_f__mutmut_1": status,
        "autonoma_ci.manifest.keys.x_f__mutmut_1": "killed",
    }
    result = build_module_result("manifest", statuses)
    assert (result.total, result.survivors) == (2, ("autonoma_ci.manifest.loader.x_f__mutmut_1",))


def test_hanging_mutants_are_killed() -> None:
    """A mutant whose tests time out is no survivor."""
    assert build_module_result("clock", {"autonoma_ci.clock.x_f__mutmut_1": "timeout"}).survivors == ()


def test_longer_module_names_do_not_count() -> None:
    """A module whose name only begins with the name is another module."""
    assert build_module_result("manifest", {"autonoma_ci.manifests.x_f__mutmut_1": "killed"}).total == 0


@pytest.mark.parametrize(
    ("survivors", "error"),
    [(3, None), (4, "4 mutants survived, 3 are accepted"), (2, "lower the accepted number from 3")],
)
def test_survivors_equal_accepted_number(survivors: int, error: str | None) -> None:
    """More survivors are an error, and fewer must lower the accepted number."""
    errors = find_errors([make_module_result(1000, survivors)], {"escaping": 3})
    assert (errors == []) if error is None else (error in errors[0])


def test_module_without_mutants_is_error() -> None:
    """A module without mutants was not checked."""
    assert find_errors([make_module_result(0, 0)], {"escaping": 0}) == ["escaping has no mutants"]


@pytest.mark.parametrize(("killed_count", "is_accepted"), [(95, True), (94, False)])
def test_five_percent_may_survive(killed_count: int, is_accepted: bool) -> None:
    """More survivors than 5 % are an error, even if as many are accepted."""
    survivors = 100 - killed_count
    assert (find_errors([make_module_result(100, survivors)], {"escaping": survivors}) == []) is is_accepted


def test_table_has_module_rows_and_total() -> None:
    """The table has mutants, survivors and percentage of each module and of all."""
    assert [
        line.split() for line in format_table([make_module_result(10, 1), make_module_result(10, 0, "clock")])[1:]
    ] == [
        ["escaping", "10", "1", "90.0", "%"],
        ["clock", "10", "0", "100.0", "%"],
        ["all", "20", "1", "95.0", "%"],
    ]


def test_mutated_modules_have_limit() -> None:
    """Each module that mutmut changes has an accepted number of survivors."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    paths = {path.removeprefix("autonoma_ci/").removesuffix("/*.py").removesuffix(".py") for path in
             project["tool"]["mutmut"]["only_mutate"]}  # fmt: skip
    accepted = tomllib.loads(ACCEPTED_FILE.read_text("utf-8"))["accepted"]
    assert {path.replace("/", ".") for path in paths} == set(accepted)
