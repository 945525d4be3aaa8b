"""Test the checks of requests and responses against the contract.

A description that accepts everything would prove nothing.
"""

from __future__ import annotations

import json

import pytest
import requests

from tests.integration.contract.openapi import ContractError, check_prepared_request, check_raw_response, check_request

URL = "http://localhost:1234/api"
HEADERS = {"autonoma-client-id": "a", "autonoma-client-secret": "b", "Content-Type": "application/json"}
JSON = {"Content-Type": "application/json"}
UNAUTHORIZED = {"error": "Unauthorized", "message": "Invalid authentication credentials"}


def test_valid_request_is_accepted_for_any_host() -> None:
    """A valid request is accepted for any host."""
    check_request("POST", f"{URL}/test/abc/run", HEADERS, b'{"id": "abc", "runtime_metadata": {"A": "1"}}')
    check_request("POST", "https://autonoma.app/api/tag/abc/run", HEADERS)
    check_request("GET", f"{URL}/folder?limit=100&offset=0", HEADERS)


def test_prepared_request_is_accepted() -> None:
    """A valid request of the requests library is accepted."""
    check_prepared_request(
        requests.Request("POST", f"{URL}/test/abc/run", headers=HEADERS, json={"id": "abc"}).prepare()
    )
    check_prepared_request(
        requests.Request("POST", f"{URL}/test/abc/run", headers=HEADERS, data='{"id": "abc"}').prepare()
    )


@pytest.mark.parametrize("name", ["autonoma-client-id", "autonoma-client-secret"])
@pytest.mark.parametrize("value", [None, ""])
def test_both_credentials_are_required(name: str, value: str | None) -> None:
    """Each of the two credential headers is required."""
    headers = {k: v for k, v in {**HEADERS, name: value}.items() if v is not None}
    with pytest.raises(ContractError):
        check_request("GET", f"{URL}/folder", headers)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/test/abc/run", b"{}"),
        ("POST", "/test/abc/run", b'{"id": "abd"}'),
        ("POST", "/test/abc/run", b'{"id": "abc", "runtime_metadata": {"A": 1}}'),
        ("POST", "/test/abc/run", b'{"id": "abc", "more": "x"}'),
        ("POST", "/test/abc/run", b'{"id":'),
        ("POST", "/test/a.b/run", b'{"id": "a.b"}'),
        ("POST", "/test/a%0Ab/run", None),
        ("POST", "/test//run", None),
        ("POST", "/test/a/b/run", None),
        ("POST", "/tests/abc/run", None),
        ("PUT", "/test/abc/run", None),
        ("GET", "/run/folder/a/b/status", None),
        ("GET", "/folder?limit=0", None),
        ("GET", "/folder?offset=x", None),
        ("GET", "/run/abc?steps=yes", None),
    ],
)
def test_undescribed_request_is_rejected(method: str, path: str, body: bytes | None) -> None:
    """A request outside the description is rejected."""
    with pytest.raises(ContractError):
        check_request(method, URL + path, HEADERS, body)


def test_path_outside_api_is_rejected() -> None:
    """A path outside of /api is rejected."""
    with pytest.raises(ContractError, match="/api"):
        check_request("POST", "http://localhost/test/abc/run", HEADERS, b'{"id": "abc"}')


def test_other_content_type_is_rejected() -> None:
    """A body of another content type is rejected."""
    with pytest.raises(ContractError):
        check_request("POST", f"{URL}/test/abc/run", {**HEADERS, "Content-Type": "text/plain"}, b'{"id": "abc"}')


def test_published_responses_are_accepted() -> None:
    """The published examples of responses are accepted."""
    start_body = {"message": "ok", "url": "https://autonoma.app/run/r1", "run_id": "r1"}
    not_found_body = {"error": "Not found", "message": "Resource with id `abc` not found"}
    for status, body in ((200, start_body), (200, {}), (401, UNAUTHORIZED), (404, not_found_body)):
        check_raw_response("POST", f"{URL}/test/abc/run", status, JSON, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "/test/abc/run", 200, {"run_id": 1}),
        ("POST", "/test/abc/run", 200, {"run_id": "r1", "more": "x"}),
        ("POST", "/test/abc/run", 200, {"url": "javascript:alert(1)"}),
        ("POST", "/test/abc/run", 200, []),
        ("POST", "/test/abc/run", 201, {}),
        ("POST", "/test/abc/run", 401, {"error": "Unauthorized", "message": "Go away"}),
        ("POST", "/test/abc/run", 404, {"error": "Not found"}),
        ("GET", "/run/r1/status", 200, {}),
        ("GET", "/run/r1/status", 200, {"status": "done"}),
        ("GET", "/run/r1", 200, {"status": "passed", "created_at": "yesterday"}),
        ("GET", "/run/r1", 200, {"status": "passed", "steps": [{"id": 1}]}),
        ("GET", "/run/r1", 200, {"status": "passed", "folder": {"id": "f1"}}),
        ("GET", "/folder", 200, {}),
        ("GET", "/folder", 200, [{"id": "f1"}]),
    ],
)
def test_undescribed_response_is_rejected(method: str, path: str, status: int, body: object) -> None:
    """A response outside the description is rejected."""
    with pytest.raises(ContractError):
        check_raw_response(method, URL + path, status, JSON, json.dumps(body).encode())


def test_malformed_response_is_rejected() -> None:
    """A response that is not JSON or has an invalid Retry-After is rejected."""
    error = b'{"error": "Too Many Requests", "message": "Later"}'
    check_raw_response("GET", f"{URL}/folder", 429, {**JSON, "Retry-After": "1"}, error)
    for headers, content in (
        ({"Content-Type": "text/html"}, error),
        (JSON, b"{"),
        ({**JSON, "Retry-After": "soon"}, error),
    ):
        with pytest.raises(ContractError):
            check_raw_response("GET", f"{URL}/folder", 429, headers, content)
