"""What is said of a run of mutmut: a mutant that lives needs an entry, and an entry needs a mutant that lives."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.mutation.judge import REQUIRED, Change, change_of, function_of, judge

NAME = "autonoma_ci.escaping.x_cut__mutmut_"
DIFF = """\
# autonoma_ci.text.x_cut__mutmut_1: survived
--- autonoma_ci/escaping.py
+++ autonoma_ci/escaping.py
@@ -1,2 +1,2 @@
 def cut(text: str, limit: int) -> str:
-    return text[:limit]
+    return text[: limit + 1]
"""
CHANGE = Change("autonoma_ci.escaping.cut", "return text[:limit]", "return text[: limit + 1]")


# One that is killed in each of the other modules.
OTHERS = {f"autonoma_ci.{name}.x_f__mutmut_1": "killed" for name in REQUIRED if name != "text"}


def run(killed: int, lived: int, *listed: Change, status: str = "survived") -> tuple[list[str], list[str]]:
    statuses = (
        OTHERS | {f"{NAME}{n}": "killed" for n in range(killed)} | {f"{NAME}{killed + n}": status for n in range(lived)}
    )
    return judge(statuses, lambda mutant: DIFF, listed)


def test_a_mutant_has_the_name_of_its_function() -> None:
    assert function_of(f"{NAME}1") == "autonoma_ci.escaping.cut"
    assert function_of("autonoma_ci.engine.starter.xǁFireǁ_end__mutmut_12") == "autonoma_ci.engine.starter.Fire._end"


def test_a_change_is_told_by_its_lines() -> None:
    assert change_of(f"{NAME}1", DIFF) == CHANGE


def test_a_run_whose_survivors_are_all_listed_is_good() -> None:
    table, wrong = run(9, 1, CHANGE)
    assert wrong == []
    rows = {row[0]: row[1:] for row in (line.split() for line in table)}
    assert rows["module"] == ["mutants", "killed", "timeout", "survived", "share"]
    assert rows["autonoma_ci.escaping"] == ["10", "9", "0", "1", "90.0", "%"]
    assert rows["autonoma_ci.redaction.redactor"] == ["1", "1", "0", "0", "100.0", "%"]
    assert rows["all"] == ["15", "14", "0", "1", "93.3", "%"]


def test_a_survivor_that_is_not_listed_is_told() -> None:
    _, (line,) = run(99, 1)
    assert "x_cut__mutmut_99 (survived) lives and is not listed" in line


def test_a_mutant_that_no_test_reaches_lives() -> None:
    _, (line,) = run(99, 1, status="no tests")
    assert "(no tests) lives and is not listed" in line


def test_a_mutant_that_hangs_is_killed_and_counted_on_its_own() -> None:
    table, wrong = run(3, 2, status="timeout")
    assert wrong == []
    assert [line.split()[1:5] for line in table if line.startswith("autonoma_ci.escaping")] == [["5", "5", "2", "0"]]


def test_an_entry_without_a_survivor_is_told() -> None:
    _, (line,) = run(1, 0, CHANGE)
    assert "is listed with a change that is killed or gone" in line


def test_a_module_below_ninety_percent_is_told_however_well_it_is_listed() -> None:
    _, wrong = run(8, 1, CHANGE)
    assert [line.partition(":")[0] for line in wrong] == ["autonoma_ci.escaping"]
    _, wrong = run(8, 8, CHANGE)
    assert [line.partition(":")[0] for line in wrong] == ["autonoma_ci.escaping", "all"]


def test_a_run_without_mutants_is_none() -> None:
    assert judge({}, str, [])[1]


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_module_that_is_no_longer_changed_is_told(missing: str) -> None:
    """Whoever takes it off the list of mutmut lowers nothing but what is promised."""
    statuses = OTHERS | {f"{NAME}1": "killed"}
    left = {name: status for name, status in statuses.items() if not name.startswith(f"autonoma_ci.{missing}.")}
    assert judge(statuses, str, [])[1] == []
    assert judge(left, str, [])[1] == [f"autonoma_ci.{missing} has no mutants"]


def test_a_module_of_a_package_counts_for_it_and_a_longer_name_does_not() -> None:
    statuses = OTHERS | {f"{NAME}1": "killed"}
    del statuses["autonoma_ci.manifest.x_f__mutmut_1"]
    assert judge(statuses | {"autonoma_ci.manifest.loader.x_f__mutmut_1": "killed"}, str, [])[1] == []
    assert judge(statuses | {"autonoma_ci.manifests.x_f__mutmut_1": "killed"}, str, [])[1] != []


def test_mutmut_is_told_to_change_what_is_required() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    paths = {f"autonoma_ci/{name.replace('.', '/')}" for name in REQUIRED}
    assert {path.removesuffix(".py").removesuffix("/*") for path in project["tool"]["mutmut"]["only_mutate"]} == paths
