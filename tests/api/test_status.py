"""What an answer to a question about a run means: passed is only what the server calls so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus, RunDetails
from autonoma_ci.api.responses import parse_details_response, parse_status_response
from autonoma_ci.api.transport import HttpResponse, Transport
from autonoma_ci.models import RunRequest, RunStep, TargetKind
from autonoma_ci.redaction.redactor import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
REQUEST = RunRequest(TargetKind.TEST, "a", variables={"NAME": "value-of-the-variable"})


def same() -> Redactor:
    return Redactor(())


def answer(
    body: object, code: int = 200, headers: Mapping[str, str] | None = None, *, complete: bool = True
) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(code, headers or {}, raw, complete)


@pytest.mark.parametrize(
    ("word", "said"),
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
def test_a_word_means(word: object, said: PollStatus) -> None:
    assert parse_status_response(answer({"status": word}), same).status is said


@given(st.text())
def test_no_word_but_one_is_a_pass(word: str) -> None:
    known = word.strip().lower().replace("-", "_").replace(" ", "_") == "passed"
    assert (parse_status_response(answer({"status": word}), same).status is PollStatus.PASSED) == known


@pytest.mark.parametrize(
    ("code", "said"),
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
def test_a_status_code_means(code: int, said: PollStatus) -> None:
    """Whatever a body says, only a 200 tells how a run stands."""
    found = parse_status_response(answer({"status": "passed", "message": "Because."}, code), same)
    assert found.status is said
    assert found.message == f"HTTP {code}: Because."


@pytest.mark.parametrize(
    "body", [b"", b"<html>passed</html>", b"null", b"[]", b'"passed"', b'{"status": "passed"', b"{}"]
)
def test_what_is_no_answer_is_no_pass(body: bytes) -> None:
    assert parse_status_response(answer(body), same).status is PollStatus.UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "body"),
    [(402, {}), (403, {"message": "Insufficient quota"}), (403, {"error": "Over the LIMITS of your plan"})],
)
def test_used_up_quota_does_not_end_the_wait(code: int, body: dict[str, str]) -> None:
    """The run goes on, and the credentials are fine."""
    found = parse_status_response(answer(body, code), same)
    assert found.status is PollStatus.UNAVAILABLE
    assert found.message.startswith(f"the account's quota is used up (HTTP {code}")


@pytest.mark.parametrize(
    ("body", "headers"), [(b"<!doctype html>", {}), (b"passed", {"Content-Type": "text/html; charset=utf-8"})]
)
def test_web_page_in_place_of_a_status_is_named(body: bytes, headers: dict[str, str]) -> None:
    found = parse_status_response(HttpResponse(200, headers, body, is_complete=True), same)
    assert found.status is PollStatus.UNAVAILABLE
    assert found.message.startswith("HTTP 200, but this host serves a web page, not the API. Check api-url")


def test_an_answer_cut_short_is_no_pass() -> None:
    assert parse_status_response(answer({"status": "passed"}, complete=False), same).status is PollStatus.UNAVAILABLE


def test_retry_after_is_told() -> None:
    assert parse_status_response(answer({}, 429, {"Retry-After": "7"}), same).retry_after == 7.0
    assert parse_status_response(answer({}, 503), same).retry_after is None


STEPS: list[dict[str, Any]] = [
    {"instruction": "Open", "output": "ok", "status": "passed", "url": "https://shop.test/"},
    {"instruction": "Click", "output": "Not there", "status": "failed", "url": "https://shop.test/a"},
    {"instruction": "Check\nit", "output": "Expected a confirmation", "status": "FAILED", "url": None},
    {"instruction": "Leave", "output": None, "status": "skipped"},
]


def test_the_step_that_failed_is_the_last_that_says_so() -> None:
    times = {"created_at": "2025-01-07T09:30:00.500Z", "ended_at": "2025-01-07T09:31:00.000Z"}
    body = {"name": "Checkout", "steps": STEPS, **times}
    found = parse_details_response(answer(body), same)
    step = RunStep(3, "Check it", "Expected a confirmation", "", "failed")
    assert (found.title, found.step, found.duration_seconds) == ("Checkout", step, 59.5)


def test_all_steps_are_told_in_their_order() -> None:
    found = parse_details_response(answer({"steps": STEPS}), same).steps
    assert [(step.number, step.instruction, step.status) for step in found] == [
        (1, "Open", "passed"), (2, "Click", "failed"), (3, "Check it", "failed"), (4, "Leave", "skipped"),
    ]  # fmt: skip


def test_of_very_many_steps_the_first_and_the_last_are_told() -> None:
    many = [{"instruction": str(number), "image": f"https://media.test/{number}"} for number in range(1, 10_001)]
    found = parse_details_response(answer({"steps": many}), same)
    assert [step.number for step in found.steps] == [*range(1, 101), *range(9901, 10_001)]
    assert set(found.media_urls) == {step.number for step in found.steps}


@pytest.mark.parametrize("address", [None, 7, "", [], {"url": "x"}])
def test_where_screenshots_and_video_are_is_told_if_it_is_text(address: object) -> None:
    body = {"steps": [{"image": "https://media.test/1"}, {"image": address}], "video_url": address}
    assert {number: media.url for number, media in parse_details_response(answer(body), same).media_urls.items()} == {
        1: "https://media.test/1"
    }


def test_addresses_of_media_are_in_no_repr() -> None:
    body = {"steps": [{"image": "https://media.test/1?signature=secret"}], "video_url": "https://media.test/v?secret"}
    assert "secret" not in repr(parse_details_response(answer(body), same))


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
def test_every_field_may_be_missing_or_something_else(body: object) -> None:
    assert parse_details_response(answer(body), same) == RunDetails(status=PollStatus.FAILED)


def test_details_that_can_not_be_had_say_why() -> None:
    assert parse_details_response(answer({}, 500), same).error == "HTTP 500"
    assert parse_details_response(answer(b"<html>"), same).error == "not in the form that is known"


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
def test_no_answer_breaks_anything(body: dict[str, object]) -> None:
    found = answer(json.dumps(body).encode())
    assert isinstance(parse_status_response(found, same).status, PollStatus)
    assert isinstance(parse_details_response(found, same), RunDetails)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (TargetKind.TEST, "/run/r1/status"),
        (TargetKind.FOLDER, "/run/folder/r1/status"),
        (TargetKind.TAG, "/run/tag/r1/status"),
    ],
)
def test_each_kind_of_run_has_its_endpoint(kind: TargetKind, path: str) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(f"https://api.test{path}", json={"status": "passed"})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.status(RunRequest(kind, "a"), "r1").status is PollStatus.PASSED


def test_details_are_asked_for_with_their_steps_and_without_media() -> None:
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1?steps=true", json={"name": "Checkout"})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.details(REQUEST, "r1").title == "Checkout"
        assert mock.last_request.query == "steps=true"


def test_neither_a_secret_nor_a_value_comes_back_out_of_an_answer() -> None:
    said = "client-secret-of-the-test, value-of-the-variable"
    step = {"instruction": said, "output": said, "status": "failed", "url": f"https://shop.test/{said}"}
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": said})
        mock.get("https://api.test/run/r1?steps=true", json={"name": said, "steps": [step]})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        shown = repr(client.status(REQUEST, "r1")) + repr(client.details(REQUEST, "r1"))
        mock.get("https://api.test/run/r1/status", json={"message": said}, status_code=500)
        shown += repr(client.status(REQUEST, "r1"))
    assert "***" in shown
    assert "client-secret-of-the-test" not in shown
    assert "value-of-the-variable" not in shown


def test_values_are_removed_from_each_run_and_kept_in_ids() -> None:
    """The runs of a record have names of variables alone. A value such as `r1` occurs in ids and links by chance."""
    request = RunRequest(TargetKind.TEST, "a", variables={"NAME": ""})
    link = "https://autonoma.app/run/r1"
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": "passed", "url": f"{link}?word=the-value"})
        mock.get("https://api.test/run/r1?steps=true", json={"name": "the-value in r1"})
        values = [Secret("the-value"), Secret("r1")]
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS, values)
        assert client.details(request, "r1").title == "*** in ***"
        found = client.status(request, "r1")
    assert (found.status, found.url) == (PollStatus.PASSED, link)
