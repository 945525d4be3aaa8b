"""Tests of the values that the packages pass on."""

from __future__ import annotations

import pytest

from autonoma_ci.identity import Part, RunKey
from autonoma_ci.models import (
    CHANGE_NUMBER_RE,
    COMMIT_HASH_RE,
    NO_EVIDENCE,
    NO_VARIABLES,
    NOT_A_BRANCH_RE,
    REF_PREFIX_RE,
    BuildContext,
    Conclusion,
    Evidence,
    PreviousAttempt,
    Report,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)

REQUEST = RunRequest(TargetKind.TEST, "test-1")
COMMIT_HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "is_hash"),
    [
        (COMMIT_HASH[:40], True),
        (COMMIT_HASH[:64], True),
        ("0" * 39 + "1", True),
        ("0" * 40 + "1" * 24, True),
        ("0" * 40, False),
        ("0" * 64, False),
        (COMMIT_HASH[:39], False),
        (COMMIT_HASH[:41], False),
        (COMMIT_HASH[:63], False),
        (COMMIT_HASH + "0", False),
        (COMMIT_HASH[:40].upper(), False),
        (COMMIT_HASH[:39] + "g", False),
        (COMMIT_HASH[:40] + "\n", False),
        (COMMIT_HASH[:39] + "１", False),
        ("", False),
    ],
)
def test_commit_hash_pattern(text: str, is_hash: bool) -> None:
    """A commit has 40 or 64 lower-case hexadecimal digits that are not all zero."""
    assert bool(COMMIT_HASH_RE.fullmatch(text)) == is_hash


@pytest.mark.parametrize(
    ("text", "is_branch"),
    [
        ("main", True),
        ("feature/pull/1", True),
        ("1/merged", True),
        ("pull/x", True),
        ("head", True),
        ("HEAD/x", True),
        ("refs", True),
        ("HEAD", False),
        ("refs/pull/1/merge", False),
        ("refs/", False),
        ("1/merge", False),
        ("12/head", False),
        ("pull/1/merge", False),
        ("pull/12/head", False),
        ("pull/12", False),
    ],
)
def test_branch_pattern(text: str, is_branch: bool) -> None:
    """Names that Git creates for change requests and detached heads are no branches."""
    assert (NOT_A_BRANCH_RE.fullmatch(text) is None) == is_branch


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        ("1", True),
        ("10", True),
        ("9" * 18, True),
        ("9" * 19, False),
        ("0", False),
        ("01", False),
        ("-1", False),
        ("1\n", False),
        ("１", False),
        ("", False),
    ],
)
def test_change_number_pattern(text: str, is_number: bool) -> None:
    """The number of a change request has 1 to 18 ASCII digits and no leading zero."""
    assert bool(CHANGE_NUMBER_RE.fullmatch(text)) == is_number


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("refs/heads/main", "main"),
        ("refs/tags/v1", "v1"),
        ("refs/heads/refs/heads/a", "refs/heads/a"),
        ("refs/pull/1/merge", "refs/pull/1/merge"),
        ("refs/headsmain", "refs/headsmain"),
    ],
)
def test_reference_prefix_pattern(text: str, name: str) -> None:
    """Only the prefix of a branch or a tag is removed."""
    assert REF_PREFIX_RE.sub("", text, count=1) == name


def test_evidence_files_have_step_order() -> None:
    """Missing files are left out, and the video is the last one."""
    steps = (RunStep(1, screenshot="1.png"), RunStep(2), RunStep(3, screenshot="3.png"))
    assert Evidence(steps, "video.webm").files == ["1.png", "3.png", "video.webm"]
    assert Evidence(steps).files == ["1.png", "3.png"]
    assert NO_EVIDENCE.files == []


def test_no_variables_is_immutable() -> None:
    """The default is shared by all requests."""
    assert RunRequest(TargetKind.TEST, "a").variables is NO_VARIABLES
    with pytest.raises(TypeError):
        NO_VARIABLES["name"] = "value"  # type: ignore[index]


def test_request_repr_hides_variable_values() -> None:
    """The text has the names of the variables and none of their values."""
    request = REQUEST._replace(variables={"USER": "s3cret-value", "LOCALE": "de"})
    assert repr(request) == f"{request}" == "RunRequest(test test-1, variables USER, LOCALE)"
    assert "s3cret-value" not in repr(RunResult(request))


def test_request_key_has_no_values() -> None:
    """The key has the place in the matrix, and neither name nor variables."""
    request = RunRequest(
        TargetKind.TAG, "tag-1", "Name", {"A": "s3cret-value"}, matrix_place="A=2", occurrence=3, environment="staging"
    )
    assert request.key == RunKey("tag", "tag-1", "A=2", 3, "staging")
    assert str(REQUEST.key) == "test/test-1//1/"


@pytest.mark.parametrize(
    ("name", "title", "expected"),
    [
        ("", "", "test-1"),
        ("", "Title", "Title"),
        ("Name", "", "Name"),
        ("Name", "Title", "Name"),
    ],
)
def test_display_name_prefers_user_name(name: str, title: str, expected: str) -> None:
    """The user's name precedes the title, and the id is the last choice."""
    request = REQUEST._replace(name=name)
    assert RunResult(request, title=title).display_name == expected
    assert request.display_name == (name or "test-1")


@pytest.mark.parametrize(
    ("previous_count", "start_requests", "run_id", "count"),
    [
        (0, 0, "", 0),
        (0, 1, "", 1),
        (0, 3, "run-1", 1),
        (0, 0, "run-1", 1),
        (2, 0, "", 2),
        (2, 1, "run-3", 3),
    ],
)
def test_attempt_count_includes_failed_start(previous_count: int, start_requests: int, run_id: str, count: int) -> None:
    """Several start requests are one attempt."""
    result = RunResult(
        REQUEST, run_id=run_id, start_requests=start_requests, previous_attempts=(PreviousAttempt(),) * previous_count
    )
    assert result.attempt_count == count


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("previous_count", [0, 1])
def test_flaky_run_passed_in_retry(state: RunState, previous_count: int) -> None:
    """Only a passed run with an earlier failure is flaky."""
    result = RunResult(REQUEST, state, previous_attempts=(PreviousAttempt(),) * previous_count)
    assert result.is_flaky == (previous_count == 1 and state == "passed")


@pytest.mark.parametrize(
    ("part", "heading"), [(Part(), "Autonoma"), (Part("e2e", shard="2/5"), "Autonoma (shard 2/5)")]
)
def test_report_heading_has_part(part: Part, heading: str) -> None:
    """A part of a build has its own heading."""
    assert Report("Autonoma", BuildContext(), "cli", (), part=part).heading == heading


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TargetKind.FOLDER, "folder"),
        (RunState.TIMED_OUT, "timed-out"),
        (RunState.NOT_STARTED, "not-started"),
        (Conclusion.TIMED_OUT, "timed-out"),
    ],
)
def test_enum_text_is_report_value(value: TargetKind | RunState | Conclusion, text: str) -> None:
    """Reports and URLs contain the value without the name of its class."""
    assert (f"{value}", str(value), value) == (text, text, text)
