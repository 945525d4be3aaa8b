"""In each system's own grammar: what we say is one order each, and no text from outside is an order."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.azure_commands import COMMANDS as AZURE
from autonoma_ci.ci.buildkite_agent import GROUPS
from autonoma_ci.ci.console import Console
from autonoma_ci.ci.gitlab_log import SECTIONS
from autonoma_ci.ci.plain import PLAIN
from autonoma_ci.ci.teamcity_messages import MESSAGES
from autonoma_ci.ci.travis_folds import FOLDS
from autonoma_ci.errors import Problem
from autonoma_ci.secret import Secret
from autonoma_ci.text import log_line
from tests.support import grammars, runner
from tests.support.grammars import Order
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.system import Dialect


class Case(NamedTuple):
    """One system: how it is spoken to, how it reads a log, and the orders of a group and of an issue."""

    name: str
    dialect: Dialect
    read: Callable[[str], list[Order]]
    group: tuple[str, ...]
    issue: tuple[str, ...]


CASES = (
    Case("azure", AZURE, grammars.azure, ("group", "endgroup"), ("task.logissue",)),
    Case("teamcity", MESSAGES, grammars.teamcity, ("blockOpened", "blockClosed"), ("message",)),
    Case("gitlab", SECTIONS, grammars.gitlab, ("section_start", "section_end"), ()),
    Case("buildkite", GROUPS, grammars.buildkite, ("+++",), ()),
    Case("travis", FOLDS, grammars.travis, ("fold:start", "fold:end"), ()),
    Case("plain", PLAIN, lambda _: [], (), ()),
)
every_system = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
LEVELS = st.sampled_from(["error", "warning"])
PLACES = st.builds(Problem, TEXTS, TEXTS, st.integers(0, 9), st.integers(0, 9))


def names(orders: list[Order]) -> tuple[str, ...]:
    return tuple(order.name for order in orders)


def others(case: Case, log: str) -> list[str]:
    """Return which of the other systems would find an order in this log."""
    found = [other.name for other in CASES if other is not case and other.read(log)]
    # Both of Microsoft's systems know `##[group]`, and a job is never in both.
    return found + (["github"] if case.name != "azure" and runner.commands(log) else [])


@every_system
@given(title=TEXTS, text=TEXTS)
def test_a_group_is_what_it_says_and_its_text_is_no_order(case: Case, title: str, text: str) -> None:
    out = io.StringIO()
    console = Console(out, case.dialect)
    with console.group(title):
        console.line(text)
    assert names(case.read(out.getvalue())) == case.group
    assert not others(case, out.getvalue())


@every_system
@given(level=LEVELS, problem=PLACES, title=TEXTS)
def test_an_issue_is_one_order_and_no_more(case: Case, level: str, problem: Problem, title: str) -> None:
    out = io.StringIO()
    Console(out, case.dialect).issue(level, problem, title)
    assert names(case.read(out.getvalue())) == case.issue
    assert out.getvalue().count("\n") == 1
    assert not others(case, out.getvalue())


@every_system
def test_the_two_ends_of_a_group_belong_together_and_to_no_other(case: Case) -> None:
    out = io.StringIO()
    console = Console(out, case.dialect)
    for _ in range(2):
        with console.group("Starting 2 runs"):
            console.line("one")
    orders = case.read(out.getvalue())
    keys = [order.values.get("key") for order in orders if "key" in order.values]
    assert keys[0::2] == keys[1::2]
    assert len(set(keys)) == len(keys) // 2
    assert "Starting 2 runs" in out.getvalue()


@given(TEXTS)
def test_azure_reads_the_text_that_was_meant(text: str) -> None:
    [order] = grammars.azure(AZURE.issue("error", Problem(text)))
    assert order.data == "\n".join(log_line(line) for line in text.splitlines())[:4000]


@given(TEXTS)
def test_teamcity_reads_the_text_that_was_meant(text: str) -> None:
    [order] = grammars.teamcity(MESSAGES.issue("error", Problem(text)))
    assert order.values == {"text": log_line(str(Problem(text))), "status": "ERROR"}


def test_an_issue_with_a_place_points_there_on_azure() -> None:
    line = AZURE.issue("warning", Problem("unknown key", "a;b].yml", 3, 5), "Autonoma")
    assert grammars.azure(line) == [
        Order(
            "task.logissue",
            {"type": "warning", "sourcepath": "a;b].yml", "linenumber": "3", "columnnumber": "5"},
            "Autonoma: unknown key",
        )
    ]


def test_a_notice_is_no_issue_of_a_build_on_azure() -> None:
    assert AZURE.issue("notice", Problem("all is well")) == "Notice: all is well"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6))
def test_azure_hides_the_very_value(value: str) -> None:
    out = io.StringIO()
    Console(out, AZURE).mask([Secret(value)])
    assert grammars.azure(out.getvalue()) == [Order("task.setsecret", data=value)]


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "azure"], ids=lambda case: case.name)
def test_where_there_is_no_mask_a_secret_is_not_printed_to_hide_it(case: Case) -> None:
    out = io.StringIO()
    Console(out, case.dialect).mask([Secret("a-secret-value")])
    assert out.getvalue() == ""
