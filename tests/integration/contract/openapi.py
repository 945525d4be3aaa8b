"""Check requests and responses against both descriptions of the API.

Each check raises ContractError for a violation.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

# The keys are revisions of the contract.
DESCRIPTIONS = {name: Path(__file__).with_name(f"openapi-{name}.yaml") for name in ("2025-06", "2026-01")}
DEFAULT = "2025-06"
_SITE, _BASE = "https://autonoma.app", "/api"


class ContractError(AssertionError):
    """A request or response violates the contract."""


def check_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, contract: str = DEFAULT
) -> None:
    """Check a request, whatever its host.

    Raises:
        ContractError: The contract does not allow the request.
    """
    request = _build_request(method, url, headers, body)
    try:
        _load_description(contract).validate_request(request)
    except OpenAPIError as error:
        raise _make_contract_error(f"{method} {request.path}", error) from error
    *_, kind, subject, _ = request.path.split("/")
    # A schema cannot express this rule.
    if kind == "test" and body and json.loads(body)["id"] != subject:
        raise ContractError(f"{method} {request.path}: the body's id differs from the path")


def check_raw_response(
    method: str, url: str, status: int, headers: Mapping[str, str], content: bytes, contract: str = DEFAULT
) -> None:
    """Check a response to a request of this method and URL.

    Raises:
        ContractError: The contract does not allow the response.
    """
    request = _build_request(method, url, {}, None)
    try:
        _load_description(contract).validate_response(request, _Response(status, Headers(dict(headers)), content))
    except OpenAPIError as error:
        raise _make_contract_error(f"{status} to {method} {request.path}", error) from error


def check_prepared_request(request: requests.PreparedRequest, contract: str = DEFAULT) -> None:
    """Check a prepared request of the requests library.

    Raises:
        ContractError: The contract does not allow the request.
    """
    body = request.body.encode() if isinstance(request.body, str) else request.body
    check_request(request.method or "", request.url or "", {**request.headers}, body, contract)


def check_response(response: requests.Response, contract: str = DEFAULT) -> None:
    """Check a response of the requests library.

    Raises:
        ContractError: The contract does not allow the response.
    """
    request = response.request
    received = response.status_code, response.headers, response.content
    check_raw_response(request.method or "", request.url or "", *received, contract)


@dataclass
class _Request:
    # The fields are those of openapi-core's protocol. It writes path parameters into `parameters`.
    host_url: str
    path: str
    method: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters


@dataclass
class _Response:
    status_code: int
    headers: Headers
    data: bytes
    content_type: str = field(init=False)

    def __post_init__(self) -> None:
        self.content_type = self.headers.get("Content-Type", "")


def _build_request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> _Request:
    parts = urlsplit(url)
    if not parts.path.startswith(f"{_BASE}/"):
        raise ContractError(f"{method} {parts.path}: not below {_BASE}")
    request_headers = Headers(dict(headers))
    query = parse_qs(parts.query, keep_blank_values=True)
    parameters = RequestParameters(query=ImmutableMultiDict(query), header=request_headers)
    return _Request(
        _SITE, parts.path, method.lower(), body or None, request_headers.get("Content-Type", ""), parameters
    )


def _make_contract_error(subject: str, error: OpenAPIError) -> ContractError:
    return ContractError(f"{subject}: {error} ({error.__cause__})")


@functools.cache
def _load_description(contract: str) -> OpenAPI:
    return OpenAPI.from_dict(yaml.safe_load(DESCRIPTIONS[contract].read_text("utf-8")), config=Config())
