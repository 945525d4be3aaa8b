"""Tests of the sandbox's response formats."""

from __future__ import annotations

import json

import pytest

from autonoma_ci.sandbox.responses import Response, error_response, json_response, not_found, unauthorized

HOSTILE_TEXT = "<script>alert(1)</script>\"'\r\nX-Other: 1\x1b[31m\ud800"


def read_json(response: Response) -> object:
    """Return the parsed content of a response, whose bytes are ASCII."""
    assert response.content_type == "application/json"
    return json.loads(response.content.decode("ascii"))


@pytest.mark.parametrize("value", [{}, [], None, "é", {"a": [1, True, None, "€"]}, HOSTILE_TEXT])
def test_json_response_has_value(value: object) -> None:
    """Each value is in the content with status 200."""
    response = json_response(value)
    assert (response.status, read_json(response), response.headers, response.delay) == (200, value, (), 0.0)


def test_json_response_has_status() -> None:
    """The status can differ from 200."""
    assert json_response({}, 201).status == 201


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(400, "Bad Request"), (402, "Payment Required"), (403, "Forbidden"), (405, "Method Not Allowed"),
     (429, "Too Many Requests"), (500, "Internal Server Error"), (503, "Service Unavailable")],
)  # fmt: skip
def test_error_response_has_phrase(status: int, phrase: str) -> None:
    """The error is the phrase of the status, beside the message."""
    response = error_response(status, HOSTILE_TEXT)
    assert (response.status, read_json(response)) == (status, {"error": phrase, "message": HOSTILE_TEXT})


def test_error_response_has_headers() -> None:
    """Further headers of an error are in their order."""
    headers = (("Retry-After", "1"), ("Allow", "GET"))
    assert error_response(429, "later", *headers).headers == headers


def test_unauthorized_response_is_401() -> None:
    """The response does not show which credential is wrong."""
    response = unauthorized()
    body = {"error": "Unauthorized", "message": "Invalid authentication credentials"}
    assert (response.status, read_json(response)) == (401, body)


@pytest.mark.parametrize("target_id", ["abc", "", "a`b", HOSTILE_TEXT])
def test_not_found_response_has_id(target_id: str) -> None:
    """The response to an unknown id has the id as a JSON text."""
    response = not_found(target_id)
    body = {"error": "Not found", "message": f"Resource with id `{target_id}` not found"}
    assert (response.status, read_json(response)) == (404, body)
