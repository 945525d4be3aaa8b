"""The summary: what needs a look first, within its size, and with nothing forged in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.report.markdown import SIZE_LIMIT, summary
from autonoma_ci.text import link
from tests.report.reports import CANCELLED, DRY, ERROR, INPUT, lost, planned, refused, report, started
from tests.support.hostile import REFUSED, REPORTS
from tests.support.runner import cells, plain_text

if TYPE_CHECKING:
    from autonoma_ci.model import Report


def test_a_summary_says_what_where_and_how_many() -> None:
    lines = summary(report([started("one"), started("two", "Sign in")])).splitlines()
    assert plain_text(lines[0].removeprefix("### ")) == "Autonoma tests: 🚀 Started"
    assert plain_text(lines[2]) == "2 of 2 runs started. (change 12, branch feature/a_b, commit 0123456789ab)"
    assert cells(lines[4]) == ["What", "State", "Link"]
    what, state, told = cells(lines[6])
    assert (what, state) == ("one", "🚀 started")
    label, _, target = told.removeprefix("[").partition("](")
    assert (plain_text(label), target) == ("run-one", "https://autonoma.app/run/run-one)")
    assert cells(lines[7])[0] == "Sign in<br>test two"
    assert len(lines) == 8


def test_what_needs_a_look_comes_first_and_keeps_its_order() -> None:
    outcomes = [started("a"), planned("b"), lost("c"), refused("d"), started("e"), refused("f"), lost("g")]
    rows = summary(report(outcomes, ERROR)).splitlines()[6:]
    assert [cells(row)[0] for row in rows] == ["d", "f", "c", "g", "b", "a", "e"]


def test_a_run_that_did_not_start_says_why_and_what_to_do() -> None:
    row = summary(report([refused("a", "HTTP 404: no such <test>", "Check | the id.")], ERROR)).splitlines()[6]
    _, state, told = cells(row)
    parts = state.split("<br>")
    assert [plain_text(part) for part in parts] == ["❌ not started", "HTTP 404: no such <test>", "Check | the id."]
    assert told == ""


@pytest.mark.parametrize(
    ("made", "title", "sentence"),
    [
        (report([started("a")], None), "⏳ Starting", "1 of 1 run started."),
        (report([planned("a"), started("b")], None), "⏳ Starting", "1 of 2 runs started, 1 waiting."),
        (report([planned("a")], DRY), "⏭️ Skipped", "Dry run: 1 run planned, nothing was sent."),
        (report([], DRY), "⏭️ Skipped", "Nothing was selected, so nothing was started."),
        (report([], INPUT, ["a: b"]), "❌ Error", "1 problem with the input. Nothing was sent."),
        (
            report([started("a"), refused("b"), lost("c")], ERROR),
            "❌ Error",
            "1 of 3 runs started, 1 not started, 1 may have started.",
        ),
        (
            report([started("a"), refused("b", "not sent: the job was cancelled", "")], CANCELLED),
            "🛑 Cancelled",
            "1 of 2 runs started, 1 not started.",
        ),
    ],
)
def test_the_head_says_how_it_ended(made: Report, title: str, sentence: str) -> None:
    lines = summary(made).splitlines()
    assert plain_text(lines[0].removeprefix("### ")) == f"Autonoma tests: {title}"
    assert plain_text(lines[2]).startswith(sentence)


def test_problems_with_the_input_are_listed() -> None:
    lines = summary(report([], INPUT, ["autonoma.yml:3:5: unknown key 'tets'", "# <b>api-url</b>"])).splitlines()
    assert lines[3] == ""
    assert [plain_text(line.removeprefix("- ")) for line in lines[4:]] == [
        "autonoma.yml:3:5: unknown key 'tets'",
        "# <b>api-url</b>",
    ]


def test_ten_thousand_runs_with_huge_names_fit_and_the_rest_is_counted() -> None:
    names = ["🚀" * 600, "&" * 600, "|" * 600]
    outcomes = [started(f"id{i}", names[i % 3]) for i in range(9_998)]
    text = summary(report([*outcomes, refused("first"), lost("second")], ERROR))
    size = len(text.encode())
    assert SIZE_LIMIT - 6_000 < size <= SIZE_LIMIT
    rows = text.splitlines()[6:]
    assert cells(rows[0])[0] == "first"
    assert cells(rows[1])[0] == "second"
    told = re.fullmatch(r"… and ([\d,]+) more runs", cells(rows[-1])[0])
    assert told
    assert int(told[1].replace(",", "")) == 10_000 - (len(rows) - 1)
    assert all(len(cells(row)) == 3 for row in rows)


@given(st.integers(-10_000, 3_000))
def test_a_summary_is_never_larger_than_its_limit(limit: int) -> None:
    outcomes = [refused(f"id-{i}", "🚀" * 40) for i in range(10)]
    for made in (report(outcomes, ERROR), report([], INPUT, ["🚀" * 40] * 10)):
        text = summary(made, limit)
        assert len(text.encode()) <= max(0, limit)
        assert not text or text.count("\n|") + text.count("\n-") in range(1, 14)
        if text and len(text) < len(summary(made)):
            assert "more" in text.splitlines()[-1]


def test_a_thousand_problems_fit_and_the_rest_is_counted() -> None:
    text = summary(report([], INPUT, ["&" * 500] * 1_000), 100_000)
    assert len(text.encode()) <= 100_000
    assert re.fullmatch(r"- … and 9\d\d more problems", text.splitlines()[-1])


def _check_line(text: str) -> None:
    for part in text.split("<br>"):
        plain_text(part)


@given(REPORTS)
def test_nothing_in_a_report_forges_a_row_a_cell_or_markup(made: Report) -> None:
    text = summary(made)
    assert text.encode().endswith(b"\n")
    lines = text.splitlines()
    assert len(lines) == (6 + len(made.outcomes) if made.outcomes else 4)
    _check_line(lines[0].removeprefix("### "))
    assert lines[1] == lines[3] == ""
    _check_line(lines[2])
    for row in lines[6:]:
        what, state, told = cells(row)
        _check_line(what)
        _check_line(state)
        target = re.fullmatch(r"\[(.*)\]\(([^()<> |]*)\)", told)
        _check_line(target[1] if target else told)
        assert not target or link(target[2])


@given(REFUSED)
def test_no_problem_forges_a_line_or_markup(made: Report) -> None:
    lines = summary(made).splitlines()
    assert len(lines) == 4 + len(made.problems)
    for line in lines[4:]:
        assert line.startswith("- ")
        _check_line(line.removeprefix("- "))
