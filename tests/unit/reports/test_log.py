"""Log lines of runs, grouped failures and warnings."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.escaping import escape_log_line, sanitize_line
from autonoma_ci.models import RunState
from autonoma_ci.reports.log import (
    MAX_ANNOTATIONS,
    collect_warnings,
    format_heartbeat,
    format_run,
    format_summary_lines,
    group_failures,
)
from autonoma_ci.reports.summary import count_states, format_headline
from tests.support.github_parser import find_commands, find_foreign_commands, split_lines
from tests.support.hostile import RUN_RESULTS, TEXTS
from tests.support.reports import (
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_indeterminate_run,
    make_passed_run,
    make_planned_run,
    make_quarantined_run,
    make_rejected_run,
    make_started_run,
    make_timed_out_run,
    quarantine_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult

OUTPUTS_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "outputs.md"
TIMING_RE = re.compile(r"|\((?:[0-9.]+ [a-z]+)?(?: [0-9]+ [a-z]+)?(?:, )?(?:attempt [0-9]+)?\)")


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (make_started_run("a"), "STARTED  a  https://autonoma.app/run/run-a"),
        (make_started_run("a", "Sign in"), "STARTED  Sign in  — test a  https://autonoma.app/run/run-a"),
        (make_started_run("a")._replace(url=""), "STARTED  a  run run-a"),
        (make_rejected_run("a"), "NOT-STARTED  a  — HTTP 404: Not found"),
        (make_rejected_run("a")._replace(title="Sign in"), "NOT-STARTED  Sign in  — test a: HTTP 404: Not found"),
        (make_indeterminate_run("a"), "UNKNOWN  a  — no answer came in time"),
        (make_planned_run("a"), "PLANNED  a  — test"),
        (make_planned_run("a")._replace(title="Sign in"), "PLANNED  Sign in  — test a"),
        (make_planned_run("a")._replace(title=" Sign \n  in "), "PLANNED  Sign in  — test a"),
        (make_planned_run("a")._replace(title=" \u200b "), "PLANNED  a  — test a"),
        (make_planned_run("a")._replace(state=RunState.STARTING), "STARTING  a"),
        (make_passed_run("a", "Sign in"), "PASSED  Sign in  (42 s)  https://autonoma.app/run/run-a"),
        (
            make_failed_run("a"),
            (
                "FAILED  Checkout pays by card  (1 min 5 s)  — test step 4, Check the result: Expected a "
                "confirmation, but the page shows an error  https://autonoma.app/run/run-a"
            ),
        ),
        (
            make_flaky_run("a", "Sign in"),
            "PASSED  Sign in  (42 s, attempt 2)  — flaky  https://autonoma.app/run/run-a",
        ),
        (
            make_quarantined_run("a", "Sign in"),
            (
                "FAILED  Sign in  (1 min 5 s)  — quarantined until 2026-12-31: Login mail is late: test step 4, "
                "Check the result: Expected a confirmation, but the page shows an error  https://autonoma.app/run/run-a"
            ),
        ),
        (
            quarantine_run(make_timed_out_run("a")),
            (
                "TIMED-OUT  a  — quarantined until 2026-12-31: Login mail is late: still running after 30 min  "
                "https://autonoma.app/run/run-a"
            ),
        ),
        (
            quarantine_run(make_passed_run("a", "Sign in")),
            "PASSED  Sign in  (42 s)  — in quarantine  https://autonoma.app/run/run-a",
        ),
        (
            quarantine_run(make_flaky_run("a", "Sign in")),
            "PASSED  Sign in  (42 s, attempt 2)  — flaky, in quarantine  https://autonoma.app/run/run-a",
        ),
        (quarantine_run(make_rejected_run("a")), "NOT-STARTED  a  — HTTP 404: Not found"),
        (
            make_timed_out_run("a"),
            "TIMED-OUT  a  — still running after 30 min  https://autonoma.app/run/run-a",
        ),
        (
            make_passed_run("a")._replace(reused=True),
            "PASSED  a  — passed in an earlier attempt  https://autonoma.app/run/run-a",
        ),
    ],
)
def test_run_is_one_line(outcome: RunResult, line: str) -> None:
    """The line of a run has its link or its reason."""
    assert format_run(outcome) == line


def test_documented_lines_are_current() -> None:
    """The documentation shows lines as the log has them."""
    started = make_started_run("cm1", "Checkout")._replace(url="https://autonoma.app/run/cm1")
    rejected = make_rejected_run("cm2")._replace(title="Sign in")
    failed = started._replace(state=RunState.FAILED, duration_seconds=65.0, message="retrying, attempt 2")
    passed = make_flaky_run("cm1", "Checkout")._replace(url="https://autonoma.app/run/cm3")
    quarantined = make_quarantined_run("cm4", "Sign up")._replace(
        url="https://autonoma.app/run/cm4", duration_seconds=55.0, step=None
    )
    lines = [
        format_run(started),
        format_run(rejected),
        format_run(failed),
        format_heartbeat([started, rejected], 90.0),
        format_run(passed),
        format_run(quarantined),
    ]
    assert "\n```text\n" + "\n".join(lines) + "\n```\n" in OUTPUTS_PAGE.read_text("utf-8")


LINKED_RUNS = st.builds(
    lambda run, url: run._replace(url=url, request=run.request._replace(id="t1")),
    RUN_RESULTS,
    st.sampled_from(["", "https://autonoma.app/run/r"]),
)


def parse_run_line(line: str) -> tuple[str, str, str, str, str]:
    """Return status, name, timing, reason and link of the line of a run."""
    status, name, *parts = line.split("  ")
    timing = parts.pop(0) if parts and parts[0].startswith("(") else ""
    reason = parts.pop(0) if parts and parts[0].startswith("— ") else ""
    (link,) = parts or [""]
    return status, name, timing, reason.removeprefix("— "), link


@given(LINKED_RUNS)
def test_run_line_splits_into_parts(run: RunResult) -> None:
    """A program can split the line of any run at two spaces."""
    status, name, timing, reason, link = parse_run_line(escape_log_line(format_run(run)))
    assert status == run.state.upper()
    words = [word for word in sanitize_line(run.display_name, 300).split(" ") if word]
    assert name.replace("\u200b", "").split(" ") == (words or ["t1"])
    assert TIMING_RE.fullmatch(timing)
    assert ("attempt" in timing) == bool(run.previous_attempts)
    is_shown_as_passed = run.state is RunState.PASSED and not run.reused
    assert reason.startswith("flaky") == (run.is_flaky and is_shown_as_passed) or run.message or run.step
    assert reason.endswith("in quarantine") == bool(run.request.quarantine) or not is_shown_as_passed
    assert reason.startswith("quarantined until ") == run.is_quarantined_failure or run.message or run.reused
    assert link.startswith("run") if not run.url and link else link == run.url


@given(LINKED_RUNS)
def test_run_line_is_equal_on_all_systems(run: RunResult) -> None:
    """The log of each CI system and a terminal has the same line."""
    lines = set()
    for formatter in [PLAIN_LOG_FORMATTER, *(load_system(row).log_formatter for row in DETECTION_RULES)]:
        stream = io.StringIO()
        JobLog(stream, formatter).progress(format_run(run))
        lines.add(stream.getvalue())
    assert lines == {escape_log_line(format_run(run)) + "\n"}


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
        "Not started: t0, t1, t2 and 2 more: HTTP 404: Not found. Check the id.",
        "Not started: x: HTTP 500. Check the id.",
        "May have started: a, b: no answer came in time. Look.",
    ]


def test_issues_fit_annotation_limit() -> None:
    """GitHub shows a limited number of annotations, so the rest is counted."""
    issues = group_failures([make_rejected_run(f"t{i}", f"HTTP {400 + i}") for i in range(30)])
    assert len(issues) == MAX_ANNOTATIONS + 1 == 10
    assert issues[-1].message.startswith("21 more kinds of failure")


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
            "Failed: Checkout pays by card: test step 4, Check the result: Expected a confirmation, but the page "
            "shows an error. See https://autonoma.app/run/run-f"
        ),
        "Not started: r: HTTP 404: Not found. Check the id.",
        "May have started: l: no answer came in time. Look. See https://autonoma.app",
        "Timed out: t: still running after 30 min. See https://autonoma.app/run/run-t",
    ]


def test_each_failed_run_is_issue() -> None:
    """Two runs that failed at the same step are two issues with links."""
    issues = group_failures([make_failed_run("a"), make_failed_run("b")])
    assert [problem.message.rpartition("/")[2] for problem in issues] == ["run-a", "run-b"]


def add_command(run: RunResult, command: str) -> RunResult:
    return run._replace(request=run.request._replace(rerun_command=command))


def test_failure_ends_with_its_command() -> None:
    """The diagnostic of a failure ends with the command that runs it again."""
    command = "autonoma-ci run --test-ids cm1"
    [issue] = group_failures([add_command(make_failed_run("a"), command)])
    assert issue.message.endswith(f"See https://autonoma.app/run/run-a Run again: {command}")


def test_same_command_is_shown_once() -> None:
    """The runs of a matrix have one command, and other named runs have their own."""
    runs = [add_command(make_rejected_run(f"t{i}"), f"autonoma-ci run --test-ids cm{i // 2}") for i in range(8)]
    [issue] = group_failures(runs)
    assert issue.message.endswith(
        "Check the id. Run again: autonoma-ci run --test-ids cm0; autonoma-ci run --test-ids cm1"
    )


def test_long_failure_has_no_cut_command() -> None:
    """A command at the end of a long text would be cut, so it is left out."""
    run = add_command(make_rejected_run("a", "x" * 3400), "autonoma-ci run --test-ids cm1")
    [issue] = group_failures([run])
    assert "Run again" in issue.message
    [issue] = group_failures([run._replace(message="x" * 3600)])
    assert "Run again" not in issue.message


def test_failure_in_quarantine_is_warning() -> None:
    """A failure in quarantine is no error, and one warning names all of them."""
    runs = [make_quarantined_run("a", "A"), quarantine_run(make_timed_out_run("b")), make_passed_run("c")]
    assert group_failures(runs) == []
    [problem] = collect_warnings(runs, is_never_masked)
    assert problem.message == "2 runs failed in quarantine, not counted: A, b."


def test_start_failure_in_quarantine_is_error() -> None:
    """A run that could not be started counts also in quarantine."""
    runs = [quarantine_run(make_rejected_run("a")), quarantine_run(make_indeterminate_run("b"))]
    assert [issue.message.partition(":")[0] for issue in group_failures(runs)] == ["Not started", "May have started"]


def test_flaky_run_can_be_error() -> None:
    """With on-flaky: fail, each flaky run outside of quarantine is an error."""
    flaky_run = add_command(make_flaky_run("a", "A"), "autonoma-ci run --test-ids a")
    runs = [flaky_run, make_flaky_run("b", "B"), quarantine_run(make_flaky_run("c", "C"))]
    cause = "a pass after a failure counts as failed here"
    assert [issue.message for issue in group_failures(runs, fails_on_flaky=True)] == [
        f"Passed, flaky: A: {cause}. See https://autonoma.app/run/run-a Run again: autonoma-ci run --test-ids a",
        f"Passed, flaky: B: {cause}. See https://autonoma.app/run/run-b",
    ]
    [problem] = collect_warnings(runs, is_never_masked, fails_on_flaky=True)
    assert problem.message == "1 run passed only after a failure (flaky): C."


def test_log_ends_with_quarantine() -> None:
    """The last lines have reason, owner, issue and command of each failure in quarantine."""
    run = add_command(make_quarantined_run("a", "Sign  in"), "autonoma-ci run --test-ids a")
    run = run._replace(request=run.request._replace(owner="@web"))
    run_report = create_report([run, quarantine_run(make_passed_run("b"))], PASSED_VERDICT)
    run_report = run_report._replace(waits_for_results=True, quarantined_by_change=("Sign in",))
    assert list(format_summary_lines(run_report)) == [
        "Failed in quarantine, not counted: 1 run",
        (
            "  Sign in  owner @web  — quarantined until 2026-12-31: Login mail is late  issue https://issues.example/7"
            "  Run again: autonoma-ci run --test-ids a"
        ),
        "Quarantined by this change: Sign in.",
        "1 of 2 runs passed, 1 failed in quarantine.",
    ]


def test_skipped_step_states_its_reason_once() -> None:
    """The log has the notes and the reason already, as annotations."""
    skipped = create_report([], DRY_RUN_VERDICT)
    notes = ("3 of 3 entries left out: 3 unchanged.",)
    assert list(format_summary_lines(skipped._replace(plan_notes=notes))) == [
        "Nothing was selected, so nothing was started."
    ]
    assert list(format_summary_lines(skipped._replace(skip_reason="Skipped: no credentials."))) == []


def test_many_runs_in_quarantine_are_counted() -> None:
    """The end of the log lists 20 failures in quarantine, and counts the others."""
    run_report = create_report([make_quarantined_run(f"t{i}") for i in range(23)], PASSED_VERDICT)
    lines = list(format_summary_lines(run_report))
    assert (len(lines), lines[21]) == (23, "  and 3 more")


def test_log_names_variables_of_options() -> None:
    """The commands leave out variables of options, so the log names them."""
    run = add_command(make_failed_run("a"), "autonoma-ci run --test-ids a")
    run_report = create_report([run], FAILED_VERDICT)._replace(option_variables=("LOCALE",))
    assert next(format_summary_lines(run_report)) == (
        "The commands leave out variables of this step. Add --var for LOCALE."
    )


@given(st.lists(RUN_RESULTS, max_size=3), st.lists(TEXTS, max_size=2))
def test_last_lines_are_no_commands(outcomes: list[RunResult], names: list[str]) -> None:
    """No text from outside adds a line or a command to the end of the log."""
    run_report = create_report(outcomes, PASSED_VERDICT)._replace(quarantined_by_change=tuple(names))
    lines = list(format_summary_lines(run_report))
    for formatter in [PLAIN_LOG_FORMATTER, *(load_system(row).log_formatter for row in DETECTION_RULES)]:
        stream = io.StringIO()
        log = JobLog(stream, formatter)
        for line in lines:
            log.info(line)
        assert len(split_lines(stream.getvalue())) == len(lines) + 1
        assert find_commands(stream.getvalue()) == []
        assert find_foreign_commands(stream.getvalue()) == []


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([make_quarantined_run("a")], "0 of 1 run passed, 1 failed in quarantine."),
        (
            [quarantine_run(make_timed_out_run("a")), quarantine_run(make_passed_run("b"))],
            "1 of 2 runs passed, 1 timed out in quarantine.",
        ),
        ([make_passed_run("a")._replace(reused=True)], "1 of 1 run passed (1 in an earlier attempt)."),
    ],
)
def test_headline_without_counted_runs(runs: list[RunResult], sentence: str) -> None:
    """A skipped step with runs that ended is no dry run."""
    run_report = create_report(runs, DRY_RUN_VERDICT)._replace(waits_for_results=True)
    assert format_headline(run_report) == f"Nothing that counts was run: {sentence}"


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
        make_quarantined_run("h"),
    ]
    assert format_heartbeat(runs, 150.0) == (
        "STARTED  2 of 8 runs  (2 min 30 s)  — 1 planned, 1 passed, 1 failed, 1 not-started, 1 unknown, 1 quarantined"
    )
    assert format_heartbeat([make_started_run("a")], 1.0) == "STARTED  1 of 1 run  (1.0 s)"


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
    assert problem.message.startswith("1 run without URL: a (run run-a). ")
    assert problem.message.endswith("Use the run ids.")


def test_reused_run_warning_is_correct() -> None:
    """A reused run has the link of its last status, which can be empty."""
    (problem,) = collect_warnings([make_passed_run("a")._replace(url="", reused=True)], is_never_masked)
    assert "The API returned no https URL without credentials." in problem.message


def test_headline_counts_started_runs() -> None:
    """A reused run was not started by this job step."""
    runs = [make_started_run("a"), make_passed_run("b")._replace(reused=True), make_planned_run("c")]
    assert {name: count for name, count in count_states(runs).items() if count} == {
        "total": 3,
        "started": 1,
        "passed": 1,
    }
    assert (
        format_headline(create_report(runs, None)) == "1 of 3 runs started, 1 passed in an earlier attempt, 1 planned."
    )
    assert format_headline(create_report(runs, None)._replace(waits_for_results=True)) == (
        "1 of 3 runs passed (1 in an earlier attempt), 1 still running, 1 planned."
    )


def test_masked_link_is_reported() -> None:
    """A link that the CI system would mask has a warning."""
    (problem,) = collect_warnings([make_passed_run("a"), make_passed_run("b")], lambda url: "run-b" in url)
    assert problem.message.startswith("1 run with a credential in the URL: b. ")
    assert problem.message.endswith("Output run-ids is complete.")
