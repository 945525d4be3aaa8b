"""The check of surviving mutants per module."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.system.mutation.check_results import (
    ACCEPTED_FILE,
    ModuleResult,
    build_module_results,
    find_errors,
    format_table,
)

ROOT = Path(__file__).parents[3]


def make_module_result(total: int, survivors: int, name: str = "escaping") -> ModuleResult:
    return ModuleResult(name, total, tuple(f"mutant-{number}" for number in range(survivors)))


@pytest.mark.parametrize("status", ["survived", "no tests", "suspicious", "segfault"])
def test_unkilled_mutants_survive(status: str) -> None:
    """Each status but killed and timeout counts as survived."""
    statuses = {
        "autonoma_ci.manifest.loader.x_f__mutmut_1": status,
        "autonoma_ci.manifest.loader.x_f__mutmut_2": "killed",
    }
    survivor = "autonoma_ci.manifest.loader.x_f__mutmut_1"
    assert build_module_results(statuses) == [ModuleResult("manifest.loader", 2, (survivor,))]


def test_hanging_mutants_are_killed() -> None:
    """A mutant that made the tests hang is killed."""
    assert build_module_results({"autonoma_ci.clock.x_f__mutmut_1": "timeout"}) == [ModuleResult("clock", 1, ())]


def test_mutants_are_counted_by_module() -> None:
    """Modules of one package and modules with similar names are counted separately."""
    names = ["manifest.keys.x_f__mutmut_1", "manifest.loader.xǁLoaderǁload__mutmut_1", "manifests.x_f__mutmut_1"]
    modules = build_module_results({f"autonoma_ci.{name}": "killed" for name in names})
    assert [(module.name, module.total) for module in modules] == [
        ("manifest.keys", 1), ("manifest.loader", 1), ("manifests", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("survivors", "error"),
    [(3, None), (4, "4 mutants survived, 3 are accepted"), (2, "lower the accepted number from 3")],
)
def test_survivors_equal_accepted_number(survivors: int, error: str | None) -> None:
    """More survivors are an error, and fewer must lower the accepted number."""
    errors = find_errors([make_module_result(1000, survivors)], {"escaping": 3})
    assert (errors == []) if error is None else (error in errors[0])


def test_unlisted_module_has_no_survivors() -> None:
    """A survivor of a module without an accepted number is an error."""
    assert find_errors([make_module_result(1000, 0)], {}) == []
    assert "1 mutants survived, 0 are accepted" in find_errors([make_module_result(1000, 1)], {})[0]


def test_module_without_mutants_is_error() -> None:
    """A listed module without mutants is an error, and so is a run without mutants."""
    modules = [make_module_result(1000, 0, "clock")]
    assert find_errors(modules, {"escaping": 0}) == ["escaping has no mutants"]
    assert find_errors([], {}) == ["there are no mutants"]


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


def test_mutation_settings_name_modules() -> None:
    """Each pattern of mutated files finds files, and each accepted number belongs to one of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    paths_by_pattern = {pattern: [*ROOT.glob(pattern)] for pattern in project["tool"]["mutmut"]["only_mutate"]}
    assert all(paths_by_pattern.values())
    modules = {
        ".".join(path.relative_to(ROOT / "autonoma_ci").with_suffix("").parts)
        for paths in paths_by_pattern.values()
        for path in paths
    }
    assert set(tomllib.loads(ACCEPTED_FILE.read_text("utf-8"))["accepted"]) <= modules
