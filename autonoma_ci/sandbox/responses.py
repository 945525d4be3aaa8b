"""Requests and responses of the sandbox."""

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
    """One request, as far as it could be read."""

    method: str
    # Path and query.
    target: str
    # Names are in lower case.
    headers: Mapping[str, str]
    # The parsed JSON.
    body: object = None
    has_body: bool = False
    # The response to a body that could not be read.
    error: Response | None = None


@dataclass(frozen=True)
class Response:
    """One response."""

    status: int
    content: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    # Seconds to wait before the response is sent.
    delay: float = 0.0


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as a JSON response."""
    return Response(status, json.dumps(value).encode())


def error_response(status: int, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error in the API's format."""
    return Response(
        status, json.dumps({"error": HTTPStatus(status).phrase, "message": message}).encode(), headers=headers
    )


def unauthorized() -> Response:
    """Return the API's response to missing or wrong credentials."""
    return error_response(401, "Invalid authentication credentials")


def not_found(target_id: str) -> Response:
    """Return the API's response to an unknown id."""
    body = {"error": "Not found", "message": f"Resource with id `{target_id}` not found"}
    return Response(404, json.dumps(body).encode())
