"""The content of report.html."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import lxml.html
import pytest
from hypothesis import given

from autonoma_ci.models import Evidence, RunState, RunStep
from autonoma_ci.reports.html import AssetLinks, asset_files, render_html
from tests.support.hostile import REPORTS
from tests.support.reports import (
    CANCELLED_VERDICT,
    FAILED_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    RUNS_OF_ALL_KINDS,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_indeterminate_run,
    make_passed_run,
    make_started_run,
    make_timed_out_run,
)

if TYPE_CHECKING:
    from autonoma_ci.models import Report


def parse_page(run_report: Report, page: AssetLinks | None = None) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(render_html(run_report, page), parser=lxml.html.HTMLParser(encoding="utf-8"))


def list_states(run_report: Report) -> list[str]:
    cells = parse_page(run_report).xpath("//tbody/tr/td[1]")
    return [" ".join(cell.text_content().split()[1:]) for cell in cells]


@pytest.mark.slow
@given(REPORTS)
def test_any_report_has_only_safe_links(run_report: Report) -> None:
    """Links of the page lead only to https, this machine, runs and evidence."""
    page = parse_page(run_report)
    assert page.xpath("count(//script | //iframe | //object | //base | //form | //style)") == 0
    assert not [
        name for element in page.iter() for name in element.attrib if name.startswith(("on", "style", "srcset"))
    ]
    for address in page.xpath("//@href | //@src"):
        assert address.startswith(("https://", "http://127.0.0.1", "http://localhost", "#run", "evidence/")), address
    assert len(page.xpath("//h1")) == 1
    assert len(page.xpath("//tbody/tr")) == len(run_report.results)


@pytest.mark.slow
@given(REPORTS)
def test_values_are_hidden(run_report: Report) -> None:
    """No value of a variable is on the page."""
    report_with_values = run_report._replace(
        results=tuple(
            run._replace(request=run.request._replace(variables=dict.fromkeys(run.request.variables, "v4lue-0f-it")))
            for run in run_report.results
        )
    )
    assert b"v4lue-0f-it" not in render_html(report_with_values)


@pytest.mark.slow
def test_large_page_needs_little_memory() -> None:
    """Rendering 3,000 runs needs at most seven times the size of the page."""
    run_report = create_report(
        [make_passed_run(f"test-{number}", f"Name {number}") for number in range(3000)], FAILED_VERDICT
    )
    render_html(create_report(RUNS_OF_ALL_KINDS, FAILED_VERDICT))
    tracemalloc.start()
    try:
        page = render_html(run_report)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert page.count(b"<tr") > 3000
    # The template's input for a run is larger than its part of the page.
    assert peak_bytes < 7 * len(page), f"{peak_bytes / len(page):.1f} times the size"


def test_failures_come_first_with_state() -> None:
    """Runs are sorted by state, and each one shows its state."""
    assert list_states(create_report(RUNS_OF_ALL_KINDS, FAILED_VERDICT)) == [
        "failed", "not started", "may have started", "still running", "waiting", "started", "passed, flaky", "passed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("run_report", "heading"),
    [
        (
            create_report([make_passed_run("a")], PASSED_VERDICT)._replace(waits_for_results=True),
            "✓ Passed 1 of 1 run passed.",
        ),
        (
            create_report([make_failed_run("a")], FAILED_VERDICT)._replace(waits_for_results=True),
            "✗ Failed 0 of 1 run passed, 1 failed.",
        ),
        (create_report([make_started_run("a")]), "… Started 1 of 1 run started."),
        (
            create_report([make_started_run("a")], None)._replace(waits_for_results=True),
            "… Running 0 of 1 run passed, 1 still running.",
        ),
        (create_report([], CANCELLED_VERDICT), "✗ Cancelled Cancelled before anything was started."),
        (
            create_report([], INPUT_ERROR_VERDICT, ["client-id is missing"]),
            "✗ Error 1 problem with the input. Nothing was sent.",
        ),
    ],
)
def test_heading_states_result(run_report: Report, heading: str) -> None:
    """The heading has the conclusion and the counts."""
    assert " ".join(parse_page(run_report).xpath("//h1")[0].text_content().split()) == heading


def test_input_errors_are_listed() -> None:
    """Each input error is an entry of a list."""
    page = parse_page(create_report([], INPUT_ERROR_VERDICT, ["autonoma.yml:3:5: unknown key 'test'"]))
    assert [element.text_content().strip() for element in page.xpath("//ul[@class='problems']/li")] == [
        "autonoma.yml:3:5: unknown key 'test'"
    ]


def test_build_context_is_shown() -> None:
    """The page shows commit, branch, pull request and a link to the build."""
    run_report = create_report([make_passed_run("a")], PASSED_VERDICT)
    run_report = run_report._replace(context=run_report.context._replace(build_url="https://ci.test/build/7"))
    page = parse_page(run_report)
    facts = {element.xpath("string(dt)"): element.xpath("string(dd)") for element in page.xpath("//header//dl/div")}
    assert facts["Commit"] == "0123456789ab"
    assert facts["Branch"] == "feature/a_b"
    assert facts["Pull request"] == "12"
    assert page.xpath("//header//dl//a/@href") == ["https://ci.test/build/7"]


def test_failing_step_needs_no_evidence() -> None:
    """The page shows the failing step without any screenshots."""
    page = parse_page(create_report([make_failed_run("a")], FAILED_VERDICT))
    step = page.xpath("//li[contains(@class, 'step bad')]")[0]
    assert "Check the result" in step.text_content()
    assert "Expected a confirmation" in step.text_content()
    assert step.get("value") == "4"


def test_steps_link_screenshots_and_video() -> None:
    """Each step has its screenshot and each run has its video."""
    steps = (RunStep(1, "Open", "", "", "passed", "evidence/r/step-001.png"), RunStep(2, "Pay", "No", "", "failed"))
    run = make_failed_run("a")._replace(evidence=Evidence(steps, "evidence/r/video.webm"), step=steps[1])
    page = parse_page(create_report([run], FAILED_VERDICT))
    assert page.xpath("//img/@src") == page.xpath("//a[@class='shot']/@href") == ["evidence/r/step-001.png"]
    assert page.xpath("//img/@alt")[0].startswith("Screenshot of step 1")
    assert page.xpath("//a[starts-with(text(), 'Video')]/@href") == ["evidence/r/video.webm"]
    assert page.xpath("//article//details/@open")


def test_missing_file_is_hidden() -> None:
    """A screenshot that the page can't reach is left out."""
    steps = (RunStep(1, "Open", "", "", "passed", "evidence/r/step-001.png"),)
    run = make_failed_run("a")._replace(evidence=Evidence(steps, "evidence/r/video.webm"))
    page = parse_page(create_report([run], FAILED_VERDICT), AssetLinks(lambda _: ""))
    assert page.xpath("//img | //a[@class='shot']") == []


def test_lost_evidence_is_reported() -> None:
    """The page has the reason for missing files."""
    run = make_failed_run("a")._replace(evidence=Evidence((), "", "2 of its files: HTTP 404"))
    assert "Not kept: 2 of its files: HTTP 404" in parse_page(create_report([run], FAILED_VERDICT)).text_content()


def test_attempts_have_links() -> None:
    """Each failed attempt has a link to its run."""
    page = parse_page(create_report([make_flaky_run("a")], PASSED_VERDICT))
    attempt = page.xpath("//section[@class='attempt']")[0]
    assert "Attempt 1" in attempt.text_content()
    assert attempt.xpath(".//a/@href")[0] == "https://autonoma.app/run/first-of-a"


def test_indeterminate_run_links_to_web_app() -> None:
    """A run that may have started has a link to look for it."""
    page = parse_page(
        create_report([make_indeterminate_run("a")], FAILED_VERDICT)._replace(web_base_url="https://autonoma.app")
    )
    assert page.xpath("//article//a[starts-with(text(), 'Look here')]/@href") == ["https://autonoma.app"]


def test_wait_command_follows_open_runs() -> None:
    """The command to wait is left out if all runs ended."""
    run_report = create_report([make_timed_out_run("a")], FAILED_VERDICT)._replace(
        resume_command="autonoma-ci wait results/results.json"
    )
    assert "autonoma-ci wait results/results.json" in parse_page(run_report).text_content()
    run_report = create_report([make_passed_run("a")], FAILED_VERDICT)._replace(
        resume_command="autonoma-ci wait results/results.json"
    )
    assert "autonoma-ci wait" not in parse_page(run_report).text_content()


def test_filters_match_states() -> None:
    """Filters exist only for the states of the runs."""
    assert parse_page(create_report(RUNS_OF_ALL_KINDS, FAILED_VERDICT)).xpath("//fieldset//input/@id") == [
        "show-all", "show-bad", "show-flaky", "show-open", "show-good",
    ]  # fmt: skip
    assert (
        parse_page(create_report([make_passed_run("a"), make_passed_run("b")], PASSED_VERDICT)).xpath("//fieldset")
        == []
    )


def test_icon_differs_by_result() -> None:
    """The icon of the page differs for passed, failed and running steps."""
    icons = {
        asset_files(create_report([], verdict))["evidence/report.svg"]
        for verdict in (PASSED_VERDICT, FAILED_VERDICT, None)
    }
    assert len(icons) == 3


def test_every_state_has_label() -> None:
    """Each state of a run has a text on the page."""
    for state in RunState:
        assert list_states(create_report([make_started_run("a")._replace(state=state)], FAILED_VERDICT))
