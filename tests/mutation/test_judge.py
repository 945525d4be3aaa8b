"""What is said of a run of mutmut: a mutant that lives needs an entry, and an entry needs a mutant that lives."""

from __future__ import annotations

from tests.mutation.judge import Change, change_of, function_of, judge

NAME = "autonoma_ci.text.x_cut__mutmut_"
DIFF = """\
# autonoma_ci.text.x_cut__mutmut_1: survived
--- autonoma_ci/text.py
+++ autonoma_ci/text.py
@@ -1,2 +1,2 @@
 def cut(text: str, limit: int) -> str:
-    return text[:limit]
+    return text[: limit + 1]
"""
CHANGE = Change("autonoma_ci.text.cut", "return text[:limit]", "return text[: limit + 1]")


def run(killed: int, lived: int, *listed: Change, status: str = "survived") -> tuple[list[str], list[str]]:
    statuses = {f"{NAME}{n}": "killed" for n in range(killed)} | {f"{NAME}{killed + n}": status for n in range(lived)}
    return judge(statuses, lambda mutant: DIFF, listed)


def test_a_mutant_has_the_name_of_its_function() -> None:
    assert function_of(f"{NAME}1") == "autonoma_ci.text.cut"
    assert function_of("autonoma_ci.engine.fire.xǁFireǁ_end__mutmut_12") == "autonoma_ci.engine.fire.Fire._end"


def test_a_change_is_told_by_its_lines() -> None:
    assert change_of(f"{NAME}1", DIFF) == CHANGE


def test_a_run_whose_survivors_are_all_listed_is_good() -> None:
    table, wrong = run(9, 1, CHANGE)
    assert wrong == []
    assert [line.split() for line in table[1:]] == [
        ["autonoma_ci.text", "10", "9", "1", "90.0", "%"],
        ["all", "10", "9", "1", "90.0", "%"],
    ]


def test_a_survivor_that_is_not_listed_is_told() -> None:
    _, (line,) = run(99, 1)
    assert "x_cut__mutmut_99 (survived) lives and is not listed" in line


def test_a_mutant_that_no_test_reaches_lives() -> None:
    _, (line,) = run(99, 1, status="no tests")
    assert "(no tests) lives and is not listed" in line


def test_a_mutant_that_hangs_is_killed() -> None:
    assert run(0, 1, status="timeout")[1] == []


def test_an_entry_without_a_survivor_is_told() -> None:
    _, (line,) = run(1, 0, CHANGE)
    assert "is listed with a change that is killed or gone" in line


def test_a_module_below_ninety_percent_is_told_however_well_it_is_listed() -> None:
    _, wrong = run(8, 1, CHANGE)
    assert [line.partition(":")[0] for line in wrong] == ["autonoma_ci.text", "all"]


def test_a_run_without_mutants_is_none() -> None:
    assert judge({}, str, [])[1]
