"""A request, an answer, and the answers that are refusals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """One request as far as it could be read.

    `headers` have lower-case names; `body` is the parsed JSON and `has_body` says whether there was
    one. A body that could not be taken has its refusal in `fault` instead.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: object = None
    has_body: bool = False
    error: Response | None = None


@dataclass(frozen=True)
class Response:
    """One answer; `delay` is how many seconds to wait before it is given."""

    status: int
    content: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


def json_response(value: object, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(status, json.dumps(value).encode())


def error_response(status: int, why: str, *headers: tuple[str, str]) -> Response:
    """Return an error in the API's shape."""
    return Response(status, json.dumps({"error": HTTPStatus(status).phrase, "message": why}).encode(), headers=headers)


def unauthorized() -> Response:
    """Return the contract's answer to credentials that are missing or wrong."""
    return error_response(401, "Invalid authentication credentials")


def not_found(subject: str) -> Response:
    """Return the contract's answer to an id that the account does not have."""
    body = {"error": "Not found", "message": f"Resource with id `{subject}` not found"}
    return Response(404, json.dumps(body).encode())
