"""Test how responses to start requests are interpreted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.api.responses import parse_retry_after, parse_start_response
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

TEST = RunRequest(TargetKind.TEST, "abc")
NO_SECRETS = Redactor(())


def parse_start(
    status: int, body: object = None, kind: TargetKind = TargetKind.TEST, headers: Mapping[str, str] | None = None
) -> StartResult:
    data = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
    response = HttpResponse(status, headers or {}, data, is_complete=True)
    return parse_start_response(response, RunRequest(kind, "abc"), NO_SECRETS, NO_SECRETS)


@pytest.mark.parametrize(
    ("status", "headers", "start_status", "reason"),
    [
        (301, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (308, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (400, {}, StartStatus.REJECTED, ExitReason.API),
        (401, {}, StartStatus.REJECTED, ExitReason.UNAUTHORIZED),
        (403, {}, StartStatus.REJECTED, ExitReason.UNAUTHORIZED),
        (404, {}, StartStatus.REJECTED, ExitReason.NOT_FOUND),
        (422, {}, StartStatus.REJECTED, ExitReason.API),
        (429, {}, StartStatus.RATE_LIMITED, ExitReason.API),
        (429, {"Retry-After": "7"}, StartStatus.RATE_LIMITED, ExitReason.API),
        (500, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (500, {"Retry-After": "7"}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (502, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (503, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (503, {"Retry-After": "7"}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (503, {"Retry-After": "soon"}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (504, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
        (200, {}, StartStatus.INDETERMINATE, ExitReason.UNKNOWN),
    ],
)
def test_status_code_decides_start_result(
    status: int, headers: dict[str, str], start_status: StartStatus, reason: ExitReason
) -> None:
    """The HTTP status decides the start status and the exit reason."""
    result = parse_start(status, {"error": "No", "message": "not now"}, headers=headers)
    assert (result.status, result.reason, result.http_status) == (start_status, reason, status)
    assert result.suggestion
    assert f"HTTP {status}" in result.message


@pytest.mark.parametrize(
    ("body", "subject", "reason"),
    [
        ({"error": "QuotaExceeded"}, "abc", ExitReason.QUOTA),
        ({"error": "insufficientQuota"}, "abc", ExitReason.QUOTA),
        ({"error": "PLAN_LIMIT"}, "abc", ExitReason.QUOTA),
        ({"error": {"code": "x", "message": "Insufficient quota"}}, "abc", ExitReason.QUOTA),
        ({"message": ["Forbidden", "Insufficient quota"]}, "abc", ExitReason.QUOTA),
        ({"error": "Forbidden", "code": "quota_exceeded"}, "abc", ExitReason.QUOTA),
        ({"detail": "Insufficient quota"}, "abc", ExitReason.QUOTA),
        ({"title": "Plan limit", "status": 403}, "abc", ExitReason.QUOTA),
        ({"error": {"reason": "limitReached"}}, "abc", ExitReason.QUOTA),
        ({"code": "forbidden", "detail": "No access to x", "plan": "free"}, "abc", ExitReason.UNAUTHORIZED),
        ("Forbidden: Insufficient quota", "abc", ExitReason.QUOTA),
        (b"Forbidden: Insufficient quota", "abc", ExitReason.QUOTA),
        ({"message": "Insufficient quota"}, "t", ExitReason.QUOTA),
        ({"message": "Resource `My-Plan` is not yours"}, "my-plan", ExitReason.UNAUTHORIZED),
        ({"message": "Planned: Unlimited accreditation, see credentials"}, "abc", ExitReason.UNAUTHORIZED),
        (["quota"], "abc", ExitReason.UNAUTHORIZED),
        (b"<?xml version='1.0'?><Error>limit</Error>", "abc", ExitReason.UNAUTHORIZED),
        (b"<p>Your plan</p>", "abc", ExitReason.UNAUTHORIZED),
        (b"x" * 1000 + b" quota", "abc", ExitReason.UNAUTHORIZED),
    ],
)
def test_403_quota_message_is_recognized(body: object, subject: str, reason: ExitReason) -> None:
    """A quota word counts only as a whole word of the message."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    result = parse_start_response(
        HttpResponse(403, {}, data, is_complete=True), RunRequest(TargetKind.TEST, subject), NO_SECRETS, NO_SECRETS
    )
    assert (result.status, result.reason) == (StartStatus.REJECTED, reason)


@pytest.mark.parametrize("status", [404, 405])
def test_web_page_rejection_names_api_url(status: int) -> None:
    """A rejection with a web page suggests checking api-url first."""
    page_result = parse_start(status, b"<!doctype html><title>Not found</title>", headers={"Content-Type": "text/html"})
    json_result = parse_start(status, {"error": "Not found"})
    assert page_result.suggestion.startswith("The response is a web page, perhaps of another host. Check api-url: ")
    assert (page_result.status, page_result.reason) == (json_result.status, json_result.reason)
    assert "web page" not in json_result.suggestion
    assert page_result.suggestion.endswith(json_result.suggestion)


@pytest.mark.parametrize("status", [401, 404])
def test_rejection_has_message_and_suggestion(status: int) -> None:
    """A rejection contains the server's message and a suggestion."""
    result = parse_start(status, {"error": "Not found", "message": "Resource `x` not found"})
    assert result.message == f"HTTP {status}: Not found: Resource `x` not found"
    assert "heck" in result.suggestion


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((TargetKind.TEST, "run_id"), (TargetKind.TAG, "tag_run_id"), (TargetKind.FOLDER, "folder_run_id")),
        *((TargetKind.TEST, "runID"), (TargetKind.TAG, "folderRunID"), (TargetKind.FOLDER, "folderRunID")),
    ],
)
def test_run_id_is_read_for_each_kind(kind: TargetKind, field: str) -> None:
    """Each target kind has its own field for the run id."""
    result = parse_start(200, {field: "r1", "url": "https://autonoma.app/run/r1"}, kind)
    assert (result.status, result.run_id, result.url) == (StartStatus.STARTED, "r1", "https://autonoma.app/run/r1")


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Começou", "run_id": "r1"}'.encode("latin-1"),
        b'{"message": "cut within \xe2\x82", "run_id": "r1"}',
        b'{"message": "a\tb\nc", "run_id": "r1"}',
    ],
    ids=["another charset", "a part of a character", "control characters"],
)
def test_start_with_invalid_text_is_started(body: bytes) -> None:
    """Invalid characters in a message do not hide the run id."""
    result = parse_start_response(
        HttpResponse(200, {}, body, is_complete=True), RunRequest(TargetKind.TEST, "abc"), NO_SECRETS, NO_SECRETS
    )
    assert (result.status, result.run_id) == (StartStatus.STARTED, "r1")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig", "utf-16-le"])
def test_value_is_redacted_in_each_encoding(encoding: str) -> None:
    """A secret value is redacted in each encoding of the response."""
    redact = Redactor(["pässwörd-xk7q"])
    body = '{"message": "cannot use pässwörd-xk7q", "run_id": "r1"}'.encode(encoding)
    result = parse_start_response(HttpResponse(200, {}, body, is_complete=True), TEST, redact, redact)
    assert (result.run_id, result.message) == ("r1", "cannot use ***")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_redirect_is_redacted_in_each_encoding(encoding: str) -> None:
    """http.client returns the bytes of a header as Latin-1."""
    location = "https://x.test/pässwörd-xk7q".encode(encoding).decode("latin-1")
    redact = Redactor(["pässwörd-xk7q"])
    result = parse_start_response(
        HttpResponse(308, {"Location": location}, b"", is_complete=True), TEST, redact, redact
    )
    assert result.message == "HTTP 308: the API redirects to https://x.test/***"


def test_start_with_invalid_id_is_indeterminate() -> None:
    """A run id with invalid bytes leaves the start indeterminate."""
    body = b'{"message": "x", "run_id": "r\xff"}'
    result = parse_start_response(
        HttpResponse(200, {}, body, is_complete=True), RunRequest(TargetKind.TEST, "abc"), NO_SECRETS, NO_SECRETS
    )
    assert (result.status, result.run_id) == (StartStatus.INDETERMINATE, "")


def test_run_id_falls_back_to_link() -> None:
    """Without an id field, the run id comes from the link."""
    assert parse_start(201, {"url": "https://autonoma.app/run/r9"}).run_id == "r9"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://evil.example/run/r", "https://a@evil.example/", 7, None]
)
def test_invalid_link_is_dropped(url: object) -> None:
    """An invalid link is dropped and the run counts as started."""
    result = parse_start(200, {"run_id": "r1", "url": url})
    assert (result.status, result.run_id, result.url) == (StartStatus.STARTED, "r1", "")


def test_redirect_message_names_base_url() -> None:
    """The message of a redirect contains the base URL to set."""
    result = parse_start(308, headers={"Location": "https://api.example.com/v2/test/abc/run?token=x"})
    assert result.message == "HTTP 308: the API redirects to https://api.example.com/v2"
    assert "api-url" in result.suggestion


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://user:s3cret@api.example.com:8443/v2/test/abc/run?x", "https://api.example.com:8443/v2"),
        ("//user:s3cret@api.example.com/v2", "//api.example.com/v2"),
        ("https://user:s3cret?x@api.example.com/v2", "https://api.example.com/v2"),
        ("https://api.example.com/v2#token=s3cret", "https://api.example.com/v2"),
        (f"https://user:{'s3cret' * 4000}@api.example.com/v2", "https://api.example.com/v2"),
    ],
    ids=["login", "no-scheme", "question-mark", "fragment", "long"],
)
def test_redirect_message_hides_login(location: str, target: str) -> None:
    """Scheme, host, port and path are shown."""
    result = parse_start(302, headers={"Location": location})
    assert result.message == f"HTTP 302: the API redirects to {target}"


SECRET = "abcd/1234:efgh"


@pytest.mark.parametrize(
    "location",
    [
        "https://example.com/abcd/12\u200b34:efgh/v2?x",
        "https://example.com/abcd%2F1234%3Aefgh%E2%80%8B/v2",
        "https://example.com/abcd/1234%E2%80%8B:efgh/v2",
        "https://example.com/\uff41bcd/1234:e\tfgh/v2",
        f"https://example.com/{'x' * 165}/{SECRET}/v2",
        f"https://example.com/{'x' * 170}/{SECRET}/v2",
    ],
)
def test_disguised_secret_in_redirect_is_redacted(location: str) -> None:
    """A secret with invisible or encoded characters is removed from a redirect."""
    response = HttpResponse(308, {"Location": location.encode().decode("latin-1")}, b"", is_complete=True)
    for redact in (Redactor([SECRET]), Redactor(["another", SECRET])):
        result = parse_start_response(response, TEST, redact, redact)
        assert "abcd" not in result.message
        assert "efgh" not in result.message


@pytest.mark.parametrize(
    "url",
    [
        "https://autonoma.app/run/r1/ab%E2%80%8Bcd1234",
        "https://autonoma.app/run/r1?x=ab%C2%ADcd1234",
        "https://autonoma.app/run/r1#%EF%BD%81bcd1234",
        "https://autonoma.app/run/r1/abcd%0A1234",
        "https://autonoma.app/run/r1/%2561bcd1234",
    ],
)
def test_link_with_disguised_secret_is_dropped(url: str) -> None:
    """A link with an encoded credential is dropped."""
    redact = Redactor(["abcd1234"])
    response = HttpResponse(200, {}, json.dumps({"run_id": "r1", "url": url}).encode(), is_complete=True)
    result = parse_start_response(response, TEST, redact, redact)
    assert (result.status, result.run_id, result.url) == (StartStatus.STARTED, "r1", "")


def test_error_of_two_fields_is_redacted() -> None:
    """A secret that spans two error fields is redacted in the joined message."""
    redact = Redactor(["abcd: 1234", "long-value-12345"])
    body = json.dumps({"error": "no abcd", "message": "1234 or long-value-1"}).encode()
    result = parse_start_response(HttpResponse(422, {}, body, is_complete=True), TEST, redact, redact)
    assert result.message == "HTTP 422: no *** or ***"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"NaN", b"[" * 100_000, b'{"run_id": null}', b"\xff"])
def test_success_without_run_is_indeterminate(body: bytes) -> None:
    """A 200 without a run in its body is indeterminate."""
    assert parse_start(200, body).status is StartStatus.INDETERMINATE


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", "", 0.0),
        ("120", "", 120.0),
        (" 5 ", "", 5.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", "", None),
        ("-5", "", None),
        ("soon", "", None),
        ("9" * 50, "", None),
        ("", "", None),
    ],
)
def test_retry_after_is_parsed(value: str, date: str, seconds: float | None) -> None:
    """Retry-After is parsed as seconds or as a date."""
    assert parse_retry_after({"Retry-After": value, "Date": date}) == seconds


@given(st.text(), st.text())
def test_any_retry_after_is_time_or_none(value: str, date: str) -> None:
    """Any Retry-After gives a time or None."""
    seconds = parse_retry_after({"Retry-After": value, "Date": date})
    assert seconds is None or seconds >= 0


@pytest.mark.slow
@given(
    st.integers(100, 599),
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode()),
    st.booleans(),
    st.text(max_size=100),
)
def test_any_response_is_parsed(status: int, body: bytes, is_complete: bool, location: str) -> None:
    """Any response gives a start result with a message of one line."""
    response = HttpResponse(status, {"Location": location, "Retry-After": location}, body, is_complete)
    result = parse_start_response(response, TEST, NO_SECRETS, NO_SECRETS)
    assert "\n" not in result.message
    assert (result.status is StartStatus.STARTED) <= (200 <= status < 300)
