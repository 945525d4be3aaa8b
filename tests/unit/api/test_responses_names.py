"""Tests of the name of a folder or test in a response."""

from __future__ import annotations

import json

import pytest

from autonoma_ci.api.responses import parse_name
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.redaction.redactor import NO_SECRETS, Redactor

SECRET = "s3cret-value-of-the-test"


def make_response(body: object, status: int = 200, *, is_complete: bool = True) -> HttpResponse:
    encoded_body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {}, encoded_body, is_complete)


def parse(body: object, status: int = 200, *, is_complete: bool = True) -> str | None:
    """Parse the name of the id `a`."""
    return parse_name(make_response(body, status, is_complete=is_complete), "a", lambda: Redactor([SECRET]))


def fail_to_create() -> Redactor:
    raise AssertionError("no redactor is needed")


@pytest.mark.parametrize("name", ["Checkout", "Zahlung – größer", "<b>Pay</b> & go", "100 %", "日本語 🚀"])
def test_name_of_confirmed_id_is_returned(name: str) -> None:
    """The name is returned as it is if the response has the same id."""
    assert parse({"id": "a", "name": name}) == name


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": "  \n\t"}, {"name": None}, {"name": 7}, {"name": ["x"]}])
def test_missing_name_is_empty(fields: dict[str, object]) -> None:
    """A confirmed id without a usable name has an empty name."""
    assert parse({"id": "a", **fields}) == ""


@pytest.mark.parametrize("status", [201, 204, 301, 401, 403, 404, 429, 500])
def test_other_status_confirms_nothing(status: int) -> None:
    """Only the status 200 confirms an id."""
    assert parse({"id": "a", "name": "Checkout"}, status) is None


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "x"}, {"id": "b", "name": "x"}, {"id": "A", "name": "x"}, {"id": "a ", "name": "x"},
        {"id": 1, "name": "x"}, {"id": ["a"], "name": "x"}, {"id": None}, [], [{"id": "a", "name": "x"}], "a", None,
        b"", b'{"id": "a", "name"', b"<html>a</html>", b'{"id": "a", "id": "b", "name": "x"}', b"[" * 100_000,
        b'{"id": "a", "name": "\xff"}',
    ],
)  # fmt: skip
def test_other_body_confirms_nothing(body: object) -> None:
    """A body with another id, another type or invalid JSON confirms nothing."""
    assert parse(body) is None


def test_incomplete_body_confirms_nothing() -> None:
    """A body that was cut short confirms nothing."""
    assert parse({"id": "a", "name": "Checkout"}, is_complete=False) is None


def test_unconfirmed_id_needs_no_redactor() -> None:
    """The slow redactor is created only for a text that is shown."""
    assert parse_name(make_response({"id": "b", "name": "x"}), "a", fail_to_create) is None
    assert parse_name(make_response({"id": "a"}), "a", fail_to_create) == ""


@pytest.mark.parametrize("name", [SECRET, f"My {SECRET}", f"{SECRET[:9]}\u200b{SECRET[9:]}", "%73" + SECRET[1:]])
def test_secret_in_name_is_redacted(name: str) -> None:
    """A secret in a name is hidden, also with an escape or an invisible character."""
    text = parse({"id": "a", "name": name})
    assert text is not None
    assert "***" in text
    assert SECRET[1:9] not in text


def test_controls_in_name_are_removed() -> None:
    """The name has one line without control and direction characters."""
    assert parse({"id": "a", "name": " a\r\nb\x1b[31m\u202ec\x00 "}) == "a b\ufffd[31mc\ufffd"


@pytest.mark.parametrize(("length", "expected"), [(100, "x" * 100), (101, "x" * 99 + "…"), (100_000, "x" * 99 + "…")])
def test_long_name_is_cut(length: int, expected: str) -> None:
    """A name above 100 characters is cut with an ellipsis."""
    assert parse_name(make_response({"id": "a", "name": "x" * length}), "a", lambda: NO_SECRETS) == expected
