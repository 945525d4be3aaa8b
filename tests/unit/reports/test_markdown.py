"""The Markdown summary, its order, its size limit and escaping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autonoma_ci.escaping import safe_url
from autonoma_ci.models import ChangeSummary, Conclusion, ExitReason, Quarantine, Verdict
from autonoma_ci.reports.markdown import MAX_SUMMARY_BYTES, render_summary
from autonoma_ci.reports.summary import format_headline
from tests.support.github_parser import render_plain_text, split_cells
from tests.support.hostile import INPUT_ERROR_REPORTS, REPORTS
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    FLAKY_VERDICT,
    INPUT_ERROR_VERDICT,
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
    from autonoma_ci.models import Report, RunResult


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


SECTION_RE = re.compile(r"#### \S+ [A-Za-z, ]+ \(\d+\)")
_COMMAND_RE = re.compile(r"^Run again: (?:`([^`]+)`|<code>((?:[^!-,./:-@\[-`{-~]|&#\d+;)+)</code>)$")
_LINK = re.compile(r"\[((?:\\.|[^\\\[\]])*)\]\(([^()<> |]*)\)")


def check_cell(text: str) -> None:
    """Fail if a cell has more than text and safe links."""
    for cell_line in text.split("<br>"):
        if _COMMAND_RE.fullmatch(cell_line):
            continue
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
    for line in set(lines[4:]) - {lines[number] for number in rows}:
        if not SECTION_RE.fullmatch(line):
            sentence, _, command = line.partition(": `")
            render_plain_text(sentence)
            assert command.count("`") in {0, 1}
    heads = [number for number in rows if lines[number].startswith(("| Run |", "| --- |"))]
    assert len(rows) == len(run_report.results) + len(heads)
    # Each table has two lines above its runs.
    section_count = sum(bool(SECTION_RE.fullmatch(line)) for line in lines)
    assert len(heads) in {2 * section_count, 2 * section_count + 2 * bool(run_report.results)}
    for number in rows:
        cells = split_cells(lines[number])
        assert len(cells) == (4 if run_report.waits_for_results else 3)
        if number in heads:
            continue
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
    rows = [row for row in read_rows(run_report) if row[0] not in {"Run", "---"}]
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


# Quarantine, flaky runs, owner, changed files and commands


QUARANTINE_REPORT = create_report(
    [
        make_passed_run("a", "Search"),
        make_quarantined_run("b", "Sign up"),
        make_flaky_run("c", "Basket"),
        make_failed_run("d", "Checkout"),
        quarantine_run(make_passed_run("e", "Profile")),
    ],
    FAILED_VERDICT,
)._replace(waits_for_results=True, duration_seconds=70.0)


def read_sections(run_report: Report) -> dict[str, list[list[str]]]:
    """Return the rows of each section by its heading."""
    sections: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    heading = ""
    for line in render_summary(run_report, chart=False).splitlines():
        if line.startswith("#### "):
            heading = line.removeprefix("#### ")
        elif line.startswith("| Run |"):
            rows = sections.setdefault(heading, [])
        elif line.startswith("|") and not line.startswith("| --- |"):
            rows.append(split_cells(line))
    return sections


def test_sections_separate_uncounted_runs() -> None:
    """Failures in quarantine and flaky runs have tables of their own."""
    lines = render_summary(QUARANTINE_REPORT).splitlines()
    assert render_plain_text(lines[2]).startswith("3 of 5 runs passed (1 flaky), 1 failed, 1 failed in quarantine. (")
    sections = read_sections(QUARANTINE_REPORT)
    assert {heading: [row[0].split("<br>")[0] for row in rows] for heading, rows in sections.items()} == {
        "": ["Checkout"],
        "🚧 Failed in quarantine, not counted (1)": ["Sign up"],
        "⚠️ Flaky (1)": ["Basket"],
        "✅ Passed (2)": ["Search", "Profile"],
    }
    [[_, state, _, _]] = sections["🚧 Failed in quarantine, not counted (1)"]
    assert state.split("<br>")[:2] == [
        "🚧 failed, quarantined until 2026-12-31",
        "Login mail is late, [issue](https://issues.example/7)",
    ]
    [_, passed] = sections["✅ Passed (2)"]
    assert passed[1].startswith("✅ passed<br>in quarantine until 2026-12-31")


def test_first_section_needs_no_other_run() -> None:
    """A step whose only failures are in quarantine begins with their section."""
    run_report = create_report([make_quarantined_run("b"), make_passed_run("a")], PASSED_VERDICT)
    headings = list(read_sections(run_report._replace(waits_for_results=True)))
    assert headings == ["🚧 Failed in quarantine, not counted (1)", "✅ Passed (1)"]


def test_flaky_section_names_failure() -> None:
    """With on-flaky: fail, the heading says that flaky runs count as failed."""
    run_report = create_report([make_flaky_run("a")], FLAKY_VERDICT)._replace(waits_for_results=True)
    assert list(read_sections(run_report)) == ["⚠️ Flaky, counted as failed (1)"]
    assert format_headline(run_report) == "1 of 1 run passed (1 flaky, counted as failed)."
    run = make_flaky_run("b")
    run = run._replace(request=run.request._replace(quarantine=make_quarantined_run("b").request.quarantine))
    run_report = run_report._replace(results=(*run_report.results, run))
    label = "counted as failed outside of quarantine"
    assert list(read_sections(run_report)) == [f"⚠️ Flaky, {label} (2)"]
    assert format_headline(run_report) == f"2 of 2 runs passed (2 flaky, {label})."


@given(st.integers(0, 6_000))
def test_sections_respect_limit(limit: int) -> None:
    """Runs that do not fit are counted once, in the last table."""
    runs = [make_quarantined_run(f"q{i}") for i in range(4)] + [make_flaky_run(f"f{i}") for i in range(4)]
    run_report = create_report([*runs, make_failed_run("d")], FAILED_VERDICT)
    text = render_summary(run_report, limit, chart=False)
    assert len(text.encode()) <= limit
    if text:
        rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| Run", "| ---"))]
        omitted = re.match(r"\| … and (\d+) more run", rows[-1])
        assert len(rows) - bool(omitted) + int(omitted[1] if omitted else 0) == 9
        assert text.count("\n| --- |") == text.count("\n| Run |")


@pytest.mark.parametrize(
    ("issue", "cell"),
    [
        ("https://issues.example/7", "[issue](https://issues.example/7)"),
        ("javascript:alert(1)", "issue javascript\\:alert(1)"),
        ("https://u:p@issues.example/7", "issue https\\://u\\:p@\u200bissues.example/7"),
        ("#7", "issue \\#\u200b7"),
        ("", ""),
    ],
)
def test_issue_is_link_if_safe(issue: str, cell: str) -> None:
    """Only a safe https URL is a link."""
    run = make_quarantined_run("a")
    quarantine = Quarantine("2026-12-31", "Late", issue)
    [[_, state, *_]] = read_rows(create_report([run._replace(request=run.request._replace(quarantine=quarantine))]))
    assert state.split("<br>")[1] == ", ".join(filter(None, ["Late", cell]))


def test_owner_notifies_nobody() -> None:
    """The owner is shown below the name, and is no mention."""
    run = make_failed_run("a", "Checkout")
    run = run._replace(request=run.request._replace(owner="@web"))
    [[name, *_]] = read_rows(create_report([run], FAILED_VERDICT))
    assert name == "Checkout<br>test a<br>owner @\u200bweb"
    assert render_plain_text(name.rpartition("<br>")[2]) == "owner @\u200bweb"


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (
            ChangeSummary("clone", "a" * 40, 1200),
            ["Changed files: 1,200, compared with aaaaaaaaaaaa (from the clone)."],
        ),
        (ChangeSummary("api", "", 3), ["Changed files: 3 (from GitHub's API)."]),
        (ChangeSummary("list", "", 0), ["Changed files: 0 (from changed-files)."]),
        (
            ChangeSummary("", "", None, "shallow clone. Set fetch-depth: 2."),
            ["`when` left nothing out: shallow clone. Set fetch-depth: 2."],
        ),
        (
            ChangeSummary("clone", "main", 2, "autonoma.yml changed"),
            [
                "Changed files: 2, compared with main (from the clone).",
                "`when` left nothing out: autonoma.yml changed.",
            ],
        ),
        (None, []),
    ],
)
def test_changed_files_have_a_line(change: ChangeSummary | None, sentences: list[str]) -> None:
    """The summary says what the build was compared with, or why everything ran."""
    run_report = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(change=change)
    lines = [line for line in render_summary(run_report).splitlines()[4:] if line and not line.startswith("|")]
    assert list(map(render_commits, lines)) == sentences


def render_commits(line: str) -> str:
    """Return the visible text of a line in which a commit may be a link."""
    return re.sub(r"\\(.)", r"\1", line)


def test_new_quarantine_has_a_line() -> None:
    """What the change put in quarantine is visible to its reviewers."""
    names = ("Checkout", "<b>@web</b>", *(f"n{i}" for i in range(20)))
    run_report = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(quarantined_by_change=names)
    [line] = [line for line in render_summary(run_report).splitlines() if "by this change" in line]
    assert render_plain_text(line) == (
        "🚧 Quarantined by this change: Checkout, <b>@\u200bweb</b>, n0, n1, n2, n3, n4, n5, n6, n7 and 12 more."
    )


def test_environment_is_a_fact() -> None:
    """The environment of the runs is in the line of facts."""
    run = make_passed_run("a")
    run = run._replace(request=run.request._replace(environment="staging"))
    assert ", environment staging)" in render_summary(create_report([run], PASSED_VERDICT)).splitlines()[2]


def with_command(run: RunResult, command: str) -> RunResult:
    return run._replace(request=run.request._replace(rerun_command=command))


@pytest.mark.parametrize(
    "command",
    [
        "autonoma-ci run --test-ids cm1",
        "autonoma-ci run --only 'a|b' --manifest 'x`y'",
        "autonoma-ci run --manifest 'a\\|b' --only '<b>*&amp;*</b>'",
        "autonoma-ci run --only '``' --manifest \\\\|",
    ],
)
def test_failure_ends_with_exact_command(command: str) -> None:
    """A reader of GitHub's Markdown shows the command unchanged in its cell."""
    runs = [with_command(make_failed_run("a", "A"), command), with_command(make_quarantined_run("b", "B"), command)]
    runs.append(with_command(make_passed_run("c", "C"), command))
    text = render_summary(create_report(runs, FAILED_VERDICT), chart=False)
    page = lxml.html.fromstring(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text))
    cells = list(page.iter("td"))
    assert ["".join(map(str, code.itertext())) for cell in cells for code in cell.iter("code")] == [command] * 2
    assert len(cells) == 9


def test_flaky_failure_has_command() -> None:
    """With on-flaky: fail, a flaky run is a failure, but not in quarantine."""
    run = with_command(make_flaky_run("a"), "autonoma-ci run --test-ids a")
    assert "Run again" not in render_summary(create_report([run], PASSED_VERDICT))
    assert "Run again: `autonoma-ci run --test-ids a`" in render_summary(create_report([run], FLAKY_VERDICT))
    quarantined = make_quarantined_run("b").request.quarantine
    run = run._replace(request=run.request._replace(quarantine=quarantined))
    assert "Run again" not in render_summary(create_report([run], FLAKY_VERDICT))


@pytest.mark.parametrize("command", ["a\nb", "a" * 1001, "a\u202eb", "a\x1b[31m", " "])
def test_changed_command_is_omitted(command: str) -> None:
    """A command that a report would cut or change is left out."""
    run = with_command(make_failed_run("a", "A"), command)
    assert "Run again" not in render_summary(create_report([run], FAILED_VERDICT))


def test_variables_of_options_are_named() -> None:
    """The commands leave out variables of options, so a sentence names them."""
    run_report = create_report([with_command(make_failed_run("a"), "autonoma-ci run")], FAILED_VERDICT)
    hint = "The commands leave out variables of this step. Add --var for LOCALE, BASE_URL."
    lines = render_summary(run_report._replace(option_variables=("LOCALE", "BASE_URL"))).splitlines()
    assert render_plain_text(lines[-1]) == hint
    assert "leave out" not in render_summary(run_report)
    passed = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(option_variables=("LOCALE",))
    assert "leave out" not in render_summary(passed)
