"""The Markdown summary, its order, its size limit and escaping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.escaping import safe_url
from autonoma_ci.models import Conclusion, ExitReason, Verdict
from autonoma_ci.reports.markdown import MAX_SUMMARY_BYTES, render_summary
from tests.support.github_parser import render_plain_text, split_cells
from tests.support.hostile import INPUT_ERROR_REPORTS, REPORTS
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
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
    from autonoma_ci.models import Report


def test_summary_has_heading_and_table() -> None:
    """The summary has the verdict, the counts and one row per run."""
    lines = render_summary(create_report([make_started_run("one"), make_started_run("two", "Sign in")])).splitlines()
    assert render_plain_text(lines[0].removeprefix("### ")) == "Autonoma tests: 🚀 Started"
    assert (
        render_plain_text(lines[2]) == "2 of 2 runs started. (pull request 12, branch feature/a_b, commit 0123456789ab)"
    )
    assert split_cells(lines[4]) == ["Run", "State", "Link"]
    name, state, link = split_cells(lines[6])
    assert (name, state) == ("one", "🚀 started")
    label, _, target = link.removeprefix("[").partition("](")
    assert (render_plain_text(label), target) == ("run-one", "https://autonoma.app/run/run-one)")
    assert split_cells(lines[7])[0] == "Sign in<br>test two"
    assert len(lines) == 8


def test_problems_come_first_in_order() -> None:
    """Runs that need attention come first and stay in plan order."""
    outcomes = [
        make_started_run("a"),
        make_planned_run("b"),
        make_indeterminate_run("c"),
        make_rejected_run("d"),
        make_started_run("e"),
        make_rejected_run("f"),
        make_indeterminate_run("g"),
    ]
    rows = render_summary(create_report(outcomes, API_ERROR_VERDICT)).splitlines()[6:]
    assert [split_cells(row)[0] for row in rows] == ["d", "f", "c", "g", "b", "a", "e"]


def test_refused_run_has_reason_and_hint() -> None:
    """The row of a refused run has the reason and what to do."""
    row = render_summary(
        create_report([make_rejected_run("a", "HTTP 404: no such <test>", "Check | the id.")], API_ERROR_VERDICT)
    ).splitlines()[6]
    _, state, link = split_cells(row)
    parts = state.split("<br>")
    assert [render_plain_text(part) for part in parts] == [
        "❌ not started",
        "HTTP 404: no such <test>",
        "Check | the id.",
    ]
    assert link == ""


@pytest.mark.parametrize(
    ("run_report", "title", "sentence"),
    [
        (create_report([make_started_run("a")], None), "⏳ Starting", "1 of 1 run started."),
        (
            create_report([make_planned_run("a"), make_started_run("b")], None),
            "⏳ Starting",
            "1 of 2 runs started, 1 planned.",
        ),
        (
            create_report([make_planned_run("a")], DRY_RUN_VERDICT),
            "⏭️ Skipped",
            "Dry run: 1 run planned, nothing was sent.",
        ),
        (create_report([], DRY_RUN_VERDICT), "⏭️ Skipped", "Nothing was selected, so nothing was started."),
        (create_report([], INPUT_ERROR_VERDICT, ["a: b"]), "❌ Error", "1 problem with the input. Nothing was sent."),
        (
            create_report(
                [make_started_run("a"), make_rejected_run("b"), make_indeterminate_run("c")], API_ERROR_VERDICT
            ),
            "❌ Error",
            "1 of 3 runs started, 1 not started, 1 may have started.",
        ),
        (
            create_report(
                [make_started_run("a"), make_rejected_run("b", "not sent: the job was cancelled", "")],
                CANCELLED_VERDICT,
            ),
            "🛑 Cancelled",
            "1 of 2 runs started, 1 not started.",
        ),
    ],
)
def test_heading_states_result(run_report: Report, title: str, sentence: str) -> None:
    """The heading has the conclusion, and the first sentence says what happened."""
    lines = render_summary(run_report).splitlines()
    assert render_plain_text(lines[0].removeprefix("### ")) == f"Autonoma tests: {title}"
    assert render_plain_text(lines[2]).startswith(sentence)


def test_input_errors_are_listed() -> None:
    """Each error of the input is an item with its text as it is."""
    lines = render_summary(
        create_report([], INPUT_ERROR_VERDICT, ["autonoma.yml:3:5: unknown key 'tets'", "# <b>api-url</b>"])
    ).splitlines()
    assert lines[3] == ""
    assert [render_plain_text(line.removeprefix("- ")) for line in lines[4:]] == [
        "autonoma.yml:3:5: unknown key 'tets'",
        "# <b>api-url</b>",
    ]


def test_many_runs_fit_size_limit() -> None:
    """Rows beyond the limit are counted in the last row."""
    names = ["🚀" * 600, "&" * 600, "|" * 600]
    outcomes = [make_started_run(f"id{i}", names[i % 3]) for i in range(9_998)]
    text = render_summary(
        create_report([*outcomes, make_rejected_run("first"), make_indeterminate_run("second")], API_ERROR_VERDICT)
    )
    size = len(text.encode())
    assert MAX_SUMMARY_BYTES - 6_000 < size <= MAX_SUMMARY_BYTES
    rows = text.splitlines()[6:]
    assert split_cells(rows[0])[0] == "first"
    assert split_cells(rows[1])[0] == "second"
    match = re.fullmatch(r"… and ([\d,]+) more runs", split_cells(rows[-1])[0])
    assert match
    assert int(match[1].replace(",", "")) == 10_000 - (len(rows) - 1)
    assert all(len(split_cells(row)) == 3 for row in rows)


@given(st.integers(-10_000, 3_000))
def test_summary_respects_any_limit(limit: int) -> None:
    """A shortened summary stays within the limit, and its last line says that there is more."""
    outcomes = [make_rejected_run(f"id-{i}", "🚀" * 40) for i in range(10)]
    for run_report in (
        create_report(outcomes, API_ERROR_VERDICT),
        create_report([], INPUT_ERROR_VERDICT, ["🚀" * 40] * 10),
    ):
        text = render_summary(run_report, limit)
        assert len(text.encode()) <= max(0, limit)
        assert not text or text.count("\n|") + text.count("\n-") in range(1, 14)
        if text and len(text) < len(render_summary(run_report)):
            assert "more" in text.splitlines()[-1]


def test_many_input_errors_fit_size_limit() -> None:
    """Errors beyond the limit are counted in the last line."""
    text = render_summary(create_report([], INPUT_ERROR_VERDICT, ["&" * 500] * 1_000), 100_000)
    assert len(text.encode()) <= 100_000
    assert re.fullmatch(r"- … and 9\d\d more problems", text.splitlines()[-1])


_LINK = re.compile(r"\[((?:\\.|[^\\\[\]])*)\]\(([^()<> |]*)\)")


def check_cell(text: str) -> None:
    """Fail if a cell has more than text and safe links."""
    for cell_line in text.split("<br>"):
        for label, target in _LINK.findall(cell_line):
            render_plain_text(label)
            assert safe_url(target)
        render_plain_text(_LINK.sub("", cell_line))


@pytest.mark.slow
@given(REPORTS)
def test_report_text_cannot_forge_markup(run_report: Report) -> None:
    """Text of a report adds no row, cell, link or markup."""
    text = render_summary(run_report)
    assert text.encode().endswith(b"\n")
    text, _, chart = text.partition("\n\n```mermaid\n")
    lines = text.splitlines()
    render_plain_text(lines[0].removeprefix("### "))
    assert lines[1] == lines[3] == ""
    check_cell(lines[2])
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    for line in lines[4 : rows[0] if rows else None]:
        sentence, _, command = line.partition(": `")
        render_plain_text(sentence)
        assert command.count("`") in {0, 1}
    assert len(rows) == (2 + len(run_report.results) if run_report.results else 0)
    assert rows == list(range(len(lines) - len(rows), len(lines)))
    for number in rows[2:]:
        cells = split_cells(lines[number])
        assert len(cells) == (4 if run_report.waits_for_results else 3)
        if run_report.waits_for_results:
            assert re.fullmatch(r"[\d.]* ?[a-z]*(?: \d+ [a-z]+)?", cells.pop(2))
        for cell in cells:
            check_cell(cell)
    assert not chart or chart.splitlines().index("```") == len(chart.splitlines()) - 1


@pytest.mark.slow
@given(INPUT_ERROR_REPORTS)
def test_input_error_cannot_forge_markup(run_report: Report) -> None:
    """Text of an error adds no line and no markup."""
    lines = render_summary(run_report).splitlines()
    assert len(lines) == 4 + len(run_report.input_errors)
    for line in lines[4:]:
        assert line.startswith("- ")
        render_plain_text(line.removeprefix("- "))


def test_noun_of_change_is_escaped() -> None:
    """The noun comes from the CI system's class, and is escaped like a text from outside."""
    run_report = create_report([make_started_run("one")])._replace(change_noun="<b>pull</b>|request\n#")
    line = render_summary(run_report).splitlines()[2]
    assert "(&lt;b&gt;pull&lt;/b&gt;\\|request # 12, branch" in line


def read_rows(run_report: Report) -> list[list[str]]:
    return [split_cells(line) for line in render_summary(run_report).splitlines() if line.startswith("| ")][2:]


def test_failures_come_first_after_wait() -> None:
    """Failed runs have their step and link in the first rows."""
    runs = [
        make_passed_run("a"),
        make_flaky_run("b"),
        make_failed_run("c", "Checkout"),
        make_timed_out_run("d"),
        make_passed_run("e"),
    ]
    run_report = create_report(runs, FAILED_VERDICT)._replace(waits_for_results=True, duration_seconds=70.0)
    lines = render_summary(run_report).splitlines()
    assert lines[0] == "### Autonoma tests: ❌ Failed"
    assert render_plain_text(lines[2]).startswith("3 of 5 runs passed (1 flaky), 1 failed, 1 still running. (")
    assert "duration 1 min 10 s" in lines[2]
    rows = read_rows(run_report)
    assert [row[0].split("<br>")[0] for row in rows] == ["Checkout", "d", "Checkout pays by card", "a", "e"]
    state = rows[0][1].split("<br>")
    assert state[0] == "❌ failed"
    assert render_plain_text(state[1]) == "test step 4, Check the result"
    assert render_plain_text(state[2]) == "Expected a confirmation, but the page shows an error"
    assert "](https://shop.test/done)" in state[3]
    assert rows[0][2] == "1 min 5 s"
    assert rows[0][3].endswith("](https://autonoma.app/run/run-c)")


def test_flaky_run_links_failed_attempt() -> None:
    """The row of a flaky run is marked and links to the failed attempt."""
    row = read_rows(create_report([make_flaky_run("b")], PASSED_VERDICT)._replace(waits_for_results=True))[0]
    assert row[1].startswith("⚠️ passed, flaky<br>attempt 1 failed: [")
    assert "(https://autonoma.app/run/first-of-b)" in row[1]
    assert "Expected a confirmation" in row[1]


def test_title_replaces_id() -> None:
    """A run has the title of its test, and the id in the second line."""
    assert (
        read_rows(create_report([make_failed_run("c")], FAILED_VERDICT)._replace(waits_for_results=True))[0][0]
        == "Checkout pays by card<br>test c"
    )


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_every_conclusion_has_title(conclusion: Conclusion) -> None:
    """The heading has words for each conclusion."""
    run_report = create_report([make_passed_run("a")], Verdict(conclusion, ExitReason.OK, 0))
    assert render_plain_text(render_summary(run_report).splitlines()[0].removeprefix("### Autonoma tests: ")) != ""


def test_running_runs_have_wait_command() -> None:
    """The summary has the command to wait and says that no run was cancelled."""
    command = "autonoma-ci wait results/results.json"
    run_report = create_report([make_started_run("a"), make_passed_run("b")], CANCELLED_VERDICT)._replace(
        waits_for_results=True, resume_command=command
    )
    text = render_summary(run_report)
    assert "the API cannot cancel runs" in text
    assert "`autonoma-ci wait results/results.json`" in text
    assert "cannot cancel" not in render_summary(run_report._replace(results=(make_passed_run("b"),)))
    assert "the API cannot cancel runs" in render_summary(run_report._replace(resume_command=""))


def test_wait_command_follows_verdict() -> None:
    """Without the option wait, the command is shown after the job step ended."""
    run_report = create_report([make_started_run("a")])._replace(
        resume_command="autonoma-ci wait 'my results/results.json'"
    )
    assert "`autonoma-ci wait 'my results/results.json'`" in render_summary(run_report)
    assert "autonoma-ci wait" not in render_summary(run_report._replace(verdict=None))
    assert "cannot cancel" not in render_summary(run_report)


def test_plan_notes_are_shown() -> None:
    """The notes about the plan are in the summary."""
    run_report = create_report([make_started_run("a")])._replace(plan_notes=("Shard 2/5: 1 of the plan's 5 runs.",))
    assert "Shard 2/5" in render_summary(run_report)


def test_chart_without_space_is_omitted() -> None:
    """If the limit is too small for the chart, the table stays complete."""
    run_report = create_report([make_passed_run(f"t{n}") for n in range(30)], PASSED_VERDICT)._replace(
        waits_for_results=True
    )
    summary = render_summary(run_report)
    assert "```mermaid" in summary
    limit = len(summary.encode()) - 50
    assert "```mermaid" not in render_summary(run_report, limit)
    assert render_summary(run_report, limit).count("\n| t") == 30
