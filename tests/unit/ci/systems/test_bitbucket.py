"""Tests of Bitbucket's facts, variables and Code Insights reports."""

from __future__ import annotations

import json
import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.ci.ownership import build_mark, shared_warning
from autonoma_ci.ci.rest import http
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.ci.systems.bitbucket import MAX_ANNOTATIONS, SYSTEM, CodeInsightsPublisher
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, Quarantine, RunState, RunStep
from tests.support.bitbucket_server import COMMIT_PATH, SHA, BitbucketServer
from tests.support.ci_environments import BITBUCKET
from tests.support.environment_names import find_secret_names
from tests.support.fake_clock import FakeClock
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    FLAKY_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    STARTED_VERDICT,
    TIMED_OUT_VERDICT,
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
from tests.support.threads import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests_mock import Mocker

    from autonoma_ci.models import Report, Verdict

PLAIN = "Autonoma tests"
ENVIRON = {
    "BITBUCKET_BUILD_NUMBER": "500",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_BRANCH": "main",
}
LIST_URL = f"{bitbucket.API_URL}{COMMIT_PATH}/reports"
# One step that fails, and one that passes.
STEPS = ((True, "a" * 16), (False, "b" * 16))


@pytest.fixture
def server() -> Iterator[BitbucketServer]:
    """Yield a server, and fail if a request differs from its documentation."""
    with BitbucketServer() as stub_server:
        yield stub_server
    assert stub_server.errors == []


def build_step_report(is_failed: bool, step_id: str, part: Part = Part(title=PLAIN), build: str = "500") -> Report:  # noqa: B008 - immutable
    """Return the report of a step with one run."""
    runs = [make_failed_run("a")] if is_failed else [make_passed_run("a")]
    context = BuildContext("bitbucket", build_id=build, build_attempt="1")
    return create_report(runs, FAILED_VERDICT if is_failed else PASSED_VERDICT)._replace(
        context=context, part=part, title=part.title, step_id=step_id, waits_for_results=True
    )


def make_publisher(
    server: BitbucketServer,
    on_response: Callable[[str, str], None] = lambda *_: None,
    build: str = "500",
    origin: str = "main",
) -> CodeInsightsPublisher:
    """Return a publisher that calls `on_response` with method and path after each response."""
    client = http.RestClient(bitbucket.API_URL, {"Accept": "application/json"}, FakeClock(), server.url)
    send = client.request

    def send_and_call(method: str, path: str, body: object = None) -> http.RestResponse:
        try:
            return send(method, path, body)
        finally:
            on_response(method, path)

    client.request = send_and_call  # type: ignore[method-assign]
    return CodeInsightsPublisher(client, COMMIT_PATH, build, f"BITBUCKET_BRANCH {origin}")


def publish(server: BitbucketServer, step_report: Report, build: str = "500", origin: str = "main") -> list[str]:
    """Publish a report, and return the warnings."""
    return make_publisher(server, build=build, origin=origin).publish(step_report)


def publish_to(server: BitbucketServer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> str:
    """Publish a report as a job with some variables changed, and return the id of the new report."""
    monkeypatch.setattr(bitbucket, "PROXY_URL", server.url)
    context = make_publish_context({**ENVIRON, **changes})
    context = context._replace(build_context=BuildContext("bitbucket", SHA), clock=FakeClock())
    [publisher] = SYSTEM.create_publishers(context)
    earlier_names = set(server.reports)
    assert publisher.publish(build_step_report(is_failed=False, step_id="a" * 16)) == []
    [name] = set(server.reports) - earlier_names
    return name


def find_only_report(server: BitbucketServer) -> Any:
    """Return the only report."""
    [report_data] = server.reports.values()
    return report_data


def find_only_annotation(server: BitbucketServer) -> Any:
    """Return the only annotation."""
    [[annotation]] = server.annotations.values()
    return annotation


def list_results(server: BitbucketServer) -> list[str]:
    """Return the results of all reports, sorted."""
    return sorted(report_data["result"] for report_data in server.reports.values())


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some variables changed."""
    return SYSTEM.build_context({**BITBUCKET, **changes})


# Facts


def test_secret_names_exclude_build_facts() -> None:
    """The token of the step and usual names of credentials are secret."""
    secrets = {
        "BITBUCKET_STEP_OIDC_TOKEN",
        "BITBUCKET_ACCESS_TOKEN",
        "BITBUCKET_TOKEN",
        "BITBUCKET_APP_PASSWORD",
    }
    assert find_secret_names(SYSTEM, {*BITBUCKET, *ENVIRON, *secrets}) == secrets


def test_build_id_without_uuid_is_number() -> None:
    """The build's number is unique within the repository."""
    assert read_context(BITBUCKET_PIPELINE_UUID="").build_id == "55"


@pytest.mark.parametrize(("name", "value"), [("BITBUCKET_REPO_FULL_NAME", ""), ("BITBUCKET_BUILD_NUMBER", "x")])
def test_context_without_url_part_has_no_link(name: str, value: str) -> None:
    """The link needs the repository and the number of the pipeline."""
    assert read_context(**{name: value}).build_url == ""


def test_branch_is_preferred_to_tag() -> None:
    """A build of a branch has the name of the branch."""
    assert read_context(BITBUCKET_TAG="v1").branch == "feature/cart"


# Publishers


def test_publishers_are_file_and_report(tmp_path: Path) -> None:
    """A step has the file of variables and the report of its commit."""
    environ = {**ENVIRON, "BITBUCKET_PIPELINES_VARIABLES_PATH": str(tmp_path / "variables")}
    context = make_publish_context(environ)._replace(build_context=BuildContext("bitbucket", SHA))
    file, insights = SYSTEM.create_publishers(context)
    assert isinstance(insights, CodeInsightsPublisher)
    early_report = create_report([make_started_run("a")], None)._replace(waits_for_results=True)
    assert file.publish(early_report) == []
    assert not (tmp_path / "variables").exists(), "a second value of a name is undocumented"
    assert file.publish(create_report([make_passed_run("a")], PASSED_VERDICT)) == []
    assert "AUTONOMA_CONCLUSION=passed\n" in (tmp_path / "variables").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "value"),
    [("BITBUCKET_WORKSPACE", ""), ("BITBUCKET_REPO_SLUG", ""), ("sha", ""), ("summary", False), ("shared", False)],
)
def test_report_needs_commit_and_summary(name: str, value: Any) -> None:
    """Without a commit, without the summary or before a merge, no report is written."""
    facts = {"sha": SHA, "summary": True, "shared": True, **ENVIRON, name: value}
    environ = {key: text for key, text in facts.items() if key in ENVIRON}
    context = make_publish_context(environ, summary=facts["summary"])._replace(
        build_context=BuildContext("bitbucket", facts["sha"]), publishes_shared_data=facts["shared"]
    )
    assert SYSTEM.create_publishers(context) == ()


def test_report_path_escapes_names(requests_mock: Mocker) -> None:
    """The name of a workspace or a repository cannot add a path."""
    requests_mock.get(re.compile("."), json={"values": []})
    requests_mock.put(re.compile("."), json={})
    environ = {**ENVIRON, "BITBUCKET_WORKSPACE": "a/b", "BITBUCKET_REPO_SLUG": "../x?y"}
    context = make_publish_context(environ)._replace(build_context=BuildContext("bitbucket", SHA), clock=FakeClock())
    [publisher] = SYSTEM.create_publishers(context)
    assert publisher.publish(build_step_report(is_failed=False, step_id="a" * 16)) == []
    start = f"http://api.bitbucket.org/2.0/repositories/a%2Fb/..%2Fx%3Fy/commit/{SHA}/reports"
    assert all(request.url.startswith(start) for request in requests_mock.request_history)
    assert [request.method for request in requests_mock.request_history] == ["GET", "PUT"]


def test_report_request_has_no_credentials(requests_mock: Mocker) -> None:
    """The proxy of the pipeline adds the credentials, so the request goes to it without any."""
    requests_mock.get(LIST_URL, json={"values": []})
    requests_mock.put(re.compile(re.escape(LIST_URL)), json={})
    environ = {**ENVIRON, "BITBUCKET_ACCESS_TOKEN": "s3cret-value"}
    context = make_publish_context(environ)._replace(build_context=BuildContext("bitbucket", SHA), clock=FakeClock())
    [publisher] = SYSTEM.create_publishers(context)
    assert publisher.publish(build_step_report(is_failed=False, step_id="a" * 16)) == []
    for request in requests_mock.request_history:
        assert request.proxies == {"http": "http://localhost:29418"}
        assert "Authorization" not in request.headers
        assert "s3cret-value" not in f"{request.headers} {request.text}"


def test_report_of_each_origin_has_own_id(server: BitbucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push to a branch with a pull request starts two pipelines of one commit."""
    names = [
        publish_to(server, monkeypatch, changes)
        for changes in ({}, {"BITBUCKET_PR_ID": "7"}, {"BITBUCKET_TAG": "v1"}, {"BITBUCKET_BRANCH": ""})
    ]
    assert all(re.fullmatch(r"autonoma-ci-[0-9a-f]{12}-[0-9a-f]{8}", name) for name in names)
    assert len({name.rpartition("-")[0] for name in names}) == 4


# Text of a report


def test_report_before_end_is_not_sent(server: BitbucketServer) -> None:
    """A report without a verdict sends no request."""
    assert publish(server, create_report([make_started_run("a")], None)) == []
    assert server.requests == []


def test_report_of_skipped_step_is_not_sent(server: BitbucketServer) -> None:
    """A step that did nothing does not replace the result of the commit."""
    assert publish(server, create_report([], DRY_RUN_VERDICT)) == []
    assert publish(server, create_report([make_planned_run("a")], DRY_RUN_VERDICT)) == []
    assert server.requests == []


def test_report_of_quarantined_runs_is_sent(server: BitbucketServer) -> None:
    """A step in which no result counts has made runs, but has no result."""
    run = make_quarantined_run("a")
    assert publish(server, create_report([run], DRY_RUN_VERDICT)._replace(waits_for_results=True)) == []
    report_data = find_only_report(server)
    assert report_data["details"] == "Nothing that counts was run: 0 of 1 run passed, 1 failed in quarantine."
    assert "result" not in report_data


def test_report_has_counts_and_mark(server: BitbucketServer) -> None:
    """The report has at most ten entries, and the last one is the owner mark."""
    step_report = build_step_report(is_failed=True, step_id="a" * 16)
    step_report = step_report._replace(results=(*step_report.results, make_passed_run("b")), duration_seconds=61.2345)
    assert publish(server, step_report) == []
    report_data = find_only_report(server)
    assert report_data["data"] == [
        {"title": "Total", "type": "NUMBER", "value": 2},
        {"title": "Started", "type": "NUMBER", "value": 2},
        {"title": "Passed", "type": "NUMBER", "value": 1},
        {"title": "Failed", "type": "NUMBER", "value": 1},
        {"title": "Flaky", "type": "NUMBER", "value": 0},
        {"title": "Quarantined", "type": "NUMBER", "value": 0},
        {"title": "Not started", "type": "NUMBER", "value": 0},
        {"title": "Unknown", "type": "NUMBER", "value": 0},
        {"title": "Duration", "type": "DURATION", "value": 61234},
        {"title": "Written by", "type": "TEXT", "value": str(build_mark(step_report, "500"))},
    ]
    assert (report_data["title"], report_data["details"]) == (PLAIN, "1 of 2 runs passed, 1 failed.")
    assert (report_data["report_type"], report_data["reporter"]) == ("TEST", "autonoma-ci")
    assert report_data["link"] == "https://autonoma.app/run/run-a"


def test_report_without_wait_has_no_duration(server: BitbucketServer) -> None:
    """A step that only starts runs has no duration to show."""
    publish(server, build_step_report(is_failed=False, step_id="a" * 16)._replace(waits_for_results=False))
    assert "Duration" not in {entry["title"] for entry in find_only_report(server)["data"]}


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        (PASSED_VERDICT, "PASSED"),
        (FAILED_VERDICT, "FAILED"),
        (API_ERROR_VERDICT, "FAILED"),
        (STARTED_VERDICT, None),
        (TIMED_OUT_VERDICT, None),
        (CANCELLED_VERDICT, None),
    ],
    ids=["passed", "failed", "error", "started", "timed-out", "cancelled"],
)
def test_report_result_is_that_of_verdict(verdict: Verdict, result: str | None, server: BitbucketServer) -> None:
    """A report with the result PENDING would stay pending, so other verdicts have none."""
    publish(server, build_step_report(is_failed=False, step_id="a" * 16)._replace(verdict=verdict))
    assert find_only_report(server).get("result") == result


@pytest.mark.parametrize(
    ("urls", "link"),
    [
        (["javascript:alert(1)", "https://autonoma.app/run/b"], "https://autonoma.app/run/b"),
        (["https://user:s3cret-value@autonoma.app/run/a"], None),
        ([""], None),
        ([], None),
    ],
)
def test_report_link_is_first_safe_url(urls: list[str], link: str | None, server: BitbucketServer) -> None:
    """An unsafe link is left out."""
    runs = tuple(make_passed_run(f"id-{number}")._replace(url=url) for number, url in enumerate(urls))
    publish(server, build_step_report(is_failed=False, step_id="a" * 16)._replace(results=runs))
    assert find_only_report(server).get("link") == link


def test_report_lists_input_errors(server: BitbucketServer) -> None:
    """A step with invalid input has its errors in the details."""
    publish(server, create_report([], INPUT_ERROR_VERDICT, ["test-ids: 'x y' is not an id"]))
    assert find_only_report(server)["details"] == (
        "1 problem with the input. Nothing was sent.\ntest-ids: 'x y' is not an id"
    )


@pytest.mark.parametrize(("size", "is_cut"), [(1956, False), (1957, True), (5000, True)])
def test_report_details_have_2000_characters(size: int, is_cut: bool, server: BitbucketServer) -> None:
    """Longer details end in an ellipsis."""
    publish(server, create_report([], INPUT_ERROR_VERDICT, ["x" * size]))
    details = find_only_report(server)["details"]
    assert len(details) == 2000
    assert details.endswith("…") is is_cut


def test_report_title_of_part_is_readable(server: BitbucketServer) -> None:
    """Bitbucket allows 100 characters, and two parts of one title have two headings."""
    for part in ("linux", "mac"):
        publish(server, build_step_report(is_failed=True, step_id="a" * 16, part=Part(part=part, title="t" * 100)))
    titles = {report_data["title"] for report_data in server.reports.values()}
    assert {title[-9:] for title in titles} == {"… (linux)", "tt… (mac)"}
    assert {len(title) for title in titles} == {100}


@pytest.mark.parametrize(
    ("title", "part", "expected"),
    [
        ("t" * 100, "", "t" * 100),
        ("t" * 101, "", "t" * 99 + "…"),
        ("Shop\r\n<b>\x00\u202e", "", "Shop <b>\ufffd"),
        ("Shop", "a\nb", "Shop (a b)"),
    ],
    ids=["limit", "long", "hostile", "hostile-part"],
)
def test_report_title_is_short_line(title: str, part: str, expected: str, server: BitbucketServer) -> None:
    """A title is one line of at most 100 characters."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, part=Part(part=part))._replace(title=title))
    assert find_only_report(server)["title"] == expected


def test_report_title_of_long_part_has_start(server: BitbucketServer) -> None:
    """A title with a part of any length begins with the title of the report."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, part=Part(part="p" * 500, title="t" * 100)))
    title = find_only_report(server)["title"]
    assert len(title) == 100
    assert title.startswith("ttt")


# Annotations


def test_annotation_describes_failed_run(server: BitbucketServer) -> None:
    """A failed run has an annotation with its step and its link."""
    step = RunStep(4, "Check the result", "Expected a confirmation")
    run = make_failed_run("b", "Pay")._replace(step=step, suggestion="See the page.")
    publish(server, create_report([make_passed_run("a"), run], FAILED_VERDICT))
    assert find_only_annotation(server) == {
        "external_id": "run-0",
        "annotation_type": "BUG",
        "summary": "Pay: failed",
        "details": "test step 4, Check the result: Expected a confirmation See the page.",
        "result": "FAILED",
        "severity": "HIGH",
        "link": "https://autonoma.app/run/run-b",
    }


def test_annotation_without_texts_is_shorter(server: BitbucketServer) -> None:
    """Bitbucket refuses empty texts, so they are left out."""
    publish(server, create_report([make_failed_run("b", "Pay")._replace(step=None, url="")], FAILED_VERDICT))
    assert set(find_only_annotation(server)) == {
        "external_id",
        "annotation_type",
        "summary",
        "result",
        "severity",
    }


def test_annotations_are_of_runs_with_problems(server: BitbucketServer) -> None:
    """Only runs that need attention have annotations, the failed ones first."""
    stopped_run = make_failed_run("e")._replace(state=RunState.STOPPED)
    runs = [
        make_passed_run("a"),
        make_started_run("b"),
        make_timed_out_run("c"),
        make_indeterminate_run("d"),
        stopped_run,
        make_rejected_run("f"),
        make_failed_run("g"),
    ]
    publish(server, create_report(runs, FAILED_VERDICT))
    [notes] = server.annotations.values()
    assert [note["summary"].rpartition(": ")[2] for note in notes] == [
        "failed",
        "stopped",
        "not started",
        "may have started",
        "timed out",
    ]
    assert [note["external_id"] for note in notes] == [f"run-{number}" for number in range(5)]


def test_quarantine_is_no_failure(server: BitbucketServer) -> None:
    """A failure in quarantine has a low severity, and the report passes."""
    runs = [make_passed_run("a"), make_quarantined_run("b", "Pay"), make_flaky_run("c")]
    publish(server, create_report(runs, PASSED_VERDICT)._replace(waits_for_results=True))
    annotation = find_only_annotation(server)
    assert (annotation["result"], annotation["severity"]) == ("IGNORED", "LOW")
    assert annotation["summary"] == "Pay: failed, quarantined until 2026-12-31"
    assert annotation["details"].startswith("quarantined until 2026-12-31: Login mail is late: test step 4")
    data = find_only_report(server)
    assert data["result"] == "PASSED"
    assert data["details"] == "2 of 3 runs passed (1 flaky), 1 failed in quarantine."
    # Bitbucket's limit of entries.
    assert len(data["data"]) == 10


def test_flaky_failure_has_annotation(server: BitbucketServer) -> None:
    """With on-flaky: fail, a flaky run has an annotation."""
    publish(server, create_report([make_flaky_run("a"), make_passed_run("b")], FLAKY_VERDICT))
    annotation = find_only_annotation(server)
    assert (annotation["summary"], annotation["result"]) == ("Checkout pays by card: passed, flaky", "FAILED")


@pytest.mark.parametrize("is_quarantined", [False, True])
def test_annotation_texts_are_short_lines(is_quarantined: bool, server: BitbucketServer) -> None:
    """A text with control characters or any length is one line within Bitbucket's limits."""
    hostile_text = "a\r\n\x1b]0;x\x07\u202e" + "x" * 5000
    run = make_failed_run("b", hostile_text)._replace(
        message=hostile_text, url="javascript:alert(1)", suggestion=hostile_text
    )
    quarantine = Quarantine(hostile_text, hostile_text, hostile_text) if is_quarantined else None
    run = run._replace(request=run.request._replace(owner=hostile_text, quarantine=quarantine))
    publish(server, create_report([run], FAILED_VERDICT))
    annotation = find_only_annotation(server)
    assert (len(annotation["summary"]), len(annotation["details"])) == (450, 2000)
    assert all(text.isprintable() for text in annotation.values())
    assert "link" not in annotation


@pytest.mark.parametrize(
    ("count", "warnings"),
    [
        (MAX_ANNOTATIONS, []),
        (MAX_ANNOTATIONS + 1, ["The Code Insights report shows the first 100 runs of 101."]),
    ],
)
def test_annotations_have_limit_of_request(count: int, warnings: list[str], server: BitbucketServer) -> None:
    """Bitbucket accepts 100 annotations in one request, and a warning counts all runs."""
    assert (
        publish(server, create_report([make_failed_run(f"id-{n}") for n in range(count)], FAILED_VERDICT)) == warnings
    )
    [notes] = server.annotations.values()
    assert len(notes) == MAX_ANNOTATIONS
    assert [method for method, _ in server.requests] == ["GET", "PUT", "POST"]


# Ownership


def test_retry_replaces_own_report(server: BitbucketServer) -> None:
    """The report of the earlier attempt is deleted, because its annotations would stay."""
    first_report = build_step_report(is_failed=True, step_id="a" * 16)
    second_report = build_step_report(is_failed=False, step_id="b" * 16)
    assert publish(server, first_report) == []
    assert publish(server, second_report._replace(context=second_report.context._replace(build_attempt="2"))) == []
    assert list_results(server) == ["PASSED"]
    assert server.annotations == {}
    assert [method for method, _ in server.requests[3:]] == ["GET", "DELETE", "PUT", "GET"]


def test_other_step_of_build_has_own_report(server: BitbucketServer) -> None:
    """The report of another step stays, and a warning explains how to distinguish the two."""
    for is_failed, step in STEPS:
        warnings = publish(server, build_step_report(is_failed, step))
    assert warnings == [shared_warning("a Code Insights report")]
    assert list_results(server) == ["FAILED", "PASSED"]


def test_older_build_replaces_nothing(server: BitbucketServer) -> None:
    """A later build has already written its report."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, build="501"), build="501")
    assert publish(server, build_step_report(is_failed=False, step_id="b" * 16)) == []
    assert list_results(server) == ["FAILED"]


def test_newer_build_replaces_older_one(server: BitbucketServer) -> None:
    """The report of the build before is replaced without a warning."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, build="499"), build="499")
    assert publish(server, build_step_report(is_failed=False, step_id="b" * 16)) == []
    assert list_results(server) == ["PASSED"]


def test_other_origin_has_own_report(server: BitbucketServer) -> None:
    """The pipelines of a branch and of its pull request have two reports."""
    for origin in ("main", "7"):
        assert publish(server, build_step_report(is_failed=False, step_id=origin * 16), origin=origin) == []
    assert len(server.reports) == 2


def test_report_is_found_on_later_page(server: BitbucketServer) -> None:
    """A page of the list has ten reports."""
    for number in range(25):
        server.reports[f"lint-{number}"] = {"external_id": f"lint-{number}", "created_on": "000000"}
    for is_failed, build in ((True, "499"), (False, "500")):
        assert publish(server, build_step_report(is_failed, build, build=build), build=build) == []
    assert len(server.reports) == 26
    assert [report_data["result"] for report_data in server.reports.values() if "result" in report_data] == ["PASSED"]


def test_list_has_at_most_40_pages(requests_mock: Mocker) -> None:
    """A server with endless pages is left, and the report is still written."""
    requests_mock.get(LIST_URL, json={"values": [], "next": "https://x.example"})
    requests_mock.put(re.compile(re.escape(LIST_URL)), json={})
    client = http.RestClient(bitbucket.API_URL, {}, FakeClock())
    publisher = CodeInsightsPublisher(client, COMMIT_PATH, "500", "")
    assert publisher.publish(build_step_report(is_failed=False, step_id="a" * 16)) == []
    methods = [request.method for request in requests_mock.request_history]
    assert methods == ["GET"] * 40 + ["PUT"]
    assert requests_mock.request_history[39].url == f"{LIST_URL}?page=40"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"not json", b'{"values": {}}', b'{"values": null}', b'{"values": [1, {}, null]}']
)
def test_list_unreadable_replaces_nothing(body: bytes, requests_mock: Mocker) -> None:
    """An invalid list makes the report use a new id, so that nothing is lost."""
    requests_mock.get(LIST_URL, content=body)
    requests_mock.put(re.compile(re.escape(LIST_URL)), json={})
    client = http.RestClient(bitbucket.API_URL, {}, FakeClock())
    for _ in range(2):
        publisher = CodeInsightsPublisher(client, COMMIT_PATH, "500", "")
        assert publisher.publish(build_step_report(is_failed=False, step_id="a" * 16)) == []
    assert [request.method for request in requests_mock.request_history] == ["GET", "PUT"] * 2
    assert len({request.url for request in requests_mock.request_history if request.method == "PUT"}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"external_id": None},
        {"external_id": 7},
        {"external_id": "lint"},
        {"external_id": "{}/../../x"},
        {"data": None},
        {"data": "Written by"},
        {"data": [None, "x", {"title": "Written by"}]},
        {"data": [{"title": "Written by", "value": 7}]},
        {"data": [{"title": "Other", "value": "build 499 attempt 1 part  step "}]},
        {"data": [{"title": "Written by", "value": "build <script>"}]},
    ],
    ids=json.dumps,
)
def test_foreign_report_is_not_replaced(changes: dict[str, Any], server: BitbucketServer) -> None:
    """A report without a valid id and owner mark belongs to somebody else."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, build="499"), build="499")
    [name] = server.reports
    changes = {key: value.format(name) if isinstance(value, str) else value for key, value in changes.items()}
    foreign_report = server.reports[name] | changes
    server.reports[name] = foreign_report
    assert publish(server, build_step_report(is_failed=False, step_id="b" * 16)) == []
    assert server.reports[name] == foreign_report
    assert len(server.reports) == 2


def test_oldest_report_of_build_is_replaced(server: BitbucketServer) -> None:
    """Of two reports of an earlier build, the first step of this build replaces the older one."""
    for is_failed, step in STEPS:
        publish(server, build_step_report(is_failed, step, build="499"), build="499")
    oldest_name = min(server.reports, key=lambda name: str(server.reports[name]["created_on"]))
    # Bitbucket does not document the order of its list.
    server.reports = dict(reversed(server.reports.items()))
    publish(server, build_step_report(is_failed=False, step_id="c" * 16))
    assert server.reports[oldest_name]["result"] == "PASSED"
    assert "build 500" in str(server.reports[oldest_name]["data"])


# Errors and steps at the same moment


@pytest.mark.parametrize(("method", "status"), [("GET", 403), ("PUT", 400), ("POST", 404)])
def test_request_error_warns(method: str, status: int, server: BitbucketServer) -> None:
    """A refused request gives one warning with its status."""
    server.faults[method] = status
    assert publish(server, build_step_report(is_failed=True, step_id="a" * 16)) == [
        f"The Code Insights report could not be written: HTTP {status}."
    ]


@pytest.mark.parametrize(
    ("status", "warnings", "result"),
    [
        (404, [], "PASSED"),
        (403, ["The Code Insights report could not be written: HTTP 403."], "FAILED"),
    ],
)
def test_delete_of_missing_report_continues(
    status: int, warnings: list[str], result: str, server: BitbucketServer
) -> None:
    """Another step may have deleted the report, but another error ends the step's report."""
    publish(server, build_step_report(is_failed=True, step_id="a" * 16, build="499"), build="499")
    server.faults["DELETE"] = status
    assert publish(server, build_step_report(is_failed=False, step_id="b" * 16)) == warnings
    assert list_results(server) == [result]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_report_claimed_by_other_is_doubled(is_deleted: bool, server: BitbucketServer) -> None:
    """Another step deletes or replaces the same report right after the write."""
    publish(server, build_step_report(is_failed=False, step_id="c" * 16, build="499"), build="499")
    [name] = server.reports
    other_report = build_step_report(is_failed=False, step_id="b" * 16)

    def replace_report(method: str, path: str) -> None:
        if method == "PUT" and path.endswith(name):
            entry = {"title": "Written by", "type": "TEXT", "value": str(build_mark(other_report, "500"))}
            if is_deleted:
                del server.reports[name]
            else:
                server.reports[name] = {**server.reports[name], "data": [entry]}

    warnings = make_publisher(server, replace_report).publish(build_step_report(is_failed=True, step_id="a" * 16))
    assert warnings == [shared_warning("a Code Insights report")]
    assert set(server.annotations) == set(server.reports) - {name}
    assert len(server.annotations) == 1


@pytest.mark.parametrize("data", [[], [{"title": "Written by", "value": "x"}], None])
def test_report_without_mark_is_not_doubled(data: Any, server: BitbucketServer) -> None:
    """A report that lost its mark after the write belongs to no other step."""
    publish(server, build_step_report(is_failed=False, step_id="c" * 16, build="499"), build="499")
    [name] = server.reports

    def remove_mark(method: str, path: str) -> None:
        if method == "PUT":
            server.reports[name]["data"] = data

    assert make_publisher(server, remove_mark).publish(build_step_report(is_failed=True, step_id="a" * 16)) == []
    assert set(server.reports) == {name}


def test_report_of_later_build_is_not_doubled(server: BitbucketServer) -> None:
    """A later build may replace the report right after the write."""
    publish(server, build_step_report(is_failed=False, step_id="c" * 16, build="499"), build="499")
    [name] = server.reports
    later_report = build_step_report(is_failed=False, step_id="d" * 16, build="501")

    def replace_report(method: str, path: str) -> None:
        if method == "PUT":
            entry = {"title": "Written by", "type": "TEXT", "value": str(build_mark(later_report, "501"))}
            server.reports[name]["data"] = [entry]

    assert make_publisher(server, replace_report).publish(build_step_report(is_failed=True, step_id="a" * 16)) == []
    assert set(server.reports) == {name}


def test_check_error_after_write_warns(server: BitbucketServer) -> None:
    """The owner of the report could not be read after the write."""
    publish(server, build_step_report(is_failed=False, step_id="c" * 16, build="499"), build="499")

    def refuse_reads(method: str, path: str) -> None:
        if method == "PUT":
            server.faults["GET"] = 403

    assert make_publisher(server, refuse_reads).publish(build_step_report(is_failed=True, step_id="a" * 16)) == [
        "The Code Insights report could not be written: HTTP 403."
    ]


def test_new_reports_at_once_both_show(server: BitbucketServer) -> None:
    """Both steps find no report before either writes."""
    barrier = threading.Barrier(2)

    def publish_one(step_report: Report) -> None:
        listed: list[str] = []

        def wait_after_list(method: str, _: str) -> None:
            if method == "GET" and not listed:
                listed.append(method)
                barrier.wait(60)

        make_publisher(server, wait_after_list).publish(step_report)

    step_reports = [build_step_report(is_failed, step) for is_failed, step in STEPS]
    run_at_once([partial(publish_one, step_report) for step_report in step_reports])
    assert list_results(server) == ["FAILED", "PASSED"]
    assert {name: len(notes) for name, notes in server.annotations.items()} == {
        name: 1 for name, report_data in server.reports.items() if report_data["result"] == "FAILED"
    }


@pytest.mark.parametrize("is_failed_first", [True, False])
def test_steps_on_old_report_both_show(is_failed_first: bool, server: BitbucketServer) -> None:
    """Both replace the report of the build before, and the replaced step writes another."""
    publish(server, build_step_report(is_failed=False, step_id="c" * 16, build="499"), build="499")
    [name] = server.reports
    second_has_listed, first_has_written, second_has_written = threading.Event(), threading.Event(), threading.Event()
    warnings: dict[str, list[str]] = {}

    def first(method: str, path: str) -> None:
        if method == "GET" and "page=" in path:
            second_has_listed.wait(60)
        if method == "PUT" and path.endswith(name):
            first_has_written.set()
            second_has_written.wait(60)

    def second(method: str, path: str) -> None:
        if method == "GET" and "page=" in path:
            second_has_listed.set()
            first_has_written.wait(60)
        if method == "PUT":
            second_has_written.set()

    def publish_one(is_failed: bool, step: str) -> None:
        on_response = first if is_failed is is_failed_first else second
        warnings[on_response.__name__] = make_publisher(server, on_response).publish(build_step_report(is_failed, step))

    run_at_once([partial(publish_one, is_failed, step) for is_failed, step in STEPS])
    assert list_results(server) == ["FAILED", "PASSED"]
    assert warnings == {"first": [shared_warning("a Code Insights report")], "second": []}
    assert [len(notes) for notes in server.annotations.values()] == [1]
