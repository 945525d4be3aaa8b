"""Contents of junit.xml for CI systems and their parsers."""

from __future__ import annotations

from importlib import import_module
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import junitparser
from lxml import etree

from autonoma_ci.models import Evidence, ExitReason, Report, RunRequest, RunResult, RunState, RunStep, TargetKind
from autonoma_ci.reports.junit import render_junit
from tests.support.hostile import ANY_CHARACTER, INPUT_ERROR_REPORTS, REPORTS, TEXTS
from tests.support.junit_readers import Failure, read_as_bitrise, read_as_jenkins
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
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
    from types import ModuleType
    from xml.etree.ElementTree import Element

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))
RESULTS = ("failure", "error", "skipped")


def parse_suite(run_report: Report) -> Element:
    """Validate junit.xml against its schema, and return the suite."""
    junit_xml = render_junit(run_report)
    SCHEMA.assertValid(etree.fromstring(junit_xml))
    (suite,) = ET.fromstring(junit_xml)
    return suite


def parse_case(outcome: RunResult, run_report: Report | None = None) -> Element:
    (case,) = parse_suite((run_report or create_report())._replace(results=(outcome,)))
    return case


def read_result(case: Element) -> tuple[str, str, str]:
    """Return element, type and message of the result, empty if it passed."""
    results = [child for child in case if child.tag in RESULTS]
    assert len(results) <= 1
    return next(
        ((element.tag, element.get("type", ""), element.get("message", "")) for element in results), ("", "", "")
    )


def read_text(case: Element, tag: str) -> str:
    return case.findtext(tag) or ""


def read_properties(case: Element) -> dict[str, str]:
    return {element.get("name", ""): element.get("value", "") for element in case.iter("property")}


def test_report_is_one_suite() -> None:
    """A report is one suite with one case per run."""
    suite = parse_suite(
        create_report(
            [make_passed_run("a", "A"), make_failed_run("b"), make_timed_out_run("c"), make_planned_run("d")],
            FAILED_VERDICT,
        )._replace(duration_seconds=70.0)
    )
    assert suite.attrib == {
        "name": "Autonoma tests",
        "timestamp": "2025-01-02T03:04:05Z",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "70.0",
    }
    assert [case.attrib for case in suite] == [
        {"name": name, "classname": "autonoma.test", "file": f"autonoma/test/{test_id}", "time": time}
        for name, test_id, time in [
            ("A", "a", "42.0"),
            ("Checkout pays by card", "b", "65.0"),
            ("c", "c", "1800.0"),
            ("d", "d", "0.0"),
        ]
    ]


@pytest.mark.parametrize("kind", TargetKind)
def test_kind_is_class(kind: TargetKind) -> None:
    """The class and the file of a case have the kind of its target."""
    case = parse_case(RunResult(RunRequest(kind, "a")))
    assert case.get("classname") == f"autonoma.{kind}"
    assert case.get("file") == f"autonoma/{kind}/a"


STOPPED = make_started_run("a")._replace(state=RunState.STOPPED, message="cancelled on the server")
UNKNOWN_STATUS = make_started_run("a")._replace(state=RunState.UNKNOWN, message="the API says `paused`")
NOT_SENT = make_rejected_run("a", "not sent: the job was cancelled")._replace(reason=ExitReason.CANCELLED)
STARTING = make_planned_run("a")._replace(state=RunState.STARTING)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (make_passed_run("a"), ("", "", "")),
        (make_flaky_run("a"), ("", "", "")),
        (make_failed_run("a"), ("failure", "failed", "failed at test step 4: Check the result")),
        (make_failed_run("a")._replace(step=None), ("failure", "failed", "failed")),
        (make_failed_run("a")._replace(step=None, message="HTTP 500"), ("failure", "failed", "failed: HTTP 500")),
        (STOPPED, ("error", "stopped", "stopped: cancelled on the server")),
        (make_timed_out_run("a"), ("error", "timeout", "still running after 30 min")),
        (make_rejected_run("a"), ("error", "not-found", "not started: HTTP 404: Not found")),
        (
            make_rejected_run("a")._replace(reason=ExitReason.OK),
            ("error", "not-started", "not started: HTTP 404: Not found"),
        ),
        (NOT_SENT, ("skipped", "cancelled", "not started: not sent: the job was cancelled")),
        (make_indeterminate_run("a"), ("error", "unknown", "may have started: no answer came in time")),
        (UNKNOWN_STATUS, ("error", "unknown", "result unknown: the API says `paused`")),
        (STARTING, ("error", "unknown", "starting")),
        (make_planned_run("a"), ("skipped", "planned", "not sent")),
        (make_started_run("a"), ("skipped", "started", "started without a wait for the result")),
    ],
)
def test_state_has_its_result_element(outcome: RunResult, expected: tuple[str, str, str]) -> None:
    """Each state is shown as passed, failure, error or skipped."""
    case = parse_case(outcome)
    assert read_result(case) == expected
    if expected[0]:
        # GitLab shows only the text.
        assert read_text(case, expected[0]).splitlines()[0] == expected[2]


def test_run_left_running_is_skipped() -> None:
    """A run whose result is unknown is not shown as passed."""
    case = parse_case(
        make_started_run("a"),
        create_report(verdict=CANCELLED_VERDICT)._replace(
            waits_for_results=True, resume_command="autonoma-ci wait results.json"
        ),
    )
    assert read_result(case) == ("skipped", "started", "still running at the end of the step")
    assert "To wait for the result: autonoma-ci wait results.json" in read_text(case, "skipped")


def test_dry_run_is_skipped() -> None:
    """All runs of a dry run count as skipped."""
    assert (
        parse_suite(create_report([make_planned_run("a"), make_planned_run("b")], DRY_RUN_VERDICT)).get("skipped")
        == "2"
    )


def test_failure_has_step_page_and_link() -> None:
    """The text of a failure has the failed step, its output, the page and the run's link."""
    text = read_text(parse_case(make_failed_run("a")), "failure").splitlines()
    assert text == [
        f"failed at test step 4: {STEP.instruction}",
        STEP.output,
        f"Page: {STEP.url}",
        "Run: https://autonoma.app/run/run-a",
    ]


def test_refused_run_has_suggestion() -> None:
    """The error of a refused run ends with the suggestion."""
    assert (
        read_text(parse_case(make_rejected_run("a", hint="Check the id.")), "error").splitlines()[-1] == "Check the id."
    )


def test_indeterminate_run_links_to_web_app() -> None:
    """A run that may have started has a link to look for it."""
    run_report = create_report()._replace(web_base_url="https://autonoma.app")
    assert "See https://autonoma.app" in read_text(parse_case(make_indeterminate_run("a"), run_report), "error")


def test_link_is_in_output_and_properties() -> None:
    """The link of a run is in system-out and in the properties."""
    case = parse_case(make_passed_run("a"))
    assert read_text(case, "system-out") == "https://autonoma.app/run/run-a"
    assert read_properties(case) == {
        "run_id": "run-a",
        "url": "https://autonoma.app/run/run-a",
        "kind": "test",
        "id": "a",
        "attempts": "1",
    }


def test_flaky_run_lists_its_failures() -> None:
    """A flaky run is passed, and its output has each failed attempt."""
    case = parse_case(make_flaky_run("a"))
    properties = read_properties(case)
    assert properties["flaky"] == "true"
    assert properties["attempts"] == "2"
    assert properties["run_url_1"] == "https://autonoma.app/run/first-of-a"
    assert read_text(case, "system-out").splitlines() == [
        "https://autonoma.app/run/run-a",
        f"Attempt 1 failed at test step 4: {STEP.instruction}",
        STEP.output,
        f"Page: {STEP.url}",
        "Run: https://autonoma.app/run/first-of-a",
    ]


@pytest.mark.parametrize(
    ("run", "failure"),
    [
        (make_failed_run("a"), "Failed at test step 4: Check the result"),
        (make_timed_out_run("a"), "Timed out: still running after 30 min"),
        (
            make_failed_run("a")._replace(state=RunState.STOPPED, step=None, message="stopped by hand"),
            "Stopped: stopped by hand",
        ),
    ],
)
def test_failure_in_quarantine_is_skipped(run: RunResult, failure: str) -> None:
    """Readers count no failure, and the output has it."""
    case = parse_case(quarantine_run(run))
    message = "quarantined until 2026-12-31: Login mail is late"
    assert read_result(case) == ("skipped", "quarantined", message)
    assert read_text(case, "system-out").splitlines()[:2] == [run.url, failure]
    junit_xml = render_junit(create_report([quarantine_run(run), make_passed_run("b")], PASSED_VERDICT))
    assert [shown.status for shown in read_as_jenkins(junit_xml)] == ["skipped", "passed"]
    assert [status for _, status, _ in read_as_bitrise(junit_xml)] == ["skipped", "passed"]


def test_retries_in_quarantine_are_text() -> None:
    """An earlier failure of a run in quarantine is no failure for any reader."""
    run = make_quarantined_run("a")._replace(previous_attempts=make_flaky_run("a").previous_attempts)
    [case] = read_as_jenkins(junit_xml := render_junit(create_report([run], PASSED_VERDICT)))
    assert (case.status, case.flaky, case.reruns) == ("skipped", [], [])
    assert "Attempt 1 failed at test step 4" in case.stdout
    assert len(read_as_bitrise(junit_xml)) == 1


def test_owner_and_quarantine_are_properties() -> None:
    """Properties have the owner and the quarantine, also of a run that passed."""
    run = quarantine_run(make_passed_run("a"))
    properties = read_properties(parse_case(run._replace(request=run.request._replace(owner="@web"))))
    assert (
        properties.items()
        >= {
            "owner": "@web",
            "quarantine_until": "2026-12-31",
            "quarantine_reason": "Login mail is late",
            "quarantine_issue": "https://issues.example/7",
        }.items()
    )
    assert not {"owner", "quarantine_until"} & set(read_properties(parse_case(make_passed_run("a"))))


def test_jenkins_and_bitrise_show_retries() -> None:
    """The test is passed, and its first failure has step and link."""
    junit_xml = render_junit(create_report([make_flaky_run("a", "Pay")]))
    (case,) = read_as_jenkins(junit_xml)
    assert case.status == "passed"
    reason = f"failed at test step 4: {STEP.instruction}"
    text = f"{reason}\n{STEP.output}\nPage: {STEP.url}\nRun: https://autonoma.app/run/first-of-a"
    assert case.flaky == [Failure(reason, text)]
    assert case.reruns == []
    assert read_as_bitrise(junit_xml) == [("Pay", "passed", ""), ("Pay", "failure", text)]


@pytest.mark.parametrize(
    "run", [make_failed_run("a"), make_timed_out_run("a"), STOPPED, make_started_run("a")], ids=lambda run: run.state
)
def test_failed_retry_shows_first_failures(run: RunResult) -> None:
    """A test that never passed is not flaky."""
    first_attempt = make_flaky_run("a").previous_attempts[0]
    (case,) = read_as_jenkins(
        render_junit(
            create_report([run._replace(previous_attempts=(first_attempt, first_attempt._replace(message="HTTP 500")))])
        )
    )
    assert case.status != "passed"
    assert case.flaky == []
    assert len(case.reruns) == 2


# Attributes and children of a test case.
# Source: jenkinsci/xunit-plugin, src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/
# junit-10.xsd.
XUNIT_ATTRIBUTES = {"name", "time", "classname", "group"}
XUNIT_CHILDREN = {"skipped", "error", "failure", "rerunFailure", "flakyFailure", "system-out", "system-err"}


def test_docs_name_jenkins_step() -> None:
    """The schema of the xUnit plugin rejects the file, and the step `junit` has no schema."""
    case = parse_case(make_flaky_run("a"))
    assert set(case.attrib) - XUNIT_ATTRIBUTES == {"file"}
    assert {child.tag for child in case} - XUNIT_CHILDREN == {"properties"}
    page = " ".join((Path(__file__).parents[3] / "docs" / "ci" / "jenkins.md").read_text("utf-8").split())
    assert "`junit.xml` is for the step `junit`. The xUnit plugin refuses it" in page
    assert "xUnit" in (import_module(render_junit.__module__).__doc__ or "")


WIDE_TEXT = "\u6f22" * 5000


@pytest.mark.parametrize("label", ["n" * 5000, WIDE_TEXT, "\U0001f600" * 5000, "e\u0301" * 5000, "a" + WIDE_TEXT])
@pytest.mark.parametrize("test_id", ["a", "i" * 128])
def test_names_fit_jenkins_folders(label: str, test_id: str, tmp_path: Path) -> None:
    """A longer name makes the `junit` step fail and loses all results."""
    run_report = create_report(
        [make_passed_run(test_id, label), make_passed_run(test_id, label), make_failed_run("b")._replace(title=label)]
    )
    cases = read_as_jenkins(render_junit(run_report))
    for case in cases:
        assert len(case.name.encode()) <= 200
        assert "\ufffd" not in case.name
        (tmp_path / case.folder).mkdir()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
@given(REPORTS)
def test_any_names_give_distinct_folders(run_report: Report) -> None:
    """Jenkins can create one folder per case of any report."""
    cases = read_as_jenkins(render_junit(run_report))
    assert all(len(case.name.encode()) <= 200 for case in cases)
    folders = [(case.folder, outcome.request.kind) for case, outcome in zip(cases, run_report.results, strict=True)]
    assert len(set(folders)) == len(cases)


def test_similar_names_get_ids() -> None:
    """Jenkins creates one folder for `Pay: card` and `Pay/ card` and would mix their files."""
    cases = read_as_jenkins(
        render_junit(
            create_report(
                [make_passed_run("a", "Pay: card"), make_passed_run("b", "Pay/ card"), make_passed_run("c", "Pay")]
            )
        )
    )
    assert [case.name for case in cases] == ["Pay: card (a)", "Pay/ card (b)", "Pay"]


def build_evidence(count: int) -> Evidence:
    return Evidence(
        tuple(RunStep(number, screenshot=f"evidence/run-a/step-{number:03}.png") for number in range(count))
    )


@pytest.mark.parametrize(
    "run",
    [make_passed_run("a"), make_flaky_run("a"), make_planned_run("a"), make_started_run("a")],
    ids=["pass", "flaky", "p", "s"],
)
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_jenkins_output_is_not_truncated(run: RunResult, count: int) -> None:
    """Jenkins cuts the middle of long output, which can break attachment markers."""
    first_attempt = make_flaky_run("a").previous_attempts[0]._replace(message="\U0001f600" * 400, step=None)
    run_report = create_report(
        [run._replace(evidence=build_evidence(count), previous_attempts=run.previous_attempts and (first_attempt,) * 5)]
    )
    (case,) = read_as_jenkins(
        render_junit(run_report._replace(attachments_root="/var/jenkins/workspace/shop/autonoma-results"))
    )
    assert "truncated" not in case.stdout
    files = [f"/var/jenkins/workspace/shop/autonoma-results/{path}" for path in reversed(build_evidence(count).files)]
    assert case.attachments == files[: len(case.attachments)]
    assert len(case.attachments) >= min(count, 3)
    assert ("more file" in case.stdout) is (len(case.attachments) < count)
    if run.url:
        assert case.stdout.splitlines()[0] == run.url


@pytest.mark.parametrize("folder", [50, 200, 600, 900])
def test_passed_run_has_link_and_last_files(folder: int) -> None:
    """The link comes first, and files beyond the limit are counted."""
    run = make_passed_run("a")._replace(url=f"https://autonoma.app/{'u' * 340}")
    run = run._replace(evidence=build_evidence(20)._replace(video="evidence/run-a/video.webm"))
    (case,) = read_as_jenkins(render_junit(create_report([run])._replace(attachments_root="/" + "f" * folder)))
    assert case.stdout.splitlines()[0] == run.url
    ends = [path.rpartition("/")[2] for path in case.attachments]
    assert ends == ["video.webm", *(f"step-{number:03}.png" for number in range(19, 0, -1))][: len(ends)]
    assert f"{21 - len(ends)} more files in the directory of this report" in case.stdout
    assert "truncated" not in case.stdout


@pytest.mark.parametrize("label", [".", "..", "..."])
def test_label_of_dots_is_replaced(label: str) -> None:
    """The plugin of Jenkins would write outside the folder of the test."""
    (case,) = read_as_jenkins(render_junit(create_report([make_passed_run("a", label)])))
    assert case.folder == "no name".replace(" ", "_")


def test_failed_run_has_all_files() -> None:
    """Jenkins attaches 200 files of a failed run."""
    run_report = create_report([make_failed_run("a")._replace(evidence=build_evidence(200))])._replace(
        attachments_root="/var/results"
    )
    (case,) = read_as_jenkins(render_junit(run_report))
    assert len(case.attachments) == 200


def test_long_link_is_complete_or_omitted() -> None:
    """A link that is too long for the output is only in the properties."""
    url = f"https://autonoma.app/run/{'a' * 1500}"
    case = parse_case(make_passed_run("a")._replace(url=url))
    assert case.find("system-out") is None
    assert read_properties(case)["url"] == url


def test_reused_run_is_marked() -> None:
    """A run that passed in an earlier build attempt says so."""
    case = parse_case(make_passed_run("a")._replace(reused=True))
    assert read_result(case) == ("", "", "")
    assert read_properties(case)["reused"] == "true"
    assert "earlier attempt" in read_text(case, "system-out")


def test_same_labels_get_distinct_names() -> None:
    """GitLab drops a test case with the class and name of an earlier one."""
    folder = RunResult(RunRequest(TargetKind.FOLDER, "a", "Cart"))
    similar_runs = [
        make_passed_run("a", "Cart"),
        make_passed_run("b", "Cart "),
        make_passed_run("a", "Cart"),
        make_passed_run("c", "Cart (a)"),
        folder,
    ]
    names = [(case.get("classname"), case.get("name")) for case in parse_suite(create_report(similar_runs))]
    assert names == [
        ("autonoma.test", "Cart (a)"),
        ("autonoma.test", "Cart (b)"),
        ("autonoma.test", "Cart (a) #2"),
        ("autonoma.test", "Cart (a) #3"),
        ("autonoma.folder", "Cart"),
    ]
    assert [case.get("name") for case in parse_suite(create_report([make_passed_run("a"), make_passed_run("a")]))] == [
        "a",
        "a #2",
    ]


def test_input_errors_are_one_case() -> None:
    """All errors of the input are in the text of one case."""
    suite = parse_suite(create_report((), INPUT_ERROR_VERDICT, ["autonoma.yml:1:2: bad", "client-id: missing"]))
    (case,) = suite
    assert case.get("name") == "input"
    assert read_result(case) == ("error", "input", "2 problems with the input. Nothing was sent.")
    assert read_text(case, "error").splitlines()[1:] == ["autonoma.yml:1:2: bad", "client-id: missing"]


def test_no_runs_give_empty_suite() -> None:
    """A report without runs has a suite without cases."""
    suite = parse_suite(create_report((), PASSED_VERDICT))
    assert suite.get("tests") == "0"
    assert not list(suite)


def test_values_are_hidden() -> None:
    """No value of a variable is in the file, whatever the state of its run."""
    request = RunRequest(TargetKind.TEST, "a", "A", {"PASSWORD": "hidden-value"}, "version")
    outcomes = [RunResult(request, state, message="m") for state in RunState]
    assert b"hidden-value" not in render_junit(create_report(outcomes, API_ERROR_VERDICT))


@pytest.mark.parametrize(
    ("seconds", "time"), [(-1.0, "0.0"), (nan, "0.0"), (inf, "2592000.0"), (1e-9, "0.0"), (0.25, "0.25")]
)
def test_times_are_plain_decimals(seconds: float, time: str) -> None:
    """Times have no exponent and fit into dates."""
    run_report = create_report([make_passed_run("a", seconds=seconds)])._replace(duration_seconds=seconds)
    suite = parse_suite(run_report)
    assert [suite.get("time"), suite[0].get("time")] == [time, time]


@pytest.mark.parametrize("started_at", ["", "yesterday", "2025-01-02 03:04:05", "2025-01-02T03:04:05Z\n"])
def test_invalid_start_time_is_omitted(started_at: str) -> None:
    """A start time of another form is no timestamp."""
    assert "timestamp" not in parse_suite(create_report([make_passed_run("a")])._replace(started_at=started_at)).attrib


def test_long_texts_are_truncated() -> None:
    """Long texts are truncated, and each case keeps the link of its run."""
    step = STEP._replace(instruction="i" * 20_000, output="o\n" * 20_000, url="https://shop.test/" + "u" * 20_000)
    junit_xml = render_junit(
        create_report(
            [make_failed_run("a", "n" * 20_000)._replace(step=step, message="m" * 20_000, suggestion="h" * 20_000)] * 2
        )
    )
    SCHEMA.assertValid(etree.fromstring(junit_xml))
    assert len(junit_xml) < 50_000
    assert junit_xml.count(b"Run: https://autonoma.app/run/run-a") == 2


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://user@autonoma.app/run/a", "http://autonoma.app/run/a"])
def test_unsafe_link_is_omitted(url: str) -> None:
    """A link that is not safe to follow is not in the file."""
    run = make_flaky_run("a")._replace(url=url)
    assert url.encode() not in render_junit(
        create_report([run._replace(previous_attempts=(run.previous_attempts[0]._replace(url=url),))])
    )


@pytest.mark.parametrize("gap", ["", "\u200b", "\u202e"])
def test_texts_cannot_attach_files(gap: str) -> None:
    """GitLab and Jenkins attach the file that `[[ATTACHMENT|path]]` names in the output of a test."""
    attachment_marker = f"[{gap}[ATTACHMENT|/etc/passwd]]"
    step = STEP._replace(instruction=attachment_marker, output=attachment_marker)
    run = make_flaky_run("a", attachment_marker)
    hostile_run = run._replace(
        run_id=attachment_marker, url="", previous_attempts=(run.previous_attempts[0]._replace(step=step),)
    )
    assert b"[[" not in render_junit(
        create_report([hostile_run, make_failed_run("b")._replace(step=step)], problems=[attachment_marker])
    )


@pytest.mark.slow
@given(REPORTS)
def test_any_report_is_valid_xml(run_report: Report) -> None:
    """Each report matches the schema and can be read by two parsers."""
    junit_xml = render_junit(run_report)
    SCHEMA.assertValid(etree.fromstring(junit_xml, etree.XMLParser(resolve_entities=False, recover=False)))
    (suite,) = ET.fromstring(junit_xml)
    cases = list(suite)
    assert len(cases) == len(run_report.results)
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in RESULTS}
    assert int(suite.get("tests", "")) == len(cases)
    attribute_names = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    assert counts == {tag: int(suite.get(name, "")) for tag, name in attribute_names.items()}
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)


@pytest.mark.slow
@given(REPORTS)
def test_only_passed_runs_are_green(run_report: Report) -> None:
    """Exactly the cases of passed runs have no error, failure or skip."""
    for outcome, case in zip(run_report.results, parse_suite(run_report), strict=True):
        assert (read_result(case)[0] == "") is (outcome.state is RunState.PASSED)
        if outcome.is_quarantined_failure:
            assert read_result(case)[:2] == ("skipped", "quarantined")
        elif outcome.state in {
            RunState.FAILED,
            RunState.STOPPED,
            RunState.TIMED_OUT,
            RunState.UNKNOWN,
            RunState.STARTING,
        }:
            assert read_result(case)[0] in {"failure", "error"}


def test_blank_output_is_omitted() -> None:
    """The schema allows no output of white space, and readers accept no empty element."""
    assert parse_case(make_planned_run("a")._replace(run_id="\t")).find("system-out") is None


@pytest.mark.slow
@given(INPUT_ERROR_REPORTS)
def test_any_input_error_is_one_case(run_report: Report) -> None:
    """A report with any errors of the input has one case."""
    (case,) = parse_suite(run_report)
    assert read_result(case)[:2] == ("error", "input")


@given(st.lists(st.sampled_from(["a", "a (x)", "a (x) #2", "a #2", ""]), max_size=8), st.sampled_from(["x", "a", ""]))
def test_any_labels_give_distinct_names(labels: list[str], test_id: str) -> None:
    """Cases of runs with equal titles have distinct names, as the schema demands."""
    parse_suite(create_report([make_planned_run(test_id)._replace(title=label) for label in labels]))


@given(st.text(ANY_CHARACTER), TEXTS)
def test_both_xml_libraries_give_same_file(first: str, second: str) -> None:
    """The package uses lxml if it is installed, and lxml is stricter."""
    run_report = create_report(
        [make_failed_run(first, second)._replace(message=first + second), make_flaky_run(second, first)],
        problems=[first],
    )

    def canonicalize(library: ModuleType) -> str:
        with patch.object(junitparser, "etree", library):
            return ET.canonicalize(render_junit(run_report).decode())

    assert canonicalize(ET) == canonicalize(etree)
