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
from autonoma_ci.reports.summary import FLAKY_EMOJI, STATE_EMOJI, change_noun, format_headline
from tests.support.reports import failed, flaky, indeterminate, passed, planned, refused, report, started, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.models import Report, RunResult

MAKERS: dict[str, Callable[[str], RunResult]] = {
    "failed": failed, "flaky": flaky, "unknown": indeterminate, "passed": passed, "planned": planned,
    "refused": refused, "started": started, "timed out": timed_out,
}  # fmt: skip
LATER = "autonoma-ci wait results"
# Wrong grammar: a plural after one, a singular after several, or a verb that does not match.
WRONG = re.compile(
    r"\b1 (?:runs|problems|tests|steps|attempts|folders)\b|\b(?:0|[2-9]|[0-9]{2,}) (?:run|problem|step|folder)\b"
    r"|\brun\(s\)|[2-9] needs\b|\bis no\b|\bis none\b|\bneither\b|\bgoes on\b|\bgo on\b"
)


def made(outcomes: list[RunResult], *, waited: bool = True, signal: int | None = None) -> Report:
    verdict = compute_verdict(outcomes, signal, waits_for_results=waited)
    return report(outcomes, verdict)._replace(waits_for_results=waited, duration_seconds=60.0, resume_command=LATER)


def texts(report_: Report) -> dict[str, str]:
    page = "".join(map(str, etree.HTML(render_html(report_).decode()).itertext()))
    return {
        "html": page,
        "markdown": render_summary(report_),
        "junit": render_junit(report_).decode(),
        "headline": format_headline(report_),
        "log": "\n".join(format_summary_lines(report_)),
        "issues": "\n".join(
            map(str, [*group_failures(report_.results), *collect_warnings(report_.results, lambda _: False)])
        ),
    }


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("count", [0, 1, 2, 12])
@pytest.mark.parametrize("waited", [True, False])
def test_numbers_and_words_agree(name: str, count: int, waited: bool) -> None:
    for signal in (None, 2):
        outcomes = [MAKERS[name](f"t{place}") for place in range(count)]
        for kind, text in texts(made(outcomes, waited=waited, signal=signal)).items():
            assert WRONG.search(text) is None, f"{kind}: {text}"


@pytest.mark.parametrize(("count", "reported"), [(1, "1 problem"), (2, "2 problems")])
def test_page_counts_problems(count: int, reported: str) -> None:
    page = render_html(made([*(failed(f"f{place}") for place in range(count)), passed("p")])).decode()
    assert re.search(rf"> {reported}<", page)
    assert "needs a look" not in page


def test_flaky_run_has_one_sign() -> None:
    """The page uses the plain form of the sign."""
    shown = made([flaky("a"), passed("b")])
    assert render_summary(shown).count(FLAKY_EMOJI) == 2, "in the table and in the chart"
    page = render_html(shown).decode()
    assert FLAKY_EMOJI[0] in page
    assert "≈" not in page
    for line in render_summary(shown).splitlines():
        assert not ("flaky" in line and "✅" in line and line.startswith("|"))


def test_every_state_has_sign() -> None:
    assert set(STATE_EMOJI) == set(RunState)


@pytest.mark.parametrize(
    ("ci", "noun"), [("github", "pull request"), ("gitlab", "merge request"), ("x", "pull request")]
)  # fmt: skip
def test_change_has_word_of_its_system(ci: str, noun: str) -> None:
    shown = made([passed("a"), passed("b")])._replace(context=BuildContext(ci_name=ci, change_number="7"))
    assert change_noun(ci) == noun
    assert f"({noun} 7" in render_summary(shown)
    assert f"{noun.capitalize()}</dt><dd><bdi>7<" in render_html(shown).decode()


@pytest.mark.parametrize(
    ("source", "shown"), [("cli", "the command line"), ("github", "GitHub Actions"), ("mine", "mine")]
)
def test_source_is_shown_in_words(source: str, shown: str) -> None:
    page = render_html(made([passed("a")])._replace(source=source)).decode()
    assert f"Started from</dt><dd><bdi>{shown}<" in page
    assert "<dt>Source" not in page


def test_more_failures_are_counted() -> None:
    outcomes = [failed(f"f{place}")._replace(url=f"https://x.example/{place}") for place in range(10)]
    assert str(group_failures(outcomes)[-1]) == "and 1 more kind of failure. The log has all failures."
    outcomes.append(failed("f10")._replace(url="https://x.example/10"))
    assert str(group_failures(outcomes)[-1]) == "and 2 more kinds of failure. The log has all failures."


def test_cancelled_step_lists_running_runs() -> None:
    shown = made([started("a"), passed("b"), started("c")], signal=2)
    assert list(format_summary_lines(shown)) == [
        "Cancelled. 1 of 3 runs passed, 2 still running.",
        "2 runs continue in Autonoma: the API has no way to cancel them.",
        f"To wait for the results: {LATER}",
    ]
    assert list(format_summary_lines(shown._replace(resume_command="", results_dir="")))[-1] == (
        "To wait for runs later, set results-dir: the step then leaves a record for autonoma-ci wait."
    )
    assert list(format_summary_lines(made([started("a")], signal=15)))[1] == (
        "1 run continues in Autonoma: the API has no way to cancel it."
    )


def test_normal_step_omits_cancellation() -> None:
    """A step that was not cancelled has no text about running runs."""
    assert list(format_summary_lines(made([passed("a")]))) == ["1 of 1 run passed."]
    assert list(format_summary_lines(made([started("a")], waited=False))) == [
        "1 of 1 run started.", f"To wait for the results: {LATER}"
    ]  # fmt: skip
