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
    fault: Answer | None = None


@dataclass(frozen=True)
class Answer:
    """One answer; `delay` is how many seconds to wait before it is given."""

    status: int
    content: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


def answer(value: object, status: int = 200) -> Answer:
    """Return `value` as JSON."""
    return Answer(status, json.dumps(value).encode())


def refused(status: int, why: str, *headers: tuple[str, str]) -> Answer:
    """Return an error in the API's shape."""
    return Answer(status, json.dumps({"error": HTTPStatus(status).phrase, "message": why}).encode(), headers=headers)


def unauthorized() -> Answer:
    """Return the contract's answer to credentials that are missing or wrong."""
    return refused(401, "Invalid authentication credentials")


def not_found(subject: str) -> Answer:
    """Return the contract's answer to an id that the account does not have."""
    body = {"error": "Not found", "message": f"Resource with id `{subject}` not found"}
    return Answer(404, json.dumps(body).encode())
