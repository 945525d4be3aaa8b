"""Checks of request bodies against the API contract."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The first segment of a path that starts a run.
KINDS = ("test", "folder", "tag")


class Revision(NamedTuple):
    """The differences of one revision of the contract."""

    # HTTP status of the response to a start request.
    start_status: int
    # Field of the run id in that response, by target kind.
    run_fields: Mapping[str, str]
    # Field of the run group's id. Empty if the revision has none.
    group_field: str
    # Maximum length of `source`. 0 means no limit.
    max_source_chars: int
    # HTTP status if the account's quota is used up.
    quota_status: int


# By the month in which the API first showed the revision.
REVISIONS: Mapping[str, Revision] = {
    "2025-06": Revision(200, {"test": "run_id", "folder": "folder_run_id", "tag": "tag_run_id"}, "", 0, 402),
    "2026-01": Revision(201, {"test": "runID", "folder": "folderRunID", "tag": "folderRunID"}, "runGroupID", 10, 403),
}
DEFAULT_REVISION = "2025-06"
_ID_RE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MAX_SHOWN_CHARS = 80


def is_id(text: str) -> bool:
    """Return whether a text has the form of an id."""
    return _ID_RE.fullmatch(text) is not None


def parse_json(raw: bytes) -> object:
    """Return the value of a JSON body.

    Raises:
        ValueError: The body is invalid. The message leaves out the body, because it can hold values of variables.

    """
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("the body is invalid UTF-8") from None
    except ValueError:
        # The parser's own message may quote the body, which can hold values of variables.
        raise ValueError("the body is invalid JSON") from None


def body_error(kind: str, target_id: str, body: object) -> str | None:
    """Return why the contract rejects a body, or None if it is valid.

    Args:
        kind: The target kind.
        target_id: The id in the path.
        body: The parsed JSON. The result never quotes its values.

    """
    if not isinstance(body, dict):
        return "the body must be an object"
    fields = _FIELD_CHECKS[kind]
    for name, value in body.items():
        if name not in fields:
            return f"unknown field {_quote(name)}"
        if problem := fields[name](value):
            return f"`{name}` {problem}"
    if "run_on_latest" in body and not _VERSION_FIELDS.isdisjoint(body):
        return "`run_on_latest` and versions exclude each other"
    if kind == "test" and "id" not in body:
        return "`id` is required"
    if body.get("id", target_id) != target_id:
        return "`id` must be the id in the path"
    return None


def variable_names(body: object) -> tuple[str, ...]:
    """Return the names of the variables in a body of any shape."""
    variables = body.get("runtime_metadata") if isinstance(body, dict) else None
    return tuple(variables) if isinstance(variables, dict) else ()


def source_of(body: object) -> str:
    """Return the `source` in a body, or an empty text."""
    source = body.get("source") if isinstance(body, dict) else None
    return source if isinstance(source, str) else ""


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid JSON: {name}")  # by default, Python's parser accepts NaN and Infinity


def _quote(name: str) -> str:
    return repr(name if len(name) <= _MAX_SHOWN_CHARS else name[:_MAX_SHOWN_CHARS] + "…")


def _text_error(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _true_error(value: object) -> str | None:
    return None if value is True else "can only be true"


def _texts_error(value: object) -> str | None:
    if not isinstance(value, dict):
        return "must be an object"
    for name, text in value.items():
        if not isinstance(text, str):
            return f"must contain only strings, unlike {_quote(name)}"
    return None


def _versions_error(value: object) -> str | None:
    if isinstance(value, list) and all(map(_is_version, value)):
        return None
    return (
        "must be a list of objects with the string `application_id` and the list of strings `application_version_ids`"
    )


def _is_version(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != {"application_id", "application_version_ids"}:
        return False
    ids = value["application_version_ids"]
    return isinstance(value["application_id"], str) and isinstance(ids, list) and all(isinstance(i, str) for i in ids)


_VERSION_FIELDS = frozenset({"application_version_id", "application_versions"})
_FIELD_CHECKS: Mapping[str, Mapping[str, Callable[[object], str | None]]] = {
    "test": {
        "id": _text_error,
        "application_version_id": _text_error,
        "source": _text_error,
        "runtime_metadata": _texts_error,
        "run_on_latest": _true_error,
    },
    "tag": {"source": _text_error, "application_versions": _versions_error, "run_on_latest": _true_error},
    "folder": {
        "source": _text_error,
        "recursive": _true_error,
        "application_versions": _versions_error,
        "run_on_latest": _true_error,
    },
}
