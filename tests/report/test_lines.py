"""What the log says of runs: a line for each, and each kind of failure once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.github_commands import COMMANDS
from autonoma_ci.ci.plain import PLAIN
from autonoma_ci.report.console import ISSUES_LIMIT, issues, run_line
from autonoma_ci.text import log_line
from tests.report.reports import lost, planned, refused, started
from tests.support.hostile import OUTCOMES, TEXTS
from tests.support.runner import commands, elsewhere, lines

if TYPE_CHECKING:
    from autonoma_ci.model import Outcome


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (started("a"), "started: test a: https://autonoma.app/run/run-a"),
        (started("a", "Sign in"), "started: Sign in (test a): https://autonoma.app/run/run-a"),
        (started("a")._replace(url=""), "started: test a: run-a"),
        (refused("a"), "not started: test a: HTTP 404: Not found"),
        (lost("a"), "may have started: test a: no answer came in time"),
        (planned("a"), "waiting: test a"),
    ],
)
def test_a_run_is_one_line_with_its_link_or_its_reason(outcome: Outcome, line: str) -> None:
    assert run_line(outcome) == line


def test_what_failed_in_the_same_way_is_said_once_and_worst_first() -> None:
    found = issues(
        [lost("a"), *[refused(f"t{i}") for i in range(5)], started("s"), lost("b"), refused("x", "HTTP 500")]
    )
    assert [problem.text for problem in found] == [
        "not started: t0, t1, t2 and 2 more: HTTP 404: Not found. Check the id.",
        "not started: x: HTTP 500. Check the id.",
        "may have started: a, b: no answer came in time. Look.",
    ]


def test_no_more_kinds_of_failure_are_told_than_a_runner_keeps() -> None:
    found = issues([refused(f"t{i}", f"HTTP {400 + i}") for i in range(30)])
    assert len(found) == ISSUES_LIMIT + 1 == 10
    assert found[-1].text.startswith("and 21 more")


def test_nothing_is_an_issue_when_all_runs_have_started() -> None:
    assert issues([started("a"), planned("b")]) == []


@given(st.lists(OUTCOMES, max_size=3), TEXTS)
def test_no_issue_is_more_than_one_command_on_github_or_any_command_elsewhere(
    outcomes: list[Outcome], title: str
) -> None:
    for problem in issues(outcomes):
        log = COMMANDS.issue("error", problem, title)
        assert [command.name for command in commands(log)] == ["error"]
        assert len(lines(log)) == 1
        plain = PLAIN.issue("error", problem, title)
        assert commands(plain) == []
        assert elsewhere(plain) == []
        assert len(lines(plain)) == 1


@given(OUTCOMES)
def test_no_run_forges_a_line(outcome: Outcome) -> None:
    line = log_line(run_line(outcome))
    assert commands(line) == []
    assert elsewhere(line) == []
    assert len(lines(line)) == 1
