"""What an answer to a question about a run means: passed is only what the server calls so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.api.client import Client
from autonoma_ci.api.models import Details, Said
from autonoma_ci.api.responses import details, status
from autonoma_ci.api.transport import Answer, Transport
from autonoma_ci.models import Kind, RunRequest, Step
from autonoma_ci.redaction.redactor import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
REQUEST = RunRequest(Kind.TEST, "a", variables={"NAME": "value-of-the-variable"})


def same() -> Redactor:
    return Redactor(())


def answer(body: object, code: int = 200, headers: Mapping[str, str] | None = None, *, complete: bool = True) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(code, headers or {}, raw, complete)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("passed", Said.PASSED),
        (" PASSED\n", Said.PASSED),
        ("failed", Said.FAILED),
        ("error", Said.FAILED),
        ("pending", Said.GOING_ON),
        ("running", Said.GOING_ON),
        ("in-progress", Said.GOING_ON),
        ("In Progress", Said.GOING_ON),
        ("cancelled", Said.STOPPED),
        ("canceled", Said.STOPPED),
        ("skipped", Said.STOPPED),
        ("stopped", Said.STOPPED),
        ("success", Said.STRANGE),
        ("not passed", Said.STRANGE),
        ("", Said.STRANGE),
        (None, Said.STRANGE),
        (1, Said.STRANGE),
        (True, Said.STRANGE),
        (["passed"], Said.STRANGE),
    ],
)
def test_a_word_means(word: object, said: Said) -> None:
    assert status(answer({"status": word}), same).said is said


@given(st.text())
def test_no_word_but_one_is_a_pass(word: str) -> None:
    known = word.strip().lower().replace("-", "_").replace(" ", "_") == "passed"
    assert (status(answer({"status": word}), same).said is Said.PASSED) == known


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (401, Said.UNAUTHORIZED),
        (403, Said.UNAUTHORIZED),
        (404, Said.MISSING),
        (429, Said.BUSY),
        (503, Said.BUSY),
        (500, Said.TROUBLE),
        (502, Said.TROUBLE),
        (400, Said.TROUBLE),
        (302, Said.TROUBLE),
        (204, Said.TROUBLE),
    ],
)
def test_a_status_code_means(code: int, said: Said) -> None:
    """Whatever a body says, only a 200 tells how a run stands."""
    found = status(answer({"status": "passed", "message": "Because."}, code), same)
    assert found.said is said
    assert found.message == f"HTTP {code}: Because."


@pytest.mark.parametrize(
    "body", [b"", b"<html>passed</html>", b"null", b"[]", b'"passed"', b'{"status": "passed"', b"{}"]
)
def test_what_is_no_answer_is_no_pass(body: bytes) -> None:
    assert status(answer(body), same).said is Said.TROUBLE


@pytest.mark.parametrize(
    ("code", "body"),
    [(402, {}), (403, {"message": "Insufficient quota"}), (403, {"error": "Over the LIMITS of your plan"})],
)
def test_used_up_quota_does_not_end_the_wait(code: int, body: dict[str, str]) -> None:
    """The run goes on, and the credentials are fine."""
    found = status(answer(body, code), same)
    assert found.said is Said.TROUBLE
    assert found.message.startswith(f"the account's quota is used up (HTTP {code}")


@pytest.mark.parametrize(
    ("body", "headers"), [(b"<!doctype html>", {}), (b"passed", {"Content-Type": "text/html; charset=utf-8"})]
)
def test_web_page_in_place_of_a_status_is_named(body: bytes, headers: dict[str, str]) -> None:
    found = status(Answer(200, headers, body, complete=True), same)
    assert found.said is Said.TROUBLE
    assert found.message.startswith("HTTP 200, but this host serves a web page, not the API. Check api-url")


def test_an_answer_cut_short_is_no_pass() -> None:
    assert status(answer({"status": "passed"}, complete=False), same).said is Said.TROUBLE


def test_retry_after_is_told() -> None:
    assert status(answer({}, 429, {"Retry-After": "7"}), same).retry_after == 7.0
    assert status(answer({}, 503), same).retry_after is None


STEPS: list[dict[str, Any]] = [
    {"instruction": "Open", "output": "ok", "status": "passed", "url": "https://shop.test/"},
    {"instruction": "Click", "output": "Not there", "status": "failed", "url": "https://shop.test/a"},
    {"instruction": "Check\nit", "output": "Expected a confirmation", "status": "FAILED", "url": None},
    {"instruction": "Leave", "output": None, "status": "skipped"},
]


def test_the_step_that_failed_is_the_last_that_says_so() -> None:
    times = {"created_at": "2025-01-07T09:30:00.500Z", "ended_at": "2025-01-07T09:31:00.000Z"}
    body = {"name": "Checkout", "steps": STEPS, **times}
    found = details(answer(body), same)
    step = Step(3, "Check it", "Expected a confirmation", "", "failed")
    assert (found.title, found.step, found.seconds) == ("Checkout", step, 59.5)


def test_all_steps_are_told_in_their_order() -> None:
    found = details(answer({"steps": STEPS}), same).steps
    assert [(step.number, step.instruction, step.status) for step in found] == [
        (1, "Open", "passed"), (2, "Click", "failed"), (3, "Check it", "failed"), (4, "Leave", "skipped"),
    ]  # fmt: skip


def test_of_very_many_steps_the_first_and_the_last_are_told() -> None:
    many = [{"instruction": str(number), "image": f"https://media.test/{number}"} for number in range(1, 10_001)]
    found = details(answer({"steps": many}), same)
    assert [step.number for step in found.steps] == [*range(1, 101), *range(9901, 10_001)]
    assert set(found.media) == {step.number for step in found.steps}


@pytest.mark.parametrize("address", [None, 7, "", [], {"url": "x"}])
def test_where_screenshots_and_video_are_is_told_if_it_is_text(address: object) -> None:
    body = {"steps": [{"image": "https://media.test/1"}, {"image": address}], "video_url": address}
    assert {number: media.url for number, media in details(answer(body), same).media.items()} == {
        1: "https://media.test/1"
    }


def test_addresses_of_media_are_in_no_repr() -> None:
    body = {"steps": [{"image": "https://media.test/1?signature=secret"}], "video_url": "https://media.test/v?secret"}
    assert "secret" not in repr(details(answer(body), same))


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
    assert details(answer(body), same) == Details(said=Said.FAILED)


def test_details_that_can_not_be_had_say_why() -> None:
    assert details(answer({}, 500), same).problem == "HTTP 500"
    assert details(answer(b"<html>"), same).problem == "not in the form that is known"


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
    assert isinstance(status(found, same).said, Said)
    assert isinstance(details(found, same), Details)


@pytest.mark.parametrize(
    ("kind", "path"),
    [(Kind.TEST, "/run/r1/status"), (Kind.FOLDER, "/run/folder/r1/status"), (Kind.TAG, "/run/tag/r1/status")],
)
def test_each_kind_of_run_has_its_endpoint(kind: Kind, path: str) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(f"https://api.test{path}", json={"status": "passed"})
        client = Client(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.status(RunRequest(kind, "a"), "r1").said is Said.PASSED


def test_details_are_asked_for_with_their_steps_and_without_media() -> None:
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1?steps=true", json={"name": "Checkout"})
        client = Client(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.details(REQUEST, "r1").title == "Checkout"
        assert mock.last_request.query == "steps=true"


def test_neither_a_secret_nor_a_value_comes_back_out_of_an_answer() -> None:
    said = "client-secret-of-the-test, value-of-the-variable"
    step = {"instruction": said, "output": said, "status": "failed", "url": f"https://shop.test/{said}"}
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": said})
        mock.get("https://api.test/run/r1?steps=true", json={"name": said, "steps": [step]})
        client = Client(Transport("https://api.test", SECRETS), "github", SECRETS)
        shown = repr(client.status(REQUEST, "r1")) + repr(client.details(REQUEST, "r1"))
        mock.get("https://api.test/run/r1/status", json={"message": said}, status_code=500)
        shown += repr(client.status(REQUEST, "r1"))
    assert "***" in shown
    assert "client-secret-of-the-test" not in shown
    assert "value-of-the-variable" not in shown


def test_values_are_removed_from_each_run_and_kept_in_ids() -> None:
    """The runs of a record have names of variables alone. A value such as `r1` occurs in ids and links by chance."""
    request = RunRequest(Kind.TEST, "a", variables={"NAME": ""})
    link = "https://autonoma.app/run/r1"
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": "passed", "url": f"{link}?word=the-value"})
        mock.get("https://api.test/run/r1?steps=true", json={"name": "the-value in r1"})
        values = [Secret("the-value"), Secret("r1")]
        client = Client(Transport("https://api.test", SECRETS), "github", SECRETS, values)
        assert client.details(request, "r1").title == "*** in ***"
        found = client.status(request, "r1")
    assert (found.said, found.url) == (Said.PASSED, link)
