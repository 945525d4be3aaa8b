"""Log lines of runs, grouped failures and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.reports.log import MAX_ANNOTATIONS, collect_warnings, format_heartbeat, format_run, group_failures
from autonoma_ci.reports.summary import count_states, format_headline
from tests.support.github_parser import find_commands, find_foreign_commands, split_lines
from tests.support.hostile import RUN_RESULTS, TEXTS
from tests.support.reports import (
    create_report,
    make_failed_run,
    make_flaky_run,
    make_indeterminate_run,
    make_passed_run,
    make_planned_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (make_started_run("a"), "started: test a: https://autonoma.app/run/run-a"),
        (make_started_run("a", "Sign in"), "started: Sign in (test a): https://autonoma.app/run/run-a"),
        (make_started_run("a")._replace(url=""), "started: test a: run-a"),
        (make_rejected_run("a"), "not started: test a: HTTP 404: Not found"),
        (make_indeterminate_run("a"), "may have started: test a: no answer came in time"),
        (make_planned_run("a"), "waiting: test a"),
        (make_passed_run("a", "Sign in"), "passed: Sign in (test a) in 42 s: https://autonoma.app/run/run-a"),
        (
            make_failed_run("a"),
            (
                "failed: Checkout pays by card (test a) in 1 min 5 s: step 4 (Check the result): Expected a "
                "confirmation, but the page shows an error: https://autonoma.app/run/run-a"
            ),
        ),
        (
            make_flaky_run("a", "Sign in"),
            "passed, flaky: Sign in (test a) (attempt 2) in 42 s: https://autonoma.app/run/run-a",
        ),
        (make_timed_out_run("a"), "still running: test a: still running after 30 min: https://autonoma.app/run/run-a"),
        (
            make_passed_run("a")._replace(reused=True),
            "passed in an earlier attempt: test a: https://autonoma.app/run/run-a",
        ),
    ],
)
def test_run_is_one_line(outcome: RunResult, line: str) -> None:
    """The line of a run has its link or its reason."""
    assert format_run(outcome) == line


def is_never_masked(_: str) -> bool:
    return False


def test_same_failures_are_grouped() -> None:
    """Equal failures are one issue, and the worst issue comes first."""
    issues = group_failures(
        [
            make_indeterminate_run("a"),
            *[make_rejected_run(f"t{i}") for i in range(5)],
            make_started_run("s"),
            make_indeterminate_run("b"),
            make_rejected_run("x", "HTTP 500"),
        ]
    )
    assert [problem.message for problem in issues] == [
        "not started: t0, t1, t2 and 2 more: HTTP 404: Not found. Check the id.",
        "not started: x: HTTP 500. Check the id.",
        "may have started: a, b: no answer came in time. Look.",
    ]


def test_issues_fit_annotation_limit() -> None:
    """GitHub shows a limited number of annotations, so the rest is counted."""
    issues = group_failures([make_rejected_run(f"t{i}", f"HTTP {400 + i}") for i in range(30)])
    assert len(issues) == MAX_ANNOTATIONS + 1 == 10
    assert issues[-1].message.startswith("and 21 more")


def test_failure_has_step_and_link() -> None:
    """A failed run is one issue and comes first."""
    issues = group_failures(
        [
            make_timed_out_run("t"),
            make_rejected_run("r"),
            make_failed_run("f"),
            make_passed_run("p"),
            make_indeterminate_run("l"),
        ],
        "https://autonoma.app",
    )
    assert [problem.message for problem in issues] == [
        (
            "failed: Checkout pays by card: step 4 (Check the result): Expected a confirmation, but the page shows an "
            "error. Look here: https://autonoma.app/run/run-f"
        ),
        "not started: r: HTTP 404: Not found. Check the id.",
        "may have started: l: no answer came in time. Look. Look here: https://autonoma.app",
        "still running: t: still running after 30 min. Look here: https://autonoma.app/run/run-t",
    ]


def test_each_failed_run_is_issue() -> None:
    """Two runs that failed at the same step are two issues with links."""
    issues = group_failures([make_failed_run("a"), make_failed_run("b")])
    assert [problem.message.rpartition("/")[2] for problem in issues] == ["run-a", "run-b"]


def test_heartbeat_counts_states() -> None:
    """The line has the elapsed time and the number of runs in each state."""
    runs = [
        make_started_run("a"),
        make_started_run("b"),
        make_passed_run("c"),
        make_failed_run("d"),
        make_planned_run("e"),
        make_rejected_run("f"),
        make_indeterminate_run("g"),
    ]
    assert (
        format_heartbeat(runs, 150.0)
        == "2 min 30 s: 2 running, 1 waiting, 1 passed, 1 failed, 1 not started, 1 unknown."
    )
    assert format_heartbeat([], 1.0) == "1.0 s: nothing is left to wait for."


def test_flaky_runs_give_one_warning() -> None:
    """One warning names five flaky runs and counts the others."""
    assert collect_warnings([make_passed_run("a"), make_failed_run("b")], is_never_masked) == []
    (problem,) = collect_warnings([make_flaky_run(f"t{n}", f"Test {n}") for n in range(7)], is_never_masked)
    names = "Test 0, Test 1, Test 2, Test 3, Test 4 and 2 more"
    assert problem.message == f"7 runs passed only after a failure (flaky): {names}."


def test_started_runs_give_no_issue() -> None:
    """Started and planned runs are no failures."""
    assert group_failures([make_started_run("a"), make_planned_run("b")]) == []


@pytest.mark.slow
@given(st.lists(RUN_RESULTS, max_size=3), TEXTS)
def test_issue_is_one_annotation(outcomes: list[RunResult], title: str) -> None:
    """An issue is one command on GitHub and no command on other systems."""
    for problem in group_failures(outcomes):
        log = GITHUB.log_formatter.annotation("error", problem, title)
        assert [command.name for command in find_commands(log)] == ["error"]
        assert len(split_lines(log)) == 1
        plain_line = PLAIN_LOG_FORMATTER.annotation("error", problem, title)
        assert find_commands(plain_line) == []
        assert find_foreign_commands(plain_line) == []
        assert len(split_lines(plain_line)) == 1


@pytest.mark.slow
@given(RUN_RESULTS)
def test_run_line_cannot_be_forged(outcome: RunResult) -> None:
    """Text of a run cannot add a line or a command."""
    line = escape_log_line(format_run(outcome))
    assert find_commands(line) == []
    assert find_foreign_commands(line) == []
    assert len(split_lines(line)) == 1


def test_run_without_link_is_reported_by_id() -> None:
    """The warning shows the run id, with which a user can find the run."""
    (problem,) = collect_warnings([make_passed_run("a")._replace(url=""), make_passed_run("b")], is_never_masked)
    assert problem.message.startswith("1 run without a link")
    assert problem.message.endswith("the ids are whole: a is run-a.")


def test_reused_run_warning_is_correct() -> None:
    """A reused run has the link of its last status, which can be empty."""
    (problem,) = collect_warnings([make_passed_run("a")._replace(url="", reused=True)], is_never_masked)
    assert "as the API gave none that is an https URL without a credential's value" in problem.message


def test_headline_counts_started_runs() -> None:
    """A reused run was not started by this job step."""
    runs = [make_started_run("a"), make_passed_run("b")._replace(reused=True), make_planned_run("c")]
    assert count_states(runs) == {"total": 3, "started": 1, "passed": 1, "failed": 0, "not-started": 0, "unknown": 0}
    assert (
        format_headline(create_report(runs, None)) == "1 of 3 runs started, 1 passed in an earlier attempt, 1 waiting."
    )
    assert format_headline(create_report(runs, None)._replace(waits_for_results=True)) == (
        "1 of 3 runs passed (1 in an earlier attempt), 1 still running, 1 waiting."
    )


def test_masked_link_is_reported() -> None:
    """A link that the CI system would mask has a warning."""
    (problem,) = collect_warnings([make_passed_run("a"), make_passed_run("b")], lambda url: "run-b" in url)
    assert problem.message.startswith("1 run whose link has a credential's value in it")
    assert problem.message.endswith(": b.")
