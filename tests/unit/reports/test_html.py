"""Tests of the content of report.html, of its runs and of its chart."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import lxml.html
import pytest
from hypothesis import given

from autonoma_ci.models import (
    AppVersion,
    ChangeSummary,
    Evidence,
    ExitReason,
    PreviousAttempt,
    Quarantine,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)
from autonoma_ci.reports.html import (
    AMBER,
    GREEN,
    GREY,
    MAX_BARS,
    MAX_LABELED,
    RED,
    STATE_SYMBOLS,
    AssetLinks,
    TimelineChart,
    asset_files,
    build_run_view,
    build_timeline_chart,
    render_html,
)
from autonoma_ci.reports.summary import RunCategory
from tests.support.hostile import REPORTS
from tests.support.reports import (
    CANCELLED_VERDICT,
    FAILED_VERDICT,
    FLAKY_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    RUNS_OF_ALL_KINDS,
    STEP,
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
    assert len(page.xpath("//tbody/tr[not(contains(@class, 'section'))]")) == len(run_report.results)


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
        "failed", "not started", "may have started", "timed out", "planned", "started",
        "passed, flaky", "failed, quarantined until 2026-12-31", "passed",
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


def read_facts(element: lxml.html.HtmlElement) -> dict[str, str]:
    """Return the facts of the build or of a run by name."""
    return {fact.xpath("string(dt)"): fact.xpath("string(dd)") for fact in element.xpath(".//dl/div")}


def test_plan_facts_are_shown() -> None:
    """The header has environment and changed files, and notes have the rest."""
    run = make_passed_run("a")
    run = run._replace(request=run.request._replace(environment="staging"))
    run_report = create_report([run], PASSED_VERDICT)._replace(
        change=ChangeSummary("clone", "a" * 40, 12, "autonoma.yml changed"), quarantined_by_change=("Checkout",)
    )
    page = parse_page(run_report)
    facts = read_facts(page.xpath("//header")[0])
    assert facts["Environment"] == "staging"
    assert facts["Changed files"] == "12, compared with aaaaaaaaaaaa (from the clone)"
    assert [note.text_content() for note in page.xpath("//p[@class='note']")] == [
        "`when` left nothing out: autonoma.yml changed.",
        "Quarantined by this change: Checkout.",
    ]


def test_attempts_in_quarantine_do_not_count() -> None:
    """A failed attempt of a run in quarantine is shown like its failure."""
    run = make_flaky_run("a")
    run_report = create_report([quarantine_run(run), run], PASSED_VERDICT)
    states = parse_page(run_report).xpath("//h4/span[1]/@class")
    assert states == ["state quarantined", "state bad"]


def test_owner_is_in_each_row() -> None:
    """The table names the owner of a run with and without details."""
    runs = [
        run._replace(request=run.request._replace(owner="@web")) for run in (make_failed_run("a"), make_passed_run("b"))
    ]
    rows = parse_page(create_report(runs, FAILED_VERDICT)).xpath("//tbody/tr[contains(@class, 'run')]/th[@scope='row']")
    assert ["@web" in row.text_content() for row in rows] == [True, True]


def test_each_category_has_heading() -> None:
    """Failures in quarantine and flaky runs have sections of their own."""
    page = parse_page(create_report(RUNS_OF_ALL_KINDS, FAILED_VERDICT))
    assert [row.text_content() for row in page.xpath("//tr[contains(@class, 'section')]")] == [
        "Problems", "Not ended", "Flaky", "Failed in quarantine, not counted", "Passed",
    ]  # fmt: skip
    plain = create_report([make_failed_run("a"), make_passed_run("b")], FAILED_VERDICT)
    assert parse_page(plain).xpath("//tr[contains(@class, 'section')]") == []


def test_flaky_runs_can_be_failures() -> None:
    """With on-flaky: fail, flaky runs are expanded and their heading says why."""
    run_report = create_report([make_flaky_run("a"), make_passed_run("b")], FLAKY_VERDICT)
    assert "Flaky, counted as failed" in parse_page(run_report).text_content()
    run = make_flaky_run("a")
    run = run._replace(request=run.request._replace(rerun_command="autonoma-ci run --test-ids a"))
    view = build_run_view(1, run, run_report, lambda path: path)
    assert (view["is_expanded"], view["rerun_command"]) == (True, "autonoma-ci run --test-ids a")


def test_run_has_owner_quarantine_and_command() -> None:
    """The details of a failure in quarantine have all facts and the command."""
    run = make_quarantined_run("a", "A")
    request = run.request._replace(owner="@web", rerun_command="autonoma-ci run --only '<a>&b'")
    run_report = create_report([run._replace(request=request)], PASSED_VERDICT)._replace(option_variables=("LOCALE",))
    page = parse_page(run_report)
    [article] = page.xpath("//article")
    facts = read_facts(article)
    assert (facts["Owner"], facts["Quarantine"]) == ("@web", "until 2026-12-31: Login mail is late")
    assert article.xpath(".//dd/a/@href") == ["https://issues.example/7"]
    assert article.xpath("string(.//code)") == "autonoma-ci run --only '<a>&b'"
    assert "Add --var for LOCALE." in page.text_content()


@pytest.mark.parametrize("issue", ["javascript:alert(1)", "http://issues.example/7", "#7"])
def test_unsafe_issue_is_text(issue: str) -> None:
    """Only a safe https URL is a link."""
    run = make_quarantined_run("a", "A")
    run = run._replace(request=run.request._replace(quarantine=Quarantine("2026-12-31", "Late", issue)))
    [article] = parse_page(create_report([run], PASSED_VERDICT)).xpath("//article")
    assert read_facts(article)["Issue"] == issue
    assert article.xpath(".//dd/a") == []


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
    assert page.xpath("//img/@alt")[0].startswith("Screenshot of test step 1")
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
    run = make_failed_run("a")._replace(evidence=Evidence((), "", "2 files: HTTP 404"))
    assert "Missing evidence: 2 files: HTTP 404" in parse_page(create_report([run], FAILED_VERDICT)).text_content()


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
    assert page.xpath("//article//a[starts-with(text(), 'Open Autonoma')]/@href") == ["https://autonoma.app"]


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
        "show-all", "show-bad", "show-open", "show-flaky", "show-quarantined", "show-good",
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


# Runs


WEB = "https://autonoma.app"
UNSAFE_URLS = [
    "javascript:alert(1)", "http://autonoma.app/run", "https://user:pw@autonoma.app/", "data:text/html,x", "/run", "",
    "https://autonoma.app/\"><script>alert(1)</script>", "https://autonoma.app/\nx", "https://[::1",
]  # fmt: skip


def get_file_url(path: str) -> str:
    return f"files/{path}"


def build_view(
    run: RunResult, *, index: int = 1, waits_for_results: bool = True, web_base_url: str = WEB
) -> dict[str, Any]:
    return build_run_view(
        index, run, build_step_report(run, waits_for_results=waits_for_results, web_base_url=web_base_url), get_file_url
    )


def build_step_report(run: RunResult, *, waits_for_results: bool = True, web_base_url: str = WEB) -> Report:
    return create_report([run], FAILED_VERDICT)._replace(waits_for_results=waits_for_results, web_base_url=web_base_url)


def make_request(kind: TargetKind = TargetKind.TEST, **fields: Any) -> RunResult:
    """Return a run with this request."""
    return make_passed_run("a")._replace(request=RunRequest(kind, "id-1", **fields))


@pytest.mark.parametrize(
    ("run", "severity"),
    [
        (make_passed_run("a"), "good"),
        (make_flaky_run("a"), "flaky"),
        (make_failed_run("a"), "bad"),
        (make_failed_run("a")._replace(previous_attempts=make_flaky_run("a").previous_attempts), "bad"),
        (make_passed_run("a")._replace(state=RunState.STOPPED), "bad"),
        (make_timed_out_run("a"), "bad"),
        (make_rejected_run("a"), "bad"),
        (make_indeterminate_run("a"), "bad"),
        (make_started_run("a"), "open"),
        (make_planned_run("a"), "open"),
        (make_planned_run("a")._replace(state=RunState.STARTING), "open"),
        (make_quarantined_run("a"), "quarantined"),
        (quarantine_run(make_timed_out_run("a")), "quarantined"),
        (quarantine_run(make_passed_run("a")), "good"),
        (quarantine_run(make_rejected_run("a")), "bad"),
        (quarantine_run(make_indeterminate_run("a")), "bad"),
    ],
)
def test_severity_of_each_state(run: RunResult, severity: str) -> None:
    """Each state has a severity, and a problem is expanded."""
    view = build_view(run)
    assert view["severity"] == severity
    assert view["symbol"] == STATE_SYMBOLS[RunCategory(severity)]
    assert view["is_expanded"] is (severity == "bad")


def test_symbols_are_distinct() -> None:
    """Readers who see no colours distinguish the severities."""
    assert len(set(STATE_SYMBOLS.values())) == len(STATE_SYMBOLS) == 5


def test_anchor_has_position_of_run() -> None:
    """The name of a run is untrusted, so its position names the anchor."""
    assert build_view(make_passed_run('a"b<c>', "x"), index=12)["anchor"] == "run-12"


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (make_flaky_run("a"), "passed, flaky"),
        (make_timed_out_run("a"), "timed out"),
        (make_indeterminate_run("a"), "may have started"),
        (make_indeterminate_run("a")._replace(run_id="r"), "result unknown"),
        (make_passed_run("a")._replace(reused=True), "passed in an earlier attempt"),
    ],
)
def test_state_has_words(run: RunResult, state: str) -> None:
    """The view states the result in words."""
    assert build_view(run)["state"] == state


@pytest.mark.parametrize(
    ("run", "duration"),
    [
        (make_passed_run("a"), "42 s"),
        (make_failed_run("a"), "1 min 5 s"),
        (make_passed_run("a")._replace(state=RunState.STOPPED), "42 s"),
        (make_passed_run("a")._replace(reused=True), ""),
        (make_timed_out_run("a"), ""),
        (make_started_run("a"), ""),
        (make_rejected_run("a")._replace(duration_seconds=3.0), ""),
    ],
)
def test_duration_is_of_ended_runs(run: RunResult, duration: str) -> None:
    """Only a run that ended in this build attempt has a duration."""
    assert build_view(run)["duration"] == duration


@pytest.mark.parametrize(
    ("run", "waits_for_results", "start_offset"),
    [
        (make_flaky_run("a"), True, "31 s"),
        (make_flaky_run("a"), False, ""),
        (make_passed_run("a"), True, ""),
        (make_flaky_run("a")._replace(start_offset_seconds=-5.0), True, ""),
        (make_started_run("a")._replace(start_offset_seconds=31.0), True, ""),
    ],
)
def test_start_is_shown_after_waiting(run: RunResult, waits_for_results: bool, start_offset: str) -> None:
    """The start is shown for ended runs of a step that waits for them."""
    assert build_view(run, waits_for_results=waits_for_results)["start_offset"] == start_offset


def test_link_opens_run() -> None:
    """A run with a safe link has this link."""
    view = build_view(make_passed_run("a"))
    assert (view["link"], view["link_text"]) == ("https://autonoma.app/run/run-a", "Open the run")


@pytest.mark.parametrize("url", UNSAFE_URLS)
def test_unsafe_link_is_omitted(url: str) -> None:
    """Only links that are safe to follow reach the page, for runs, attempts and steps."""
    attempt = PreviousAttempt("r", url)
    step = RunStep(1, "Open", url=url)
    view = build_view(make_failed_run("a")._replace(url=url, previous_attempts=(attempt,), evidence=Evidence((step,))))
    assert view["link"] == view["attempts"][0]["link"] == view["steps"][0]["link"] == ""
    assert view["steps"][0]["page"] == url


@pytest.mark.parametrize(
    ("run", "web_base_url", "link"),
    [
        (make_indeterminate_run("a"), WEB, WEB),
        (make_indeterminate_run("a"), "javascript:alert(1)", ""),
        (make_indeterminate_run("a"), "", ""),
        (make_indeterminate_run("a")._replace(run_id="r"), WEB, ""),
        (make_rejected_run("a"), WEB, ""),
        (make_planned_run("a"), WEB, ""),
    ],
)
def test_unknown_run_links_to_web_app(run: RunResult, web_base_url: str, link: str) -> None:
    """A run that may have started without a known id has a link to look for it."""
    view = build_view(run, web_base_url=web_base_url)
    assert (view["link"], view["link_text"]) == (link, "Open Autonoma")


@pytest.mark.parametrize(
    ("run", "facts"),
    [
        (make_request(), {"Run": "run-a"}),
        (make_request(name="Checkout"), {"Test": "id-1", "Run": "run-a"}),
        (make_request(TargetKind.FOLDER, name="Checkout"), {"Folder": "id-1", "Run": "run-a"}),
        (make_request(TargetKind.TAG)._replace(title="Smoke", run_id=""), {"Tag": "id-1"}),
        (make_request(application_version_id="v1"), {"Run": "run-a", "Version": "v1"}),
        (make_request(run_on_latest=True), {"Run": "run-a", "Version": "latest"}),
        (
            make_request(TargetKind.TAG, application_versions=(AppVersion("a", "v2"), AppVersion("b", "v3"))),
            {"Run": "run-a", "Version": "v2, v3"},
        ),
        (make_flaky_run("a")._replace(title=""), {"Run": "run-a", "Attempts": "2"}),
        (make_rejected_run("a")._replace(previous_attempts=make_flaky_run("a").previous_attempts), {"Attempts": "2"}),
    ],
)
def test_facts_have_no_empty_texts(run: RunResult, facts: dict[str, str]) -> None:
    """The view has each known fact of the run."""
    assert build_view(run)["facts"] == facts


def test_values_of_variables_are_hidden() -> None:
    """The view has the names of variables alone."""
    view = build_view(make_request(variables={"PASSWORD": "s3cret-value", "LOCALE": "de"}))
    assert view["facts"]["Variables"] == "PASSWORD, LOCALE"
    assert "s3cret-value" not in repr(view)


@pytest.mark.parametrize(
    ("run", "notes"),
    [
        (make_rejected_run("a", "HTTP 404", "Check the id."), ["HTTP 404", "Check the id."]),
        (make_rejected_run("a", "", "Check the id."), ["Check the id."]),
        (make_rejected_run("a", "HTTP 404", ""), ["HTTP 404"]),
        (make_timed_out_run("a"), ["still running after 30 min"]),
        (make_started_run("a"), []),
        (make_passed_run("a")._replace(suggestion="Wait."), []),
        (make_planned_run("a")._replace(message="queued"), []),
    ],
)
def test_notes_are_message_and_suggestion(run: RunResult, notes: list[str]) -> None:
    """The message of the API is shown unless it only states the start."""
    view = build_view(run)
    assert view["notes"] == notes
    assert view["has_details"] is bool(notes)


@pytest.mark.parametrize(
    "run",
    [
        make_flaky_run("a"),
        make_failed_run("a"),
        make_passed_run("a")._replace(evidence=Evidence((RunStep(1),))),
        make_passed_run("a")._replace(evidence=Evidence(video="evidence/r/video.webm")),
        make_passed_run("a")._replace(evidence=Evidence(missing_reason="HTTP 404")),
    ],
)
def test_details_need_content(run: RunResult) -> None:
    """Attempts, steps, a video and missing files are details."""
    assert build_view(run)["has_details"] is True
    assert build_view(make_passed_run("a"))["has_details"] is False


def test_failing_step_is_only_step_without_evidence() -> None:
    """Without evidence, the only step is the one that failed."""
    view = build_view(make_failed_run("a"))
    assert view["steps_label"] == "Failed test step"
    assert view["steps"] == [
        {
            "omitted_note": "",
            "number": 4,
            "severity": "bad",
            "symbol": "✗",
            "status": "failed",
            "instruction": STEP.instruction,
            "output": STEP.output,
            "page": STEP.url,
            "link": STEP.url,
            "image": "",
        }
    ]


def test_steps_have_severity_and_file() -> None:
    """Each step of the evidence has its result and the URL of its screenshot."""
    steps = (
        RunStep(1, "Open", "done", "https://shop.test/", "passed", "evidence/r/step-001.png"),
        RunStep(2, "Wait", "", "", "waiting"),
        RunStep(3, "Look", "", "", ""),
        RunStep(4, "", "", "https://shop.test/pay", "errored", "evidence/r/step-004.png"),
    )
    view = build_view(
        make_failed_run("a")._replace(evidence=Evidence(steps, "evidence/r/video.webm", "1 file: HTTP 404"))
    )
    assert [(step["severity"], step["status"]) for step in view["steps"]] == [
        ("good", "passed"), ("open", "waiting"), ("open", ""), ("bad", "errored"),
    ]  # fmt: skip
    assert [step["image"] for step in view["steps"]] == [
        "files/evidence/r/step-001.png", "", "", "files/evidence/r/step-004.png",
    ]  # fmt: skip
    assert view["steps_label"] == "4 test steps"
    assert view["video"] == "files/evidence/r/video.webm"
    assert view["missing_reason"] == "1 file: HTTP 404"


def test_failing_step_has_detailed_texts() -> None:
    """The failing step has the texts of the run's result, and the page of the evidence."""
    steps = (RunStep(4, "short", "short", "https://shop.test/evidence", "failed"),)
    [step] = build_view(make_failed_run("a")._replace(evidence=Evidence(steps)))["steps"]
    assert (step["instruction"], step["output"]) == (STEP.instruction, STEP.output)
    assert (step["page"], step["status"]) == ("https://shop.test/evidence", "failed")


@pytest.mark.parametrize(
    ("numbers", "notes"),
    [
        ((1, 2, 3), ["", "", ""]),
        ((1, 3), ["", "1 more test step not shown."]),
        ((1, 2, 199, 201), ["", "", "196 more test steps not shown.", "1 more test step not shown."]),
        ((5, 6), ["", ""]),
    ],
)
def test_omitted_steps_are_counted(numbers: tuple[int, ...], notes: list[str]) -> None:
    """A gap between two steps has a note with the number of missing steps."""
    view = build_view(make_passed_run("a")._replace(evidence=Evidence(tuple(map(RunStep, numbers)))))
    assert [step["omitted_note"] for step in view["steps"]] == notes
    assert view["steps_label"] == f"{numbers[-1]} test steps"


def test_one_step_is_singular() -> None:
    """The label of one step has no plural."""
    assert build_view(make_passed_run("a")._replace(evidence=Evidence((RunStep(1),))))["steps_label"] == "1 test step"


def test_attempts_have_own_evidence() -> None:
    """Each failed attempt has its number, time, link, message and evidence."""
    attempts = (
        PreviousAttempt("r1", "https://autonoma.app/run/r1", "No button", STEP, 0.0, 30.0, Evidence(video="v1.webm")),
        PreviousAttempt("r2"),
    )
    first, second = build_view(make_passed_run("a")._replace(previous_attempts=attempts))["attempts"]
    assert (first["number"], first["duration"], first["message"]) == (1, "30 s", "No button")
    assert (first["link"], first["video"]) == ("https://autonoma.app/run/r1", "files/v1.webm")
    assert [step["number"] for step in first["steps"]] == [4]
    assert (second["number"], second["duration"], second["link"], second["steps"]) == (2, "", "", [])


def test_missing_file_has_no_url() -> None:
    """A file that the page can't reach has an empty URL."""
    steps = (RunStep(1, screenshot="evidence/r/step-001.png"),)
    run = make_failed_run("a")._replace(evidence=Evidence(steps, "evidence/r/video.webm"), reason=ExitReason.FAILED)
    view = build_run_view(1, run, build_step_report(run), lambda _: "")
    assert (view["steps"][0]["image"], view["video"]) == ("", "")


# Chart


def draw_chart(*runs: RunResult, seconds: float = 100.0) -> TimelineChart:
    """Return the chart of a step that waits for these runs."""
    run_report = create_report(runs, FAILED_VERDICT)._replace(waits_for_results=True, duration_seconds=seconds)
    chart = build_timeline_chart(run_report)
    assert chart
    return chart


def get_bars(*runs: RunResult) -> list[tuple[float, float, str, str]]:
    return [(bar.left, bar.width, bar.symbol, bar.label) for bar in draw_chart(*runs).bars]


def test_chart_has_bar_per_attempt() -> None:
    """Each run and attempt is a bar at its time."""
    first = make_passed_run("a", "First", 50.0)
    second = make_passed_run("b", "Second", 50.0)._replace(start_offset_seconds=50.0)
    assert get_bars(first, second) == [(0.0, 50.0, "✓", "First"), (50.0, 50.0, "✓", "Second")]
    flaky_bars = get_bars(make_flaky_run("c"))
    assert [bar[2] for bar in flaky_bars] == ["✗", "⚠"]


@pytest.mark.parametrize(
    ("run", "colour", "symbol"),
    [
        (make_passed_run("a"), GREEN, "✓"),
        (make_failed_run("a"), RED, "✗"),
        (make_passed_run("a")._replace(state=RunState.STOPPED), RED, "✗"),
        (make_timed_out_run("a"), GREY, "…"),
        (make_started_run("a"), GREY, "…"),
        (make_passed_run("a")._replace(state=RunState.UNKNOWN), GREY, "…"),
    ],
)
def test_bar_has_colour_and_symbol(run: RunResult, colour: str, symbol: str) -> None:
    """The result of a run is visible with and without colours."""
    [bar] = draw_chart(run).bars
    assert (bar.colour, bar.symbol) == (colour, symbol)


def test_flaky_run_has_red_and_amber_bar() -> None:
    """The failed attempt and the passed retry of a flaky run differ."""
    assert [bar.colour for bar in draw_chart(make_flaky_run("a")).bars] == [RED, AMBER]


def test_bars_stay_inside_chart() -> None:
    """Each bar begins and ends within the width of the chart."""
    runs = [make_passed_run(f"t{n}", seconds=n / 7)._replace(start_offset_seconds=n * 1.3) for n in range(60)]
    for left, width, *_ in get_bars(*runs):
        assert 0 <= left <= 100
        assert width > 0
        assert left + width <= 100.01


def test_short_bar_at_end_is_visible() -> None:
    """A bar that is too short for the screen has a least width, at the right end too."""
    short_run = make_passed_run("b", seconds=0.001)._replace(start_offset_seconds=1000.0)
    last_bar = get_bars(make_passed_run("a", seconds=10.0), short_run)[1]
    assert last_bar[:2] == (99.7, 0.3)


@pytest.mark.parametrize("count", [2, MAX_LABELED, MAX_LABELED + 1])
def test_rows_are_apart(count: int) -> None:
    """Bars do not overlap, and the last one ends above the end of the chart."""
    chart = draw_chart(*[make_passed_run(f"t{n}") for n in range(count)])
    assert all(upper.top + upper.height < lower.top for upper, lower in pairwise(chart.bars))
    assert chart.bars[0].top >= 0
    assert chart.bars[-1].top + chart.bars[-1].height <= chart.height


def test_chart_is_omitted_without_durations() -> None:
    """Runs without a duration have no chart."""
    assert (
        build_timeline_chart(
            create_report([make_planned_run("a"), make_rejected_run("b")], FAILED_VERDICT)._replace(
                waits_for_results=True
            )
        )
        is None
    )
    assert build_timeline_chart(create_report([make_started_run("a")])) is None
    assert (
        build_timeline_chart(
            create_report([make_passed_run("a")._replace(reused=True)], PASSED_VERDICT)._replace(waits_for_results=True)
        )
        is None
    )


def test_step_that_only_starts_has_no_chart() -> None:
    """Without a wait for results, the durations are those of the start requests."""
    run_report = create_report([make_passed_run("a"), make_passed_run("b")], PASSED_VERDICT)
    assert build_timeline_chart(run_report) is None
    assert build_timeline_chart(run_report._replace(waits_for_results=True))


@pytest.mark.parametrize(
    ("count", "has_labels", "bar_count", "omitted_count"),
    [
        (MAX_LABELED, True, MAX_LABELED, 0),
        (MAX_LABELED + 1, False, MAX_LABELED + 1, 0),
        (MAX_BARS, False, MAX_BARS, 0),
        (MAX_BARS + 1, False, MAX_BARS, 1),
        (MAX_BARS + 5, False, MAX_BARS, 5),
    ],
)
def test_chart_limits_labels_and_bars(count: int, has_labels: bool, bar_count: int, omitted_count: int) -> None:
    """Labels are left out above one limit, and bars above another."""
    chart = draw_chart(*[make_passed_run(f"t{n}") for n in range(count)])
    assert (chart.has_labels, len(chart.bars), chart.omitted_count) == (has_labels, bar_count, omitted_count)


def test_attempts_count_for_label_limit() -> None:
    """Each attempt needs a row, so it counts like a run."""
    assert draw_chart(*[make_flaky_run(f"t{n}") for n in range(MAX_LABELED // 2)]).has_labels
    assert not draw_chart(*[make_flaky_run(f"t{n}") for n in range(MAX_LABELED // 2)], make_passed_run("a")).has_labels


@pytest.mark.parametrize(("other_count", "limit"), [(0, 40), (MAX_LABELED, 80)])
def test_long_label_is_cut(other_count: int, limit: int) -> None:
    """A label is longer where it is only shown for the bar under the pointer."""
    runs = [make_passed_run("a", "x" * 500), *(make_passed_run(f"t{n}") for n in range(other_count))]
    assert draw_chart(*runs).bars[0].label == "x" * (limit - 1) + "…"


def test_description_of_bar_without_label() -> None:
    """Without labels, the description of a bar names the state too."""
    assert [bar.description for bar in draw_chart(make_flaky_run("a")).bars] == ["attempt 1, 30 s", "42 s"]
    many_bars_chart = draw_chart(make_flaky_run("a"), *(make_passed_run(f"t{n}") for n in range(MAX_LABELED)))
    descriptions = {bar.description for bar in many_bars_chart.bars}
    assert descriptions == {"failed, attempt 1, 30 s", "flaky, 42 s", "passed, 42 s"}


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([make_passed_run("a", seconds=65.0)], "1 run within 1 min 5 s. The table below has the same times."),
        ([make_flaky_run("a"), make_flaky_run("b")], "2 runs within 1 min 13 s. The table below has the same times."),
    ],
)
def test_description_counts_runs(runs: list[RunResult], text: str) -> None:
    """The description counts runs and not attempts."""
    assert draw_chart(*runs).description == text


@pytest.mark.parametrize("seconds", [0.001, 0.4, 3.0, 59.0, 61.0, 1800.0, 86_000.0, 900_000.0])
def test_axis_has_few_round_ticks(seconds: float) -> None:
    """The axis begins at 0 and has at most six ticks."""
    chart = draw_chart(make_passed_run("a", seconds=seconds))
    assert 1 <= len(chart.ticks) <= 6
    assert chart.ticks[0] == (0.0, "0")
    assert all(0 <= left < 97 for left, _ in chart.ticks)


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (0.5, [(0.0, "0")]),
        (4.0, [(0.0, "0"), (25.0, "1.0 s"), (50.0, "2.0 s"), (75.0, "3.0 s")]),
        (4.1, [(0.0, "0"), (48.78, "2.0 s")]),
        (42.0, [(0.0, "0"), (35.714, "15 s"), (71.429, "30 s")]),
        (7200.0, [(0.0, "0"), (25.0, "30 min"), (50.0, "1 h"), (75.0, "1 h 30 min")]),
        (345_601.0, [(0.0, "0"), (25.0, "24 h"), (50.0, "48 h"), (75.0, "72 h")]),
    ],
)
def test_ticks_have_round_times(seconds: float, ticks: list[tuple[float, str]]) -> None:
    """The distance of the ticks is a time that readers expect on a clock."""
    assert draw_chart(make_passed_run("a", seconds=seconds)).ticks == ticks


def test_attempt_without_duration_is_drawn() -> None:
    """A chart of attempts that took no time has a valid scale."""
    attempt = make_flaky_run("a").previous_attempts[0]._replace(duration_seconds=0.0)
    chart = draw_chart(make_rejected_run("a")._replace(previous_attempts=(attempt,)))
    assert [(bar.left, bar.width, bar.description) for bar in chart.bars] == [(0.0, 0.3, "attempt 1, 0.0 s")]
    assert chart.ticks == [(0.0, "0")]
