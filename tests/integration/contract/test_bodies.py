"""Test that sandbox and contract reject the same request bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.sandbox.contract import KINDS, body_error, parse_json
from tests.integration.contract.openapi import DEFAULT, ContractError, check_request, check_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from autonoma_ci.sandbox import Sandbox

HEADERS = {
    "autonoma-client-id": "some-client-id",
    "autonoma-client-secret": "some-client-secret",
    "Content-Type": "application/json",
}
VERSIONS = [{"application_id": "a1", "application_version_ids": ["v1", "v2"]}]

texts = st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
versions = st.lists(
    st.fixed_dictionaries({"application_id": texts, "application_version_ids": st.lists(texts, max_size=2)}), max_size=2
)
invalid_versions = st.lists(
    st.fixed_dictionaries(
        {"application_id": scalars, "application_version_ids": st.lists(scalars, max_size=2)}, optional={"other": texts}
    ),
    max_size=2,
)
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "id": st.just("abc"),
    "source": texts,
    "application_version_id": texts,
    "runtime_metadata": st.dictionaries(texts, texts, max_size=3),
    "application_versions": versions,
    "recursive": st.just(value=True),
    "run_on_latest": st.just(value=True),
}
INVALID_VALUES = json_values | st.dictionaries(texts, scalars, max_size=3) | invalid_versions


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, object]:
    """Draw a body whose fields are mostly valid.

    Random bodies alone would nearly all be rejected because of their first field.
    """
    kind = draw(st.sampled_from(KINDS))
    kind_fields = {"test": {"id", "application_version_id", "runtime_metadata"}, "folder": {"recursive"}, "tag": set()}[
        kind
    ]
    common_fields = {"source", "run_on_latest"} | (set() if kind == "test" else {"application_versions"})
    fields = {name: FIELDS[name] for name in sorted(kind_fields | common_fields)}
    body: dict[str, object] = draw(st.fixed_dictionaries({}, optional=fields))
    if kind == "test" and draw(st.integers(0, 3)):
        body["id"] = "abc"
    if draw(st.booleans()):
        body[draw(st.sampled_from([*FIELDS, "unknown"]))] = draw(INVALID_VALUES)
    return kind, body if draw(st.integers(0, 9)) else draw(json_values)


def is_valid_in_contract(kind: str, body: bytes, contract: str = DEFAULT) -> bool:
    try:
        check_request("POST", f"http://127.0.0.1/api/{kind}/abc/run", HEADERS, body, contract)
    except ContractError:
        return False
    return True


@pytest.mark.slow
@settings(deadline=None, max_examples=200)  # the first example loads the description
@given(bodies())
def test_sandbox_rejects_same_bodies_as_contract(kind_and_body: tuple[str, object]) -> None:
    """The sandbox rejects a generated body exactly if the contract does."""
    kind, body = kind_and_body
    raw = json.dumps(body).encode()
    assert (body_error(kind, "abc", parse_json(raw)) is None) == is_valid_in_contract(kind, raw)


def generate_invalid_bodies() -> Iterator[tuple[str, object]]:
    wrong_shapes: list[object] = [None, [], "abc", 1, True, {"unknown": "x"}, {"source": 1}]
    for kind in KINDS:
        yield from ((kind, body) for body in wrong_shapes)
    wrong_ids: list[object] = ["abd", "", None, 1, ["abc"]]
    yield from (("test", {"id": wrong_id}) for wrong_id in wrong_ids)
    non_strings: list[object] = [1, 1.5, True, None, [], {}, ["x"]]
    yield from (("test", {"id": "abc", "runtime_metadata": {"A": value}}) for value in non_strings)
    non_objects: list[object] = [None, [], "A=1"]
    yield from (("test", {"id": "abc", "runtime_metadata": value}) for value in non_objects)
    yield "test", {}
    yield "test", {"id": "abc", "application_versions": VERSIONS}
    yield "test", {"id": "abc", "application_version_id": None}
    yield "test", {"id": "abc", "application_version_id": "v1", "run_on_latest": True}
    non_true_values: list[object] = [False, 1, "true", None]
    for kind in ("tag", "folder"):
        yield kind, {"id": "abc"}
        yield kind, {"run_on_latest": True, "application_versions": VERSIONS}
        yield from ((kind, {"run_on_latest": value}) for value in non_true_values)
    wrong_versions: list[object] = [None, {}, ["v1"], [{}], [{**VERSIONS[0], "more": "x"}]]
    wrong_versions += [[{**VERSIONS[0], "application_version_ids": value}] for value in ("v1", [1])]
    wrong_versions += [[{**VERSIONS[0], "application_id": 1}]]
    yield from (("tag", {"application_versions": value}) for value in wrong_versions)
    yield "tag", {"recursive": True}
    yield "folder", {"recursive": False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "body"),
    [*generate_invalid_bodies()],
    ids=lambda value: json.dumps(value) if not isinstance(value, str) else value,
)
def test_invalid_body_gets_422(
    sandbox: Sandbox, session: requests.Session, contract: str, kind: str, body: object
) -> None:
    """The sandbox responds 422 to each body that the contract rejects."""
    raw = json.dumps(body).encode()
    assert not is_valid_in_contract(kind, raw, contract)
    response = session.post(f"{sandbox.url}/{kind}/abc/run", data=raw, headers=HEADERS, timeout=60)
    check_response(response, contract)
    assert response.status_code == 422
