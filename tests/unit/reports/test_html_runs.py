"""Tests of the view of each run in report.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.models import (
    AppVersion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)
from autonoma_ci.reports.html_runs import STATE_SYMBOLS, build_run_view, severity_class
from tests.support.reports import (
    FAILED_VERDICT,
    STEP,
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
    ],
)
def test_severity_of_each_state(run: RunResult, severity: str) -> None:
    """Each state has a severity, and a problem is expanded."""
    view = build_view(run)
    assert severity_class(run) == view["severity"] == severity
    assert view["symbol"] == STATE_SYMBOLS[severity]
    assert view["is_expanded"] is (severity == "bad")


def test_symbols_are_distinct() -> None:
    """Readers who see no colours distinguish the severities."""
    assert len(set(STATE_SYMBOLS.values())) == len(STATE_SYMBOLS) == 4


def test_anchor_has_position_of_run() -> None:
    """The name of a run is untrusted, so its position names the anchor."""
    assert build_view(make_passed_run('a"b<c>', "x"), index=12)["anchor"] == "run-12"


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (make_flaky_run("a"), "passed, flaky"),
        (make_timed_out_run("a"), "still running"),
        (make_indeterminate_run("a"), "may have started"),
        (make_indeterminate_run("a")._replace(run_id="r"), "end unknown"),
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
    assert (view["link"], view["link_text"]) == (link, "Look here")


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


def test_failing_step_needs_no_evidence() -> None:
    """Without evidence, the only step is the one that failed."""
    view = build_view(make_failed_run("a"))
    assert view["steps_label"] == "The step that failed"
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
        make_failed_run("a")._replace(evidence=Evidence(steps, "evidence/r/video.webm", "1 of its files: HTTP 404"))
    )
    assert [(step["severity"], step["status"]) for step in view["steps"]] == [
        ("good", "passed"), ("open", "waiting"), ("open", ""), ("bad", "errored"),
    ]  # fmt: skip
    assert [step["image"] for step in view["steps"]] == [
        "files/evidence/r/step-001.png", "", "", "files/evidence/r/step-004.png",
    ]  # fmt: skip
    assert view["steps_label"] == "4 steps"
    assert view["video"] == "files/evidence/r/video.webm"
    assert view["missing_reason"] == "1 of its files: HTTP 404"


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
        ((1, 3), ["", "1 more step not shown."]),
        ((1, 2, 199, 201), ["", "", "196 more steps not shown.", "1 more step not shown."]),
        ((5, 6), ["", ""]),
    ],
)
def test_omitted_steps_are_counted(numbers: tuple[int, ...], notes: list[str]) -> None:
    """A gap between two steps has a note with the number of missing steps."""
    view = build_view(make_passed_run("a")._replace(evidence=Evidence(tuple(map(RunStep, numbers)))))
    assert [step["omitted_note"] for step in view["steps"]] == notes
    assert view["steps_label"] == f"{numbers[-1]} steps"


def test_one_step_is_singular() -> None:
    """The label of one step has no plural."""
    assert build_view(make_passed_run("a")._replace(evidence=Evidence((RunStep(1),))))["steps_label"] == "1 step"


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
