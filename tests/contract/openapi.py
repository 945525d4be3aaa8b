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

# By the revision of the contract.
DESCRIPTIONS = {name: Path(__file__).with_name(f"openapi-{name}.yaml") for name in ("2025-06", "2026-01")}
DEFAULT = "2025-06"
_SITE, _BASE = "https://autonoma.app", "/api"


class ContractError(AssertionError):
    """A request or an answer that the contract does not allow."""


def check_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, contract: str = DEFAULT
) -> None:
    """Raise ContractError unless the contract allows this request; its host may be any."""
    request = _request(method, url, headers, body)
    try:
        _description(contract).validate_request(request)
    except OpenAPIError as error:
        raise _contract_error(f"{method} {request.path}", error) from error
    *_, kind, subject, _ = request.path.split("/")
    # A schema has no words for this one.
    if kind == "test" and body and json.loads(body)["id"] != subject:
        raise ContractError(f"{method} {request.path}: the body's id is another one")


def check_answer(
    method: str, url: str, status: int, headers: Mapping[str, str], content: bytes, contract: str = DEFAULT
) -> None:
    """Raise ContractError unless the contract allows this answer to a request of that method and URL."""
    request = _request(method, url, {}, None)
    try:
        _description(contract).validate_response(request, _Answer(status, Headers(dict(headers)), content))
    except OpenAPIError as error:
        raise _contract_error(f"{status} to {method} {request.path}", error) from error


def check_prepared(request: requests.PreparedRequest, contract: str = DEFAULT) -> None:
    """Raise ContractError unless the contract allows the request that requests is about to send."""
    body = request.body.encode() if isinstance(request.body, str) else request.body
    check_request(request.method or "", request.url or "", {**request.headers}, body, contract)


def check_response(response: requests.Response, contract: str = DEFAULT) -> None:
    """Raise ContractError unless the contract allows the answer that requests received."""
    asked = response.request
    received = response.status_code, response.headers, response.content
    check_answer(asked.method or "", asked.url or "", *received, contract)


@dataclass
class _Request:
    # What openapi-core wants to know of a request; it writes the path's parameters into `parameters`.
    host_url: str
    path: str
    method: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters


@dataclass
class _Answer:
    status_code: int
    headers: Headers
    data: bytes
    content_type: str = field(init=False)

    def __post_init__(self) -> None:
        self.content_type = self.headers.get("Content-Type", "")


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> _Request:
    parts = urlsplit(url)
    if not parts.path.startswith(f"{_BASE}/"):
        raise ContractError(f"{method} {parts.path}: not below {_BASE}")
    named = Headers(dict(headers))
    query = parse_qs(parts.query, keep_blank_values=True)
    parameters = RequestParameters(query=ImmutableMultiDict(query), header=named)
    return _Request(_SITE, parts.path, method.lower(), body or None, named.get("Content-Type", ""), parameters)


def _contract_error(what: str, error: OpenAPIError) -> ContractError:
    return ContractError(f"{what}: {error} ({error.__cause__})")


@functools.cache
def _description(contract: str) -> OpenAPI:
    return OpenAPI.from_dict(yaml.safe_load(DESCRIPTIONS[contract].read_text("utf-8")), config=Config())
