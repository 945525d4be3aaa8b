"""Tests of the table of runs."""

from __future__ import annotations

import pytest

from autonoma_ci.api.models import RunDetails, StartResult, StartStatus
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.models import (
    Evidence,
    ExitReason,
    PreviousAttempt,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)

REQUEST = RunRequest(TargetKind.TEST, "a", "Checkout", {"LOCALE": "de"})
LINK = "https://autonoma.app/run/"
# A link without a run id.
PAGE = "https://autonoma.app/page"
STEP, OTHER_STEP = RunStep(3, "Pay", "Declined", "https://shop.test"), RunStep(5, "Sign in")
STEPS = (RunStep(1, "Open the shop"), STEP)
FAILED = RunResult(
    REQUEST, RunState.FAILED, ExitReason.FAILED, "r2", f"{LINK}r2", "failed at step 3", "Look at its page.", 200, 1,
    40.5, 2.25, "Pays by card", STEP, request_mac="m" * 32, variable_macs={"LOCALE": "0" * 32},
)  # fmt: skip
FIRST_ATTEMPT = PreviousAttempt("r1", f"{LINK}r1", "failed at step 5", OTHER_STEP, 0.125, 20.5, Evidence((OTHER_STEP,)))
RETRIED_RUN = FAILED._replace(previous_attempts=(FIRST_ATTEMPT,))


def make_table(run: RunResult = FAILED) -> RunTable:
    """Return a table whose second run is the given one."""
    return RunTable([RunResult(REQUEST), run, RunResult(REQUEST)], 100.0)


def assert_others_unchanged(table: RunTable) -> None:
    """Check that no run beside the second one changed."""
    assert [table.results[0], table.results[2]] == [RunResult(REQUEST)] * 2


# Times


parametrize_times = pytest.mark.parametrize(
    ("seconds", "expected_seconds"),
    [(0.0, 0.0), (1.2344, 1.234), (1.2346, 1.235), (0.0004, 0.0), (86_400.12345678, 86_400.123), (-3.99996, -4.0)],
)


@parametrize_times
def test_start_offset_is_rounded_to_ms(seconds: float, expected_seconds: float) -> None:
    """The offset of a start request is stored in milliseconds."""
    table = make_table()
    assert table.mark_starting(1, seconds).start_offset_seconds == expected_seconds
    assert table.results[1].start_offset_seconds == expected_seconds


@parametrize_times
def test_start_duration_is_rounded_to_ms(seconds: float, expected_seconds: float) -> None:
    """The duration of a start is stored in milliseconds."""
    table = make_table()
    table.finish_start(1, StartResult(StartStatus.STARTED), "", seconds)
    assert table.results[1].duration_seconds == expected_seconds


@parametrize_times
def test_run_duration_is_rounded_to_ms(seconds: float, expected_seconds: float) -> None:
    """The duration of a run is stored in milliseconds."""
    table = make_table()
    table.finish(1, RunState.PASSED, ExitReason.OK, "", seconds=seconds)
    assert table.results[1].duration_seconds == expected_seconds


# Ids


@pytest.mark.parametrize(
    ("first", "second", "is_new"),
    [
        ((TargetKind.TEST, "r1", ""), (TargetKind.TEST, "r1", ""), False),
        ((TargetKind.TEST, "r1", ""), (TargetKind.TEST, "r2", ""), True),
        ((TargetKind.TEST, "r1", ""), (TargetKind.TEST, "R1", ""), True),
        ((TargetKind.TEST, "r1", ""), (TargetKind.FOLDER, "r1", ""), True),
        ((TargetKind.TEST, "r1", f"{LINK}r1"), (TargetKind.TEST, "r2", f"{LINK}r1"), False),
        ((TargetKind.TEST, "r1", ""), (TargetKind.TEST, "r2", f"{LINK}r1/steps?page=2"), False),
        ((TargetKind.TEST, "", f"{LINK}r1"), (TargetKind.TEST, "r1", ""), False),
        ((TargetKind.TEST, "r1", f"{LINK}r1"), (TargetKind.TEST, "r2", f"{LINK}r2"), True),
        ((TargetKind.TEST, "r1", PAGE), (TargetKind.TEST, "r2", PAGE), True),
        ((TargetKind.TEST, "", PAGE), (TargetKind.TEST, "", PAGE), False),
        ((TargetKind.TEST, "", PAGE), (TargetKind.TEST, "", f"{PAGE}/2"), True),
        ((TargetKind.FOLDER, "r1", f"{LINK}folder/r1"), (TargetKind.TAG, "r1", f"{LINK}folder/r1"), False),
        ((TargetKind.TAG, "", f"{LINK}tag/r1"), (TargetKind.TAG, "r1", ""), False),
        ((TargetKind.TAG, "r1", ""), (TargetKind.FOLDER, "r1", ""), True),
        ((TargetKind.TEST, "r 1", ""), (TargetKind.TEST, "r2", f"{LINK}r%201"), False),
    ],
)  # fmt: skip
def test_claim_compares_ids_and_links(
    first: tuple[TargetKind, str, str], second: tuple[TargetKind, str, str], is_new: bool
) -> None:
    """Two runs with one id in the response or the link are one run."""
    table = make_table()
    assert table.claim(*first)
    assert table.claim(*second) is is_new


def test_each_claim_stays_registered() -> None:
    """A later claim does not replace an earlier one."""
    table = make_table()
    assert [table.claim(TargetKind.TEST, run_id) for run_id in ("r1", "r2", "r3")] == [True] * 3
    assert [table.claim(TargetKind.TEST, run_id) for run_id in ("r1", "r2", "r3")] == [False] * 3


def test_refused_claim_registers_nothing() -> None:
    """A refused claim does not register its other id."""
    table = make_table()
    assert table.claim(TargetKind.TEST, "r1")
    assert not table.claim(TargetKind.TEST, "r2", f"{LINK}r1")
    assert table.claim(TargetKind.TEST, "r2")


@pytest.mark.parametrize(
    ("kind", "run_id", "url", "is_new"),
    [
        (TargetKind.TEST, "r1", "", False),
        (TargetKind.TEST, "r9", f"{LINK}r1", False),
        (TargetKind.TEST, "r2", f"{LINK}r2", True),
        (TargetKind.FOLDER, "r1", "", True),
    ],
)
def test_start_with_previous_id_is_not_new(kind: TargetKind, run_id: str, url: str, is_new: bool) -> None:
    """A started run never has the id of an earlier build attempt."""
    table = RunTable([RunResult(REQUEST)], 0.0, frozenset({(TargetKind.TEST, "r1")}))
    assert table.claim_start(kind, run_id, url) is is_new


def test_previous_id_can_be_reused() -> None:
    """The run of an earlier build attempt can be claimed without a start."""
    table = RunTable([RunResult(REQUEST)], 0.0, frozenset({(TargetKind.TEST, "r1")}))
    assert table.claim(TargetKind.TEST, "r1")


def test_second_start_with_one_id_is_not_new() -> None:
    """Two starts with one run id started one run."""
    table = make_table()
    assert table.claim_start(TargetKind.TEST, "r1", f"{LINK}r1")
    assert not table.claim_start(TargetKind.TEST, "r1", f"{LINK}r1")


# Starts


def test_start_requests_are_counted() -> None:
    """Each start request is counted, and the run is starting."""
    table = make_table(RunResult(REQUEST))
    assert table.mark_starting(1, 1.5) == RunResult(
        REQUEST, RunState.STARTING, start_requests=1, start_offset_seconds=1.5
    )
    assert table.mark_starting(1, 1.5).start_requests == 2
    assert_others_unchanged(table)


@pytest.mark.parametrize("status", StartStatus)
def test_start_status_decides_state(status: StartStatus) -> None:
    """A run is unknown only if its start request may have arrived."""
    states = {StartStatus.STARTED: RunState.STARTED, StartStatus.INDETERMINATE: RunState.UNKNOWN}
    table = make_table(RunResult(REQUEST))
    table.finish_start(1, StartResult(status), "", 0.0)
    assert table.results[1].state is states.get(status, RunState.NOT_STARTED)


def test_start_result_is_stored() -> None:
    """All texts of the response are stored, and the suggestion is the caller's."""
    table = make_table(RunResult(REQUEST, RunState.STARTING, start_requests=2, start_offset_seconds=0.5))
    result = StartResult(
        StartStatus.REJECTED, ExitReason.NOT_FOUND, "r1", f"{LINK}r1", "HTTP 404", "Check the id.", 404, 3.0
    )
    table.finish_start(1, result, "Use folder-ids.", 1.25)
    assert table.results[1] == RunResult(
        REQUEST, RunState.NOT_STARTED, ExitReason.NOT_FOUND, "r1", f"{LINK}r1", "HTTP 404", "Use folder-ids.", 404,
        start_requests=2, duration_seconds=1.25, start_offset_seconds=0.5,
    )  # fmt: skip
    assert_others_unchanged(table)


# Ends


def test_finish_stores_result() -> None:
    """The end of a run is stored with its suggestion and duration."""
    table = make_table()
    table.finish(1, RunState.TIMED_OUT, ExitReason.TIMEOUT, "still running", suggestion="Wait.", seconds=90.5)
    assert table.results[1] == FAILED._replace(
        state=RunState.TIMED_OUT,
        reason=ExitReason.TIMEOUT,
        message="still running",
        suggestion="Wait.",
        duration_seconds=90.5,
    )
    assert_others_unchanged(table)


def test_finish_without_values_preserves_them() -> None:
    """Without new values, suggestion and duration stay the same."""
    table = make_table()
    table.finish(1, RunState.UNKNOWN, ExitReason.UNKNOWN, "no answer")
    run = table.results[1]
    assert (run.suggestion, run.duration_seconds) == (FAILED.suggestion, FAILED.duration_seconds)


@pytest.mark.parametrize("suggestion", ["", "Wait."])
def test_finish_replaces_suggestion(suggestion: str) -> None:
    """A new suggestion replaces the old one, also if it is empty."""
    table = make_table()
    table.finish(1, RunState.PASSED, ExitReason.OK, "", suggestion=suggestion, seconds=0.0)
    run = table.results[1]
    assert (run.suggestion, run.duration_seconds) == (suggestion, 0.0)


def test_reused_run_passes() -> None:
    """A reused run passed with the id and link of the earlier build attempt."""
    table = make_table(RunResult(REQUEST, request_mac="m"))
    table.mark_reused(1, "r1", f"{LINK}r1")
    assert table.results[1] == RunResult(
        REQUEST, RunState.PASSED, run_id="r1", url=f"{LINK}r1", reused=True, request_mac="m"
    )
    assert table.results[1].attempt_count == 1
    assert_others_unchanged(table)


def test_suggestion_is_replaced() -> None:
    """Only the suggestion of the run changes."""
    table = make_table()
    table.set_suggestion(1, "Use folder-ids.")
    assert table.results[1] == FAILED._replace(suggestion="Use folder-ids.")
    assert_others_unchanged(table)


# Retries


def test_retry_moves_failed_run() -> None:
    """A retry is planned, and the failed run is its last previous attempt."""
    table = make_table(RETRIED_RUN._replace(evidence=Evidence(STEPS)))
    table.begin_retry(1)
    second_attempt = PreviousAttempt("r2", f"{LINK}r2", "failed at step 3", STEP, 2.25, 40.5, Evidence(STEPS))
    run = table.results[1]
    assert run.previous_attempts == (FIRST_ATTEMPT, second_attempt)
    assert (run.request, run.title, run.state, run.reason) == (REQUEST, FAILED.title, RunState.PLANNED, ExitReason.OK)
    assert (run.run_id, run.url, run.message, run.suggestion, run.step) == ("", "", "", "", None)
    assert (run.start_requests, run.http_status, run.duration_seconds, run.evidence.steps) == (0, 0, 0.0, ())
    assert_others_unchanged(table)


def test_retry_preserves_signatures() -> None:
    """The retry sends the same request, so its signatures stay valid."""
    table = make_table()
    table.begin_retry(1)
    run = table.results[1]
    assert (run.request_mac, run.variable_macs) == (FAILED.request_mac, FAILED.variable_macs)


def test_retry_without_start_restores_failure() -> None:
    """The run is the last failed attempt again if its retry did not start."""
    table = make_table(RETRIED_RUN._replace(evidence=Evidence(STEPS)))
    table.begin_retry(1)
    table.mark_starting(1, 80.0)
    rejected_result = StartResult(StartStatus.REJECTED, ExitReason.QUOTA, message="HTTP 402", http_status=402)
    table.finish_start(1, rejected_result, "Add quota.", 0.5)
    run = table.results[1]
    assert (run.state, run.reason, run.run_id, run.url) == (RunState.FAILED, ExitReason.FAILED, "r2", f"{LINK}r2")
    assert run.message == "retry not started: HTTP 402"
    assert run.suggestion == "Add quota."
    assert (run.step, run.evidence) == (STEP, Evidence(STEPS))
    assert (run.start_offset_seconds, run.duration_seconds) == (2.25, 40.5)
    assert run.previous_attempts == (FIRST_ATTEMPT,)
    assert_others_unchanged(table)


# Details and evidence


@pytest.mark.parametrize(("server_seconds", "expected_seconds"), [(12.5, 12.5), (0.0, 0.0), (None, 40.5)])
def test_details_of_run_are_stored(server_seconds: float | None, expected_seconds: float) -> None:
    """Step, steps and title are stored, and the duration by the server's clock."""
    table = make_table(RETRIED_RUN)
    table.apply_details(1, "r2", RunDetails("New title", OTHER_STEP, server_seconds, steps=STEPS))
    assert table.results[1] == RETRIED_RUN._replace(
        title="New title", step=OTHER_STEP, evidence=Evidence(STEPS), duration_seconds=expected_seconds
    )
    assert_others_unchanged(table)


def test_details_of_previous_attempt_are_stored() -> None:
    """Details of a failed attempt change this attempt and the title."""
    table = make_table(RETRIED_RUN)
    table.apply_details(1, "r1", RunDetails("New title", STEP, 12.5, steps=STEPS))
    attempt = FIRST_ATTEMPT._replace(step=STEP, evidence=Evidence(STEPS))
    assert table.results[1] == RETRIED_RUN._replace(title="New title", previous_attempts=(attempt,))


def test_details_without_title_preserve_it() -> None:
    """Details without a title do not change the title."""
    table = make_table()
    table.apply_details(1, "r2", RunDetails())
    assert table.results[1].title == FAILED.title


def test_details_of_other_run_change_title_only() -> None:
    """Details of an unknown id change no attempt."""
    table = make_table(RETRIED_RUN)
    table.apply_details(1, "r9", RunDetails("New title", OTHER_STEP, 12.5, steps=STEPS))
    assert table.results[1] == RETRIED_RUN._replace(title="New title")


@pytest.mark.parametrize(("run_id", "attempt_name"), [("r2", "current"), ("r1", "previous")])
def test_evidence_of_run_is_updated(run_id: str, attempt_name: str) -> None:
    """The evidence of the run with this id changes, and no other."""
    table = make_table(RETRIED_RUN)
    table.update_evidence(1, run_id, lambda evidence: evidence._replace(video="video.webm"))
    run = table.results[1]
    videos = {"current": run.evidence.video, "previous": run.previous_attempts[0].evidence.video}
    assert videos == {"current": "", "previous": ""} | {attempt_name: "video.webm"}
    assert run.previous_attempts[0].evidence.steps == (OTHER_STEP,)
    assert_others_unchanged(table)


def test_evidence_of_other_run_is_ignored() -> None:
    """Evidence of an unknown id changes nothing."""
    table = make_table(RETRIED_RUN)
    table.update_evidence(1, "r9", lambda evidence: evidence._replace(video="video.webm"))
    assert table.results[1] == RETRIED_RUN


# Contradictions


def test_contradicted_pass_is_unknown() -> None:
    """A pass that the details contradict becomes unknown with a suggestion."""
    passed = FAILED._replace(state=RunState.PASSED, reason=ExitReason.OK, message="", suggestion="", step=None)
    table = make_table(passed)
    run = table.mark_contradiction(1, passed, "two answers")
    assert run == table.results[1]
    assert run == passed._replace(
        state=RunState.UNKNOWN,
        reason=ExitReason.UNKNOWN,
        message="two answers",
        suggestion="Open the page of the run, because the responses of the API contradict each other.",
        has_contradiction=True,
    )
    assert_others_unchanged(table)


def test_contradicted_failure_stays_failed() -> None:
    """Only the message of a contradicted failure changes."""
    table = make_table()
    assert table.mark_contradiction(1, FAILED, "two answers") == FAILED._replace(message="two answers")
    assert table.results[1] == FAILED._replace(message="two answers")


def test_contradiction_of_previous_attempt() -> None:
    """A contradicted failure with a retry changes the message of its attempt."""
    table = make_table(RETRIED_RUN)
    result = FAILED._replace(run_id="r1", message="failed at step 5")
    assert table.mark_contradiction(1, result, "two answers") == result._replace(message="two answers")
    attempt = FIRST_ATTEMPT._replace(message="two answers")
    assert table.results[1] == RETRIED_RUN._replace(previous_attempts=(attempt,))


def test_contradiction_is_cleared() -> None:
    """Details that fit the status resolve a contradiction."""
    table = make_table(FAILED._replace(has_contradiction=True))
    table.clear_contradiction(1)
    assert table.results[1] == FAILED
