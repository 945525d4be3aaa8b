"""Test how responses about the status of a run are interpreted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.api.models import PollStatus, RunDetails, SignedUrl
from autonoma_ci.api.responses import parse_details_response, parse_status_response
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.models import RunStep
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_redactor() -> Redactor:
    return Redactor(())


def make_response(
    body: object, code: int = 200, headers: Mapping[str, str] | None = None, *, is_complete: bool = True
) -> HttpResponse:
    encoded_body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(code, headers or {}, encoded_body, is_complete)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("passed", PollStatus.PASSED),
        (" PASSED\n", PollStatus.PASSED),
        ("failed", PollStatus.FAILED),
        ("error", PollStatus.FAILED),
        ("pending", PollStatus.RUNNING),
        ("running", PollStatus.RUNNING),
        ("in-progress", PollStatus.RUNNING),
        ("In Progress", PollStatus.RUNNING),
        ("cancelled", PollStatus.STOPPED),
        ("canceled", PollStatus.STOPPED),
        ("skipped", PollStatus.STOPPED),
        ("stopped", PollStatus.STOPPED),
        ("success", PollStatus.UNRECOGNIZED),
        ("not passed", PollStatus.UNRECOGNIZED),
        ("", PollStatus.UNRECOGNIZED),
        (None, PollStatus.UNRECOGNIZED),
        (1, PollStatus.UNRECOGNIZED),
        (True, PollStatus.UNRECOGNIZED),
        (["passed"], PollStatus.UNRECOGNIZED),
    ],
)
def test_status_word_decides_poll_status(word: object, expected: PollStatus) -> None:
    """Each status word has one meaning."""
    assert parse_status_response(make_response({"status": word}), make_redactor).status is expected


@given(st.text())
def test_only_passed_means_passed(word: str) -> None:
    """Only the word passed gives the status passed."""
    is_passed = word.strip().lower().replace("-", "_").replace(" ", "_") == "passed"
    assert (
        parse_status_response(make_response({"status": word}), make_redactor).status is PollStatus.PASSED
    ) == is_passed


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (401, PollStatus.UNAUTHORIZED),
        (403, PollStatus.UNAUTHORIZED),
        (404, PollStatus.NOT_FOUND),
        (429, PollStatus.RATE_LIMITED),
        (503, PollStatus.RATE_LIMITED),
        (500, PollStatus.UNAVAILABLE),
        (502, PollStatus.UNAVAILABLE),
        (400, PollStatus.UNAVAILABLE),
        (302, PollStatus.UNAVAILABLE),
        (204, PollStatus.UNAVAILABLE),
    ],
)
def test_status_code_decides_poll_status(code: int, expected: PollStatus) -> None:
    """A status other than 200 overrides the body."""
    result = parse_status_response(make_response({"status": "passed", "message": "Because."}, code), make_redactor)
    assert result.status is expected
    assert result.message == f"HTTP {code}: Because."


@pytest.mark.parametrize(
    "body", [b"", b"<html>passed</html>", b"null", b"[]", b'"passed"', b'{"status": "passed"', b"{}"]
)
def test_malformed_status_is_unavailable(body: bytes) -> None:
    """A body without a status never counts as passed."""
    assert parse_status_response(make_response(body), make_redactor).status is PollStatus.UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "body"),
    [(402, {}), (403, {"message": "Insufficient quota"}), (403, {"error": "Over the LIMITS of your plan"})],
)
def test_used_up_quota_continues_polling(code: int, body: dict[str, str]) -> None:
    """A used-up quota does not stop the run."""
    result = parse_status_response(make_response(body, code), make_redactor)
    assert result.status is PollStatus.UNAVAILABLE
    assert result.message.startswith(f"the account's quota is used up (HTTP {code}")


@pytest.mark.parametrize(
    ("body", "headers"), [(b"<!doctype html>", {}), (b"passed", {"Content-Type": "text/html; charset=utf-8"})]
)
def test_web_page_as_status_is_reported(body: bytes, headers: dict[str, str]) -> None:
    """A web page instead of a status leads to api-url."""
    result = parse_status_response(HttpResponse(200, headers, body, is_complete=True), make_redactor)
    assert result.status is PollStatus.UNAVAILABLE
    assert result.message.startswith("HTTP 200, but the response is a web page, not JSON. Check api-url")


def test_incomplete_status_is_unavailable() -> None:
    """An incomplete response never counts as passed."""
    assert (
        parse_status_response(make_response({"status": "passed"}, is_complete=False), make_redactor).status
        is PollStatus.UNAVAILABLE
    )


def test_poll_result_has_retry_after() -> None:
    """The poll result contains the time of Retry-After."""
    assert parse_status_response(make_response({}, 429, {"Retry-After": "7"}), make_redactor).retry_after == 7.0
    assert parse_status_response(make_response({}, 503), make_redactor).retry_after is None


STEPS: list[dict[str, Any]] = [
    {"instruction": "Open", "output": "ok", "status": "passed", "url": "https://shop.test/"},
    {"instruction": "Click", "output": "Not there", "status": "failed", "url": "https://shop.test/a"},
    {"instruction": "Check\nit", "output": "Expected a confirmation", "status": "FAILED", "url": None},
    {"instruction": "Leave", "output": None, "status": "skipped"},
]


def test_failed_step_is_last_failed_one() -> None:
    """The last step with the status failed is the failed step."""
    times = {"created_at": "2025-01-07T09:30:00.500Z", "ended_at": "2025-01-07T09:31:00.000Z"}
    body = {"name": "Checkout", "steps": STEPS, **times}
    details = parse_details_response(make_response(body), make_redactor)
    step = RunStep(3, "Check it", "Expected a confirmation", "", "failed")
    assert (details.title, details.step, details.duration_seconds) == ("Checkout", step, 59.5)


def test_steps_stay_in_order() -> None:
    """All steps are returned in their order."""
    steps = parse_details_response(make_response({"steps": STEPS}), make_redactor).steps
    assert [(step.number, step.instruction, step.status) for step in steps] == [
        (1, "Open", "passed"), (2, "Click", "failed"), (3, "Check it", "failed"), (4, "Leave", "skipped"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    ["https://user:s3cret@shop.test/a?b", "https://user:s3/cret@shop.test/a?b", f"https://{'u' * 9000}@shop.test/a?b"],
)
def test_page_of_step_hides_login(url: str) -> None:
    """The test can open a page with a login in its URL."""
    body = {"steps": [{"url": url, "status": "failed"}]}
    details = parse_details_response(make_response(body), make_redactor)
    assert [step.url for step in details.steps] == ["https://shop.test/a?b"]
    assert details.step
    assert details.step.url == "https://shop.test/a?b"


def test_many_steps_are_shortened() -> None:
    """Of 10,000 steps only the first and last hundred are returned."""
    all_steps = [{"instruction": str(number), "image": f"https://media.test/{number}"} for number in range(1, 10_001)]
    details = parse_details_response(make_response({"steps": all_steps}), make_redactor)
    assert [step.number for step in details.steps] == [*range(1, 101), *range(9901, 10_001)]
    assert set(details.screenshot_urls) == {step.number for step in details.steps}
    assert details.video_url is None


@pytest.mark.parametrize("url", [None, 7, "", [], {"url": "x"}])
def test_media_url_must_be_text(url: object) -> None:
    """A media URL that is not text is ignored."""
    body = {"steps": [{"image": "https://media.test/1"}, {"image": url}], "video_url": url}
    details = parse_details_response(make_response(body), make_redactor)
    assert details.screenshot_urls == {1: SignedUrl("https://media.test/1")}
    assert details.video_url is None


def test_media_url_is_not_in_repr() -> None:
    """The repr contains no media URL, because it can be signed."""
    body = {"steps": [{"image": "https://media.test/1?signature=secret"}], "video_url": "https://media.test/v?secret"}
    assert "secret" not in repr(parse_details_response(make_response(body), make_redactor))


@pytest.mark.parametrize(
    "body",
    [
        {"status": "failed"},
        {"status": "failed", "name": None, "steps": None, "created_at": None, "ended_at": None},
        {"status": "failed", "name": 7, "steps": "x", "created_at": "yesterday", "ended_at": "2025-01-07T09:31:00Z"},
        {"status": "failed", "steps": [None, 1, "x", []]},
        {"status": "failed", "created_at": "2025-01-07T09:31:00", "ended_at": "2025-01-07T09:31:00Z"},
        {"status": "failed", "created_at": "2025-01-07T09:31:00Z", "ended_at": "2025-01-07T09:30:00Z"},
    ],
)
def test_malformed_details_are_ignored(body: object) -> None:
    """Missing and malformed fields give empty details."""
    assert parse_details_response(make_response(body), make_redactor) == RunDetails(status=PollStatus.FAILED)


def test_unreadable_details_have_reason() -> None:
    """Details that cannot be read contain the reason."""
    assert parse_details_response(make_response({}, 500), make_redactor).error == "HTTP 500"
    assert parse_details_response(make_response(b"<html>"), make_redactor).error == "the response is invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "steps", "name", "url", "created_at", "ended_at", "output"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["status", "steps", "name", "created_at", "ended_at"]), json_values))
def test_any_body_is_parsed(body: dict[str, object]) -> None:
    """Any JSON body gives a result instead of an exception."""
    response = make_response(json.dumps(body).encode())
    assert isinstance(parse_status_response(response, make_redactor).status, PollStatus)
    assert isinstance(parse_details_response(response, make_redactor), RunDetails)
