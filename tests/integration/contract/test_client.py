"""Test that each request of the client matches the contract."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
import requests_mock
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import StartStatus
from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.api.transport import Transport
from autonoma_ci.models import AppVersion, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Secret
from tests.integration.contract.openapi import DESCRIPTIONS, check_prepared_request

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "https://autonoma.app/api"
SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))

ids = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
versions = st.builds(AppVersion, ids, ids)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
any_request = st.builds(
    partial(RunRequest),
    st.sampled_from(TargetKind),
    ids,
    variables=st.dictionaries(st.text("ABC xyz_", min_size=1, max_size=9), text, max_size=4),
    application_version_id=st.just("") | ids,
    application_versions=st.lists(versions, max_size=4).map(tuple),
)


@pytest.fixture(scope="module")
def request_mocker() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        mocker.post(requests_mock.ANY, json={"run_id": "r", "tag_run_id": "r", "folder_run_id": "r"})
        yield mocker


@pytest.mark.slow
@settings(deadline=None)
@given(any_request, st.from_regex(r"[a-z-]{1,10}", fullmatch=True))
def test_each_request_matches_contract(request_mocker: requests_mock.Mocker, request_: RunRequest, source: str) -> None:
    """Path, headers and body of each start request are valid."""
    client = AutonomaClient(Transport(BASE, SECRETS), source, SECRETS)
    assert client.start(request_).status is StartStatus.STARTED
    prepared = request_mocker.request_history[-1]._request
    for contract in DESCRIPTIONS:
        check_prepared_request(prepared, contract)
    body = json.loads(prepared.body)
    assert prepared.url == f"{BASE}/{request_.kind}/{request_.id}/run"
    assert prepared.headers["autonoma-client-id"] == "client-id-of-the-test"
    assert prepared.headers["autonoma-client-secret"] == "client-secret-of-the-test"
    if request_.kind is TargetKind.TEST:
        assert body["id"] == request_.id
        assert body.get("runtime_metadata", {}) == request_.variables
    if request_.kind is not TargetKind.TAG:
        assert body["source"] == source


def test_versions_are_grouped_by_application() -> None:
    """All versions of one application are sent together."""
    pairs = (AppVersion("a", "1"), AppVersion("b", "2"), AppVersion("a", "3"))
    assert build_start_body(RunRequest(TargetKind.TAG, "t", application_versions=pairs), "cli") == {
        "application_versions": [
            {"application_id": "a", "application_version_ids": ["1", "3"]},
            {"application_id": "b", "application_version_ids": ["2"]},
        ]
    }
    assert build_start_body(RunRequest(TargetKind.FOLDER, "f"), "cli") == {"recursive": True, "source": "cli"}
