"""Words, signs and numbers agree in all reports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.models import BuildContext, RunState
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.log import collect_warnings, format_summary_lines, group_failures
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.summary import FLAKY_EMOJI, STATE_EMOJI, format_headline
from tests.support.reports import (
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.models import Report, RunResult

RUN_BUILDERS: dict[str, Callable[[str], RunResult]] = {
    "failed": make_failed_run,
    "flaky": make_flaky_run,
    "unknown": make_indeterminate_run,
    "passed": make_passed_run,
    "planned": make_planned_run,
    "quarantined": make_quarantined_run,
    "refused": make_rejected_run,
    "started": make_started_run,
    "timed out": make_timed_out_run,
}
RESUME_COMMAND = "autonoma-ci wait results"
# Wrong grammar: a plural after one, a singular after several, or a verb that does not match.
WRONG_GRAMMAR = re.compile(
    r"\b1 (?:runs|problems|tests|steps|attempts|folders)\b|\b(?:0|[2-9]|[0-9]{2,}) (?:run|problem|step|folder)\b"
    r"|\brun\(s\)|[2-9] needs\b|\bis no\b|\bis none\b|\bneither\b|\bgoes on\b|\bgo on\b"
)


def build_report(outcomes: list[RunResult], *, waits_for_results: bool = True, signal: int | None = None) -> Report:
    verdict = compute_verdict(outcomes, signal, waits_for_results=waits_for_results)
    return create_report(outcomes, verdict)._replace(
        waits_for_results=waits_for_results, duration_seconds=60.0, resume_command=RESUME_COMMAND
    )


def render_all(run_report: Report) -> dict[str, str]:
    page = "".join(map(str, etree.HTML(render_html(run_report).decode()).itertext()))
    return {
        "html": page,
        "markdown": render_summary(run_report),
        "junit": render_junit(run_report).decode(),
        "headline": format_headline(run_report),
        "log": "\n".join(format_summary_lines(run_report)),
        "issues": "\n".join(
            map(str, [*group_failures(run_report.results), *collect_warnings(run_report.results, lambda _: False)])
        ),
    }


@pytest.mark.parametrize("name", RUN_BUILDERS)
@pytest.mark.parametrize("count", [0, 1, 2, 12])
@pytest.mark.parametrize("waits_for_results", [True, False])
def test_numbers_and_words_agree(name: str, count: int, waits_for_results: bool) -> None:
    """No report has a number with a word in the wrong form."""
    for signal in (None, 2):
        outcomes = [RUN_BUILDERS[name](f"t{number}") for number in range(count)]
        for kind, text in render_all(
            build_report(outcomes, waits_for_results=waits_for_results, signal=signal)
        ).items():
            assert WRONG_GRAMMAR.search(text) is None, f"{kind}: {text}"


@pytest.mark.parametrize(("count", "expected"), [(1, "1 problem"), (2, "2 problems")])
def test_page_counts_problems(count: int, expected: str) -> None:
    """The page has the number of failed runs as problems."""
    page = render_html(
        build_report([*(make_failed_run(f"f{number}") for number in range(count)), make_passed_run("p")])
    ).decode()
    assert re.search(rf"> {expected}<", page)
    assert "needs a look" not in page


def test_flaky_run_has_one_sign() -> None:
    """The page uses the plain form of the sign."""
    run_report = build_report([make_flaky_run("a"), make_passed_run("b")])
    assert render_summary(run_report).count(FLAKY_EMOJI) == 3, "in the heading, the table and the chart"
    page = render_html(run_report).decode()
    assert FLAKY_EMOJI[0] in page
    assert "≈" not in page
    for line in render_summary(run_report).splitlines():
        assert not ("flaky" in line and "✅" in line and line.startswith("|"))


def test_every_state_has_sign() -> None:
    """Each state of a run has an emoji."""
    assert set(STATE_EMOJI) == set(RunState)


@pytest.mark.parametrize("noun", ["pull request", "merge request"])
def test_change_has_word_of_its_system(noun: str) -> None:
    """Summary and page name the change as its CI system does."""
    run_report = build_report([make_passed_run("a"), make_passed_run("b")])._replace(
        context=BuildContext(change_number="7"), change_noun=noun
    )
    assert f"({noun} 7" in render_summary(run_report)
    assert f"{noun.capitalize()}</dt><dd><bdi>7<" in render_html(run_report).decode()


def test_source_is_shown_in_words() -> None:
    """The page has the label of the source in place of its name."""
    run_report = build_report([make_passed_run("a")])._replace(source="cli", source_label="the command line")
    page = render_html(run_report).decode()
    assert "Started by</dt><dd><bdi>the command line<" in page
    assert "<dt>Source" not in page


def test_more_failures_are_counted() -> None:
    """Kinds of failures beyond the limit are counted."""
    outcomes = [make_failed_run(f"f{number}")._replace(url=f"https://x.example/{number}") for number in range(10)]
    assert str(group_failures(outcomes)[-1]) == "1 more kind of failure. The log has all failures."
    outcomes.append(make_failed_run("f10")._replace(url="https://x.example/10"))
    assert str(group_failures(outcomes)[-1]) == "2 more kinds of failure. The log has all failures."


def test_cancelled_step_lists_running_runs() -> None:
    """The lines count the runs that continue, and say how to wait for them."""
    run_report = build_report([make_started_run("a"), make_passed_run("b"), make_started_run("c")], signal=2)
    assert list(format_summary_lines(run_report)) == [
        "Cancelled. 1 of 3 runs passed, 2 still running.",
        "2 runs continue in Autonoma, because the API cannot cancel runs.",
        f"To wait for the results: {RESUME_COMMAND}",
    ]
    assert list(format_summary_lines(run_report._replace(resume_command="", results_dir="")))[-1] == (
        "To wait for the results later, set results-dir. The command autonoma-ci wait needs its results.json."
    )
    assert list(format_summary_lines(build_report([make_started_run("a")], signal=15)))[1] == (
        "1 run continues in Autonoma, because the API cannot cancel runs."
    )


def test_report_path_precedes_result() -> None:
    """The path of report.html stands before the result, if there are runs."""
    lines = list(format_summary_lines(build_report([make_passed_run("a")]), "out/report.html"))
    assert lines == ["Report: out/report.html", "1 of 1 run passed."]
    assert len(list(format_summary_lines(build_report([]), "out/report.html"))) == 1


def test_normal_step_omits_cancellation() -> None:
    """A step that was not cancelled has no text about running runs."""
    assert list(format_summary_lines(build_report([make_passed_run("a")]))) == ["1 of 1 run passed."]
    assert list(format_summary_lines(build_report([make_started_run("a")], waits_for_results=False))) == [
        "1 of 1 run started.", f"To wait for the results: {RESUME_COMMAND}"
    ]  # fmt: skip
